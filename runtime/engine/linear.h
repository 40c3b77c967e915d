/* A ternary matrix times a batch of quantised tokens: one thread's share of the rows.
 *
 *     tri_quantize(vec, m, in, t, x);              each token once: int8 values, sum, scale
 *     tri_prepare(m, in, n, thread, threads);      after a barrier; tables where the kernels want
 * them tri_linear(vec, m, in, n, thread, threads, sums, out);   after a barrier
 *
 * Row r of a part with scale w is (float)(exact integer product) * (w / s), s the token's scale. */
#ifndef TRI_LINEAR_H
#define TRI_LINEAR_H

#include "model/model.h"

/* Quantised tokens. Rows of `q` are zero from a matrix's k to its kp. */
struct tri_input {
    int8_t *q; /* [tokens][ldq] */
    size_t ldq;
    uint8_t *table; /* [tokens][ldt], where the form is not q8 */
    size_t ldt;
    float *s;     /* [tokens] 127 / max |x| */
    int32_t *sum; /* [tokens] */
};

struct tri_output {
    float *at; /* [tokens][ld], by row of the matrix */
    size_t ld;
    bool add; /* to what is there */
};

/* Bytes of a token's table, 0 for form q8; int32 sums that tri_linear needs as scratch. */
size_t tri_table_bytes(const struct tri_matrix *m);
size_t tri_linear_sums(const struct tri_matrix *m);

/* False, and zeros, if the squares of x are beyond the range of floats. */
bool tri_quantize(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in,
                  int t, const float *x);
void tri_prepare(const struct tri_matrix *m, const struct tri_input *in, int n, int thread,
                 int threads);
void tri_linear(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in,
                int n, int thread, int threads, int32_t *sums, const struct tri_output *out);

#endif
