/* Owns: the families of models as a table, and the configuration of a file with every check that
 * needs no tensor. Leaves out the weights (load.c). */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct tri_family families[] = {
    /* arch           norms: sub   head   post   in     scaled neox   activation */
    {"bitnet-b1.58",         true, false, false, false, false, true,  TRI_RELU2},
    {"bitnet-25",            true, false, false, false, false, true,  TRI_RELU2},
    {"bitnet",               true, false, false, false, false, true,  TRI_SILU},
    {"llama",                false, false, false, false, false, false, TRI_SILU},
    {"qwen3",                false, true, false, true,  false, true,  TRI_SILU},
    {"gemma3",               false, true, true,  true,  true,  true,  TRI_GELU},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const char *const tri_pooling_names[TRI_POOLINGS] = {"mean", "cls", "last"};
const char *const tri_activation_names[TRI_ACTIVATIONS] = {"relu2", "silu", "gelu"};

/* Far above every known model, low enough that products of two fit an int. */
enum {
    MAX_LAYERS = 1024,
    MAX_HEADS = 1024,
    MAX_WIDTH = 1 << 18,
    MAX_VOCAB = 1 << 24,
    MAX_CONTEXT = 1 << 24,
};

struct reader {
    const struct tri_gguf *g;
    const char *arch;
    char key[128];
};

static bool is(struct tri_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.at, word, text.size) == 0;
}

static const struct tri_gguf_key *find(struct reader *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch, name);
    return tri_gguf_find(r->g, r->key);
}

static enum tri_status read_int(struct reader *r, const char *name, int most, int *value,
                                struct tri_error *e)
{
    uint64_t found;
    find(r, name);
    if (tri_gguf_uint(r->g, r->key, &found, e) != TRI_OK)
        return e->status;
    if (found < 1 || found > (uint64_t)most)
        return tri_fail(e, TRI_BAD_FILE, "%s: key %s: expected 1 to %d, found %llu",
                        tri_gguf_name(r->g), r->key, most, (unsigned long long)found);
    *value = (int)found;
    return TRI_OK;
}

static enum tri_status read_int_or(struct reader *r, const char *name, int most, int otherwise,
                                   int *value, struct tri_error *e)
{
    *value = otherwise;
    return find(r, name) ? read_int(r, name, most, value, e) : TRI_OK;
}

static enum tri_status read_positive(struct reader *r, const char *name, float *value,
                                     struct tri_error *e)
{
    find(r, name);
    if (tri_gguf_float(r->g, r->key, value, e) != TRI_OK)
        return e->status;
    if (!isfinite(*value) || !(*value > 0))
        return tri_fail(e, TRI_BAD_FILE, "%s: key %s: expected a finite number above 0, found %g",
                        tri_gguf_name(r->g), r->key, *value);
    return TRI_OK;
}

/* -- family ------------------------------------------------------------ */

void tri_family_list(char *names, size_t room)
{
    names[0] = 0;
    for (int i = 0; i < FAMILIES; i++) {
        size_t n = strlen(names);
        snprintf(names + n, room - n, "%s%s", i ? ", " : "", families[i].arch);
    }
}

static enum tri_status unknown_family(const struct tri_gguf *g, struct tri_text arch,
                                      struct tri_error *e)
{
    char known[128];
    tri_family_list(known, sizeof known);
    return tri_fail(e, TRI_UNSUPPORTED,
                    "%s: key general.architecture: expected one of %s, found \"%.*s\"",
                    tri_gguf_name(g), known, arch.size < 64 ? (int)arch.size : 64, arch.at);
}

static const struct tri_family *family_named(const char *arch, size_t size)
{
    for (int i = 0; i < FAMILIES; i++)
        if (strlen(families[i].arch) == size && memcmp(families[i].arch, arch, size) == 0)
            return &families[i];
    return NULL;
}

const struct tri_family *tri_family_find(const char *arch)
{
    return family_named(arch, strlen(arch));
}

/* One converter wrote the SiLU models of 24 and 26 layers (1bitLLM) under the name bitnet-b1.58,
 * too. */
static const struct tri_family *family_of(const char *arch, int layers)
{
    bool mislabelled = strcmp(arch, "bitnet-b1.58") == 0 && (layers == 24 || layers == 26);
    const char *name = mislabelled ? "bitnet" : arch;
    return tri_family_find(name);
}

