/* Owns: finding the greatest logits by bounds. Leaves out making the copy (model/screen.c).
 *
 * Let w be a row as decoded, x the token's output, u = 2^-24, n their length, and logit(w) what the full head's dot
 * computes, the truth here. The copy has w = s c + e, with int8 c; the token is x = t q + d, with integers q. Then
 *
 *     w.x - s t c.q = e.x + s c.d,   so  |w.x - s t c.q| <= |e| |x| + |s c| |d|            (Cauchy-Schwarz)
 *
 * and c.q is exact: |q| <= reach keeps the sum of |c_i q_i| within int32. The dot is a sum of 16 lanes: each product
 * passes at most m = n / 16 + 5 roundings by fma and addition, so |logit(w) - w.x| <= 1.5 m u |w| |x| + n 2^-149, the
 * last for subnormal results (m u < 1/3; additions are exact there). With X >= |x|, D >= |d|, E >= |e| and N >= |w|,
 * |s c|, every logit lies within
 *
 *     s t c.q  +-  (E X + N (D + G X) + n 2^-148),   G = 2 (m + 8) u
 *
 * where what G and the last term have beyond the need covers the roundings of this line itself: in double, 2^-53 each,
 * and of the bounds to floats, u |bound| <= 5 u N X or 2^-150 (E <= N; D <= X, as q is the nearest). X and D have
 * margins for their own. N X < 2^124 for all rows keeps everything in the range of floats, the lanes of the dot included.
 *
 * Let L be the k-th greatest lower bound: k rows have logits of at least L, so the k-th greatest logit is at least L,
 * and whatever is not less than that, ties included, has an upper bound of at least L. Those rows are multiplied in
 * full. */
#include "engine/screen.h"
#include "base/memory.h"

#include <math.h>
#include <stdatomic.h>

enum { ROWS = 8 }; /* that are bounded at a time */

static const float least_output = 0x1p-100f; /* of which 1 / t is a float, and t far from what underflows */
static const double most_bound = 0x1p124;

/* A token's output x. */
struct output {
    double unit, length, spread, tiny; /* t; X; D + G X; n 2^-148 */
    bool odd;                          /* out of range */
};

/* The greatest lower bounds of a thread's rows: a heap with the least of them at its root. */
struct lower {
    float bound[TRI_TOP_MOST];
    int count;
};

struct tri_screening {
    const struct tri_model *m;
    size_t ldx;
    int16_t *codes;        /* [slots][ldx], zeros behind the columns; slots: max(threads, TRI_HEAD_TOKENS) */
    struct output *output; /* [slots] */
    struct lower *lower;   /* [threads][TRI_HEAD_TOKENS] */
    _Atomic int64_t tokens, rows;
};

struct tri_screening *tri_screening_new(const struct tri_model *m, int threads, struct tri_error *e)
{
    const size_t slots = (size_t)(threads > TRI_HEAD_TOKENS ? threads : TRI_HEAD_TOKENS);
    struct tri_screening *s = tri_alloc(1, sizeof *s, "screening", e);
    if (!s)
        return NULL;
    s->m = m;
    s->ldx = m->screen->ld;
    if ((s->codes = tri_alloc(slots, s->ldx * sizeof *s->codes, "screening", e)) &&
        (s->output = tri_alloc(slots, sizeof *s->output, "screening", e)) &&
        (s->lower = tri_alloc((size_t)threads * TRI_HEAD_TOKENS, sizeof *s->lower, "screening", e)))
        return s;
    tri_screening_free(s);
    return NULL;
}

void tri_screening_free(struct tri_screening *s)
{
    if (!s)
        return;
    tri_free(s->codes), tri_free(s->output), tri_free(s->lower);
    tri_free(s);
}

struct tri_screen_counts tri_screening_counts(const struct tri_screening *s)
{
    return (struct tri_screen_counts){atomic_load(&s->tokens), atomic_load(&s->rows)};
}

/* -- outputs ----------------------------------------------------------- */

/* A single token is every thread's own. */
static size_t slot(const struct tri_screened *j, int t)
{
    return (size_t)(j->n == 1 ? j->thread : t);
}

/* q = x / t rounded; returns |x - t q|^2. */
static double quantise(const float *x, int n, float unit, float inverse, int16_t *q)
{
    double squares = 0;
    for (int i = 0; i < n; i++) {
        const float v = x[i] * inverse;
        q[i] = (int16_t)(v + (v < 0 ? -0.5f : 0.5f));
        const double d = (double)x[i] - (double)unit * q[i];
        squares += d * d;
    }
    return squares;
}

void tri_screen_take(const struct tri_screened *j, int t, struct tri_measure of)
{
    const struct tri_screen *screen = j->s->m->screen;
    const int n = j->s->m->config.hidden;
    const double length = tri_length(of.squares, n), G = (n / 16 + 13) * 0x1p-23;
    struct output *o = &j->s->output[slot(j, t)];
    o->odd = !(of.most >= least_output && screen->norm * length < most_bound);
    if (o->odd)
        return;
    const float unit = of.most / (float)screen->reach;
    const double squares = quantise(j->h + (size_t)t * (size_t)n, n, unit, (float)screen->reach / of.most,
                                    j->s->codes + slot(j, t) * j->s->ldx);
    o->unit = unit, o->length = length, o->tiny = n * 0x1p-148;
    o->spread = sqrt(squares) * (1 + 0x1p-20) + G * length;
}

