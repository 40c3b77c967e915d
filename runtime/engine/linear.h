/* A matrix times a batch of tokens, quantised but for F16 weights: one thread's share of the rows.
 *
 *     tri_quantize(vec, m, in, t, x, measure);           each token once: int8 values, sum, scale
 *     tri_prepare(&m->plan, m->kp, &in->x, n, ...);      behind a barrier, where the kernels want tables
 *     tri_linear(vec, m, in, n, pool, thread, ...);    behind a barrier
 *
 * Row r of a part with scale w is (float)(exact integer product) * (w / s), s the token's scale; where columns share
 * scales, the sum of kernel.h's tri_grouped_fn times 1 / s. Of a dense matrix, the float product times (w / s), where s is
 * 1 for F16. */
#ifndef TRI_LINEAR_H
#define TRI_LINEAR_H

#include "kernels/product.h"
#include "kernels/sparse.h"
#include "model/model.h"

/* What a kernel call computed of m: y[tokens][m1 - m0] of rows [m0, m1) and tokens t, t + 1, ... of `in` (product.h). */
struct tri_sums {
    const struct tri_matrix *m;
    const struct tri_input *in;
    int thread, t, tokens, m0, m1;
    const void *y; /* int32, or floats where columns share scales */
};
typedef void tri_watch_fn(void *arg, const struct tri_sums *s);

struct tri_input {
    struct tri_operand x;
    float *s; /* [tokens] 127 / max |x| */
    tri_watch_fn *watch; /* sees all sums before they are used, from every thread (proof.h); NULL: nobody does */
    void *watching;      /* its arg */
};

struct tri_output {
    float *at; /* [tokens][ld], by row of the matrix */
    size_t ld;
    bool add; /* to what is there */
};

static inline bool tri_takes_floats(const struct tri_matrix *m)
{
    return m->dense && m->dense->kind == TRI_ROWS_F16;
}

/* x as int8 or, for F16 weights, as it is, by its measure. False, and zeros, if its squares are beyond the range of floats. */
bool tri_quantize(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in, int t,
                  const float *x, struct tri_measure of);

/* sums: scratch of tri_product_sums(&m->plan) int32, or as many floats; of a dense matrix tri_dense_sums() floats. */
void tri_linear(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in, int n,
                const struct tri_pool *pool, int thread, int32_t *sums, const struct tri_output *out);

/* Inputs of a single token that are not zero as the matrix takes them. */
int tri_linear_nonzero(const struct tri_matrix *m, const struct tri_input *in);

/* The same for a single token and a matrix of one part, but of what is in the list only, from a copy in
 * m->plan.sparse.layout: rows list[i], to out[list[i]]; or columns list[i], whose quantised inputs are values[i], added
 * to out. in->x.q has room for k padded to that layout. sums: as many as rows. */
void tri_linear_rows(const struct tri_matrix *m, const uint8_t *packed, const struct tri_input *in,
                     const int32_t *list, int count, const struct tri_pool *pool, int thread, int32_t *sums,
                     float *out);
void tri_linear_columns(const struct tri_vec *v, const struct tri_matrix *m, const uint8_t *packed,
                        const struct tri_input *in, const int32_t *list, const int8_t *values, int count,
                        const struct tri_pool *pool, int thread, int32_t *sums, float *out);

#endif
