/* The ABI of generated code: what gen/ writes and the engine, the checker and the tuner call.
 *
 * The operation: Y[t][m] = sum_k W[m][k] * X[t][k], W in {-1, 0, +1}, X int8 in -127..127, Y exact int32.
 *
 * A *layout* says how trits lie in bytes. Rows come in tiles of `rows`, columns in steps of `kstep`;
 * a matrix of M rows and K columns is ceil(M / rows) tiles, each ceil(K / kstep) * bytes long.
 * Padding rows and columns hold trit 0. Layouts do not depend on vector length or ISA.
 * A layout of *three of four* holds only rows in which exactly one of columns 4i .. 4i + 3 is 0; padding has no zeros to
 * spare there and holds any trits, which activations of 0 make harmless.
 *
 * A *form* says how activations are prepared: "q8" are the int8 rows themselves (zero up to the
 * padded K) and their sums; any other form is a table that `prepare` makes from a q8 row.
 *
 * A *kernel* computes rows [m0, m1) for exactly `tokens` tokens. It allocates nothing, knows no threads,
 * has no error paths, reads at most 64 bytes past packed weights and writes only
 * y[t * ldy + 0 .. m1 - m0). m0 is a multiple of the layout's `rows`; m1 is, too, or is M. */
#ifndef TRI_KERNEL_H
#define TRI_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* w: the packed matrix (its row 0). k: padded, a multiple of kstep. x: q8 rows or tables, `ldx` bytes
 * from one token to the next. xsum[t]: sum of the int8 activations of token t. y: row m0 of token 0. */
typedef void tri_matmul_fn(const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx,
                           const int32_t *xsum, int32_t *y, size_t ldy);

/* The same where a scale belongs to `group` columns. Groups in ascending order, starting from 0:
 *     y[t][m] = fma((float)dot of group g, ws[m][g] * xs[t][g], y[t][m])
 * groups: ceil(k / group), so the last may be short. xsum, xs: [tokens][groups], sum and scale of a token's
 * activations in each group. ws: packed beside the weights, [tile][groups][rows of a tile] from row 0; what stands
 * there for rows past the last is read, and plays no part. */
typedef void tri_grouped_fn(const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx,
                            const int32_t *xsum, const float *ws, const float *xs, float *y, size_t ldy);

/* Of a matrix packed row by row only the rows in list[0 .. count), ascending, for one q8 token:
 * y[i] = row list[i] times x. */
typedef void tri_rows_fn(const uint8_t *w, const int32_t *list, int count, int k, const int8_t *x,
                         int32_t xsum, int32_t *y);

/* Of a matrix whose columns are packed as rows (its transpose, by the same packers; m is the padded length of a
 * column) only the columns in list[0 .. count), ascending, of which x[i] is the activation: y[0 .. m1 - m0) = their
 * sum over rows [m0, m1). m0 is a multiple of the layout's kstep; m1 is, too, or is M. xsum: of x. kmax of such a
 * kernel bounds `count`. */
typedef void tri_columns_fn(const uint8_t *w, int m0, int m1, int m, const int32_t *list, int count,
                            const int8_t *x, int32_t xsum, int32_t *y);

enum tri_kind { TRI_KIND_matmul, TRI_KIND_grouped, TRI_KIND_rows, TRI_KIND_columns };

/* Tables of the columns [k0, k1) of one q8 row of padded length k; k0, k1 multiples of kstep. */
typedef void tri_prepare_fn(const int8_t *q, int k0, int k1, uint8_t *table);

/* One row tile: trits [rows][ld] of which `rows` (<= the layout's) and `k` columns are real,
 * to tile bytes for padded length kp. unpack is its inverse over the whole tile, padding included. */
typedef void tri_pack_fn(const int8_t *trits, size_t ld, int rows, int k, int kp, uint8_t *tile);
typedef void tri_unpack_fn(const uint8_t *tile, int kp, int8_t *trits, size_t ld);

struct tri_layout {
    const char *name;
    int rows, kstep, bytes;
    bool three_of_four; /* packs nothing else right: tri_three_of_four() tells */
    tri_pack_fn *pack;
    tri_unpack_fn *unpack;
};

struct tri_kernel {
    const char *name, *isa, *layout, *form;
    enum tri_kind kind;
    int tokens;
    int group;       /* columns that share a scale, a multiple of kstep; 0 unless grouped */
    int kmax;        /* largest padded K at which no accumulator can overflow */
    int table_bytes; /* bytes of table per kstep; 0 for q8 */
    union {          /* the function of its kind */
        tri_matmul_fn *matmul;
        tri_grouped_fn *grouped;
        tri_rows_fn *rows;
        tri_columns_fn *columns;
    };
    tri_prepare_fn *prepare; /* NULL for q8 */
};

/* Rows of numbers as files and caches store them, in whole blocks. Every value is exact in a float but those of Q4_K,
 * whose difference is rounded once. */
