/* Owns: the activation quantiser, the cutting of a matrix product into kernel calls, and scaling
 * back. Leaves out what a kernel does, and barriers. */
#include "engine/linear.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK_BYTES = 64 << 10, /* packed rows that several kernel calls read again, from L2 */
    BLOCK_ROWS = 512,
};

static const struct tri_kernel *widest(const struct tri_plan *plan)
{
    return plan->kernels[plan->count - 1];
}

size_t tri_table_bytes(const struct tri_matrix *m)
{
    return (size_t)(m->kp / m->plan.layout->kstep) * (size_t)m->plan.kernels[0]->table_bytes;
}

static int block_limit(const struct tri_layout *layout)
{
    return layout->rows < BLOCK_ROWS ? BLOCK_ROWS / layout->rows * layout->rows : layout->rows;
}

size_t tri_linear_sums(const struct tri_matrix *m)
{
    return (size_t)block_limit(m->plan.layout) * (size_t)widest(&m->plan)->tokens;
}

/* -- activations ------------------------------------------------------- */

bool tri_quantize(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in,
                  int t, const float *x)
{
    int8_t *q = in->q + (size_t)t * in->ldq;
    float most = v->absmax(x, m->k);
    bool finite = v->dot_f32(x, x, m->k) < INFINITY;
    int k = finite ? m->k : 0;
    in->s[t] = 127.0f / (most > 1e-5f ? most : 1e-5f);
    in->sum[t] = v->quantize(x, in->s[t], q, k);
    memset(q + k, 0, (size_t)(m->kp - k));
    return finite;
}

/* Threads share columns, so that a single token's table is made by all of them. */
void tri_prepare(const struct tri_matrix *m, const struct tri_input *in, int n, int thread,
                 int threads)
{
    int from, to, step = m->plan.layout->kstep;
    tri_share(m->kp / step, thread, threads, &from, &to);
    for (int t = 0; t < n; t++)
        m->plan.kernels[0]->prepare(in->q + (size_t)t * in->ldq, from * step, to * step,
                                    in->table + (size_t)t * in->ldt);
}

/* -- product ----------------------------------------------------------- */

struct product {
    const struct tri_vec *v;
    const struct tri_matrix *m;
    const struct tri_input *in;
    const struct tri_output *out;
    int32_t *sums;
};

/* Sums of rows [m0, m1) of token t to floats: of every part the rows that fall there, no padding.
 */
static void scale_back(const struct product *p, int t, int m0, int m1, const int32_t *sums)
{
    float *out = p->out->at + (size_t)t * p->out->ld;
    for (int i = 0; i < p->m->parts; i++) {
        const struct tri_part *part = &p->m->part[i];
        int from = part->row > m0 ? part->row : m0;
        int to = part->row + part->rows < m1 ? part->row + part->rows : m1;
        float r = part->scale / p->in->s[t];
        if (from >= to)
            continue;
        if (p->out->add)
            p->v->dequantize_add(sums + (from - m0), r, out + from, to - from);
        else
            p->v->dequantize(sums + (from - m0), r, out + from, to - from);
    }
}

/* Rows [m0, m1) of n tokens, as many at once as the kernels allow. */
static void block(const struct product *p, int n, int m0, int m1)
{
    const struct tri_plan *plan = &p->m->plan;
    bool q8 = !plan->kernels[0]->prepare;
    size_t ldx = q8 ? p->in->ldq : p->in->ldt, ldy = (size_t)(m1 - m0);
    const uint8_t *x = q8 ? (const uint8_t *)p->in->q : p->in->table;
    int k = plan->count - 1;
    for (int t = 0; t < n; t += plan->kernels[k]->tokens) {
        while (plan->kernels[k]->tokens > n - t)
            k--;
        plan->kernels[k]->run(p->m->packed, m0, m1, p->m->kp, x + (size_t)t * ldx, ldx,
                              p->in->sum + t, p->sums, ldy);
        for (int i = 0; i < plan->kernels[k]->tokens; i++)
            scale_back(p, t + i, m0, m1, p->sums + (size_t)i * ldy);
    }
}

/* Rows of a block: what stays in L2 where tokens read it again, else as many as the scratch holds.
 */
static int block_rows(const struct tri_matrix *m, int n)
{
    const struct tri_layout *layout = m->plan.layout;
    size_t tile = (size_t)(m->kp / layout->kstep) * (size_t)layout->bytes;
    int limit = block_limit(layout), rows = limit;
    if (n > 1 && tile * (size_t)(limit / layout->rows) > BLOCK_BYTES)
        rows = tile < BLOCK_BYTES ? (int)(BLOCK_BYTES / tile) * layout->rows : layout->rows;
    return rows;
}

void tri_linear(const struct tri_vec *v, const struct tri_matrix *m, const struct tri_input *in,
                int n, int thread, int threads, int32_t *sums, const struct tri_output *out)
{
    const struct product p = {v, m, in, out, sums};
    int from, to, rows = m->plan.layout->rows, step = block_rows(m, n);
    tri_share(m->m / rows, thread, threads, &from, &to);
    for (int m0 = from * rows, end = to * rows; m0 < end; m0 += step)
        block(&p, n, m0, end - m0 < step ? end : m0 + step);
}
