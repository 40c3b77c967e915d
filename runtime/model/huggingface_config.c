/* Owns: config.json of Hugging Face's models: what of it becomes which key of GGUF, and what is refused.
 * Leaves out tensors (huggingface_tensors.c) and whether a family's keys make sense (config.c). */
#include "model/huggingface.h"

#include "base/math.h"
#include "file/json.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tri_json_limits limits = {16, 1 << 16};

static const struct tri_hf_class classes[] = {
    /* name               arch      act                    masters interl. gemma  tied   embeds */
    {"BitNetForCausalLM", NULL,     NULL,                  true,   false,  false, false, false},
    {"BitnetForCausalLM", NULL,     NULL,                  true,   false,  false, false, false},
    {"LlamaForCausalLM",  "llama",  "silu",                false,  true,   false, false, false},
    {"Qwen3ForCausalLM",  "qwen3",  "silu",                false,  false,  false, false, false},
    {"Qwen3Model",        "qwen3",  "silu",                false,  false,  false, false, true},
    {"Gemma3ForCausalLM", "gemma3", "gelu_pytorch_tanh",   false,  false,  true,  true,  false},
    {"Gemma3TextModel",   "gemma3", "gelu_pytorch_tanh",   false,  false,  true,  true,  true},
};
enum { CLASSES = sizeof classes / sizeof classes[0], POOLING_LAST = 3, WINDOW_PATTERN = 6 };

/* -- members ------------------------------------------------------------- */

static enum tri_status refuse(const struct tri_hf_config *c, const char *member, const char *expected,
                              const json_t *found, struct tri_error *e)
{
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    tri_fail(e, TRI_UNSUPPORTED, "%s/config.json: \"%s\": expected %s, found %.80s", c->folder, member, expected,
             text ? text : "none");
    free(text);
    return e->status;
}

/* JSON's null is as good as nothing. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static enum tri_status read_uint(const struct tri_hf_config *c, const char *name, uint32_t *value, struct tri_error *e)
{
    const json_t *found = member(c->root, name);
    const json_int_t n = json_integer_value(found);
    if (!json_is_integer(found) || n < 1 || n > INT32_MAX)
        return refuse(c, name, "a whole number from 1 to 2^31 - 1", found, e);
    *value = (uint32_t)n;
    return TRI_OK;
}

static enum tri_status read_uint_or(const struct tri_hf_config *c, const char *name, uint32_t otherwise,
                                    uint32_t *value, struct tri_error *e)
{
    *value = otherwise;
    return member(c->root, name) ? read_uint(c, name, value, e) : TRI_OK;
}

/* Finite in f32 and above 0. */
static enum tri_status read_positive(const struct tri_hf_config *c, const json_t *object, const char *name,
                                     float *value, struct tri_error *e)
{
    const json_t *found = member(object, name);
    *value = (float)json_number_value(found);
    return json_is_number(found) && isfinite(*value) && *value > 0
               ? TRI_OK
               : refuse(c, name, "a number above 0", found, e);
}

static const char *text_of(const json_t *object, const char *name, const char *otherwise)
{
    const json_t *found = member(object, name);
    return found ? json_string_value(found) : otherwise;
}

static bool is(const char *text, const char *expected)
{
    return text && strcmp(text, expected) == 0;
}

/* What a model of ours never has: refused unless null, false or 0. */
static enum tri_status check_absent(const struct tri_hf_config *c, const json_t *object, const char *const names[],
                                    struct tri_error *e)
{
    for (int i = 0; names[i]; i++) {
        const json_t *found = member(object, names[i]);
        if (found && !json_is_false(found) && !(json_is_number(found) && json_number_value(found) == 0))
            return refuse(c, names[i], "none, since this program computes nothing of the kind", found, e);
    }
    return TRI_OK;
}

/* -- the class ----------------------------------------------------------- */

static enum tri_status unknown_class(const struct tri_hf_config *c, const json_t *found, struct tri_error *e)
{
    char known[256] = "";
    for (int i = 0; i < CLASSES; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "one of ", classes[i].name);
    return refuse(c, "architectures", known, found, e);
}

static enum tri_status find_class(struct tri_hf_config *c, struct tri_error *e)
{
    const json_t *all = member(c->root, "architectures");
    const char *name = json_string_value(json_array_get(all, 0));
    for (int i = 0; i < CLASSES && !c->class; i++)
        if (is(name, classes[i].name))
            c->class = &classes[i];
    return c->class ? TRI_OK : unknown_class(c, all, e);
}

