/* Owns: the cutting of a pass's attention. Leaves out the arithmetic (attention.c).
 *
 * Queries that share a key/value head are taken together, of some consecutive tokens: a group. Where there are too few
 * groups to go round, threads share their blocks of positions, meet, and join them in order. */
#include "engine/attend.h"

enum { EVEN = 4 }; /* groups a thread: as many leave none idle for long */

struct task {
    struct tri_workspace *w;
    const struct tri_ubatch *u;
    const struct tri_config *c;
    int layer, thread, threads;
    int shared, tokens; /* queries of a token in a group, tokens of a group */
};

static int groups(const struct task *k, const struct tri_run *run)
{
    return (run->count + k->tokens - 1) / k->tokens * k->c->kv_heads;
}

static int blocks(const struct tri_run *run)
{
    return tri_attention_blocks(run->position + run->count - 1);
}

/* Group i of a run: heads of the first tokens, then of the next. */
static struct tri_attention group(const struct task *k, const struct tri_run *run, int i)
{
    const int head = i % k->c->kv_heads, t = i / k->c->kv_heads * k->tokens, rest = run->count - t;
    const float *wide = k->w->wide + (size_t)(run->first + t) * k->w->ldw;
    return (struct tri_attention){.v = k->w->vec,
                                  .keys = &run->session->keys,
                                  .values = &run->session->values,
                                  .layer = k->layer,
                                  .head = head,
                                  .head_dim = k->c->head_dim,
                                  .position = run->position + t,
                                  .tokens = rest < k->tokens ? rest : k->tokens,
                                  .shared = k->shared,
                                  .query = wide + head * k->shared * k->c->head_dim,
                                  .ldq = k->w->ldw,
                                  .scratch = k->w->floats + (size_t)k->thread * k->w->floats_each};
}

/* Query i of a group has seen all: its part becomes a head of its token's output. */
static void finish(const struct task *k, const struct tri_run *run, const struct tri_attention *a, int i, float *part)
{
    const int t = run->first + a->position - run->position + i / k->shared, head = a->head * k->shared + i % k->shared;
    float *out = k->w->mixed + ((size_t)t * (size_t)k->c->heads + (size_t)head) * (size_t)k->c->head_dim;
    if (!tri_attend_finish(a, part, out))
        atomic_store_explicit(&k->w->overflow[t], true, memory_order_relaxed);
}

/* Groups are dealt out in turn, since later tokens look back on more; the deal goes on from run to run. */
static void whole_groups(const struct task *k)
{
    int i = k->thread;
    for (int r = 0; r < k->u->runs; r++) {
        const struct tri_run *run = &k->u->run[r];
        const int n = groups(k, run);
        for (; i < n; i += k->threads) {
            const struct tri_attention a = group(k, run, i);
            float *part = tri_attend(&a);
            for (int q = 0; q < a.tokens * k->shared; q++)
                finish(k, run, &a, q, part + (size_t)q * tri_part_floats(k->c->head_dim));
        }
        i -= n;
    }
}

/* -- by blocks --------------------------------------------------------- */

static size_t run_parts(const struct task *k, const struct tri_run *run)
{
    return (size_t)run->count * (size_t)k->c->heads * (size_t)blocks(run);
}

/* Those of a group's queries over a block; a run's lie as [groups][blocks][queries]. */
static float *part_of(const struct task *k, const struct tri_run *run, const struct tri_attention *a, int block,
                      float *parts)
{
    const size_t queries = (size_t)a->tokens * (size_t)k->shared;
    const size_t before = (size_t)(a->position - run->position) * (size_t)k->c->heads + (size_t)a->head * queries;
    return parts + (before * (size_t)blocks(run) + (size_t)block * queries) * tri_part_floats(k->c->head_dim);
}

static int block_items(const struct task *k, const struct tri_run *run)
{
    return groups(k, run) * blocks(run);
}

static void attend_item(const struct task *k, const struct tri_run *run, int i, float *parts)
{
    const struct tri_attention a = group(k, run, i / blocks(run));
    const int block = i % blocks(run);
    tri_attend_block(&a, block, part_of(k, run, &a, block, parts));
}

static int query_items(const struct task *k, const struct tri_run *run)
{
    return groups(k, run) * k->tokens * k->shared;
}

static void join_item(const struct task *k, const struct tri_run *run, int i, float *parts)
{
    const int each = k->tokens * k->shared, q = i % each;
    const struct tri_attention a = group(k, run, i / each);
    const size_t at = (size_t)q * tri_part_floats(k->c->head_dim);
    if (q >= a.tokens * k->shared)
        return;
    float *part = part_of(k, run, &a, 0, parts) + at;
    for (int b = 1; b < tri_attention_blocks(a.position + q / k->shared); b++)
        tri_attend_join(&a, part, part_of(k, run, &a, b, parts) + at);
    finish(k, run, &a, q, part);
}

typedef int items_fn(const struct task *k, const struct tri_run *run);
typedef void item_fn(const struct task *k, const struct tri_run *run, int i, float *parts);

/* This thread's share of the items of all runs. */
static void share(const struct task *k, items_fn *items, item_fn *work)
{
    float *parts = k->w->parts;
    int all = 0, from, to;
    for (int r = 0; r < k->u->runs; r++)
        all += items(k, &k->u->run[r]);
    tri_pool_share(k->w->pool, all, k->thread, &from, &to);
    for (int r = 0; r < k->u->runs; r++) {
        const struct tri_run *run = &k->u->run[r];
        const int n = items(k, run);
        for (int i = from > 0 ? from : 0; i < n && i < to; i++)
            work(k, run, i, parts);
        from -= n;
        to -= n;
        parts += run_parts(k, run) * tri_part_floats(k->c->head_dim);
    }
}

static bool too_few_groups(const struct task *k)
{
    size_t parts = 0;
    int items = 0, most = 0;
    for (int r = 0; r < k->u->runs; r++) {
        const struct tri_run *run = &k->u->run[r];
        parts += run_parts(k, run);
        items += groups(k, run);
        most = blocks(run) > most ? blocks(run) : most;
    }
    return k->threads > 1 && most > 1 && items < EVEN * k->threads && parts <= k->w->parts_count;
}

void tri_attend_pass(struct tri_workspace *w, const struct tri_ubatch *u, int layer, int thread, int threads)
{
    const struct tri_config *c = &w->model->config;
    const int shared = c->heads / c->kv_heads;
    const struct task k = {w, u, c, layer, thread, threads, shared, tri_attention_tokens(shared)};
    if (!too_few_groups(&k)) {
        whole_groups(&k);
        return;
    }
    share(&k, block_items, attend_item);
    tri_pool_sync(w->pool);
    share(&k, query_items, join_item);
}
