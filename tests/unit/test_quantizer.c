/* tests/vectors/quantizers.json: the activation quantiser of every ISA here, and one whole linear layer through the
 * default kernels, against values made from the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "engine/linear.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MOST = 512 };

static json_t *vectors;

static int floats(const json_t *list, float *out)
{
    const int n = (int)json_array_size(list);
    assert_in_range(n, 1, MOST);
    for (int i = 0; i < n; i++)
        out[i] = (float)json_number_value(json_array_get(list, (size_t)i));
    return n;
}

static void check_q(const json_t *want, const int8_t *q, int n)
{
    assert_int_equal(json_array_size(want), n);
    for (int i = 0; i < n; i++)
        assert_int_equal(json_integer_value(json_array_get(want, (size_t)i)), q[i]);
}

/* Quantises x as the engine does; the caller's buffers hold one token. */
static void quantise(const struct tri_vec *v, const float *x, int n, int kp, int8_t *q, float *s, int32_t *sum)
{
    const struct tri_matrix m = {.k = n, .kp = kp};
    const struct tri_input in = {.x = {.q = q, .ldq = MOST, .sum = sum}, .s = s};
    assert_true(tri_quantize(v, &m, &in, 0, x, v->measure(x, n)));
}

static void test_activations(void **state)
{
    const json_t *cases = json_object_get(vectors, "activation");
    size_t i;
    json_t *c;
    (void)state;
    assert_true(json_array_size(cases) > 0);
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
        json_array_foreach(cases, i, c) {
            float x[MOST], s;
            int8_t q[MOST];
            int32_t sum;
            if (!isa->present())
                continue;
            const int n = floats(json_object_get(c, "x"), x);
            quantise(isa->vec, x, n, n, q, &s, &sum);
            check_q(json_object_get(c, "q"), q, n);
            assert_int_equal(json_integer_value(json_object_get(c, "sum")), sum);
            assert_float_equal(json_number_value(json_object_get(c, "s")), s, 1e-6 * s);
        }
}

static int trits(const json_t *rows, int8_t *out)
{
    const int m = (int)json_array_size(rows);
    for (int r = 0; r < m; r++) {
        const char *row = json_string_value(json_array_get(rows, (size_t)r));
        for (int i = 0; row[i]; i++)
            out[r * MOST + i] = (int8_t)(row[i] == '+' ? 1 : row[i] == '-' ? -1 : 0);
    }
    return m;
}

static void test_linear(void **state)
{
    static int8_t w[MOST * MOST];
    const json_t *c = json_object_get(vectors, "linear");
    float x[MOST], s, y[MOST], want[MOST];
    int8_t q[MOST] = {0};
    int32_t sum, sums[MOST];
    struct tri_error e;
    (void)state;
    const int k = floats(json_object_get(c, "x"), x), m = trits(json_object_get(c, "weights"), w);
    struct tri_matrix matrix = {.m = m, .k = k, .parts = 1};
    const float scale = (float)json_number_value(json_object_get(c, "weight_scale"));
    matrix.part[0] = (struct tri_part){.rows = m, .scale = scale};
    tri_dispatch_plan(TRI_ROLE_O, m, k, 0, &matrix.plan);
    const struct tri_layout *l = matrix.plan.layout;
    matrix.kp = (k + l->kstep - 1) / l->kstep * l->kstep;
    assert_true(m <= l->rows && tri_product_sums(&matrix.plan) >= (size_t)m && !matrix.plan.kernels[0]->prepare);
    matrix.plan.count = 1;
    matrix.packed = tri_alloc((size_t)(matrix.kp / l->kstep), (size_t)l->bytes, "weights", &e);
    l->pack(w, MOST, m, k, matrix.kp, matrix.packed);

    const struct tri_vec *v = tri_dispatch_isa()->vec;
    quantise(v, x, k, matrix.kp, q, &s, &sum);
    check_q(json_object_get(c, "q"), q, k);
    const struct tri_input in = {.x = {.q = q, .ldq = MOST, .sum = &sum}, .s = &s};
    const struct tri_output out = {y, MOST, false};
    assert_true(tri_product_sums(&matrix.plan) <= MOST);
    struct tri_pool *pool = tri_pool_new(1, &e);
    tri_linear(v, &matrix, &in, 1, pool, 0, sums, &out);
    tri_pool_free(pool);
    assert_int_equal(floats(json_object_get(c, "y"), want), m);
    for (int r = 0; r < m; r++)
        assert_float_equal(want[r], y[r], 1e-6 * fabs((double)want[r]) + 1e-9);
    tri_free(matrix.packed);
}

int main(void)
{
    json_error_t error;
    vectors = json_load_file("tests/vectors/quantizers.json", 0, &error);
    if (!vectors) {
        print_error("tests/vectors/quantizers.json: %s\n", error.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_activations), cmocka_unit_test(test_linear)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(vectors);
    return failed;
}
