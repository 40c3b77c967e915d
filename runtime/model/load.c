/* Owns: finding a model's tensors, checking them against the configuration, and packing the ternary
 * ones for the kernels that will run them. Leaves out how files encode trits (file/tensor.h). */
#include "base/memory.h"
#include "model/model.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- what a file of each family must hold ------------------------------ */

enum width { HIDDEN, FFN, HEADS, KV_HEADS, WIDTHS };

static const struct part_name {
    enum tri_role role;
    const char *name;
    enum width rows, columns;
} part_names[] = {
    {TRI_ROLE_QKV, "attn_q", HEADS, HIDDEN},     {TRI_ROLE_QKV, "attn_k", KV_HEADS, HIDDEN},
    {TRI_ROLE_QKV, "attn_v", KV_HEADS, HIDDEN},  {TRI_ROLE_O, "attn_output", HIDDEN, HEADS},
    {TRI_ROLE_GATE_UP, "ffn_gate", FFN, HIDDEN}, {TRI_ROLE_GATE_UP, "ffn_up", FFN, HIDDEN},
    {TRI_ROLE_DOWN, "ffn_down", HIDDEN, FFN},
};

static const struct norm_name {
    size_t field;
    const char *name;
    enum width width;
    bool sub; /* only where the family has sub norms */
} norm_names[] = {
    {offsetof(struct tri_layer, attn_norm), "attn_norm", HIDDEN, false},
    {offsetof(struct tri_layer, ffn_norm), "ffn_norm", HIDDEN, false},
    {offsetof(struct tri_layer, attn_sub_norm), "attn_sub_norm", HEADS, true},
    {offsetof(struct tri_layer, ffn_sub_norm), "ffn_sub_norm", FFN, true},
};

enum {
    PARTS = sizeof part_names / sizeof part_names[0],
    NORMS = sizeof norm_names / sizeof norm_names[0],
};

/* Where the parts of a layer's matrices come from. */
struct source {
    const struct tri_tensor *part[TRI_ROLES][TRI_MAX_PARTS];
};

struct loader {
    struct tri_model model; /* first: what the caller gets is freed as a loader */
    const struct tri_gguf *g;
    int width[WIDTHS];
    struct source *source; /* [layers] */
    float **owned;         /* norms that could not be used in place */
    int owned_count;
};

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
    float *copy = tri_alloc((size_t)t->ne[0], sizeof *copy, t->name, e);
    if (!copy)
        return NULL;
    t->encoding->floats(t, 0, copy);
    return l->owned[l->owned_count++] = copy;
}

static enum tri_status read_norm(struct loader *l, const char *name, int width, const float **norm,
                                 struct tri_error *e)
{
    const struct tri_tensor *t = find(l, name, width, 1, e);
    if (!t)
        return e->status;
    if (!is(t, "F32") && !is(t, "F16") && !is(t, "BF16"))
        return wrong_type(l, t, "F32, F16 or BF16", e);
    if (!(*norm = floats(l, t, e)))
        return e->status;
    for (int i = 0; i < width; i++)
        if (!isfinite((*norm)[i]))
            return tri_fail(e, TRI_BAD_FILE,
                            "%s: tensor %s: expected finite values, found %g at %d",
                            tri_gguf_name(l->g), name, (*norm)[i], i);
    return TRI_OK;
}

static enum tri_status read_embedding(struct loader *l, const char *name,
                                      const struct tri_tensor **embedding, struct tri_error *e)
{
    const struct tri_tensor *t = find(l, name, l->width[HIDDEN], l->model.config.vocab, e);
    if (!t)
        return e->status;
    if (!is(t, "F16") && !is(t, "F32"))
        return wrong_type(l, t, "F16 or F32", e);
    if (!aligned(t))
        return tri_fail(e, TRI_UNSUPPORTED,
                        "%s: tensor %s at byte %llu: expected a multiple of 4; write the file with "
                        "general.alignment 32",
                        tri_gguf_name(l->g), name, (unsigned long long)t->offset);
    *embedding = t;
    return TRI_OK;
}

/* -- tensors nobody would read: results would be wrong without a word -- */

static bool known_of_layer(const struct loader *l, const char *name)
{
    for (int i = 0; i < PARTS; i++)
        if (strcmp(name, part_names[i].name) == 0)
            return true;
    for (int i = 0; i < NORMS; i++)
        if (strcmp(name, norm_names[i].name) == 0)
            return l->model.config.family->sub_norms || !norm_names[i].sub;
    return false;
}

static bool known(const struct loader *l, const struct tri_tensor *t)
{
    char name[sizeof t->name];
    size_t n = strlen(t->name), tail = strlen(".weight");
    if (n < tail || strcmp(t->name + n - tail, ".weight") != 0)
        return false;
    memcpy(name, t->name, n - tail);
    name[n - tail] = 0;
    if (strncmp(name, "blk.", 4) == 0) {
        char *end;
        long layer = strtol(name + 4, &end, 10);
        return *end == '.' && layer >= 0 && layer < l->model.config.layers &&
               known_of_layer(l, end + 1);
    }
    return strcmp(name, "token_embd") == 0 || strcmp(name, "output_norm") == 0 ||
           strcmp(name, "output") == 0;
}

