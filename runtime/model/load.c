/* Owns: finding a model's tensors, checking them against the configuration, and packing the ternary
 * ones for the kernels that will run them. Leaves out how files encode trits (file/tensor.h). */
#include "base/memory.h"
#include "base/queue.h"
#include "file/ternary.h"
#include "kernels/product.h"
#include "model/build.h"
#include "model/expand.h"
#include "model/packed.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a layer's matrices come from. */
struct source {
    struct tri_ternary part[TRI_ROLES][TRI_MAX_PARTS];
    struct tri_tensor tensor[TRI_ROLES][TRI_MAX_PARTS]; /* of the file, with the factor of its .scale tensor */
    struct tri_matrix stack[TRI_ROLES]; /* in a packed file */
};

enum { LINE = 64, RELEASE = 1 << 20 };

struct loader {
    struct tri_model *model;
    const struct tri_gguf *g;
    struct source *source; /* [layers] */
    bool is_packed;
    struct tri_packed packed;
    struct tri_expansion expansion[2]; /* embedding and output matrix, where they are trits */
    int expansions;
};

static int width(const struct loader *l, enum tri_width w)
{
    return tri_width(&l->model->config, w);
}

/* -- tensors ----------------------------------------------------------- */

static const struct tri_tensor *find(struct loader *l, const char *name, int columns, int rows,
                                     struct tri_error *e)
{
    const struct tri_tensor *t = tri_gguf_tensor(l->g, name);
    if (!t) {
        tri_fail(e, TRI_BAD_FILE, "%s: expected a tensor %s of %d x %d values, found none",
                 tri_gguf_name(l->g), name, columns, rows);
        return NULL;
    }
    if (t->ne[0] != columns || tri_tensor_rows(t) != rows) {
        tri_fail(e, TRI_BAD_FILE,
                 "%s: tensor %s at byte %llu: expected %d x %d values, found %lld x %lld",
                 tri_gguf_name(l->g), name, (unsigned long long)t->offset, columns, rows,
                 (long long)t->ne[0], (long long)tri_tensor_rows(t));
        return NULL;
    }
    return t;
}

static enum tri_status wrong_type(struct loader *l, const struct tri_tensor *t,
                                  const char *expected, struct tri_error *e)
{
    return tri_fail(e, TRI_UNSUPPORTED, "%s: tensor %s at byte %llu: expected %s, found %s",
                    tri_gguf_name(l->g), t->name, (unsigned long long)t->offset, expected,
                    t->encoding->name);
}

static bool is(const struct tri_tensor *t, const char *encoding)
{
    return strcmp(t->encoding->name, encoding) == 0;
}

static bool aligned(const struct tri_tensor *t)
{
    return (uintptr_t)t->data % sizeof(float) == 0;
}

/* Floats of the file in place where they are aligned F32, else as a copy. */
static const float *floats(struct loader *l, const struct tri_tensor *t, struct tri_error *e)
{
    if (is(t, "F32") && aligned(t))
        return (const float *)t->data;
    float *copy = tri_model_own(l->model, (size_t)t->ne[0], sizeof *copy, t->name, e);
    if (copy)
        t->encoding->floats(t, 0, copy);
    return copy;
}

static enum tri_status read_norm(struct loader *l, const char *name, int n, const float **norm,
                                 struct tri_error *e)
{
    const struct tri_tensor *t = find(l, name, n, 1, e);
    if (!t)
        return e->status;
    if (!is(t, "F32") && !is(t, "F16") && !is(t, "BF16"))
        return wrong_type(l, t, "F32, F16 or BF16", e);
    if (!(*norm = floats(l, t, e)))
        return e->status;
    for (int i = 0; i < n; i++)
        if (!isfinite((*norm)[i]))
            return tri_fail(e, TRI_BAD_FILE,
                            "%s: tensor %s: expected finite values, found %g at %d",
                            tri_gguf_name(l->g), name, (*norm)[i], i);
    return TRI_OK;
}

static enum tri_status read_rope_divisors(struct loader *l, struct tri_error *e)
{
    static const char name[] = "rope_freqs.weight";
    const int n = l->model->config.rope_dims / 2;
    if (!tri_gguf_tensor(l->g, name))
        return TRI_OK;
    if (read_norm(l, name, n, &l->model->rope_divisors, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < n; i++)
        if (!(l->model->rope_divisors[i] > 0))
            return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: expected divisors above 0, found %g at %d",
                            tri_gguf_name(l->g), name, (double)l->model->rope_divisors[i], i);
    return TRI_OK;
}

