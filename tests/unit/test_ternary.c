/* Trits and scales of every ternary encoding: against the vectors, against each other, and what is refused. */
#include "file/encode.h"
#include "file/encodings.h"
#include "file/gguf.h"
#include "file/ternary.h"
#include "file/tl.h"
#include "vectors.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { F32 = 0, F16 = 1, BF16 = 30, TQ1_0 = 34, TQ2_0 = 35, I2_S = 36, TL1 = 38, Q2_0 = 42, IQ1_BN = 134, IQ2_BN = 135,
       IQ2_BN_R4 = 335, OFFSET = 1000 };

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static struct tri_tensor tensor_of(const struct tri_encoding *encoding, int64_t k, int64_t rows, const uint8_t *data)
{
    struct tri_error e;
    struct tri_tensor t = {.name = "blk.0.attn_q.weight", .encoding = encoding, .dims = 2, .ne = {k, rows, 1, 1},
                           .data = data, .offset = OFFSET, .factor = 1};
    assert_non_null(encoding);
    assert_int_equal(tri_tensor_size(&t, &e), TRI_OK);
    return t;
}

static struct tri_ternary read(const struct tri_tensor *t)
{
    struct tri_error e = {0};
    struct tri_ternary w;
    if (tri_ternary_read(&w, t, &e) != TRI_OK)
        fail_msg("%s", e.text);
    return w;
}

static int trit_of(char c)
{
    return c == '+' ? 1 : c == '-' ? -1 : 0;
}

static void check_row(const struct tri_ternary *w, int64_t row, const char *expected)
{
    const size_t k = strlen(expected);
    struct tri_error e = {0};
    int8_t *trits = malloc(k);
    assert_int_equal(w->tensor->ne[0], k);
    if (tri_ternary_row(w, row, trits, &e) != TRI_OK)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < k; i++)
        assert_int_equal(trits[i], trit_of(expected[i]));
    free(trits);
}

/* Row by row as an array of texts, or all in one text. */
static void check_rows(const struct tri_ternary *w, const json_t *weights)
{
    if (json_is_string(weights)) {
        check_row(w, 0, json_string_value(weights));
        return;
    }
    assert_int_equal(json_array_size(weights), tri_tensor_rows(w->tensor));
    for (size_t row = 0; row < json_array_size(weights); row++)
        check_row(w, (int64_t)row, json_string_value(json_array_get(weights, row)));
}

static void refused(const struct tri_tensor *t, int64_t row, enum tri_status status, int byte)
{
    struct tri_error e = {0};
    struct tri_ternary w;
    char where[32];
    int8_t *trits = malloc((size_t)t->ne[0]);
    if (tri_ternary_read(&w, t, &e) == TRI_OK)
        tri_ternary_row(&w, row, trits, &e);
    assert_int_equal(e.status, status);
    const int length = snprintf(where, sizeof where, "byte %d", OFFSET + byte);
    const char *found = strstr(e.text, where);
    if (!found || strspn(found + length, "0123456789"))
        fail_msg("expected %s in: %s", where, e.text);
    assert_non_null(strstr(e.text, t->name));
    free(trits);
}

/* -- the vectors ----------------------------------------------------------- */

static void check_i2s(const json_t *c, const struct tri_encoding *encoding)
{
    size_t size;
    uint8_t *data = from_hex(text_of(c, "bytes_hex"), 0, &size);
    struct tri_tensor t = {.name = "t", .encoding = encoding, .dims = 2, .data = data, .bytes = size, .factor = 1,
                           .ne = {number(c, "cols"), number(c, "rows"), 1, 1}};
    const struct tri_ternary w = read(&t);
    assert_int_equal(w.scaling, TRI_PER_TENSOR);
    assert_true((double)w.scale == json_number_value(json_object_get(c, "scale")));
    check_rows(&w, json_object_get(c, "weights"));
    free(data);
}

static void i2s_vectors(void **state)
{
    (void)state;
    json_t *root = load("tests/vectors/i2_s.json"), *c;
    size_t i, of[2] = {0};
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        const bool arm = number(c, "group") == 64;
        check_i2s(c, &tri_i2s_layout_find(arm ? "64" : "128")->encoding);
        of[arm]++;
    }
    assert_true(of[0] == 14 && of[1] == 2);
    json_decref(root);
}

