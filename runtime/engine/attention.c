/* Owns: what tokens know of each other. Leaves out who computes which head (forward.c). */
#include "engine/attention.h"
#include "base/math.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* -- cache ------------------------------------------------------------- */

enum tri_status tri_cache_new(struct tri_cache *c, const char *what, enum tri_cache_type type,
                              int layers, int context, int width, struct tri_error *e)
{
    size_t size = type == TRI_CACHE_F16 ? sizeof(uint16_t) : sizeof(float);
    *c = (struct tri_cache){.type = type, .context = context, .width = (size_t)width};
    c->data = tri_alloc((size_t)layers * (size_t)context, c->width * size, what, e);
    return c->data ? TRI_OK : e->status;
}

static size_t cell(const struct tri_cache *c, int layer, int position, int column)
{
    return ((size_t)layer * (size_t)c->context + (size_t)position) * c->width + (size_t)column;
}

void tri_cache_put(const struct tri_cache *c, const struct tri_vec *v, int layer, int position,
                   int column, const float *x, int n)
{
    size_t at = cell(c, layer, position, column);
    if (c->type == TRI_CACHE_F16)
        v->to_f16(x, (uint16_t *)c->data + at, n);
    else
        memcpy((float *)c->data + at, x, (size_t)n * sizeof *x);
}

/* -- rotary embedding -------------------------------------------------- */

void tri_rope_frequencies(float theta, int dims, double *frequency)
{
    for (int i = 0; i < dims / 2; i++)
        frequency[i] = tri_pow(theta, -2.0 * i / dims);
}

void tri_rope_angles(const double *frequency, int dims, int position, float *cosine, float *sine)
{
    for (int i = 0; i < dims / 2; i++) {
        double s, c;
        tri_sincos(position * frequency[i], &s, &c);
        cosine[i] = (float)c;
        sine[i] = (float)s;
    }
}

void tri_rope(const struct tri_config *c, const float *cosine, const float *sine, float *x)
{
    int half = c->rope_dims / 2, step = c->family->neox ? 1 : 2, apart = c->family->neox ? half : 1;
    for (int i = 0; i < half; i++, x += step) {
        float a = x[0], b = x[apart];
        x[0] = a * cosine[i] - b * sine[i];
        x[apart] = a * sine[i] + b * cosine[i];
    }
}

/* -- attention --------------------------------------------------------- */

/* Unnormalised softmax over some positions: out = sum of exp(score - most) * value. */
struct softmax {
    float most, sum;
    float *out;
    bool finite; /* all scores are numbers */
};

/* out[0 .. n) = query . key for n (4 or 1) positions from i on. Four at a time have the bits of one at a time. */
static void dots(const struct tri_attention *a, const float *query, int i, int n, float *out)
{
    const struct tri_cache *c = a->keys;
    const size_t at = cell(c, a->layer, i, a->column);
    const uint16_t *h = (const uint16_t *)c->data + at;
    const float *f = (const float *)c->data + at;
    const bool half = c->type == TRI_CACHE_F16;
    if (n == 4 && half)
        a->v->dots_f16(h, c->width, query, a->head_dim, out);
    else if (n == 4)
        a->v->dots_f32(f, c->width, query, a->head_dim, out);
    else
        *out = half ? a->v->dot_f16(h, query, a->head_dim) : a->v->dot_f32(f, query, a->head_dim);
}

/* out += p[0] * value of position i, then p[1] * that of i + 1, ...: n (4 or 1) of them. */
static void axpys(const struct tri_attention *a, const float *p, int i, int n, float *out)
{
    const struct tri_cache *c = a->values;
    const size_t at = cell(c, a->layer, i, a->column);
    const uint16_t *h = (const uint16_t *)c->data + at;
    const float *f = (const float *)c->data + at;
    const bool half = c->type == TRI_CACHE_F16;
    if (n == 4 && half)
        a->v->axpys_f16(p, h, c->width, out, a->head_dim);
    else if (n == 4)
        a->v->axpys_f32(p, f, c->width, out, a->head_dim);
    else if (half)
        a->v->axpy_f16(*p, h, out, a->head_dim);
    else
        a->v->axpy_f32(*p, f, out, a->head_dim);
}

static int together(int left)
{
    return left >= 4 ? 4 : 1;
}

/* Scores of positions [from, to): (query . key) times 1 / sqrt(head_dim). */
static void score(const struct tri_attention *a, const float *query, int from, int to, float *p, struct softmax *s)
{
    const float scale = 1.0f / sqrtf((float)a->head_dim);
    for (int i = from, n; i < to; i += n)
        dots(a, query, i, n = together(to - i), p + (i - from));
    s->most = -INFINITY;
    s->finite = true;
    for (int i = 0; i < to - from; i++) {
        p[i] *= scale;
        s->most = p[i] > s->most ? p[i] : s->most;
        s->finite &= fabsf(p[i]) < INFINITY;
    }
}

static void mix(const struct tri_attention *a, const float *p, int from, int to, float *out)
{
    memset(out, 0, (size_t)a->head_dim * sizeof *out);
    for (int i = from, n; i < to; i += n)
        axpys(a, p + (i - from), i, n = together(to - i), out);
}

static void block(const struct tri_attention *a, const float *query, int from, int to,
                  struct softmax *s)
{
    float *p = a->scratch;
    score(a, query, from, to, p, s);
    s->sum = a->v->exp_sum(p, s->most, to - from);
    mix(a, p, from, to, s->out);
}

/* What was gathered so far, and the next block, brought to the greater maximum and added. */
static void join(const struct tri_attention *a, struct softmax *s, const struct softmax *next)
{
    float most = next->most > s->most ? next->most : s->most;
    float old = (float)tri_exp((double)(s->most - most));
    float new = (float)tri_exp((double)(next->most - most));
    a->v->scale(old, s->out, a->head_dim);
    a->v->axpy_f32(new, next->out, s->out, a->head_dim);
    s->sum = s->sum * old + next->sum * new;
    s->most = most;
    s->finite &= next->finite;
}

bool tri_attend(const struct tri_attention *a, const float *query, float *out)
{
    struct softmax all = {.out = out}, next = {.out = a->scratch + TRI_ATTENTION_BLOCK};
    int end = a->position + 1;
    for (int from = 0, to; from < end; from = to) {
        to = end - from < TRI_ATTENTION_BLOCK ? end : from + TRI_ATTENTION_BLOCK;
        block(a, query, from, to, from ? &next : &all);
        if (from)
            join(a, &all, &next);
    }
    a->v->scale(1.0f / all.sum, out, a->head_dim);
    return all.finite;
}
