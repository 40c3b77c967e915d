/* Owns: random models in memory. Of each matrix a few packed tiles are made and the rest are copies, as its rows
 * repeat: as fast as memory is written. */
#include "model/synth.h"
#include "base/memory.h"
#include "kernels/product.h"
#include "model/contents.h"

#include <string.h>

struct making {
    struct tri_model *m;
    const struct tri_contents *contents;
    struct tri_pool *pool;
};

/* -- norms, scales, embedding ------------------------------------------- */

static enum tri_status make_norm(const struct making *k, int layer, int norm, const float **to, struct tri_error *e)
{
    const struct tri_config *c = &k->m->config;
    const int width = layer < c->layers ? tri_width(c, tri_norm_shapes[norm].width) : c->hidden;
    float *values = tri_model_own(k->m, (size_t)width, sizeof *values, "norms", e);
    if (!values)
        return e->status;
    tri_contents_norm(k->contents, layer, norm, values);
    *to = values;
    return TRI_OK;
}

static enum tri_status make_norms(const struct making *k, struct tri_error *e)
{
    const struct tri_config *c = &k->m->config;
    for (int i = 0; i < c->layers; i++)
        for (int n = 0; n < TRI_NORMS; n++)
            if (tri_norm_is_there(c, &tri_norm_shapes[n]) &&
                make_norm(k, i, n, tri_norm_of(&k->m->layer[i], &tri_norm_shapes[n]), e) != TRI_OK)
                return e->status;
    return make_norm(k, c->layers, 0, &k->m->output_norm, e);
}

/* Of a part's rows, where a scale is for some columns. */
static void fill_scales(const struct making *k, const struct tri_matrix *m, const struct tri_part *part, int layer,
                        int shape, float *scales)
{
    for (int row = 0; row < part->rows; row++)
        for (int i = 0; i < m->k / m->group; i++)
            scales[tri_matrix_scale_at(m, part->row + row, i)] =
                tri_contents_group_scale(k->contents, layer, shape, row, i);
}

static enum tri_status make_scales(const struct making *k, struct tri_error *e)
{
    for (int i = 0; i < k->m->config.layers; i++) {
        int parts[TRI_ROLES] = {0};
        float *scales[TRI_ROLES] = {0};
        for (int r = 0; r < TRI_ROLES && k->contents->synth->group; r++) {
            struct tri_matrix *m = &k->m->layer[i].matrix[r];
            if (!(scales[r] = tri_model_own(k->m, tri_matrix_scales(m), sizeof *scales[r], "scales", e)))
                return e->status;
            m->scales = scales[r];
        }
        for (int p = 0; p < TRI_PARTS; p++) {
            const enum tri_role role = tri_part_shapes[p].role;
            struct tri_matrix *m = &k->m->layer[i].matrix[role];
            struct tri_part *part = &m->part[parts[role]++];
            part->scale = tri_contents_scale(k->contents, i, p);
            part->group = k->contents->synth->group;
            if (scales[role])
                fill_scales(k, m, part, i, p, scales[role]);
        }
    }
    return TRI_OK;
}

struct rows {
    const struct making *k;
    bool head;
    uint8_t *to;
    size_t bytes; /* of a row */
};

static void make_rows(void *arg, int thread, int threads)
{
    const struct rows *r = arg;
    int from, to;
    (void)threads;
    tri_pool_share(r->k->pool, r->k->m->config.vocab, thread, &from, &to);
    for (int i = from; i < to; i++)
        tri_contents_row(r->k->contents, r->head, i, r->to + (size_t)i * r->bytes);
}

static enum tri_status fill_embedding(const struct making *k, bool head, struct tri_tensor *t, struct tri_error *e)
{
    uint8_t *rows = tri_model_own(k->m, t->bytes, 1, "embedding", e);
    if (!rows)
        return e->status;
    t->data = rows;
    struct rows r = {k, head, rows, t->bytes / (uint64_t)t->ne[1]};
    tri_pool_run(k->pool, make_rows, &r);
    return TRI_OK;
}

