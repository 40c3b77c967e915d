/* Encodings: sizes, rows of floats against the vectors, 16-bit floats, what is refused. */
#include "base/error.h"
#include "file/tensor.h"
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

static uint32_t hex_word(const json_t *object, const char *key)
{
    return (uint32_t)strtoul(text_of(object, key), NULL, 16);
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static struct tri_tensor tensor_of(uint32_t id, int64_t k, int64_t rows, const uint8_t *data)
{
    struct tri_error e;
    struct tri_tensor t = {.name = "blk.0.attn_q.weight",
                           .encoding = tri_encoding_find(id),
                           .dims = 2,
                           .ne = {k, rows, 1, 1},
                           .data = data,
                           .offset = 1000,
                           .factor = 1};
    assert_non_null(t.encoding);
    assert_int_equal(tri_tensor_size(&t, &e), TRI_OK);
    return t;
}

/* -- 16-bit floats ------------------------------------------------------- */

static void halves_match_the_vectors(void **state)
{
    (void)state;
    json_t *root = load("tests/vectors/half.json"), *row;
    size_t i;
    assert_true(json_array_size(json_object_get(root, "rows")) > 20);
    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        float f = float_of(hex_word(row, "f32"));
        assert_int_equal(tri_f32_to_f16(f), hex_word(row, "f16"));
        assert_int_equal(tri_f32_to_bf16(f), hex_word(row, "bf16"));
    }
    json_decref(root);
}

/* What an f16 stands for, from the definition. */
static double f16_value(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -v : v;
}

static void every_half_survives_both_ways(void **state)
{
    (void)state;
    for (uint32_t h = 0; h <= 0xffff; h++) {
        float f = tri_f16_to_f32((uint16_t)h), b = tri_bf16_to_f32((uint16_t)h);
        if ((h & 0x7c00) != 0x7c00)
            assert_true((double)f == f16_value((uint16_t)h));
        if ((h & 0x7fff) > 0x7c00)
            assert_true(isnan(f) && isnan(tri_f16_to_f32(tri_f32_to_f16(f))));
        else
            assert_int_equal(tri_f32_to_f16(f), h);
        if ((h & 0x7fff) > 0x7f80)
            assert_true(isnan(b) && isnan(tri_bf16_to_f32(tri_f32_to_bf16(b))));
        else
            assert_int_equal(tri_f32_to_bf16(b), h);
    }
    assert_int_equal(bits_of(tri_f16_to_f32(0x7c00)), 0x7f800000);
    assert_int_equal(bits_of(tri_f16_to_f32(0x8000)), 0x80000000);
}

/* Between two neighbours: the middle goes to the even one, a hair beside it to the nearer. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7bff; h++) {
        float low = tri_f16_to_f32(h), high = tri_f16_to_f32(h + 1), middle = (low + high) / 2;
        assert_int_equal(tri_f32_to_f16(middle), h + (h & 1));
        assert_int_equal(tri_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(tri_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(tri_f32_to_f16(-middle), 0x8000 | (h + (h & 1)));
    }
}

/* -- floats, sizes ------------------------------------------------------- */

/* At an odd address too, since nothing but the file's alignment promises a better one. */
static void float_rows(void **state)
{
    (void)state;
    const float values[6] = {0, -1.5f, 65504, 0x1p-24f, 3, -0.0f};
    uint8_t data[1 + sizeof values];
    for (uint32_t id = 0; id < 3; id++) {
        const uint32_t ids[] = {0, 1, 30};
        struct tri_tensor t = tensor_of(ids[id], 3, 2, data + 1);
        for (int i = 0; i < 6; i++) {
            uint16_t half = ids[id] == 1 ? tri_f32_to_f16(values[i]) : tri_f32_to_bf16(values[i]);
            memcpy(data + 1 + 2 * i, &half, sizeof half);
        }
        if (ids[id] == 0)
            memcpy(data + 1, values, sizeof values);
        for (int row = 0; row < 2; row++) {
            float out[3];
            t.encoding->floats(&t, row, out);
            for (int i = 0; i < 3; i++) {
                float v = values[3 * row + i];
                float stored = ids[id] == 30 ? tri_bf16_to_f32(tri_f32_to_bf16(v)) : v;
                assert_int_equal(bits_of(out[i]), bits_of(stored));
            }
        }
    }
}

static void check_values(const json_t *want, uint32_t id, const char *hex)
{
    size_t size;
    uint8_t *data = from_hex(hex, 0, &size);
    const int k = (int)json_array_size(want);
    const struct tri_tensor t = tensor_of(id, k / 2, 2, data);
    float *found = malloc((size_t)k * sizeof *found);
    assert_int_equal(t.bytes, size);
    for (int row = 0; row < 2; row++)
        t.encoding->floats(&t, row, found + row * k / 2);
    for (int i = 0; i < k; i++)
        assert_true((double)found[i] == json_number_value(json_array_get(want, (size_t)i)));
    free(found);
    free(data);
}

