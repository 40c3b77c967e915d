/* Owns: what tokens know of each other. Leaves out who computes which head (forward.c). */
#include "engine/attention.h"
#include "base/math.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* -- cache ------------------------------------------------------------- */

enum { LANES = 16 }; /* rows are filled up with zeros to whole vectors */

static const struct storage {
    enum tri_rows_kind rows;
    int block, bytes;
} storage[] = {
    [TRI_CACHE_F32] = {TRI_ROWS_F32, 1, 4},
    [TRI_CACHE_F16] = {TRI_ROWS_F16, 1, 2},
    [TRI_CACHE_Q8_0] = {TRI_ROWS_Q8_0, 32, 34},
};

static int row_values(enum tri_cache_type type, int head_dim)
{
    const int block = storage[type].block;
    return tri_round_up(head_dim, block > LANES ? block : LANES);
}

size_t tri_cache_position(enum tri_cache_type type, int heads, int head_dim)
{
    const struct storage *s = &storage[type];
    return (size_t)heads * (size_t)(row_values(type, head_dim) / s->block) * (size_t)s->bytes;
}

enum tri_status tri_cache_new(struct tri_cache *c, const char *what, enum tri_cache_type type, int layers,
                              int context, int heads, int head_dim, struct tri_error *e)
{
    const struct storage *s = &storage[type];
    *c = (struct tri_cache){.rows = s->rows, .context = context, .heads = heads};
    c->n = row_values(type, head_dim);
    c->row = (size_t)(c->n / s->block) * (size_t)s->bytes;
    c->position = tri_cache_position(type, heads, head_dim);
    c->data = tri_alloc((size_t)layers * (size_t)context, c->position, what, e);
    return c->data ? TRI_OK : e->status;
}

uint8_t *tri_cache_head(const struct tri_cache *c, int layer, int head)
{
    return c->data + ((size_t)layer * (size_t)c->heads + (size_t)head) * (size_t)c->context * c->row;
}

static uint8_t *cell(const struct tri_cache *c, int layer, int head, int position)
{
    return tri_cache_head(c, layer, head) + (size_t)position * c->row;
}

void tri_cache_put(const struct tri_cache *c, const struct tri_vec *v, int layer, int position, int head,
                   const float *x, int n)
{
    void *to = cell(c, layer, head, position);
    if (c->rows == TRI_ROWS_Q8_0)
        v->to_q8_0(x, to, n);
    else if (c->rows == TRI_ROWS_F16)
        v->to_f16(x, to, n);
    else
        memcpy(to, x, (size_t)n * sizeof *x);
}

/* -- rotary embedding -------------------------------------------------- */

