/* Owns: which tensor of a Hugging Face model is which of GGUF, and what its numbers mean there. Leaves out the keys
 * (huggingface_config.c), the containers, and whether all that a model needs is there in the right shapes (load.c). */
#include "model/huggingface.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a tensor's numbers are. */
enum use {
    NORM,   /* small floats; of Gemma less 1 */
    SCALE,  /* a norm that is stored as it is */
    MATRIX, /* a ternary projection */
    ROTATED, /* one whose rows the rotary embedding pairs */
    TABLE,  /* embedding or output matrix, in full precision */
    NOTHING,
};

enum class_of { ANY, GEMMA, OTHERS };

/* Names without "model." or "model.layers.N." in front and ".weight" behind; GGUF's without "blk.N.". */
static const struct name {
    const char *hf, *gguf;
    enum use use;
    bool layer;
    enum class_of only;
} table[] = {
    {"embed_tokens", "token_embd", TABLE, false, ANY},
    {"norm", "output_norm", NORM, false, ANY},
    {"lm_head", "output", TABLE, false, ANY},
    {"input_layernorm", "attn_norm", NORM, true, ANY},
    {"self_attn.q_proj", "attn_q", ROTATED, true, ANY},
    {"self_attn.k_proj", "attn_k", ROTATED, true, ANY},
    {"self_attn.v_proj", "attn_v", MATRIX, true, ANY},
    {"self_attn.o_proj", "attn_output", MATRIX, true, ANY},
    {"self_attn.q_norm", "attn_q_norm", NORM, true, ANY},
    {"self_attn.k_norm", "attn_k_norm", NORM, true, ANY},
    {"self_attn.attn_sub_norm", "attn_sub_norm", NORM, true, ANY},
    {"self_attn.inner_attn_ln", "attn_sub_norm", NORM, true, ANY},
    {"self_attn.rotary_emb.inv_freq", NULL, NOTHING, true, ANY},
    {"rotary_emb.inv_freq", NULL, NOTHING, false, ANY},
    {"post_attention_layernorm", "ffn_norm", NORM, true, OTHERS},
    {"post_attention_layernorm", "post_attention_norm", NORM, true, GEMMA},
    {"pre_feedforward_layernorm", "ffn_norm", NORM, true, GEMMA},
    {"post_feedforward_layernorm", "post_ffw_norm", NORM, true, GEMMA},
    {"mlp.gate_proj", "ffn_gate", MATRIX, true, ANY},
    {"mlp.up_proj", "ffn_up", MATRIX, true, ANY},
    {"mlp.down_proj", "ffn_down", MATRIX, true, ANY},
    {"mlp.ffn_sub_norm", "ffn_sub_norm", NORM, true, ANY},
    {"mlp.ffn_layernorm", "ffn_sub_norm", NORM, true, ANY},
    {"self_attn.q_proj.norm", "attn_q_norm_in", SCALE, true, ANY},
    {"self_attn.k_proj.norm", "attn_k_norm_in", SCALE, true, ANY},
    {"self_attn.v_proj.norm", "attn_v_norm_in", SCALE, true, ANY},
    {"self_attn.o_proj.norm", "attn_output_norm_in", SCALE, true, ANY},
    {"mlp.gate_proj.norm", "ffn_gate_norm_in", SCALE, true, ANY},
    {"mlp.up_proj.norm", "ffn_up_norm_in", SCALE, true, ANY},
    {"mlp.down_proj.norm", "ffn_down_norm_in", SCALE, true, ANY},
};

/* dtypes that hold floats, as they are and as master weights. */
static const struct {
    const char *dtype;
    uint32_t plain, master;
} floats[] = {{"F32", 0, TRI_MASTER_F32}, {"F16", 1, TRI_MASTER_F16}, {"BF16", 30, TRI_MASTER_BF16}};

enum { LONGEST = 256, ALIGNED = 4 }; /* rows of an embedding are multiplied in place */

struct mapping {
    const struct tri_hf_config *c;
    const struct tri_safetensors *s;
    bool masters; /* projections that are floats are master weights */
    struct tri_error *e;
};