/* Divisors of the rotary frequencies, all 1, change nothing. */
static bool harmless(const struct tri_tensor *t)
{
    if (strcmp(t->name, "rope_freqs.weight") != 0 || !is(t, "F32"))
        return false;
    for (uint64_t i = 0; i < t->bytes / sizeof(float); i++) {
        float f;
        memcpy(&f, t->data + i * sizeof f, sizeof f);
        if (f != 1)
            return false;
    }
    return true;
}

static enum tri_status check_all_known(struct loader *l, struct tri_error *e)
{
    for (size_t i = 0; i < tri_gguf_tensor_count(l->g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(l->g, i);
        if (!known(l, t) && !harmless(t))
            return tri_fail(e, TRI_UNSUPPORTED,
                            "%s: tensor %s: expected only the tensors of a %s model of %d layers; "
                            "running without this one would give wrong results",
                            tri_gguf_name(l->g), t->name, l->model.config.family->arch,
                            l->model.config.layers);
    }
    return TRI_OK;
}

/* -- plans: everything is checked before the first row is decoded ------ */

static enum tri_status find_part(struct loader *l, int layer, const struct part_name *p,
                                 struct tri_error *e)
{
    struct tri_matrix *m = &l->model.layer[layer].matrix[p->role];
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, p->name);
    const struct tri_tensor *t = find(l, name, l->width[p->columns], l->width[p->rows], e);
    if (!t)
        return e->status;
    if (!t->encoding->trits)
        return wrong_type(l, t, "a ternary type that this program reads (I2_S)", e);
    struct tri_part *part = &m->part[m->parts];
    part->rows = l->width[p->rows];
    if (t->encoding->scale(t, &part->scale, e) != TRI_OK)
        return tri_fail_in(e, "%s", tri_gguf_name(l->g));
    if (!isfinite(part->scale))
        return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: expected a finite scale, found %g",
                        tri_gguf_name(l->g), name, part->scale);
    l->source[layer].part[p->role][m->parts++] = t;
    m->role = p->role;
    m->k = l->width[p->columns];
    m->m += part->rows;
    return TRI_OK;
}

/* Layers are alike, and asking a virtual CPU what it has is slow: the first layer's plans serve all.
 * From here on m->m counts the padding rows, too. */
static void plan(struct loader *l, struct tri_matrix *m)
{
    struct tri_plan *first = &l->model.layer[0].matrix[m->role].plan;
    if (!first->layout)
        tri_dispatch_plan(m->role, m->m, m->k, 0, first);
    m->plan = *first;
    const struct tri_layout *layout = m->plan.layout;
    m->m = 0;
    for (int i = 0; i < m->parts; i++) {
        m->part[i].row = m->m;
        m->m += tri_round_up(m->part[i].rows, layout->rows);
    }
    m->kp = tri_round_up(m->k, layout->kstep);
    m->bytes =
        (size_t)(m->m / layout->rows) * (size_t)(m->kp / layout->kstep) * (size_t)layout->bytes;
    l->model.packed_bytes += m->bytes;
}

static enum tri_status plan_layer(struct loader *l, int i, struct tri_error *e)
{
    struct tri_layer *layer = &l->model.layer[i];
    char name[64];
    for (int n = 0; n < NORMS; n++) {
        const float **norm = (const float **)((char *)layer + norm_names[n].field);
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, norm_names[n].name);
        if (norm_names[n].sub && !l->model.config.family->sub_norms)
            continue;
        if (read_norm(l, name, l->width[norm_names[n].width], norm, e) != TRI_OK)
            return e->status;
    }
    for (int p = 0; p < PARTS; p++)
        if (find_part(l, i, &part_names[p], e) != TRI_OK)
            return e->status;
    for (int r = 0; r < TRI_ROLES; r++)
        plan(l, &layer->matrix[r]);
    return TRI_OK;
}