static void block_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        uint32_t id;
        size_t cases;
    } files[] = {{"tests/vectors/tq1_0.json", TQ1_0, 6}, {"tests/vectors/tq2_0.json", TQ2_0, 6},
                 {"tests/vectors/q2_0.json", Q2_0, 2}};
    for (int f = 0; f < 3; f++) {
        json_t *root = load(files[f].path), *c;
        size_t i, size;
        assert_int_equal(json_array_size(json_object_get(root, "cases")), files[f].cases);
        json_array_foreach(json_object_get(root, "cases"), i, c)
        {
            uint8_t *data = from_hex(text_of(c, "bytes_hex"), 0, &size);
            const struct tri_tensor t = tensor_of(tri_encoding_find(files[f].id),
                                                  (int64_t)strlen(text_of(c, "weights")), 1, data);
            const struct tri_ternary w = read(&t);
            const double d = json_number_value(json_object_get(c, "d"));
            assert_int_equal(t.bytes, size);
            assert_int_equal(w.scaling, TRI_PER_TENSOR);
            assert_true(d == 0 || (double)w.scale == d);
            check_rows(&w, json_object_get(c, "weights"));
            free(data);
        }
        json_decref(root);
    }
}

static void check_iq(const json_t *c, uint32_t id)
{
    size_t size;
    uint8_t *data = from_hex(text_of(c, "bytes_hex"), 0, &size);
    const json_t *scales = json_object_get(c, "row_scales");
    const struct tri_tensor t = tensor_of(tri_encoding_find(id), number(c, "cols"), number(c, "rows"), data);
    const struct tri_ternary w = read(&t);
    assert_int_equal(t.bytes, size);
    assert_int_equal(w.scaling, number(c, "rows") > 1 ? TRI_PER_ROW : TRI_PER_TENSOR);
    assert_true(w.groups == 1 && w.group == t.ne[0]);
    for (int64_t row = 0; row < number(c, "rows"); row++) {
        float scale;
        tri_ternary_scales(&w, row, &scale);
        assert_true((double)scale == json_number_value(json_array_get(scales, (size_t)row)));
    }
    check_rows(&w, json_object_get(c, "weights"));
    free(data);
}

static void row_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t id;
        size_t cases;
    } kinds[] = {{"iq1_bn", IQ1_BN, 3}, {"iq2_bn", IQ2_BN, 3}, {"iq2_bn_r4", IQ2_BN_R4, 1}};
    json_t *root = load("tests/vectors/iq_bn.json"), *c;
    for (int k = 0; k < 3; k++) {
        size_t i;
        const json_t *cases = json_object_get(json_object_get(root, kinds[k].name), "cases");
        assert_int_equal(json_array_size(cases), kinds[k].cases);
        json_array_foreach(cases, i, c) check_iq(c, kinds[k].id);
    }
    json_decref(root);
}

static void check_tl_row(const struct tri_tl *config, const struct tri_tensor *t, int64_t row, const char *expected)
{
    int8_t *trits = malloc((size_t)t->ne[0]);
    (t->encoding->id == TL1 ? tri_tl1_row : tri_tl2_row)(config, t, row, trits);
    for (int64_t i = 0; i < t->ne[0]; i++)
        assert_int_equal(trits[i], trit_of(expected[i]));
    free(trits);
}

