/* Owns: the cutting of products. Leaves out barriers, and what becomes of the sums. */
#include "kernels/product.h"

enum {
    BLOCK_BYTES = 64 << 10, /* packed rows that several calls read again, from L2 */
    BLOCK_ROWS = 512,
    BLOCK_SUMS = 32 << 10, /* sums of a call, which are read at once behind it */
};

size_t tri_table_bytes(const struct tri_plan *plan, int kp)
{
    return (size_t)(kp / plan->layout->kstep) * (size_t)plan->kernels[0]->table_bytes;
}

void tri_prepare(const struct tri_plan *plan, int kp, const struct tri_operand *x, int n, const struct tri_pool *pool,
                 int thread)
{
    const int step = plan->layout->kstep;
    int from, to;
    tri_pool_share(pool, kp / step, thread, &from, &to);
    for (int t = 0; t < n; t++)
        plan->kernels[0]->prepare(x->q + (size_t)t * x->ldq, from * step, to * step, x->table + (size_t)t * x->ldt);
}

static int largest(const struct tri_plan *plan)
{
    return plan->kernels[plan->count - 1]->tokens;
}

int tri_product_spare(const struct tri_plan *plan)
{
    return largest(plan) - 1;
}

static int block_limit(const struct tri_plan *plan)
{
    const int rows = plan->layout->rows, sums = BLOCK_SUMS / largest(plan);
    const int most = sums < BLOCK_ROWS ? sums : BLOCK_ROWS;
    return rows < most ? most / rows * rows : rows;
}

size_t tri_product_sums(const struct tri_plan *plan)
{
    return (size_t)block_limit(plan) * (size_t)largest(plan);
}

/* Rows of a block: what stays in L2 where several calls read it, else as many as the scratch holds. */
static int block_rows(const struct tri_plan *plan, int kp, int n)
{
    const struct tri_layout *layout = plan->layout;
    const size_t tile = (size_t)(kp / layout->kstep) * (size_t)layout->bytes;
    const int limit = block_limit(plan);
    if (tri_plan_next(plan, n)->tokens >= n || tile * (size_t)(limit / layout->rows) <= BLOCK_BYTES)
        return limit;
    return tile < BLOCK_BYTES ? (int)(BLOCK_BYTES / tile) * layout->rows : layout->rows;
}

/* One kernel call: rows [m0, m1) for tokens t, t + 1, ... */
static void call(const struct tri_kernel *kernel, const uint8_t *packed, const float *scales, int m0, int m1, int kp,
                 const struct tri_operand *x, int t, void *y)
{
    const bool q8 = !kernel->prepare;
    const size_t ldx = q8 ? x->ldq : x->ldt, ldy = (size_t)(m1 - m0);
    const uint8_t *at = (q8 ? (const uint8_t *)x->q : x->table) + (size_t)t * ldx;
    if (kernel->kind == TRI_KIND_grouped) {
        const int first = t * tri_groups(kp, kernel->group);
        kernel->grouped(packed, m0, m1, kp, at, ldx, x->sum + first, scales, x->scale + first, y, ldy);
    } else {
        kernel->matmul(packed, m0, m1, kp, at, ldx, x->sum + t, y, ldy);
    }
}

void tri_product_share(const struct tri_layout *layout, int m, const struct tri_pool *pool, int thread, int *from,
                       int *to)
{
    tri_pool_share(pool, (m + layout->rows - 1) / layout->rows, thread, from, to);
}

void tri_product(const struct tri_plan *plan, const uint8_t *packed, const float *scales, int m, int kp,
                 const struct tri_operand *x, int n, const struct tri_pool *pool, int thread, void *y,
                 tri_sums_fn *then, const void *arg)
{
    const int rows = plan->layout->rows, step = block_rows(plan, kp, n);
    int from, to;
    tri_product_share(plan->layout, m, pool, thread, &from, &to);
    for (int m0 = from * rows, end = to * rows, m1; m0 < end; m0 = m1) {
        m1 = end - m0 < step ? end : m0 + step;
        for (int t = 0, tokens; t < n; t += tokens) {
            const struct tri_kernel *kernel = tri_plan_next(plan, n - t);
            tokens = kernel->tokens < n - t ? kernel->tokens : n - t;
            call(kernel, packed, scales, m0, m1, kp, x, t, y);
            then(arg, t, tokens, m0, m1, y);
        }
    }
}
