/* Owns: the table of tensor encodings, their sizes, decoding of rows, 16-bit floats.
 * Leaves out: where tensors come from (gguf.c), and packing for kernels (model/). */
#include "file/tensor.h"

#include <math.h>
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

float tri_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { /* a multiple of 2^-24: exact in f32 */
        float f = (float)fraction * 0x1p-24f;
        return from_bits(sign | to_bits(f));
    }
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
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

static void f32_floats(const struct tri_tensor *t, int64_t row, float *out)
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

static void f16_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    const uint8_t *in = t->data + 2 * (uint64_t)row * (uint64_t)t->ne[0];
    for (int64_t i = 0; i < t->ne[0]; i++)
        out[i] = tri_f16_to_f32(half_at(in, i));
}

static void bf16_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    const uint8_t *in = t->data + 2 * (uint64_t)row * (uint64_t)t->ne[0];
    for (int64_t i = 0; i < t->ne[0]; i++)
        out[i] = tri_bf16_to_f32(half_at(in, i));
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

static void q8_0_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q8_0_block, out);
}

static void q4_0_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q4_0_block, out);
}

static void q4_k_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q4_k_block, out);
}

static void q6_k_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    blocks(t, row, q6_k_block, out);
}

/* -- I2_S: a flat run of codes in groups of 128, each 32 bytes of four planes, then one f32 ---- */

enum { GROUP = 128, PLANE = 32, I2S_TAIL = 32, I2S_ID = 36, TL1_ID = 38, TL2_ID = 39 };

/* Trits of one group, code 3 as 2; returns non-zero if there is one. */
static uint8_t i2s_group(const uint8_t *restrict in, int8_t *restrict out)
{
    uint8_t bad = 0;
    for (int p = 0; p < PLANE; p++) {
        uint8_t b = in[p];
        out[p] = (int8_t)((b >> 6) - 1);
        out[p + PLANE] = (int8_t)((b >> 4 & 3) - 1);
        out[p + 2 * PLANE] = (int8_t)((b >> 2 & 3) - 1);
        out[p + 3 * PLANE] = (int8_t)((b & 3) - 1);
        bad |= b & b >> 1 & 0x55;
    }
    return bad;
}

/* The same for any run of n codes from flat index `from`; groups may straddle rows. */
static uint8_t i2s_run(const struct tri_tensor *t, uint64_t from, uint64_t n, int8_t *out)
{
    uint8_t bad = 0;
    for (uint64_t at = from, end = from + n; at < end;) {
        const uint8_t *in = t->data + at / GROUP * PLANE;
        uint64_t skip = at % GROUP, take = GROUP - skip < end - at ? GROUP - skip : end - at;
        if (take == GROUP) {
            bad |= i2s_group(in, out);
        } else {
            int8_t whole[GROUP];
            bad |= i2s_group(in, whole);
            memcpy(out, whole + skip, take);
        }
        out += take;
        at += take;
    }
    return bad;
}

static enum tri_status i2s_code_3(const struct tri_tensor *t, uint64_t from, struct tri_error *e)
{
    uint64_t at = from / GROUP * PLANE;
    while (!(t->data[at] & t->data[at] >> 1 & 0x55))
        at++;
    return tri_fail(e, TRI_BAD_FILE,
                    "tensor \"%s\" (I2_S): byte %llu of the file is 0x%02x, which holds code 3; "
                    "expected only 0, 1, 2 for -1, 0, +1; the file is damaged: fetch or convert "
                    "it again",
                    t->name, (unsigned long long)(t->offset + at), t->data[at]);
}

static enum tri_status i2s_trits(const struct tri_tensor *t, int64_t row, int8_t *out,
                                 struct tri_error *e)
{
    uint64_t k = (uint64_t)t->ne[0], from = (uint64_t)row * k;
    return i2s_run(t, from, k, out) ? i2s_code_3(t, from, e) : TRI_OK;
}

static float i2s_stored_scale(const struct tri_tensor *t)
{
    float scale;
    memcpy(&scale, t->data + t->bytes - I2S_TAIL, sizeof scale);
    return scale;
}

