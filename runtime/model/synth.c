/* Owns: the random contents of a model. Weights repeat after PERIOD rows, at another place in every layer, so that a
 * few packed tiles of each matrix are made and the rest are copies: as fast as memory is written. */
#include "model/synth.h"
#include "base/memory.h"
#include "kernels/product.h"
#include "model/build.h"

#include <math.h>
#include <string.h>

enum { PERIOD = 256, SHIFT = 64, HALVES = 1 << 16, F16 = 1 };

/* Of 2^16: as many zeros as published models have (42 %), the rest of either sign. */
enum { MINUS = 19005, ZERO = 46531 };
static const float square = 0.58f; /* the mean of a trit's square */

/* -- random numbers, by place ------------------------------------------ */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t at(uint64_t seed, uint64_t place)
{
    return mixed(seed + place * 0x9E3779B97F4A7C15u);
}

/* 0.75 .. 1.25 */
static float about_one(uint64_t random)
{
    return 0.75f + (float)(random >> 40) * 0x1p-25f;
}

/* A seed of its own for each thing that is made. */
enum kind { TRITS, SCALES, SHIFTS, NORMS, EMBEDDING };

static uint64_t seed_of(uint64_t seed, enum kind kind, int index)
{
    return at(mixed(seed) + (uint64_t)kind, (uint64_t)index + 1);
}

/* -- floats ------------------------------------------------------------ */

static enum tri_status make_norms(struct tri_model *m, uint64_t seed, struct tri_error *e)
{
    int made = 0;
    for (int i = 0; i <= m->config.layers; i++)
        for (int n = 0; n < (i < m->config.layers ? TRI_NORMS : 1); n++) {
            const struct tri_norm_shape *shape = &tri_norm_shapes[n];
            if (shape->sub && !m->config.family->sub_norms)
                continue;
            int width = tri_width(&m->config, shape->width);
            float *norm = tri_model_own(m, (size_t)width, sizeof *norm, "norms", e);
            if (!norm)
                return e->status;
            for (int j = 0; j < width; j++)
                norm[j] = about_one(at(seed_of(seed, NORMS, made), (uint64_t)j));
            made++;
            *(i < m->config.layers ? tri_norm_of(&m->layer[i], shape) : &m->output_norm) = norm;
        }
    return TRI_OK;
}

struct rows {
    const struct tri_pool *pool;
    uint16_t *to;
    const uint16_t *halves; /* [HALVES + hidden] */
    size_t hidden;
    int count;
    uint64_t seed;
};

/* Each row begins somewhere among the halves. */
static void copy_rows(void *arg, int thread, int threads)
{
    const struct rows *r = arg;
    int from, to;
    (void)threads;
    tri_pool_share(r->pool, r->count, thread, &from, &to);
    for (int i = from; i < to; i++)
        memcpy(r->to + (size_t)i * r->hidden, r->halves + at(r->seed, (uint64_t)i) % HALVES,
               r->hidden * sizeof *r->to);
}

/* 0.25 .. 1, of either sign */
static uint16_t half(uint64_t random)
{
    return (uint16_t)((random & 0x87FF) + (13 << 10));
}

static size_t embedding_bytes(const struct tri_config *c)
{
    return (size_t)c->vocab * (size_t)c->hidden * sizeof(uint16_t);
}

static enum tri_status make_embedding(struct tri_model *m, uint64_t seed, struct tri_pool *pool, struct tri_error *e)
{
    const struct tri_config *c = &m->config;
    size_t hidden = (size_t)c->hidden, count = HALVES + hidden;
    struct tri_tensor *t = tri_model_own(m, 1, sizeof *t, "embedding", e);
    uint16_t *rows = t ? tri_model_own(m, embedding_bytes(c), 1, "embedding", e) : NULL;
    uint16_t *halves = rows ? tri_alloc(count, sizeof *halves, "embedding", e) : NULL;
    if (!halves)
        return e->status;
    struct rows r = {pool, rows, halves, hidden, c->vocab, seed_of(seed, EMBEDDING, 0)};
    for (size_t i = 0; i < count; i++)
        halves[i] = half(at(r.seed, i));
    tri_pool_run(pool, copy_rows, &r);
    tri_free(halves);
    *t = (struct tri_tensor){.name = "token_embd.weight", .encoding = tri_encoding_find(F16), .dims = 2,
                             .ne = {c->hidden, c->vocab, 1, 1}, .data = (const uint8_t *)rows,
                             .bytes = embedding_bytes(c)};
    m->embedding = m->head = t;
    return TRI_OK;
}

