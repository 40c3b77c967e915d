/* Products with matrices of numbers instead of trits, as other programs keep their weights: F16, Q8_0 and Q4_0, cut
 * among threads. What ternary weights are measured against.
 *
 * Weights lie in tiles of 16 rows, whose bytes are those of the rows as files have them, but
 *
 *     f16     four rows after four rows, of these for each 16 columns 16 halves of a row, 16 of the next, ...
 *     q8_0    for each 32 columns the 16 rows' halves d, then for each 4 of these columns the rows' int8 codes, 4 and 4
 *     q4_0    likewise, but of 8 columns the rows' codes + 8, 4 and 4: columns 0-3 in the low nibbles, 4-7 in the high
 *
 * F16 is multiplied by floats; blocks are multiplied by int8 activations, which have a scale for each token. */
#ifndef TRI_DENSE_H
#define TRI_DENSE_H

#include "kernels/product.h"

enum { TRI_DENSE_ROWS = 16, TRI_DENSE_GROUP = 32 /* columns that share a d, and padding */ };

struct tri_dense {
    enum tri_rows_kind kind;
    struct tri_layout layout; /* pack: of int8 values (Q4_0: -8 to 7), as they are: every d is 1; no unpack */
};

/* "f16", "q8_0" or "q4_0"; else NULL. */
const struct tri_dense *tri_dense_find(const char *name);

/* Floats that tri_dense_product needs as a thread's scratch. */
size_t tri_dense_sums(void);

/* As tri_product, for kernels of tri_vec: `y` are floats of x as it is, its tokens' scales not applied. x->f of F16;
 * else x->q, and x->sum of each TRI_DENSE_GROUP columns. */
void tri_dense_product(const struct tri_vec *v, const struct tri_dense *dense, const uint8_t *packed, int m, int kp,
                       const struct tri_operand *x, int n, const struct tri_pool *pool, int thread, float *y,
                       tri_sums_fn *then, const void *arg);

#endif