static enum tri_status i2s_scale(const struct tri_tensor *t, float *out, struct tri_error *e)
{
    *out = i2s_stored_scale(t);
    if (isfinite(*out) && *out > 0)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE,
                    "tensor \"%s\" (I2_S): the scale at byte %llu of the file is %g; expected a "
                    "finite number above 0; the file is damaged: fetch or convert it again",
                    t->name, (unsigned long long)(t->offset + t->bytes - I2S_TAIL), (double)*out);
}

/* Code 3 counts as 0 here, since there is no way to refuse it. */
static void i2s_floats(const struct tri_tensor *t, int64_t row, float *out)
{
    float scale = i2s_stored_scale(t);
    uint64_t k = (uint64_t)t->ne[0], from = (uint64_t)row * k;
    for (uint64_t i = 0; i < k; i += GROUP) {
        int8_t trits[GROUP];
        uint64_t n = k - i < GROUP ? k - i : GROUP;
        i2s_run(t, from + i, n, trits);
        for (uint64_t j = 0; j < n; j++)
            out[i + j] = trits[j] == 2 ? 0 : (float)trits[j] * scale;
    }
}

/* -- the table ----------------------------------------------------------- */

#define FLOATS(id, name, block, bytes, floats, rows) {id, name, block, bytes, 0, false, NULL, NULL, floats, rows}
#define NOT_YET(id, name, block, bytes) {id, name, block, bytes, 0, false, NULL, NULL, NULL, TRI_ROWS_NONE}
#define TERNARY_NOT_YET(id, name, block, bytes, head)                                              \
    {id, name, block, bytes, head, true, NULL, NULL, NULL, TRI_ROWS_NONE}

static const struct tri_encoding encodings[] = {
    FLOATS(0, "F32", 1, 4, f32_floats, TRI_ROWS_F32),
    FLOATS(1, "F16", 1, 2, f16_floats, TRI_ROWS_F16),
    FLOATS(30, "BF16", 1, 2, bf16_floats, TRI_ROWS_BF16),
    FLOATS(2, "Q4_0", 32, 18, q4_0_floats, TRI_ROWS_Q4_0),
    FLOATS(8, "Q8_0", 32, 34, q8_0_floats, TRI_ROWS_Q8_0),
    FLOATS(12, "Q4_K", 256, 144, q4_k_floats, TRI_ROWS_Q4_K),
    FLOATS(14, "Q6_K", 256, 210, q6_k_floats, TRI_ROWS_Q6_K),
    {I2S_ID, "I2_S", 1, 0, 0, true, i2s_trits, i2s_scale, i2s_floats, TRI_ROWS_NONE},
    TERNARY_NOT_YET(34, "TQ1_0", 256, 54, 0),
    TERNARY_NOT_YET(35, "TQ2_0", 256, 66, 0),
    TERNARY_NOT_YET(TL1_ID, "TL1", 1, 0, 0),
    TERNARY_NOT_YET(42, "Q2_0", 64, 18, 0),
    TERNARY_NOT_YET(134, "IQ1_BN", 64, 13, 2),
    TERNARY_NOT_YET(135, "IQ2_BN", 64, 16, 4),
    TERNARY_NOT_YET(335, "IQ2_BN_R4", 64, 16, 4),
    NOT_YET(3, "Q4_1", 32, 20),
    NOT_YET(6, "Q5_0", 32, 22),
    NOT_YET(7, "Q5_1", 32, 24),
    NOT_YET(9, "Q8_1", 32, 36),
    NOT_YET(10, "Q2_K", 256, 84),
    NOT_YET(11, "Q3_K", 256, 110),
    NOT_YET(13, "Q5_K", 256, 176),
    NOT_YET(15, "Q8_K", 256, 292),
    NOT_YET(24, "I8", 1, 1),
    NOT_YET(25, "I16", 1, 2),
    NOT_YET(26, "I32", 1, 4),
    NOT_YET(27, "I64", 1, 8),
    NOT_YET(28, "F64", 1, 8),
    NOT_YET(39, "MXFP4", 32, 17),
    NOT_YET(40, "NVFP4", 64, 36),
    NOT_YET(41, "Q1_0", 128, 18),
};

