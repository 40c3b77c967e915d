/* Products cut among threads and into calls: by what kernels cost, to the same integers whatever they cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/product.h"

/* -- cutting ------------------------------------------------------------------------------------------------- */

static struct tri_kernel takes[TRI_PLAN_KERNELS];

static struct tri_plan plan_of(int count, const int *tokens, const int64_t *cost)
{
    struct tri_plan plan = {.count = count};
    for (int i = 0; i < count; i++) {
        takes[i].tokens = tokens[i];
        plan.kernels[i] = &takes[i];
        plan.cost[i] = cost ? cost[i] : 0;
    }
    tri_plan_cut(&plan);
    return plan;
}

static int64_t cost_of(const struct tri_plan *plan, const struct tri_kernel *kernel)
{
    for (int i = 0; i < plan->count; i++)
        if (plan->kernels[i] == kernel)
            return plan->cost[i];
    fail_msg("a kernel that is not in the plan");
    return 0;
}

static int64_t cost_of_cut(const struct tri_plan *plan, int n)
{
    int64_t sum = 0;
    while (n > 0) {
        const struct tri_kernel *kernel = tri_plan_next(plan, n);
        assert_true(n > 1 || kernel->tokens == 1);
        sum += cost_of(plan, kernel);
        n -= kernel->tokens;
    }
    return sum;
}

/* The least of every way to cut n tokens, tried one by one. */
static int64_t cheapest(const struct tri_plan *plan, int n)
{
    int64_t best = n <= 0 ? 0 : n == 1 ? plan->cost[0] : INT64_MAX;
    for (int i = 0; n > 1 && i < plan->count; i++) {
        const int64_t sum = plan->cost[i] + cheapest(plan, n - plan->kernels[i]->tokens);
        best = sum < best ? sum : best;
    }
    return best;
}

static void test_cheapest(void **state)
{
    static const int tokens[] = {1, 2, 3, 4, 8, 12};
    static const int64_t costs[][6] = {{100, 190, 280, 370, 740, 1110},   /* the larger the better */
                                       {100, 190, 280, 370, 1500, 2500},  /* no use for the last two */
                                       {100, 105, 110, 115, 120, 1000},   /* more than there are */
                                       {100, 300, 250, 600, 900, 900}};
    (void)state;
    for (size_t c = 0; c < sizeof costs / sizeof costs[0]; c++) {
        const struct tri_plan plan = plan_of(6, tokens, costs[c]);
        for (int n = 1; n <= 14; n++)
            assert_int_equal(cost_of_cut(&plan, n), cheapest(&plan, n));
    }
}

static void expect_cut(const struct tri_plan *plan, int n, const int *want, int calls)
{
    for (int i = 0; i < calls; i++) {
        assert_int_equal(tri_plan_next(plan, n)->tokens, want[i]);
        n -= want[i];
    }
    assert_true(n <= 0);
}

static void test_unknown_costs(void **state)
{
    static const int tokens[] = {1, 2, 3, 4, 5, 6, 8, 12};
    (void)state;
    const struct tri_plan plan = plan_of(8, tokens, NULL);
    expect_cut(&plan, 1, (const int[]){1}, 1);
    expect_cut(&plan, 7, (const int[]){6, 1}, 2);
    expect_cut(&plan, 13, (const int[]){12, 1}, 2);
    expect_cut(&plan, 16, (const int[]){12, 4}, 2);
    const int64_t some[] = {100, 0, 5, 5, 5, 5, 5, 5}; /* one is missing: none is believed */
    const struct tri_plan same = plan_of(8, tokens, some);
    assert_memory_equal(plan.first, same.first, sizeof plan.first);
}

/* Panels of matrix units, and more tokens than the table of cuts has. */
static void test_many_tokens(void **state)
{
    static const int tokens[] = {1, 16, 256};
    static const int64_t cost[] = {100, 301, 3000};
    (void)state;
    const struct tri_plan plan = plan_of(3, tokens, cost);
    expect_cut(&plan, 3, (const int[]){1, 1, 1}, 3);
    expect_cut(&plan, 4, (const int[]){16}, 1); /* 301, where four calls are 400 */
    expect_cut(&plan, 512, (const int[]){256, 256}, 2);
    expect_cut(&plan, 530, (const int[]){256, 256, 16, 1, 1}, 5);
    expect_cut(&plan, 700, (const int[]){256, 256, 256}, 3); /* cheaper than twelve of 16 */
    for (int n = 1; n <= 4096; n++) {
        int calls = 0;
        for (int left = n; left > 0; left -= tri_plan_next(&plan, left)->tokens)
            calls++;
        assert_true(calls <= n / 256 + 16 + 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cheapest), cmocka_unit_test(test_unknown_costs), cmocka_unit_test(test_many_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
