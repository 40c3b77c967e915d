/* Owns: a model's memory, and how its matrices are stacked, padded and placed. Leaves out their contents. */
#include "model/build.h"
#include "base/memory.h"

#include <stdio.h>

const struct tri_part_shape tri_part_shapes[TRI_PARTS] = {
    {TRI_ROLE_QKV, "attn_q", TRI_HEADS, TRI_HIDDEN},     {TRI_ROLE_QKV, "attn_k", TRI_KV_HEADS, TRI_HIDDEN},
    {TRI_ROLE_QKV, "attn_v", TRI_KV_HEADS, TRI_HIDDEN},  {TRI_ROLE_O, "attn_output", TRI_HIDDEN, TRI_HEADS},
    {TRI_ROLE_GATE_UP, "ffn_gate", TRI_FFN, TRI_HIDDEN}, {TRI_ROLE_GATE_UP, "ffn_up", TRI_FFN, TRI_HIDDEN},
    {TRI_ROLE_DOWN, "ffn_down", TRI_HIDDEN, TRI_FFN},
};

const struct tri_norm_shape tri_norm_shapes[TRI_NORMS] = {
    {offsetof(struct tri_layer, attn_norm), "attn_norm", TRI_HIDDEN, TRI_ALWAYS},
    {offsetof(struct tri_layer, ffn_norm), "ffn_norm", TRI_HIDDEN, TRI_ALWAYS},
    {offsetof(struct tri_layer, attn_sub_norm), "attn_sub_norm", TRI_HEADS, TRI_SUB_NORM},
    {offsetof(struct tri_layer, ffn_sub_norm), "ffn_sub_norm", TRI_FFN, TRI_SUB_NORM},
    {offsetof(struct tri_layer, q_norm), "attn_q_norm", TRI_HEAD_DIM, TRI_HEAD_NORM},
    {offsetof(struct tri_layer, k_norm), "attn_k_norm", TRI_HEAD_DIM, TRI_HEAD_NORM},
    {offsetof(struct tri_layer, post_attn_norm), "post_attention_norm", TRI_HIDDEN, TRI_POST_NORM},
    {offsetof(struct tri_layer, post_ffn_norm), "post_ffw_norm", TRI_HIDDEN, TRI_POST_NORM},
    {offsetof(struct tri_layer, norm_in[0]), "attn_q_norm_in", TRI_HIDDEN, TRI_NORM_IN},
    {offsetof(struct tri_layer, norm_in[1]), "attn_k_norm_in", TRI_HIDDEN, TRI_NORM_IN},
    {offsetof(struct tri_layer, norm_in[2]), "attn_v_norm_in", TRI_HIDDEN, TRI_NORM_IN},
    {offsetof(struct tri_layer, norm_in[3]), "attn_output_norm_in", TRI_HEADS, TRI_NORM_IN},
    {offsetof(struct tri_layer, norm_in[4]), "ffn_gate_norm_in", TRI_HIDDEN, TRI_NORM_IN},
    {offsetof(struct tri_layer, norm_in[5]), "ffn_up_norm_in", TRI_HIDDEN, TRI_NORM_IN},
    {offsetof(struct tri_layer, norm_in[6]), "ffn_down_norm_in", TRI_FFN, TRI_NORM_IN},
};

int tri_width(const struct tri_config *c, enum tri_width width)
{
    const int widths[TRI_WIDTHS] = {c->hidden, c->ffn, c->heads * c->head_dim, c->kv_heads * c->head_dim, c->head_dim};
    return widths[width];
}

bool tri_norm_is_there(const struct tri_config *c, const struct tri_norm_shape *n)
{
    const struct tri_family *f = c->family;
    const bool there[] = {[TRI_ALWAYS] = true, [TRI_SUB_NORM] = f->sub_norms, [TRI_HEAD_NORM] = f->head_norms,
                          [TRI_POST_NORM] = f->post_norms, [TRI_NORM_IN] = c->norms_in};
    return there[n->where];
}

const float **tri_norm_of(struct tri_layer *l, const struct tri_norm_shape *n)
{
    return (const float **)((char *)l + n->field);
}

/* -- memory ------------------------------------------------------------ */

/* One more memory of a model, in front of what it holds. */
struct tri_owned {
    _Alignas(64) struct tri_owned *next;
};

void *tri_model_own(struct tri_model *m, size_t count, size_t size, const char *what, struct tri_error *e)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || __builtin_add_overflow(bytes, sizeof(struct tri_owned), &bytes))
        bytes = SIZE_MAX;
    struct tri_owned *o = tri_alloc(bytes, 1, what, e);
    if (!o)
        return NULL;
    o->next = m->owned;
    m->owned = o;
    return o + 1;
}

void tri_model_free(struct tri_model *m)
{
    if (!m)
        return;
    for (struct tri_owned *o = m->owned, *next; o; o = next) {
        next = o->next;
        tri_free(o);
    }
    tri_free(m);
}

