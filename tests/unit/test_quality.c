/* Which tasks are drawn of many: as programs built with libstdc++ 12 draw them (numbers written by such a program).
 * And files of tasks that are damaged. */
#include "base/twister.h"
#include "cli/quality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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

/* -- damage ---------------------------------------------------------------- */

static void inside(const struct tri_task_file *f, struct tri_text t)
{
    const char *from = (const char *)f->at;
    assert_true(!t.size || (t.at >= from && t.size <= f->size && (size_t)(t.at - from) <= f->size - t.size));
}

/* To the end, or to an error that says where. Returns how many tasks there are. */
static size_t read_all(const struct tri_task_format *format, const uint8_t *at, size_t size)
{
    struct tri_task_file f = {.name = "damaged", .at = at, .size = size};
    struct tri_error e = {0};
    struct tri_task t;
    if (format->begin(&f, &e) == TRI_OK)
        for (; f.offset < f.size && format->read(&f, &t, &e) == TRI_OK; f.number++) {
            assert_in_range(t.answers, 1, TRI_MOST_ANSWERS);
            inside(&f, t.question);
            inside(&f, t.tail);
            for (int i = 0; i < t.answers; i++)
                inside(&f, t.answer[i]);
        }
    assert_true(f.offset <= f.size);
    assert_true(e.status == TRI_OK || (e.status == TRI_BAD_FILE && e.text[0]));
    return f.number;
}

/* Some bytes changed, some at the end cut off; in memory of just that size. */
static void damage(struct tri_twister *random, const struct tri_task_format *format, const char *good, size_t size)
{
    const size_t left = size - tri_twister_below(random, 4) * tri_twister_below(random, (uint32_t)size / 4);
    uint8_t *copy = malloc(left);
    assert_non_null(copy);
    memcpy(copy, good, left);
    for (uint32_t n = tri_twister_below(random, 4); n > 0; n--)
        copy[tri_twister_below(random, (uint32_t)left)] = (uint8_t)tri_twister_next(random);
    read_all(format, copy, left);
    free(copy);
}

static void damaged(void **state)
{
    static const char lines[] = "a b\n1\nc\nd\ne\nf\ng h\n3\n\ni\nj\nk\n", csv[] = "0,\"a, _ b\",c,d,1\n1,e _ f,g,h,2\n";
    static const char binary[] = "\2\0\0\0\14\0\0\0\74\0\0\0" /* two tasks */
                                 "\3\0\0\0abc\2\0\0\0\1\0\0\0d\2\0\0\0ef\1\0\0\0\0\0\0\0\0\0\0\0"
                                 "\1\0\0\0g\1\0\0\0\1\0\0\0h\1\0\0\0\1\0\0\0\1\0\0\0i\0\0\0\0";
    struct tri_twister random;
    (void)state;
    assert_int_equal(read_all(&tri_hellaswag, (const uint8_t *)lines, sizeof lines - 1), 2);
    assert_int_equal(read_all(&tri_winogrande, (const uint8_t *)csv, sizeof csv - 1), 2);
    assert_int_equal(read_all(&tri_multiple_choice, (const uint8_t *)binary, sizeof binary - 1), 2);
    tri_twister_seed(&random, 5);
    for (int i = 0; i < 5000; i++) {
        damage(&random, &tri_hellaswag, lines, sizeof lines - 1);
        damage(&random, &tri_winogrande, csv, sizeof csv - 1);
        damage(&random, &tri_multiple_choice, binary, sizeof binary - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hellaswag), cmocka_unit_test(winogrande),
                                       cmocka_unit_test(all), cmocka_unit_test(damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
