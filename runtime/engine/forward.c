/* Owns: the order of the steps from token ids to logits, and who does what in them: all threads
 * walk the same list, each with its share, and meet where a step reads what others wrote.
 *
 * A single token is the common case, and its norms are too short to share: every thread does them
 * for itself, into buffers of its own, and no barrier is needed behind them. */
#include "engine/forward.h"
#include "engine/attend.h"
#include "model/build.h"
#include "model/traffic.h"

#include <math.h>
#include <string.h>

struct pass {
    struct tri_workspace *w;
    const struct tri_ubatch *u;
    const struct tri_model *model;
    const struct tri_config *c;
    const struct tri_vec *v;
    int n, thread, threads;
    bool solo;      /* one token: norms are every thread's own */
    int from, to;   /* tokens whose norms this thread does */
    float *scratch; /* of this thread, tri_forward_floats */
    int32_t *sums;
    struct tri_input input;
};

enum {
    HEAD_ROWS = 4, /* of the head that are multiplied with all tokens before the next */
};

enum { O = 3, GATE = 4, DOWN = 6 }; /* parts of a layer that have norms of their own */

static int widest(const struct tri_config *c)
{
    int heads = c->heads * c->head_dim, most = c->hidden > c->ffn ? c->hidden : c->ffn;
    return heads > most ? heads : most;
}

size_t tri_forward_floats(const struct tri_config *c)
{
    size_t norms = 2 * (size_t)widest(c), attention = tri_attention_floats(c->heads / c->kv_heads, c->head_dim);
    size_t head = HEAD_ROWS * (size_t)c->hidden, most = norms > attention ? norms : attention;
    return head > most ? head : most;
}

static void sync(const struct pass *p)
{
    tri_pool_sync(p->w->pool);
}

static void share(const struct pass *p, int items, int *from, int *to)
{
    tri_pool_share(p->w->pool, items, p->thread, from, to);
}

static float *row(float *rows, int t, size_t ld)
{
    return rows + (size_t)t * ld;
}

/* -- norms and products ------------------------------------------------ */

struct tri_measure tri_rms_norm(const struct tri_vec *v, const float *x, float squares, const float *weight, float eps,
                                int n, float *y)
{
    return v->norm(x, 1.0f / sqrtf(squares / (float)n + eps), weight, y, n);
}

static void expect_finite(const struct pass *p, int t, bool finite)
{
    if (!finite)
        atomic_store_explicit(&p->w->overflow[t], true, memory_order_relaxed);
}

static struct tri_measure rms_norm(const struct pass *p, int t, const float *x, struct tri_measure of,
                                   const float *weight, int n, float *y)
{
    expect_finite(p, t, of.squares < INFINITY);
    return tri_rms_norm(p->v, x, of.squares, weight, p->c->norm_eps, n, y);
}

/* Norms of a matrix's input, one after the other; NULL: none. */
struct norms {
    const float *first, *own;
};

/* Token t's input to matrix m, x of measure `of`, normed. Two passes over x, or one. */
static void quantise(const struct pass *p, const struct tri_matrix *m, int t, const float *x, struct tri_measure of,
                     struct norms norms)
{
    const float *const weights[] = {norms.first, norms.own};
    float *y = p->scratch;
    for (int i = 0; i < 2; i++)
        if (weights[i]) {
            of = rms_norm(p, t, x, of, weights[i], m->k, y);
            x = y;
        }
    expect_finite(p, t, tri_quantize(p->v, m, &p->input, t, x, of));
}

/* The inputs of this thread's tokens, as they lie in rows. */
static void quantise_rows(const struct pass *p, const struct tri_matrix *m, float *rows, struct norms norms)
{
    for (int t = p->from; t < p->to; t++) {
        const float *x = row(rows, t, (size_t)m->k);
        quantise(p, m, t, x, p->v->measure(x, m->k), norms);
    }
}

/* Behind the quantisation of all tokens: meet, and make the tables if the kernels want them. */
static void ready(const struct pass *p, const struct tri_matrix *m)
{
    if (!p->solo)
        sync(p);
    if (m->plan.count && m->plan.kernels[0]->prepare) {
        tri_prepare(&m->plan, m->kp, &p->input.x, p->n, p->w->pool, p->thread);
        sync(p);
    }
}

