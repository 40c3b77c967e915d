/* Which tasks are drawn of many: as programs built with libstdc++ 12 draw them (numbers written by such a program). */
#include "cli/quality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { DRAWN = 8 };

static void expect(const struct tri_task_format *f, size_t count, const size_t expected[DRAWN])
{
    size_t *order = calloc(count, sizeof *order);
    assert_non_null(order);
    assert_int_equal(tri_task_order(f, count, DRAWN, order), DRAWN);
    for (int i = 0; i < DRAWN; i++)
        assert_int_equal(order[i], expected[i]);
    free(order);
}

/* uniform_int_distribution gave 4187 10012 7232 9361 1 1285 3034 10025, each among those left. */
static void hellaswag(void **state)
{
    (void)state;
    expect(&tri_hellaswag, 10042, (const size_t[]){4187, 10013, 7233, 9363, 1, 1286, 3036, 10032});
}

static void winogrande(void **state)
{
    (void)state;
    expect(&tri_winogrande, 1267, (const size_t[]){528, 1262, 911, 1178, 0, 161, 381, 1258});
}

static void all(void **state)
{
    size_t order[5], seen = 0;
    (void)state;
    assert_int_equal(tri_task_order(&tri_multiple_choice, 5, 0, order), 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(order[i], i);
    assert_int_equal(tri_task_order(&tri_hellaswag, 5, 9, order), 5);
    for (size_t i = 0; i < 5; i++)
        seen |= (size_t)1 << order[i];
    assert_int_equal(seen, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hellaswag), cmocka_unit_test(winogrande),
                                       cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
