/* Layouts of three of four: all 32 patterns and their places go in and come out, tails too, and rows that have no such
 * pattern are told. What kernels make of them is for tests/check.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernel.h"

enum { PATTERNS = 32 };

/* Four trits: where the 0 is, and the signs of the others. */
static void pattern(int number, int8_t *trits)
{
    int sign = number / 4;
    for (int i = 0; i < 4; i++) {
        trits[i] = i == number % 4 ? 0 : sign & 1 ? -1 : 1;
        sign >>= i != number % 4;
    }
}

static void rows_are_told_apart(void **state)
{
    (void)state;
    int8_t row[4 * PATTERNS + 3];
    for (int i = 0; i < PATTERNS; i++)
        pattern(i, row + 4 * i);
    memcpy(row + 4 * PATTERNS, (const int8_t[]){-1, 0, 1}, 3);
    for (int tail = 0; tail < 4; tail++)
        assert_int_equal(tri_three_of_four(row, 4 * PATTERNS + tail), 4 * PATTERNS + tail);
    row[4 * PATTERNS + 2] = 0; /* a second one */
    assert_int_equal(tri_three_of_four(row, 4 * PATTERNS + 2), 4 * PATTERNS + 2);
    assert_int_equal(tri_three_of_four(row, 4 * PATTERNS + 3), 4 * PATTERNS);
    for (int i = 0; i < 4; i++) {
        int8_t four[8];
        pattern(i, four);
        pattern(i, four + 4);
        four[4 + i] = -1; /* none */
        assert_int_equal(tri_three_of_four(four, 8), 4);
        memset(four, 0, 2); /* at least two */
        assert_int_equal(tri_three_of_four(four, 8), 0);
    }
}

/* Row r begins with pattern r, so that every pattern is in every place of a step. */
static int8_t *patterns(int rows, int k)
{
    int8_t *trits = calloc((size_t)rows * (size_t)k, 1), four[4];
    assert_non_null(trits);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < k; j++) {
            pattern((r + j / 4) % PATTERNS, four);
            trits[(size_t)r * (size_t)k + (size_t)j] = four[j % 4];
        }
    return trits;
}

static void check_layout(const struct tri_layout *l, int rows, int k)
{
    const int kp = tri_round_up(k, l->kstep);
    const size_t bytes = (size_t)(kp / l->kstep) * (size_t)l->bytes;
    int8_t *trits = patterns(rows, k), *back = calloc((size_t)l->rows, (size_t)kp);
    uint8_t *tile = malloc(bytes);
    assert_non_null(back);
    assert_non_null(tile);
    memset(tile, 0xa5, bytes);
    l->pack(trits, (size_t)k, rows, k, kp, tile);
    l->unpack(tile, kp, back, (size_t)kp);
    for (int r = 0; r < rows; r++)
        if (memcmp(trits + (size_t)r * (size_t)k, back + (size_t)r * (size_t)kp, (size_t)k) != 0)
            fail_msg("%s: row %d of %d x %d came back otherwise", l->name, r, rows, k);
    free(trits), free(back), free(tile);
}

static void every_pattern_comes_back(void **state)
{
    (void)state;
    int layouts = 0;
    for (const struct tri_layout *l = tri_layouts; l->name; l++) {
        if (!l->three_of_four)
            continue;
        assert_int_equal(l->bytes * 8 * 4, l->rows * l->kstep * 5); /* 1.25 bits */
        for (int tail = 0; tail < 4; tail++) {
            check_layout(l, l->rows, l->kstep + tail);
            check_layout(l, 1, 2 * l->kstep - 4 + tail);
        }
        layouts++;
    }
    assert_true(layouts > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_told_apart),
        cmocka_unit_test(every_pattern_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
