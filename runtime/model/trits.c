/* Owns: rows of trits from files and from packed stacks, and the hash of a model's weights. Leaves out how encodings
 * hold them (file/ternary.h) and how stacks are found (packed.c). */
#include "model/trits.h"

#include "base/checksum.h"
#include "base/memory.h"
#include "base/queue.h"
#include "model/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- finding --------------------------------------------------------------- */

static enum tri_status check_shape(const struct tri_trits *s, const struct tri_trits_matrix *m, struct tri_error *e)
{
    const struct tri_tensor *t = m->tensor;
    if (t && t->ne[0] == m->columns && tri_tensor_rows(t) == m->rows)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: expected a tensor %s of %lld x %lld values, found %s", tri_gguf_name(s->g),
                    m->name, (long long)m->columns, (long long)m->rows, t ? "another shape" : "none");
}

static enum tri_status find_layer(struct tri_trits *s, const struct tri_model *shape, const struct tri_packed *packed,
                                  int layer, struct tri_error *e)
{
    const struct tri_config *c = &shape->config;
    int part_of[TRI_ROLES] = {0};
    for (int p = 0; p < TRI_PARTS; p++) {
        const struct tri_part_shape *part = &tri_part_shapes[p];
        struct tri_trits_matrix *m = &s->matrix[s->count++];
        *m = (struct tri_trits_matrix){.rows = tri_width(c, part->rows), .columns = tri_width(c, part->columns),
                                       .part = part_of[part->role]++};
        snprintf(m->name, sizeof m->name, "blk.%d.%s.weight", layer, part->name);
        if (packed) {
            m->stack = shape->layer[layer].matrix[part->role];
            if (tri_packed_stack(packed, layer, &m->stack, e) != TRI_OK)
                return e->status;
        } else {
            m->tensor = tri_gguf_tensor(s->g, m->name);
            if (check_shape(s, m, e) != TRI_OK)
                return e->status;
        }
    }
    return TRI_OK;
}

static enum tri_status find_all(struct tri_trits *s, const struct tri_config *c, struct tri_error *e)
{
    struct tri_packed packed;
    const bool is_packed = tri_packed_is(s->g);
    struct tri_model *shape = tri_model_new(c, e);
    enum tri_status status = shape ? TRI_OK : e->status;
    if (status == TRI_OK && is_packed)
        status = tri_packed_read(&packed, s->g, c, e);
    for (int i = 0; i < c->layers && status == TRI_OK; i++)
        status = find_layer(s, shape, is_packed ? &packed : NULL, i, e);
    tri_model_free(shape);
    return status;
}

/* -- opening ----------------------------------------------------------------- */

static enum tri_status read_one(void *arg, int64_t i, int thread, struct tri_error *e)
{
    const struct tri_trits *s = arg;
    struct tri_trits_matrix *m = &s->matrix[i];
    (void)thread;
    if (!m->tensor || tri_ternary_read(&m->stored, m->tensor, e) == TRI_OK)
        return TRI_OK;
    return tri_fail_in(e, "%s", tri_gguf_name(s->g));
}

struct tri_trits *tri_trits_open(const struct tri_gguf *g, const struct tri_config *c, struct tri_pool *pool,
                                 struct tri_error *e)
{
    struct tri_trits *s = tri_alloc(1, sizeof *s, "matrices", e);
    if (!s)
        return NULL;
    s->g = g;
    s->matrix = tri_alloc((size_t)c->layers * TRI_PARTS, sizeof *s->matrix, "matrices", e);
    if (s->matrix && find_all(s, c, e) == TRI_OK) {
        const struct tri_queue q = {.count = s->count, .step = read_one, .arg = s};
        if (tri_queue_run(&q, pool, e) == TRI_OK)
            return s;
    }
    tri_trits_free(s);
    return NULL;
}

void tri_trits_free(struct tri_trits *s)
{
    if (s)
        tri_free(s->matrix);
    tri_free(s);
}

bool tri_trits_own(const struct tri_trits *s, const struct tri_tensor *t)
{
    int layer;
    enum tri_role role;
    if (tri_packed_is(s->g) && (tri_packed_name(t->name, &layer, &role) || tri_packed_screen_name(t->name)))
        return true;
    for (int i = 0; i < s->count; i++)
        if (s->matrix[i].tensor == t)
            return true;
    return false;
}

/* -- rows --------------------------------------------------------------------- */