int tri_part_index(enum tri_role role, int part)
{
    int first = 0;
    while (tri_part_shapes[first].role != role)
        first++;
    return first + part;
}

static void stack_parts(struct tri_model *m, struct tri_layer *l)
{
    for (int i = 0; i < TRI_PARTS; i++) {
        const struct tri_part_shape *p = &tri_part_shapes[i];
        struct tri_matrix *matrix = &l->matrix[p->role];
        int rows = tri_width(&m->config, p->rows);
        matrix->role = p->role;
        matrix->k = tri_width(&m->config, p->columns);
        matrix->m += rows;
        matrix->part[matrix->parts++].rows = rows;
    }
}

struct tri_model *tri_model_new(const struct tri_config *c, struct tri_error *e)
{
    struct tri_model *m = tri_alloc(1, sizeof *m, "model", e);
    if (!m)
        return NULL;
    m->config = *c;
    m->spare = SIZE_MAX;
    m->layer = tri_model_own(m, (size_t)c->layers, sizeof m->layer[0], "layers", e);
    if (!m->layer) {
        tri_model_free(m);
        return NULL;
    }
    for (int i = 0; i < c->layers; i++)
        stack_parts(m, &m->layer[i]);
    return m;
}

/* -- plans and places -------------------------------------------------- */

void tri_matrix_lay(struct tri_matrix *m, const struct tri_layout *layout)
{
    m->plan.layout = layout;
    m->m = 0;
    for (int i = 0; i < m->parts; i++) {
        m->part[i].row = m->m;
        m->m += tri_round_up(m->part[i].rows, layout->rows);
    }
    m->kp = tri_round_up(m->k, layout->kstep);
    m->bytes = (size_t)tri_matrix_tiles(m) * tri_tile_bytes(m);
}

static int groups_of(const struct tri_matrix *m)
{
    return m->group ? tri_groups(m->kp, m->group) : 1;
}

bool tri_matrix_has_scales(const struct tri_matrix *m)
{
    bool has = m->group != 0 && !m->dense;
    for (int i = 0; i < m->parts; i++)
        has |= m->part[i].group != 0;
    return has;
}

size_t tri_matrix_scales(const struct tri_matrix *m)
{
    return (size_t)m->m * (size_t)groups_of(m);
}

size_t tri_matrix_scale_at(const struct tri_matrix *m, int row, int group)
{
    const size_t rows = m->group ? (size_t)m->plan.layout->rows : 1, tile = (size_t)row / rows;
    return (tile * (size_t)groups_of(m) + (size_t)group) * rows + (size_t)row % rows;
}

/* Every matrix begins on a cache line. */
static size_t place_bytes(const struct tri_matrix *m)
{
    return (m->bytes + 63) / 64 * 64;
}

static int rows_of(const struct tri_matrix *m)
{
    int rows = 0;
    for (int i = 0; i < m->parts; i++)
        rows += m->part[i].rows;
    return rows;
}

/* Layers are alike, and asking a virtual CPU what it has is slow: one plan of each role serves all. */
void tri_model_plan(struct tri_model *m, const struct tri_plan plans[TRI_ROLES])
{
    m->packed_bytes = 0;
    for (int r = 0; r < TRI_ROLES; r++) {
        struct tri_plan plan = plans ? plans[r] : (struct tri_plan){0};
        const struct tri_matrix *first = &m->layer[0].matrix[r];
        if (!plan.layout)
            tri_dispatch_plan(first->role, rows_of(first), first->k, first->group, &plan);
        for (int i = 0; i < m->config.layers; i++) {
            struct tri_matrix *matrix = &m->layer[i].matrix[r];
            matrix->plan = plan;
            tri_matrix_lay(matrix, plan.layout);
            m->packed_bytes += place_bytes(matrix);
        }
    }
}

static void plan_bits(struct tri_model *m, enum tri_bits bits)
{
    struct tri_plan plans[TRI_ROLES];
    for (int r = 0; r < TRI_ROLES; r++) {
        const struct tri_matrix *first = &m->layer[0].matrix[r];
        if (first->dense)
            plans[r] = (struct tri_plan){.layout = &first->dense->layout};
        else
            tri_dispatch_plan_of(first->group ? TRI_BITS_AUTO : bits, first->role, rows_of(first), first->k,
                                 first->group, &plans[r]);
    }
    tri_model_plan(m, plans);
}

static size_t mib(size_t bytes)
{
    return (bytes + (1 << 20) - 1) >> 20;
}

static enum tri_status does_not_fit(const struct tri_model *m, const struct tri_budget *b, size_t rest, size_t memory,
                                    struct tri_error *e)
{
    return tri_fail(e, TRI_NO_MEMORY,
                    "this model takes %zu MiB (weights %zu, embedding and output %zu, caches, scratch and "
                    "program %zu), and %zu are %s; use a smaller context (-c), a cache of fewer bits (-ctk q8_0 "
                    "-ctv q8_0), fewer tokens at once (-ub), %sor %s",
                    mib(m->packed_bytes + rest + b->reserve), mib(m->packed_bytes), mib(rest), mib(b->reserve),
                    memory >> 20, b->memory ? "allowed" : "available",
                    b->bits == TRI_BITS_2 ? "1.6 bits a weight (--bits 1.6), " : "",
                    b->memory ? "allow more (--memory)" : "free some memory");
}

