/* Owns: the meaning of every family of models, in plain double. Leaves out files and speed. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A pass over a text: what one token leaves behind for those after it, and room for its values. */
struct pass {
    const struct reference_model *m;
    double *keys, *values;       /* [layers][tokens][kv_heads * head_dim] */
    double *x;                   /* [hidden] the residual stream */
    double *h, *normed, *q, *o, *gate, *up; /* [widest] */
    int tokens, position;
};

static int largest(int a, int b)
{
    return a > b ? a : b;
}

static double *room(size_t count)
{
    double *values = calloc(count, sizeof *values);
    if (!values)
        abort();
    return values;
}

/* -- building blocks ----------------------------------------------------- */

/* w NULL: y = x. */
static void norm(const double *x, const float *w, int n, double eps, double *y)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < n; i++)
        y[i] = w ? x[i] / sqrt(squares / n + eps) * (double)w[i] : x[i];
}

static double act(enum reference_activation activation, double g)
{
    switch (activation) {
    case REFERENCE_SILU:
        return g / (1 + exp(-g));
    case REFERENCE_RELU2:
        return g > 0 ? g * g : 0;
    case REFERENCE_GELU:
        return 0.5 * g * (1 + tanh(sqrt(2 / acos(-1)) * (g + 0.044715 * g * g * g)));
    }
    abort();
}

/* Integers of at most 127 in magnitude instead of x, ties to even; returns what they are multiplied by. */
static double quantise(double *x, int n)
{
    double most = 1e-5;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    for (int i = 0; i < n; i++)
        x[i] = fmax(-128, fmin(127, nearbyint(x[i] * 127 / most)));
    return most / 127;
}

/* y[rows], of x after the projection's own norm, where it has one. */
static void project(struct pass *p, int layer, enum reference_projection projection, const double *x, double *y)
{
    const struct reference_matrix *w = &p->m->layer[layer].matrix[projection];
    norm(x, p->m->layer[layer].norm_in[projection], w->columns, p->m->eps, p->normed);
    const double step = quantise(p->normed, w->columns);
    for (int r = 0; r < w->rows; r++) {
        y[r] = 0;
        for (int i = 0; i < w->columns; i++) {
            const size_t at = (size_t)r * (size_t)w->columns + (size_t)i;
            y[r] += w->trits[at] * p->normed[i] * (double)w->scales[at / (size_t)w->group] * step;
        }
    }
}

/* -- attention ----------------------------------------------------------- */

static void turn(const struct pass *p, double *head)
{
    const struct reference_model *m = p->m;
    const int half = m->rope_dims / 2;
    for (int i = 0; i < half; i++) {
        const double divisor = m->rope_factor * (m->rope_freqs ? (double)m->rope_freqs[i] : 1);
        const double angle = p->position * pow(m->theta, -2.0 * i / m->rope_dims) / divisor;
        double *a = head + (m->half_split ? i : 2 * i), *b = a + (m->half_split ? half : 1);
        const double turned = *a * cos(angle) - *b * sin(angle);
        *b = *a * sin(angle) + *b * cos(angle);
        *a = turned;
    }
}

static void turn_heads(const struct pass *p, double *x, int heads, const float *w)
{
    for (int h = 0; h < heads; h++, x += p->m->head_dim) {
        norm(x, w, p->m->head_dim, p->m->eps, x);
        turn(p, x);
    }
}

/* Of one query head over keys and values of its key/value head, `width` apart. */
static void attend(const struct pass *p, const double *q, const double *keys, const double *values, double *out)
{
    const int d = p->m->head_dim, width = p->m->kv_heads * d;
    double *weight = room((size_t)p->position + 1), most = -INFINITY, sum = 0;
    for (int t = 0; t <= p->position; t++) {
        for (int i = 0; i < d; i++)
            weight[t] += q[i] * keys[t * width + i] / sqrt(d);
        most = fmax(most, weight[t]);
    }
    for (int t = 0; t <= p->position; t++)
        sum += weight[t] = exp(weight[t] - most);
    memset(out, 0, (size_t)d * sizeof *out);
    for (int t = 0; t <= p->position; t++)
        for (int i = 0; i < d; i++)
            out[i] += weight[t] / sum * values[t * width + i];
    free(weight);
}

