/* Owns: rows of TL1 and TL2, and the kernel configurations of the models that were converted to them. */
#include "file/tl.h"

#include "file/encodings.h"

/* -- configurations ------------------------------------------------------ */

enum { TL1, TL2, KINDS };

/* What BitNet's code generator is run with, by rows and columns of the matrix: of TL1, of TL2. */
static const struct {
    int64_t m, k;
    struct tri_tl config[KINDS];
} known[] = {
    {1536, 4096, {{256, 128, 32}, {256, 96, 32}}},
    {1536, 1536, {{128, 64, 64}, {128, 192, 32}}},
    {4096, 1536, {{256, 128, 32}, {256, 96, 32}}},
    {3200, 8640, {{160, 64, 32}, {160, 96, 32}}},
    {3200, 3200, {{320, 128, 64}, {320, 96, 32}}},
    {8640, 3200, {{320, 64, 32}, {320, 96, 32}}},
    {14336, 4096, {{256, 128, 32}, {256, 96, 32}}},
    {4096, 14336, {{128, 64, 64}, {128, 96, 32}}},
    {1024, 4096, {{256, 128, 32}, {256, 96, 32}}},
    {4096, 4096, {{128, 64, 64}, {128, 96, 32}}},
};

static const struct tri_tl *find(const struct tri_tensor *t, int kind)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].m == tri_tensor_rows(t) && known[i].k == t->ne[0])
            return &known[i].config[kind];
    return NULL;
}

const struct tri_tl *tri_tl1_find(const struct tri_tensor *t)
{
    return find(t, TL1);
}

const struct tri_tl *tri_tl2_find(const struct tri_tensor *t)
{
    return find(t, TL2);
}

static enum tri_status fits(const struct tri_tensor *t, int kind, struct tri_error *e)
{
    if (find(t, kind))
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED,
                    "tensor \"%s\" at byte %llu is %s of %lld x %lld (rows x columns): the file does not say how its "
                    "kernel blocks it, and that is known only of the matrices of bitnet_b1_58-large, bitnet_b1_58-3B "
                    "and Llama3-8B-1.58; convert the original model to I2_S",
                    t->name, (unsigned long long)t->offset, t->encoding->name, (long long)tri_tensor_rows(t),
                    (long long)t->ne[0]);
}

enum tri_status tri_tl1_fits(const struct tri_tensor *t, struct tri_error *e)
{
    return fits(t, TL1, e);
}

enum tri_status tri_tl2_fits(const struct tri_tensor *t, struct tri_error *e)
{
    return fits(t, TL2, e);
}

/* -- pairs and triples ---------------------------------------------------- */

/* By code 3a + b + 4; 9 and above stand for none. */
static const int8_t pairs[16][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}, {0, 0}, {0, 1}, {1, -1}, {1, 0},
                                    {1, 1},   {2, 2},  {2, 2},  {2, 2},  {2, 2}, {2, 2}, {2, 2},  {2, 2}};

static inline void put_pairs(uint8_t b, int8_t *out)
{
    out[0] = pairs[b >> 4][0];
    out[1] = pairs[b >> 4][1];
    out[2] = pairs[b & 15][0];
    out[3] = pairs[b & 15][1];
}

/* By magnitude |9a + 3b + c|; 14 and 15 stand for none. */
static const int8_t triples[16][3] = {{0, 0, 0},  {0, 0, 1},  {0, 1, -1}, {0, 1, 0},  {0, 1, 1}, {1, -1, -1},
                                      {1, -1, 0}, {1, -1, 1}, {1, 0, -1}, {1, 0, 0},  {1, 0, 1}, {1, 1, -1},
                                      {1, 1, 0},  {1, 1, 1},  {2, 2, 2},  {2, 2, 2}};

static inline void put_triple(int magnitude, bool negative, int8_t *out)
{
    const bool flip = negative && magnitude < 14;
    for (int i = 0; i < 3; i++)
        out[i] = (int8_t)(flip ? -triples[magnitude][i] : triples[magnitude][i]);
}

/* -- TL1 ------------------------------------------------------------------ */

/* Of the byte that holds columns 4 (i / 4) to 4 (i / 4) + 3. */
static uint64_t tl1_byte(const struct tri_tl *c, const struct tri_tensor *t, uint64_t row, uint64_t i)
{
    const uint64_t bm = (uint64_t)c->rows, bk = (uint64_t)c->columns, once = (uint64_t)c->at_once, by = 256 / once;
    uint64_t at = row / bm * ((uint64_t)t->ne[0] / bk) + i / bk;
    at = at * (bm / once) + row % bm / once;
    at = at * (bk / by) + i % bk / by;
    at = at * (once / 16) + row % once / 16;
    at = at * (by / 4) + i % by / 4;
    return at * 16 + row % 16;
}

