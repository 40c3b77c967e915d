/* Owns: second copies of up by rows and of down by columns, for products that skip. They are made of the packed
 * matrices, so that it does not matter where those came from. Leaves out when skipping pays (kernels/sparse.h). */
#include "base/memory.h"
#include "model/build.h"

/* Both copies hold one row of `hidden` trits for each of `ffn` hidden values. */
struct copying {
    struct tri_model *m;
    const struct tri_pool *pool;
    struct tri_matrix *from;
    const struct tri_layout *layout;
    uint8_t *to;
    int8_t *tile;  /* [threads][rows of a tile][ld], unpacked */
    int8_t *trits; /* [ffn][ldt] */
    size_t ld, ldt;
};

static size_t row_bytes(const struct tri_layout *layout, int k)
{
    return (size_t)(tri_round_up(k, layout->kstep) / layout->kstep) * (size_t)layout->bytes;
}

/* Trits of a tile to where their row or, of down, their column is gathered. */
static void gather(const struct copying *c, int tile, int8_t *trits)
{
    const struct tri_matrix *m = c->from;
    int from, rows;
    tri_tile_part(m, tile, &from, &rows);
    m->plan.layout->unpack(m->packed + (size_t)tile * tri_tile_bytes(m), m->kp, trits, c->ld);
    const size_t row = m->role == TRI_ROLE_DOWN ? 1 : c->ldt, column = m->role == TRI_ROLE_DOWN ? c->ldt : 1;
    for (int k = 0; k < m->k; k++)
        for (int r = 0; r < rows; r++)
            c->trits[(size_t)(from + r) * row + (size_t)k * column] = trits[(size_t)r * c->ld + (size_t)k];
}

static void gather_share(void *arg, int thread, int threads)
{
    const struct copying *c = arg;
    int8_t *trits = c->tile + (size_t)thread * (size_t)c->from->plan.layout->rows * c->ld;
    int from, to;
    (void)threads;
    tri_pool_share(c->pool, tri_matrix_tiles(c->from), thread, &from, &to);
    for (int tile = from; tile < to; tile++)
        gather(c, tile, trits);
}

static void pack_share(void *arg, int thread, int threads)
{
    const struct copying *c = arg;
    const int k = c->m->config.hidden, kp = tri_round_up(k, c->layout->kstep);
    const size_t bytes = row_bytes(c->layout, k);
    int from, to;
    (void)threads;
    tri_pool_share(c->pool, c->m->config.ffn, thread, &from, &to);
    for (int i = from; i < to; i++)
        c->layout->pack(c->trits + (size_t)i * c->ldt, c->ldt, 1, k, kp, c->to + (size_t)i * bytes);
}

static enum tri_status copy(struct copying *c, struct tri_matrix *from, const struct tri_layout *layout, uint8_t *to,
                            struct tri_pool *pool, struct tri_error *e)
{
    c->from = from, c->layout = layout, c->to = to;
    c->ld = (size_t)tri_round_up(from->kp, 64);
    c->tile = tri_alloc((size_t)tri_pool_threads(pool) * (size_t)from->plan.layout->rows, c->ld, "copies", e);
    if (!c->tile)
        return e->status;
    tri_pool_run(pool, gather_share, c);
    tri_pool_run(pool, pack_share, c);
    tri_free(c->tile);
    return TRI_OK;
}

static enum tri_status skip_layer(struct copying *c, struct tri_layer *l, struct tri_skip *skip, uint8_t *memory,
                                  struct tri_pool *pool, struct tri_error *e)
{
    struct tri_matrix *gate_up = &l->matrix[TRI_ROLE_GATE_UP], *down = &l->matrix[TRI_ROLE_DOWN];
    const struct tri_layout *rows = gate_up->plan.sparse.layout, *columns = down->plan.sparse.layout;
    const size_t row = row_bytes(rows, c->m->config.hidden), column = row_bytes(columns, c->m->config.hidden);
    uint8_t *behind = memory + (size_t)c->m->config.ffn * row;
    *skip = (struct tri_skip){tri_matrix_part(gate_up, 0), tri_matrix_part(gate_up, 1), memory, behind, row, column};
    if (copy(c, &skip->up, rows, memory, pool, e) != TRI_OK || copy(c, down, columns, behind, pool, e) != TRI_OK)
        return e->status;
    l->skip = skip;
    return TRI_OK;
}

