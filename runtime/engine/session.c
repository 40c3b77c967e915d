/* Owns: a session's memory and its position, and the cutting of feeds into passes. Leaves out the
 * pass. */
#include "engine/session.h"
#include "base/memory.h"
#include "engine/forward.h"

#include <string.h>

enum { DEFAULT_UBATCH = 512, MAX_UBATCH = 1 << 16, LINE_FLOATS = 16 };

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static size_t lines(size_t n, size_t line)
{
    return (n + line - 1) / line * line;
}

/* -- memory ------------------------------------------------------------ */

/* What the matrices of a model ask of the buffers, at most. */
struct needs {
    size_t kp, table, sums, wide, spare, list;
};

/* Of a layer that skips: sums of all rows of up or down, and inputs as its layouts pad them. */
static void need_skip(struct needs *n, const struct tri_layer *l)
{
    for (int r = 0; l->skip && r < TRI_ROLES; r++) {
        const struct tri_matrix *m = &l->matrix[r];
        if (!m->plan.sparse.layout)
            continue;
        n->kp = most(n->kp, (size_t)tri_round_up(m->k, m->plan.sparse.layout->kstep));
        n->sums = most(n->sums, (size_t)m->m);
        n->list = most(n->list, (size_t)l->skip->up.part[0].rows);
    }
}

static struct needs needs_of(const struct tri_model *m)
{
    struct needs n = {0};
    for (int i = 0; i < m->config.layers; i++) {
        need_skip(&n, &m->layer[i]);
        for (int r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *matrix = &m->layer[i].matrix[r];
            n.kp = most(n.kp, (size_t)matrix->kp);
            n.table = most(n.table, tri_table_bytes(&matrix->plan, matrix->kp));
            n.sums = most(n.sums, tri_product_sums(&matrix->plan));
            n.wide = most(n.wide, (size_t)matrix->m);
            n.spare = most(n.spare, (size_t)tri_product_spare(&matrix->plan));
        }
    }
    return n;
}

struct buffer {
    void *into; /* a pointer to the pointer */
    size_t count, size;
    const char *what;
};

static enum tri_status allocate(const struct buffer *b, int count, struct tri_error *e)
{
    for (int i = 0; i < count; i++) {
        void *memory = tri_alloc(b[i].count, b[i].size, b[i].what, e);
        if (!memory)
            return e->status;
        memcpy(b[i].into, &memory, sizeof memory);
    }
    return TRI_OK;
}

static enum tri_status allocate_buffers(struct tri_session *s, struct tri_error *e)
{
    const struct tri_config *c = &s->model->config;
    struct needs need = needs_of(s->model);
    size_t threads = (size_t)tri_pool_threads(s->pool), n = (size_t)s->ubatch;
    size_t tokens = n + need.spare, each = most(tokens, threads), dims = (size_t)c->rope_dims, f = sizeof(float);
    size_t marks = most(tokens, threads * LINE_FLOATS);
    s->input.x.ldq = lines(need.kp, 64) + 64; /* rows of different tokens fall into different sets */
    s->input.x.ldt = lines(need.table, 64) + 64;
    s->ldw = lines(need.wide, LINE_FLOATS);
    s->floats_each = lines(tri_forward_floats(c), LINE_FLOATS);
    s->sums_each = lines(need.sums, LINE_FLOATS);
    const struct buffer buffers[] = {
        {&s->input.x.q, each, s->input.x.ldq, "activations"},
        {&s->input.x.table, need.table ? tokens : 1, s->input.x.ldt, "activation tables"},
        {&s->input.s, marks, f, "activations"},
        {&s->input.x.sum, marks, sizeof(int32_t), "activations"},
        {&s->frequency, dims / 2, sizeof(double), "rotary embedding"},
        {&s->cosine, n * dims, f, "rotary embedding"},
        {&s->sine, n * dims, f, "rotary embedding"},
        {&s->x, n * (size_t)c->hidden, f, "activations"},
        {&s->wide, n * s->ldw, f, "activations"},
        {&s->mixed, n * (size_t)c->heads * (size_t)c->head_dim, f, "activations"},
        {&s->last, TRI_HEAD_TOKENS * (size_t)c->hidden, f, "activations"},
        {&s->logits, TRI_HEAD_TOKENS * (size_t)c->vocab, f, "logits"},
        {&s->floats, threads * s->floats_each, f, "scratch"},
        {&s->sums, threads * s->sums_each, sizeof(int32_t), "scratch"},
        {&s->list, threads * need.list, sizeof(int32_t), "scratch"},
        {&s->listed, threads * need.list, 1, "scratch"},
    };
    return allocate(buffers, sizeof buffers / sizeof buffers[0], e);
}