static enum tri_status refuse(const struct mapping *m, const struct tri_safetensor *t, enum tri_status status,
                              const char *expected)
{
    return tri_fail(m->e, status, "%s: tensor \"%.80s\" at byte %llu (%s): expected %s", tri_safetensors_file(m->s, t),
                    t->name, (unsigned long long)t->offset, t->dtype->name, expected);
}

static bool ends(const char *text, const char *tail)
{
    const size_t n = strlen(text), size = strlen(tail);
    return n >= size && strcmp(text + n - size, tail) == 0;
}

/* -- names --------------------------------------------------------------- */

/* "layers.12.mlp.up_proj" to 12 and "mlp.up_proj"; -1 where there is no layer. */
static int take_layer(const char **name)
{
    if (strncmp(*name, "layers.", 7) != 0)
        return -1;
    char *end;
    const long layer = strtol(*name + 7, &end, 10);
    if (end == *name + 7 || *end != '.' || layer < 0 || layer > 99999)
        return -1;
    *name = end + 1;
    return (int)layer;
}

static const struct name *row_of(const struct mapping *m, const char *name, bool layer)
{
    const enum class_of not = m->c->class->gemma ? OTHERS : GEMMA;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].layer == layer && table[i].only != not && strcmp(table[i].hf, name) == 0)
            return &table[i];
    return NULL;
}

/* The row of a tensor, its name for GGUF (at most 64 bytes) in `gguf`. NULL: nobody knows it. */
static const struct name *find(const struct mapping *m, const char *tensor, char *gguf)
{
    char copy[LONGEST];
    const char *name = copy;
    if (strlen(tensor) >= sizeof copy)
        return NULL;
    strcpy(copy, strncmp(tensor, "model.", 6) == 0 ? tensor + 6 : tensor);
    if (ends(copy, ".weight"))
        copy[strlen(copy) - strlen(".weight")] = 0;
    else if (!ends(copy, ".inv_freq"))
        return NULL;
    const int layer = take_layer(&name);
    const struct name *row = row_of(m, name, layer >= 0);
    if (row && row->gguf && layer >= 0)
        snprintf(gguf, 64, "blk.%d.%s.weight", layer, row->gguf);
    else if (row && row->gguf)
        snprintf(gguf, 64, "%s.weight", row->gguf);
    return row;
}

/* "model.layers.0.mlp.up_proj" of its weight. */
static void module_of(const struct tri_safetensor *t, char module[LONGEST])
{
    snprintf(module, LONGEST, "%.*s", (int)(strlen(t->name) - strlen(".weight")), t->name);
}

/* -- what numbers mean ---------------------------------------------------- */

static int float_row(const struct tri_safetensor *t)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(t->dtype->name, floats[i].dtype) == 0)
            return i;
    return -1;
}

static enum tri_status take_floats(const struct mapping *m, const struct tri_safetensor *t, bool master,
                                   struct tri_tensor *to)
{
    const int row = float_row(t);
    if (row < 0)
        return refuse(m, t, TRI_UNSUPPORTED, "F32, F16 or BF16");
    to->encoding = tri_encoding_find(master ? floats[row].master : floats[row].plain);
    return TRI_OK;
}

/* The tensor X.weight_scale of X.weight, one float; NULL: none. */
static const struct tri_safetensor *scale_tensor(const struct mapping *m, const struct tri_safetensor *t)
{
    char name[LONGEST + 8];
    snprintf(name, sizeof name, "%s_scale", t->name);
    return tri_safetensors_find(m->s, name);
}

/* What a trit is worth: weight_scale, or its inverse (formats.md 3.2). */
static enum tri_status read_factor(const struct mapping *m, const struct tri_safetensor *t, float *factor)
{
    const struct tri_safetensor *s = scale_tensor(m, t);
    struct tri_tensor one = {.ne = {1, 1, 1, 1}};
    float value;
    if (!s)
        return refuse(m, t, TRI_BAD_FILE, "a tensor of the same name with _scale behind it, found none");
    if (float_row(s) < 0 || s->bytes != (uint64_t)s->dtype->bytes)
        return refuse(m, s, TRI_BAD_FILE, "one number, F32, F16 or BF16");
    one.data = s->data;
    take_floats(m, s, false, &one);
    one.encoding->floats(&one, 0, &value);
    *factor = m->c->divides ? 1 / value : value;
    if (isfinite(value) && value > 0 && isfinite(*factor) && *factor > 0)
        return TRI_OK;
    return refuse(m, s, TRI_BAD_FILE, "a finite number above 0, whose inverse is one, too");
}