static enum tri_status check_bits(const struct tri_model *m, enum tri_bits bits, struct tri_error *e)
{
    for (int r = 0; r < TRI_ROLES; r++)
        if (bits == TRI_BITS_1_25 && m->layer[0].matrix[r].group)
            return tri_fail(e, TRI_UNSUPPORTED, "1.25 bits a weight: expected a scale for each matrix or row, found one "
                            "for %d columns (%s); take --bits auto", m->layer[0].matrix[r].group, tri_role_names[r]);
    return TRI_OK;
}

enum tri_status tri_model_fit(struct tri_model *m, const struct tri_budget *b, size_t rest, struct tri_error *e)
{
    if (check_bits(m, b->bits, e) != TRI_OK)
        return e->status;
    const size_t available = b->memory ? b->memory : tri_memory_available(), memory = available ? available : SIZE_MAX;
    const size_t others = rest + b->reserve, most = others < memory ? memory - others : 0; /* for what is packed */
    plan_bits(m, b->bits);
    const size_t usual = m->packed_bytes;
    if (usual > most && b->bits == TRI_BITS_AUTO && !m->layer[0].matrix[0].dense) {
        plan_bits(m, TRI_BITS_1_6);
        snprintf(m->notice, sizeof m->notice, "memory is short: weights are packed to 1.6 bits each, %zu MiB instead "
                 "of %zu; --bits 2 insists on two", mib(m->packed_bytes), mib(usual));
    }
    if (m->packed_bytes > most)
        return does_not_fit(m, b, rest, memory, e);
    m->spare = memory == SIZE_MAX ? SIZE_MAX : most - m->packed_bytes;
    return TRI_OK;
}

enum tri_status tri_model_fit_structured(struct tri_model *m, const struct tri_budget *b, size_t rest,
                                         struct tri_error *e)
{
    struct tri_budget fewest = *b;
    fewest.bits = TRI_BITS_1_25;
    if (tri_model_fit(m, &fewest, rest, e) != TRI_OK)
        return e->status;
    snprintf(m->notice, sizeof m->notice, "memory is short: weights, of which exactly one in four is 0, are packed to "
             "1.25 bits each, %zu MiB; --bits 1.6 insists on more", mib(m->packed_bytes));
    return TRI_OK;
}

static size_t missing_bytes(const struct tri_model *m)
{
    size_t bytes = 0;
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++)
            bytes += m->layer[i].matrix[r].packed ? 0 : place_bytes(&m->layer[i].matrix[r]);
    return bytes;
}

/* One memory for all, so that huge pages and streams go on from matrix to matrix. */
enum tri_status tri_model_place(struct tri_model *m, struct tri_error *e)
{
    const size_t bytes = missing_bytes(m);
    uint8_t *at = bytes ? tri_model_own(m, bytes, 1, "packed weights", e) : NULL;
    if (bytes && !at)
        return e->status;
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++) {
            struct tri_matrix *matrix = &m->layer[i].matrix[r];
            if (matrix->packed)
                continue;
            matrix->packed = at;
            at += place_bytes(matrix);
        }
    return TRI_OK;
}

int tri_matrix_tiles(const struct tri_matrix *m)
{
    return m->m / m->plan.layout->rows;
}

size_t tri_tile_bytes(const struct tri_matrix *m)
{
    return (size_t)(m->kp / m->plan.layout->kstep) * (size_t)m->plan.layout->bytes;
}

/* Tiles follow each other, so a part only begins elsewhere. */
struct tri_matrix tri_matrix_part(const struct tri_matrix *m, int part)
{
    struct tri_matrix one = *m;
    const int rows = m->plan.layout->rows;
    one.parts = 1;
    one.part[0] = m->part[part];
    one.part[0].row = 0;
    one.m = tri_round_up(one.part[0].rows, rows);
    if (m->scales)
        one.scales = m->scales + tri_matrix_scale_at(m, m->part[part].row, 0);
    one.packed = m->packed + (size_t)(m->part[part].row / rows) * tri_tile_bytes(m);
    one.bytes = (size_t)tri_matrix_tiles(&one) * tri_tile_bytes(m);
    return one;
}

int tri_tile_part(const struct tri_matrix *m, int tile, int *from, int *rows)
{
    int row = tile * m->plan.layout->rows, part = m->parts - 1;
    while (row < m->part[part].row)
        part--;
    int left = m->part[part].rows - (row - m->part[part].row);
    *from = row - m->part[part].row;
    *rows = left < m->plan.layout->rows ? left : m->plan.layout->rows;
    return part;
}
