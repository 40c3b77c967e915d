/* Owns: the memory of a forward pass. Leaves out the pass. */
#include "engine/workspace.h"
#include "base/memory.h"
#include "engine/forward.h"

#include <string.h>

enum {
    LINE_FLOATS = 16,
    PARTS = 1 << 14, /* those of a token with 32 heads at position 131071, or of some tokens further up */
};

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t lines(size_t n, size_t line)
{
    return (n + line - 1) / line * line;
}

/* What the matrices of a model ask of the buffers, at most. */
struct needs {
    size_t kp, table, sums, wide, spare, list, groups, floats;
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

static void need_plan(struct needs *n, const struct tri_matrix *m)
{
    n->table = most(n->table, tri_table_bytes(&m->plan, m->kp));
    n->sums = most(n->sums, tri_product_sums(&m->plan));
    n->spare = most(n->spare, (size_t)tri_product_spare(&m->plan));
}

static void need_dense(struct needs *n, const struct tri_matrix *m)
{
    n->sums = most(n->sums, tri_dense_sums());
    n->floats = most(n->floats, m->dense->kind == TRI_ROWS_F16 ? (size_t)m->kp : 0);
}

static struct needs needs_of(const struct tri_model *m)
{
    struct needs n = {0};
    for (int i = 0; i < m->config.layers; i++) {
        need_skip(&n, &m->layer[i]);
        for (int r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *matrix = &m->layer[i].matrix[r];
            n.kp = most(n.kp, (size_t)matrix->kp);
            n.groups = most(n.groups, matrix->group ? (size_t)tri_groups(matrix->kp, matrix->group) : 1);
            n.wide = most(n.wide, (size_t)matrix->m);
            (matrix->dense ? need_dense : need_plan)(&n, matrix);
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

/* A token's activations have one scale: those of its groups are 1. */
static void fill_scales(struct tri_workspace *w, size_t count)
{
    for (size_t i = 0; i < count; i++)
        w->input.x.scale[i] = 1;
}

static enum tri_status allocate_buffers(struct tri_workspace *w, struct tri_error *e)
{
    const struct tri_config *c = &w->model->config;
    struct needs need = needs_of(w->model);
    size_t threads = (size_t)tri_pool_threads(w->pool), n = (size_t)w->ubatch;
    size_t tokens = n + need.spare, each = most(tokens, threads), dims = (size_t)c->rope_dims, f = sizeof(float);
    w->marks_each = lines(need.groups, LINE_FLOATS);
    size_t marks = most(tokens * need.groups, threads * w->marks_each);
    w->input.x.ldq = lines(need.kp, 64) + 64; /* rows of different tokens fall into different sets */
    w->input.x.ldt = lines(need.table, 64) + 64;
    w->input.x.ldf = need.floats ? lines(need.floats, LINE_FLOATS) + LINE_FLOATS : 0;
    w->ldw = lines(need.wide, LINE_FLOATS);
    w->floats_each = lines(tri_forward_floats(c), LINE_FLOATS);
    w->sums_each = lines(need.sums, LINE_FLOATS);
    w->parts_count = PARTS;
    const struct buffer buffers[] = {
        {&w->input.x.q, each, w->input.x.ldq, "activations"},
        {&w->input.x.table, need.table ? tokens : 1, w->input.x.ldt, "activation tables"},
        {&w->input.x.f, need.floats ? each : 1, most(w->input.x.ldf, 1) * f, "activations"},
        {&w->input.s, marks, f, "activations"},
        {&w->input.x.sum, marks, sizeof(int32_t), "activations"},
        {&w->input.x.scale, need.groups > 1 ? marks : 1, f, "activations"},
        {&w->frequency, dims / 2, sizeof(double), "rotary embedding"},
        {&w->cosine, n * dims, f, "rotary embedding"},
        {&w->sine, n * dims, f, "rotary embedding"},
        {&w->x, n * (size_t)c->hidden, f, "activations"},
        {&w->wide, n * w->ldw, f, "activations"},
        {&w->branch, c->family->post_norms ? n * (size_t)c->hidden : 1, f, "activations"},
        {&w->mixed, n * (size_t)c->heads * (size_t)c->head_dim, f, "activations"},
        {&w->parts, w->parts_count, tri_part_floats(c->head_dim) * f, "parts of attention"},
        {&w->last, TRI_HEAD_TOKENS * (size_t)c->hidden, f, "activations"},
        {&w->floats, threads * w->floats_each, f, "scratch"},
        {&w->sums, threads * w->sums_each, sizeof(int32_t), "scratch"},
        {&w->list, threads * need.list, sizeof(int32_t), "scratch"},
        {&w->listed, threads * need.list, 1, "scratch"},
        {&w->overflow, n, sizeof(atomic_bool), "activations"},
    };
    if (allocate(buffers, sizeof buffers / sizeof buffers[0], e) != TRI_OK)
        return e->status;
    fill_scales(w, need.groups > 1 ? marks : 1);
    return TRI_OK;
}

struct tri_workspace *tri_workspace_new(const struct tri_model *m, struct tri_pool *pool,
                                        const struct tri_workspace_options *o, struct tri_error *e)
{
    struct tri_workspace *w = tri_alloc(1, sizeof *w, "workspace", e);
    if (!w)
        return NULL;
    w->model = m;
    w->pool = pool;
    w->vec = tri_dispatch_isa()->vec;
    memcpy(w->team, o->team, sizeof w->team);
    w->ubatch = o->ubatch > 0 ? o->ubatch : TRI_UBATCH;
    if (w->ubatch > TRI_MAX_UBATCH)
        w->ubatch = TRI_MAX_UBATCH;
    if (allocate_buffers(w, e) != TRI_OK ||
        (m->screen && !(w->screening = tri_screening_new(m, tri_pool_threads(pool), e)))) {
        tri_workspace_free(w);
        return NULL;
    }
    tri_rope_frequencies(&m->config, m->rope_divisors, w->frequency);
    return w;
}

void tri_workspace_free(struct tri_workspace *w)
{
    if (!w)
        return;
    void *const memory[] = {w->input.x.q, w->input.x.table, w->input.x.sum, w->input.x.scale, w->input.x.f, w->input.s,
                            w->frequency, w->cosine,        w->sine,        w->x,             w->wide,      w->mixed,
                            w->branch,    w->parts,         w->last,        w->floats,        w->sums,      w->list,
                            w->listed,    w->overflow,      w};
    tri_screening_free(w->screening);
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        tri_free(memory[i]);
}
