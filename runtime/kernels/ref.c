/* What every op means, in plain C: the oracle. Nothing here is fast, and nothing here is generated. */
#include "kernels/kernel.h"

#include <math.h>

void tri_ref_matmul(const int8_t *w, int m0, int m1, int k, const int8_t *x, size_t ldx, int tokens,
                    int32_t *y, size_t ldy)
{
    for (int t = 0; t < tokens; t++)
        for (int m = m0; m < m1; m++) {
            int32_t sum = 0;
            for (int i = 0; i < k; i++)
                sum += w[(size_t)m * (size_t)k + (size_t)i] * x[(size_t)t * ldx + (size_t)i];
            y[(size_t)t * ldy + (size_t)(m - m0)] = sum;
        }
}

void tri_ref_grouped(const int8_t *w, int m0, int m1, int k, int group, const int8_t *x, size_t ldx, int tokens,
                     const float *ws, const float *xs, float *y, size_t ldy)
{
    const int groups = tri_groups(k, group);
    for (int t = 0; t < tokens; t++)
        for (int m = m0; m < m1; m++) {
            float sum = 0;
            for (int g = 0; g < groups; g++) {
                int32_t dot = 0;
                for (int i = g * group; i < k && i < (g + 1) * group; i++)
                    dot += w[(size_t)m * (size_t)k + (size_t)i] * x[(size_t)t * ldx + (size_t)i];
                sum = fmaf((float)dot, ws[m * groups + g] * xs[t * groups + g], sum);
            }
            y[(size_t)t * ldy + (size_t)(m - m0)] = sum;
        }
}

void tri_ref_rows(const int8_t *w, const int32_t *list, int count, int k, const int8_t *x, int32_t *y)
{
    for (int i = 0; i < count; i++)
        tri_ref_matmul(w, list[i], list[i] + 1, k, x, 0, 1, y + i, 0);
}

void tri_ref_columns(const int8_t *w, int m, const int32_t *list, int count, const int8_t *x, int32_t *y)
{
    for (int j = 0; j < m; j++) {
        y[j] = 0;
        for (int i = 0; i < count; i++)
            y[j] += w[(size_t)list[i] * (size_t)m + (size_t)j] * x[i];
    }
}
