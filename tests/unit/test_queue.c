/* The queue: each piece is done once, the first error ends it, and so does who stops it. */
#include "base/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

enum { PIECES = 1000, BAD = 300 };

static atomic_int done[PIECES], sum;
static bool fails;

static enum tri_status count(void *arg, int64_t piece, int thread, struct tri_error *e)
{
    const int threads = *(const int *)arg;
    if (thread < 0 || thread >= threads)
        return tri_fail(e, TRI_WRONG, "thread %d of %d", thread, threads);
    if (fails && piece == BAD)
        return tri_fail(e, TRI_BAD_FILE, "piece %d", BAD);
    atomic_fetch_add(&done[piece], 1);
    atomic_fetch_add(&sum, 1);
    return TRI_OK;
}

static bool after_ten(void)
{
    return atomic_load(&sum) >= 10;
}

static enum tri_status run(int threads, bool with_error, bool (*stop)(void), struct tri_error *e)
{
    struct tri_queue q = {.count = PIECES, .step = count, .arg = &threads, .stop = stop};
    struct tri_pool *pool = tri_pool_new(threads, e);
    assert_non_null(pool);
    for (int i = 0; i < PIECES; i++)
        atomic_store(&done[i], 0);
    atomic_store(&sum, 0);
    fails = with_error;
    const enum tri_status status = tri_queue_run(&q, pool, e);
    tri_pool_free(pool);
    return status;
}

static void every_piece_once(void **unused)
{
    struct tri_error e = {0};
    (void)unused;
    for (int threads = 1; threads <= 4; threads++) {
        assert_int_equal(run(threads, false, NULL, &e), TRI_OK);
        for (int i = 0; i < PIECES; i++)
            assert_int_equal(atomic_load(&done[i]), 1);
    }
}

static void errors_end_it(void **unused)
{
    struct tri_error e = {0};
    (void)unused;
    for (int threads = 1; threads <= 4; threads++) {
        assert_int_equal(run(threads, true, NULL, &e), TRI_BAD_FILE);
        assert_string_equal(e.text, "piece 300");
        assert_int_equal(atomic_load(&done[BAD]), 0);
    }
    run(1, true, NULL, &e);
    assert_int_equal(atomic_load(&sum), BAD);
}

static void it_can_be_stopped(void **unused)
{
    struct tri_error e = {0};
    (void)unused;
    for (int threads = 1; threads <= 4; threads++) {
        assert_int_equal(run(threads, false, after_ten, &e), TRI_INTERRUPTED);
        assert_in_range(atomic_load(&sum), 10, 10 + threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_once),
        cmocka_unit_test(errors_end_it),
        cmocka_unit_test(it_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
