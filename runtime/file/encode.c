/* Owns: the encoding of trits for files. Leaves out floats (encode_floats.c) and decoding (tensor.c). */
#include "file/encode.h"

#include <string.h>

enum { F16 = 1, TQ1_0 = 34, TQ2_0 = 35, I2_S = 36, Q2_0 = 42 };

/* -- I2_S: four planes of two bits, codes are trits + 1; formats.md 2.4 in the project's documentation --- */

enum { GROUP = 128, PLANE = 32 };

static void i2s_group(const int8_t *restrict in, uint8_t *restrict out)
{
    for (int p = 0; p < PLANE; p++)
        out[p] = (uint8_t)((in[p] + 1) << 6 | (in[p + PLANE] + 1) << 4 | (in[p + 2 * PLANE] + 1) << 2 |
                           (in[p + 3 * PLANE] + 1));
}

static void i2s_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    (void)scale;
    for (int64_t i = 0; i < n; i++)
        i2s_group(trits + i * GROUP, out + i * PLANE);
}

/* -- TQ2_0 and TQ1_0: blocks of 256 with an F16 scale behind each, 0 where all is zero; formats.md 2.8 ---- */

enum { BLOCK = 256, TQ1_BYTES = 54, TQ2_BYTES = 66 };

static void put_scale(const int8_t *trits, float scale, uint8_t *out)
{
    int8_t any = 0;
    for (int i = 0; i < BLOCK; i++)
        any |= trits[i];
    const uint16_t d = any ? tri_f32_to_f16(scale) : 0;
    memcpy(out, &d, sizeof d);
}

static void tq2_block(const int8_t *restrict in, uint8_t *restrict out)
{
    for (int half = 0; half < 2; half++)
        for (int m = 0; m < 32; m++) {
            const int8_t *at = in + 128 * half + m;
            out[32 * half + m] =
                (uint8_t)((at[0] + 1) | (at[32] + 1) << 2 | (at[64] + 1) << 4 | (at[96] + 1) << 6);
        }
}

static void tq2_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        tq2_block(trits + i * BLOCK, out + i * TQ2_BYTES);
        put_scale(trits + i * BLOCK, scale, out + i * TQ2_BYTES + 64);
    }
}

/* Up to five trits, `step` apart, as digits of base 3, the first the most significant: a fraction of 243 in 256. */
static uint8_t fraction(const int8_t *in, int step, int digits)
{
    int q = 0;
    for (int i = 0; i < 5; i++)
        q = 3 * q + (i < digits ? in[i * step] + 1 : 0);
    return (uint8_t)((q * 256 + 242) / 243);
}

static void tq1_block(const int8_t *in, uint8_t *out)
{
    for (int m = 0; m < 32; m++)
        out[m] = fraction(in + m, 32, 5);
    for (int m = 0; m < 16; m++)
        out[32 + m] = fraction(in + 160 + m, 16, 5);
    for (int m = 0; m < 4; m++)
        out[48 + m] = fraction(in + 240 + m, 4, 4);
}

static void tq1_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        tq1_block(trits + i * BLOCK, out + i * TQ1_BYTES);
        put_scale(trits + i * BLOCK, scale, out + i * TQ1_BYTES + 52);
    }
}

/* -- Q2_0: blocks of 64 behind an F16 scale, four neighbours in a byte; formats.md 2.9 --------------------- */

enum { Q2_BLOCK = 64, Q2_BYTES = 18 };

static void q2_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    const uint16_t d = tri_f32_to_f16(scale);
    for (int64_t i = 0; i < n; i++, trits += Q2_BLOCK, out += Q2_BYTES) {
        memcpy(out, &d, sizeof d);
        for (int j = 0; j < Q2_BLOCK / 4; j++)
            out[2 + j] = (uint8_t)((trits[4 * j] + 1) | (trits[4 * j + 1] + 1) << 2 | (trits[4 * j + 2] + 1) << 4 |
                                   (trits[4 * j + 3] + 1) << 6);
    }
}

/* -- F16: what programs that know no trits take, to encode it themselves ----------------------------------- */

static void f16_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    const uint16_t codes[3] = {tri_f32_to_f16(-scale), 0, tri_f32_to_f16(scale)};
    for (int64_t i = 0; i < n; i++)
        memcpy(out + 2 * i, &codes[trits[i] + 1], sizeof codes[0]);
}

/* -- the table ------------------------------------------------------------------------------------------- */

static const struct tri_encoder encoders[] = {
    {I2_S, 40, GROUP, PLANE, 32, false, false, i2s_groups},
    {TQ1_0, 36, BLOCK, TQ1_BYTES, 0, true, true, tq1_groups},
    {TQ2_0, 37, BLOCK, TQ2_BYTES, 0, true, true, tq2_groups},
    {Q2_0, 1024 /* no number of its own is known: "guessed" */, Q2_BLOCK, Q2_BYTES, 0, true, true, q2_groups},
    {F16, 1, 1, 2, 0, true, true, f16_groups},
};

const struct tri_encoder *tri_encoder_find(const struct tri_encoding *encoding)
{
    for (size_t i = 0; i < sizeof encoders / sizeof encoders[0]; i++)
        if (encoders[i].id == encoding->id)
            return &encoders[i];
    return NULL;
}

void tri_encoder_tail(const struct tri_encoder *c, float scale, uint8_t *out)
{
    memset(out, 0, (size_t)c->tail);
    if (c->tail)
        memcpy(out, &scale, sizeof scale);
}

float tri_encoder_scale(const struct tri_encoder *c, float scale)
{
    return c->grouped ? tri_f16_to_f32(tri_f32_to_f16(scale)) : scale;
}
