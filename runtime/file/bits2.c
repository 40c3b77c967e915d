/* Owns: rows of the encodings with two bits a trit, but for I2_S (i2s.c): formats.md 2.8 to 2.10 and 3.2 in the
 * project's documentation. */
#include "file/encodings.h"

#include <string.h>

/* Of four codes, each in the low bits of a byte: trits, without a carry from byte to byte. */
static inline uint32_t trits_of(uint32_t codes)
{
    return ((codes & 0x03030303) + 0x7f7f7f7f) ^ 0x80808080;
}

/* Byte p of the plane holds elements p, p + plane, p + 2 planes, p + 3 planes, the first in the low bits. */
static inline void planes(const uint8_t *restrict in, int8_t *restrict out, int plane)
{
    for (int p = 0; p < plane; p += 4) {
        uint32_t four;
        memcpy(&four, in + p, sizeof four);
        for (int n = 0; n < 4; n++)
            memcpy(out + n * plane + p, &(uint32_t){trits_of(four >> 2 * n)}, sizeof four);
    }
}

/* -- TQ2_0: two halves of 128 elements, then an f16 ----------------------- */

void tri_tq2_0_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)row * tri_row_bytes(t);
    for (int64_t b = 0; b < t->ne[0] / 256; b++) {
        planes(in + 66 * b, out + 256 * b, 32);
        planes(in + 66 * b + 32, out + 256 * b + 128, 32);
    }
}

uint64_t tri_tq2_0_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return (uint64_t)row * tri_row_bytes(t) + (uint64_t)(i / 256 * 66 + i % 256 / 128 * 32 + i % 32);
}

/* -- Q2_0: an f16, then elements in sequence ------------------------------- */

void tri_q2_0_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)row * tri_row_bytes(t);
    for (int64_t b = 0; b < t->ne[0] / 64; b++)
        for (int p = 0; p < 16; p++) {
            const uint32_t x = in[18 * b + 2 + p];
            memcpy(out + 64 * b + 4 * p, &(uint32_t){trits_of(x | x << 6 | x << 12 | x << 18)}, 4);
        }
}

uint64_t tri_q2_0_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return (uint64_t)row * tri_row_bytes(t) + (uint64_t)(i / 64 * 18 + 2 + i % 64 / 4);
}

/* -- IQ2_BN: an f32 before each row, blocks of 64 in 16 bytes ------------- */

void tri_iq2_bn_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)row * tri_row_bytes(t) + 4;
    for (int64_t b = 0; b < t->ne[0] / 64; b++)
        planes(in + 16 * b, out + 64 * b, 16);
}

uint64_t tri_iq2_bn_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return (uint64_t)row * tri_row_bytes(t) + (uint64_t)(4 + i / 64 * 16 + i % 16);
}

/* -- IQ2_BN_R4: four rows together, blocks of 64 in 64 bytes of all four --- */

/* Byte 16 l + 4 (row % 4) + p of a block holds elements 16 l + p, + 4, + 8, + 12. */
void tri_iq2_bn_r4_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)(row / 4 * 4) * tri_row_bytes(t) + 16 + 4 * (row % 4);
    for (int64_t l = 0; l < t->ne[0] / 16; l++)
        planes(in + 16 * l, out + 16 * l, 4);
}

uint64_t tri_iq2_bn_r4_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return (uint64_t)(row / 4 * 4) * tri_row_bytes(t) + (uint64_t)(16 + 4 * (row % 4) + i / 16 * 16 + i % 4);
}

enum tri_status tri_iq2_bn_r4_fits(const struct tri_tensor *t, struct tri_error *e)
{
    return tri_rows_in(t, 4, e);
}

/* -- packed U8 of Hugging Face: a byte holds one column of four rows, a quarter of the matrix apart --------- */

void tri_hf_packed_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + tri_hf_packed_byte(t, row, 0);
    const int shift = 2 * (int)(row / (tri_tensor_rows(t) / 4));
    for (int64_t i = 0; i < t->ne[0]; i++)
        out[i] = (int8_t)((in[i] >> shift & 3) - 1);
}

uint64_t tri_hf_packed_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    return (uint64_t)(row % (tri_tensor_rows(t) / 4)) * (uint64_t)t->ne[0] + (uint64_t)i;
}