static enum tri_status read_embedding(struct loader *l, const char *name,
                                      const struct tri_tensor **embedding, struct tri_error *e)
{
    const struct tri_tensor *t = find(l, name, width(l, TRI_HIDDEN), l->model->config.vocab, e);
    if (!t)
        return e->status;
    if (t->encoding->origin == TRI_TRITS_STORED) {
        *embedding = tri_expansion_plan(&l->expansion[l->expansions++], l->model, t, e);
        return *embedding ? TRI_OK : tri_fail_in(e, "%s", tri_gguf_name(l->g));
    }
    if (!t->encoding->rows)
        return wrong_type(l, t, "F32, F16, BF16, Q8_0, Q6_K, Q4_K or Q4_0", e);
    if (!aligned(t))
        return tri_fail(e, TRI_UNSUPPORTED,
                        "%s: tensor %s at byte %llu: expected a multiple of 4; write the file with "
                        "general.alignment 32",
                        tri_gguf_name(l->g), name, (unsigned long long)t->offset);
    *embedding = t;
    return TRI_OK;
}

/* -- tensors nobody would read: results would be wrong without a word -- */

static bool is_part(const char *name)
{
    for (int i = 0; i < TRI_PARTS; i++)
        if (strcmp(name, tri_part_shapes[i].name) == 0)
            return true;
    return false;
}

/* `scale`: it is called .scale instead of .weight. */
static bool known_of_layer(const struct loader *l, const char *name, bool scale)
{
    if (is_part(name) || scale)
        return is_part(name);
    for (int i = 0; i < TRI_NORMS; i++)
        if (strcmp(name, tri_norm_shapes[i].name) == 0)
            return tri_norm_is_there(&l->model->config, &tri_norm_shapes[i]);
    return false;
}

static bool known(const struct loader *l, const struct tri_tensor *t)
{
    char name[sizeof t->name];
    int of;
    enum tri_role role;
    if (l->is_packed && tri_packed_name(t->name, &of, &role))
        return of < l->model->config.layers;
    if (l->is_packed && tri_packed_screen_name(t->name))
        return true;
    const char *tail = strrchr(t->name, '.');
    const bool scale = tail && strcmp(tail, ".scale") == 0;
    if (!tail || (!scale && strcmp(tail, ".weight") != 0))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(tail - t->name), t->name);
    if (strncmp(name, "blk.", 4) == 0) {
        char *end;
        long layer = strtol(name + 4, &end, 10);
        return *end == '.' && layer >= 0 && layer < l->model->config.layers &&
               known_of_layer(l, end + 1, scale);
    }
    if (scale)
        return false;
    return strcmp(name, "token_embd") == 0 || strcmp(name, "output_norm") == 0 ||
           strcmp(name, "output") == 0 || strcmp(name, "rope_freqs") == 0;
}

static enum tri_status check_all_known(struct loader *l, struct tri_error *e)
{
    for (size_t i = 0; i < tri_gguf_tensor_count(l->g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(l->g, i);
        if (!known(l, t))
            return tri_fail(e, TRI_UNSUPPORTED,
                            "%s: tensor %s: expected only the tensors of a %s model of %d layers; "
                            "running without this one would give wrong results",
                            tri_gguf_name(l->g), t->name, l->model->config.family->arch,
                            l->model->config.layers);
    }
    return TRI_OK;
}

/* -- tensors of the layers: everything is checked before the first row is decoded -- */

/* blk.N.attn_q.scale and the like: one number more that a matrix is multiplied by. */
static enum tri_status read_factor(struct loader *l, int layer, const char *part, float *factor, struct tri_error *e)
{
    char name[64];
    const float *scale;
    snprintf(name, sizeof name, "blk.%d.%s.scale", layer, part);
    if (!tri_gguf_tensor(l->g, name))
        return TRI_OK;
    if (read_norm(l, name, 1, &scale, e) != TRI_OK)
        return e->status;
    if (!(*scale > 0))
        return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: expected a number above 0, found %g", tri_gguf_name(l->g),
                        name, (double)*scale);
    *factor *= *scale;
    return TRI_OK;
}

