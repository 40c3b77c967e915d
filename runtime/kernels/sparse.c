/* Owns: lists of what is active, and the cutting of products by them. Leaves out barriers, and which copies of a
 * matrix there are. */
#include "kernels/sparse.h"

#include <string.h>

/* No branches: which rows are active nobody can predict. Every index is written, and counted or overwritten. */
int tri_list_positive(const float *g, int from, int to, int32_t *list)
{
    int n = 0;
    for (int i = from; i < to; i++) {
        list[n] = i;
        n += g[i] > 0;
    }
    return n;
}

/* Eight bytes at a time where all are zero, as most are. */
int tri_list_nonzero(const int8_t *q, int from, int to, int32_t *list, int8_t *x)
{
    int n = 0, i = from;
    while (i < to) {
        uint64_t eight = 1;
        if (i + 8 <= to)
            memcpy(&eight, q + i, 8);
        const int end = i + 8 <= to ? i + 8 : to;
        if (eight == 0)
            i = end;
        for (; i < end; i++) {
            list[n] = i, x[n] = q[i];
            n += q[i] != 0;
        }
    }
    return n;
}

bool tri_sparse_pays(const struct tri_plan *plan, int active, int of)
{
    return plan->sparse.kernel && active < plan->sparse.break_even * of;
}

void tri_sparse_rows(const struct tri_plan *plan, const uint8_t *packed, int kp, const int32_t *list, int count,
                     const int8_t *x, int32_t xsum, const struct tri_pool *pool, int thread, int32_t *y)
{
    int from, to;
    tri_pool_share(pool, count, thread, &from, &to);
    plan->sparse.kernel->rows(packed, list + from, to - from, kp, x, xsum, y + from);
}

void tri_sparse_columns_share(const struct tri_plan *plan, int m, const struct tri_pool *pool, int thread, int *from,
                              int *to)
{
    const int step = plan->sparse.layout->kstep;
    tri_pool_share(pool, tri_round_up(m, step) / step, thread, from, to);
    *from = *from * step < m ? *from * step : m;
    *to = *to * step < m ? *to * step : m;
}

void tri_sparse_columns(const struct tri_plan *plan, const uint8_t *packed, int m, const int32_t *list, int count,
                        const int8_t *x, int32_t xsum, const struct tri_pool *pool, int thread, int32_t *y)
{
    int from, to;
    tri_sparse_columns_share(plan, m, pool, thread, &from, &to);
    if (from < to)
        plan->sparse.kernel->columns(packed, from, to, tri_round_up(m, plan->sparse.layout->kstep), list, count, x,
                                     xsum, y + from);
}