static void linear(const struct pass *p, const struct tri_matrix *m, float *out, size_t ld,
                   bool add)
{
    const struct tri_output to = {.at = out, .ld = ld, .add = add};
    ready(p, m);
    tri_linear(p->v, m, &p->input, p->n, p->w->pool, p->thread, p->sums, &to);
    sync(p);
}

/* w->wide = m times the normed x: of the whole stack at once, or part by part where each norms its own input. */
static void spread(const struct pass *p, const struct tri_matrix *m, const float *norm, const float *const *own)
{
    for (int i = 0; p->c->norms_in && i < m->parts; i++) {
        const struct tri_matrix part = tri_matrix_part(m, i);
        quantise_rows(p, &part, p->w->x, (struct norms){norm, own[i]});
        linear(p, &part, p->w->wide + m->part[i].row, p->w->ldw, false);
    }
    if (p->c->norms_in)
        return;
    quantise_rows(p, m, p->w->x, (struct norms){norm, NULL});
    linear(p, m, p->w->wide, p->w->ldw, false);
}

/* x += norm(branch). Of a single token every thread norms all and adds its share. */
static void add_branch(const struct pass *p, const float *norm)
{
    const int hidden = p->c->hidden;
    int from = 0, to = hidden;
    if (p->solo)
        share(p, hidden, &from, &to);
    for (int t = p->from; t < p->to; t++) {
        const float *branch = row(p->w->branch, t, (size_t)hidden);
        float *x = row(p->w->x, t, (size_t)hidden), *y = p->scratch;
        rms_norm(p, t, branch, p->v->measure(branch, hidden), norm, hidden, y);
        for (int i = from; i < to; i++)
            x[i] += y[i];
    }
    sync(p);
}

/* x += m times the input, which is normed before it is added where there is a norm. */
static void gather(const struct pass *p, const struct tri_matrix *m, const float *norm)
{
    const size_t hidden = (size_t)p->c->hidden;
    linear(p, m, norm ? p->w->branch : p->w->x, hidden, !norm);
    if (norm)
        add_branch(p, norm);
}

/* -- attention --------------------------------------------------------- */

/* Of a query or key, normed where there is a norm. */
static void rotate(const struct pass *p, int t, const float *norm, float *head)
{
    size_t dims = (size_t)p->c->rope_dims;
    if (norm)
        rms_norm(p, t, head, p->v->measure(head, p->c->head_dim), norm, p->c->head_dim, head);
    tri_rope(p->v, p->c, row(p->w->cosine, t, dims), row(p->w->sine, t, dims), head);
}

/* Rotates queries in place; rotates keys and puts them and the values into the cache. */
static void rotate_and_store_run(const struct pass *p, int layer, const struct tri_run *run)
{
    const struct tri_layer *l = &p->model->layer[layer];
    const struct tri_matrix *qkv = &l->matrix[TRI_ROLE_QKV];
    const struct tri_session *s = run->session;
    int heads = p->c->heads, each = heads + p->c->kv_heads, dim = p->c->head_dim, from, to;
    share(p, run->count * each, &from, &to);
    for (int i = from; i < to; i++) {
        int t = run->first + i / each, position = run->position + i / each, head = i % each, kv = head - heads;
        float *wide = row(p->w->wide, t, p->w->ldw);
        if (head < heads) {
            rotate(p, t, l->q_norm, wide + head * dim);
            continue;
        }
        float *key = wide + qkv->part[1].row + kv * dim, *value = wide + qkv->part[2].row + kv * dim;
        rotate(p, t, l->k_norm, key);
        tri_cache_put(&s->keys, p->v, layer, position, kv, key, dim);
        tri_cache_put(&s->values, p->v, layer, position, kv, value, dim);
    }
}

static void rotate_and_store(const struct pass *p, int layer)
{
    for (int r = 0; r < p->u->runs; r++)
        rotate_and_store_run(p, layer, &p->u->run[r]);
    sync(p);
}

static void attention(const struct pass *p, int layer)
{
    const struct tri_layer *w = &p->model->layer[layer];
    const struct tri_matrix *qkv = &w->matrix[TRI_ROLE_QKV], *o = &w->matrix[TRI_ROLE_O];
    spread(p, qkv, w->attn_norm, w->norm_in);
    rotate_and_store(p, layer);
    tri_attend_pass(p->w, p->u, layer, p->thread, p->threads);
    sync(p);
    quantise_rows(p, o, p->w->mixed, (struct norms){w->attn_sub_norm, w->norm_in[O]});
    gather(p, o, w->post_attn_norm);
}

