/* Owns: random models for tests, in memory and in files. Leaves out what they compute (reference.c). */
#include "family.h"
#include "encode.h"

#include "file/gguf_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { F32 = 0, TQ2_0 = 35, I2_S = 36, Q2_0 = 42, IQ2_BN = 135 };
enum { MOST_TENSORS = 1024, MOST_MEMORY = 4096 };

static void *room(struct made *d, size_t count, size_t size)
{
    void *values = calloc(count, size);
    if (!values || d->count == MOST_MEMORY)
        abort();
    return d->memory[d->count++] = values;
}

/* -- random numbers ------------------------------------------------------ */

static uint32_t any(struct made *d)
{
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->random >> 33);
}

static float between(struct made *d, float from, float to)
{
    return from + (to - from) * ((float)(any(d) & 0xFFFF) / 65536.0f);
}

/* -- tensors ------------------------------------------------------------- */

static struct made_tensor *add(struct made *d, int layer, const char *name)
{
    if (d->tensors == MOST_TENSORS)
        abort();
    struct made_tensor *t = &d->tensor[d->tensors++];
    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s.weight", name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", layer, name);
    return t;
}

static const float *floats(struct made *d, int layer, const char *name, int columns, int rows, float from, float to)
{
    struct made_tensor *t = add(d, layer, name);
    const int count = rows ? columns * rows : columns;
    float *values = room(d, (size_t)count, sizeof *values);
    for (int i = 0; i < count; i++)
        values[i] = between(d, from, to);
    t->type = F32, t->columns = columns, t->rows = rows, t->floats = values;
    return values;
}

static const float *norm(struct made *d, int layer, const char *name, int n, bool there)
{
    return there ? floats(d, layer, name, n, 0, 0.5f, 1.5f) : NULL;
}

/* Of few bits, so that F16 holds it; products with so many columns are about as large as their input. */
static float scale(struct made *d, int columns)
{
    return (float)(32 + any(d) % 32) / 64 / exp2f(roundf(log2f((float)columns) / 2));
}

/* How a matrix is scaled, and a type that holds that. */
struct scaling {
    uint32_t type;
    int group;
    bool one; /* for all */
};

static struct scaling scaling_of(const struct family *f, int columns, int index)
{
    const struct scaling all[] = {{I2_S, columns, true}, {IQ2_BN, columns, false}, {Q2_0, 64, false}};
    if (f->mixed)
        return all[index % 3];
    return f->group == 256 ? (struct scaling){TQ2_0, 256, false} : all[f->group ? 2 : f->row_scales];
}

/* A third of the trits is zero. The index counts the model's matrices. */
static void matrix(struct made *d, int index, struct made_tensor *t, int rows, int columns, struct reference_matrix *w)
{
    const struct scaling s = scaling_of(d->family, columns, index);
    const int groups = rows * (columns / s.group);
    *w = (struct reference_matrix){rows, columns, s.group, room(d, (size_t)rows, (size_t)columns),
                                   room(d, (size_t)groups, sizeof(float))};
    for (int i = 0; i < rows * columns; i++)
        w->trits[i] = (int8_t)(any(d) % 3) - 1;
    for (int i = 0; i < groups; i++)
        w->scales[i] = s.one && i ? w->scales[0] : scale(d, columns);
    t->type = s.type, t->columns = columns, t->rows = rows, t->matrix = w;
}

static void make_matrices(struct made *d, int i, struct reference_layer *l)
{
    const struct family *f = d->family;
    const int heads = f->heads * f->head_dim, kv = f->kv_heads * f->head_dim;
    const struct {
        const char *name;
        int rows, columns;
    } shapes[REFERENCE_PROJECTIONS] = {
        {"attn_q", heads, f->hidden},     {"attn_k", kv, f->hidden},      {"attn_v", kv, f->hidden},
        {"attn_output", f->hidden, heads}, {"ffn_gate", f->ffn, f->hidden}, {"ffn_up", f->ffn, f->hidden},
        {"ffn_down", f->hidden, f->ffn},
    };
    for (int p = 0; p < REFERENCE_PROJECTIONS; p++) {
        char name[48];
        snprintf(name, sizeof name, "%s_norm_in", shapes[p].name);
        matrix(d, i * REFERENCE_PROJECTIONS + p, add(d, i, shapes[p].name), shapes[p].rows, shapes[p].columns,
               &l->matrix[p]);
        l->norm_in[p] = norm(d, i, name, shapes[p].columns, f->norms_in);
    }
}

static void make_layer(struct made *d, int i)
{
    const struct family *f = d->family;
    struct reference_layer *l = &d->model.layer[i];
    make_matrices(d, i, l);
    l->attn_norm = norm(d, i, "attn_norm", f->hidden, true);
    l->ffn_norm = norm(d, i, "ffn_norm", f->hidden, true);
    l->attn_sub_norm = norm(d, i, "attn_sub_norm", f->heads * f->head_dim, f->sub_norms);
    l->ffn_sub_norm = norm(d, i, "ffn_sub_norm", f->ffn, f->sub_norms);
    l->q_norm = norm(d, i, "attn_q_norm", f->head_dim, f->head_norms);
    l->k_norm = norm(d, i, "attn_k_norm", f->head_dim, f->head_norms);
    l->post_attn_norm = norm(d, i, "post_attention_norm", f->hidden, f->post_norms);
    l->post_ffn_norm = norm(d, i, "post_ffw_norm", f->hidden, f->post_norms);
}