/* The part of its role's stack that shape `p` is. */
static int part_of(int p)
{
    int part = 0;
    for (int i = 0; i < p; i++)
        part += tri_part_shapes[i].role == tri_part_shapes[p].role;
    return part;
}

static enum tri_status find_part(struct loader *l, int layer, int index, struct tri_error *e)
{
    const struct tri_part_shape *p = &tri_part_shapes[index];
    struct tri_tensor *own = &l->source[layer].tensor[p->role][part_of(index)];
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, p->name);
    const struct tri_tensor *t = find(l, name, width(l, p->columns), width(l, p->rows), e);
    if (!t)
        return e->status;
    *own = *t;
    return read_factor(l, layer, p->name, &own->factor, e);
}

/* Scales of floats take a look at every weight: on all threads. */
static enum tri_status read_part(void *arg, int64_t i, int thread, struct tri_error *e)
{
    const struct loader *l = arg;
    const int layer = (int)(i / TRI_PARTS), index = (int)(i % TRI_PARTS), part = part_of(index);
    const enum tri_role role = tri_part_shapes[index].role;
    struct tri_ternary *w = &l->source[layer].part[role][part];
    (void)thread;
    if (tri_ternary_read(w, &l->source[layer].tensor[role][part], e) != TRI_OK)
        return tri_fail_in(e, "%s", tri_gguf_name(l->g));
    struct tri_part *to = &l->model->layer[layer].matrix[role].part[part];
    to->scale = w->scale;
    to->group = w->scaling == TRI_PER_TENSOR ? 0 : w->group;
    return TRI_OK;
}

static enum tri_status read_parts(struct loader *l, struct tri_pool *pool, struct tri_error *e)
{
    const struct tri_queue q = {.count = (int64_t)l->model->config.layers * TRI_PARTS, .step = read_part, .arg = l};
    return tri_queue_run(&q, pool, e);
}

/* The stack as it lies in the file. */
static struct tri_matrix in_file(struct loader *l, int layer, enum tri_role role)
{
    return l->source[layer].stack[role];
}

static enum tri_status find_stacks(struct loader *l, int layer, struct tri_error *e)
{
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        struct tri_matrix *stack = &l->source[layer].stack[r], *m = &l->model->layer[layer].matrix[r];
        *stack = *m;
        if (tri_packed_stack(&l->packed, layer, stack, e) != TRI_OK)
            return e->status;
        m->group = stack->group;
        for (int i = 0; i < m->parts; i++) {
            m->part[i].scale = stack->part[i].scale;
            m->part[i].group = stack->part[i].group;
        }
    }
    return TRI_OK;
}