enum tri_rows_kind {
    TRI_ROWS_NONE, /* not in the table below */
    TRI_ROWS_F32,
    TRI_ROWS_F16,  /* IEEE half */
    TRI_ROWS_BF16, /* the upper half of a float */
    TRI_ROWS_Q8_0, /* 32 in 34 bytes: half d, int8 q: d * q */
    TRI_ROWS_Q4_0, /* 32 in 18 bytes: half d, nibbles q (first the low ones of all bytes): d * (q - 8) */
    TRI_ROWS_Q4_K, /* 256 in 144 bytes, per 32 a scale and a minimum of six bits: (d * sc) * q - (dmin * mn) */
    TRI_ROWS_Q6_K, /* 256 in 210 bytes, per 16 an int8 scale: (d * sc) * (q - 32) */
    TRI_ROWS_KINDS
};

/* Work on stored rows. a: the first row, aligned as its elements are (blocks: not at all); ld: bytes from one row to
 * the next; n: elements of a row, of Q4_0, Q4_K and Q6_K whole blocks; of a last block of Q8_0 only the first n % 32
 * count, but all is read, and the rest must be zeros. Each row has the bits it has alone. */
struct tri_rows {
    /* out[rows]: lanes of fma(value, b, acc) */
    void (*dots)(const void *a, size_t ld, int rows, const float *b, int n, float *out);
    /* The same where long rows come from memory: one after the other, as a single stream, which is read up to twice as
     * fast as four at once (Zen 4; two and more streams need the core's prefetchers to take turns) */
    void (*stream)(const void *a, size_t ld, int rows, const float *b, int n, float *out);
    void (*floats)(const void *a, float *y, int n); /* the values of one row */
    /* Of several vectors at once, for rows that a cache may hold (else NULL): F32, F16, Q8_0. n: a multiple of 16, of
     * Q8_0 of 32. out[i * ldo + r] is the dot product of row r and b[i * ldb]; y[i * ldy] = fma(s[i * lds + r], value,
     * y[i * ldy]) for one row after the other. */
    void (*products)(const void *a, size_t ld, int rows, const float *b, size_t ldb, int count, int n, float *out,
                     size_t ldo);
    void (*axpys)(const float *s, size_t lds, int count, const void *a, size_t ld, int rows, float *y, size_t ldy,
                  int n);
};

/* A tile of 16 rows of blocks (dense.h), k columns, a multiple of 32, by tokens' int8 activations x[tokens][ldx]: block
 * after block, from 0,
 *     y[t * 16 + r] = fma((float)dot of the block's codes and x, d, y[t * 16 + r])
 * xsum: [tokens][k / 32], the sums of x there. */
typedef void tri_tile_fn(const uint8_t *tile, int k, const int8_t *x, size_t ldx, const int32_t *xsum, int tokens,
                         float *y);

/* What a quantiser or norm wants to know of a vector y. */
struct tri_measure {
    float most;    /* max |y|, 0 for n = 0; what is no number is passed over */
    float squares; /* lanes of fma(y, y, acc): not below infinity if y holds what is no number, or too great ones */
};

/* What int8 codes keep of a row. */
struct tri_coded {
    float lost;  /* lanes of fma(d, d, acc), d = fma(-s, q, x) */
    int32_t sum; /* of |q| */
};

/* Float work of one ISA. Every function gives the same bits on every ISA: reductions put element i in
 * lane i % 16, combine lanes as a tree (+8, +4, +2, +1), use fma exactly where the text says fma, and
 * round to nearest. n is any length >= 0; pointers need no alignment; f16 is IEEE half, as uint16_t. */