static enum tri_status plan_model(struct loader *l, struct tri_error *e)
{
    struct tri_model *m = &l->model;
    if (read_embedding(l, "token_embd.weight", &m->embedding, e) != TRI_OK)
        return e->status;
    m->head = m->embedding;
    if (tri_gguf_tensor(l->g, "output.weight") &&
        read_embedding(l, "output.weight", &m->head, e) != TRI_OK)
        return e->status;
    if (read_norm(l, "output_norm.weight", l->width[HIDDEN], &m->output_norm, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < m->config.layers; i++)
        if (plan_layer(l, i, e) != TRI_OK)
            return e->status;
    return check_all_known(l, e);
}

/* -- packing ----------------------------------------------------------- */

struct packing {
    const struct tri_matrix *m;
    const struct tri_tensor *const *source;
    int8_t *trits; /* [threads][rows][ld] */
    size_t ld;
    atomic_flag reported; /* the first error counts */
    struct tri_error error;
};

static enum tri_status pack_tile(const struct packing *p, int tile, int8_t *trits,
                                 struct tri_error *e)
{
    const struct tri_matrix *m = p->m;
    const struct tri_layout *layout = m->plan.layout;
    int row = tile * layout->rows, part = m->parts - 1;
    while (row < m->part[part].row)
        part--;
    const struct tri_tensor *t = p->source[part];
    int from = row - m->part[part].row, left = m->part[part].rows - from;
    int rows = left < layout->rows ? left : layout->rows;
    for (int i = 0; i < rows; i++)
        if (t->encoding->trits(t, from + i, trits + (size_t)i * p->ld, e) != TRI_OK)
            return e->status;
    size_t bytes = (size_t)(m->kp / layout->kstep) * (size_t)layout->bytes;
    layout->pack(trits, p->ld, rows, m->k, m->kp, m->packed + (size_t)tile * bytes);
    return TRI_OK;
}

static void pack_share(void *arg, int thread, int threads)
{
    struct packing *p = arg;
    const struct tri_layout *layout = p->m->plan.layout;
    int8_t *trits = p->trits + (size_t)thread * (size_t)layout->rows * p->ld;
    struct tri_error e;
    int from, to;
    tri_share(p->m->m / layout->rows, thread, threads, &from, &to);
    for (int tile = from; tile < to; tile++)
        if (pack_tile(p, tile, trits, &e) != TRI_OK) {
            if (!atomic_flag_test_and_set(&p->reported))
                p->error = e;
            return;
        }
}

static enum tri_status pack(struct tri_matrix *m, const struct tri_tensor *const *source,
                            struct tri_pool *pool, struct tri_error *e)
{
    struct packing p = {.m = m, .source = source, .ld = (size_t)tri_round_up(m->kp, 64)};
    size_t tile = (size_t)m->plan.layout->rows * p.ld;
    p.trits = tri_alloc((size_t)tri_pool_threads(pool), tile, "packing of weights", e);
    if (!p.trits)
        return e->status;
    tri_pool_run(pool, pack_share, &p);
    if (p.error.status != TRI_OK)
        *e = p.error;
    tri_free(p.trits);
    return p.error.status;
}

/* One memory for all, so that huge pages and streams go on from matrix to matrix. */
static enum tri_status place(struct loader *l, struct tri_error *e)
{
    uint8_t *at = l->model.packed = tri_alloc(l->model.packed_bytes, 1, "packed weights", e);
    if (!at)
        return e->status;
    for (int i = 0; i < l->model.config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++) {
            struct tri_matrix *m = &l->model.layer[i].matrix[r];
            m->packed = at;
            at += (m->bytes + 63) / 64 * 64;
        }
    return TRI_OK;
}

static enum tri_status pack_model(struct loader *l, struct tri_pool *pool, struct tri_error *e)
{
    bool terminal = isatty(STDERR_FILENO);
    enum tri_status status = TRI_OK;
    for (int i = 0; i < l->model.config.layers && status == TRI_OK; i++) {
        if (terminal)
            fprintf(stderr, "\rpacking layer %d of %d", i + 1, l->model.config.layers);
        for (int r = 0; r < TRI_ROLES && status == TRI_OK; r++)
            status = pack(&l->model.layer[i].matrix[r], l->source[i].part[r], pool, e);
    }
    if (terminal)
        fprintf(stderr, "\r\033[K");
    return status == TRI_OK ? TRI_OK : tri_fail_in(e, "%s", tri_gguf_name(l->g));
}

/* -- the whole --------------------------------------------------------- */

static enum tri_status allocate(struct loader *l, struct tri_error *e)
{
    size_t layers = (size_t)l->model.config.layers;
    l->model.layer = tri_alloc(layers, sizeof l->model.layer[0], "layers", e);
    l->source = l->model.layer ? tri_alloc(layers, sizeof l->source[0], "layers", e) : NULL;
    l->owned = l->source ? tri_alloc(NORMS * layers + 1, sizeof l->owned[0], "layers", e) : NULL;
    return l->owned ? TRI_OK : e->status;
}

static void measure(struct loader *l)
{
    const struct tri_config *c = &l->model.config;
    l->width[HIDDEN] = c->hidden;
    l->width[FFN] = c->ffn;
    l->width[HEADS] = c->heads * c->head_dim;
    l->width[KV_HEADS] = c->kv_heads * c->head_dim;
}

struct tri_model *tri_model_load(const struct tri_gguf *g, struct tri_pool *pool,
                                 struct tri_error *e)
{
    struct loader *l = tri_alloc(1, sizeof *l, "model", e);
    if (!l)
        return NULL;
    l->g = g;
    if (tri_config_read(g, &l->model.config, e) == TRI_OK && allocate(l, e) == TRI_OK) {
        measure(l);
        if (plan_model(l, e) == TRI_OK && place(l, e) == TRI_OK && pack_model(l, pool, e) == TRI_OK)
            return &l->model;
    }
    tri_model_free(&l->model);
    return NULL;
}

void tri_model_free(struct tri_model *m)
{
    struct loader *l = (struct loader *)m;
    if (!l)
        return;
    tri_free(m->packed);
    for (int i = 0; i < l->owned_count; i++)
        tri_free(l->owned[i]);
    tri_free(l->owned);
    tri_free(l->source);
    tri_free(m->layer);
    tri_free(l);
}
