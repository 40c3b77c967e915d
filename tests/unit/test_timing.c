/* The tuner's clockwork: that every regime runs, on every kind of plan, and that what cannot run says so. How long
 * anything takes is not tested. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/timing.h"

static struct tri_timing *timing;

static int set_up(void **state)
{
    struct tri_error e;
    (void)state;
    timing = tri_timing_new(2, &e);
    return timing ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tri_timing_free(timing);
    return 0;
}

static struct tri_timing_job job(int m, int k, int tokens)
{
    struct tri_timing_job j = {.m = m, .k = k, .tokens = tokens};
    tri_dispatch_plan(TRI_ROLE_O, m, k, 0, &j.plan);
    return j;
}

static double run(const struct tri_timing_job *j)
{
    struct tri_error e;
    double ns = -1;
    assert_int_equal(tri_timing_run(timing, j, 0, &ns, &e), TRI_OK);
    assert_true(isfinite(ns) && ns > 0);
    return ns;
}

static void test_machine(void **state)
{
    (void)state;
    assert_true(tri_timing_memory(timing) >= 16u << 20);
    assert_true(tri_timing_memory(timing) >= 4 * tri_timing_cache(timing) || tri_timing_cache(timing) == 0 ||
                tri_timing_memory(timing) >= 256u << 20);
    for (int threads = 1; threads <= 2; threads++) {
        assert_true(tri_timing_read(timing, threads, 0) > 0);
        assert_true(tri_timing_read(timing, threads, 1 << 20) > 0);
        assert_true(tri_timing_registers(timing, threads) > 0);
    }
}

/* Of every ISA that is here and has one. No CPU is within sight of 10^14 operations a second on two threads: a loop that
 * seems to be was left out by the compiler. */
static void test_peaks(void **state)
{
    int peaks = 0;
    (void)state;
    for (const struct tri_peak *p = tri_peaks; p->isa; p++) {
        if (!tri_isa_find(p->isa)->present())
            continue;
        peaks++;
        for (int threads = 1; threads <= 2; threads++) {
            const double rate = tri_timing_peak(timing, p, threads);
            assert_true(rate > 0 && rate < 1e5);
        }
    }
    assert_true(peaks > 0 || tri_dispatch_isa()->rank == 0);
}

/* Rows and columns that are no multiples, one thread without rows, fewer tokens than the largest kernel takes. */
static void test_shapes(void **state)
{
    static const int shapes[][2] = {{1, 1}, {7, 5}, {100, 4097}, {2048, 256}, {700, 300}};
    static const int tokens[] = {1, 2, 7, 64};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t t = 0; t < sizeof tokens / sizeof tokens[0]; t++) {
            struct tri_timing_job j = job(shapes[s][0], shapes[s][1], tokens[t]);
            run(&j);
            j.span = 100000; /* smaller than some of them */
            run(&j);
        }
}

/* Every kernel linked that this CPU has, alone; tables are prepared where its form wants them. */
static void test_kernels(void **state)
{
    (void)state;
    for (const struct tri_kernel *kernel = tri_kernels; kernel->name; kernel++) {
        if (!tri_isa_find(kernel->isa)->present())
            continue;
        struct tri_timing_job j = {.m = 300, .k = 500, .tokens = 4 * kernel->tokens};
        if (kernel->kind == TRI_KIND_rows || kernel->kind == TRI_KIND_columns) {
            j.tokens = 1;
            j.plan.sparse = (struct tri_sparse){kernel, tri_layout_find(kernel->layout), 0};
            j.active = 0.1, run(&j);
            j.active = 1;
        } else {
            j.plan = (struct tri_plan){.layout = tri_layout_find(kernel->layout), .kernels = {kernel}, .count = 1};
        }
        run(&j);
    }
}

static void test_count(void **state)
{
    struct tri_timing_job j = job(256, 256, 1);
    struct tri_error e;
    (void)state;
    for (int threads = 2; threads >= 0; threads--) {
        double seconds = -1;
        tri_timing_use(timing, threads);
        assert_int_equal(tri_timing_count(timing, &j, 10, &seconds, &e), TRI_OK);
        assert_true(isfinite(seconds) && seconds > 0);
        assert_true(tri_timing_read(timing, threads ? threads : 2, 1 << 20) > 0);
    }
    double none = -1;
    assert_int_equal(tri_timing_count(timing, &j, 0, &none, &e), TRI_USAGE);
    j.k = 0;
    assert_int_equal(tri_timing_count(timing, &j, 1, &none, &e), TRI_USAGE);
    assert_true(none == -1);
}

static void refused(struct tri_timing_job j, enum tri_status status)
{
    struct tri_error e = {.text = ""};
    double ns = -1;
    assert_int_equal(tri_timing_run(timing, &j, 0, &ns, &e), status);
    assert_true(strlen(e.text) > 10);
    assert_true(ns == -1);
}

static void test_refusals(void **state)
{
    const struct tri_timing_job good = job(64, 64, 1);
    struct tri_timing_job j;
    struct tri_error e;
    (void)state;
    j = good, j.m = 0, refused(j, TRI_USAGE);
    j = good, j.k = -1, refused(j, TRI_USAGE);
    j = good, j.tokens = 0, refused(j, TRI_USAGE);
    for (const struct tri_kernel *k = tri_kernels; k->name; k++)
        if (k->tokens > 1 && tri_isa_find(k->isa)->present()) { /* nobody is left for the last token */
            j = good, j.plan.layout = tri_layout_find(k->layout), j.plan.kernels[0] = k, j.plan.count = 1;
            j.tokens = k->tokens + 1, refused(j, TRI_USAGE);
        }
    j = good, j.k = good.plan.kernels[0]->kmax + 1, refused(j, TRI_UNSUPPORTED);
    j = good, j.active = 0.5, j.plan.sparse.kernel = NULL, refused(j, TRI_USAGE);
    j = job(64, 64, 2), j.active = 0.5, refused(j, TRI_USAGE);
    j = good, j.m = 1 << 30, j.k = 1 << 20, refused(j, TRI_UNSUPPORTED);
    assert_null(tri_timing_new(0, &e));
    assert_int_equal(e.status, TRI_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine), cmocka_unit_test(test_peaks), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_kernels), cmocka_unit_test(test_count), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