static void attention(struct pass *p, int layer)
{
    const struct reference_model *m = p->m;
    const struct reference_layer *l = &m->layer[layer];
    const int d = m->head_dim, width = m->kv_heads * d;
    double *keys = p->keys + (size_t)layer * (size_t)p->tokens * (size_t)width;
    double *values = p->values + (size_t)layer * (size_t)p->tokens * (size_t)width;
    project(p, layer, Q, p->h, p->q);
    project(p, layer, K, p->h, keys + p->position * width);
    project(p, layer, V, p->h, values + p->position * width);
    turn_heads(p, p->q, m->heads, l->q_norm);
    turn_heads(p, keys + p->position * width, m->kv_heads, l->k_norm);
    for (int h = 0; h < m->heads; h++) {
        const int shared = h / (m->heads / m->kv_heads);
        attend(p, p->q + h * d, keys + shared * d, values + shared * d, p->o + h * d);
    }
}

/* -- layers -------------------------------------------------------------- */

static void add(struct pass *p, const double *y, const float *post_norm)
{
    norm(y, post_norm, p->m->hidden, p->m->eps, p->h);
    for (int i = 0; i < p->m->hidden; i++)
        p->x[i] += p->h[i];
}

static void run_layer(struct pass *p, int layer)
{
    const struct reference_model *m = p->m;
    const struct reference_layer *l = &m->layer[layer];
    norm(p->x, l->attn_norm, m->hidden, m->eps, p->h);
    attention(p, layer);
    norm(p->o, l->attn_sub_norm, m->heads * m->head_dim, m->eps, p->o);
    project(p, layer, O, p->o, p->h);
    add(p, p->h, l->post_attn_norm);

    norm(p->x, l->ffn_norm, m->hidden, m->eps, p->h);
    project(p, layer, GATE, p->h, p->gate);
    project(p, layer, UP, p->h, p->up);
    for (int i = 0; i < m->ffn; i++)
        p->gate[i] = act(m->activation, p->gate[i]) * p->up[i];
    norm(p->gate, l->ffn_sub_norm, m->ffn, m->eps, p->gate);
    project(p, layer, DOWN, p->gate, p->h);
    add(p, p->h, l->post_ffn_norm);
}

/* -- the whole ----------------------------------------------------------- */

static struct pass begin(const struct reference_model *m, int tokens)
{
    const size_t cache = (size_t)m->layers * (size_t)tokens * (size_t)(m->kv_heads * m->head_dim);
    const size_t widest = (size_t)largest(largest(m->hidden, m->ffn), m->heads * m->head_dim);
    return (struct pass){.m = m, .tokens = tokens, .keys = room(cache), .values = room(cache), .x = room(widest),
                         .h = room(widest), .normed = room(widest), .q = room(widest), .o = room(widest),
                         .gate = room(widest), .up = room(widest)};
}

static void end(struct pass *p)
{
    double *all[] = {p->keys, p->values, p->x, p->h, p->normed, p->q, p->o, p->gate, p->up};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

void reference_run(const struct reference_model *m, const int32_t *ids, int tokens, double *hidden)
{
    struct pass p = begin(m, tokens);
    for (p.position = 0; p.position < tokens; p.position++) {
        for (int i = 0; i < m->hidden; i++)
            p.x[i] = (double)m->embedding[ids[p.position] * m->hidden + i] * m->embedding_scale;
        for (int layer = 0; layer < m->layers; layer++)
            run_layer(&p, layer);
        norm(p.x, m->output_norm, m->hidden, m->eps, hidden + p.position * m->hidden);
    }
    end(&p);
}

void reference_logits(const struct reference_model *m, const double *hidden, double *logits)
{
    for (int v = 0; v < m->vocab; v++) {
        logits[v] = 0;
        for (int i = 0; i < m->hidden; i++)
            logits[v] += hidden[i] * (double)m->head[v * m->hidden + i];
    }
}

void reference_embedding(const struct reference_model *m, const int32_t *ids, int tokens, double *embedding)
{
    double *hidden = room((size_t)tokens * (size_t)m->hidden), squares = 0;
    const double *last = hidden + (size_t)(tokens - 1) * (size_t)m->hidden;
    reference_run(m, ids, tokens, hidden);
    for (int i = 0; i < m->hidden; i++)
        squares += last[i] * last[i];
    for (int i = 0; i < m->hidden; i++)
        embedding[i] = last[i] / sqrt(squares);
    free(hidden);
}