static void tl_vectors(void **state)
{
    (void)state;
    for (int kind = 1; kind <= 2; kind++) {
        json_t *root = load(kind == 1 ? "tests/vectors/tl1.json" : "tests/vectors/tl2.json"), *c;
        size_t i, size;
        assert_int_equal(json_array_size(json_object_get(root, "cases")), 4);
        json_array_foreach(json_object_get(root, "cases"), i, c)
        {
            uint8_t *data = from_hex(text_of(c, "bytes_hex"), 0, &size);
            const struct tri_tl config = {(int)number(c, "BM"), (int)number(c, "BK"), (int)number(c, "bm")};
            const struct tri_tensor t = tensor_of(kind == 1 ? tri_encoding_find(TL1) : &tri_encoding_tl2,
                                                  number(c, "cols"), number(c, "rows"), data);
            assert_int_equal(t.bytes, number(c, "tensor_nbytes"));
            for (int64_t row = 0; row < t.ne[1]; row++)
                check_tl_row(&config, &t, row,
                             json_string_value(json_array_get(json_object_get(c, "weights"), (size_t)row)));
            free(data);
        }
        json_decref(root);
    }
}

static void packed_vectors(void **state)
{
    (void)state;
    json_t *root = load("tests/vectors/hf_packed.json"), *c;
    size_t i, size;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 3);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        uint8_t *data = from_hex(text_of(c, "packed_hex"), 0, &size);
        struct tri_tensor t = tensor_of(tri_encoding_find(TRI_HF_PACKED), number(c, "cols"), number(c, "rows"), data);
        t.factor = 0.75f;
        const struct tri_ternary w = read(&t);
        assert_int_equal(t.bytes, size);
        assert_true(w.scaling == TRI_PER_TENSOR && w.scale == 0.75f);
        check_rows(&w, json_object_get(c, "weights"));
        free(data);
    }
    json_decref(root);
}

static void absmean_vectors(void **state)
{
    (void)state;
    json_t *root = load("tests/vectors/quantizers.json"), *c;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "absmean")), 4);
    json_array_foreach(json_object_get(root, "absmean"), i, c)
    {
        const json_t *values = json_object_get(c, "w");
        const size_t n = json_array_size(values);
        float *data = malloc(n * sizeof *data);
        for (size_t j = 0; j < n; j++)
            data[j] = (float)json_number_value(json_array_get(values, j));
        const struct tri_tensor t = tensor_of(tri_encoding_find(TRI_MASTER_F32), number(c, "cols"), number(c, "rows"),
                                              (const uint8_t *)data);
        const struct tri_ternary w = read(&t);
        const float inverse = (float)json_number_value(json_object_get(c, "inv"));
        assert_true(w.scale == 1 / inverse);
        check_rows(&w, json_object_get(c, "ternary"));
        free(data);
    }
    json_decref(root);
}

/* -- the same trits in every encoding ---------------------------------------- */

enum { K = 768, ROWS = 8, ALL = K * ROWS };

/* What another program would write, straight from formats.md 2: codes of a matrix, put where each encoding has them. */
static void put_bits(uint8_t *data, size_t byte, int shift, int code)
{
    data[byte] = (uint8_t)((data[byte] & ~(3 << shift)) | code << shift);
}

static void put_base3(uint8_t *byte, const int *codes, int count, bool most_first)
{
    int q = 0;
    for (int i = 0; i < 5; i++) {
        const int at = most_first ? i : 4 - i;
        q = 3 * q + (at < count ? codes[at] : 0);
    }
    *byte = (uint8_t)((q * 256 + 242) / 243);
}

static int code_at(int row, int i)
{
    const uint32_t x = (uint32_t)(row * K + i) * 2654435761u;
    return (int)((x ^ x >> 15) % 3);
}

static void make_i2s_64(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / 64 * 16 + i % 16), 6 - 2 * (i % 64 / 16), code_at(i / K, i % K));
}

static void make_i2s_rows4(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / K / 4 * K + i % K), 6 - 2 * (i / K % 4), code_at(i / K, i % K));
}

static void make_i2s_sequence(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / 4), 6 - 2 * (i % 4), code_at(i / K, i % K));
}

static void make_i2s_128(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / 128 * 32 + i % 32), 6 - 2 * (i % 128 / 32), code_at(i / K, i % K));
}

