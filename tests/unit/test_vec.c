/* The float work of every ISA here against what kernel.h says of it, bit for bit: every length up to some
 * blocks, ordinary values, huge and subnormal ones. The reference is written from the header, with libm's fmaf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "file/tensor.h"
#include "kernels/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 83 };

static const struct tri_vec *vec; /* the one under test */
static uint64_t seed = 7;

static float real(int kind)
{
    const double u = (double)(tri_random(&seed) >> 11) * 0x1p-53 * 2 - 1;
    const int spread = kind == 0 ? 0 : (int)(tri_random(&seed) % (kind == 1 ? 60 : 20)) - (kind == 1 ? 30 : 140);
    return (float)ldexp(u, spread);
}

static void fill(float *x, int n, int kind)
{
    for (int i = 0; i < n; i++)
        x[i] = real(kind);
}

static float tree(float lane[16])
{
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static void same(const void *a, const void *b, size_t bytes, const char *what, int n)
{
    if (memcmp(a, b, bytes))
        print_error("%s of %s differs for n = %d\n", what, vec->isa, n);
    assert_memory_equal(a, b, bytes);
}

static void test_dot_and_axpy(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int n = 0; n <= MOST; n++) {
            float a[MOST + 1], b[MOST + 1], y[MOST + 1], want[MOST + 1], lane[16] = {0}, half_lane[16] = {0};
            uint16_t h[MOST + 1];
            fill(a, n, kind), fill(b, n, kind), fill(y, n, kind);
            for (int i = 0; i < n; i++) {
                h[i] = (uint16_t)(tri_f32_to_f16(a[i]) & (kind == 1 ? 0xbfff : 0xffff)); /* no infinities */
                lane[i % 16] = fmaf(a[i], b[i], lane[i % 16]);
                half_lane[i % 16] = fmaf(tri_f16_to_f32(h[i]), b[i], half_lane[i % 16]);
            }
            float found = vec->dot_f32(a, b, n), expected = tree(lane);
            same(&found, &expected, sizeof found, "dot_f32", n);
            found = vec->dot_f16(h, b, n), expected = tree(half_lane);
            same(&found, &expected, sizeof found, "dot_f16", n);

            const float s = real(kind);
            for (int i = 0; i < n; i++)
                want[i] = fmaf(s, a[i], y[i]);
            vec->axpy_f32(s, a, y, n);
            same(y, want, (size_t)n * 4, "axpy_f32", n);
            for (int i = 0; i < n; i++)
                want[i] = fmaf(s, tri_f16_to_f32(h[i]), y[i]);
            vec->axpy_f16(s, h, y, n);
            same(y, want, (size_t)n * 4, "axpy_f16", n);
        }
}

static void test_four_rows(void **state)
{
    enum { APART = MOST + 5 };
    float a[4 * APART], b[MOST + 1], out[4];
    uint16_t h[4 * APART];
    (void)state;
    fill(a, 4 * APART, 0), fill(b, MOST, 0);
    for (int i = 0; i < 4 * APART; i++)
        h[i] = tri_f32_to_f16(a[i]);
    for (int n = 0; n <= MOST; n++) {
        vec->dots_f32(a, APART, b, n, out);
        for (int r = 0; r < 4; r++)
            same(&out[r], &(float){vec->dot_f32(a + r * APART, b, n)}, 4, "dots_f32", n);
        vec->dots_f16(h, APART, b, n, out);
        for (int r = 0; r < 4; r++)
            same(&out[r], &(float){vec->dot_f16(h + r * APART, b, n)}, 4, "dots_f16", n);

        float y[MOST + 1], want[MOST + 1];
        const float s[4] = {0.5f, -1.25f, 3e-3f, 7.0f};
        for (int half = 0; half < 2; half++) {
            fill(y, MOST, 0);
            memcpy(want, y, sizeof want);
            for (int r = 0; r < 4; r++)
                if (half)
                    vec->axpy_f16(s[r], h + r * APART, want, n);
                else
                    vec->axpy_f32(s[r], a + r * APART, want, n);
            if (half)
                vec->axpys_f16(s, h, APART, y, n);
            else
                vec->axpys_f32(s, a, APART, y, n);
            same(y, want, (size_t)n * 4, half ? "axpys_f16" : "axpys_f32", n);
        }
    }
}

