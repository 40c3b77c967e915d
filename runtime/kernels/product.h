/* A matrix product cut among threads and into kernel calls. The engine computes with this, and the tuner times it. */
#ifndef TRI_PRODUCT_H
#define TRI_PRODUCT_H

#include "base/threads.h"
#include "kernels/dispatch.h"

/* Activations of some tokens as a plan's kernels read them: q8 rows, or the tables made of them. Behind the last
 * token there is memory for tri_product_spare(plan) more, whatever it holds. */
struct tri_operand {
    int8_t *q; /* [tokens][ldq], zero from K to the padded K */
    size_t ldq;
    int32_t *sum;   /* [tokens]; [tokens][groups], of each group, where columns share scales */
    uint8_t *table; /* [tokens][ldt] bytes, where the plan's form is not q8 */
    size_t ldt;
    float *scale; /* [tokens][groups] where columns share scales: 1 if only a token has one, to be applied later */
    float *f;     /* [tokens][ldf] of F16 weights (dense.h) instead of all this, zero from K to the padded K */
    size_t ldf;
};

/* Tokens that kernels of the plan may read behind the last of several; a single one is read alone. */
int tri_product_spare(const struct tri_plan *plan);

/* Bytes of one token's table for padded length kp; 0 for q8. */
size_t tri_table_bytes(const struct tri_plan *plan, int kp);

/* This thread's share of the tables of n tokens: columns, so that all threads make a single token's. */
void tri_prepare(const struct tri_plan *plan, int kp, const struct tri_operand *x, int n, const struct tri_pool *pool,
                 int thread);

/* int32 sums (or floats, where columns share scales) that tri_product needs as a thread's scratch. */
size_t tri_product_sums(const struct tri_plan *plan);

/* The row tiles [*from, *to) of a matrix of m rows that are this thread's, to compute and so to pack. */
void tri_product_share(const struct tri_layout *layout, int m, const struct tri_pool *pool, int thread, int *from,
                       int *to);

/* This thread's share of the row tiles of a packed matrix of m rows, for n tokens. Behind each kernel call
 * then(arg, t, tokens, m0, m1, y) gets y[tokens][m1 - m0] of rows [m0, m1) and tokens t, t + 1, ...: int32 sums, or
 * floats where columns share scales (`scales`: as kernel.h lays them out; else NULL). Rows of the last tile that lie
 * beyond m are padding. `y` is scratch and is overwritten by the next call. */
typedef void tri_sums_fn(const void *arg, int t, int tokens, int m0, int m1, const void *y);
void tri_product(const struct tri_plan *plan, const uint8_t *packed, const float *scales, int m, int kp,
                 const struct tri_operand *x, int n, const struct tri_pool *pool, int thread, void *y,
                 tri_sums_fn *then, const void *arg);

#endif