static enum tri_status find_layer(struct loader *l, int i, struct tri_error *e)
{
    char name[64];
    for (int n = 0; n < TRI_NORMS; n++) {
        const struct tri_norm_shape *norm = &tri_norm_shapes[n];
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, norm->name);
        if (!tri_norm_is_there(&l->model->config, norm))
            continue;
        if (read_norm(l, name, width(l, norm->width), tri_norm_of(&l->model->layer[i], norm), e) != TRI_OK)
            return e->status;
    }
    if (l->is_packed)
        return find_stacks(l, i, e);
    for (int p = 0; p < TRI_PARTS; p++)
        if (find_part(l, i, p, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* -- scales of rows and groups ------------------------------------------ */

/* Columns that share a scale in all matrices of a role: the smallest group of any; 0: none has groups. */
static int group_of(const struct loader *l, enum tri_role role)
{
    int least = 0;
    for (int i = 0; i < l->model->config.layers; i++)
        for (int p = 0; p < l->model->layer[i].matrix[role].parts; p++) {
            const struct tri_ternary *w = &l->source[i].part[role][p];
            if (w->scaling == TRI_PER_GROUP && (!least || w->group < least))
                least = w->group;
        }
    return least;
}

/* Kernels know groups of some sizes, and stacks are made of parts whose groups are multiples of the smallest. */
static enum tri_status check_group(struct loader *l, int layer, enum tri_role role, int group, struct tri_error *e)
{
    struct tri_plan plan;
    const struct tri_matrix *m = &l->model->layer[layer].matrix[role];
    tri_dispatch_plan(role, m->part[0].rows, m->k, group, &plan);
    for (int p = 0; p < m->parts; p++) {
        const struct tri_ternary *w = &l->source[layer].part[role][p];
        if (w->scaling == TRI_PER_GROUP && (!plan.count || w->group % group))
            return wrong_type(l, w->tensor, "scales of 32, 64, 128 or 256 columns each", e);
    }
    return TRI_OK;
}

static enum tri_status choose_groups(struct loader *l, struct tri_error *e)
{
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        const int group = group_of(l, r);
        for (int i = 0; i < l->model->config.layers; i++) {
            l->model->layer[i].matrix[r].group = group;
            if (group && check_group(l, i, r, group, e) != TRI_OK)
                return e->status;
        }
    }
    return TRI_OK;
}

/* Groups of a stack's rows, without padding. */
static int groups_of(const struct tri_matrix *m)
{
    return m->group ? tri_groups(m->k, m->group) : 1;
}

/* Of one row of a part: to the stack's groups, which may be smaller than its own. */
static void fill_row(const struct tri_matrix *m, const struct tri_ternary *w, int row, const float *own, float *scales)
{
    for (int g = 0; g < groups_of(m); g++)
        scales[tri_matrix_scale_at(m, row, g)] = own[g * m->group / w->group];
}

/* From a stack of another layout. */
static void move_rows(const struct tri_matrix *m, const struct tri_matrix *stack, int part, float *scales)
{
    for (int i = 0; i < m->part[part].rows; i++)
        for (int g = 0; g < groups_of(m); g++)
            scales[tri_matrix_scale_at(m, m->part[part].row + i, g)] =
                stack->scales[tri_matrix_scale_at(stack, stack->part[part].row + i, g)];
}

static enum tri_status fill_scales(struct loader *l, int layer, enum tri_role role, float *own, struct tri_error *e)
{
    struct tri_matrix *m = &l->model->layer[layer].matrix[role];
    const struct tri_matrix stack = in_file(l, layer, role);
    float *scales = tri_model_own(l->model, tri_matrix_scales(m), sizeof *scales, "scales", e);
    for (int p = 0; scales && p < m->parts; p++) {
        const struct tri_ternary *w = &l->source[layer].part[role][p];
        if (l->is_packed)
            move_rows(m, &stack, p, scales);
        for (int i = 0; i < m->part[p].rows && !l->is_packed; i++) {
            tri_ternary_scales(w, i, own);
            fill_row(m, w, m->part[p].row + i, own, scales);
        }
    }
    m->scales = scales;
    return scales ? TRI_OK : e->status;
}

/* Of all matrices that need more than one for each part, and have not got them in the file. */
static enum tri_status fill_all_scales(struct loader *l, struct tri_error *e)
{
    const int widest = width(l, TRI_HIDDEN) + width(l, TRI_FFN) + width(l, TRI_HEADS);
    float *own = tri_alloc((size_t)widest, sizeof *own, "scales", e);
    enum tri_status status = own ? TRI_OK : e->status;
    for (int i = 0; i < l->model->config.layers; i++)
        for (enum tri_role r = 0; r < TRI_ROLES && status == TRI_OK; r++)
            if (tri_matrix_has_scales(&l->model->layer[i].matrix[r]) && !l->model->layer[i].matrix[r].scales)
                status = fill_scales(l, i, r, own, e);
    tri_free(own);
    return status;
}

/* About what they take. */
static size_t scales_bytes(const struct loader *l)
{
    size_t floats = 0;
    for (int i = 0; i < l->model->config.layers; i++)
        for (enum tri_role r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *m = &l->model->layer[i].matrix[r];
            for (int p = 0; p < m->parts && tri_matrix_has_scales(m); p++)
                floats += (size_t)m->part[p].rows * (size_t)groups_of(m);
        }
    return floats * sizeof(float);
}

static enum tri_status find_screen(struct loader *l, struct tri_error *e)
{
    struct tri_screen *s = tri_model_own(l->model, 1, sizeof *s, "screen", e);
    if (!s || tri_packed_screen(&l->packed, &l->model->config, s, e) != TRI_OK)
        return e->status;
    l->model->saved_screen = s->codes ? s : NULL;
    return TRI_OK;
}

static enum tri_status find_all(struct loader *l, struct tri_pool *pool, struct tri_error *e)
{
    struct tri_model *m = l->model;
    if (read_embedding(l, "token_embd.weight", &m->embedding, e) != TRI_OK)
        return e->status;
    m->head = m->embedding;
    if (tri_gguf_tensor(l->g, "output.weight") &&
        read_embedding(l, "output.weight", &m->head, e) != TRI_OK)
        return e->status;
    if (read_norm(l, "output_norm.weight", width(l, TRI_HIDDEN), &m->output_norm, e) != TRI_OK ||
        read_rope_divisors(l, e) != TRI_OK)
        return e->status;
    if (l->is_packed && (tri_packed_read(&l->packed, l->g, &m->config, e) != TRI_OK || find_screen(l, e) != TRI_OK))
        return e->status;
    for (int i = 0; i < m->config.layers; i++)
        if (find_layer(l, i, e) != TRI_OK)
            return e->status;
    if (!l->is_packed && (read_parts(l, pool, e) != TRI_OK || choose_groups(l, e) != TRI_OK))
        return e->status;
    return check_all_known(l, e);
}

/* -- stacks of packed files -------------------------------------------- */

/* Whether a stack can stay where it is: in the layout of the plan, on a cache line, with bytes that may be read
 * behind it. */
static bool as_wanted(const struct loader *l, const struct tri_matrix *stack, const struct tri_matrix *m)
{
    const uint8_t *end = tri_gguf_end(l->g, stack->packed);
    return stack->plan.layout == m->plan.layout && (uintptr_t)stack->packed % LINE == 0 &&
           (size_t)(end - stack->packed) >= stack->bytes + LINE;
}

static void take_stacks(struct loader *l)
{
    for (int i = 0; l->is_packed && i < l->model->config.layers; i++)
        for (enum tri_role r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix stack = in_file(l, i, r);
            struct tri_matrix *m = &l->model->layer[i].matrix[r];
            if (!as_wanted(l, &stack, m))
                continue;
            m->packed = stack.packed;
            if ((uintptr_t)stack.scales % LINE == 0)
                m->scales = stack.scales;
        }
}

/* What is said where a file was packed for another machine. */
static void tell_repacked(struct loader *l)
{
    char text[128] = "";
    for (enum tri_role r = 0; l->is_packed && r < TRI_ROLES; r++) {
        const struct tri_matrix *m = &l->model->layer[0].matrix[r], stack = in_file(l, 0, r);
        if (m->packed != stack.packed)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %s to %s", *text ? ", " : "",
                     tri_role_names[r], stack.plan.layout->name, m->plan.layout->name);
    }
    size_t used = strlen(l->model->notice);
    if (*text)
        snprintf(l->model->notice + used, sizeof l->model->notice - used,
                 "%spacked for other kernels than run here (%s) and packed anew; convert it here to start faster",
                 used ? "; " : "", text);
}

