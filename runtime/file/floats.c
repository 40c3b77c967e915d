/* Owns: 16-bit floats, and rows of every encoding that holds floats or is multiplied in place.
 * Leaves out sizes and the table (tensor.c). */
#include "file/encodings.h"

#include <string.h>

/* -- 16-bit floats ------------------------------------------------------- */

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* 2^112 times what the bits are as an f32: exact, subnormals included, and without a branch. */
static float widen(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, special = (h & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;
    return from_bits(to_bits(from_bits(magnitude) * 0x1p112f) | special | (uint32_t)(h & 0x8000) << 16);
}

float tri_f16_to_f32(uint16_t h)
{
    return widen(h);
}

uint16_t tri_f32_to_f16(float f)
{
    uint32_t bits = to_bits(f), magnitude = bits & 0x7fffffff;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000)
        return sign | 0x7e00 | (uint16_t)(magnitude >> 13 & 1023);
    if (magnitude >= 0x477ff000) /* 65520, halfway between the largest half and 2^16 */
        return sign | 0x7c00;
    if (magnitude < 0x38800000) { /* below 2^-14: adding 0.5 rounds to a multiple of 2^-24 */
        float sum = from_bits(magnitude) + 0.5f;
        return sign | (uint16_t)(to_bits(sum) - to_bits(0.5f));
    }
    uint32_t even = magnitude >> 13 & 1;
    return sign | (uint16_t)((magnitude - (112u << 23) + 0xfff + even) >> 13);
}

float tri_bf16_to_f32(uint16_t h)
{
    return from_bits((uint32_t)h << 16);
}

uint16_t tri_f32_to_bf16(float f)
{
    uint32_t bits = to_bits(f);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* -- float rows ---------------------------------------------------------- */

void tri_f32_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    size_t bytes = (size_t)t->ne[0] * sizeof *out;
    memcpy(out, t->data + (size_t)row * bytes, bytes);
}

static uint16_t half_at(const uint8_t *row, int64_t i)
{
    uint16_t h;
    memcpy(&h, row + 2 * i, sizeof h);
    return h;
}

void tri_f16_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    const uint8_t *in = t->data + 2 * (uint64_t)row * (uint64_t)t->ne[0];
    for (int64_t i = 0; i < t->ne[0]; i++)
        out[i] = widen(half_at(in, i));
}

void tri_bf16_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    const uint8_t *in = t->data + 2 * (uint64_t)row * (uint64_t)t->ne[0];
    for (int64_t i = 0; i < t->ne[0]; i++)
        out[i] = from_bits((uint32_t)half_at(in, i) << 16);
}

/* -- rows of blocks: what vec.c.lt multiplies, decoded by the definition --------- */

/* Blocks of `size` elements in `bytes` bytes, from the row's first on. */
static void blocks(const struct tri_tensor *t, int64_t row, void (*decode)(const uint8_t *, float *), float *out)
{
    const int64_t size = t->encoding->block, count = t->ne[0] / size, bytes = t->encoding->block_bytes;
    const uint8_t *in = t->data + (uint64_t)row * (uint64_t)count * (uint64_t)bytes;
    for (int64_t i = 0; i < count; i++)
        decode(in + i * bytes, out + i * size);
}

static void q8_0_block(const uint8_t *in, float *out)
{
    const float d = tri_f16_to_f32(half_at(in, 0));
    for (int i = 0; i < 32; i++)
        out[i] = d * (float)(int8_t)in[2 + i];
}

static void q4_0_block(const uint8_t *in, float *out)
{
    const float d = tri_f16_to_f32(half_at(in, 0));
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)((in[2 + i] & 15) - 8);
        out[i + 16] = d * (float)((in[2 + i] >> 4) - 8);
    }
}

/* Scale and minimum of sub-block j, six bits each in twelve bytes. */
static void q4_k_scale(const uint8_t *s, int j, int *scale, int *least)
{
    *scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *least = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

static void q4_k_block(const uint8_t *in, float *out)
{
    const float d = tri_f16_to_f32(half_at(in, 0)), dmin = tri_f16_to_f32(half_at(in, 1));
    for (int j = 0; j < 8; j++) {
        int scale, least;
        q4_k_scale(in + 4, j, &scale, &least);
        for (int i = 0; i < 32; i++) {
            int q = in[16 + j / 2 * 32 + i] >> j % 2 * 4 & 15;
            out[32 * j + i] = d * (float)scale * (float)q - dmin * (float)least;
        }
    }
}

/* Element i of half h: low bits in nibbles of 64 bytes, two high bits in 32 more, then a scale per 16 elements. */
static void q6_k_block(const uint8_t *in, float *out)
{
    const float d = tri_f16_to_f32(half_at(in + 208, 0));
    for (int i = 0; i < 256; i++) {
        int h = i / 128, quarter = i % 128 / 32;
        int low = in[64 * h + i % 64] >> quarter / 2 * 4 & 15, high = in[128 + 32 * h + i % 32] >> 2 * quarter & 3;
        out[i] = d * (float)(int8_t)in[192 + i / 16] * (float)((low | high << 4) - 32);
    }
}

void tri_q8_0_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q8_0_block, out);
}

void tri_q4_0_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q4_0_block, out);
}

void tri_q4_k_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q4_k_block, out);
}

void tri_q6_k_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q6_k_block, out);
}