/* The same models, whatever their layers, by the vocabulary that they alone have. */
static const struct tri_family *family_of_file(const struct tri_gguf *g, const char *arch, int layers)
{
    const struct tri_gguf_key *tokens = tri_gguf_find(g, "tokenizer.ggml.tokens");
    const struct tri_gguf_key *model = tri_gguf_find(g, "tokenizer.ggml.model");
    struct tri_text name = {"", 0};
    if (model && tri_gguf_first_texts(model, &name, 1) == 1 && is(name, "llama") && tokens && tokens->count == 32002 &&
        strcmp(arch, "bitnet-b1.58") == 0)
        return tri_family_find("bitnet");
    return family_of(arch, layers);
}

bool tri_family_is_kept(const struct tri_family *family, int layers)
{
    return family_of(family->arch, layers) == family;
}

const struct tri_family *tri_family_with(enum tri_activation activation, int layers)
{
    const struct tri_family *found = NULL;
    for (int i = 0; i < FAMILIES && !found; i++)
        if (families[i].sub_norms && tri_family_is_kept(&families[i], layers) && families[i].activation == activation)
            found = &families[i];
    return found;
}

enum tri_status tri_model_activation(struct tri_model *m, const char *name, struct tri_error *e)
{
    int wanted = 0;
    while (wanted < TRI_ACTIVATIONS && strcmp(name, tri_activation_names[wanted]) != 0)
        wanted++;
    if (wanted != TRI_RELU2 && wanted != TRI_SILU)
        return tri_fail(e, TRI_USAGE, "activation: expected relu2 or silu, found \"%s\"", name);
    if (m->config.family->activation == (enum tri_activation)wanted)
        return TRI_OK;
    if (!m->config.family->sub_norms)
        return tri_fail(e, TRI_UNSUPPORTED, "activation: expected %s, which is what %s models have, found %s",
                        tri_activation_names[m->config.family->activation], m->config.family->arch, name);
    m->config.family = tri_family_with((enum tri_activation)wanted, m->config.layers);
    return TRI_OK;
}

/* -- checks ------------------------------------------------------------ */

static enum tri_status refuse(struct reader *r, const char *name, const char *expected,
                              const char *found, struct tri_error *e)
{
    find(r, name);
    return tri_fail(e, TRI_UNSUPPORTED, "%s: key %s: expected %s, found %s", tri_gguf_name(r->g),
                    r->key, expected, found);
}