/* -- packing ----------------------------------------------------------- */

struct packing {
    const struct loader *l;
    int layer;
    const struct tri_matrix *m;
    const struct tri_ternary *source; /* [parts]; NULL: rows come out of a stack */
    struct tri_matrix stack;
    const struct tri_pool *pool;
    int8_t *trits; /* [threads][rows][ld] */
    int8_t *tiles; /* [threads][rows of the stack's tiles][ld] */
    size_t ld;
    atomic_flag reported; /* the first error counts */
    struct tri_error error;
};

/* What one thread has at hand. */
struct hand {
    int8_t *trits, *tile;
    int unpacked;           /* the stack's tile in `tile`; -1: none */
    const uint8_t *read;    /* from here on to `until` the file was read and not yet released */
    const uint8_t *until;
};

/* Releasing is a call that makes other threads wait: in runs, and of memory that goes on. */
static void done_with(const struct packing *p, struct hand *h, const uint8_t *from, size_t bytes)
{
    if (from != h->until) {
        tri_gguf_release(p->l->g, h->read, (size_t)(h->until - h->read));
        h->read = from;
    }
    h->until = from + bytes;
    if ((size_t)(h->until - h->read) >= RELEASE) {
        tri_gguf_release(p->l->g, h->read, (size_t)(h->until - h->read));
        h->read = h->until;
    }
}