static void make_tq1_0(uint8_t *d)
{
    for (int block = 0; block < ALL / 256; block++, d += 54) {
        const int row = block / (K / 256), from = block % (K / 256) * 256;
        int codes[5];
        for (int b = 0; b < 52; b++) {
            for (int n = 0; n < 5; n++)
                codes[n] = code_at(row, from + (b < 32   ? b + 32 * n
                                                : b < 48 ? 160 + b - 32 + 16 * n
                                                         : 240 + b - 48 + 4 * (n & 3)));
            put_base3(d + b, codes, b < 48 ? 5 : 4, true);
        }
        memcpy(d + 52, &(uint16_t){0x3800}, 2);
    }
}

static void make_tq2_0(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / 256 * 66 + i % 256 / 128 * 32 + i % 32), 2 * (i % 128 / 32), code_at(i / K, i % K));
    for (int block = 0; block < ALL / 256; block++)
        memcpy(d + 66 * block + 64, &(uint16_t){0x3800}, 2);
}

static void make_q2_0(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / 64 * 18 + 2 + i % 64 / 4), 2 * (i % 4), code_at(i / K, i % K));
    for (int block = 0; block < ALL / 64; block++)
        memcpy(d + 18 * block, &(uint16_t){0x3800}, 2);
}

static void make_iq1_bn(uint8_t *d)
{
    for (int row = 0; row < ROWS; row++, d += 2 + 13 * K / 64) {
        memcpy(d, &(uint16_t){0x3800}, 2);
        for (int b = 0; b < K / 64; b++) {
            int codes[64];
            for (int i = 0; i < 64; i++)
                codes[i] = code_at(row, 64 * b + i);
            for (int i = 0; i < 12; i++)
                put_base3(d + 2 + 13 * b + i, codes + i / 3 * 16 + i % 3 * 5, 5, false);
            put_base3(d + 2 + 13 * b + 12, (int[]){codes[15], codes[31], codes[47], codes[63]}, 4, false);
        }
    }
}

static void make_iq2_bn(uint8_t *d)
{
    for (int row = 0; row < ROWS; row++) {
        memcpy(d + (4 + K / 4) * row, &(float){0.5f}, 4);
        for (int i = 0; i < K; i++)
            put_bits(d, (size_t)((4 + K / 4) * row + 4 + i / 64 * 16 + i % 16), 2 * (i % 64 / 16), code_at(row, i));
    }
}

static void make_iq2_bn_r4(uint8_t *d)
{
    for (int row = 0; row < ROWS; row++) {
        uint8_t *four = d + row / 4 * 4 * (4 + K / 4);
        const int k = row % 4;
        memcpy(four + 4 * k, &(float){0.5f}, 4);
        for (int i = 0; i < K; i++)
            put_bits(four, (size_t)(16 + i / 64 * 64 + 4 * k + i % 4 + i % 64 / 16 * 16), 2 * (i % 16 / 4),
                     code_at(row, i));
    }
}

static void make_packed(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        put_bits(d, (size_t)(i / K % (ROWS / 4) * K + i % K), 2 * (i / K / (ROWS / 4)), code_at(i / K, i % K));
}

static void make_f32(uint8_t *d)
{
    for (int i = 0; i < ALL; i++)
        memcpy(d + 4 * i, &(float){0.5f * (float)(code_at(i / K, i % K) - 1)}, 4);
}

static void make_f16(uint8_t *d)
{
    static const uint16_t halves[3] = {0xb800, 0x8000, 0x3800}; /* a negative zero is one */
    for (int i = 0; i < ALL; i++)
        memcpy(d + 2 * i, &halves[code_at(i / K, i % K)], 2);
}

static void make_bf16(uint8_t *d)
{
    static const uint16_t halves[3] = {0xbf00, 0, 0x3f00};
    for (int i = 0; i < ALL; i++)
        memcpy(d + 2 * i, &halves[code_at(i / K, i % K)], 2);
}

/* With a scale of 0.5. */
static const struct stored {
    uint32_t id;
    const char *layout; /* of I2_S */
    void (*make)(uint8_t *data);
} stored[] = {
    {I2_S, "128", make_i2s_128},     {I2_S, "64", make_i2s_64},        {I2_S, "rows4", make_i2s_rows4},
    {I2_S, "sequence", make_i2s_sequence}, {I2_S, "row-tail", make_i2s_128}, {TQ1_0, NULL, make_tq1_0},
    {TQ2_0, NULL, make_tq2_0},       {Q2_0, NULL, make_q2_0},          {IQ1_BN, NULL, make_iq1_bn},
    {IQ2_BN, NULL, make_iq2_bn},     {IQ2_BN_R4, NULL, make_iq2_bn_r4}, {TRI_HF_PACKED, NULL, make_packed},
    {F32, NULL, make_f32},           {F16, NULL, make_f16},            {BF16, NULL, make_bf16},
};

