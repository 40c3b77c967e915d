/* Owns: trits to bytes, one function for each encoding. Scales are taken to fit the encoding. */
#include "encode.h"

#include "file/tensor.h"

#include <stdlib.h>
#include <string.h>

static size_t elements(const struct reference_matrix *m)
{
    return (size_t)m->rows * (size_t)m->columns;
}

static unsigned code(const struct reference_matrix *m, size_t i)
{
    return (unsigned)(m->trits[i] + 1);
}

static float scale_at(const struct reference_matrix *m, size_t i)
{
    return m->scales[i / (size_t)m->group];
}

static void put_half(float value, uint8_t *out)
{
    const uint16_t half = tri_f32_to_f16(value);
    memcpy(out, &half, sizeof half);
}

/* -- floats: scale * trit ------------------------------------------------ */

static void put_f32(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i++) {
        const float value = scale_at(m, i) * (float)m->trits[i];
        memcpy(out + 4 * i, &value, sizeof value);
    }
}

static void put_f16(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i++)
        put_half(scale_at(m, i) * (float)m->trits[i], out + 2 * i);
}

static void put_bf16(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i++) {
        const uint16_t half = tri_f32_to_bf16(scale_at(m, i) * (float)m->trits[i]);
        memcpy(out + 2 * i, &half, sizeof half);
    }
}

/* -- two bits each ------------------------------------------------------- */

/* 2.4: groups of 128 in 32 bytes, the first plane in the high bits; one scale behind all. */
static void put_i2_s(const struct reference_matrix *m, uint8_t *out)
{
    const size_t n = elements(m);
    for (size_t i = 0; i < n; i++)
        out[i / 128 * 32 + i % 32] |= (uint8_t)(code(m, i) << (6 - 2 * (i % 128 / 32)));
    memcpy(out + n / 4, m->scales, sizeof m->scales[0]);
}

/* 2.8: halves of 128 in 32 bytes, the first plane in the low bits; the scale behind. */
static void put_tq2_0(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i++) {
        uint8_t *block = out + i / 256 * 66;
        block[i % 256 / 128 * 32 + i % 32] |= (uint8_t)(code(m, i) << (2 * (i % 128 / 32)));
        put_half(scale_at(m, i), block + 64);
    }
}

/* 2.9: 64 in 16 bytes behind the scale, four neighbours in a byte. */
static void put_q2_0(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i++) {
        uint8_t *block = out + i / 64 * 18;
        put_half(scale_at(m, i), block);
        block[2 + i % 64 / 4] |= (uint8_t)(code(m, i) << (2 * (i % 4)));
    }
}

/* 2.10: the row's scale, then 64 in 16 bytes. */
static void put_iq2_bn(const struct reference_matrix *m, uint8_t *out)
{
    const size_t columns = (size_t)m->columns;
    for (size_t i = 0; i < elements(m); i++) {
        uint8_t *row = out + i / columns * (4 + columns / 4);
        const size_t at = i % columns;
        const float scale = scale_at(m, i);
        memcpy(row, &scale, sizeof scale);
        row[4 + at / 64 * 16 + at % 16] |= (uint8_t)(code(m, i) << (2 * (at % 64 / 16)));
    }
}

/* 2.10: the same of four rows together. */
static void put_iq2_bn_r4(const struct reference_matrix *m, uint8_t *out)
{
    const size_t columns = (size_t)m->columns;
    for (size_t i = 0; i < elements(m); i++) {
        const size_t row = i / columns, at = i % columns, in = at % 64, k = row % 4;
        uint8_t *four = out + row / 4 * (16 + columns);
        const float scale = scale_at(m, i);
        memcpy(four + 4 * k, &scale, sizeof scale);
        four[16 + at / 64 * 64 + 4 * k + in % 4 + 16 * (in / 16)] |= (uint8_t)(code(m, i) << (2 * (in % 16 / 4)));
    }
}

/* -- five in a byte ------------------------------------------------------ */

/* `count` digits, `apart` from each other, as a number in base 3: the first is the most significant of five. */
static uint8_t most_first(const struct reference_matrix *m, size_t first, int count, size_t apart)
{
    unsigned q = 0;
    for (int n = 0; n < 5; n++)
        q = 3 * q + (n < count ? code(m, first + (size_t)n * apart) : 0);
    return (uint8_t)((q * 256 + 242) / 243);
}

/* The same with the first as the least significant. */
static uint8_t least_first(const struct reference_matrix *m, size_t first, int count, size_t apart)
{
    unsigned q = 0;
    for (int n = count - 1; n >= 0; n--)
        q = 3 * q + code(m, first + (size_t)n * apart);
    return (uint8_t)((q * 256 + 242) / 243);
}

/* 2.8 */
static void put_tq1_0(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i += 256, out += 54) {
        for (size_t j = 0; j < 32; j++)
            out[j] = most_first(m, i + j, 5, 32);
        for (size_t j = 0; j < 16; j++)
            out[32 + j] = most_first(m, i + 160 + j, 5, 16);
        for (size_t j = 0; j < 4; j++)
            out[48 + j] = most_first(m, i + 240 + j, 4, 4);
        put_half(scale_at(m, i), out + 52);
    }
}

/* 2.10: the row's scale, then 64 in 13 bytes. */
static void put_iq1_bn(const struct reference_matrix *m, uint8_t *out)
{
    for (size_t i = 0; i < elements(m); i += 64, out += 13) {
        if (i % (size_t)m->columns == 0) {
            put_half(scale_at(m, i), out);
            out += 2;
        }
        for (size_t j = 0; j < 12; j++)
            out[j] = least_first(m, i + 16 * (j / 3) + 5 * (j % 3), 5, 1);
        out[12] = least_first(m, i + 15, 4, 16);
    }
}

/* -- the table ----------------------------------------------------------- */

const struct made_encoding made_encodings[MADE_ENCODINGS] = {
    {0, "F32", 1, 4, 0, 0, put_f32},           {1, "F16", 1, 2, 0, 0, put_f16},
    {30, "BF16", 1, 2, 0, 0, put_bf16},        {36, "I2_S", 128, 32, 0, 32, put_i2_s},
    {34, "TQ1_0", 256, 54, 0, 0, put_tq1_0},   {35, "TQ2_0", 256, 66, 0, 0, put_tq2_0},
    {42, "Q2_0", 64, 18, 0, 0, put_q2_0},      {134, "IQ1_BN", 64, 13, 2, 0, put_iq1_bn},
    {135, "IQ2_BN", 64, 16, 4, 0, put_iq2_bn}, {335, "IQ2_BN_R4", 64, 16, 4, 0, put_iq2_bn_r4},
};

const struct made_encoding *made_encoding_find(uint32_t type)
{
    for (int i = 0; i < MADE_ENCODINGS; i++)
        if (made_encodings[i].type == type)
            return &made_encodings[i];
    abort();
}

size_t made_bytes(const struct made_encoding *c, const struct reference_matrix *m)
{
    const size_t n = elements(m);
    if (n % (size_t)c->block)
        abort();
    return n / (size_t)c->block * (size_t)c->block_bytes + (size_t)m->rows * (size_t)c->row_bytes + (size_t)c->tail;
}
