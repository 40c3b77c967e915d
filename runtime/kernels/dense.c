/* Owns: the layouts of dense matrices, and the cutting of their products. Leaves out the kernels (vec.c.lt). */
#include "kernels/dense.h"

#include <string.h>

enum {
    ROWS = TRI_DENSE_ROWS,
    GROUP = TRI_DENSE_GROUP,
    LANES = 16, /* of a row of F16, beside those of the next row */
    TOKENS = 32, /* of a call, all of which read a tile from cache */
    ONE = 0x3c00 /* as a half */
};

/* -- packing ----------------------------------------------------------- */

static int value(const int8_t *values, size_t ld, int rows, int k, int row, int column)
{
    return row < rows && column < k ? values[(size_t)row * ld + (size_t)column] : 0;
}

static void pack_f16(const int8_t *values, size_t ld, int rows, int k, int kp, uint8_t *tile)
{
    float floats[LANES];
    for (int four = 0; four < ROWS; four += 4)
        for (int i = 0; i < kp; i += LANES)
            for (int r = four; r < four + 4; r++, tile += LANES * sizeof(uint16_t)) {
                for (int j = 0; j < LANES; j++)
                    floats[j] = (float)value(values, ld, rows, k, r, i + j);
                tri_isas[0].vec->to_f16(floats, (uint16_t *)(void *)tile, LANES);
            }
}

static uint8_t *put_ones(uint8_t *to)
{
    const uint16_t one = ONE;
    for (int r = 0; r < ROWS; r++)
        memcpy(to + 2 * r, &one, 2);
    return to + 2 * ROWS;
}

static void pack_q8_0(const int8_t *values, size_t ld, int rows, int k, int kp, uint8_t *tile)
{
    for (int i = 0; i < kp; i += GROUP) {
        tile = put_ones(tile);
        for (int j = 0; j < GROUP; j += 4)
            for (int r = 0; r < ROWS; r++)
                for (int c = 0; c < 4; c++)
                    *tile++ = (uint8_t)value(values, ld, rows, k, r, i + j + c);
    }
}

static void pack_q4_0(const int8_t *values, size_t ld, int rows, int k, int kp, uint8_t *tile)
{
    for (int i = 0; i < kp; i += GROUP) {
        tile = put_ones(tile);
        for (int j = 0; j < GROUP; j += 8)
            for (int r = 0; r < ROWS; r++)
                for (int c = 0; c < 4; c++) {
                    const int low = value(values, ld, rows, k, r, i + j + c) + 8;
                    const int high = value(values, ld, rows, k, r, i + j + 4 + c) + 8;
                    *tile++ = (uint8_t)(low | high << 4);
                }
    }
}

static const struct tri_dense kinds[] = {
    {TRI_ROWS_F16, {"f16", ROWS, GROUP, ROWS * GROUP * 2, false, pack_f16, NULL}},
    {TRI_ROWS_Q8_0, {"q8_0", ROWS, GROUP, ROWS * 34, false, pack_q8_0, NULL}},
    {TRI_ROWS_Q4_0, {"q4_0", ROWS, GROUP, ROWS * 18, false, pack_q4_0, NULL}},
};

const struct tri_dense *tri_dense_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(name, kinds[i].layout.name) == 0)
            return &kinds[i];
    return NULL;
}

/* -- products ---------------------------------------------------------- */

size_t tri_dense_sums(void)
{
    return ROWS * TOKENS;
}

/* y[tokens][ROWS] of one tile. */
static void multiply(const struct tri_vec *v, enum tri_rows_kind kind, const uint8_t *tile, int kp,
                     const struct tri_operand *x, int t, int tokens, float *y)
{
    if (kind == TRI_ROWS_F16)
        v->tile_f16((const uint16_t *)(const void *)tile, kp, x->f + (size_t)t * x->ldf, x->ldf, tokens, y);
    else
        v->tile[kind](tile, kp, x->q + (size_t)t * x->ldq, x->ldq, x->sum + t * (kp / GROUP), tokens, y);
}

void tri_dense_product(const struct tri_vec *v, const struct tri_dense *dense, const uint8_t *packed, int m, int kp,
                       const struct tri_operand *x, int n, const struct tri_pool *pool, int thread, float *y,
                       tri_sums_fn *then, const void *arg)
{
    const size_t bytes = (size_t)(kp / GROUP) * (size_t)dense->layout.bytes;
    int from, to;
    tri_product_share(&dense->layout, m, pool, thread, &from, &to);
    for (int i = from; i < to; i++)
        for (int t = 0, tokens; t < n; t += tokens) {
            tokens = n - t < TOKENS ? n - t : TOKENS;
            multiply(v, dense->kind, packed + (size_t)i * bytes, kp, x, t, tokens, y);
            then(arg, t, tokens, i * ROWS, (i + 1) * ROWS, y);
        }
}
