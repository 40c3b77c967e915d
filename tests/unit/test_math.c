/* Elementary functions against the C library's long double ones. */
#include "base/math.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t state = 88172645463325252ull;

static double uniform(double from, double to)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return from + (to - from) * ((double)(state >> 11) * 0x1p-53);
}

/* Distance in units of the last place of the double next to the true value. */
static double ulps(double found, long double expected)
{
    double near = fabs((double)expected);
    return (double)(fabsl((long double)found - expected) / (nextafter(near, INFINITY) - near));
}

enum { DRAWS = 200000 };

static void exp_is_close(void **unused)
{
    (void)unused;
    double worst = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = i % 2 ? uniform(-707.9, 709.7) : uniform(-20, 1);
        worst = fmax(worst, ulps(tri_exp(x), expl(x)));
    }
    assert_true(worst <= 1.0);
    assert_true(tri_exp(0) == 1);
    assert_true(tri_exp(-708.5) == 0 && tri_exp(-INFINITY) == 0);
    assert_true(isinf(tri_exp(709.79)) && isinf(tri_exp(INFINITY)));
    assert_true(isfinite(tri_exp(709.78)));
    assert_true(isnan(tri_exp(NAN)));
}

static void log_is_close(void **unused)
{
    (void)unused;
    double worst = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = i % 2 ? exp(uniform(-700, 709)) : uniform(0.5, 2);
        worst = fmax(worst, ulps(tri_log(x), logl(x)));
    }
    assert_true(worst <= 1.0);
    assert_true(tri_log(1) == 0);
    assert_true(ulps(tri_log(0x1.fffffffffffffp+1023), logl(0x1.fffffffffffffp+1023)) <= 1);
    assert_true(ulps(tri_log(0x1p-1022), logl(0x1p-1022)) <= 1);
}

static void pow_is_close(void **unused)
{
    (void)unused;
    for (int i = 0; i < DRAWS; i++) {
        double x = uniform(1, 2e6), y = uniform(-1, 0);
        assert_true(ulps(tri_pow(x, y), powl(x, y)) <=
                    18); /* y log x reaches 14.5 and carries its own error */
    }
}

static void sincos_is_close(void **unused)
{
    (void)unused;
    double worst = 0, s, c;
    for (int i = 0; i < DRAWS; i++) {
        double x = i % 3 ? i % 3 == 1 ? uniform(-1e6, 1e6) : uniform(-4, 4)
                         : (int)uniform(-6e5, 6e5) * (M_PI / 2);
        tri_sincos(x, &s, &c);
        worst = fmax(worst, ulps(s, sinl(x)));
        worst = fmax(worst, ulps(c, cosl(x)));
    }
    assert_true(worst <= 2.0);
    tri_sincos(0, &s, &c);
    assert_true(s == 0 && c == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_close),
        cmocka_unit_test(log_is_close),
        cmocka_unit_test(pow_is_close),
        cmocka_unit_test(sincos_is_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
