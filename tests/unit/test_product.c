/* Products cut among threads and into calls: by what kernels cost, to the same integers whatever they cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/cores.h"
#include "kernels/balance.h"
#include "kernels/product.h"
#include "kernels/verify.h"

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
        for (int n = 1; n <= 14; n++) {
            assert_int_equal(cost_of_cut(&plan, n), cheapest(&plan, n));
            assert_int_equal(tri_plan_cost(&plan, n), cheapest(&plan, n));
        }
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

/* -- products ------------------------------------------------------------------------------------------------- */

enum { M = 500, K = 300, N = 25, LDQ = 512 };

struct product {
    struct tri_pool *pool;
    struct tri_plan plan;
    int kp, n;
    int8_t w[M * LDQ], *q;
    uint8_t *packed, *table;
    int32_t *sum, *sums, want[N * M], y[N * M];
    size_t ldt;
};

static void *memory(size_t count, size_t size)
{
    struct tri_error e;
    void *p = tri_alloc(count, size, "a test", &e);
    assert_non_null(p);
    return p;
}

static void pack(void *arg, int thread, int threads)
{
    struct product *p = arg;
    const struct tri_layout *l = p->plan.layout;
    const size_t tile = (size_t)(p->kp / l->kstep) * (size_t)l->bytes;
    int from, to;
    (void)threads;
    tri_product_share(l, M, p->pool, thread, &from, &to);
    for (int i = from; i < to; i++) {
        const int row = i * l->rows, rows = M - row < l->rows ? M - row : l->rows;
        l->pack(p->w + (size_t)row * LDQ, LDQ, rows, K, p->kp, p->packed + (size_t)i * tile);
    }
}

static struct product *product_new(int threads)
{
    struct product *p = memory(1, sizeof *p);
    struct tri_error e;
    uint64_t seed = 5;
    p->pool = tri_pool_new(threads, &e);
    tri_dispatch_plan(TRI_ROLE_O, M, K, 0, &p->plan);
    const struct tri_layout *l = p->plan.layout;
    const size_t tokens = N + (size_t)tri_product_spare(&p->plan);
    p->kp = tri_round_up(K, l->kstep);
    assert_true(p->kp <= LDQ);
    p->ldt = tri_table_bytes(&p->plan, p->kp);
    p->q = memory(tokens, LDQ), p->sum = memory(tokens, sizeof *p->sum), p->table = memory(tokens, p->ldt + 1);
    p->sums = memory((size_t)threads * tri_product_sums(&p->plan), sizeof *p->sums);
    p->packed = memory((size_t)(p->kp / l->kstep) * (size_t)l->bytes, M / (size_t)l->rows + 1);
    for (int i = 0; i < M * LDQ; i++)
        p->w[i] = (int8_t)((int)(tri_random(&seed) % 3) - 1);
    memset(p->q, 77, tokens * LDQ); /* behind the last token is whatever was there */
    for (int i = 0; i < N * LDQ; i++) {
        p->q[i] = i % LDQ < K ? (int8_t)((int)(tri_random(&seed) % 255) - 127) : 0;
        p->sum[i / LDQ] += p->q[i];
    }
    tri_ref_matmul(p->w, 0, M, LDQ, p->q, LDQ, N, p->want, M);
    return p;
}

static void product_free(struct product *p)
{
    tri_pool_free(p->pool);
    tri_free(p->q), tri_free(p->sum), tri_free(p->table), tri_free(p->sums), tri_free(p->packed);
    tri_free(p);
}

static void keep(const void *arg, int t, int tokens, int m0, int m1, const void *sums)
{
    const int32_t *y = sums;
    struct product *p = *(struct product *const *)arg;
    assert_true(t + tokens <= p->n);
    for (int i = 0; i < tokens; i++)
        for (int m = m0; m < m1 && m < M; m++)
            p->y[(t + i) * M + m] = y[i * (m1 - m0) + m - m0];
}

static void multiply(void *arg, int thread, int threads)
{
    struct product *p = arg;
    const struct tri_operand x = {.q = p->q, .ldq = LDQ, .sum = p->sum, .table = p->table, .ldt = p->ldt};
    (void)threads;
    if (p->plan.kernels[0]->prepare)
        tri_prepare(&p->plan, p->kp, &x, p->n, p->pool, thread);
    tri_pool_sync(p->pool);
    tri_product(&p->plan, p->packed, NULL, M, p->kp, &x, p->n, p->pool, thread,
                p->sums + (size_t)thread * tri_product_sums(&p->plan), keep, &p);
}

/* Every number of tokens, packed and multiplied with the weights the pool has. */
static void check_product(struct product *p)
{
    tri_pool_run(p->pool, pack, p);
    for (p->n = 1; p->n <= N; p->n++) {
        memset(p->y, 0x55, sizeof p->y);
        tri_pool_run(p->pool, multiply, p);
        assert_memory_equal(p->y, p->want, (size_t)p->n * M * sizeof p->y[0]);
    }
}

static void test_any_costs(void **state)
{
    struct product *p = product_new(2);
    (void)state;
    check_product(p);
    for (int i = 0; i < p->plan.count; i++) /* only the largest pays, even for two tokens */
        p->plan.cost[i] = 100 - i;
    tri_plan_cut(&p->plan);
    check_product(p);
    for (int i = 0; i < p->plan.count; i++) /* only the smallest */
        p->plan.cost[i] = 1 + 1000 * i;
    tri_plan_cut(&p->plan);
    check_product(p);
    product_free(p);
}

static void test_any_weights(void **state)
{
    static const int weights[][3] = {{1, 3, 1}, {5, 1, 1}, {1, 1000, 1}};
    (void)state;
    for (int threads = 2; threads <= 3; threads++) {
        struct product *p = product_new(threads);
        for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
            tri_pool_weigh(p->pool, weights[i]);
            check_product(p);
        }
        product_free(p);
    }
}

/* Weights that were measured: which they are is the machine's, but all of the work is done. */
static void test_measured_weights(void **state)
{
    struct tri_error e;
    (void)state;
    const int count = tri_cores();
    struct product *p = product_new(count < 4 ? count : 4);
    assert_int_equal(tri_balance_measure(p->pool, &e), TRI_OK);
    check_product(p);
    assert_int_equal(tri_balance(p->pool, &e), TRI_OK);
    check_product(p);
    product_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cheapest), cmocka_unit_test(test_unknown_costs), cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_any_costs), cmocka_unit_test(test_any_weights),  cmocka_unit_test(test_measured_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
