/* The lists of what this build linked, made from the one generated list, kernels.inc. */
#include "base/cpu.h"
#include "kernels/kernel.h"

#include <string.h>

/* Asked once: where a hypervisor answers, CPUID is slow. */
#define TRI_ISA(isa, rank, detect)        \
    extern const struct tri_vec tri_vec_##isa; \
    static bool present_##isa(void)       \
    {                                     \
        static signed char known = -1;    \
        if (known < 0)                    \
            known = (detect);             \
        return known;                     \
    }
#define TRI_KERNEL(kind, isa, kernel, layout, form, tokens, group, kmax, table, prepare) extern tri_##kind##_fn tri_##kernel;
#define TRI_PREPARE(prepare) extern tri_prepare_fn prepare;
#define TRI_PEAK(isa, family, peak, tokens) extern tri_matmul_fn tri_##peak;
#include "kernels.inc"
#undef TRI_ISA
#undef TRI_KERNEL
#undef TRI_PREPARE
#undef TRI_PEAK

#define TRI_ISA(isa, rank, detect)
#define TRI_PREPARE(prepare)
#define TRI_PEAK(isa, family, peak, tokens)
#define TRI_KERNEL(kind, isa, kernel, layout, form, tokens, group, kmax, table, prepare) \
    {#kernel, #isa, #layout, #form, TRI_KIND_##kind, tokens, group, kmax, table, {.kind = tri_##kernel}, prepare},
const struct tri_kernel tri_kernels[] = {
#include "kernels.inc"
    {0},
};
#undef TRI_ISA
#undef TRI_KERNEL

#define TRI_ISA(isa, rank, detect) {#isa, present_##isa, &tri_vec_##isa, rank},
#define TRI_KERNEL(kind, isa, kernel, layout, form, tokens, group, kmax, table, prepare)
const struct tri_isa tri_isas[] = {
#include "kernels.inc"
    {0},
};
#undef TRI_ISA
#undef TRI_PEAK

#define TRI_ISA(isa, rank, detect)
#define TRI_PEAK(isa, family, peak, tokens) {#isa, #family, tokens, tri_##peak},
const struct tri_peak tri_peaks[] = {
#include "kernels.inc"
    {0},
};

const struct tri_layout *tri_layout_find(const char *name)
{
    for (const struct tri_layout *l = tri_layouts; l->name; l++)
        if (!strcmp(l->name, name))
            return l;
    return NULL;
}

const struct tri_kernel *tri_kernel_find(const char *name)
{
    for (const struct tri_kernel *k = tri_kernels; k->name; k++)
        if (!strcmp(k->name, name))
            return k;
    return NULL;
}

const struct tri_isa *tri_isa_find(const char *name)
{
    for (const struct tri_isa *i = tri_isas; i->name; i++)
        if (!strcmp(i->name, name))
            return i;
    return NULL;
}

int tri_three_of_four(const int8_t *trits, int k)
{
    int j = 0, zeros = 0;
    for (uint32_t four; j + 4 <= k; j += 4) {
        memcpy(&four, trits + j, sizeof four);
        if (((four & 0x01010101) * 0x01010101) >> 24 != 3) /* trits that are not 0 are odd */
            return j;
    }
    for (int i = j; i < k; i++)
        zeros += trits[i] == 0;
    return zeros > 1 ? j : k;
}
