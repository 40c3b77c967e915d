/* Proof of kernels: one kernel, one shape, against ref.c, with guard pages around everything it touches.
 * The checker, the tuner and `tritune selftest` all prove kernels here, and only here. */
#ifndef TRI_VERIFY_H
#define TRI_VERIFY_H

#include "base/error.h"
#include "kernels/kernel.h"

enum tri_pattern { /* what weights and activations hold; scales go with them: ordinary ones and zeros; huge; so small
                    * that products are subnormal; negative; of changing signs, far apart */
    TRI_RANDOM,    /* trits and -127..127 at random */
    TRI_HIGHEST,   /* all +1 against all +127: the largest sums */
    TRI_LOWEST,    /* all +1 against all -127 */
    TRI_OPPOSED,   /* all -1 against all +127 */
    TRI_ALTERNATE, /* +1, -1, ... against +127, -127, ...: large terms of one sign through sign changes */
    TRI_PATTERNS
};

struct tri_case {
    int m, k;  /* any sizes >= 1: tails are the kernel's problem */
    enum tri_pattern pattern;
    uint64_t seed;
};

/* TRI_OK; TRI_WRONG with the first difference, or a packer that does not invert; TRI_UNSUPPORTED if k is
 * beyond the kernel's kmax; TRI_NO_MEMORY. A read or write out of bounds is a SIGSEGV: callers that must survive
 * one run this in a child process. */
enum tri_status tri_verify(const struct tri_kernel *kernel, const struct tri_layout *layout,
                           const struct tri_case *c, struct tri_error *e);

/* A deterministic generator for tests and synthetic data (splitmix64). */
uint64_t tri_random(uint64_t *state);

#endif