enum { KINDS = sizeof stored / sizeof stored[0] };

/* Its data are to be freed. */
static struct tri_tensor make(const struct stored *s)
{
    const struct tri_encoding *c = s->layout ? &tri_i2s_layout_find(s->layout)->encoding : tri_encoding_find(s->id);
    struct tri_tensor t = tensor_of(c, K, ROWS, NULL);
    uint8_t *data = calloc(t.bytes, 1);
    s->make(data);
    if (s->layout)
        memcpy(data + ALL / 4, &(float){0.5f}, sizeof(float));
    if (s->id == TRI_HF_PACKED)
        t.factor = 0.5f;
    t.data = data;
    return t;
}

static void release(struct tri_tensor *t)
{
    free((void *)(uintptr_t)t->data);
}

static void the_same_trits_in_every_encoding(void **state)
{
    (void)state;
    for (int s = 0; s < KINDS; s++) {
        struct tri_tensor t = make(&stored[s]);
        const struct tri_ternary w = read(&t);
        assert_true(w.scaling == TRI_PER_TENSOR && w.scale == 0.5f && w.group == K && w.groups == 1);
        assert_non_null(w.why);
        for (int row = 0; row < ROWS; row++) {
            struct tri_error e;
            int8_t trits[K];
            assert_int_equal(tri_ternary_row(&w, row, trits, &e), TRI_OK);
            for (int i = 0; i < K; i++)
                assert_int_equal(trits[i], code_at(row, i) - 1);
        }
        release(&t);
    }
}

/* Code 3, or the bytes that are no fraction of 243, wherever they are stored: exactly there they are found. */
static void strays_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    static const uint8_t none[] = {1, 20, 40, 60, 79, 99, 119, 138, 158, 178, 197, 217, 237};
    for (int s = 0; s < KINDS; s++) {
        struct tri_tensor t = make(&stored[s]);
        uint8_t *data = (uint8_t *)(uintptr_t)t.data;
        const bool base3 = stored[s].id == TQ1_0 || stored[s].id == IQ1_BN;
        if (!t.encoding->byte) {
            release(&t);
            continue;
        }
        for (int at = 0; at < ALL; at += 13) {
            const int byte = (int)t.encoding->byte(&t, at / K, at % K);
            const uint8_t was = data[byte];
            data[byte] = base3 ? none[at % 13] : 0xff;
            refused(&t, at / K, stored[s].id == Q2_0 ? TRI_UNSUPPORTED : TRI_BAD_FILE, byte);
            data[byte] = was;
        }
        release(&t);
    }
}

/* Whatever the bytes are, a row is trits or it is refused with a reason. */
static void any_bytes_are_trits_or_refused(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int s = 0; s < KINDS; s++)
        for (int times = 0; times < 20; times++) {
            struct tri_error e = {0};
            struct tri_ternary w;
            struct tri_tensor t = make(&stored[s]);
            for (uint64_t i = 0; i < t.bytes; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                if (random >> 62 == 0 || times > 10)
                    ((uint8_t *)(uintptr_t)t.data)[i] = (uint8_t)(random >> 40);
            }
            const bool good = tri_ternary_read(&w, &t, &e) == TRI_OK;
            for (int row = 0; good && row < ROWS; row++) {
                int8_t trits[K];
                const bool found = tri_ternary_row(&w, row, trits, &e) == TRI_OK;
                for (int i = 0; found && i < K; i++)
                    assert_in_range(trits[i] + 1, 0, 2);
            }
            assert_true(e.status == TRI_OK || strstr(e.text, t.name));
            release(&t);
        }
}

