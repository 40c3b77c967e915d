/* Owns: raw questions to the CPU. What an ISA needs is asked by the generated registry. */
#define _GNU_SOURCE
#include "base/cpu.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

bool tri_cpuid(uint32_t leaf, uint32_t subleaf, enum tri_reg reg, int bit)
{
    uint32_t r[4];
    if (!__get_cpuid_count(leaf, subleaf, &r[TRI_EAX], &r[TRI_EBX], &r[TRI_ECX], &r[TRI_EDX]))
        return false;
    return r[reg] >> bit & 1;
}

bool tri_xcr0(uint64_t mask)
{
    uint32_t low, high;
    if (!tri_cpuid(1, 0, TRI_ECX, 27)) /* OSXSAVE: xgetbv may be used */
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (((uint64_t)high << 32 | low) & mask) == mask;
}

/* Refused, too, where a thread has a signal stack too small for the state. Nothing here has one (a crash ends the
 * tuner's child, and its parent tells); whoever adds one takes its size from sysconf(_SC_MINSIGSTKSZ). */
bool tri_xcomp(int feature)
{
    const long request = 0x1023; /* ARCH_REQ_XCOMP_PERM, which older headers lack */
    return syscall(SYS_arch_prctl, request, (long)feature) == 0;
}

bool tri_hwcap(int word, int bit)
{
    (void)word, (void)bit;
    return false;
}

const char *tri_arch(void)
{
    return "x86_64";
}

#else
#include <sys/auxv.h>

bool tri_cpuid(uint32_t leaf, uint32_t subleaf, enum tri_reg reg, int bit)
{
    (void)leaf, (void)subleaf, (void)reg, (void)bit;
    return false;
}

bool tri_xcr0(uint64_t mask)
{
    (void)mask;
    return false;
}

bool tri_xcomp(int feature)
{
    (void)feature;
    return false;
}

bool tri_hwcap(int word, int bit)
{
    return getauxval(word == 0 ? AT_HWCAP : AT_HWCAP2) >> bit & 1;
}

const char *tri_arch(void)
{
#if defined(__aarch64__)
    return "aarch64";
#else
    return "unknown";
#endif
}
#endif

/* The lines of /proc/cpuinfo that tell one CPU from another, in the order tune/host.lua joins them, too. */
static const char *const cpu_keys[] = {"model name", "cpu family", "model", "stepping",
                                       "CPU implementer", "CPU part", "CPU variant", "CPU revision"};
enum { CPU_KEYS = sizeof cpu_keys / sizeof cpu_keys[0] };

static void read_key(const char *line, char value[][64])
{
    const char *colon = strchr(line, ':');
    if (!colon)
        return;
    size_t n = (size_t)(colon - line);
    while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    for (int i = 0; i < CPU_KEYS; i++)
        if (!value[i][0] && strlen(cpu_keys[i]) == n && !memcmp(line, cpu_keys[i], n))
            snprintf(value[i], 64, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
}

const char *tri_cpu_name(void)
{
    static char name[320];
    char line[512], value[CPU_KEYS][64] = {{0}};
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f) && line[0] != '\n')
        if (strlen(line) > 3 && strchr(line, ':') && strchr(line, ':')[1])
            read_key(line, value);
    if (f)
        fclose(f);
    char joined[CPU_KEYS * 65] = "";
    for (int i = 0; i < CPU_KEYS; i++)
        if (value[i][0]) {
            strcat(joined, joined[0] ? "/" : "");
            strcat(joined, value[i]);
        }
    snprintf(name, sizeof name, "%s", joined[0] ? joined : tri_arch());
    return name;
}
