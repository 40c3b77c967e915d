/* The pool: every thread runs once a region, barriers order what they separate, and far more
 * threads than cores still end. */
#define _GNU_SOURCE
#include "base/cores.h"
#include "base/threads.h"

#include <sched.h>
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

/* Of a crowd, more than two a CPU, there work as many threads as CPUs. */
static int at_work(int asked)
{
    const int cpus = tri_hardware_threads();
    return asked > 2 * cpus ? cpus : asked;
}

static void crowds_stand_by(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct relay r = {.turns = 3};
    const int crowd = 2 * tri_hardware_threads() + 1;
    r.pool = tri_pool_new(crowd, &e);
    assert_non_null(r.pool);
    tri_pool_use(r.pool, (struct tri_team){0});
    tri_pool_run(r.pool, relay, &r);
    assert_int_equal(r.ran, at_work(crowd));
    assert_int_equal(r.wrong, 0);
    assert_int_equal(tri_pool_threads(r.pool), crowd);
    tri_pool_free(r.pool);
}

/* A team of fewer threads, and all again: the others stay away, and barriers count those who came. */
static void teams_change(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct relay r = {.turns = 20};
    r.pool = tri_pool_new(4, &e);
    assert_non_null(r.pool);
    for (int i = 0; i < 200; i++) {
        int threads = (i * 7) % 6; /* 0 and 5: all */
        memset(r.value, 0, sizeof r.value);
        r.ran = 0;
        tri_pool_use(r.pool, (struct tri_team){.threads = threads});
        tri_pool_run(r.pool, relay, &r);
        assert_int_equal(r.ran, at_work(threads == 0 || threads > 4 ? 4 : threads));
    }
    assert_int_equal(r.wrong, 0);
    assert_int_equal(tri_pool_threads(r.pool), 4);
    tri_pool_free(r.pool);
}

struct places {
    cpu_set_t may[8];
};

static void look(void *arg, int thread, int threads)
{
    struct places *p = arg;
    (void)threads;
    assert_int_equal(sched_getaffinity(0, sizeof p->may[thread], &p->may[thread]), 0);
}

/* Pinned threads may run on one CPU each, not on the same where there are enough; afterwards anywhere. */
static void threads_are_pinned(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct places p;
    cpu_set_t before, taken;
    int threads = tri_hardware_threads() < 4 ? tri_hardware_threads() : 4;
    assert_true(tri_hardware_threads() >= tri_cores());
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    struct tri_pool *pool = tri_pool_new(threads, &e);
    assert_non_null(pool);
    for (int round = 0; round < 4; round++) {
        tri_pool_use(pool, (struct tri_team){.pinned = round % 2 == 0});
        tri_pool_run(pool, look, &p);
        CPU_ZERO(&taken);
        for (int i = 0; i < threads; i++) {
            assert_true(round % 2 == 0 ? CPU_COUNT(&p.may[i]) == 1 : CPU_EQUAL(&p.may[i], &before));
            CPU_OR(&taken, &taken, &p.may[i]);
        }
        if (round % 2 == 0)
            assert_int_equal(CPU_COUNT(&taken), threads);
    }
    tri_pool_use(pool, (struct tri_team){.pinned = true});
    tri_pool_free(pool);
    assert_int_equal(sched_getaffinity(0, sizeof taken, &taken), 0);
    assert_true(CPU_EQUAL(&taken, &before));
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

/* Shares lie one behind the other, and each is its weight's part of the items to less than one. */
static void check_shares(const struct tri_pool *pool, const int *weights, int all)
{
    const int threads = tri_pool_threads(pool);
    for (int items = 0; items < 40; items++) {
        int from, to, end = 0;
        for (int t = 0; t < threads; t++, end = to) {
            tri_pool_share(pool, items, t, &from, &to);
            assert_int_equal(from, end);
            assert_in_range(to - from, items * weights[t] / all, (items * weights[t] + all - 1) / all);
        }
        assert_int_equal(end, items);
    }
}

static void equal_shares_cover(void **unused)
{
    static const int weights[] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct tri_error e;
    (void)unused;
    for (int threads = 1; threads <= 8; threads++) {
        struct tri_pool *pool = tri_pool_new(threads, &e);
        check_shares(pool, weights, threads);
        tri_pool_free(pool);
    }
}

static void weighted_shares_cover(void **unused)
{
    static const int weights[][3] = {{1, 3, 1}, {3, 1, 1}, {1000, 999, 1}, {1 << 20, 1 << 19, 1 << 20}, {1, 1, 1}};
    struct tri_error e;
    int from, to;
    (void)unused;
    struct tri_pool *pool = tri_pool_new(3, &e);
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        tri_pool_weigh(pool, weights[i]);
        if (weights[i][0] < 1 << 20)
            check_shares(pool, weights[i], weights[i][0] + weights[i][1] + weights[i][2]);
    }
    tri_pool_weigh(pool, weights[3]);
    tri_pool_share(pool, 1 << 30, 1, &from, &to);
    assert_int_equal(from, (1ll << 30) * 2 / 5);
    assert_int_equal(to, (1ll << 30) * 3 / 5);
    tri_pool_free(pool);
}

static void cores_are_told_apart(void **unused)
{
    static const struct tri_core hybrid[] = {{4, 5300}, {0, 5100}, {8, 3900}}, unknown[] = {{0, 0}, {1, 0}};
    static struct tri_core list[TRI_MAX_CORES];
    (void)unused;
    assert_false(tri_cores_differ(hybrid, 1));
    assert_false(tri_cores_differ(hybrid, 2)); /* of one kind, if not alike */
    assert_true(tri_cores_differ(hybrid, 3));
    assert_false(tri_cores_differ(unknown, 2));
    const int count = tri_core_list(list);
    assert_int_equal(count, tri_cores());
    for (int i = 1; i < count; i++)
        assert_true(list[i - 1].speed >= list[i].speed && list[i - 1].cpu != list[i].cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_order), cmocka_unit_test(many_threads_end),
        cmocka_unit_test(idle_pools_end), cmocka_unit_test(counts_are_checked),
        cmocka_unit_test(equal_shares_cover), cmocka_unit_test(weighted_shares_cover),
        cmocka_unit_test(cores_are_told_apart), cmocka_unit_test(teams_change),
        cmocka_unit_test(crowds_stand_by), cmocka_unit_test(threads_are_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