/* Of an outline, which has no pool to make rows on, the tensor alone. */
static enum tri_status make_embedding(const struct making *k, bool head, const struct tri_tensor **into,
                                      struct tri_error *e)
{
    struct tri_tensor *t = tri_model_own(k->m, 1, sizeof *t, "embedding", e);
    if (!t)
        return e->status;
    *t = tri_contents_embedding(k->contents, head);
    *into = t;
    return k->pool ? fill_embedding(k, head, t, e) : TRI_OK;
}

static enum tri_status make_both_embeddings(const struct making *k, struct tri_error *e)
{
    if (make_embedding(k, false, &k->m->embedding, e) != TRI_OK)
        return e->status;
    k->m->head = k->m->embedding;
    return k->contents->synth->head ? make_embedding(k, true, &k->m->head, e) : TRI_OK;
}

/* -- matrices ---------------------------------------------------------- */

/* The tiles that the matrices of a role are made of: of each part one for every `step` rows of the period. */
struct images {
    const struct making *k;
    enum tri_role role;
    int step, count;
    uint8_t *tile; /* [parts][count] tiles */
    int8_t *trits; /* [threads][rows][ld] */
    size_t ld;
};

static const struct tri_matrix *first(const struct images *im)
{
    return &im->k->m->layer[0].matrix[im->role];
}

/* `rows` rows of a part, from row `start` of its period on, as a tile. */
static void make_tile(const struct images *im, int thread, int part, int start, int rows, uint8_t *tile)
{
    const struct tri_matrix *m = first(im);
    int8_t *trits = im->trits + (size_t)thread * (size_t)m->plan.layout->rows * im->ld;
    for (int i = 0; i < rows; i++)
        tri_contents_trits(im->k->contents, tri_part_index(im->role, part), (start + i) % TRI_PERIOD,
                           trits + (size_t)i * im->ld);
    m->plan.layout->pack(trits, im->ld, rows, m->k, m->kp, tile);
}

static uint8_t *image(const struct images *im, int part, int start)
{
    return im->tile + (size_t)(part * im->count + start / im->step) * tri_tile_bytes(first(im));
}

static void make_images(void *arg, int thread, int threads)
{
    const struct images *im = arg;
    const struct tri_matrix *m = first(im);
    int from, to;
    (void)threads;
    tri_pool_share(im->k->pool, m->parts * im->count, thread, &from, &to);
    for (int i = from; i < to; i++) {
        int part = i / im->count, start = i % im->count * im->step;
        make_tile(im, thread, part, start, m->plan.layout->rows, image(im, part, start));
    }
}

static void fill_matrix(const struct images *im, int layer, int thread)
{
    const struct tri_matrix *m = &im->k->m->layer[layer].matrix[im->role];
    const size_t bytes = tri_tile_bytes(m);
    int from, to;
    tri_product_share(m->plan.layout, m->m, im->k->pool, thread, &from, &to);
    for (int i = from, row, rows; i < to; i++) {
        const int part = tri_tile_part(m, i, &row, &rows);
        const int shape = tri_part_index(im->role, part);
        const int start = (tri_contents_begin(im->k->contents, layer, shape) + row) % TRI_PERIOD;
        uint8_t *tile = m->packed + (size_t)i * bytes;
        if (rows == m->plan.layout->rows)
            memcpy(tile, image(im, part, start), bytes);
        else
            make_tile(im, thread, part, start, rows, tile);
    }
}

static void fill_matrices(void *arg, int thread, int threads)
{
    const struct images *im = arg;
    (void)threads;
    for (int layer = 0; layer < im->k->m->config.layers; layer++)
        fill_matrix(im, layer, thread);
}

static int common_divisor(int a, int b)
{
    return b ? common_divisor(b, a % b) : a;
}

static struct images images_of(const struct making *k, enum tri_role role)
{
    const struct tri_matrix *m = &k->m->layer[0].matrix[role];
    const int step = common_divisor(m->plan.layout->rows, TRI_SHIFT);
    return (struct images){.k = k, .role = role, .step = step, .count = TRI_PERIOD / step,
                           .ld = (size_t)tri_round_up(m->kp, 64)};
}