/* Scaling of the rotary embedding: "none", or "linear", which a factor without a type means, too. */
static enum tri_status read_rope_scaling(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    char found[64];
    struct tri_text type = {"linear", 6};
    float factor = 1;
    if (find(r, "rope.scaling.type") && tri_gguf_text(r->g, r->key, &type, e) != TRI_OK)
        return e->status;
    if (is(type, "none"))
        return TRI_OK;
    snprintf(found, sizeof found, "\"%.*s\"", type.size < 32 ? (int)type.size : 32, type.at);
    if (!is(type, "linear"))
        return refuse(r, "rope.scaling.type", "none or linear", found, e);
    const char *name = find(r, "rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
    if (find(r, name) && read_positive(r, name, &factor, e) != TRI_OK)
        return e->status;
    c->rope_factor = factor == 1 ? 0 : factor;
    return TRI_OK;
}

/* Layers that look back on a window only, which all do alike in a context no longer than that. They turn by a base of
 * their own: 10000, unless said otherwise. */
static enum tri_status read_window(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    float base = 10000;
    if (!find(r, "attention.sliding_window"))
        return TRI_OK;
    if (read_int(r, "attention.sliding_window", MAX_CONTEXT, &c->window, e) != TRI_OK ||
        (find(r, "rope.freq_base_swa") && read_positive(r, "rope.freq_base_swa", &base, e) != TRI_OK))
        return e->status;
    return base == c->rope_theta ? TRI_OK : refuse(r, "rope.freq_base", "the base of layers with a sliding window, "
                                                   "10000 unless rope.freq_base_swa says otherwise", "another", e);
}

/* Converters wrote MEAN for the embedding models with norms of their own, where they found nothing, but these take the
 * last token. */
static enum tri_status read_pooling(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    static const enum tri_pooling of[] = {TRI_POOL_LAST, TRI_POOL_MEAN, TRI_POOL_CLS, TRI_POOL_LAST};
    uint64_t type = 0;
    if (find(r, "pooling_type") && tri_gguf_uint(r->g, r->key, &type, e) != TRI_OK)
        return e->status;
    if (type >= sizeof of / sizeof of[0])
        return refuse(r, "pooling_type", "0 (none), 1 (mean), 2 (cls) or 3 (last)", "another", e);
    c->pooling = c->norms_in ? TRI_POOL_LAST : of[type];
    return TRI_OK;
}

/* What changes results and no family here has: absent, or 0. */
static enum tri_status check_absent(struct reader *r, struct tri_error *e)
{
    static const char *const names[] = {"expert_count", "attn_logit_softcapping", "final_logit_softcapping",
                                        "attention.clamp_kqv", "attention.max_alibi_bias", "logit_scale"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct tri_gguf_key *key = find(r, names[i]);
        if (key && (key->type == TRI_STRING || key->type == TRI_ARRAY || tri_gguf_element(key, 0) != 0))
            return refuse(r, names[i], "no such key", "one", e);
    }
    bool causal = true;
    if (find(r, "attention.causal") && tri_gguf_bool(r->g, r->key, &causal, e) != TRI_OK)
        return e->status;
    return causal ? TRI_OK : refuse(r, "attention.causal", "true", "false", e);
}

static enum tri_status check_heads(struct reader *r, const struct tri_config *c,
                                   struct tri_error *e)
{
    if (c->heads % c->kv_heads)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: expected a number of heads that is a multiple of the key/value heads, "
                        "found %s.attention.head_count %d and head_count_kv %d",
                        tri_gguf_name(r->g), r->arch, c->heads, c->kv_heads);
    if (c->heads * c->head_dim > MAX_WIDTH)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: expected heads of at most %d values together, found %d x %d",
                        tri_gguf_name(r->g), MAX_WIDTH, c->heads, c->head_dim);
    if (c->rope_dims % 2 || c->rope_dims > c->head_dim)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key %s.rope.dimension_count: expected an even number up to the head "
                        "size %d, found %d",
                        tri_gguf_name(r->g), r->arch, c->head_dim, c->rope_dims);
    return TRI_OK;
}

static enum tri_status check_whole(const struct tri_gguf *g, struct tri_error *e)
{
    uint64_t parts = 1;
    if (!tri_gguf_find(g, "split.count"))
        return TRI_OK;
    if (tri_gguf_uint(g, "split.count", &parts, e) != TRI_OK)
        return e->status;
    if (parts > 1)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "%s: expected a whole model, found one of %llu parts; merge them first",
                        tri_gguf_name(g), (unsigned long long)parts);
    return TRI_OK;
}

/* -- reading ----------------------------------------------------------- */

static enum tri_status read_heads(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    int value_dim;
    if (read_int(r, "attention.head_count", MAX_HEADS, &c->heads, e) != TRI_OK ||
        read_int_or(r, "attention.head_count_kv", MAX_HEADS, c->heads, &c->kv_heads, e) != TRI_OK)
        return e->status;
    if (!find(r, "attention.key_length") && c->hidden % c->heads)
        return tri_fail(
            e, TRI_BAD_FILE,
            "%s: expected %s.embedding_length to be a multiple of the %d heads, found %d",
            tri_gguf_name(r->g), r->arch, c->heads, c->hidden);
    if (read_int_or(r, "attention.key_length", TRI_MAX_HEAD_DIM, c->hidden / c->heads, &c->head_dim,
                    e) != TRI_OK ||
        read_int_or(r, "attention.value_length", TRI_MAX_HEAD_DIM, c->head_dim, &value_dim, e) !=
            TRI_OK)
        return e->status;
    if (value_dim != c->head_dim)
        return refuse(r, "attention.value_length", "the same as key_length", "another length", e);
    if (c->head_dim > TRI_MAX_HEAD_DIM)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected heads of at most %d values, found %d",
                        tri_gguf_name(r->g), TRI_MAX_HEAD_DIM, c->head_dim);
    if (read_int_or(r, "rope.dimension_count", TRI_MAX_HEAD_DIM, c->head_dim, &c->rope_dims, e) !=
        TRI_OK)
        return e->status;
    return check_heads(r, c, e);
}

