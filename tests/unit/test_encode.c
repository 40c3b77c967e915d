/* Encoders against the vectors made with the reference library, bit for bit, and against the decoders. */
#include "file/encode.h"
#include "file/ternary.h"
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

static void assert_hex(const char *hex, const uint8_t *bytes, const char *what)
{
    for (size_t i = 0; i < strlen(hex) / 2; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        if (byte != bytes[i])
            fail_msg("%s: byte %zu: expected %02x, found %02x", what, i, byte, bytes[i]);
    }
}

/* -- trits ----------------------------------------------------------------------------------------- */

static void trits_of(const char *text, int8_t *trits)
{
    for (; *text; text++)
        *trits++ = *text == '-' ? -1 : *text == '+' ? 1 : 0;
}

static void check_case(const struct tri_encoder *c, const json_t *one)
{
    static int8_t trits[1 << 14];
    static uint8_t out[1 << 16];
    const char *weights = text_of(one, "weights");
    const float scale = (float)json_number_value(json_object_get(one, "d"));
    assert_true(strlen(weights) <= sizeof trits && strlen(weights) % (size_t)c->group == 0);
    trits_of(weights, trits);
    c->groups(trits, (int64_t)strlen(weights) / c->group, scale, out);
    assert_hex(text_of(one, "bytes_hex"), out, text_of(one, "name"));
}

static void vectors_of(const char *path)
{
    json_t *root = load(path);
    const json_t *cases = json_object_get(root, "cases"), *one;
    const struct tri_encoder *c =
        tri_encoder_find(tri_encoding_find((uint32_t)json_integer_value(json_object_get(root, "type_id"))));
    size_t i;
    assert_non_null(c);
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, one)
        check_case(c, one);
    json_decref(root);
}

static void test_trits(void **state)
{
    (void)state;
    vectors_of("tests/vectors/tq1_0.json");
    vectors_of("tests/vectors/tq2_0.json");
    vectors_of("tests/vectors/q2_0.json");
}

/* -- floats ---------------------------------------------------------------------------------------- */

static size_t floats_of(const json_t *list, float *out)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (float)json_number_value(json_array_get(list, i));
    return json_array_size(list);
}

static void check_blocks(const json_t *root, const char *name, bool exact)
{
    static float in[1 << 12], back[1 << 12], best[1 << 12];
    static uint8_t out[1 << 15];
    const json_t *one = json_object_get(root, name);
    const uint32_t id = (uint32_t)json_integer_value(json_object_get(one, "type_id"));
    const struct tri_encoding *encoding = tri_encoding_find(id);
    const struct tri_float_encoder *f = tri_float_encoder_find(encoding);
    const size_t n = floats_of(json_object_get(one, "input"), in);
    const struct tri_tensor t = {.encoding = encoding, .dims = 1, .ne = {(int64_t)n, 1, 1, 1}, .data = out, .factor = 1};
    double error = 0, least = 0;
    assert_non_null(f);
    assert_true(n > 0 && n % (size_t)f->block == 0);
    f->blocks(in, (int64_t)n / f->block, out);
    if (exact)
        assert_hex(text_of(one, "bytes_hex"), out, name);
    encoding->floats(&t, 0, back);
    floats_of(json_object_get(one, "dequant"), best);
    for (size_t i = 0; i < n; i++) {
        error += pow((double)in[i] - (double)back[i], 2);
        least += pow((double)in[i] - (double)best[i], 2);
    }
    if (error > 1.02 * least)
        fail_msg("%s: expected a squared error of about %g, as the reference has, found %g", name, least, error);
}

static void test_floats(void **state)
{
    (void)state;
    json_t *root = load("tests/vectors/blocks.json");
    check_blocks(root, "q8_0", true);
    check_blocks(root, "q4_0", true);
    check_blocks(root, "q6_K", false);
    json_decref(root);
}

static void test_zeros(void **state)
{
    (void)state;
    static const uint32_t ids[] = {0, 1, 2, 8, 14};
    const float zeros[256] = {0};
    float back[256];
    uint8_t out[1024];
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const struct tri_float_encoder *f = tri_float_encoder_find(tri_encoding_find(ids[i]));
        const struct tri_tensor t = {.encoding = tri_encoding_find(ids[i]), .ne = {256, 1, 1, 1}, .data = out};
        f->blocks(zeros, 256 / f->block, out);
        t.encoding->floats(&t, 0, back);
        for (int k = 0; k < 256; k++)
            assert_true(back[k] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trits),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
