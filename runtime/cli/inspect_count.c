/* Owns: how many of a file's weights are -1, 0 and +1, tensor by tensor on all threads. */
#include "cli/inspect.h"

#include "base/memory.h"
#include "base/queue.h"
#include "kernels/kernel.h"

#include <math.h>
#include <stdlib.h>

enum { LANES = 64, TURNS = 127 };

struct counting {
    struct tri_inspection *f;
    int8_t *rows; /* [threads][widest] */
    size_t widest;
};

/* Norms are no matrices, even if all their values are alike. */
static bool may_be_ternary(const struct tri_tensor *t)
{
    return t->encoding->origin != TRI_NO_TRITS && (t->encoding->ternary || t->dims > 1);
}

/* In sums of a byte, which vectors hold: LANES * TURNS weights at most. */
static void add_up(const int8_t *trits, int n, int *sum, int *nonzero)
{
    int8_t sums[LANES] = {0}, nonzeros[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] = (int8_t)(sums[lane] + trits[i + lane]);
            nonzeros[lane] = (int8_t)(nonzeros[lane] + (trits[i + lane] & 1));
        }
    for (int lane = 0; lane < LANES; lane++) {
        *sum += sums[lane];
        *nonzero += nonzeros[lane];
    }
    for (; i < n; i++) {
        *sum += trits[i];
        *nonzero += trits[i] & 1;
    }
}

static void count_group(const int8_t *trits, int n, struct tri_share *share)
{
    int sum = 0, nonzero = 0;
    for (int64_t from = 0; from < n; from += LANES * TURNS)
        add_up(trits + from, n - from < LANES * TURNS ? (int)(n - from) : LANES * TURNS, &sum, &nonzero);
    share->plus += (uint64_t)(nonzero + sum) / 2;
    share->minus += (uint64_t)(nonzero - sum) / 2;
    share->zero += (uint64_t)(n - nonzero);
    share->empty += nonzero == 0;
}

static enum tri_status count_rows(const struct tri_ternary *w, int8_t *trits, struct tri_share *share,
                                  struct tri_error *e)
{
    const int k = (int)w->tensor->ne[0];
    for (int64_t row = 0; row < tri_tensor_rows(w->tensor); row++) {
        if (tri_ternary_row(w, row, trits, e) != TRI_OK)
            return e->status;
        share->three_of_four = share->three_of_four && tri_three_of_four(trits, k) == k;
        for (int64_t from = 0; from < w->tensor->ne[0]; from += w->group)
            count_group(trits + from, w->group, share);
    }
    return TRI_OK;
}

/* Floats that are no trits are no damage: embeddings, and models that nobody quantised. */
static enum tri_status count_tensor(const struct tri_tensor *t, int8_t *trits, struct tri_share *share,
                                    struct tri_error *e)
{
    struct tri_ternary w;
    *share = (struct tri_share){.three_of_four = true};
    if (tri_ternary_read(&w, t, e) != TRI_OK)
        share->damaged = t->encoding->origin != TRI_TRITS_EXACT;
    else
        share->damaged = count_rows(&w, trits, share, e) != TRI_OK;
    if (e->status != TRI_OK)
        return share->damaged ? e->status : TRI_OK;
    share->known = true;
    share->scaling = w.scaling;
    share->group = w.group;
    share->scale = w.scale;
    share->why = w.why;
    return TRI_OK;
}

/* An error stays with its tensor: that of the first in the file is told, whoever was there when. */
static enum tri_status count_one(void *arg, int64_t i, int thread, struct tri_error *e)
{
    const struct counting *c = arg;
    const struct tri_tensor *t = tri_gguf_tensor_at(c->f->g, (size_t)i);
    if (may_be_ternary(t))
        count_tensor(t, c->rows + (size_t)thread * c->widest, &c->f->share[i], e);
    return TRI_OK;
}

/* The error of the first tensor that is damaged is found once more. */
static void name_damage(struct counting *c)
{
    struct tri_inspection *f = c->f;
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g) && f->damage.status == TRI_OK; i++)
        if (f->share[i].damaged) {
            count_tensor(tri_gguf_tensor_at(f->g, i), c->rows, &f->share[i], &f->damage);
            tri_fail_in(&f->damage, "%s", tri_gguf_name(f->g));
        }
}

enum tri_status tri_inspection_count(struct tri_inspection *f, struct tri_pool *pool, struct tri_error *e)
{
    struct counting c = {.f = f, .widest = 1};
    const size_t count = tri_gguf_tensor_count(f->g);
    for (size_t i = 0; i < count; i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        if (may_be_ternary(t) && (size_t)t->ne[0] > c.widest)
            c.widest = (size_t)t->ne[0];
    }
    f->share = tri_alloc(count + 1, sizeof *f->share, "what is found of tensors", e);
    c.rows = f->share ? tri_alloc((size_t)tri_pool_threads(pool), c.widest, "rows of trits", e) : NULL;
    if (!c.rows)
        return e->status;
    const struct tri_queue q = {.count = (int64_t)count, .step = count_one, .arg = &c, .what = "counting"};
    const enum tri_status status = tri_queue_run(&q, pool, e);
    name_damage(&c);
    tri_free(c.rows);
    return status;
}

double tri_share_entropy(const struct tri_share *s)
{
    const uint64_t counts[3] = {s->minus, s->zero, s->plus};
    const double all = (double)(s->minus + s->zero + s->plus);
    double bits = 0;
    for (int i = 0; i < 3; i++)
        if (counts[i])
            bits -= (double)counts[i] / all * log2((double)counts[i] / all);
    return bits;
}