static enum tri_status decode_rows(const struct packing *p, struct hand *h, int part, int from, int rows,
                                   struct tri_error *e)
{
    const struct tri_tensor *t = p->source[part].tensor;
    const size_t all = (size_t)tri_tensor_rows(t), begin = t->bytes * (size_t)from / all;
    for (int i = 0; i < rows; i++)
        if (tri_ternary_row(&p->source[part], from + i, h->trits + (size_t)i * p->ld, e) != TRI_OK)
            return e->status;
    done_with(p, h, t->data + begin, t->bytes * (size_t)(from + rows) / all - begin);
    return TRI_OK;
}

static enum tri_status unpack_tile(const struct packing *p, struct hand *h, int tile, struct tri_error *e)
{
    const struct tri_matrix *s = &p->stack;
    const size_t bytes = tri_tile_bytes(s);
    const uint8_t *at = s->packed + (size_t)tile * bytes;
    bool wrong = false;
    s->plan.layout->unpack(at, s->kp, h->tile, p->ld);
    for (int r = 0; r < s->plan.layout->rows; r++)
        for (int k = 0; k < s->k; k++)
            wrong |= (uint8_t)(h->tile[(size_t)r * p->ld + (size_t)k] + 1) > 2;
    h->unpacked = tile;
    done_with(p, h, at, bytes);
    if (!wrong)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s, tile %d: expected weights of -1, 0 and 1 in layout %s, found others; the "
                    "file is damaged: convert the original file again", tri_role_names[s->role], tile,
                    s->plan.layout->name);
}

static enum tri_status unpack_rows(const struct packing *p, struct hand *h, int part, int from, int rows,
                                   struct tri_error *e)
{
    const int tall = p->stack.plan.layout->rows, first = p->stack.part[part].row + from;
    for (int i = 0; i < rows; i++) {
        const int row = first + i;
        if (row / tall != h->unpacked && unpack_tile(p, h, row / tall, e) != TRI_OK)
            return e->status;
        memcpy(h->trits + (size_t)i * p->ld, h->tile + (size_t)(row % tall) * p->ld, (size_t)p->m->k);
    }
    return TRI_OK;
}

/* The packer takes what it is given: rows that a layout of three of four cannot hold are found here. */
static enum tri_status check_rows(const struct packing *p, const int8_t *trits, int part, int from, int rows,
                                  struct tri_error *e)
{
    for (int i = 0; i < rows; i++) {
        const int column = tri_three_of_four(trits + (size_t)i * p->ld, p->m->k);
        if (column < p->m->k)
            return tri_fail(e, TRI_UNSUPPORTED, "tensor blk.%d.%s.weight, row %d: expected one zero in columns %d to %d, "
                            "found none or several: packing to 1.25 bits a weight needs a model trained with exactly one "
                            "zero in every four weights; take --bits 1.6 or 2", p->layer,
                            tri_part_shapes[tri_part_index(p->m->role, part)].name,
                            from + i, column, column + 3);
    }
    return TRI_OK;
}

static enum tri_status pack_tile(const struct packing *p, int tile, struct hand *h, struct tri_error *e)
{
    const struct tri_matrix *m = p->m;
    int from, rows, part = tri_tile_part(m, tile, &from, &rows);
    if ((p->source ? decode_rows : unpack_rows)(p, h, part, from, rows, e) != TRI_OK ||
        (m->plan.layout->three_of_four && check_rows(p, h->trits, part, from, rows, e) != TRI_OK))
        return e->status;
    m->plan.layout->pack(h->trits, p->ld, rows, m->k, m->kp, m->packed + (size_t)tile * tri_tile_bytes(m));
    return TRI_OK;
}

static struct hand hand_of(const struct packing *p, int thread)
{
    const size_t tall = p->source ? 0 : (size_t)p->stack.plan.layout->rows;
    return (struct hand){.trits = p->trits + (size_t)thread * (size_t)p->m->plan.layout->rows * p->ld,
                         .tile = p->tiles + (size_t)thread * tall * p->ld, .unpacked = -1};
}

/* The tiles a thread packs are those it will multiply by, so that it touches their pages first and a system with
 * several memories puts them beside it. That lasts as long as threads stay where they are: the system keeps busy
 * ones on their node as a rule, but promises it of pinned ones only. */