/* -- I2_S across rows --------------------------------------------------------- */

enum { GROUPS = 10, GROUPED = 128 * GROUPS };

/* Rows of every length that divides the elements, whatever it does to the groups. */
static void i2s_rows_of_any_length(void **state)
{
    (void)state;
    struct tri_error e;
    uint8_t data[32 * GROUPS + 32] = {[32 * GROUPS + 3] = 0x3f};
    for (int i = 0; i < GROUPED; i++)
        put_bits(data, (size_t)(32 * (i / 128) + i % 32), 6 - 2 * (i % 128 / 32), i * 7 % 5 % 3);
    for (int k = 1; k <= GROUPED; k++) {
        int8_t trits[GROUPED];
        if (GROUPED % k)
            continue;
        struct tri_tensor t = tensor_of(tri_encoding_find(I2_S), k, GROUPED / k, data);
        const struct tri_ternary w = read(&t);
        for (int row = 0; row < GROUPED / k; row++) {
            assert_int_equal(tri_ternary_row(&w, row, trits, &e), TRI_OK);
            for (int i = 0; i < k; i++)
                assert_int_equal(trits[i], (row * k + i) * 7 % 5 % 3 - 1);
        }
    }
}

/* Rows of 160: one group and a tail of 32 in sequence. */
static void a_tail_of_each_row(void **state)
{
    (void)state;
    enum { LONG = 160, HIGH = 4 };
    struct tri_error e;
    uint8_t data[LONG * HIGH / 4 + 32] = {[LONG * HIGH / 4 + 3] = 0x3f};
    for (int row = 0; row < HIGH; row++)
        for (int i = 0; i < LONG; i++)
            put_bits(data, (size_t)(row * LONG / 4 + (i < 128 ? i % 32 : i / 4)), 6 - 2 * (i < 128 ? i / 32 : i % 4),
                     code_at(row, i));
    const struct tri_encoding *c = &tri_i2s_layout_find("row-tail")->encoding;
    struct tri_tensor t = tensor_of(c, LONG, HIGH, data);
    const struct tri_ternary w = read(&t);
    for (int row = 0; row < HIGH; row++) {
        int8_t trits[LONG];
        assert_int_equal(tri_ternary_row(&w, row, trits, &e), TRI_OK);
        for (int i = 0; i < LONG; i++)
            assert_int_equal(trits[i], code_at(row, i) - 1);
    }
    for (int i = 0; i < LONG; i += 7) {
        const int byte = 2 * LONG / 4 + (i < 128 ? i % 32 : i / 4);
        const uint8_t was = data[byte];
        data[byte] = 0xff;
        refused(&t, 2, TRI_BAD_FILE, byte);
        data[byte] = was;
    }
    assert_null(tri_i2s_layout_find("256"));
    const struct tri_tensor odd = {.name = "t", .encoding = c, .ne = {66, 64, 1, 1}};
    assert_int_equal(c->fits(&odd, &e), TRI_UNSUPPORTED);
}

/* -- scales -------------------------------------------------------------------- */

static void scales_that_are_no_scales_are_refused(void **state)
{
    (void)state;
    static const float bad[] = {-1, 1e31f, 1e-31f, INFINITY, -INFINITY, NAN, 0};
    static const uint16_t bad_halves[] = {0xbc00, 0x7c00, 0xfc00, 0x7e00};
    for (int s = 0; s < KINDS; s++) {
        struct tri_tensor t = make(&stored[s]);
        uint8_t *data = (uint8_t *)(uintptr_t)t.data;
        const struct tri_encoding *c = t.encoding;
        const int64_t block = c->scales == TRI_SCALES_BLOCK ? 1 : 0, row = c->scales == TRI_SCALES_TENSOR ? 0 : 5;
        const int byte = c->scale_byte ? (int)c->scale_byte(&t, row, block) : 0;
        for (int i = 0; c->scale_byte && c->half && i < 4; i++) {
            memcpy(data + byte, &bad_halves[i], 2);
            refused(&t, 0, TRI_BAD_FILE, byte);
        }
        for (int i = 0; c->scale_byte && !c->half && i < (c->scales == TRI_SCALES_TENSOR ? 7 : 6); i++) {
            memcpy(data + byte, &bad[i], 4);
            refused(&t, 0, TRI_BAD_FILE, byte);
        }
        release(&t);
    }
}

