/* Owns: the table of tensor encodings and their sizes. Leaves out how each holds its rows (floats.c, i2s.c, bits2.c,
 * base3.c, tl.c), what is made of trits and scales (ternary.c), and where tensors come from (gguf.c). */
#include "file/tensor.h"

#include "file/encodings.h"
#include "file/tl.h"

#include <string.h>

enum { I2S_GROUP = 128, I2S_TAIL = 32, I2S_ID = 36, TL1_ID = 38, TL2_ID = 39, MXFP4_ID = 39 };

/* -- where scales lie ----------------------------------------------------- */

static uint64_t tail_scale(const struct tri_tensor *t, int64_t row, int64_t block)
{
    (void)row, (void)block;
    return t->bytes - I2S_TAIL;
}

static uint64_t block_byte(const struct tri_tensor *t, int64_t row, int64_t block)
{
    return (uint64_t)row * tri_row_bytes(t) + (uint64_t)block * (uint64_t)t->encoding->block_bytes;
}

/* The f16 that ends a block. */
static uint64_t last_scale(const struct tri_tensor *t, int64_t row, int64_t block)
{
    return block_byte(t, row, block + 1) - 2;
}

static uint64_t row_scale(const struct tri_tensor *t, int64_t row, int64_t block)
{
    (void)block;
    return block_byte(t, row, 0);
}

/* Those of four rows lie together. */
static uint64_t row4_scale(const struct tri_tensor *t, int64_t row, int64_t block)
{
    (void)block;
    return block_byte(t, row / 4 * 4, 0) + 4 * (uint64_t)(row % 4);
}

/* -- codes that stand for no trit ------------------------------------------ */

#define DAMAGED "; the file is damaged: fetch or convert it again"

static const struct tri_stray
    code_3 = {TRI_BAD_FILE, "code 3; expected only 0, 1, 2 for -1, 0, +1" DAMAGED},
    plus_2 = {TRI_UNSUPPORTED, "code 3 for +2: expected only 0, 1, 2 for -1, 0, +1; this model is not ternary: take "
                               "one that was trained so"},
    no_five = {TRI_BAD_FILE, "no trits; expected (q * 256 + 242) / 243 for a number q of five of them" DAMAGED},
    no_pair = {TRI_BAD_FILE, "no trits; expected two codes from 0 to 8 for a pair, or to 13 for three" DAMAGED};

/* -- the table ----------------------------------------------------------- */

#define FLOATS(ID, NAME, BLOCK, BYTES, FN, KIND)                                                                 \
    {.id = ID, .name = NAME, .block = BLOCK, .block_bytes = BYTES, .floats = FN, .rows = KIND}
/* Floats that may be trits: as they are, and as what they become. */
#define EXACT(ID, NAME, BYTES, FN, KIND)                                                                         \
    {.id = ID, .name = NAME, .block = 1, .block_bytes = BYTES, .origin = TRI_TRITS_EXACT, .floats = FN, .rows = KIND}
#define MASTER(ID, NAME, BYTES, FN)                                                                              \
    {.id = ID, .name = NAME, .block = 1, .block_bytes = BYTES, .ternary = true, .origin = TRI_TRITS_ABSMEAN,     \
     .floats = FN, .why = "master weights, ternary by their absolute mean"}
#define TRITS(ID, NAME, BLOCK, BYTES, HEAD, FN, BYTE, FITS, STRAY, SCALES, HALF, SCALE, WHY)                     \
    {.id = ID, .name = NAME, .block = BLOCK, .block_bytes = BYTES, .row_head = HEAD, .ternary = true,            \
     .origin = TRI_TRITS_STORED, .trits = FN, .byte = BYTE, .fits = FITS, .stray = &STRAY, .scales = SCALES,      \
     .half = HALF, .scale_byte = SCALE, .why = WHY}