static void pack_share(void *arg, int thread, int threads)
{
    struct packing *p = arg;
    struct hand h = hand_of(p, thread);
    struct tri_error e;
    int from, to;
    (void)threads;
    tri_product_share(p->m->plan.layout, p->m->m, p->pool, thread, &from, &to);
    for (int tile = from; tile < to; tile++)
        if (pack_tile(p, tile, &h, &e) != TRI_OK) {
            if (!atomic_flag_test_and_set(&p->reported))
                p->error = e;
            break;
        }
    tri_gguf_release(p->l->g, h.read, (size_t)(h.until - h.read));
}

/* A matrix of which the file has the parts, or the stack in another layout. */
static enum tri_status pack(struct loader *l, int layer, enum tri_role role, struct tri_pool *pool,
                            struct tri_error *e)
{
    const struct tri_matrix *m = &l->model->layer[layer].matrix[role];
    struct packing p = {.l = l, .layer = layer, .m = m, .pool = pool, .stack = in_file(l, layer, role),
                        .source = l->is_packed ? NULL : l->source[layer].part[role]};
    const size_t threads = (size_t)tri_pool_threads(pool), wide = (size_t)(p.source ? 0 : p.stack.kp);
    p.ld = (size_t)tri_round_up((size_t)m->kp > wide ? m->kp : (int)wide, LINE);
    p.trits = tri_alloc(threads * (size_t)m->plan.layout->rows, p.ld, "packing of weights", e);
    p.tiles = p.trits ? tri_alloc(threads * (size_t)(p.source ? 1 : p.stack.plan.layout->rows), p.ld,
                                  "packing of weights", e) : NULL;
    if (p.tiles)
        tri_pool_run(pool, pack_share, &p);
    else
        p.error = *e;
    if (p.error.status != TRI_OK)
        *e = p.error;
    tri_free(p.trits);
    tri_free(p.tiles);
    return p.error.status;
}

static enum tri_status pack_model(struct loader *l, struct tri_pool *pool, struct tri_error *e)
{
    bool terminal = isatty(STDERR_FILENO);
    enum tri_status status = TRI_OK;
    for (int i = 0; i < l->model->config.layers && status == TRI_OK; i++)
        for (enum tri_role r = 0; r < TRI_ROLES && status == TRI_OK; r++) {
            if (l->is_packed && l->model->layer[i].matrix[r].packed == l->source[i].stack[r].packed)
                continue;
            if (terminal)
                fprintf(stderr, "\rpacking layer %d of %d", i + 1, l->model->config.layers);
            status = pack(l, i, r, pool, e);
        }
    if (terminal)
        fprintf(stderr, "\r\033[K");
    return status == TRI_OK ? TRI_OK : tri_fail_in(e, "%s", tri_gguf_name(l->g));
}

/* -- what stays in the file -------------------------------------------- */

struct fetching {
    const struct loader *l;
    const struct tri_pool *pool;
};

static void fetch_part(const struct fetching *f, int thread, const uint8_t *from, size_t bytes)
{
    const int pieces = (int)(bytes / LINE);
    int begin, end;
    tri_pool_share(f->pool, pieces, thread, &begin, &end);
    tri_map_fetch(from + (size_t)begin * LINE, (size_t)(end - begin) * LINE);
}

static void fetch_stack(const struct fetching *f, int thread, const struct tri_matrix *m)
{
    fetch_part(f, thread, m->packed, m->bytes);
    if (m->scales)
        fetch_part(f, thread, (const uint8_t *)m->scales, tri_matrix_scales(m) * sizeof *m->scales);
}

/* The head and the stacks are read for the first token already: page by page they would come late. */
static void fetch_share(void *arg, int thread, int threads)
{
    const struct fetching *f = arg;
    const struct tri_model *m = f->l->model;
    (void)threads;
    for (int i = 0; f->l->is_packed && i < m->config.layers; i++)
        for (enum tri_role r = 0; r < TRI_ROLES; r++)
            if (m->layer[i].matrix[r].packed == f->l->source[i].stack[r].packed)
                fetch_stack(f, thread, &m->layer[i].matrix[r]);
    fetch_part(f, thread, m->head->data, m->head->bytes);
}

/* -- the whole --------------------------------------------------------- */

static bool first_row_is_structured(const struct tri_ternary *w, int8_t *trits)
{
    struct tri_error e;
    const int k = (int)w->tensor->ne[0];
    return tri_ternary_row(w, 0, trits, &e) == TRI_OK && tri_three_of_four(trits, k) == k;
}