static enum tri_status find_family(struct tri_hf_config *c, struct tri_error *e)
{
    const char *member_name = member(c->root, "hidden_activation") ? "hidden_activation" : "hidden_act";
    const char *act = text_of(c->root, member_name, c->class->act);
    const bool squared = is(act, "relu2");
    const char *expected = c->class->arch ? c->class->act : "relu2 or silu";
    if (c->class->arch ? !is(act, expected) : !squared && !is(act, "silu"))
        return refuse(c, member_name, expected, member(c->root, member_name), e);
    c->arch = c->class->arch ? c->class->arch
                             : tri_family_with(squared ? TRI_RELU2 : TRI_SILU, (int)c->layers)->arch;
    return TRI_OK;
}

/* -- quantization_config ------------------------------------------------- */

static enum tri_status read_quantization(struct tri_hf_config *c, struct tri_error *e)
{
    static const char *const strange[] = {"use_rms_norm", NULL};
    const json_t *q = c->quantization = member(c->root, "quantization_config");
    const char *linear = text_of(q, "linear_class", "bitlinear"), *mode = text_of(q, "quantization_mode", "offline");
    if (!q)
        return TRI_OK;
    if (!is(text_of(q, "quant_method", NULL), "bitnet"))
        return refuse(c, "quantization_config", "a quant_method of bitnet, the ternary one", q, e);
    if (!is(linear, "bitlinear") && !is(linear, "autobitlinear"))
        return refuse(c, "linear_class", "bitlinear or autobitlinear", member(q, "linear_class"), e);
    if (!is(mode, "offline") && !is(mode, "online"))
        return refuse(c, "quantization_mode", "offline or online", member(q, "quantization_mode"), e);
    c->divides = is(linear, "bitlinear");
    c->unconverted = member(q, "modules_to_not_convert");
    if (c->unconverted && !json_is_array(c->unconverted))
        return refuse(c, "modules_to_not_convert", "a list of names", c->unconverted, e);
    return check_absent(c, q, strange, e);
}

/* `pattern` in `module`, whole words between dots. */
static bool names(const char *pattern, const char *module)
{
    const size_t size = strlen(pattern);
    for (const char *at = module; size > 0 && (at = strstr(at, pattern)); at++)
        if ((at == module || at[-1] == '.') && (at[size] == '.' || !at[size]))
            return true;
    return false;
}

bool tri_hf_unconverted(const struct tri_hf_config *c, const char *module)
{
    const json_t *pattern;
    size_t i;
    json_array_foreach(c->unconverted, i, pattern)
        if (json_is_string(pattern) && names(json_string_value(pattern), module))
            return true;
    return false;
}

/* -- reading ------------------------------------------------------------- */

static enum tri_status read_heads(struct tri_hf_config *c, struct tri_error *e)
{
    uint32_t hidden;
    if (read_uint(c, "num_hidden_layers", &c->layers, e) != TRI_OK ||
        read_uint(c, "num_attention_heads", &c->heads, e) != TRI_OK ||
        read_uint(c, "hidden_size", &hidden, e) != TRI_OK)
        return e->status;
    if (!member(c->root, "head_dim") && hidden % c->heads)
        return refuse(c, "hidden_size", "a multiple of num_attention_heads, or a head_dim",
                      member(c->root, "hidden_size"), e);
    if (read_uint_or(c, "head_dim", hidden / c->heads, &c->head_dim, e) != TRI_OK)
        return e->status;
    if (c->head_dim > TRI_MAX_HEAD_DIM)
        return tri_fail(e, TRI_UNSUPPORTED, "%s/config.json: expected heads of at most %d (head_dim, or hidden_size / "
                        "num_attention_heads), found %u", c->folder, TRI_MAX_HEAD_DIM, c->head_dim);
    return TRI_OK;
}

/* Attention is scaled by the root of the head's size, and nothing is capped. */
static enum tri_status check_attention(const struct tri_hf_config *c, struct tri_error *e)
{
    static const char *const strange[] = {"attn_logit_softcapping", "final_logit_softcapping", "use_sliding_window",
                                          "use_bidirectional_attention", "attention_bias", "mlp_bias", NULL};
    const json_t *scalar = member(c->root, "query_pre_attn_scalar"), *part = member(c->root, "partial_rotary_factor");
    if (scalar && json_number_value(scalar) != (double)c->head_dim)
        return refuse(c, "query_pre_attn_scalar", "the same as head_dim", scalar, e);
    if (part && json_number_value(part) != 1)
        return refuse(c, "partial_rotary_factor", "1", part, e);
    return check_absent(c, c->root, strange, e);
}

