/* Owns: the pooling of hidden values. Leaves out the pass that makes them (forward.c). */
#include "engine/embed.h"
#include "engine/forward.h"

#include <math.h>
#include <string.h>

static bool counts(enum tri_pooling pooling, int token, int tokens)
{
    return pooling == TRI_POOL_MEAN || token == (pooling == TRI_POOL_CLS ? 0 : tokens - 1);
}

/* sum += the hidden values of token t of the pass before; false if they are beyond the range of floats. */
static bool add_token(const struct tri_workspace *w, int t, float *sum)
{
    const struct tri_model *m = w->model;
    const int n = m->config.hidden;
    float *x = w->x + (size_t)t * (size_t)n, *normed = w->floats;
    const float squares = w->vec->measure(x, n).squares;
    tri_rms_norm(w->vec, x, squares, m->output_norm, m->config.norm_eps, n, normed);
    for (int i = 0; i < n; i++)
        sum[i] += normed[i];
    return squares < INFINITY;
}

/* Tokens [at, at + n) of all `count`, and what they add to the sum. */
static enum tri_status add_pass(struct tri_session *s, const int32_t *ids, int at, int n, int count,
                                enum tri_pooling pooling, float *sum, struct tri_error *e)
{
    const struct tri_run run = {.session = s, .position = at, .count = n};
    const struct tri_ubatch ubatch = {.ids = ids + at, .n = n, .run = &run, .runs = 1};
    tri_forward(s->work, &ubatch, &(struct tri_wanted){.n = 0});
    const int bad = tri_forward_overflow(s->work, n);
    if (bad >= 0)
        return tri_fail_overflow(at + bad, e);
    for (int t = 0; t < n; t++)
        if (counts(pooling, at + t, count) && !add_token(s->work, t, sum))
            return tri_fail_overflow(at + t, e);
    return TRI_OK;
}

/* The mean's divisor is part of the length. */
static enum tri_status normalise(const struct tri_vec *v, float *x, int n, struct tri_error *e)
{
    const struct tri_measure of = v->measure(x, n);
    if (!(of.squares > 0 && of.squares < INFINITY))
        return tri_fail(e, TRI_FAILED,
                        "an embedding of length %g has no direction; the model's scales or norms must be damaged",
                        (double)sqrtf(of.squares));
    v->scale(1.0f / sqrtf(of.squares), x, n);
    return TRI_OK;
}

enum tri_status tri_session_embed(struct tri_session *s, const int32_t *ids, int count, enum tri_pooling pooling,
                                  bool (*stop)(void), float *out, struct tri_error *e)
{
    const int hidden = s->model->config.hidden;
    memset(out, 0, (size_t)hidden * sizeof *out);
    tri_session_rewind(s, 0);
    if (tri_session_check(s, 0, ids, count, e) != TRI_OK)
        return e->status;
    for (int at = 0, n; at < count; at += n) {
        if (stop && stop())
            return tri_fail(e, TRI_INTERRUPTED, "interrupted");
        n = count - at < s->work->ubatch ? count - at : s->work->ubatch;
        tri_pool_lock(s->work->pool);
        const enum tri_status status = add_pass(s, ids, at, n, count, pooling, out, e);
        tri_pool_unlock(s->work->pool);
        if (status != TRI_OK)
            return status;
        tri_session_advance(s, ids + at, n);
    }
    return normalise(s->work->vec, out, hidden, e);
}