/* -- matrices ---------------------------------------------------------- */

/* The tiles that the matrices of a role are made of: of each part one for every `step` rows of the period. */
struct images {
    const struct tri_model *m;
    const struct tri_pool *pool;
    enum tri_role role;
    uint64_t seed;
    int step, count;
    uint8_t *tile; /* [parts][count] tiles */
    int8_t *trits; /* [threads][rows][ld] */
    size_t ld;
};

static const struct tri_matrix *first(const struct images *im)
{
    return &im->m->layer[0].matrix[im->role];
}

static void make_row(uint64_t seed, int k, int8_t *trits)
{
    uint64_t random = 0;
    for (int i = 0; i < k; i++) {
        random = i % 4 ? random >> 16 : at(seed, (uint64_t)i);
        int draw = (int)(random & 0xFFFF);
        trits[i] = (int8_t)(draw < MINUS ? -1 : draw >= ZERO);
    }
}

/* `rows` rows of a part, from row `start` of its period on, as a tile. */
static void make_tile(const struct images *im, int thread, int part, int start, int rows, uint8_t *tile)
{
    const struct tri_matrix *m = first(im);
    int8_t *trits = im->trits + (size_t)thread * (size_t)m->plan.layout->rows * im->ld;
    uint64_t seed = seed_of(im->seed, TRITS, (int)im->role * TRI_MAX_PARTS + part);
    for (int i = 0; i < rows; i++)
        make_row(at(seed, (uint64_t)((start + i) % PERIOD)), m->k, trits + (size_t)i * im->ld);
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
    tri_pool_share(im->pool, m->parts * im->count, thread, &from, &to);
    for (int i = from; i < to; i++) {
        int part = i / im->count, start = i % im->count * im->step;
        make_tile(im, thread, part, start, m->plan.layout->rows, image(im, part, start));
    }
}

/* Where in its period a layer's part begins. */
static int begin(const struct images *im, int layer, int part)
{
    int index = (layer * TRI_ROLES + (int)im->role) * TRI_MAX_PARTS + part;
    return SHIFT * (int)(seed_of(im->seed, SHIFTS, index) % (PERIOD / SHIFT));
}

static void fill_matrices(void *arg, int thread, int threads)
{
    const struct images *im = arg;
    size_t bytes = tri_tile_bytes(first(im));
    int from, to;
    (void)threads;
    tri_product_share(first(im)->plan.layout, first(im)->m, im->pool, thread, &from, &to);
    for (int layer = 0; layer < im->m->config.layers; layer++) {
        const struct tri_matrix *m = &im->m->layer[layer].matrix[im->role];
        for (int i = from, row, rows; i < to; i++) {
            int part = tri_tile_part(m, i, &row, &rows), start = (begin(im, layer, part) + row) % PERIOD;
            uint8_t *tile = m->packed + (size_t)i * bytes;
            if (rows == m->plan.layout->rows)
                memcpy(tile, image(im, part, start), bytes);
            else
                make_tile(im, thread, part, start, rows, tile);
        }
    }
}

static int common_divisor(int a, int b)
{
    return b ? common_divisor(b, a % b) : a;
}

