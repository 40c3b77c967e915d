/* What this CPU can do, as raw facts; which facts an ISA needs stands in its table in gen/isa. */
#ifndef TRI_CPU_H
#define TRI_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum tri_reg { TRI_EAX, TRI_EBX, TRI_ECX, TRI_EDX };

/* x86: one bit of CPUID, false on other machines or above the highest leaf. */
bool tri_cpuid(uint32_t leaf, uint32_t subleaf, enum tri_reg reg, int bit);
/* x86: the operating system saves all register states in `mask` (XCR0): 6 = ymm, 0xe6 = zmm. */
bool tri_xcr0(uint64_t mask);
/* x86 Linux: the operating system lets this process use the large register state `feature` (18: matrix tiles). Asks for
 * it, on behalf of the whole process and its forks, but not of what it executes: each program asks anew. Ask only where
 * CPUID and XCR0 have the state. */
bool tri_xcomp(int feature);
/* aarch64 Linux: bits of AT_HWCAP (word 0) and AT_HWCAP2 (word 1); false elsewhere. */
bool tri_hwcap(int word, int bit);

/* "x86_64" or "aarch64", as this binary was built. */
const char *tri_arch(void);
/* The CPU's own name, e.g. from /proc/cpuinfo; never NULL or empty. */
const char *tri_cpu_name(void);

#endif