enum tri_status tri_hf_config_read(struct tri_hf_config *c, const char *folder, struct tri_text text,
                                   struct tri_error *e)
{
    *c = (struct tri_hf_config){.folder = folder};
    char name[4200];
    snprintf(name, sizeof name, "%s/%s", folder, tri_hf_names[TRI_HF_CONFIG]);
    if (!(c->root = tri_json_read(text.at, text.size, limits, name, e)) || find_class(c, e) != TRI_OK ||
        read_heads(c, e) != TRI_OK || find_family(c, e) != TRI_OK || read_quantization(c, e) != TRI_OK)
        return e->status;
    const json_t *tied = member(c->root, "tie_word_embeddings");
    c->tied = c->class->embeds || (tied ? json_is_true(tied) : c->class->tied);
    return check_attention(c, e);
}

void tri_hf_config_close(struct tri_hf_config *c)
{
    json_decref(c->root);
}

/* -- keys ---------------------------------------------------------------- */

struct adding {
    const struct tri_hf_config *c;
    struct tri_gguf_writer *w;
    char key[128];
};

static const char *key_of(struct adding *a, const char *name)
{
    snprintf(a->key, sizeof a->key, "%s.%s", a->c->arch, name);
    return a->key;
}

static const struct {
    const char *member, *key;
} sizes[] = {
    {"num_hidden_layers", "block_count"},           {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},            {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"}, {"vocab_size", "vocab_size"},
};

static enum tri_status add_sizes(struct adding *a, struct tri_error *e)
{
    uint32_t n;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (read_uint(a->c, sizes[i].member, &n, e) != TRI_OK)
            return e->status;
        tri_gguf_add_uint(a->w, key_of(a, sizes[i].key), n);
    }
    if (read_uint_or(a->c, "num_key_value_heads", a->c->heads, &n, e) != TRI_OK)
        return e->status;
    tri_gguf_add_uint(a->w, key_of(a, "attention.head_count_kv"), n);
    tri_gguf_add_uint(a->w, key_of(a, "attention.key_length"), a->c->head_dim);
    tri_gguf_add_uint(a->w, key_of(a, "attention.value_length"), a->c->head_dim);
    tri_gguf_add_uint(a->w, key_of(a, "rope.dimension_count"), a->c->head_dim);
    if (a->c->class->embeds)
        tri_gguf_add_uint(a->w, key_of(a, "pooling_type"), POOLING_LAST);
    return TRI_OK;
}

/* Gemma's layers see a window of positions, but for every sixth; where no layer does, there is no key. */
static enum tri_status add_window(struct adding *a, struct tri_error *e)
{
    const json_t *types = member(a->c->root, "layer_types"), *type;
    size_t i, full = 0, sixths = 0;
    uint32_t window;
    json_array_foreach(types, i, type) {
        const bool sees_all = is(json_string_value(type), "full_attention");
        full += sees_all;
        sixths += sees_all == ((i + 1) % WINDOW_PATTERN == 0);
    }
    if (types && full != json_array_size(types) && sixths != json_array_size(types))
        return refuse(a->c, "layer_types", "full_attention in all layers, or in every sixth", types, e);
    if (!a->c->class->gemma || !member(a->c->root, "sliding_window") || (types && full == json_array_size(types)))
        return TRI_OK;
    if (read_uint(a->c, "sliding_window", &window, e) != TRI_OK)
        return e->status;
    tri_gguf_add_uint(a->w, key_of(a, "attention.sliding_window"), window);
    return TRI_OK;
}

/* -- rotary embedding ---------------------------------------------------- */