#define BLOCKS(ID, NAME, BLOCK, BYTES, FN, STRAY, SCALE)                                                         \
    TRITS(ID, NAME, BLOCK, BYTES, 0, FN##_trits, FN##_byte, NULL, STRAY, TRI_SCALES_BLOCK, true, SCALE, NULL)
#define ROWS(ID, NAME, BYTES, HEAD, FN, FITS, STRAY, HALF, SCALE)                                                \
    TRITS(ID, NAME, 64, BYTES, HEAD, FN##_trits, FN##_byte, FITS, STRAY, TRI_SCALES_ROW, HALF, SCALE, NULL)
#define TL_WHY "blocked as BitNet's generator does it for this shape: the file does not say"
#define WHOLE(ID, NAME, FN, BYTE, FITS, STRAY, WHY)                                                              \
    TRITS(ID, NAME, 1, 0, 0, FN, BYTE, FITS, STRAY, TRI_SCALES_TENSOR, false, tail_scale, WHY)
#define I2S(FN, FITS, WHY) WHOLE(I2S_ID, "I2_S", FN, FN##_byte, FITS, code_3, WHY)
#define NOT_YET(ID, NAME, BLOCK, BYTES) {.id = ID, .name = NAME, .block = BLOCK, .block_bytes = BYTES}

static const struct tri_encoding encodings[] = {
    EXACT(0, "F32", 4, tri_f32_floats, TRI_ROWS_F32),
    EXACT(1, "F16", 2, tri_f16_floats, TRI_ROWS_F16),
    EXACT(30, "BF16", 2, tri_bf16_floats, TRI_ROWS_BF16),
    FLOATS(2, "Q4_0", 32, 18, tri_q4_0_floats, TRI_ROWS_Q4_0),
    FLOATS(8, "Q8_0", 32, 34, tri_q8_0_floats, TRI_ROWS_Q8_0),
    FLOATS(12, "Q4_K", 256, 144, tri_q4_k_floats, TRI_ROWS_Q4_K),
    FLOATS(14, "Q6_K", 256, 210, tri_q6_k_floats, TRI_ROWS_Q6_K),
    I2S(tri_i2s_128, NULL, "groups of 128, as published files have: the file does not say (--i2s-layout)"),
    BLOCKS(34, "TQ1_0", 256, 54, tri_tq1_0, no_five, last_scale),
    BLOCKS(35, "TQ2_0", 256, 66, tri_tq2_0, code_3, last_scale),
    BLOCKS(42, "Q2_0", 64, 18, tri_q2_0, plus_2, block_byte),
    ROWS(134, "IQ1_BN", 13, 2, tri_iq1_bn, NULL, no_five, true, row_scale),
    ROWS(135, "IQ2_BN", 16, 4, tri_iq2_bn, NULL, code_3, false, row_scale),
    ROWS(335, "IQ2_BN_R4", 16, 4, tri_iq2_bn_r4, tri_iq2_bn_r4_fits, code_3, false, row4_scale),
    WHOLE(TL1_ID, "TL1", tri_tl1_trits, tri_tl1_byte, tri_tl1_fits, no_pair, TL_WHY),
    TRITS(TRI_HF_PACKED, "packed U8", 1, 0, 0, tri_hf_packed_trits, tri_hf_packed_byte, NULL, code_3,
          TRI_SCALES_NONE, false, NULL, NULL),
    MASTER(TRI_MASTER_F32, "master F32", 4, tri_f32_floats),
    MASTER(TRI_MASTER_F16, "master F16", 2, tri_f16_floats),
    MASTER(TRI_MASTER_BF16, "master BF16", 2, tri_bf16_floats),
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
    NOT_YET(MXFP4_ID, "MXFP4", 32, 17),
    NOT_YET(40, "NVFP4", 64, 36),
    NOT_YET(41, "Q1_0", 128, 18),
};

const struct tri_encoding tri_encoding_tl2 =
    WHOLE(TL2_ID, "TL2", tri_tl2_trits, tri_tl2_byte, tri_tl2_fits, no_pair, TL_WHY);

static const struct tri_i2s_layout i2s_layouts[] = {
    {"128", I2S(tri_i2s_128, NULL, "groups of 128, as asked for")},
    {"64", I2S(tri_i2s_64, NULL, "groups of 64, as asked for")},
    {"rows4", I2S(tri_i2s_rows4, tri_i2s_rows4_fits, "four rows interleaved, as asked for")},
    {"sequence", I2S(tri_i2s_sequence, NULL, "codes in sequence, as asked for")},
    {"row-tail", I2S(tri_i2s_row_tail, tri_i2s_row_tail_fits, "groups of 128 by rows with a tail, as asked for")},
};

const struct tri_i2s_layout *tri_i2s_layout_find(const char *name)
{
    for (size_t i = 0; i < sizeof i2s_layouts / sizeof i2s_layouts[0]; i++)
        if (strcmp(i2s_layouts[i].name, name) == 0)
            return &i2s_layouts[i];
    return NULL;
}

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

enum tri_status tri_rows_in(const struct tri_tensor *t, int multiple, struct tri_error *e)
{
    if (tri_tensor_rows(t) % multiple == 0)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED,
                    "tensor \"%s\": %s so stored has %d rows together; expected a multiple of it, found %lld rows",
                    t->name, t->encoding->name, multiple, (long long)tri_tensor_rows(t));
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

static enum tri_status whole_tensor_bytes(struct tri_tensor *t, uint64_t n, struct tri_error *e)
{
    const bool packed = t->encoding->id == TRI_HF_PACKED;
    t->bytes = packed ? n / 4 : n / 4 + I2S_TAIL; /* TL1 as I2_S */
    if (t->encoding == &tri_encoding_tl2) {
        if (!(t->bytes = tri_tl2_bytes((uint64_t)t->ne[0], (uint64_t)tri_tensor_rows(t))))
            return tri_fail(e, TRI_BAD_FILE,
                            "TL2 needs rows of at least 256 elements, these have %lld; the file "
                            "is damaged",
                            (long long)t->ne[0]);
    } else if (packed) {
        return tri_rows_in(t, 4, e);
    } else if (n % I2S_GROUP) {
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
