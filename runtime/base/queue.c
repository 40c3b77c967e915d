/* Owns: handing out pieces of work, progress in percent, and the first error. Leaves out threads (threads.c). */
#include "base/queue.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

struct run {
    const struct tri_queue *queue;
    atomic_llong next;
    atomic_flag failed; /* the first error counts */
    struct tri_error error;
};

static void work(void *arg, int thread, int threads)
{
    struct run *r = arg;
    const struct tri_queue *q = r->queue;
    const bool shows = thread == 0 && q->what && isatty(STDERR_FILENO);
    (void)threads;
    for (int64_t i; (i = atomic_fetch_add(&r->next, 1)) < q->count;) {
        struct tri_error e = {0};
        if (shows)
            fprintf(stderr, "\r%s, %d %%", q->what, (int)(100 * i / q->count));
        if (q->stop && q->stop())
            tri_fail(&e, TRI_INTERRUPTED, "interrupted");
        else if (q->step(q->arg, i, thread, &e) == TRI_OK)
            continue;
        atomic_store(&r->next, q->count);
        if (!atomic_flag_test_and_set(&r->failed))
            r->error = e;
    }
    if (shows)
        fprintf(stderr, "\r\033[K");
}

enum tri_status tri_queue_run(const struct tri_queue *q, struct tri_pool *pool, struct tri_error *e)
{
    struct run r = {.queue = q, .failed = ATOMIC_FLAG_INIT};
    tri_pool_run(pool, work, &r);
    if (r.error.status != TRI_OK)
        *e = r.error;
    return r.error.status;
}
