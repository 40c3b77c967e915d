/* Owns: rows of I2_S in the layouts that programs have given it; formats.md 2.4 in the project's documentation.
 * Leaves out which layout a file has: nothing in it says so. */
#include "file/encodings.h"

#include <string.h>

enum { GROUP = 128, PLANE = 32 };

/* -- groups of 128 in 32 bytes ------------------------------------------- */

/* Byte p of a plane holds elements p, p + planes, p + 2 planes, p + 3 planes, the first in the high bits. */
static inline void planes(const uint8_t *restrict in, int8_t *restrict out, int plane)
{
    for (int p = 0; p < plane; p++) {
        uint8_t b = in[p];
        out[p] = (int8_t)((b >> 6) - 1);
        out[p + plane] = (int8_t)((b >> 4 & 3) - 1);
        out[p + 2 * plane] = (int8_t)((b >> 2 & 3) - 1);
        out[p + 3 * plane] = (int8_t)((b & 3) - 1);
    }
}

static void group_128(const uint8_t *restrict in, int8_t *restrict out)
{
    planes(in, out, PLANE);
}

static void group_64(const uint8_t *restrict in, int8_t *restrict out)
{
    planes(in, out, PLANE / 2);
    planes(in + PLANE / 2, out + GROUP / 2, PLANE / 2);
}

static inline void in_sequence(const uint8_t *restrict in, int8_t *restrict out, int bytes)
{
    for (int p = 0; p < bytes; p++)
        for (int n = 0; n < 4; n++)
            out[4 * p + n] = (int8_t)((in[p] >> (6 - 2 * n) & 3) - 1);
}

static void group_sequence(const uint8_t *restrict in, int8_t *restrict out)
{
    in_sequence(in, out, PLANE);
}

/* -- a flat run of groups: a row may begin anywhere ---------------------- */

typedef void group_fn(const uint8_t *restrict in, int8_t *restrict out);

static inline void flat(const struct tri_tensor *t, int64_t row, int8_t *restrict out, group_fn *group)
{
    const uint64_t k = (uint64_t)t->ne[0], end = (uint64_t)(row + 1) * k;
    for (uint64_t at = end - k; at < end;) {
        const uint8_t *in = t->data + at / GROUP * PLANE;
        const uint64_t skip = at % GROUP, take = GROUP - skip < end - at ? GROUP - skip : end - at;
        if (take == GROUP) {
            group(in, out);
        } else {
            int8_t whole[GROUP];
            group(in, whole);
            memcpy(out, whole + skip, take);
        }
        out += take;
        at += take;
    }
}

void tri_i2s_128(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    flat(t, row, out, group_128);
}

void tri_i2s_64(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    flat(t, row, out, group_64);
}

void tri_i2s_sequence(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    flat(t, row, out, group_sequence);
}

static uint64_t flat_index(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return (uint64_t)row * (uint64_t)t->ne[0] + (uint64_t)i;
}

uint64_t tri_i2s_128_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    const uint64_t at = flat_index(t, row, i);
    return at / 128 * 32 + at % 32;
}

uint64_t tri_i2s_64_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    const uint64_t at = flat_index(t, row, i);
    return at / 64 * 16 + at % 16;
}

uint64_t tri_i2s_sequence_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return flat_index(t, row, i) / 4;
}

/* -- four rows interleaved ----------------------------------------------- */

void tri_i2s_rows4(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)(row / 4) * (uint64_t)t->ne[0];
    const int shift = 6 - 2 * (int)(row % 4);
    for (int64_t i = 0; i < t->ne[0]; i++)
        out[i] = (int8_t)((in[i] >> shift & 3) - 1);
}

uint64_t tri_i2s_rows4_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return flat_index(t, row / 4, i);
}

enum tri_status tri_i2s_rows4_fits(const struct tri_tensor *t, struct tri_error *e)
{
    return tri_rows_in(t, 4, e);
}

/* -- groups by rows, the rest of a row in sequence ----------------------- */

void tri_i2s_row_tail(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const int64_t k = t->ne[0], whole = k / GROUP;
    const uint8_t *in = t->data + row * (k / 4);
    for (int64_t g = 0; g < whole; g++)
        group_128(in + g * PLANE, out + g * GROUP);
    in_sequence(in + whole * PLANE, out + whole * GROUP, (int)(k % GROUP / 4));
}

uint64_t tri_i2s_row_tail_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    const uint64_t begin = (uint64_t)row * (uint64_t)(t->ne[0] / 4), at = (uint64_t)i;
    const bool tail = i >= t->ne[0] / GROUP * GROUP;
    return begin + (tail ? at / 4 : at / GROUP * PLANE + at % PLANE);
}

enum tri_status tri_i2s_row_tail_fits(const struct tri_tensor *t, struct tri_error *e)
{
    if (t->ne[0] % 4 == 0)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED,
                    "tensor \"%s\": the row-tail layout of I2_S has rows of whole bytes; expected a multiple of 4 "
                    "columns, found %lld",
                    t->name, (long long)t->ne[0]);
}