static void test_lanewise(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (int n = 0; n <= MOST; n++) {
            float x[MOST + 1], w[MOST + 1], y[MOST + 1], want[MOST + 1], most = 0;
            int32_t d[MOST + 1];
            fill(x, n, kind), fill(w, n, 0), fill(y, n, 0);
            const float s = real(0);
            for (int i = 0; i < n; i++) {
                d[i] = (int32_t)(tri_random(&seed) % 2000001) - 1000000;
                most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
            }
            const float found = vec->absmax(x, n);
            same(&found, &most, 4, "absmax", n);

            for (int i = 0; i < n; i++)
                want[i] = x[i] * s * w[i];
            vec->norm(x, s, w, y, n);
            same(y, want, (size_t)n * 4, "norm", n);
            for (int i = 0; i < n; i++)
                want[i] = y[i] * s;
            vec->scale(s, y, n);
            same(y, want, (size_t)n * 4, "scale", n);
            for (int i = 0; i < n; i++)
                want[i] = (float)d[i] * s;
            vec->dequantize(d, s, y, n);
            same(y, want, (size_t)n * 4, "dequantize", n);
            for (int i = 0; i < n; i++) {
                const float product = (float)d[i] * s;
                want[i] = w[i] + product;
            }
            memcpy(y, w, (size_t)n * 4);
            vec->dequantize_add(d, s, y, n);
            same(y, want, (size_t)n * 4, "dequantize_add", n);
            const float divisor = 127 / (fabsf(s) + 1e-3f);
            for (int i = 0; i < n; i++)
                want[i] = (float)d[i] * (w[i] / divisor);
            vec->dequantize_rows(d, w, divisor, y, n);
            same(y, want, (size_t)n * 4, "dequantize_rows", n);
            for (int i = 0; i < n; i++)
                want[i] = x[i] + want[i];
            memcpy(y, x, (size_t)n * 4);
            vec->dequantize_rows_add(d, w, divisor, y, n);
            same(y, want, (size_t)n * 4, "dequantize_rows_add", n);
            for (int i = 0; i < n; i++) {
                const float r = x[i] > 0 ? x[i] : 0;
                want[i] = r * r * w[i];
            }
            vec->relu2_mul(x, w, y, n);
            same(y, want, (size_t)n * 4, "relu2_mul", n);
        }
}

static void test_quantize(void **state)
{
    (void)state;
    for (int n = 0; n <= MOST; n++) {
        float x[MOST + 1];
        int8_t q[MOST + 2], want[MOST + 1];
        int32_t sum = 0;
        fill(x, n, 0);
        for (int i = 0; i < n; i++) {
            if (i % 3 == 0)
                x[i] = (float)((int)(tri_random(&seed) % 253) - 126) / 127 + 0.5f / 127; /* near ties */
            want[i] = (int8_t)lrintf(x[i] * 127.0f);
            sum += want[i];
        }
        q[n] = 99;
        assert_int_equal(vec->quantize(x, 127.0f, q, n), sum);
        same(q, want, (size_t)n, "quantize", n);
        assert_int_equal(q[n], 99);
    }
    const float ties[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, 127.0f};
    const int8_t even[] = {0, 2, 2, 0, -2, -2, 126, 127};
    int8_t q[8];
    vec->quantize(ties, 1.0f, q, 8);
    assert_memory_equal(q, even, 8);
}

static void test_to_f16(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int n = 0; n <= MOST; n++) {
            float x[MOST + 1];
            uint16_t h[MOST + 2], want[MOST + 1];
            fill(x, n, kind);
            for (int i = 0; i < n; i++) {
                x[i] = kind == 2 ? ldexpf(x[i], 110) : x[i]; /* into the subnormal halves */
                want[i] = tri_f32_to_f16(x[i]);
            }
            h[n] = 0x1234;
            vec->to_f16(x, h, n);
            same(h, want, (size_t)n * 2, "to_f16", n);
            assert_int_equal(h[n], 0x1234);
        }
}

/* exp has no outside reference for its bits: it must be right to an ulp or two, and the same as plain C. */
static void test_exp(void **state)
{
    const struct tri_vec *c = tri_isas[0].vec;
    (void)state;
    for (int n = 0; n <= MOST; n++) {
        float x[MOST + 1], y[MOST + 1], g[MOST + 1], u[MOST + 1], a[MOST + 1], b[MOST + 1], max = 0;
        for (int i = 0; i < n; i++) {
            x[i] = y[i] = real(0) * 20;
            g[i] = real(0) * (i % 5 == 0 ? 120 : 9), u[i] = real(0);
            max = x[i] > max ? x[i] : max;
        }
        const float sum = vec->exp_sum(x, max, n), want = c->exp_sum(y, max, n);
        same(&sum, &want, 4, "exp_sum", n);
        same(x, y, (size_t)n * 4, "exp_sum's values", n);
        vec->silu_mul(g, u, a, n), c->silu_mul(g, u, b, n);
        same(a, b, (size_t)n * 4, "silu_mul", n);
        for (int i = 0; i < n; i++) {
            const double silu = (double)g[i] / (1 + exp(-(double)g[i])) * (double)u[i];
            assert_true(fabs((double)a[i] - silu) <= 4e-7 * fabs(silu) + 1e-36);
        }
    }
    for (double t = -86.9; t < 0; t += 0.0137) {
        float x = (float)t;
        const double want = exp((double)x);
        vec->exp_sum(&x, 0, 1);
        assert_true(fabs((double)x - want) <= 2.5e-7 * want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dot_and_axpy), cmocka_unit_test(test_four_rows), cmocka_unit_test(test_lanewise), cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_to_f16),       cmocka_unit_test(test_exp),
    };
    int failed = 0;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        if (!isa->present()) {
            printf("skipped %s: this CPU or its system lacks it\n", isa->name);
            continue;
        }
        vec = isa->vec;
        failed += cmocka_run_group_tests_name(isa->name, tests, NULL, NULL);
    }
    return failed != 0;
}