static enum tri_status take_packed(const struct mapping *m, const struct tri_safetensor *t, struct tri_tensor *to)
{
    if (t->dims != 2 || t->shape[0] > INT64_MAX / 4)
        return refuse(m, t, TRI_BAD_FILE, "packed weights of 2 dimensions");
    to->encoding = tri_encoding_find(TRI_HF_PACKED);
    to->ne[1] *= 4;
    return read_factor(m, t, &to->factor);
}

/* Rows whose pairs lie half a head apart, in the order of an architecture that pairs neighbours. */
static enum tri_status take_pairs(const struct mapping *m, const struct tri_safetensor *t, struct tri_tensor *to)
{
    to->halves = (int)m->c->head_dim;
    if (to->halves % 2 == 0 && to->ne[1] % to->halves == 0)
        return TRI_OK;
    return refuse(m, t, TRI_BAD_FILE, "whole heads of an even head_dim (config.json)");
}

static enum tri_status take_matrix(const struct mapping *m, const struct tri_safetensor *t, bool rotated,
                                   struct tri_tensor *to)
{
    char module[LONGEST];
    const bool packed = strcmp(t->dtype->name, "U8") == 0;
    module_of(t, module);
    if (packed && take_packed(m, t, to) != TRI_OK)
        return m->e->status;
    if (rotated && m->c->class->interleaved && take_pairs(m, t, to) != TRI_OK)
        return m->e->status;
    if (packed)
        return TRI_OK;
    if (scale_tensor(m, t))
        return refuse(m, t, TRI_UNSUPPORTED, "U8, packed ternary weights, since it has a weight_scale");
    return take_floats(m, t, m->masters && !tri_hf_unconverted(m->c, module), to);
}

/* -- tensors ------------------------------------------------------------- */

static enum tri_status take_shape(const struct mapping *m, const struct tri_safetensor *t, struct tri_tensor *to)
{
    if (t->dims < 1 || t->dims > 4)
        return refuse(m, t, TRI_BAD_FILE, "1 to 4 dimensions");
    to->dims = t->dims;
    for (int i = 0; i < 4; i++)
        to->ne[i] = i < t->dims ? (int64_t)t->shape[t->dims - 1 - i] : 1;
    return TRI_OK;
}

static enum tri_status take_numbers(const struct mapping *m, const struct tri_safetensor *t, enum use use,
                                    struct tri_tensor *to)
{
    if (use == MATRIX || use == ROTATED)
        return take_matrix(m, t, use == ROTATED, to);
    return take_floats(m, t, false, to);
}

/* To the writer goes what is computed, or lies where it cannot be read in place. */
static enum tri_status place(const struct mapping *m, enum use use, struct tri_hf_tensor *to, struct tri_gguf_writer *w)
{
    const bool norm = use == NORM || use == SCALE;
    struct tri_tensor t = to->tensor;
    to->plus_one = use == NORM && m->c->class->gemma;
    to->copied = use == TABLE && (uintptr_t)t.data % ALIGNED != 0;
    to->place = -1;
    if (tri_tensor_size(&to->tensor, m->e) != TRI_OK)
        return tri_fail_in(m->e, "%s: tensor \"%.80s\"", tri_safetensors_file(m->s, to->from), to->from->name);
    if (to->tensor.bytes != to->from->bytes)
        return refuse(m, to->from, TRI_BAD_FILE, "as many bytes as its shape takes");
    if (norm)
        t.encoding = tri_encoding_find(floats[0].plain);
    if (norm || to->copied)
        to->place = tri_gguf_add_tensor(w, &t);
    return TRI_OK;
}

static enum tri_status take(const struct mapping *m, const struct tri_safetensor *t, const struct name *row,
                            struct tri_hf_tensor *to, struct tri_gguf_writer *w)
{
    to->from = t;
    to->tensor.data = t->data;
    to->tensor.offset = t->offset;
    to->tensor.factor = 1;
    if (take_shape(m, t, &to->tensor) != TRI_OK || take_numbers(m, t, row->use, &to->tensor) != TRI_OK)
        return m->e->status;
    return place(m, row->use, to, w);
}