static enum tri_status allocate_caches(struct tri_session *s, const struct tri_session_options *o,
                                       struct tri_error *e)
{
    const struct tri_config *c = &s->model->config;
    if (tri_cache_new(&s->keys, "cache of keys", o->cache_k, c->layers, s->context, c->kv_heads, c->head_dim, e))
        return e->status;
    return tri_cache_new(&s->values, "cache of values", o->cache_v, c->layers, s->context, c->kv_heads, c->head_dim, e);
}

struct tri_session *tri_session_new(const struct tri_model *m, struct tri_pool *pool,
                                    const struct tri_session_options *o, struct tri_error *e)
{
    struct tri_session *s = tri_alloc(1, sizeof *s, "session", e);
    if (!s)
        return NULL;
    s->model = m;
    s->pool = pool;
    s->vec = tri_dispatch_isa()->vec;
    s->context = o->context > 0 ? o->context : m->config.context;
    memcpy(s->team, o->team, sizeof s->team);
    s->ubatch = o->ubatch > 0 ? o->ubatch : DEFAULT_UBATCH;
    s->ubatch = least(s->ubatch, least(s->context, MAX_UBATCH));
    if (allocate_caches(s, o, e) != TRI_OK || allocate_buffers(s, e) != TRI_OK) {
        tri_session_free(s);
        return NULL;
    }
    tri_rope_frequencies(m->config.rope_theta, m->config.rope_dims, s->frequency);
    return s;
}

void tri_session_free(struct tri_session *s)
{
    if (!s)
        return;
    void *const memory[] = {
        s->keys.data, s->values.data, s->input.x.q, s->input.x.table, s->input.s, s->input.x.sum,
        s->frequency, s->cosine,      s->sine,    s->x,           s->wide,    s->mixed,
        s->last,      s->logits,      s->floats,  s->sums,        s->list,  s->listed, s};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        tri_free(memory[i]);
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
    s->team[phase] = team;
}

void tri_session_rewind(struct tri_session *s, int position)
{
    if (position >= 0 && position < s->position)
        s->position = position;
}

static enum tri_status check(const struct tri_session *s, const int32_t *ids, int count,
                             struct tri_error *e)
{
    int vocab = s->model->config.vocab;
    if (count < 1)
        return tri_fail(e, TRI_USAGE, "tokens: expected at least one, found none");
    if (count > s->context - s->position)
        return tri_fail(e, TRI_FAILED,
                        "context: %d tokens do not fit behind the %d already in a context of %d; "
                        "use a greater one (-c)",
                        count, s->position, s->context);
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return tri_fail(e, TRI_USAGE, "token %d: expected an id from 0 to %d, found %d", i,
                            vocab - 1, ids[i]);
    return TRI_OK;
}

static enum tri_status check_overflow(struct tri_session *s, struct tri_error *e)
{
    if (!atomic_load_explicit(&s->overflow, memory_order_relaxed))
        return TRI_OK;
    atomic_store_explicit(&s->overflow, false, memory_order_relaxed);
    return tri_fail(e, TRI_FAILED,
                    "positions from %d on: activations are beyond the range of floats; the model's "
                    "scales or norms must be damaged",
                    s->position);
}

enum tri_status tri_session_feed(struct tri_session *s, const int32_t *ids, int count,
                                 const float **logits, struct tri_error *e)
{
    if (check(s, ids, count, e) != TRI_OK)
        return e->status;
    for (int at = 0, n; at < count; at += n) {
        n = least(s->ubatch, count - at);
        tri_forward(s, ids + at, n, at + n == count);
        if (check_overflow(s, e) != TRI_OK)
            return e->status;
        s->position += n;
    }
    *logits = s->logits;
    return TRI_OK;
}

static enum tri_status score_pass(struct tri_session *s, int first, int n, tri_each_fn *each,
                                  void *arg, struct tri_error *e)
{
    size_t vocab = (size_t)s->model->config.vocab;
    for (int from = 0, some; from < n; from += some) {
        some = least(n - from, TRI_HEAD_TOKENS);
        tri_forward_head(s, from, some);
        if (check_overflow(s, e) != TRI_OK)
            return e->status;
        for (int i = 0; i < some; i++)
            each(arg, first + from + i, s->logits + (size_t)i * vocab);
    }
    return TRI_OK;
}

enum tri_status tri_session_score(struct tri_session *s, const int32_t *ids, int count,
                                  tri_each_fn *each, void *arg, struct tri_error *e)
{
    if (check(s, ids, count, e) != TRI_OK)
        return e->status;
    for (int at = 0, n; at < count; at += n) {
        n = least(s->ubatch, count - at);
        tri_forward(s, ids + at, n, false);
        if (check_overflow(s, e) != TRI_OK || score_pass(s, at, n, each, arg, e) != TRI_OK)
            return e->status;
        s->position += n;
    }
    return TRI_OK;
}