bool tri_screen_holds(const struct tri_screened *j)
{
    for (int t = 0; t < j->n; t++)
        if (j->s->output[slot(j, t)].odd)
            return false;
    return true;
}

/* -- bounds ------------------------------------------------------------ */

static void sink(float *heap, int n)
{
    for (int at = 0, child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && heap[child + 1] < heap[child];
        if (heap[at] <= heap[child])
            return;
        const float f = heap[at];
        heap[at] = heap[child], heap[child] = f;
    }
}

static void rise(float *heap, int at)
{
    for (int parent; at > 0 && heap[parent = (at - 1) / 2] > heap[at]; at = parent) {
        const float f = heap[at];
        heap[at] = heap[parent], heap[parent] = f;
    }
}

/* Keeps the greatest `most` bounds. */
static inline void keep(struct lower *l, int most, float bound)
{
    if (l->count < most) {
        l->bound[l->count] = bound;
        rise(l->bound, l->count++);
    } else if (bound > l->bound[0]) {
        l->bound[0] = bound;
        sink(l->bound, most);
    }
}

static void bound_rows(const struct tri_screened *j, int t, int from, int rows, const int32_t *sum)
{
    const struct output *o = &j->s->output[slot(j, t)];
    const struct tri_screen_row *row = j->s->m->screen->row + from;
    float *upper = j->logits + (size_t)t * (size_t)j->s->m->config.vocab + from;
    struct lower *l = &j->s->lower[j->thread * TRI_HEAD_TOKENS + t];
    for (int i = 0; i < rows; i++) {
        const double near = row[i].scale * o->unit * sum[i];
        const double off = row[i].error * o->length + row[i].norm * o->spread + o->tiny;
        upper[i] = (float)(near + off);
        keep(l, j->top, (float)(near - off));
    }
}

void tri_screen_bound(const struct tri_screened *j)
{
    const struct tri_screening *s = j->s;
    const struct tri_screen *screen = s->m->screen;
    const int16_t *x = s->codes + slot(j, 0) * s->ldx;
    int32_t sum[TRI_HEAD_TOKENS * ROWS];
    int from, to;
    for (int t = 0; t < j->n; t++)
        s->lower[j->thread * TRI_HEAD_TOKENS + t].count = 0;
    tri_pool_share(j->pool, s->m->config.vocab, j->thread, &from, &to);
    for (int r = from, rows; r < to; r += rows) {
        rows = to - r < ROWS ? to - r : ROWS;
        j->v->products(screen->codes + (size_t)r * screen->ld, screen->ld, rows, x, s->ldx, j->n, (int)screen->ld, sum,
                       ROWS);
        for (int t = 0; t < j->n; t++)
            bound_rows(j, t, r, rows, sum + t * ROWS);
    }
}

/* -- candidates -------------------------------------------------------- */

/* The top-th greatest lower bound of all threads' rows; whoever asks for more than there are rows gets all. */
static float threshold(const struct tri_screened *j, int t)
{
    struct lower all;
    all.count = 0;
    for (int thread = 0; thread < j->threads; thread++) {
        const struct lower *l = &j->s->lower[thread * TRI_HEAD_TOKENS + t];
        for (int i = 0; i < l->count; i++)
            keep(&all, j->top, l->bound[i]);
    }
    return all.count < j->top ? -INFINITY : all.bound[0];
}

/* Of token t; returns how many rows there were to multiply. */
static int decide(const struct tri_screened *j, int t, int from, int to)
{
    const struct tri_config *c = &j->s->m->config;
    const struct tri_tensor *head = j->s->m->head;
    const size_t vocab = (size_t)c->vocab, ld = head->bytes / vocab;
    const float least = threshold(j, t), *x = j->h + (size_t)t * (size_t)c->hidden;
    float *logits = j->logits + (size_t)t * vocab;
    int rows = 0;
    for (int r = from; r < to; r++) {
        if (logits[r] < least) {
            logits[r] = -INFINITY;
            continue;
        }
        j->v->rows[head->encoding->rows].stream(head->data + (size_t)r * ld, ld, 1, x, c->hidden, &logits[r]);
        rows++;
    }
    return rows;
}

void tri_screen_decide(const struct tri_screened *j)
{
    int from, to, rows = 0;
    tri_pool_share(j->pool, j->s->m->config.vocab, j->thread, &from, &to);
    for (int t = 0; t < j->n; t++)
        rows += decide(j, t, from, to);
    atomic_fetch_add_explicit(&j->s->rows, rows, memory_order_relaxed);
    if (j->thread == 0)
        atomic_fetch_add_explicit(&j->s->tokens, j->n, memory_order_relaxed);
}