static size_t tiles_bytes(const struct images *im)
{
    return (size_t)(first(im)->parts * im->count) * tri_tile_bytes(first(im));
}

static size_t trits_bytes(const struct images *im, int threads)
{
    return (size_t)threads * (size_t)first(im)->plan.layout->rows * im->ld;
}

static enum tri_status make_matrices(const struct making *k, enum tri_role role, struct tri_error *e)
{
    struct images im = images_of(k, role);
    im.tile = tri_alloc(tiles_bytes(&im), 1, "weights", e);
    im.trits = tri_alloc(trits_bytes(&im, tri_pool_threads(k->pool)), 1, "weights", e);
    if (im.tile && im.trits) {
        tri_pool_run(k->pool, make_images, &im);
        tri_pool_run(k->pool, fill_matrices, &im);
    }
    enum tri_status status = im.tile && im.trits ? TRI_OK : e->status;
    tri_free(im.tile);
    tri_free(im.trits);
    return status;
}

/* -- the whole --------------------------------------------------------- */

static enum tri_status check_plans(const struct tri_model *m, const struct tri_synth *s, struct tri_error *e)
{
    for (int r = 0; r < TRI_ROLES; r++) {
        const struct tri_matrix *matrix = &m->layer[0].matrix[r];
        const struct tri_plan *plan = &matrix->plan;
        if (plan->count < 1 || plan->kernels[0]->tokens != 1)
            return tri_fail(e, TRI_USAGE, "plan of %s: expected a kernel for one token in front", tri_role_names[r]);
        if (plan->layout->three_of_four && !s->three_of_four)
            return tri_fail(e, TRI_USAGE, "plan of %s: expected a layout that holds any weights, found %s",
                            tri_role_names[r], plan->layout->name);
        for (int i = 0; i < plan->count; i++) {
            const struct tri_kernel *k = plan->kernels[i];
            if (k->kind != (matrix->group ? TRI_KIND_grouped : TRI_KIND_matmul) || k->group != matrix->group ||
                strcmp(k->layout, plan->layout->name) || matrix->kp > k->kmax)
                return tri_fail(e, TRI_USAGE, "plan of %s: %s does not compute products of %d columns in layout %s",
                                tri_role_names[r], k->name, matrix->kp, plan->layout->name);
        }
    }
    return TRI_OK;
}

static size_t embedding_bytes(const struct tri_contents *c)
{
    return tri_contents_embedding(c, false).bytes + (c->synth->head ? tri_contents_embedding(c, true).bytes : 0);
}

/* What stays beside the packed matrices; padding of scales is some KiB. */
static size_t rest_bytes(const struct tri_contents *c)
{
    const struct tri_config *config = &c->synth->config;
    size_t scales = 0;
    for (int p = 0; p < TRI_PARTS && c->synth->group; p++)
        scales += (size_t)tri_width(config, tri_part_shapes[p].rows) *
                  (size_t)(tri_width(config, tri_part_shapes[p].columns) / c->synth->group);
    return embedding_bytes(c) + (size_t)config->layers * scales * sizeof(float);
}

static bool has_plans(const struct tri_synth *s)
{
    bool given = false;
    for (int r = 0; r < TRI_ROLES; r++)
        given |= s->plan[r].layout != NULL;
    return given;
}

static enum tri_status fit(struct tri_model *m, const struct tri_contents *c, struct tri_error *e)
{
    const struct tri_synth *s = c->synth;
    const bool auto_bits = s->budget.bits == TRI_BITS_AUTO, structured = s->three_of_four && !s->group && !s->weights;
    if (s->budget.bits == TRI_BITS_1_25 && !s->three_of_four)
        return tri_fail(e, TRI_UNSUPPORTED, "1.25 bits a weight need a model trained with exactly one zero in every four "
                        "weights; add --three-of-four for random weights like that");
    const enum tri_status status = tri_model_fit(m, &s->budget, rest_bytes(c), e);
    return status == TRI_NO_MEMORY && auto_bits && structured ? tri_model_fit_structured(m, &s->budget, rest_bytes(c), e)
                                                               : status;
}

