/* Owns: the measuring of threads against each other. Leaves out what /sys says of cores (base/cores.c) and the
 * dealing out of work (base/threads.c). */
#include "kernels/balance.h"

#include "base/cores.h"
#include "base/clock.h"
#include "base/memory.h"
#include "kernels/product.h"

#include <string.h>

enum { COLUMNS = 2048, TILES = 4, MOST_WEIGHT = 1 << 20 };
static const double seconds = 1e-3; /* of a round, of which there are two */

/* Nothing is read back and all weights are zeros, which is a valid code everywhere. */
struct trial {
    struct tri_pool *pool;
    struct tri_plan plan;
    int rows, kp;
    uint8_t *packed, *x; /* the x of any form */
    int32_t *y;          /* [threads][rows] */
    int best[TRI_MAX_THREADS];
};

static int calls(const struct trial *t, int thread)
{
    const int32_t sum = 0;
    int32_t *y = t->y + (size_t)thread * (size_t)t->rows;
    const double end = tri_now() + seconds;
    int n = 0;
    do
        t->plan.kernels[0]->matmul(t->packed, 0, t->rows, t->kp, t->x, 0, &sum, y, (size_t)t->rows);
    while (++n < MOST_WEIGHT && tri_now() < end);
    return n;
}

/* The first round wakes the core up. */
static void try(void *arg, int thread, int threads)
{
    struct trial *t = arg;
    (void)threads;
    for (int round = 0; round < 2; round++) {
        tri_pool_sync(t->pool);
        const int n = calls(t, thread);
        t->best[thread] = n > t->best[thread] ? n : t->best[thread];
    }
}

static enum tri_status prepare(struct trial *t, struct tri_error *e)
{
    tri_dispatch_plan(TRI_ROLE_O, COLUMNS, COLUMNS, 0, &t->plan);
    const struct tri_layout *l = t->plan.layout;
    t->kp = tri_round_up(COLUMNS, l->kstep);
    t->rows = TILES * l->rows;
    const size_t bytes = TILES * (size_t)(t->kp / l->kstep) * (size_t)l->bytes;
    const size_t table = tri_table_bytes(&t->plan, t->kp);
    t->packed = tri_alloc(bytes, 1, "weights to measure cores with", e);
    t->x = t->packed ? tri_alloc(table > (size_t)t->kp ? table : (size_t)t->kp, 1, "activations", e) : NULL;
    t->y = t->x ? tri_alloc((size_t)tri_pool_threads(t->pool) * (size_t)t->rows, sizeof *t->y, "sums", e) : NULL;
    if (t->y)
        memset(t->packed, 0, bytes); /* pages of its own, not all the same one */
    return t->y ? TRI_OK : e->status;
}

enum tri_status tri_balance_measure(struct tri_pool *pool, struct tri_error *e)
{
    struct trial t = {.pool = pool};
    const enum tri_status status = prepare(&t, e);
    if (status == TRI_OK) {
        tri_pool_use(pool, (struct tri_team){.pinned = true});
        tri_pool_run(pool, try, &t);
        tri_pool_weigh(pool, t.best);
    }
    tri_free(t.packed), tri_free(t.x), tri_free(t.y);
    return status;
}

enum tri_status tri_balance(struct tri_pool *pool, struct tri_error *e)
{
    struct tri_core cores[TRI_MAX_CORES];
    const int threads = tri_pool_threads(pool);
    if (threads > tri_core_list(cores) || !tri_cores_differ(cores, threads))
        return TRI_OK;
    return tri_balance_measure(pool, e);
}