/* -- feed forward ------------------------------------------------------ */

/* f = act(gate) * up */
static struct tri_measure activate(const struct pass *p, const float *gate, const float *up, float *f)
{
    struct tri_measure (*const of[TRI_ACTIVATIONS])(const float *, const float *, float *, int) = {
        p->v->relu2_mul, p->v->silu_mul, p->v->gelu_mul};
    return of[p->c->family->activation](gate, up, f, p->c->ffn);
}

/* The single token's gate, and of up only the rows it lets through: the others stay zeros, and zeros of either sign
 * are the same to the norm and the quantiser behind. (An up beyond the range of floats goes unnoticed where gate is not
 * positive.) Every thread makes the whole list for itself, which costs less than to meet once more. */
static void gate_then_up(const struct pass *p, const struct tri_layer *w)
{
    const struct tri_skip *skip = w->skip;
    float *gate = p->w->wide, *up = gate + w->matrix[TRI_ROLE_GATE_UP].part[1].row;
    int32_t *list = p->w->list + (size_t)p->thread * (size_t)p->c->ffn;
    int from, to;
    quantise_rows(p, &skip->gate, p->w->x, (struct norms){w->ffn_norm, NULL});
    share(p, p->c->ffn, &from, &to);
    memset(up + from, 0, (size_t)(to - from) * sizeof *up);
    linear(p, &skip->gate, gate, p->w->ldw, false);
    const int n = tri_list_positive(gate, 0, p->c->ffn, list);
    if (tri_sparse_pays(&skip->up.plan, n, p->c->ffn)) {
        tri_linear_rows(&skip->up, skip->rows, &p->input, list, n, p->w->pool, p->thread, p->sums, up);
    } else {
        const struct tri_output to_up = {.at = up};
        tri_linear(p->v, &skip->up, &p->input, 1, p->w->pool, p->thread, p->sums, &to_up);
    }
    sync(p);
}

/* x += down, without the columns whose quantised input is zero, if there are few others; else false. */
static bool skip_down(const struct pass *p, const struct tri_layer *w)
{
    const struct tri_matrix *down = &w->matrix[TRI_ROLE_DOWN];
    const size_t at = (size_t)p->thread * (size_t)p->c->ffn;
    int32_t *list = p->w->list + at;
    int8_t *values = p->w->listed + at;
    const int n = tri_list_nonzero(p->input.x.q, 0, p->c->ffn, list, values);
    if (!tri_sparse_pays(&down->plan, n, p->c->ffn))
        return false;
    tri_linear_columns(p->v, down, w->skip->columns, &p->input, list, values, n, p->w->pool, p->thread, p->sums,
                       p->w->x);
    sync(p);
    return true;
}

/* Of gate, up and down, where so many gates are positive and so many inputs of down are not zero. */
static size_t bytes_read(const struct pass *p, const struct tri_layer *w, int positive, int nonzero)
{
    const struct tri_matrix *gate_up = &w->matrix[TRI_ROLE_GATE_UP], *down = &w->matrix[TRI_ROLE_DOWN];
    const struct tri_skip *skip = w->skip;
    if (!skip)
        return tri_matrix_traffic(gate_up) + tri_matrix_traffic(down);
    const bool rows = tri_sparse_pays(&skip->up.plan, positive, p->c->ffn);
    const bool columns = tri_sparse_pays(&down->plan, nonzero, p->c->ffn);
    return tri_matrix_traffic(&skip->gate) +
           (rows ? (size_t)positive * skip->row_bytes : tri_matrix_traffic(&skip->up)) +
           (columns ? (size_t)nonzero * skip->column_bytes : tri_matrix_traffic(down));
}

/* Of a single token, by the first thread, before down: while it has not met the others, nobody overwrites gate. */
static void count(const struct pass *p, int layer)
{
    struct tri_ffn_count *c = &p->w->counts[layer];
    const int nonzero = tri_linear_nonzero(&p->model->layer[layer].matrix[TRI_ROLE_DOWN], &p->input);
    int positive = 0;
    for (int i = 0; i < p->c->ffn; i++)
        positive += p->w->wide[i] > 0;
    c->tokens++;
    c->idle += (uint64_t)(p->c->ffn - positive);
    c->zeros += (uint64_t)(p->c->ffn - nonzero);
    c->bytes += bytes_read(p, &p->model->layer[layer], positive, nonzero);
}