/* Divisors of the frequencies as Llama 3.1 has them: long waves are stretched by `factor`, short ones are not. */
static enum tri_status llama3_divisors(const struct tri_hf_config *c, const json_t *rope, double theta,
                                       float **divisors, struct tri_error *e)
{
    static const char *const names[] = {"factor", "low_freq_factor", "high_freq_factor",
                                        "original_max_position_embeddings"};
    float v[4];
    for (int i = 0; i < 4; i++)
        if (read_positive(c, rope, names[i], &v[i], e) != TRI_OK)
            return e->status;
    const double factor = (double)v[0], low = (double)v[1], high = (double)v[2], context = (double)v[3];
    const uint32_t n = c->head_dim / 2;
    if (high <= low)
        return refuse(c, "high_freq_factor", "more than low_freq_factor", member(rope, "high_freq_factor"), e);
    if (!(*divisors = calloc(n + 1, sizeof **divisors)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its rotary frequencies", c->folder);
    for (uint32_t i = 0; i < n; i++) {
        const double wave = 2 * 3.141592653589793 * tri_pow(theta, 2.0 * i / c->head_dim), turns = context / wave;
        const double smooth = fmin(1, fmax(0, (turns - low) / (high - low)));
        (*divisors)[i] = (float)(1 / ((1 - smooth) / factor + smooth));
    }
    return TRI_OK;
}

static enum tri_status add_scaling(struct adding *a, const json_t *rope, double theta, float **divisors,
                                   struct tri_error *e)
{
    const char *type = text_of(rope, "rope_type", text_of(rope, "type", "default"));
    float factor, context;
    if (is(type, "default"))
        return TRI_OK;
    if (is(type, "llama3"))
        return llama3_divisors(a->c, rope, theta, divisors, e);
    if (!is(type, "linear") && !is(type, "yarn"))
        return refuse(a->c, "rope_scaling", "a rope_type of default, linear, yarn or llama3", rope, e);
    if (read_positive(a->c, rope, "factor", &factor, e) != TRI_OK)
        return e->status;
    tri_gguf_add_text(a->w, key_of(a, "rope.scaling.type"), type);
    tri_gguf_add_float(a->w, key_of(a, "rope.scaling.factor"), factor);
    if (!member(rope, "original_max_position_embeddings"))
        return TRI_OK;
    if (read_positive(a->c, rope, "original_max_position_embeddings", &context, e) != TRI_OK)
        return e->status;
    tri_gguf_add_uint(a->w, key_of(a, "rope.scaling.original_context_length"), (uint32_t)fminf(context, 1e9f));
    return TRI_OK;
}

/* rope_theta and rope_scaling, or rope_parameters, which has both, with Gemma for each type of layer. */
static enum tri_status add_rope(struct adding *a, float **divisors, struct tri_error *e)
{
    const json_t *all = member(a->c->root, "rope_parameters"), *full = member(all, "full_attention");
    const json_t *rope = full ? full : all ? all : member(a->c->root, "rope_scaling");
    const json_t *local = full ? member(all, "sliding_attention") : a->c->root;
    const char *local_name = full ? "rope_theta" : "rope_local_base_freq";
    const json_t *home = member(rope, "rope_theta") ? rope : a->c->root;
    float theta = 10000, slow;
    if (rope && !json_is_object(rope))
        return refuse(a->c, all ? "rope_parameters" : "rope_scaling", "an object", rope, e);
    if (member(home, "rope_theta") && read_positive(a->c, home, "rope_theta", &theta, e) != TRI_OK)
        return e->status;
    tri_gguf_add_float(a->w, key_of(a, "rope.freq_base"), theta);
    if (a->c->class->gemma && member(local, local_name)) {
        if (read_positive(a->c, local, local_name, &slow, e) != TRI_OK)
            return e->status;
        tri_gguf_add_float(a->w, key_of(a, "rope.freq_base_swa"), slow);
    }
    return add_scaling(a, rope, (double)theta, divisors, e);
}

enum tri_status tri_hf_config_keys(const struct tri_hf_config *c, struct tri_gguf_writer *w, float **divisors,
                                   struct tri_error *e)
{
    struct adding a = {.c = c, .w = w};
    float epsilon;
    tri_gguf_add_text(w, "general.architecture", c->arch);
    if (add_sizes(&a, e) != TRI_OK || read_positive(c, c->root, "rms_norm_eps", &epsilon, e) != TRI_OK)
        return e->status;
    tri_gguf_add_float(w, key_of(&a, "attention.layer_norm_rms_epsilon"), epsilon);
    return add_window(&a, e) == TRI_OK ? add_rope(&a, divisors, e) : e->status;
}

/* -- ids of special tokens ----------------------------------------------- */

/* Text ends at each of these. */
static const char *const end_keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
enum { ENDS = sizeof end_keys / sizeof end_keys[0] };

/* Under the first key that is free, unless one has it. */
static void add_end(struct tri_gguf_writer *w, const json_t *id)
{
    const json_int_t n = json_integer_value(id);
    if (!json_is_integer(id) || n < 0 || n > INT32_MAX)
        return;
    for (int i = 0; i < ENDS; i++) {
        uint32_t there;
        if (tri_gguf_added_uint(w, end_keys[i], &there) && there == (uint32_t)n)
            return;
        if (!tri_gguf_has(w, end_keys[i])) {
            tri_gguf_add_uint(w, end_keys[i], (uint32_t)n);
            return;
        }
    }
}

/* One id or a list of them. */
static void add_ends(struct tri_gguf_writer *w, const json_t *ids)
{
    const json_t *id;
    size_t i;
    if (!json_is_array(ids))
        add_end(w, ids);
    json_array_foreach(ids, i, id)
        add_end(w, id);
}

void tri_hf_config_ids(const struct tri_hf_config *c, const json_t *generation, struct tri_gguf_writer *w)
{
    static const char bos[] = "tokenizer.ggml.bos_token_id";
    const json_t *id = member(c->root, "bos_token_id");
    add_ends(w, member(c->root, "eos_token_id"));
    add_ends(w, member(generation, "eos_token_id"));
    if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX &&
        !tri_gguf_has(w, bos))
        tri_gguf_add_uint(w, bos, (uint32_t)json_integer_value(id));
}