/* Embeddings are small, so that the epsilon of the norms counts. */
static void make_rest(struct made *d)
{
    const struct family *f = d->family;
    struct reference_model *m = &d->model;
    const float most = (float)(0.02 / m->embedding_scale);
    m->embedding = floats(d, -1, "token_embd", f->hidden, FAMILY_VOCAB, -most, most);
    m->head = f->own_head ? floats(d, -1, "output", f->hidden, FAMILY_VOCAB, -1, 1) : m->embedding;
    m->output_norm = norm(d, -1, "output_norm", f->hidden, true);
    if (f->rope_freqs)
        m->rope_freqs = floats(d, -1, "rope_freqs", m->rope_dims / 2, 0, 1, 8);
}

struct made *family_make(const struct family *f, uint64_t seed)
{
    struct made *d = calloc(1, sizeof *d);
    if (!d || !(d->memory = calloc(MOST_MEMORY, sizeof *d->memory)))
        abort();
    d->family = f;
    d->random = seed;
    d->tensor = room(d, MOST_TENSORS, sizeof *d->tensor);
    d->model = (struct reference_model){
        .layers = f->layers, .hidden = f->hidden, .ffn = f->ffn, .heads = f->heads, .kv_heads = f->kv_heads,
        .head_dim = f->head_dim, .vocab = FAMILY_VOCAB, .rope_dims = f->rope_dims ? f->rope_dims : f->head_dim,
        .half_split = f->half_split, .theta = f->theta, .eps = f->eps,
        .rope_factor = f->rope_factor > 0 ? f->rope_factor : 1,
        .embedding_scale = f->embedding_scale > 0 ? f->embedding_scale : 1, .activation = f->activation,
        .layer = room(d, (size_t)f->layers, sizeof(struct reference_layer))};
    make_rest(d);
    for (int i = 0; i < f->layers; i++)
        make_layer(d, i);
    return d;
}

void family_free(struct made *d)
{
    for (int i = 0; i < d->count; i++)
        free(d->memory[i]);
    free(d->memory);
    free(d);
}

/* -- the file ------------------------------------------------------------ */

static void add_keys(const struct made *d, struct tri_gguf_writer *w)
{
    const struct family *f = d->family;
    char key[96];
    const struct {
        const char *name;
        int value;
    } sizes[] = {
        {"block_count", f->layers},          {"context_length", 64},
        {"embedding_length", f->hidden},     {"feed_forward_length", f->ffn},
        {"attention.head_count", f->heads},  {"attention.head_count_kv", f->kv_heads},
        {"attention.key_length", f->head_dim}, {"attention.value_length", f->head_dim},
        {"rope.dimension_count", d->model.rope_dims}, {"vocab_size", FAMILY_VOCAB},
    };
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"attention.layer_norm_rms_epsilon", f->eps}, {"rope.freq_base", f->theta}};
    tri_gguf_add_text(w, "general.architecture", f->arch);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", f->arch, sizes[i].name);
        tri_gguf_add_uint(w, key, (uint32_t)sizes[i].value);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", f->arch, numbers[i].name);
        tri_gguf_add_float(w, key, (float)numbers[i].value);
    }
    if (f->rope_factor > 0) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", f->arch);
        tri_gguf_add_text(w, key, "linear");
        snprintf(key, sizeof key, "%s.rope.scaling.factor", f->arch);
        tri_gguf_add_float(w, key, (float)f->rope_factor);
    }
}

static uint32_t type_of(const struct made_tensor *t, uint32_t wanted)
{
    return t->matrix && wanted != FAMILY_TYPES ? wanted : t->type;
}

static enum tri_status put(const struct made_tensor *t, int index, uint32_t type, struct tri_gguf_writer *w,
                           struct tri_error *e)
{
    const size_t count = (size_t)t->columns * (size_t)(t->rows ? t->rows : 1);
    if (t->floats)
        return tri_gguf_write(w, index, 0, t->floats, count * sizeof(float), e);
    const struct made_encoding *c = made_encoding_find(type_of(t, type));
    const size_t size = made_bytes(c, t->matrix);
    uint8_t *bytes = calloc(size, 1);
    if (!bytes)
        abort();
    c->put(t->matrix, bytes);
    const enum tri_status status = tri_gguf_write(w, index, 0, bytes, size, e);
    free(bytes);
    return status;
}

static enum tri_status write_all(const struct made *d, uint32_t type, struct tri_gguf_writer *w, struct tri_error *e)
{
    add_keys(d, w);
    for (int i = 0; i < d->tensors; i++) {
        const struct made_tensor *from = &d->tensor[i];
        struct tri_tensor t = {.encoding = tri_encoding_find(type_of(from, type)), .dims = from->rows ? 2 : 1,
                               .ne = {from->columns, from->rows ? from->rows : 1, 1, 1}};
        snprintf(t.name, sizeof t.name, "%s", from->name);
        tri_gguf_add_tensor(w, &t);
    }
    if (tri_gguf_begin(w, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < d->tensors; i++)
        if (put(&d->tensor[i], i, type, w, e) != TRI_OK)
            return e->status;
    return tri_gguf_commit(w, e);
}

void family_write(const struct made *d, uint32_t type, const char *path)
{
    struct tri_error e;
    struct tri_gguf_writer *w = tri_gguf_create(path, 32, &e);
    if (!w || write_all(d, type, w, &e) != TRI_OK) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    tri_gguf_discard(w);
}
