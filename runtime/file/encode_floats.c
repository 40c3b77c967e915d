/* Owns: the encoding of float rows for files: F32, F16, Q8_0, Q4_0 as their definitions have them (formats.md 2.1 to
 * 2.3 in the project's documentation), and Q6_K, where the choice of scales is free. */
#include "file/encode.h"

#include <math.h>
#include <string.h>

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, Q6_K = 14 };

static void put_half(float f, uint8_t *out)
{
    const uint16_t h = tri_f32_to_f16(f);
    memcpy(out, &h, sizeof h);
}

static void f32_blocks(const float *in, int64_t n, uint8_t *out)
{
    memcpy(out, in, (size_t)n * sizeof *in);
}

static void f16_blocks(const float *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++)
        put_half(in[i], out + 2 * i);
}

/* The element of greatest magnitude, with its sign; the first of several. */
static float greatest(const float *in, int n)
{
    float most = 0, value = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(in[i]) > most) {
            most = fabsf(in[i]);
            value = in[i];
        }
    return value;
}

/* -- blocks of 32 ------------------------------------------------------------------------------------------ */

static void q8_0_block(const float *in, uint8_t *out)
{
    const float d = fabsf(greatest(in, 32)) / 127.0f, inverse = d > 0 ? 1.0f / d : 0;
    put_half(d, out);
    for (int i = 0; i < 32; i++)
        out[2 + i] = (uint8_t)(int8_t)roundf(in[i] * inverse);
}

static int q4_0_nibble(float x)
{
    const int q = (int)(x + 8.5f);
    return q < 15 ? q : 15;
}

static void q4_0_block(const float *in, uint8_t *out)
{
    const float d = greatest(in, 32) / -8.0f, inverse = d != 0 ? 1.0f / d : 0;
    put_half(d, out);
    for (int i = 0; i < 16; i++)
        out[2 + i] = (uint8_t)(q4_0_nibble(in[i] * inverse) | q4_0_nibble(in[i + 16] * inverse) << 4);
}

/* -- Q6_K: 16 sub-blocks of 16, each with a scale of 8 bits ------------------------------------------------ */

enum { SUBS = 16, SUB = 16 };

static int bounded(float x, int least, int most)
{
    const int q = (int)rintf(x);
    return q < least ? least : q > most ? most : q;
}

/* Weighted by x squared, as large values matter most: the best d for codes q = x / d, and by how much it beats 0. */
static float fit(const float *x, float inverse, float *gain)
{
    float xq = 0, qq = 0;
    for (int i = 0; i < SUB; i++) {
        const float q = (float)bounded(x[i] * inverse, -32, 31), w = x[i] * x[i];
        xq += w * x[i] * q;
        qq += w * q * q;
    }
    *gain = qq > 0 ? xq * xq / qq : 0;
    return qq > 0 ? xq / qq : 0;
}

/* Of the scales about that which takes the greatest element to -32, the one that loses least. */
static float sub_scale(const float *x)
{
    const float most = greatest(x, SUB);
    float best = 0, best_gain = 0;
    if (fabsf(most) < 1e-15f)
        return 0;
    for (int step = -9; step <= 9; step++) {
        float gain;
        const float d = fit(x, -(32.0f + 0.1f * (float)step) / most, &gain);
        if (gain > best_gain) {
            best_gain = gain;
            best = d;
        }
    }
    return best;
}

/* Code i of the block goes where file/tensor.c looks for it. */
static void put_six_bits(uint8_t *out, int i, int code)
{
    const int h = i / 128, quarter = i % 128 / 32;
    out[64 * h + i % 64] |= (uint8_t)((code & 15) << quarter / 2 * 4);
    out[128 + 32 * h + i % 32] |= (uint8_t)(code >> 4 << 2 * quarter);
}

static void q6_k_block(const float *in, uint8_t *out)
{
    float scale[SUBS];
    memset(out, 0, 210);
    for (int s = 0; s < SUBS; s++)
        scale[s] = sub_scale(in + SUB * s);
    const float most = greatest(scale, SUBS);
    if (most == 0) {
        for (int i = 0; i < 256; i++)
            put_six_bits(out, i, 32);
        return;
    }
    put_half(most / -128.0f, out + 208);
    uint16_t half;
    memcpy(&half, out + 208, sizeof half);
    const float d = tri_f16_to_f32(half);
    for (int s = 0; s < SUBS; s++) {
        const int q = bounded(d != 0 ? scale[s] / d : 0, -128, 127);
        const float sub = d * (float)q;
        out[192 + s] = (uint8_t)(int8_t)q;
        for (int i = SUB * s; i < SUB * (s + 1); i++)
            put_six_bits(out, i, 32 + (sub != 0 ? bounded(in[i] / sub, -32, 31) : 0));
    }
}

/* -- the table --------------------------------------------------------------------------------------------- */

#define BLOCKS(name, block, bytes)                                                                                 \
    static void name##_blocks(const float *in, int64_t n, uint8_t *out)                                            \
    {                                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                                            \
            name##_block(in + i * (block), out + i * (bytes));                                                     \
    }

BLOCKS(q4_0, 32, 18)
BLOCKS(q8_0, 32, 34)
BLOCKS(q6_k, 256, 210)

static const struct tri_float_encoder encoders[] = {
    {F32, 1, 4, f32_blocks},     {F16, 1, 2, f16_blocks},      {Q4_0, 32, 18, q4_0_blocks},
    {Q8_0, 32, 34, q8_0_blocks}, {Q6_K, 256, 210, q6_k_blocks},
};

const struct tri_float_encoder *tri_float_encoder_find(const struct tri_encoding *encoding)
{
    for (size_t i = 0; i < sizeof encoders / sizeof encoders[0]; i++)
        if (encoders[i].id == encoding->id)
            return &encoders[i];
    return NULL;
}