static enum tri_status make_plans(struct tri_model *m, const struct tri_contents *c, struct tri_error *e)
{
    const struct tri_synth *s = c->synth;
    for (int i = 0; i < m->config.layers * TRI_ROLES; i++) {
        struct tri_matrix *matrix = &m->layer[i / TRI_ROLES].matrix[i % TRI_ROLES];
        matrix->dense = s->weights;
        matrix->group = s->weights ? TRI_DENSE_GROUP : s->group;
    }
    if (s->weights && s->budget.bits != TRI_BITS_AUTO)
        return tri_fail(e, TRI_USAGE, "bits of packed weights: expected ternary weights, found %s; leave out one of the "
                        "two", s->weights->layout.name);
    if (!has_plans(s))
        return fit(m, c, e);
    tri_model_plan(m, s->plan);
    return check_plans(m, s, e);
}

/* Layers, stacks and plans, nothing large. */
static struct tri_model *outline(const struct tri_contents *c, struct tri_error *e)
{
    struct tri_model *m = tri_model_new(&c->synth->config, e);
    if (!m)
        return NULL;
    if (make_plans(m, c, e) == TRI_OK)
        return m;
    tri_model_free(m);
    return NULL;
}

/* What stays, and the most that one role's images take meanwhile; norms and layers are some MiB at most. */
static size_t whole(const struct making *k)
{
    size_t images = 0;
    for (int r = 0; r < TRI_ROLES; r++) {
        const struct images im = images_of(k, (enum tri_role)r);
        const size_t bytes = tiles_bytes(&im) + trits_bytes(&im, tri_pool_threads(k->pool));
        images = bytes > images ? bytes : images;
    }
    return k->m->packed_bytes + images + rest_bytes(k->contents);
}

static enum tri_status check_memory(const struct making *k, struct tri_error *e)
{
    const size_t available = tri_memory_available(), needed = whole(k);
    if (!available || needed <= available)
        return TRI_OK;
    return tri_fail(e, TRI_NO_MEMORY, "a model of %d layers and %d tokens takes %zu MiB, and %zu are available; "
                    "use fewer layers, or free some memory",
                    k->m->config.layers, k->m->config.vocab, needed >> 20, available >> 20);
}

static enum tri_status fill(const struct making *k, struct tri_error *e)
{
    if (check_memory(k, e) != TRI_OK || tri_model_place(k->m, e) != TRI_OK || make_norms(k, e) != TRI_OK ||
        make_both_embeddings(k, e) != TRI_OK || make_scales(k, e) != TRI_OK)
        return e->status;
    for (int r = 0; r < TRI_ROLES; r++)
        if (make_matrices(k, (enum tri_role)r, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

struct tri_model *tri_model_synth_outline(const struct tri_synth *s, struct tri_error *e)
{
    struct tri_synth unlimited = *s;
    unlimited.budget.memory = SIZE_MAX;
    struct tri_contents contents;
    struct making k = {.contents = &contents};
    const bool made = tri_contents_open(&contents, &unlimited, e) == TRI_OK && (k.m = outline(&contents, e)) &&
                      make_both_embeddings(&k, e) == TRI_OK;
    tri_contents_close(&contents);
    if (made)
        return k.m;
    tri_model_free(k.m);
    return NULL;
}

struct tri_model *tri_model_synth(const struct tri_synth *s, struct tri_pool *pool, struct tri_error *e)
{
    struct tri_contents contents;
    struct making k = {.contents = &contents, .pool = pool};
    const bool made =
        tri_contents_open(&contents, s, e) == TRI_OK && (k.m = outline(&contents, e)) && fill(&k, e) == TRI_OK;
    tri_contents_close(&contents);
    if (made)
        return k.m;
    tri_model_free(k.m);
    return NULL;
}
