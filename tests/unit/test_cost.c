/* What passes are thought to cost: from clocks that the test sets. */
#include "engine/cost.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MANY = 1000 }; /* passes: more than are remembered */

static struct tri_cost begin(void)
{
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    struct bytes file = synthetic_file(&m);
    struct tri_gguf *g = tri_gguf_read(file.at, file.count, "test.gguf", &e);
    struct tri_pool *pool = tri_pool_new(1, &e);
    struct tri_model *model = g && pool ? tri_model_load(g, pool, &e) : NULL;
    struct tri_cost cost;
    assert_non_null(model);
    tri_cost_begin(&cost, model);
    tri_model_free(model);
    tri_pool_free(pool);
    tri_gguf_close(g);
    free(file.at);
    return cost;
}

static void near(double found, double expected)
{
    if (fabs(found - expected) > 1e-9 * expected)
        fail_msg("expected %.12g, found %.12g", expected, found);
}

static void more_tokens_are_expected_to_cost_more(void **unused)
{
    (void)unused;
    const struct tri_cost c = begin();
    near(c.of[1], 1);
    for (int n = 2; n <= TRI_COST_TOKENS; n++)
        assert_true(c.of[n] > c.of[n - 1] && c.of[n] < n);
}

static void times_take_the_place_of_what_was_expected(void **unused)
{
    (void)unused;
    const struct tri_cost expected = begin();
    struct tri_cost c = expected;
    tri_cost_timed(&c, 1, 0.5);
    for (int n = 1; n <= TRI_COST_TOKENS; n++)
        near(c.of[n], 0.5 * expected.of[n]);
    tri_cost_timed(&c, 4, 0.25 * expected.of[4]);
    near(c.of[1], 0.5);
    near(c.of[2], (0.5 - 0.25 / 3) * expected.of[2]);
    near(c.of[4], 0.25 * expected.of[4]);
    near(c.of[8], 0.25 * expected.of[8]);
    tri_cost_timed(&c, 4, 99); /* somebody else was at work */
    near(c.of[4], 0.25 * expected.of[4]);
    tri_cost_timed(&c, 1, 0.4);
    near(c.of[1], 0.4);
}

static void old_times_are_forgotten(void **unused)
{
    (void)unused;
    const struct tri_cost expected = begin();
    struct tri_cost c = expected;
    tri_cost_timed(&c, 1, 1e-6);
    tri_cost_timed(&c, 8, 77);
    near(c.of[8], 77);
    for (int i = 0; i < MANY; i++)
        tri_cost_timed(&c, 1, 2);
    for (int n = 1; n <= TRI_COST_TOKENS; n++)
        near(c.of[n], 2 * expected.of[n]);
    for (int i = 0; i < MANY; i++)
        tri_cost_timed(&c, 8, 3);
    near(c.of[8], 3);
    near(c.of[1], 3 / expected.of[8]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_tokens_are_expected_to_cost_more),
        cmocka_unit_test(times_take_the_place_of_what_was_expected),
        cmocka_unit_test(old_times_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
