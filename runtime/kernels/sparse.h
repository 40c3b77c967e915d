/* Products that skip what cannot matter, with the same sums. With a squared ReLU, up's row i counts only where
 * gate i is positive, and down's column i only where its quantised input is not zero:
 *
 *     struct tri_plan up, down;                          tri_dispatch_plan(TRI_ROLE_GATE_UP, ...), (TRI_ROLE_DOWN, ...)
 *     int n = tri_list_positive(gate, 0, ffn, list);
 *     if (tri_sparse_pays(&up, n, ffn))
 *         tri_sparse_rows(&up, up_rows, kp, list, n, x, xsum, pool, thread, sums);     sums[i]: of row list[i]
 *     ...
 *     n = tri_list_nonzero(hidden, 0, ffn, list, values);
 *     if (tri_sparse_pays(&down, n, ffn))
 *         tri_sparse_columns(&down, down_columns, m, list, n, values, sum, pool, thread, y);
 *
 * A matrix is packed for it in plan.sparse.layout: up row by row, down column by column, columns taking the place of
 * rows. Nothing here waits for other threads. */
#ifndef TRI_SPARSE_H
#define TRI_SPARSE_H

#include "base/threads.h"
#include "kernels/dispatch.h"

/* The i in [from, to), ascending, with g[i] > 0 (a NaN is not), or with q[i] != 0 and those q[i] as x; how many.
 * list and x have room for to - from. */
int tri_list_positive(const float *g, int from, int to, int32_t *list);
int tri_list_nonzero(const int8_t *q, int from, int to, int32_t *list, int8_t *x);

/* Whether the plan's sparse kernel is faster than its dense one where `active` of `of` rows or inputs count. */
bool tri_sparse_pays(const struct tri_plan *plan, int active, int of);

/* This thread's share of the list: y[i] = row list[i] of `packed` times x, for every i of tri_pool_share(pool, count, ...).
 * kp: padded length of a row; x: q8, zero up to kp, with the sum xsum. */
void tri_sparse_rows(const struct tri_plan *plan, const uint8_t *packed, int kp, const int32_t *list, int count,
                     const int8_t *x, int32_t xsum, const struct tri_pool *pool, int thread, int32_t *y);

/* The rows [*from, *to) of m that are this thread's in tri_sparse_columns. */
void tri_sparse_columns_share(const struct tri_plan *plan, int m, const struct tri_pool *pool, int thread, int *from,
                              int *to);

/* This thread's share of the m rows, in whole steps of the layout: y[j] = sum of x[i] times element j of column
 * list[i], i < count. xsum: the sum of x. y: [m]; other threads' rows stay as they are. */
void tri_sparse_columns(const struct tri_plan *plan, const uint8_t *packed, int m, const int32_t *list, int count,
                        const int8_t *x, int32_t xsum, const struct tri_pool *pool, int thread, int32_t *y);

#endif