static bool is_scale(const struct mapping *m, const struct tri_safetensor *t)
{
    char weight[LONGEST];
    if (!ends(t->name, ".weight_scale") || strlen(t->name) >= sizeof weight)
        return false;
    snprintf(weight, sizeof weight, "%.*s", (int)(strlen(t->name) - strlen("_scale")), t->name);
    return tri_safetensors_find(m->s, weight) != NULL;
}

/* A tied model may bring its embedding along a second time. */
static bool is_ignored(const struct mapping *m, const struct name *row)
{
    return row->use == NOTHING || (m->c->tied && strcmp(row->gguf, "output") == 0);
}

static enum tri_status unknown(const struct mapping *m, const struct tri_safetensor *t)
{
    if (ends(t->name, ".rms_norm.weight"))
        return refuse(m, t, TRI_UNSUPPORTED, "no norm before a projection (use_rms_norm), which nobody computes here");
    return refuse(m, t, TRI_UNSUPPORTED, "only tensors of a model of its class in config.json; running without this "
                  "one would give wrong results");
}

/* Float projections are master weights where the class or the configuration says so, and where each has its norm:
 * else they hold trits already, times a scale, or the model is not ternary. */
static bool has_masters(const struct tri_hf_config *c, const struct tri_safetensors *s)
{
    for (size_t i = 0; i < tri_safetensors_count(s); i++)
        if (ends(tri_safetensors_at(s, i)->name, ".q_proj.norm.weight"))
            return true;
    return c->class->masters || c->quantization != NULL;
}

static enum tri_status take_all(const struct mapping *m, struct tri_hf_tensor *tensors, size_t *count,
                                struct tri_gguf_writer *w)
{
    bool head = m->c->tied;
    for (size_t i = 0; i < tri_safetensors_count(m->s); i++) {
        const struct tri_safetensor *t = tri_safetensors_at(m->s, i);
        struct tri_hf_tensor *to = &tensors[*count];
        const struct name *row = find(m, t->name, to->tensor.name);
        if (is_scale(m, t) || (row && is_ignored(m, row)))
            continue;
        if (!row)
            return unknown(m, t);
        if (take(m, t, row, to, w) != TRI_OK)
            return m->e->status;
        head = head || strcmp(row->gguf, "output") == 0;
        ++*count;
    }
    if (head)
        return TRI_OK;
    return tri_fail(m->e, TRI_BAD_FILE, "%s: expected a tensor lm_head.weight, since tie_word_embeddings in "
                    "config.json is not true, found none", m->c->folder);
}

enum tri_status tri_hf_tensors(const struct tri_hf_config *c, const struct tri_safetensors *s,
                               struct tri_gguf_writer *w, struct tri_hf_tensor **tensors, size_t *count,
                               struct tri_error *e)
{
    const struct mapping m = {c, s, has_masters(c, s), e};
    *count = 0;
    *tensors = calloc(tri_safetensors_count(s) + 1, sizeof **tensors);
    if (!*tensors)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its tensors", c->folder);
    return take_all(&m, *tensors, count, w);
}

/* -- what is computed ------------------------------------------------------- */

static enum tri_status write_norm(const struct tri_hf_tensor *t, struct tri_gguf_writer *w, struct tri_error *e)
{
    const size_t row = (size_t)t->tensor.ne[0];
    float *values = calloc(row, sizeof *values);
    enum tri_status status = values ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "%s: no memory for it", t->from->name);
    for (int64_t r = 0; r < tri_tensor_rows(&t->tensor) && status == TRI_OK; r++) {
        t->tensor.encoding->floats(&t->tensor, r, values);
        for (size_t i = 0; i < row && t->plus_one; i++)
            values[i] += 1;
        status = tri_gguf_write(w, t->place, (uint64_t)r * row * sizeof *values, values, row * sizeof *values, e);
    }
    free(values);
    return status;
}

enum tri_status tri_hf_write(const struct tri_hf_tensor *t, struct tri_gguf_writer *w, struct tri_error *e)
{
    return t->copied ? tri_gguf_write(w, t->place, 0, t->tensor.data, t->tensor.bytes, e) : write_norm(t, w, e);
}
