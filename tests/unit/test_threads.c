/* The pool: every thread runs once a region, barriers order what they separate, and far more
 * threads than cores still end. */
#include "base/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct relay {
    struct tri_pool *pool;
    int turns;
    int value[TRI_MAX_THREADS]; /* plain: only the barriers make this right */
    atomic_int wrong, ran;
};

/* Each turn, every thread adds one to its value and then looks at its neighbour's. */
static void relay(void *arg, int thread, int threads)
{
    struct relay *r = arg;
    atomic_fetch_add(&r->ran, 1);
    for (int i = 0; i < r->turns; i++) {
        r->value[thread]++;
        tri_pool_sync(r->pool);
        if (r->value[(thread + 1) % threads] != i + 1)
            atomic_fetch_add(&r->wrong, 1);
        tri_pool_sync(r->pool);
    }
}

static void run(int threads, int regions, int turns)
{
    struct tri_error e;
    struct relay r = {.turns = turns};
    r.pool = tri_pool_new(threads, &e);
    assert_non_null(r.pool);
    assert_int_equal(tri_pool_threads(r.pool), threads);
    for (int i = 0; i < regions; i++) {
        memset(r.value, 0, sizeof r.value);
        tri_pool_run(r.pool, relay, &r);
    }
    tri_pool_free(r.pool);
    assert_int_equal(r.wrong, 0);
    assert_int_equal(r.ran, threads * regions);
}

static void barriers_order(void **unused)
{
    (void)unused;
    for (int threads = 1; threads <= 5; threads++)
        run(threads, 50, 20);
}

static void many_threads_end(void **unused)
{
    (void)unused;
    run(64, 10, 10);
}

static void idle_pools_end(void **unused)
{
    (void)unused;
    struct tri_error e;
    for (int i = 0; i < 20; i++)
        tri_pool_free(tri_pool_new(i % 7 + 1, &e));
}

static void counts_are_checked(void **unused)
{
    (void)unused;
    struct tri_error e;
    assert_null(tri_pool_new(0, &e));
    assert_int_equal(e.status, TRI_USAGE);
    assert_null(tri_pool_new(TRI_MAX_THREADS + 1, &e));
    assert_true(tri_cores() >= 1);
}

static void shares_cover(void **unused)
{
    (void)unused;
    for (int items = 0; items < 40; items++)
        for (int threads = 1, from, to, end; threads < 9; threads++) {
            end = 0;
            for (int t = 0; t < threads; t++, end = to) {
                tri_share(items, t, threads, &from, &to);
                assert_int_equal(from, end);
                assert_in_range(to - from, items / threads, (items + threads - 1) / threads);
            }
            assert_int_equal(end, items);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_order), cmocka_unit_test(many_threads_end),
        cmocka_unit_test(idle_pools_end), cmocka_unit_test(counts_are_checked),
        cmocka_unit_test(shares_cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