static void blocks_match_the_vectors(void **state)
{
    (void)state;
    static const char *const names[] = {"q8_0", "q4_0", "q4_K", "q6_K"};
    json_t *root = load("tests/vectors/blocks.json");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *c = json_object_get(root, names[i]), *one = json_object_get(c, "random_block_dequant");
        const uint32_t id = (uint32_t)json_integer_value(json_object_get(c, "type_id"));
        check_values(json_object_get(c, "dequant"), id, text_of(c, "bytes_hex"));
        size_t size;
        float found[256];
        uint8_t *data = from_hex(text_of(c, "random_block_hex"), 0, &size);
        const struct tri_tensor t = tensor_of(id, (int64_t)json_array_size(one), 1, data);
        t.encoding->floats(&t, 0, found);
        for (int k = 0; k < t.ne[0]; k++)
            assert_true((double)found[k] == json_number_value(json_array_get(one, (size_t)k)));
        free(data);
    }
    json_decref(root);
}

static void sizes_follow_the_formats(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint32_t id;
        int64_t k, rows;
        uint64_t bytes;
    } sizes[] = {
        {"F32", 0, 5, 3, 60},
        {"F16", 1, 5, 3, 30},
        {"BF16", 30, 5, 3, 30},
        {"Q8_0", 8, 64, 3, 204},
        {"Q6_K", 14, 512, 2, 840},
        {"Q4_0", 2, 32, 1, 18},
        {"I2_S", 36, 192, 4, 224},
        {"I2_S", 36, 5460, 2048, 5460 * 2048 / 4 + 32},
        {"TL1", 38, 1536, 4096, 1572896},
        {"TQ1_0", 34, 256, 2, 108},
        {"TQ2_0", 35, 512, 1, 132},
        {"IQ1_BN", 134, 128, 3, 84},
        {"IQ2_BN", 135, 128, 3, 108},
        {"Q2_0", 42, 64, 2, 36},
        {"F64", 28, 3, 1, 24},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct tri_tensor t = tensor_of(sizes[i].id, sizes[i].k, sizes[i].rows, NULL);
        assert_string_equal(t.encoding->name, sizes[i].name);
        assert_int_equal(t.bytes, sizes[i].bytes);
    }
    assert_null(tri_encoding_find(200));
    assert_null(tri_encoding_find(UINT32_MAX));
}

static void tl2_sizes_follow_its_vectors(void **state)
{
    (void)state;
    struct tri_error e;
    json_t *root = load("tests/vectors/tl2.json"), *c;
    size_t i;
    struct tri_tensor t = {.encoding = &tri_encoding_tl2, .dims = 2, .ne = {128, 4096, 1, 1}};
    assert_int_equal(tri_tensor_size(&t, &e), TRI_BAD_FILE);
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 4);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        t.ne[0] = json_integer_value(json_object_get(c, "cols"));
        t.ne[1] = json_integer_value(json_object_get(c, "rows"));
        assert_int_equal(tri_tensor_size(&t, &e), TRI_OK);
        assert_int_equal(t.bytes, json_integer_value(json_object_get(c, "tensor_nbytes")));
    }
    json_decref(root);
}

static void shapes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const int64_t big = (int64_t)1 << 62;
    const struct {
        uint32_t id;
        int64_t ne[4];
    } shapes[] = {
        {0, {0, 1, 1, 1}},    {0, {1, 1, 0, 1}},          {0, {INT64_MIN, 1, 1, 1}},
        {0, {-1, 1, 1, 1}},   {0, {big, 2, 1, 1}},        {0, {1 << 30, 1 << 30, 1 << 30, 1}},
        {0, {big, 1, 1, 1}},  {28, {INT64_MAX, 1, 1, 1}}, {8, {33, 1, 1, 1}},
        {36, {64, 1, 1, 1}},  {36, {100, 3, 1, 1}},       {135, {100, 1, 1, 1}},
        {14, {128, 2, 1, 1}}, {0, {1, 1, 1, INT64_MIN}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct tri_error e = {.status = TRI_OK};
        struct tri_tensor t = {.encoding = tri_encoding_find(shapes[i].id), .dims = 4};
        memcpy(t.ne, shapes[i].ne, sizeof t.ne);
        assert_int_equal(tri_tensor_size(&t, &e), TRI_BAD_FILE);
        assert_true(strlen(e.text) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_match_the_vectors),
        cmocka_unit_test(every_half_survives_both_ways),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(float_rows),
        cmocka_unit_test(blocks_match_the_vectors),
        cmocka_unit_test(sizes_follow_the_formats),
        cmocka_unit_test(tl2_sizes_follow_its_vectors),
        cmocka_unit_test(shapes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