/* Of a matrix whose scales are all 0.5 but where one is set. */
static struct tri_ternary with_scale(struct tri_tensor *t, int64_t row, int64_t block, uint16_t half)
{
    memcpy((uint8_t *)(uintptr_t)t->data + t->encoding->scale_byte(t, row, block), &half, sizeof half);
    return read(t);
}

static void scales_are_compared(void **state)
{
    (void)state;
    struct tri_tensor t = make(&(struct stored){Q2_0, NULL, make_q2_0});
    float scales[K / 64];
    int8_t trits[K];
    struct tri_error e;
    struct tri_ternary w = with_scale(&t, 3, 2, 0); /* nothing counts there */
    assert_true(w.scaling == TRI_PER_TENSOR && w.scale == 0.5f);
    assert_int_equal(tri_ternary_row(&w, 3, trits, &e), TRI_OK);
    for (int i = 0; i < K; i++)
        assert_int_equal(trits[i], i / 64 == 2 ? 0 : code_at(3, i) - 1);
    t.factor = 3;
    w = with_scale(&t, 3, 2, 0x3c00);
    assert_true(w.scaling == TRI_PER_GROUP && w.group == 64 && w.groups == K / 64);
    tri_ternary_scales(&w, 3, scales);
    for (int g = 0; g < K / 64; g++)
        assert_true(scales[g] == (g == 2 ? 3 : 1.5f));
    for (int g = 0; g < K / 64; g++)
        w = with_scale(&t, 3, g, g == 5 ? 0 : 0x3c00);
    assert_true(w.scaling == TRI_PER_ROW && w.group == K && w.groups == 1);
    tri_ternary_scales(&w, 3, scales);
    assert_true(scales[0] == 3);
    tri_ternary_scales(&w, 4, scales);
    assert_true(scales[0] == 1.5f);
    for (int64_t row = 0; row < ROWS; row++)
        for (int g = 0; g < K / 64; g++)
            w = with_scale(&t, row, g, 0);
    assert_true(w.scaling == TRI_PER_TENSOR && w.scale == 3);
    assert_int_equal(tri_ternary_row(&w, 0, trits, &e), TRI_OK);
    for (int i = 0; i < K; i++)
        assert_int_equal(trits[i], 0);
    t.factor = NAN;
    refused(&t, 0, TRI_BAD_FILE, 0);
    release(&t);
}

/* -- floats --------------------------------------------------------------------- */

static void floats_that_are_no_trits_are_refused(void **state)
{
    (void)state;
    static const float others[] = {0.25f, -1, NAN, 0.50000006f};
    for (int i = 0; i < 4; i++) {
        struct tri_tensor t = make(&(struct stored){F32, NULL, make_f32});
        memcpy((uint8_t *)(uintptr_t)t.data + 4 * (ALL - 1 - i), &others[i], sizeof(float));
        refused(&t, 0, TRI_UNSUPPORTED, 4 * (ALL - 1 - i));
        release(&t);
    }
    struct tri_tensor t = make(&(struct stored){F32, NULL, make_f32});
    t.encoding = tri_encoding_find(TRI_MASTER_F32);
    memcpy((uint8_t *)(uintptr_t)t.data + 4 * 77, &(float){NAN}, sizeof(float));
    refused(&t, 0, TRI_BAD_FILE, 4 * 77);
    t.encoding = tri_encoding_find(I2_S + 4); /* NVFP4 */
    refused(&t, 0, TRI_UNSUPPORTED, 0);
    release(&t);
}