const struct tri_encoding tri_encoding_tl2 = TERNARY_NOT_YET(TL2_ID, "TL2", 1, 0, 0);

const struct tri_encoding *tri_encoding_find(uint32_t id)
{
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (encodings[i].id == id)
            return &encodings[i];
    return NULL;
}

/* -- shapes and sizes ---------------------------------------------------- */

int64_t tri_tensor_rows(const struct tri_tensor *t)
{
    return t->ne[1] * t->ne[2] * t->ne[3];
}

static enum tri_status count_elements(const struct tri_tensor *t, int64_t *n, struct tri_error *e)
{
    *n = 1;
    for (int d = 0; d < 4; d++) {
        if (t->ne[d] < 1)
            return tri_fail(e, TRI_BAD_FILE,
                            "dimension %d is %llu; expected 1 to 2^63 - 1; the file is damaged", d,
                            (unsigned long long)t->ne[d]);
        if (__builtin_mul_overflow(*n, t->ne[d], n))
            return tri_fail(e, TRI_BAD_FILE,
                            "the dimensions %lld x %lld x %lld x %lld have a product of 2^63 or "
                            "more; the file is damaged",
                            (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2],
                            (long long)t->ne[3]);
    }
    return TRI_OK;
}

/* Planes of three-trit groups for all but 256 columns, of pairs for those; formats.md 2.6. */
static bool tl2_bytes(uint64_t k, uint64_t rows, uint64_t *bytes)
{
    if (k < 256)
        return false;
    uint64_t data = (k - 256) * rows / 3 * 5 / 8 + 256 * rows / 2 * 4 / 8;
    *bytes = (data + 31) / 32 * 32 + 32;
    return true;
}

static enum tri_status whole_tensor_bytes(struct tri_tensor *t, uint64_t n, struct tri_error *e)
{
    t->bytes = n / 4 + I2S_TAIL; /* TL1 as well */
    if (t->encoding == &tri_encoding_tl2) {
        if (!tl2_bytes((uint64_t)t->ne[0], (uint64_t)tri_tensor_rows(t), &t->bytes))
            return tri_fail(e, TRI_BAD_FILE,
                            "TL2 needs rows of at least 256 elements, these have %lld; the file "
                            "is damaged",
                            (long long)t->ne[0]);
    } else if (n % GROUP) {
        return tri_fail(e, TRI_BAD_FILE,
                        "%s stores groups of 128 elements; expected a multiple of 128, found "
                        "%llu; convert the model to another encoding",
                        t->encoding->name, (unsigned long long)n);
    }
    return TRI_OK;
}

static enum tri_status row_bytes(struct tri_tensor *t, struct tri_error *e)
{
    const struct tri_encoding *c = t->encoding;
    uint64_t row, blocks = (uint64_t)t->ne[0] / (uint64_t)c->block;
    if (t->ne[0] % c->block)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s stores rows in blocks of %d elements; expected a multiple of it, "
                        "found rows of %lld; the file is damaged",
                        c->name, c->block, (long long)t->ne[0]);
    if (__builtin_mul_overflow(blocks, (uint64_t)c->block_bytes, &row) ||
        __builtin_add_overflow(row, (uint64_t)c->row_head, &row) ||
        __builtin_mul_overflow(row, (uint64_t)tri_tensor_rows(t), &t->bytes))
        return tri_fail(e, TRI_BAD_FILE, "its size is 2^64 bytes or more; the file is damaged");
    return TRI_OK;
}

enum tri_status tri_tensor_size(struct tri_tensor *t, struct tri_error *e)
{
    int64_t n;
    if (count_elements(t, &n, e))
        return e->status;
    return t->encoding->block_bytes ? row_bytes(t, e) : whole_tensor_bytes(t, (uint64_t)n, e);
}
