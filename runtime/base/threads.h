/* The threads of the hot path: a pool whose members wait in a region of their own between runs.
 *
 *     struct tri_pool *pool = tri_pool_new(2, &e);
 *     tri_pool_run(pool, task, arg);     task(arg, thread, threads) on every thread, caller = 0
 *     tri_pool_free(pool);
 *
 * Inside a task, tri_pool_sync(pool) is a barrier. Both spin for a few microseconds, then sleep, so
 * that more threads than cores cost time but never hang. One region at a time per pool. */
#ifndef TRI_THREADS_H
#define TRI_THREADS_H

#include "base/error.h"

#include <stdbool.h>

struct tri_pool;
typedef void tri_task_fn(void *arg, int thread, int threads);

enum { TRI_MAX_THREADS = 512 };

/* 1..TRI_MAX_THREADS threads, the caller being one of them. */
struct tri_pool *tri_pool_new(int threads, struct tri_error *e);
void tri_pool_free(struct tri_pool *pool);
int tri_pool_threads(const struct tri_pool *pool); /* all of them, in use or not */

/* Who works on a region: the first `threads` threads (0, or more than there are: all; the others wait), pinned each
 * to a CPU of its own, one core after the other before any core's second, or placed by the system. Of a crowd, more
 * than two threads for each CPU, only as many work as there are CPUs: the others would just be waited for. */
struct tri_team {
    int threads;
    bool pinned;
};

/* Regions from here on are this team's. Between regions only, by the thread that made the pool. A new pool works
 * with all, not pinned; freeing it lets the caller loose again. */
void tri_pool_use(struct tri_pool *pool, struct tri_team team);

void tri_pool_run(struct tri_pool *pool, tri_task_fn *task, void *arg);
void tri_pool_sync(struct tri_pool *pool);

/* A pool whose regions may be run from any thread, one after the other: whoever runs them is never pinned, since the
 * thread is not ours. Before the first region. Then tri_pool_lock and tri_pool_unlock stand around what must not be
 * mixed with another thread's: what the regions share, and the regions themselves. */
void tri_pool_for_any(struct tri_pool *pool);
void tri_pool_lock(struct tri_pool *pool);
void tri_pool_unlock(struct tri_pool *pool);

/* Gives threads shares in proportion to weights[thread], from 1 to 2^20; at first all are equal. A weight is a
 * core's, so threads that have one stay pinned from here on, whatever team is at work. Between regions only. */
void tri_pool_weigh(struct tri_pool *pool, const int *weights);

/* The part [*from, *to) of `items` things that is this thread's: its weight's share of those of the team at work, to
 * less than one. */
void tri_pool_share(const struct tri_pool *pool, int items, int thread, int *from, int *to);

#endif