/* In half precision, too, a master weight at half the mean goes to 0, the next one up to 1. */
static void masters_of_sixteen_bits(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        uint16_t (*narrow)(float) = bf16 ? tri_f32_to_bf16 : tri_f32_to_f16;
        const uint16_t half = narrow(0.5f);
        const uint16_t data[4] = {half, (uint16_t)(half + 1), narrow(-2.0f), narrow(-1.0f)}; /* mean: 1 and a little */
        const struct tri_tensor t = tensor_of(tri_encoding_find(bf16 ? TRI_MASTER_BF16 : TRI_MASTER_F16), 2, 2,
                                              (const uint8_t *)data);
        const struct tri_ternary w = read(&t);
        check_row(&w, 0, "0+");
        check_row(&w, 1, "--");
    }
}

/* -- TL1 and TL2 in files --------------------------------------------------------- */

/* Those of which the configuration is known: every byte of the codes belongs to some element, none lies behind. */
static void known_shapes_of_tl(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1536, 4096}, {1536, 1536},  {4096, 1536},  {3200, 8640}, {3200, 3200},
                                        {8640, 3200}, {14336, 4096}, {4096, 14336}, {1024, 4096}, {4096, 4096}};
    for (int i = 0; i < 20; i++) {
        const int64_t m = shapes[i / 2][0], k = shapes[i / 2][1];
        const struct tri_tensor t = tensor_of(i % 2 ? &tri_encoding_tl2 : tri_encoding_find(TL1), k, m, NULL);
        const struct tri_tl *c = (i % 2 ? tri_tl2_find : tri_tl1_find)(&t);
        struct tri_error e;
        assert_non_null(c);
        assert_int_equal(t.encoding->fits(&t, &e), TRI_OK);
        assert_true(m % c->rows == 0 && c->rows % c->at_once == 0 && k % c->columns % 32 == 0);
        assert_true(i % 2 || k % c->columns == 0);
        assert_true(t.encoding->byte(&t, m - 1, k - 1) < t.bytes - 32);
    }
    const struct tri_tensor other = tensor_of(tri_encoding_find(TL1), 2560, 6912, NULL);
    struct tri_ternary w;
    struct tri_error e;
    assert_int_equal(tri_ternary_read(&w, &other, &e), TRI_UNSUPPORTED);
    assert_non_null(strstr(e.text, "6912 x 2560"));
}

/* Nibbles that stand for no pair and no three, where the last row begins and where it ends. */
static void strays_of_tl_are_refused(void **state)
{
    (void)state;
    enum { M = 1536, LONG = 4096 };
    for (int kind = 1; kind <= 2; kind++) {
        struct tri_tensor t = tensor_of(kind == 1 ? tri_encoding_find(TL1) : &tri_encoding_tl2, LONG, M, NULL);
        uint8_t *data = calloc(t.bytes, 1);
        memcpy(data + t.bytes - 32, &(float){1}, sizeof(float));
        t.data = data;
        for (int i = 0; i < LONG; i += LONG - 1) {
            const int byte = (int)t.encoding->byte(&t, M - 1, i);
            data[byte] = 0xff;
            refused(&t, M - 1, TRI_BAD_FILE, byte);
            data[byte] = 0;
        }
        const struct tri_ternary w = read(&t);
        struct tri_error e;
        int8_t trits[LONG];
        assert_int_equal(tri_ternary_row(&w, M - 1, trits, &e), TRI_OK);
        assert_int_equal(trits[LONG - 1], -1);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(i2s_vectors),
        cmocka_unit_test(block_vectors),
        cmocka_unit_test(row_vectors),
        cmocka_unit_test(tl_vectors),
        cmocka_unit_test(packed_vectors),
        cmocka_unit_test(absmean_vectors),
        cmocka_unit_test(the_same_trits_in_every_encoding),
        cmocka_unit_test(strays_are_refused_wherever_they_stand),
        cmocka_unit_test(any_bytes_are_trits_or_refused),
        cmocka_unit_test(i2s_rows_of_any_length),
        cmocka_unit_test(a_tail_of_each_row),
        cmocka_unit_test(scales_that_are_no_scales_are_refused),
        cmocka_unit_test(scales_are_compared),
        cmocka_unit_test(floats_that_are_no_trits_are_refused),
        cmocka_unit_test(masters_of_sixteen_bits),
        cmocka_unit_test(known_shapes_of_tl),
        cmocka_unit_test(strays_of_tl_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