static enum tri_status make_matrices(struct tri_model *m, enum tri_role role, uint64_t seed, struct tri_pool *pool,
                                     struct tri_error *e)
{
    struct images im = {.m = m, .pool = pool, .role = role, .seed = seed};
    const struct tri_matrix *one = first(&im);
    int rows = one->plan.layout->rows;
    im.step = common_divisor(rows, SHIFT);
    im.count = PERIOD / im.step;
    im.ld = (size_t)tri_round_up(one->kp, 64);
    im.tile = tri_alloc((size_t)(one->parts * im.count), tri_tile_bytes(one), "weights", e);
    im.trits = tri_alloc((size_t)tri_pool_threads(pool), (size_t)rows * im.ld, "weights", e);
    if (im.tile && im.trits) {
        tri_pool_run(pool, make_images, &im);
        tri_pool_run(pool, fill_matrices, &im);
    }
    enum tri_status status = im.tile && im.trits ? TRI_OK : e->status;
    tri_free(im.tile);
    tri_free(im.trits);
    return status;
}

/* So that products of normed activations are about as large as these. */
static void make_scales(struct tri_model *m, uint64_t seed)
{
    int made = 0;
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++) {
            struct tri_matrix *matrix = &m->layer[i].matrix[r];
            for (int p = 0; p < matrix->parts; p++)
                matrix->part[p].scale =
                    about_one(seed_of(seed, SCALES, made++)) / sqrtf(square * (float)matrix->k);
        }
}

/* -- the whole --------------------------------------------------------- */

static enum tri_status check_plans(const struct tri_model *m, struct tri_error *e)
{
    for (int r = 0; r < TRI_ROLES; r++) {
        const struct tri_matrix *matrix = &m->layer[0].matrix[r];
        const struct tri_plan *plan = &matrix->plan;
        if (plan->count < 1 || plan->kernels[0]->tokens != 1)
            return tri_fail(e, TRI_USAGE, "plan of %s: expected a kernel for one token in front", tri_role_names[r]);
        for (int i = 0; i < plan->count; i++) {
            const struct tri_kernel *k = plan->kernels[i];
            if (k->kind != TRI_KIND_matmul || strcmp(k->layout, plan->layout->name) || matrix->kp > k->kmax)
                return tri_fail(e, TRI_USAGE, "plan of %s: %s does not compute products of %d columns in layout %s",
                                tri_role_names[r], k->name, matrix->kp, plan->layout->name);
        }
    }
    return TRI_OK;
}

/* Layers, stacks and plans, nothing large. */
static struct tri_model *outline(const struct tri_synth *s, struct tri_error *e)
{
    if (tri_config_check(&s->config, e) != TRI_OK)
        return NULL;
    struct tri_model *m = tri_model_new(&s->config, e);
    if (!m)
        return NULL;
    tri_model_plan(m, s->plan);
    if (check_plans(m, e) == TRI_OK)
        return m;
    tri_model_free(m);
    return NULL;
}

static size_t whole(const struct tri_model *m)
{
    return m->packed_bytes + embedding_bytes(&m->config);
}

size_t tri_synth_bytes(const struct tri_synth *s, struct tri_error *e)
{
    struct tri_model *m = outline(s, e);
    size_t bytes = m ? whole(m) : 0;
    tri_model_free(m);
    return bytes;
}

static enum tri_status check_memory(const struct tri_model *m, struct tri_error *e)
{
    size_t available = tri_memory_available();
    if (!available || whole(m) <= available)
        return TRI_OK;
    return tri_fail(e, TRI_NO_MEMORY, "a model of %d layers and %d tokens takes %zu MiB, and %zu are available; "
                    "use fewer layers, or free some memory",
                    m->config.layers, m->config.vocab, whole(m) >> 20, available >> 20);
}

static enum tri_status fill(struct tri_model *m, uint64_t seed, struct tri_pool *pool, struct tri_error *e)
{
    if (check_memory(m, e) != TRI_OK || tri_model_place(m, e) != TRI_OK || make_norms(m, seed, e) != TRI_OK ||
        make_embedding(m, seed, pool, e) != TRI_OK)
        return e->status;
    make_scales(m, seed);
    for (int r = 0; r < TRI_ROLES; r++)
        if (make_matrices(m, r, seed, pool, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

struct tri_model *tri_model_synth(const struct tri_synth *s, struct tri_pool *pool, struct tri_error *e)
{
    struct tri_model *m = outline(s, e);
    if (!m || fill(m, s->seed, pool, e) == TRI_OK)
        return m;
    tri_model_free(m);
    return NULL;
}
