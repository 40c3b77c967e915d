/* Owns: a session's caches and position, and the cutting of feeds into passes. Leaves out the pass. */
#include "engine/session.h"
#include "base/memory.h"
#include "engine/forward.h"

#include <limits.h>
#include <string.h>

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* -- memory ------------------------------------------------------------ */

static enum tri_status allocate(struct tri_session *s, const struct tri_session_options *o, struct tri_error *e)
{
    const struct tri_config *c = &s->model->config;
    if (tri_cache_new(&s->keys, "cache of keys", o->cache_k, c->layers, s->context, c->kv_heads, c->head_dim, e) ||
        tri_cache_new(&s->values, "cache of values", o->cache_v, c->layers, s->context, c->kv_heads, c->head_dim, e))
        return e->status;
    if (!(s->ids = tri_alloc((size_t)s->context, sizeof *s->ids, "token ids", e)))
        return e->status;
    s->logits = tri_alloc(TRI_HEAD_TOKENS * (size_t)c->vocab, sizeof *s->logits, "logits", e);
    return s->logits ? TRI_OK : e->status;
}

/* As long as all layers look back on everything. */
static enum tri_status choose_context(struct tri_session *s, int wanted, struct tri_error *e)
{
    const struct tri_config *c = &s->model->config;
    const int most = c->window > 0 ? c->window : INT_MAX;
    s->context = wanted > 0 ? wanted : least(c->context, most);
    if (s->context <= most)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED, "context: expected at most the %d positions of this model's sliding window, "
                    "beyond which layers would have to forget, found %d; use a smaller one (-c %d)", most, s->context,
                    most);
}

/* Tokens per pass, no more than the context could hold. */
static int ubatch_of(const struct tri_session_options *o, int context)
{
    return least(o->ubatch > 0 ? o->ubatch : TRI_UBATCH, context);
}

static enum tri_status make_workspace(struct tri_session *s, struct tri_pool *pool,
                                      const struct tri_session_options *o, struct tri_error *e)
{
    struct tri_workspace_options w = {.ubatch = ubatch_of(o, s->context)};
    for (int phase = 0; phase < TRI_PHASES; phase++)
        w.team[phase] = o->team[phase];
    s->work = tri_workspace_new(s->model, pool, &w, e);
    s->owns_work = true;
    return s->work ? TRI_OK : e->status;
}

struct tri_session *tri_session_new(const struct tri_model *m, struct tri_pool *pool,
                                    const struct tri_session_options *o, struct tri_error *e)
{
    struct tri_session *s = tri_alloc(1, sizeof *s, "session", e);
    if (!s)
        return NULL;
    s->model = m;
    s->work = o->workspace;
    if (choose_context(s, o->context, e) == TRI_OK && allocate(s, o, e) == TRI_OK &&
        (s->work || make_workspace(s, pool, o, e) == TRI_OK))
        return s;
    tri_session_free(s);
    return NULL;
}

void tri_session_free(struct tri_session *s)
{
    if (!s)
        return;
    if (s->owns_work)
        tri_workspace_free(s->work);
    tri_free(s->keys.data);
    tri_free(s->values.data);
    tri_free(s->ids);
    tri_free(s->logits);
    tri_free(s);
}

size_t tri_session_cached(const struct tri_config *c, const struct tri_session_options *o)
{
    return (size_t)c->layers * (tri_cache_position(o->cache_k, c->kv_heads, c->head_dim) +
                                tri_cache_position(o->cache_v, c->kv_heads, c->head_dim));
}

size_t tri_session_bytes(const struct tri_config *c, const struct tri_session_options *o)
{
    const size_t context = (size_t)(o->context > 0 ? o->context : c->context), f = sizeof(float);
    const size_t hidden = (size_t)c->hidden, ffn = (size_t)c->ffn, heads = (size_t)c->heads * (size_t)c->head_dim;
    const size_t widest = ffn > hidden ? ffn : hidden, token = f * (hidden + 2 * widest + 3 * heads) + widest;
    return context * tri_session_cached(c, o) + (size_t)ubatch_of(o, (int)context) * token +
           TRI_HEAD_TOKENS * f * ((size_t)c->vocab + hidden);
}

/* -- feeding ----------------------------------------------------------- */

int tri_session_context(const struct tri_session *s)
{
    return s->context;
}

int tri_session_position(const struct tri_session *s)
{
    return s->position;
}

size_t tri_session_position_bytes(const struct tri_session *s)
{
    return (size_t)s->model->config.layers * (s->keys.position + s->values.position);
}

void tri_session_use(struct tri_session *s, enum tri_phase phase, struct tri_team team)
{
    s->work->team[phase] = team;
}

void tri_session_count(struct tri_session *s, struct tri_ffn_count *counts)
{
    s->work->counts = counts;
}

void tri_session_want(struct tri_session *s, int top)
{
    s->top = top;
}

void tri_session_screened(const struct tri_session *s, int64_t *tokens, int64_t *rows)
{
    struct tri_screen_counts counts = {0};
    if (s->work->screening)
        counts = tri_screening_counts(s->work->screening);
    *tokens = counts.tokens;
    *rows = counts.rows;
}

void tri_session_rewind(struct tri_session *s, int position)
{
    if (position >= 0 && position < s->position)
        s->position = position;
}

enum tri_status tri_session_check(const struct tri_session *s, int position, const int32_t *ids, int count,
                                  struct tri_error *e)
{
    int vocab = s->model->config.vocab;
    if (count < 1)
        return tri_fail(e, TRI_USAGE, "tokens: expected at least one, found none");
    if (count > s->context - position)
        return tri_fail(e, TRI_FAILED,
                        "context: %d tokens do not fit behind the %d already in a context of %d; "
                        "use a greater one (-c)",
                        count, position, s->context);
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return tri_fail(e, TRI_USAGE, "token %d: expected an id from 0 to %d, found %d", i,
                            vocab - 1, ids[i]);
    return TRI_OK;
}