/* Within a block of columns, 64 bytes hold what all its rows have of 256 / bm columns. */
void tri_tl1_row(const struct tri_tl *c, const struct tri_tensor *t, int64_t row, int8_t *out)
{
    const int64_t by = 256 / c->at_once;
    for (int64_t i = 0; i < t->ne[0]; i += c->columns) {
        const uint8_t *in = t->data + tl1_byte(c, t, (uint64_t)row, (uint64_t)i);
        for (int64_t j = 0; j < c->columns; j += by, in += 64)
            for (int64_t h = 0; h < by; h += 4)
                put_pairs(in[4 * h], out + i + j + h);
    }
}

void tri_tl1_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    tri_tl1_row(tri_tl1_find(t), t, row, out);
}

uint64_t tri_tl1_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return tl1_byte(tri_tl1_find(t), t, (uint64_t)row, (uint64_t)i);
}

/* -- TL2: magnitudes of triples, their signs, pairs ------------------------ */

/* Where in 32 rows' bytes a row's lies: the middle two groups of eight are swapped. */
static uint64_t swapped(uint64_t row)
{
    static const uint8_t eighth[4] = {0, 16, 8, 24};
    return eighth[row % 32 / 8] + row % 8;
}

/* The block of 32 rows and `of` columns that holds an element, blocks counted as stored; so many fit in a row. */
static uint64_t block_of(const struct tri_tl *c, uint64_t row, uint64_t column, uint64_t across, uint64_t of)
{
    const uint64_t bm = (uint64_t)c->rows;
    return (row / bm * across + column / of) * (bm / 32) + row % bm / 32;
}

/* Columns in triples; the rest are in pairs. */
static uint64_t tripled(const struct tri_tl *c, const struct tri_tensor *t)
{
    return (uint64_t)(t->ne[0] - t->ne[0] % c->columns);
}

static uint64_t magnitude_byte(const struct tri_tl *c, const struct tri_tensor *t, uint64_t row, uint64_t i)
{
    const uint64_t bk = (uint64_t)c->columns, block = block_of(c, row, i, tripled(c, t) / bk, bk);
    return (block * (bk / 6) + i % bk / 6) * 32 + swapped(row);
}

/* Of the u16 that holds the signs of 24 columns. */
static uint64_t signs_byte(const struct tri_tl *c, const struct tri_tensor *t, uint64_t row, uint64_t i)
{
    const uint64_t bk = (uint64_t)c->columns, before = tripled(c, t), block = block_of(c, row, i, before / bk, bk);
    return (uint64_t)tri_tensor_rows(t) * before / 6 + 2 * ((block * (bk / 24) + i % bk / 24) * 16 + row % 16);
}

static uint64_t pairs_byte(const struct tri_tl *c, const struct tri_tensor *t, uint64_t row, uint64_t i)
{
    const uint64_t before = tripled(c, t), k = (uint64_t)t->ne[0], column = i - before;
    const uint64_t block = block_of(c, row, column, (k - before) / 32, 32);
    return (uint64_t)tri_tensor_rows(t) * before / 24 * 5 + (block * 8 + column % 32 / 4) * 32 + swapped(row);
}

/* Eight triples: two in each of four bytes that are 32 apart, and their signs from the high bits on, each beside that
 * of another row. */
static void put_24(const uint8_t *magnitudes, const uint8_t *signs, uint64_t row, int8_t *out)
{
    const int word = (signs[0] | signs[1] << 8) << row % 32 / 16;
    for (int q = 0; q < 8; q++) {
        const int b = magnitudes[q / 2 * 32];
        put_triple(q % 2 ? b & 15 : b >> 4, word >> (15 - 2 * q) & 1, out + 3 * q);
    }
}

void tri_tl2_row(const struct tri_tl *c, const struct tri_tensor *t, int64_t row, int8_t *out)
{
    const uint64_t r = (uint64_t)row, bk = (uint64_t)c->columns, before = tripled(c, t), k = (uint64_t)t->ne[0];
    for (uint64_t i = 0; i < before; i += bk) {
        const uint8_t *magnitudes = t->data + magnitude_byte(c, t, r, i), *signs = t->data + signs_byte(c, t, r, i);
        for (uint64_t j = 0; j < bk; j += 24, magnitudes += 4 * 32, signs += 32)
            put_24(magnitudes, signs, r, out + i + j);
    }
    for (uint64_t i = before; i < k; i += 32) {
        const uint8_t *in = t->data + pairs_byte(c, t, r, i);
        for (uint64_t j = 0; j < 32; j += 4)
            put_pairs(in[8 * j], out + i + j);
    }
}

void tri_tl2_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    tri_tl2_row(tri_tl2_find(t), t, row, out);
}

uint64_t tri_tl2_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    const struct tri_tl *c = tri_tl2_find(t);
    return ((uint64_t)i < tripled(c, t) ? magnitude_byte : pairs_byte)(c, t, (uint64_t)row, (uint64_t)i);
}

/* As written: room for 256 columns in pairs and all others in triples, whatever the configuration makes of them;
 * the order of the divisions counts. */
uint64_t tri_tl2_bytes(uint64_t k, uint64_t rows)
{
    if (k < 256)
        return 0;
    const uint64_t data = (k - 256) * rows / 3 * 5 / 8 + 256 * rows / 2 * 4 / 8;
    return (data + 31) / 32 * 32 + 32;
}