size_t tri_trits_hand(const struct tri_trits *s)
{
    size_t most = 0;
    for (int i = 0; i < s->count; i++) {
        const struct tri_matrix *stack = &s->matrix[i].stack;
        const size_t bytes = stack->packed ? (size_t)stack->plan.layout->rows * (size_t)stack->kp : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static enum tri_status unpack(const struct tri_trits *s, const struct tri_trits_matrix *m, int tile, int8_t *hand,
                              struct tri_error *e)
{
    const struct tri_matrix *stack = &m->stack;
    bool wrong = false;
    stack->plan.layout->unpack(stack->packed + (size_t)tile * tri_tile_bytes(stack), stack->kp, hand,
                               (size_t)stack->kp);
    for (int r = 0; r < stack->plan.layout->rows; r++)
        for (int64_t k = 0; k < m->columns; k++)
            wrong |= (uint8_t)(hand[(size_t)r * (size_t)stack->kp + (size_t)k] + 1) > 2;
    if (!wrong)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: matrix %s, tile %d: expected weights of -1, 0 and 1 in layout %s, found "
                    "others; the file is damaged: convert the original file again", tri_gguf_name(s->g), m->name, tile,
                    stack->plan.layout->name);
}

enum tri_status tri_trits_rows(const struct tri_trits *s, const struct tri_trits_matrix *m, int64_t from, int rows,
                               int8_t *hand, int8_t *out, struct tri_error *e)
{
    const int tall = m->tensor ? 1 : m->stack.plan.layout->rows;
    int unpacked = -1;
    for (int i = 0; i < rows; i++, out += m->columns) {
        const int64_t row = from + i;
        if (m->tensor) {
            if (tri_ternary_row(&m->stored, row, out, e) != TRI_OK)
                return tri_fail_in(e, "%s", tri_gguf_name(s->g));
            continue;
        }
        const int at = m->stack.part[m->part].row + (int)row;
        if (at / tall != unpacked && unpack(s, m, unpacked = at / tall, hand, e) != TRI_OK)
            return e->status;
        memcpy(out, hand + (size_t)(at % tall) * (size_t)m->stack.kp, (size_t)m->columns);
    }
    return TRI_OK;
}

enum tri_scaling tri_trits_scaling(const struct tri_trits_matrix *m)
{
    const int group = m->stack.part[m->part].group;
    if (m->tensor)
        return m->stored.scaling;
    return group == 0 ? TRI_PER_TENSOR : group == m->columns ? TRI_PER_ROW : TRI_PER_GROUP;
}

int tri_trits_groups(const struct tri_trits_matrix *m, int64_t *group)
{
    *group = m->columns;
    if (tri_trits_scaling(m) == TRI_PER_GROUP)
        *group = m->tensor ? m->stored.group : m->stack.part[m->part].group;
    return m->tensor ? m->stored.groups : (int)(m->columns / *group);
}

/* The stack's groups may be smaller than the part's: the first of several that are one there. */
static void stack_scales(const struct tri_matrix *stack, const struct tri_part *part, int64_t row, float *scales)
{
    const int step = stack->group ? part->group / stack->group : 1;
    for (int g = 0; g < stack->k / part->group; g++)
        scales[g] = stack->scales[tri_matrix_scale_at(stack, part->row + (int)row, g * step)];
}

void tri_trits_scales(const struct tri_trits_matrix *m, int64_t row, float *scales)
{
    const struct tri_part *part = &m->stack.part[m->part];
    if (m->tensor)
        tri_ternary_scales(&m->stored, row, scales);
    else if (part->group)
        stack_scales(&m->stack, part, row, scales);
    else
        scales[0] = part->scale;
}

/* -- the hash ------------------------------------------------------------------- */

uint64_t tri_trits_chunk_hash(const int8_t *trits, int rows, int64_t columns)
{
    return tri_checksum(0, trits, (size_t)rows * (size_t)columns);
}

int64_t tri_trits_chunks(const struct tri_trits_matrix *m)
{
    return (m->rows + TRI_TRITS_CHUNK - 1) / TRI_TRITS_CHUNK;
}

static int by_name(const void *a, const void *b)
{
    const struct tri_trits_matrix *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static uint64_t begin(uint64_t before, const struct tri_trits_matrix *m)
{
    const uint64_t shape[2] = {(uint64_t)m->columns, (uint64_t)m->rows};
    return tri_checksum(tri_checksum(before, m->name, strlen(m->name)), shape, sizeof shape);
}

/* Of a tensor one, of rows and groups all, in their order. */
static uint64_t scales_hash(uint64_t before, const struct tri_trits_matrix *m, float *scales)
{
    int64_t group;
    const int n = tri_trits_groups(m, &group);
    const int64_t rows = tri_trits_scaling(m) == TRI_PER_TENSOR ? 1 : m->rows;
    for (int64_t row = 0; row < rows; row++) {
        tri_trits_scales(m, row, scales);
        before = tri_checksum(before, scales, (size_t)n * sizeof *scales);
    }
    return before;
}

static int most_groups(const struct tri_trits *s)
{
    int most = 1;
    for (int i = 0; i < s->count; i++) {
        int64_t group;
        const int n = tri_trits_groups(&s->matrix[i], &group);
        most = n > most ? n : most;
    }
    return most;
}

enum tri_status tri_trits_combine(const struct tri_trits *s, const uint64_t *chunks, struct tri_trits_hash *hash,
                                  struct tri_error *e)
{
    const struct tri_trits_matrix **order = tri_alloc((size_t)s->count, sizeof *order, "names", e);
    const uint64_t **first = order ? tri_alloc((size_t)s->count, sizeof *first, "names", e) : NULL;
    float *scales = first ? tri_alloc((size_t)most_groups(s), sizeof *scales, "scales", e) : NULL;
    *hash = (struct tri_trits_hash){0};
    for (int i = 0; scales && i < s->count; i++) {
        order[i] = &s->matrix[i];
        first[i] = chunks;
        chunks += tri_trits_chunks(&s->matrix[i]);
    }
    if (scales)
        qsort(order, (size_t)s->count, sizeof *order, by_name);
    for (int i = 0; scales && i < s->count; i++) {
        const struct tri_trits_matrix *m = order[i];
        hash->trits = tri_checksum(begin(hash->trits, m), first[m - s->matrix],
                                   (size_t)tri_trits_chunks(m) * sizeof **first);
        hash->scales = scales_hash(begin(hash->scales, m), m, scales);
    }
    const enum tri_status status = scales ? TRI_OK : e->status;
    tri_free(order);
    tri_free(first);
    tri_free(scales);
    return status;
}

/* The matrix that chunk *i of all belongs to; *i becomes the chunk's index there. */
static const struct tri_trits_matrix *matrix_of(const struct tri_trits *s, int64_t *i)
{
    const struct tri_trits_matrix *m = s->matrix;
    for (int64_t n; *i >= (n = tri_trits_chunks(m)); m++)
        *i -= n;
    return m;
}

struct hashing {
    const struct tri_trits *s;
    int8_t *hand, *rows; /* of each thread */
    size_t hand_bytes, rows_bytes;
    uint64_t *chunks;
};

static enum tri_status hash_chunk(void *arg, int64_t i, int thread, struct tri_error *e)
{
    const struct hashing *h = arg;
    int64_t in = i;
    const struct tri_trits_matrix *m = matrix_of(h->s, &in);
    const int64_t from = in * TRI_TRITS_CHUNK, left = m->rows - from;
    const int rows = left < TRI_TRITS_CHUNK ? (int)left : TRI_TRITS_CHUNK;
    int8_t *out = h->rows + (size_t)thread * h->rows_bytes;
    if (tri_trits_rows(h->s, m, from, rows, h->hand + (size_t)thread * h->hand_bytes, out, e) != TRI_OK)
        return e->status;
    h->chunks[i] = tri_trits_chunk_hash(out, rows, m->columns);
    return TRI_OK;
}

enum tri_status tri_trits_hash(const struct tri_trits *s, struct tri_pool *pool, bool (*stop)(void),
                               struct tri_trits_hash *hash, struct tri_error *e)
{
    struct hashing h = {.s = s, .hand_bytes = tri_trits_hand(s)};
    struct tri_queue q = {.step = hash_chunk, .arg = &h, .what = "hashing", .stop = stop};
    const size_t threads = (size_t)tri_pool_threads(pool);
    for (int i = 0; i < s->count; i++) {
        const size_t bytes = TRI_TRITS_CHUNK * (size_t)s->matrix[i].columns;
        h.rows_bytes = bytes > h.rows_bytes ? bytes : h.rows_bytes;
        q.count += tri_trits_chunks(&s->matrix[i]);
    }
    h.hand = tri_alloc(threads, h.hand_bytes + 1, "rows", e);
    h.rows = h.hand ? tri_alloc(threads, h.rows_bytes, "rows", e) : NULL;
    h.chunks = h.rows ? tri_alloc((size_t)q.count, sizeof *h.chunks, "hashes", e) : NULL;
    enum tri_status status = h.chunks ? tri_queue_run(&q, pool, e) : e->status;
    if (status == TRI_OK)
        status = tri_trits_combine(s, h.chunks, hash, e);
    tri_free(h.hand);
    tri_free(h.rows);
    tri_free(h.chunks);
    return status;
}