/* Of one layer. */
static size_t copies_bytes(const struct tri_model *m)
{
    const struct tri_matrix *matrix = m->layer[0].matrix;
    return (size_t)m->config.ffn * (row_bytes(matrix[TRI_ROLE_GATE_UP].plan.sparse.layout, m->config.hidden) +
                                    row_bytes(matrix[TRI_ROLE_DOWN].plan.sparse.layout, m->config.hidden));
}

static size_t all_copies_bytes(const struct tri_model *m)
{
    return copies_bytes(m) * (size_t)m->config.layers + (size_t)m->config.ffn * (size_t)m->config.hidden;
}

static enum tri_status skip_all(struct tri_model *m, struct tri_pool *pool, struct tri_error *e)
{
    struct copying c = {.m = m, .pool = pool, .ldt = (size_t)tri_round_up(m->config.hidden, 64)};
    const size_t layers = (size_t)m->config.layers, each = copies_bytes(m), all = all_copies_bytes(m);
    if (all > m->spare)
        return tri_fail(e, TRI_NO_MEMORY, "copies of up and down take %zu MiB, and %zu are left; use --ffn dense, a "
                        "smaller context (-c), or allow more (--memory)", all >> 20, m->spare >> 20);
    struct tri_skip *skip = tri_model_own(m, layers, sizeof *skip, "layers", e);
    uint8_t *memory = skip ? tri_model_own(m, layers, each, "copies of up and down", e) : NULL;
    c.trits = memory ? tri_alloc((size_t)m->config.ffn, c.ldt, "copies of up and down", e) : NULL;
    enum tri_status status = c.trits ? TRI_OK : e->status;
    for (size_t i = 0; i < layers && status == TRI_OK; i++)
        status = skip_layer(&c, &m->layer[i], &skip[i], memory + i * each, pool, e);
    tri_free(c.trits);
    if (m->spare != SIZE_MAX)
        m->spare -= layers * each;
    return status;
}

/* What runs in both products, if anything does. */
static bool can_skip(const struct tri_model *m)
{
    const struct tri_matrix *matrix = m->layer[0].matrix;
    if (m->config.family->activation != TRI_RELU2 || !matrix[TRI_ROLE_GATE_UP].plan.sparse.kernel ||
        !matrix[TRI_ROLE_DOWN].plan.sparse.kernel)
        return false;
    for (int i = 0; i < m->config.layers; i++)
        if (m->layer[i].matrix[TRI_ROLE_GATE_UP].scales || m->layer[i].matrix[TRI_ROLE_DOWN].scales)
            return false;
    return true;
}

/* Whether some density pays, and the copies fit. */
static bool should_skip(const struct tri_model *m)
{
    const struct tri_matrix *matrix = m->layer[0].matrix;
    return (matrix[TRI_ROLE_GATE_UP].plan.sparse.break_even > 0 || matrix[TRI_ROLE_DOWN].plan.sparse.break_even > 0) &&
           all_copies_bytes(m) <= m->spare;
}

static void skip_always(struct tri_model *m)
{
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++)
            m->layer[i].matrix[r].plan.sparse.break_even = 2; /* more than all */
}

enum tri_status tri_model_skip(struct tri_model *m, enum tri_ffn ffn, struct tri_pool *pool, struct tri_error *e)
{
    if (ffn == TRI_FFN_DENSE)
        return TRI_OK;
    if (ffn == TRI_FFN_AUTO)
        return can_skip(m) && should_skip(m) ? skip_all(m, pool, e) : TRI_OK;
    if (!can_skip(m))
        return tri_fail(e, TRI_UNSUPPORTED,
                        "sparse feed forward: expected a model with squared ReLU, one scale for each matrix and "
                        "kernels that skip, found a %s model without; use auto or dense",
                        m->config.family->arch);
    skip_always(m);
    return skip_all(m, pool, e);
}
