/* Owns: what tokens know of each other. Leaves out who computes which head (forward.c). */
#include "engine/attention.h"
#include "base/math.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* -- cache ------------------------------------------------------------- */

static const struct storage {
    enum tri_rows_kind rows;
    int block, bytes;
} storage[] = {
    [TRI_CACHE_F32] = {TRI_ROWS_F32, 1, 4},
    [TRI_CACHE_F16] = {TRI_ROWS_F16, 1, 2},
    [TRI_CACHE_Q8_0] = {TRI_ROWS_Q8_0, 32, 34},
};

enum tri_status tri_cache_new(struct tri_cache *c, const char *what, enum tri_cache_type type, int layers,
                              int context, int heads, int head_dim, struct tri_error *e)
{
    const struct storage *s = &storage[type];
    *c = (struct tri_cache){.rows = s->rows, .context = context};
    c->head = (size_t)(tri_round_up(head_dim, s->block) / s->block) * (size_t)s->bytes;
    c->position = (size_t)heads * c->head;
    c->data = tri_alloc((size_t)layers * (size_t)context, c->position, what, e);
    return c->data ? TRI_OK : e->status;
}

uint8_t *tri_cache_layer(const struct tri_cache *c, int layer)
{
    return c->data + (size_t)layer * (size_t)c->context * c->position;
}

static uint8_t *cell(const struct tri_cache *c, int layer, int position, int head)
{
    return tri_cache_layer(c, layer) + (size_t)position * c->position + (size_t)head * c->head;
}

void tri_cache_put(const struct tri_cache *c, const struct tri_vec *v, int layer, int position, int head,
                   const float *x, int n)
{
    void *to = cell(c, layer, position, head);
    if (c->rows == TRI_ROWS_Q8_0)
        v->to_q8_0(x, to, n);
    else if (c->rows == TRI_ROWS_F16)
        v->to_f16(x, to, n);
    else
        memcpy(to, x, (size_t)n * sizeof *x);
}

/* -- rotary embedding -------------------------------------------------- */

void tri_rope_frequencies(float theta, int dims, double *frequency)
{
    for (int i = 0; i < dims / 2; i++)
        frequency[i] = tri_pow(theta, -2.0 * i / dims);
}

/* Pairs of neighbours: both cosines side by side, and the sines with the signs they are added with. */
void tri_rope_angles(const struct tri_config *c, const double *frequency, int position, float *cosine, float *sine)
{
    for (int i = 0; i < c->rope_dims / 2; i++) {
        double sin, cos;
        tri_sincos(position * frequency[i], &sin, &cos);
        if (c->family->neox) {
            cosine[i] = (float)cos;
            sine[i] = (float)sin;
        } else {
            cosine[2 * i] = cosine[2 * i + 1] = (float)cos;
            sine[2 * i] = -(float)sin;
            sine[2 * i + 1] = (float)sin;
        }
    }
}

void tri_rope(const struct tri_vec *v, const struct tri_config *c, const float *cosine, const float *sine, float *x)
{
    if (c->family->neox)
        v->rope_halves(cosine, sine, x, c->rope_dims / 2);
    else
        v->rope_pairs(cosine, sine, x, c->rope_dims);
}

/* -- attention --------------------------------------------------------- */

/* Unnormalised softmax over some positions: out = sum of exp(score - most) * value. */
struct softmax {
    float most, sum;
    float *out;
    bool finite; /* all scores are numbers */
};

/* Scores of positions [from, to): (query . key) times 1 / sqrt(head_dim). */
static void score(const struct tri_attention *a, const float *query, int from, int to, float *p, struct softmax *s)
{
    const struct tri_cache *c = a->keys;
    const void *keys = cell(c, a->layer, from, a->head);
    a->v->rows[c->rows].dots(keys, c->position, to - from, query, a->head_dim, p);
    s->most = a->v->scale_max(1.0f / sqrtf((float)a->head_dim), p, to - from);
    s->finite = !isnan(s->most);
}

static void mix(const struct tri_attention *a, const float *p, int from, int to, float *out)
{
    const struct tri_cache *c = a->values;
    const void *values = cell(c, a->layer, from, a->head);
    memset(out, 0, (size_t)a->head_dim * sizeof *out);
    a->v->rows[c->rows].axpys(p, values, c->position, to - from, out, a->head_dim);
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
    a->v->rows[TRI_ROWS_F32].axpys(&new, next->out, 0, 1, s->out, a->head_dim);
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