static void feed_forward(const struct pass *p, int layer)
{
    const struct tri_layer *w = &p->model->layer[layer];
    const struct tri_matrix *gate_up = &w->matrix[TRI_ROLE_GATE_UP];
    const struct tri_matrix *down = &w->matrix[TRI_ROLE_DOWN];
    const bool skips = p->solo && w->skip;
    if (skips)
        gate_then_up(p, w);
    else
        spread(p, gate_up, w->ffn_norm, w->norm_in + GATE);
    for (int t = p->from; t < p->to; t++) {
        const float *wide = row(p->w->wide, t, p->w->ldw);
        float *f = p->scratch + widest(p->c);
        quantise(p, down, t, f, activate(p, wide, wide + gate_up->part[1].row, f),
                 (struct norms){w->ffn_sub_norm, w->norm_in[DOWN]});
    }
    if (p->w->counts && p->solo && p->thread == 0)
        count(p, layer);
    if (!skips || !skip_down(p, w))
        gather(p, down, w->post_ffn_norm);
}

/* -- both ends --------------------------------------------------------- */

/* This thread's tokens of a run. */
static void embed(const struct pass *p, const struct tri_run *run)
{
    const struct tri_tensor *e = p->model->embedding;
    size_t dims = (size_t)p->c->rope_dims;
    int end = run->first + run->count, to = p->to < end ? p->to : end;
    for (int t = p->from > run->first ? p->from : run->first; t < to; t++) {
        float *x = row(p->w->x, t, (size_t)p->c->hidden);
        e->encoding->floats(e, p->u->ids[t], x);
        if (p->c->family->scaled)
            p->v->scale(tri_bf16_to_f32(tri_f32_to_bf16(sqrtf((float)p->c->hidden))), x, p->c->hidden);
        tri_rope_angles(p->c, p->w->frequency, run->position + t - run->first, row(p->w->cosine, t, dims),
                        row(p->w->sine, t, dims));
    }
}

/* logits = head . h, for n tokens at once: few rows at a time, since the head comes from memory. With more than one
 * token blocks are decoded once. The bits are those of one row and one token at a time. */
static void project(const struct pass *p, const float *h, int n, float *logits)
{
    const struct tri_tensor *head = p->model->head;
    const struct tri_rows *stored = &p->v->rows[head->encoding->rows], *floats = &p->v->rows[TRI_ROWS_F32];
    const size_t hidden = (size_t)p->c->hidden, vocab = (size_t)p->c->vocab, ld = head->bytes / vocab;
    const bool decode = n > 1 && head->encoding->block > 1;
    int from, to;
    share(p, p->c->vocab, &from, &to);
    for (int i = from, rows; i < to; i += rows) {
        const uint8_t *w = head->data + (size_t)i * ld;
        rows = to - i < HEAD_ROWS ? to - i : HEAD_ROWS;
        for (int r = 0; decode && r < rows; r++)
            stored->floats(w + (size_t)r * ld, row(p->scratch, r, hidden), p->c->hidden);
        for (int t = 0; t < n; t++) {
            float *out = row(logits, t, vocab) + i;
            const float *x = h + (size_t)t * hidden;
            if (decode)
                floats->dots(p->scratch, hidden * sizeof(float), rows, x, p->c->hidden, out);
            else
                (n > 1 ? stored->dots : stored->stream)(w, ld, rows, x, p->c->hidden, out);
        }
    }
}

static struct tri_screened screened(const struct pass *p, const float *h, int n, int top, float *logits)
{
    return (struct tri_screened){.s = top > 0 && top <= TRI_TOP_MOST ? p->w->screening : NULL,
                                 .v = p->v,
                                 .pool = p->w->pool,
                                 .thread = p->thread,
                                 .threads = p->threads,
                                 .h = h,
                                 .n = n,
                                 .top = top,
                                 .logits = logits};
}