void tri_rope_frequencies(const struct tri_config *c, const float *divisors, double *frequency)
{
    const double factor = c->rope_factor > 0 ? c->rope_factor : 1;
    for (int i = 0; i < c->rope_dims / 2; i++)
        frequency[i] = tri_pow(c->rope_theta, -2.0 * i / c->rope_dims) / factor / (divisors ? divisors[i] : 1);
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

enum {
    QUERIES = 64, /* that rows are multiplied with before the next */
    ROWS = 32,    /* of a cache, converted to floats to be read by all of them */
    CONVERT = 16, /* queries from which on that pays */
};

int tri_attention_tokens(int shared)
{
    return shared < QUERIES ? QUERIES / shared : 1;
}

/* Of all kinds of caches. */
static size_t width(int head_dim)
{
    return (size_t)tri_round_up(head_dim, 32);
}

/* n values not yet normalised, sum of exp(score - most) * value; most; sum. No number as the sum: a score was none. */
size_t tri_part_floats(int head_dim)
{
    return width(head_dim) + LANES;
}

static size_t queries_of(int shared)
{
    return (size_t)tri_attention_tokens(shared) * (size_t)shared;
}

size_t tri_attention_floats(int shared, int head_dim)
{
    return queries_of(shared) * (width(head_dim) + TRI_ATTENTION_BLOCK + 2 * tri_part_floats(head_dim)) +
           ROWS * width(head_dim);
}

/* How a's scratch is divided. */
struct scratch {
    float *query;       /* [queries][width] with zeros behind head_dim */
    float *score;       /* [queries][TRI_ATTENTION_BLOCK] */
    float *part, *next; /* [queries] parts */
    float *rows;        /* [ROWS][width] */
};

static struct scratch divide(const struct tri_attention *a)
{
    const size_t queries = queries_of(a->shared), part = queries * tri_part_floats(a->head_dim);
    struct scratch s = {.query = a->scratch};
    s.score = s.query + queries * width(a->head_dim);
    s.part = s.score + queries * TRI_ATTENTION_BLOCK;
    s.next = s.part + part;
    s.rows = s.next + part;
    return s;
}

static void copy_queries(const struct tri_attention *a, float *to)
{
    const size_t dim = (size_t)a->head_dim, ld = width(a->head_dim);
    for (int t = 0; t < a->tokens; t++)
        for (int h = 0; h < a->shared; h++, to += ld) {
            memcpy(to, a->query + (size_t)t * a->ldq + (size_t)h * dim, dim * sizeof *to);
            memset(to + dim, 0, (ld - dim) * sizeof *to);
        }
}

/* Some rows of a cache, as they are stored or as floats. */
struct rows {
    const struct tri_rows *work;
    const uint8_t *at;
    size_t ld;
    int from, to, n;
};

static struct rows read_rows(const struct tri_attention *a, const struct tri_cache *c, int from, int to, float *floats)
{
    struct rows r = {&a->v->rows[c->rows], cell(c, a->layer, a->head, from), c->row, from, to, c->n};
    if (c->rows == TRI_ROWS_F32 || a->tokens * a->shared < CONVERT)
        return r;
    r.work->floats(r.at, floats, (to - from) * c->n); /* whole blocks: one row after the other */
    r.work = &a->v->rows[TRI_ROWS_F32];
    r.at = (const uint8_t *)floats;
    r.ld = (size_t)c->n * sizeof *floats;
    return r;
}

/* The first token that looks at a position. */
static int first_token(const struct tri_attention *a, int position)
{
    const int t = position > a->position ? position - a->position : 0;
    return t < a->tokens ? t : a->tokens;
}

/* What is done for tokens [t, t + tokens), which all look at the first `rows` rows. */
typedef void rows_fn(const struct tri_attention *a, const struct scratch *s, const struct rows *r, int t, int tokens,
                     int rows);

/* Tokens that look at some of the rows are on their own, those that look at all of them together. */
static void for_tokens(const struct tri_attention *a, const struct scratch *s, const struct rows *r, rows_fn *work)
{
    const int whole = first_token(a, r->to - 1);
    for (int t = first_token(a, r->from); t < whole; t++)
        work(a, s, r, t, 1, a->position + t + 1 - r->from);
    if (whole < a->tokens)
        work(a, s, r, whole, a->tokens - whole, r->to - r->from);
}

static void score(const struct tri_attention *a, const struct scratch *s, const struct rows *r, int t, int tokens,
                  int rows)
{
    const size_t i = (size_t)(t * a->shared), ld = width(a->head_dim);
    float *to = s->score + i * TRI_ATTENTION_BLOCK + r->from % TRI_ATTENTION_BLOCK;
    r->work->products(r->at, r->ld, rows, s->query + i * ld, ld, tokens * a->shared, r->n, to, TRI_ATTENTION_BLOCK);
}

static void mix(const struct tri_attention *a, const struct scratch *s, const struct rows *r, int t, int tokens,
                int rows)
{
    const size_t i = (size_t)(t * a->shared), ld = tri_part_floats(a->head_dim);
    const float *p = s->score + i * TRI_ATTENTION_BLOCK + r->from % TRI_ATTENTION_BLOCK;
    r->work->axpys(p, TRI_ATTENTION_BLOCK, tokens * a->shared, r->at, r->ld, rows, s->part + i * ld, ld, r->n);
}

/* Scores of n positions, times 1 / sqrt(head_dim), to exponentials; and a part that has no values yet. */
static void start_part(const struct tri_attention *a, float *score, int n, float *part)
{
    const size_t w = width(a->head_dim);
    const float most = a->v->scale_max(1.0f / sqrtf((float)a->head_dim), score, n);
    memset(part, 0, w * sizeof *part);
    part[w] = most;
    part[w + 1] = isnan(most) ? NAN : a->v->exp_sum(score, most, n);
}

static void attend_block(const struct tri_attention *a, const struct scratch *s, int block)
{
    const int from = block * TRI_ATTENTION_BLOCK, end = a->position + a->tokens;
    const int to = end - from < TRI_ATTENTION_BLOCK ? end : from + TRI_ATTENTION_BLOCK;
    for (int i = from; i < to; i += ROWS) {
        const struct rows r = read_rows(a, a->keys, i, i + ROWS < to ? i + ROWS : to, s->rows);
        for_tokens(a, s, &r, score);
    }
    for (int i = first_token(a, from) * a->shared; i < a->tokens * a->shared; i++) {
        const int own = a->position + i / a->shared + 1;
        start_part(a, s->score + (size_t)i * TRI_ATTENTION_BLOCK, (own < to ? own : to) - from,
                   s->part + (size_t)i * tri_part_floats(a->head_dim));
    }
    for (int i = from; i < to; i += ROWS) {
        const struct rows r = read_rows(a, a->values, i, i + ROWS < to ? i + ROWS : to, s->rows);
        for_tokens(a, s, &r, mix);
    }
}

void tri_attend_block(const struct tri_attention *a, int block, float *part)
{
    struct scratch s = divide(a);
    s.part = part;
    copy_queries(a, s.query);
    attend_block(a, &s, block);
}

/* exp(x), x <= 0: of the greater of two maxima, that is 1. */
static float weight(float x)
{
    return x == 0 ? 1 : (float)tri_exp((double)x);
}

/* Both are brought to the greater maximum. */
void tri_attend_join(const struct tri_attention *a, float *part, const float *next)
{
    const size_t w = width(a->head_dim);
    const float most = next[w] > part[w] ? next[w] : part[w];
    const float old = weight(part[w] - most), new = weight(next[w] - most);
    a->v->scale(old, part, (int)w);
    a->v->rows[TRI_ROWS_F32].axpys(&new, 1, 1, next, 0, 1, part, 0, (int)w);
    part[w] = most;
    part[w + 1] = part[w + 1] * old + next[w + 1] * new;
}

float *tri_attend(const struct tri_attention *a)
{
    struct scratch s = divide(a);
    float *const part = s.part, *const next = s.next;
    const size_t ld = tri_part_floats(a->head_dim);
    copy_queries(a, s.query);
    for (int block = 0; block < tri_attention_blocks(a->position + a->tokens - 1); block++) {
        s.part = block ? next : part;
        attend_block(a, &s, block);
        const int first = first_token(a, block * TRI_ATTENTION_BLOCK) * a->shared;
        for (int i = first; block && i < a->tokens * a->shared; i++)
            tri_attend_join(a, part + (size_t)i * ld, next + (size_t)i * ld);
    }
    return part;
}

bool tri_attend_finish(const struct tri_attention *a, float *part, float *out)
{
    const float sum = part[width(a->head_dim) + 1];
    a->v->scale(1.0f / sum, part, a->head_dim);
    memcpy(out, part, (size_t)a->head_dim * sizeof *out);
    return !isnan(sum);
}
