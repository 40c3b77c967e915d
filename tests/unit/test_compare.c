/* Ratios of medians and their bounds: of lists small enough to say what drawing from them gives. */
#include "base/statistics.h"
#include "cli/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

static struct tri_ratio ratio_of(const double *a, int a_count, const double *b, int b_count)
{
    struct tri_error e = {0};
    struct tri_ratio r;
    assert_int_equal(tri_ratio_of_medians(a, a_count, b, b_count, &r, &e), TRI_OK);
    return r;
}

static void a_median_is_in_the_middle(void **unused)
{
    (void)unused;
    double odd[] = {9, 1, 5}, even[] = {8, 1, 2, 4}, one[] = {7};
    assert_true(tri_median(odd, 3) == 5);
    assert_true(tri_median(even, 4) == 3);
    assert_true(tri_median(one, 1) == 7);
    assert_true(even[0] == 1 && even[1] == 2 && even[2] == 4 && even[3] == 8);
}

/* The median of three drawn from {1, 2, 10} is 1 in 7 of 27 cases and 10 in as many. */
static void bounds_are_what_drawing_gives(void **unused)
{
    (void)unused;
    const double three[] = {10, 1, 2}, same[] = {4, 4};
    const struct tri_ratio r = ratio_of(three, 3, same, 2);
    assert_true(r.bounded && r.ratio == 0.5 && r.low == 0.25 && r.high == 2.5);
    assert_false(tri_ratio_differs(&r));
}

/* That of nine drawn from 1 to 9 is 1 with probability 0.001, at most 2 with 0.030, at most 3 with 0.145. */
static void bounds_leave_out_what_is_rare(void **unused)
{
    (void)unused;
    const double nine[] = {5, 1, 9, 2, 8, 3, 7, 4, 6}, same[] = {0.5, 0.5, 0.5};
    const struct tri_ratio r = ratio_of(nine, 9, same, 3);
    assert_true(r.ratio == 10);
    assert_true(r.low == 4 || r.low == 6);
    assert_true(r.high == 14 || r.high == 16);
    assert_true(tri_ratio_differs(&r));
}

static void the_other_way_round_is_the_inverse(void **unused)
{
    (void)unused;
    const double a[] = {40, 41, 42, 43}, b[] = {50, 51, 52, 53, 54};
    const struct tri_ratio ab = ratio_of(a, COUNT(a), b, COUNT(b)), ba = ratio_of(b, COUNT(b), a, COUNT(a));
    assert_true(ab.ratio == 41.5 / 52 && ba.ratio == 52 / 41.5);
    assert_true(40.0 / 54 <= ab.low && ab.low < ab.ratio && ab.ratio < ab.high && ab.high <= 43.0 / 50);
    assert_true(tri_ratio_differs(&ab) && tri_ratio_differs(&ba));
}

static void the_order_of_samples_does_not_matter(void **unused)
{
    (void)unused;
    const double a[] = {3, 1, 4, 1.5, 9, 2.6}, b[] = {9, 2.6, 1, 3, 1.5, 4}, c[] = {2, 7, 1, 8};
    const struct tri_ratio ac = ratio_of(a, COUNT(a), c, COUNT(c)), bc = ratio_of(b, COUNT(b), c, COUNT(c));
    assert_true(ac.ratio == bc.ratio && ac.low == bc.low && ac.high == bc.high);
}

static void one_sample_bounds_nothing(void **unused)
{
    (void)unused;
    const double one[] = {6}, many[] = {2, 3, 4};
    const struct tri_ratio r = ratio_of(one, 1, many, 3);
    assert_true(!r.bounded && r.ratio == 2 && r.low == 2 && r.high == 2);
    assert_false(tri_ratio_differs(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_median_is_in_the_middle),
        cmocka_unit_test(bounds_are_what_drawing_gives),
        cmocka_unit_test(bounds_leave_out_what_is_rare),
        cmocka_unit_test(the_other_way_round_is_the_inverse),
        cmocka_unit_test(the_order_of_samples_does_not_matter),
        cmocka_unit_test(one_sample_bounds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