static enum tri_status read_vocab(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    const struct tri_gguf_key *tokens = tri_gguf_find(r->g, "tokenizer.ggml.tokens");
    if (find(r, "vocab_size") || !tokens || tokens->type != TRI_ARRAY)
        return read_int(r, "vocab_size", MAX_VOCAB, &c->vocab, e);
    if (tokens->count < 1 || tokens->count > MAX_VOCAB)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key tokenizer.ggml.tokens: expected 1 to %d tokens, found %llu",
                        tri_gguf_name(r->g), MAX_VOCAB, (unsigned long long)tokens->count);
    c->vocab = (int)tokens->count;
    return TRI_OK;
}

static enum tri_status read_sizes(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    if (read_int(r, "block_count", MAX_LAYERS, &c->layers, e) != TRI_OK ||
        read_int(r, "context_length", MAX_CONTEXT, &c->context, e) != TRI_OK ||
        read_int(r, "embedding_length", MAX_WIDTH, &c->hidden, e) != TRI_OK ||
        read_int(r, "feed_forward_length", MAX_WIDTH, &c->ffn, e) != TRI_OK)
        return e->status;
    return read_heads(r, c, e);
}

static enum tri_status read_floats(struct reader *r, struct tri_config *c, struct tri_error *e)
{
    c->rope_theta = 10000;
    if (find(r, "rope.freq_base") &&
        read_positive(r, "rope.freq_base", &c->rope_theta, e) != TRI_OK)
        return e->status;
    return read_positive(r, "attention.layer_norm_rms_epsilon", &c->norm_eps, e);
}

enum tri_status tri_config_read(const struct tri_gguf *g, struct tri_config *c, struct tri_error *e)
{
    struct tri_text arch;
    if (check_whole(g, e) != TRI_OK || tri_gguf_text(g, "general.architecture", &arch, e) != TRI_OK)
        return e->status;
    const struct tri_family *family = family_named(arch.at, arch.size);
    if (!family)
        return unknown_family(g, arch, e);
    struct reader r = {.g = g, .arch = family->arch};
    *c = (struct tri_config){0};
    if (read_sizes(&r, c, e) != TRI_OK || read_vocab(&r, c, e) != TRI_OK ||
        read_floats(&r, c, e) != TRI_OK || read_rope_scaling(&r, c, e) != TRI_OK || read_window(&r, c, e) != TRI_OK ||
        check_absent(&r, e) != TRI_OK)
        return e->status;
    c->family = family_of_file(g, family->arch, c->layers);
    c->norms_in = c->family->norms_in && tri_gguf_tensor(g, "blk.0.attn_q_norm_in.weight");
    return read_pooling(&r, c, e);
}

enum tri_status tri_config_check(const struct tri_config *c, struct tri_error *e)
{
    const struct {
        const char *name;
        int value, most;
    } sizes[] = {
        {"layers", c->layers, MAX_LAYERS},           {"hidden", c->hidden, MAX_WIDTH},
        {"ffn", c->ffn, MAX_WIDTH},                  {"heads", c->heads, MAX_HEADS},
        {"kv_heads", c->kv_heads, c->heads},         {"vocab", c->vocab, MAX_VOCAB},
        {"context", c->context, MAX_CONTEXT},        {"head_dim", c->head_dim, TRI_MAX_HEAD_DIM},
        {"rope_dims", c->rope_dims, c->head_dim},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
            return tri_fail(e, TRI_USAGE, "a model's shape: %s: expected 1 to %d, found %d", sizes[i].name,
                            sizes[i].most, sizes[i].value);
    if (!c->family || c->heads % c->kv_heads || c->rope_dims % 2 || c->heads * c->head_dim > MAX_WIDTH)
        return tri_fail(e, TRI_USAGE,
                        "a model's shape: expected a known family, heads a multiple of kv_heads, %d values of all "
                        "heads at most, and an even rope_dims; found %d heads, %d kv_heads of %d values, rope_dims %d",
                        MAX_WIDTH, c->heads, c->kv_heads, c->head_dim, c->rope_dims);
    return TRI_OK;
}