/* Whether every matrix may go into a layout of three of four, as its first row or, in a packed file, its layout says: if
 * other rows cannot, packing ends there. */
static bool seems_structured(const struct loader *l)
{
    struct tri_error e;
    int8_t *trits = tri_alloc((size_t)(width(l, TRI_HIDDEN) + width(l, TRI_HEADS)) + (size_t)width(l, TRI_FFN), 1,
                              "a row of weights", &e);
    bool is = trits != NULL;
    for (int i = 0; is && i < l->model->config.layers; i++)
        for (enum tri_role r = 0; r < TRI_ROLES; r++) {
            is &= !l->model->layer[i].matrix[r].group;
            is &= !l->is_packed || l->source[i].stack[r].plan.layout->three_of_four;
            for (int p = 0; is && !l->is_packed && p < l->model->layer[i].matrix[r].parts; p++)
                is = first_row_is_structured(&l->source[i].part[r][p], trits);
        }
    tri_free(trits);
    return is;
}

/* What needs no memory. */
static enum tri_status outline(struct loader *l, const struct tri_budget *budget, struct tri_pool *pool,
                               struct tri_error *e)
{
    const struct tri_model *m = l->model;
    if (find_all(l, pool, e) != TRI_OK)
        return e->status;
    const size_t head = m->head == m->embedding ? 0 : m->head->bytes;
    const size_t rest = m->embedding->bytes + head + scales_bytes(l);
    enum tri_status status = tri_model_fit(l->model, budget, rest, e);
    if (status == TRI_NO_MEMORY && budget->bits == TRI_BITS_AUTO && seems_structured(l))
        status = tri_model_fit_structured(l->model, budget, rest, e);
    return status == TRI_OK ? TRI_OK : tri_fail_in(e, "%s", tri_gguf_name(l->g));
}

static enum tri_status load(struct loader *l, const struct tri_budget *budget, struct tri_pool *pool,
                            struct tri_error *e)
{
    if (outline(l, budget, pool, e) != TRI_OK)
        return e->status;
    take_stacks(l);
    if (tri_model_place(l->model, e) != TRI_OK || fill_all_scales(l, e) != TRI_OK)
        return e->status;
    tell_repacked(l);
    for (int i = 0; i < l->expansions; i++)
        if (tri_expand(&l->expansion[i], l->model, e) != TRI_OK)
            return tri_fail_in(e, "%s", tri_gguf_name(l->g));
    if (pack_model(l, pool, e) != TRI_OK)
        return e->status;
    tri_pool_run(pool, fetch_share, &(struct fetching){l, pool});
    return TRI_OK;
}

struct tri_model *tri_model_load(const struct tri_gguf *g, struct tri_pool *pool, struct tri_error *e)
{
    return tri_model_load_within(g, &(struct tri_budget){0}, pool, e);
}

typedef enum tri_status load_fn(struct loader *l, const struct tri_budget *budget, struct tri_pool *pool,
                                struct tri_error *e);

static struct tri_model *load_by(load_fn *by, const struct tri_gguf *g, const struct tri_budget *budget,
                                 struct tri_pool *pool, struct tri_error *e)
{
    struct loader l = {.g = g, .is_packed = tri_packed_is(g)};
    struct tri_config c;
    if (tri_config_read(g, &c, e) != TRI_OK || !(l.model = tri_model_new(&c, e)))
        return NULL;
    l.source = tri_alloc((size_t)c.layers, sizeof l.source[0], "layers", e);
    bool done = l.source && by(&l, budget, pool, e) == TRI_OK;
    tri_free(l.source);
    if (done)
        return l.model;
    tri_model_free(l.model);
    return NULL;
}

struct tri_model *tri_model_load_within(const struct tri_gguf *g, const struct tri_budget *budget,
                                        struct tri_pool *pool, struct tri_error *e)
{
    return load_by(load, g, budget, pool, e);
}

struct tri_model *tri_model_load_outline(const struct tri_gguf *g, enum tri_bits bits, struct tri_pool *pool,
                                         struct tri_error *e)
{
    return load_by(outline, g, &(struct tri_budget){.memory = SIZE_MAX, .bits = bits}, pool, e);
}