void tri_session_advance(struct tri_session *s, const int32_t *ids, int count)
{
    memmove(s->ids + s->position, ids, (size_t)count * sizeof *ids); /* they may be its own, moving up */
    s->position += count;
}

static enum tri_status check_overflow(struct tri_session *s, int n, struct tri_error *e)
{
    const int token = tri_forward_overflow(s->work, n);
    return token < 0 ? TRI_OK : tri_fail_overflow(s->position + token, e);
}

/* The next n tokens through all layers, and the logits of the last one if that is asked for. */
static enum tri_status pass(struct tri_session *s, const int32_t *ids, int n, bool last, struct tri_error *e)
{
    const struct tri_run run = {.session = s, .position = s->position, .count = n};
    const struct tri_ubatch ubatch = {.ids = ids, .n = n, .run = &run, .runs = 1};
    const struct tri_wanted wanted = {.token = &(int){n - 1}, .n = last, .top = s->top, .logits = s->logits};
    tri_forward(s->work, &ubatch, &wanted);
    return check_overflow(s, n, e);
}

int tri_session_common(const struct tri_session *s, const int32_t *ids, int count)
{
    int n = 0;
    while (n < count - 1 && n < s->position && s->ids[n] == ids[n])
        n++;
    return n;
}

enum tri_status tri_session_feed(struct tri_session *s, const int32_t *ids, int count,
                                 const float **logits, struct tri_error *e)
{
    if (tri_session_check(s, s->position, ids, count, e) != TRI_OK)
        return e->status;
    for (int at = 0, n; at < count; at += n) {
        n = least(s->work->ubatch, count - at);
        tri_pool_lock(s->work->pool);
        const enum tri_status status = pass(s, ids + at, n, at + n == count, e);
        tri_pool_unlock(s->work->pool);
        if (status != TRI_OK)
            return status;
        tri_session_advance(s, ids + at, n);
    }
    *logits = s->logits;
    return TRI_OK;
}

int tri_session_guesses(const struct tri_session *s)
{
    return least(least(TRI_HEAD_TOKENS, s->work->ubatch), s->context - s->position) - 1;
}

enum tri_status tri_session_guess(struct tri_session *s, const int32_t *ids, int count, const float **logits, int *fed,
                                  struct tri_error *e)
{
    static const int all[TRI_HEAD_TOKENS] = {0, 1, 2, 3, 4, 5, 6, 7};
    const struct tri_run run = {.session = s, .position = s->position, .count = count};
    const struct tri_ubatch ubatch = {.ids = ids, .n = count, .run = &run, .runs = 1, .decodes = true};
    *logits = s->logits;
    *fed = 0;
    if (tri_session_check(s, s->position, ids, count, e) != TRI_OK)
        return e->status;
    if (count - 1 > tri_session_guesses(s))
        return tri_fail(e, TRI_USAGE, "guesses: expected at most %d, found %d", tri_session_guesses(s), count - 1);
    tri_pool_lock(s->work->pool);
    tri_forward(s->work, &ubatch, &(struct tri_wanted){.token = all, .n = count, .top = s->top, .logits = s->logits});
    const int bad = tri_forward_overflow(s->work, count);
    tri_pool_unlock(s->work->pool);
    if (bad == 0)
        return tri_fail_overflow(s->position, e);
    *fed = bad > 0 ? bad : count;
    tri_session_advance(s, ids, *fed);
    return TRI_OK;
}

enum tri_status tri_session_shift(struct tri_session *s, int keep, struct tri_error *e)
{
    const int left = s->position - keep, dropped = left / 2;
    const float *unused;
    if (keep < 0 || dropped < 1)
        return tri_fail(e, TRI_USAGE, "context shift: expected to keep 0 to %d of %d tokens, found %d", s->position - 2,
                        s->position, keep);
    s->position = keep;
    return tri_session_feed(s, s->ids + keep + dropped, left - dropped, &unused, e);
}

/* `first`: the number of the pass's first token in the text. */
static enum tri_status score_pass(struct tri_session *s, int first, int n, tri_each_fn *each,
                                  void *arg, struct tri_error *e)
{
    size_t vocab = (size_t)s->model->config.vocab;
    for (int from = 0, some; from < n; from += some) {
        int token[TRI_HEAD_TOKENS];
        some = least(n - from, TRI_HEAD_TOKENS);
        for (int i = 0; i < some; i++)
            token[i] = from + i;
        tri_forward_head(s->work, &(struct tri_wanted){.token = token, .n = some, .logits = s->logits});
        if (check_overflow(s, n, e) != TRI_OK)
            return e->status;
        for (int i = 0; i < some; i++)
            each(arg, first + from + i, s->logits + (size_t)i * vocab);
    }
    return TRI_OK;
}

enum tri_status tri_session_score(struct tri_session *s, const int32_t *ids, int count,
                                  tri_each_fn *each, void *arg, struct tri_error *e)
{
    if (tri_session_check(s, s->position, ids, count, e) != TRI_OK)
        return e->status;
    for (int at = 0, n; at < count; at += n) {
        n = least(s->work->ubatch, count - at);
        tri_pool_lock(s->work->pool);
        enum tri_status status = pass(s, ids + at, n, false, e);
        if (status == TRI_OK)
            status = score_pass(s, at, n, each, arg, e);
        tri_pool_unlock(s->work->pool);
        if (status != TRI_OK)
            return status;
        tri_session_advance(s, ids + at, n);
    }
    return TRI_OK;
}