struct tri_vec {
    const char *isa;
    struct tri_rows rows[TRI_ROWS_KINDS];
    tri_tile_fn *tile[TRI_ROWS_KINDS]; /* Q8_0, Q4_0; else NULL */
    /* Of F16 (dense.h): y[t * 16 + r] = lanes of fma(value, x[t * ldx + i], acc). k: a multiple of 16 */
    void (*tile_f16)(const uint16_t *tile, int k, const float *x, size_t ldx, int tokens, float *y);
    void (*scale)(float s, float *y, int n);                        /* y = y * s */
    struct tri_measure (*measure)(const float *y, int n);
    /* y = (x * r) * w, measured as it is made; y may be x */
    struct tri_measure (*norm)(const float *x, float r, const float *w, float *y, int n);
    /* q = x * s rounded to nearest even, |x * s| <= 127 given; returns the sum of q */
    int32_t (*quantize)(const float *x, float s, int8_t *q, int n);
    /* q = x * r rounded to nearest even, |x * r| <= 127.4 given, n < 2^17; what is lost when q * s stands for x */
    struct tri_coded (*encode)(const float *x, float r, float s, int8_t *q, int n);
    /* out[t * ldo + r] = sum of a[r * ld + i] * x[t * ldx + i], exact. n: a multiple of 128; no sum of the absolute
     * products of a row may be beyond int32 */
    void (*products)(const int8_t *a, size_t ld, int rows, const int16_t *x, size_t ldx, int tokens, int n,
                     int32_t *out, size_t ldo);
    void (*dequantize)(const int32_t *d, float s, float *y, int n);     /* y = (float)d * s */
    void (*dequantize_add)(const int32_t *d, float s, float *y, int n); /* y = y + (float)d * s, two roundings */
    /* the same with a scale for each row: y = (float)d * (w / s), so that equal w have the bits of one scale w / s */
    void (*dequantize_rows)(const int32_t *d, const float *w, float s, float *y, int n);
    void (*dequantize_rows_add)(const int32_t *d, const float *w, float s, float *y, int n);
    /* y = (max(g,0) * max(g,0)) * u, y = (g / (1 + exp(-g))) * u and y = (g / (1 + exp(-2h))) * u, h = sqrt(2 / pi) *
     * (g + 0.044715 g^3), which is the GELU by tanh since 1 + tanh(h) = 2 / (1 + exp(-2h)); measured as they are made */
    struct tri_measure (*relu2_mul)(const float *g, const float *u, float *y, int n);
    struct tri_measure (*silu_mul)(const float *g, const float *u, float *y, int n);
    struct tri_measure (*gelu_mul)(const float *g, const float *u, float *y, int n);
    /* softmax in two: x = x * s, returns max x, -inf for n = 0, NaN if some x * s is no number or infinite; then */
    float (*scale_max)(float s, float *x, int n);
    float (*exp_sum)(float *x, float max, int n); /* x = exp(x - max), returns the lane sum of x */
    void (*to_f16)(const float *x, uint16_t *y, int n); /* nearest even, overflow to infinity */
    /* Q8_0: d = max |x| / 127 as a half, q = x * (1 / d), half away from zero; the last block ends in zeros */
    void (*to_q8_0)(const float *x, void *y, int n);
    /* Rotary embedding, by what a value's partner is: its neighbour, x[i] = x[i] * c[i] + x[i ^ 1] * s[i], n even; or
     * half a vector away, (x[i], y[i]) = (x[i] * c[i] - y[i] * s[i], x[i] * s[i] + y[i] * c[i]) with y = x + half */
    void (*rope_pairs)(const float *c, const float *s, float *x, int n);
    void (*rope_halves)(const float *c, const float *s, float *x, int half);
};

/* What the build linked. Lists end with a NULL name (isa for tri_peaks). */
struct tri_isa {
    const char *name;
    bool (*present)(void);      /* this CPU and its operating system have it */
    const struct tri_vec *vec;
    int rank;                   /* the default prefers the greater */
};

/* What the kernels of a family could reach on an ISA: called as one for `tokens` tokens, it multiplies as often, all in
 * registers but for the first bytes of x, of which tokens * 64 are read. Its sums mean nothing. */
struct tri_peak {
    const char *isa, *family;
    int tokens;
    tri_matmul_fn *matmul;
};

extern const struct tri_isa tri_isas[];       /* ascending rank; first is "c", always present */
extern const struct tri_layout tri_layouts[];
extern const struct tri_kernel tri_kernels[];
extern const struct tri_peak tri_peaks[];     /* the same way; none of an ISA without words for it */

/* n, rounded up to a multiple of step: padded rows and columns. */
static inline int tri_round_up(int n, int step)
{
    return (n + step - 1) / step * step;
}

/* Scales of a row of k columns. */
static inline int tri_groups(int k, int group)
{
    return (k + group - 1) / group;
}

/* Where a row of trits first has four columns (from a multiple of 4 on) of which not exactly one is 0, or, fewer of them at
 * its end, more than one; k: nowhere. */
int tri_three_of_four(const int8_t *trits, int k);

const struct tri_layout *tri_layout_find(const char *name);
const struct tri_kernel *tri_kernel_find(const char *name);
const struct tri_isa *tri_isa_find(const char *name);

/* The plain C meaning, straight from unpacked trits: w[M][k] row-major. The oracle of every check. */
void tri_ref_matmul(const int8_t *w, int m0, int m1, int k, const int8_t *x, size_t ldx, int tokens,
                    int32_t *y, size_t ldy);
/* Likewise; ws[M][groups] by row, xs[tokens][groups]. */
void tri_ref_grouped(const int8_t *w, int m0, int m1, int k, int group, const int8_t *x, size_t ldx, int tokens,
                     const float *ws, const float *xs, float *y, size_t ldy);

/* The same of kernels that take lists: w[][k] row-major, and w[][m] of columns stored as rows. */
void tri_ref_rows(const int8_t *w, const int32_t *list, int count, int k, const int8_t *x, int32_t *y);
void tri_ref_columns(const int8_t *w, int m, const int32_t *list, int count, const int8_t *x, int32_t *y);

#endif
