/* Owns: the activation quantiser, and scaling sums back to floats. Leaves out the cutting of products
 * (kernels/product.c), what a kernel does, and barriers. */
#include "engine/linear.h"

#include <math.h>
#include <string.h>

bool tri_quantize(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in, int t,
                  const float *x, struct tri_measure of)
{
    int8_t *q = in->x.q + (size_t)t * in->x.ldq;
    bool finite = of.squares < INFINITY;
    int k = finite ? m->k : 0;
    in->s[t] = 127.0f / (of.most > 1e-5f ? of.most : 1e-5f);
    in->x.sum[t] = v->quantize(x, in->s[t], q, k);
    memset(q + k, 0, (size_t)(m->kp - k));
    return finite;
}

struct scaling {
    const struct tri_vec *v;
    const struct tri_matrix *m;
    const float *s;
    const struct tri_output *out;
};

/* Sums of rows [m0, m1) of token t to floats: of every part the rows that fall there, no padding. */
static void scale_token(const struct scaling *c, int t, int m0, int m1, const int32_t *sums)
{
    float *out = c->out->at + (size_t)t * c->out->ld;
    for (int i = 0; i < c->m->parts; i++) {
        const struct tri_part *part = &c->m->part[i];
        int from = part->row > m0 ? part->row : m0;
        int to = part->row + part->rows < m1 ? part->row + part->rows : m1;
        float r = part->scale / c->s[t];
        if (from >= to)
            continue;
        if (c->out->add)
            c->v->dequantize_add(sums + (from - m0), r, out + from, to - from);
        else
            c->v->dequantize(sums + (from - m0), r, out + from, to - from);
    }
}

static void scale_back(const void *arg, int t, int tokens, int m0, int m1, const void *sums)
{
    for (int i = 0; i < tokens; i++)
        scale_token(arg, t + i, m0, m1, (const int32_t *)sums + (size_t)i * (size_t)(m1 - m0));
}

void tri_linear(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in, int n,
                const struct tri_pool *pool, int thread, int32_t *sums, const struct tri_output *out)
{
    const struct scaling c = {v, m, in->s, out};
    tri_product(&m->plan, m->packed, NULL, m->m, m->kp, &in->x, n, pool, thread, sums, scale_back, &c);
}

/* The layout of the copy may pad further than the one the input was quantised for. */
static int pad_input(const struct tri_matrix *m, const struct tri_input *in)
{
    const int kp = tri_round_up(m->k, m->plan.sparse.layout->kstep);
    if (kp > m->kp)
        memset(in->x.q + m->kp, 0, (size_t)(kp - m->kp));
    return kp;
}

void tri_linear_rows(const struct tri_matrix *m, const uint8_t *packed, const struct tri_input *in,
                     const int32_t *list, int count, const struct tri_pool *pool, int thread, int32_t *sums,
                     float *out)
{
    const int kp = pad_input(m, in);
    const float r = m->part[0].scale / in->s[0];
    int from, to;
    tri_sparse_rows(&m->plan, packed, kp, list, count, in->x.q, in->x.sum[0], pool, thread, sums);
    tri_pool_share(pool, count, thread, &from, &to);
    for (int i = from; i < to; i++)
        out[list[i]] = (float)sums[i] * r;
}

void tri_linear_columns(const struct tri_vec *v, const struct tri_matrix *m, const uint8_t *packed,
                        const struct tri_input *in, const int32_t *list, const int8_t *values, int count,
                        const struct tri_pool *pool, int thread, int32_t *sums, float *out)
{
    const int rows = m->part[0].rows;
    int from, to;
    tri_sparse_columns(&m->plan, packed, rows, list, count, values, in->x.sum[0], pool, thread, sums);
    tri_sparse_columns_share(&m->plan, rows, pool, thread, &from, &to);
    v->dequantize_add(sums + from, m->part[0].scale / in->s[0], out + from, to - from);
}
