/* Owns: the activation quantiser, and scaling sums back to floats. Leaves out the cutting of products
 * (kernels/product.c), what a kernel does, and barriers. */
#include "engine/linear.h"

#include <math.h>
#include <string.h>

/* sum[groups], of which the last may lie in the padding. */
static void quantize_groups(const struct tri_vec *v, const struct tri_matrix *m, const float *x, float s, int8_t *q,
                            int k, int32_t *sum)
{
    for (int g = 0, from = 0; from < m->kp; g++, from += m->group) {
        const int left = k > from ? k - from : 0;
        sum[g] = v->quantize(x + from, s, q + from, left < m->group ? left : m->group);
    }
}

/* As floats, which have no scale. */
static void take_floats(const struct tri_matrix *m, const struct tri_input *in, int t, const float *x, int k)
{
    float *f = in->x.f + (size_t)t * in->x.ldf;
    in->s[t] = 1;
    memcpy(f, x, (size_t)k * sizeof *f);
    memset(f + k, 0, (size_t)(m->kp - k) * sizeof *f);
}

bool tri_quantize(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in, int t,
                  const float *x, struct tri_measure of)
{
    int8_t *q = in->x.q + (size_t)t * in->x.ldq;
    bool finite = of.squares < INFINITY;
    int k = finite ? m->k : 0;
    if (tri_takes_floats(m)) {
        take_floats(m, in, t, x, k);
        return finite;
    }
    in->s[t] = 127.0f / (of.most > 1e-5f ? of.most : 1e-5f);
    if (m->group)
        quantize_groups(v, m, x, in->s[t], q, k, in->x.sum + (size_t)t * (size_t)tri_groups(m->kp, m->group));
    else
        in->x.sum[t] = v->quantize(x, in->s[t], q, k);
    memset(q + k, 0, (size_t)(m->kp - k));
    return finite;
}

struct scaling {
    const struct tri_vec *v;
    const struct tri_matrix *m;
    const struct tri_input *in;
    const struct tri_output *out;
    int thread;
};

/* out[n] = y * r of kernels that have scaled groups, or added to what is there. */
static void scale_grouped(const float *y, float r, float *out, int n, bool add)
{
    for (int i = 0; i < n; i++)
        out[i] = add ? out[i] + y[i] * r : y[i] * r;
}

/* Rows [from, to) of a part, whose sums begin at `sums`: int32, or floats where columns share scales. */
static void scale_rows(const struct scaling *c, const struct tri_part *part, float s, int from, int to,
                       const int32_t *sums, float *out)
{
    const bool add = c->out->add;
    const int n = to - from;
    if (c->m->group)
        scale_grouped((const float *)(const void *)sums, (c->m->dense ? part->scale : 1.0f) / s, out, n, add);
    else if (c->m->scales)
        (add ? c->v->dequantize_rows_add : c->v->dequantize_rows)(sums, c->m->scales + from, s, out, n);
    else
        (add ? c->v->dequantize_add : c->v->dequantize)(sums, part->scale / s, out, n);
}

/* Sums of rows [m0, m1) of token t to floats: of every part the rows that fall there, no padding. */
static void scale_token(const struct scaling *c, int t, int m0, int m1, const int32_t *sums)
{
    float *out = c->out->at + (size_t)t * c->out->ld;
    for (int i = 0; i < c->m->parts; i++) {
        const struct tri_part *part = &c->m->part[i];
        int from = part->row > m0 ? part->row : m0;
        int to = part->row + part->rows < m1 ? part->row + part->rows : m1;
        if (from < to)
            scale_rows(c, part, c->in->s[t], from, to, sums + (from - m0), out + from);
    }
}

static void scale_back(const void *arg, int t, int tokens, int m0, int m1, const void *sums)
{
    const struct scaling *c = arg;
    if (c->in->watch)
        c->in->watch(c->in->watching, &(struct tri_sums){c->m, c->in, c->thread, t, tokens, m0, m1, sums});
    for (int i = 0; i < tokens; i++)
        scale_token(c, t + i, m0, m1, (const int32_t *)sums + (size_t)i * (size_t)(m1 - m0));
}

void tri_linear(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in, int n,
                const struct tri_pool *pool, int thread, int32_t *sums, const struct tri_output *out)
{
    const struct scaling c = {v, m, in, out, thread};
    const float *grouped = m->group ? m->scales : NULL;
    if (m->dense)
        tri_dense_product(v, m->dense, m->packed, m->m, m->kp, &in->x, n, pool, thread, (float *)(void *)sums,
                          scale_back, &c);
    else
        tri_product(&m->plan, m->packed, grouped, m->m, m->kp, &in->x, n, pool, thread, sums, scale_back, &c);
}

int tri_linear_nonzero(const struct tri_matrix *m, const struct tri_input *in)
{
    const bool floats = tri_takes_floats(m);
    int n = 0;
    for (int i = 0; i < m->k; i++)
        n += floats ? in->x.f[i] != 0 : in->x.q[i] != 0;
    return n;
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