/* Logits of at most TRI_HEAD_TOKENS tokens; a single one is normed by every thread for itself. */
static void head_some(const struct pass *p, const int *token, int n, int top, float *logits)
{
    size_t hidden = (size_t)p->c->hidden;
    float *h = n == 1 ? p->scratch : p->w->last;
    const struct tri_screened screen = screened(p, h, n, top, logits);
    int from = 0, to = 1;
    if (n > 1)
        share(p, n, &from, &to);
    for (int i = from; i < to; i++) {
        const float *x = row(p->w->x, token[i], hidden);
        const struct tri_measure of = rms_norm(p, token[i], x, p->v->measure(x, p->c->hidden), p->model->output_norm,
                                               p->c->hidden, row(h, i, hidden));
        if (screen.s)
            tri_screen_take(&screen, i, of);
    }
    if (n > 1)
        sync(p);
    if (!screen.s || !tri_screen_holds(&screen)) {
        project(p, h, n, logits);
        return;
    }
    tri_screen_bound(&screen);
    sync(p);
    tri_screen_decide(&screen);
}

static void head(const struct pass *p, const struct tri_wanted *wanted)
{
    for (int from = 0, n; from < wanted->n; from += n) {
        n = wanted->n - from < TRI_HEAD_TOKENS ? wanted->n - from : TRI_HEAD_TOKENS;
        if (from)
            sync(p); /* all have read what is normed anew */
        head_some(p, wanted->token + from, n, wanted->top, wanted->logits + (size_t)from * (size_t)p->c->vocab);
    }
}

/* -- the pass ---------------------------------------------------------- */

struct job {
    struct tri_workspace *w;
    const struct tri_ubatch *u;
    const struct tri_wanted *wanted;
};

static struct pass begin(const struct job *job, int thread, int threads)
{
    struct tri_workspace *w = job->w;
    struct pass p = {.w = w,
                     .u = job->u,
                     .model = w->model,
                     .c = &w->model->config,
                     .v = w->vec,
                     .n = job->u ? job->u->n : 0,
                     .thread = thread,
                     .threads = threads,
                     .scratch = w->floats + (size_t)thread * w->floats_each,
                     .sums = w->sums + (size_t)thread * w->sums_each,
                     .input = w->input};
    p.solo = p.n == 1;
    if (p.solo) {
        p.to = 1;
        p.input.x.q += (size_t)thread * p.input.x.ldq;
        p.input.x.f += (size_t)thread * p.input.x.ldf;
        p.input.s += (size_t)thread * w->marks_each;
        p.input.x.sum += (size_t)thread * w->marks_each;
    } else {
        share(&p, p.n, &p.from, &p.to);
    }
    return p;
}

static void forward(void *arg, int thread, int threads)
{
    const struct job *job = arg;
    const struct pass p = begin(job, thread, threads);
    for (int r = 0; r < p.u->runs; r++)
        if (!p.solo || thread == 0)
            embed(&p, &p.u->run[r]);
    if (p.solo)
        sync(&p);
    for (int layer = 0; layer < p.c->layers; layer++) {
        attention(&p, layer);
        feed_forward(&p, layer);
    }
    head(&p, job->wanted);
}

static void head_only(void *arg, int thread, int threads)
{
    const struct job *job = arg;
    const struct pass p = begin(job, thread, threads);
    head(&p, job->wanted);
}

static void run(const struct job *job, enum tri_phase phase, tri_task_fn *task)
{
    tri_pool_use(job->w->pool, job->w->team[phase]);
    tri_pool_run(job->w->pool, task, (void *)job);
}

void tri_forward(struct tri_workspace *w, const struct tri_ubatch *u, const struct tri_wanted *wanted)
{
    const struct job job = {.w = w, .u = u, .wanted = wanted};
    run(&job, u->n == 1 || u->decodes ? TRI_DECODE : TRI_PROMPT, forward);
}

void tri_forward_head(struct tri_workspace *w, const struct tri_wanted *wanted)
{
    const struct job job = {.w = w, .wanted = wanted};
    run(&job, TRI_PROMPT, head_only);
}

int tri_forward_overflow(struct tri_workspace *w, int n)
{
    int first = -1;
    for (int t = n - 1; t >= 0; t--)
        if (atomic_exchange_explicit(&w->overflow[t], false, memory_order_relaxed))
            first = t;
    return first;
}

enum tri_status tri_fail_overflow(int position, struct tri_error *e)
{
    return tri_fail(e, TRI_FAILED,
                    "position %d: activations are beyond the range of floats; the model's scales or norms must be "
                    "damaged",
                    position);
}
