/* Owns: a random model's shape and contents from options. Leaves out what no model can have (model/contents.c). */
#include "cli/shape.h"

#include <string.h>

/* -- contents ------------------------------------------------------------ */

/* `*into` stays as it is where nothing is given. */
static enum tri_status read_type(const char *option, const char *name, const struct tri_encoding **into,
                                 struct tri_error *e)
{
    static const struct {
        const char *name;
        uint32_t id;
    } types[] = {{"f16", 1}, {"q8_0", 8}, {"q6_k", 14}};
    if (!name)
        return TRI_OK;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(name, types[i].name) == 0) {
            *into = tri_encoding_find(types[i].id);
            return TRI_OK;
        }
    return tri_fail(e, TRI_USAGE, "option %s: expected f16, q8_0 or q6_k, found \"%s\"", option, name);
}

static enum tri_status read_weights(const char *name, struct tri_synth *synth, struct tri_error *e)
{
    if (!name || strcmp(name, "ternary") == 0 || (synth->weights = tri_dense_find(name)))
        return TRI_OK;
    return tri_fail(e, TRI_USAGE, "option --weights: expected ternary, f16, q8_0 or q4_0, found \"%s\"", name);
}

static enum tri_status read_family(const char *name, struct tri_config *c, struct tri_error *e)
{
    char known[128];
    if (!name || (c->family = tri_family_find(name)))
        return TRI_OK;
    tri_family_list(known, sizeof known);
    return tri_fail(e, TRI_USAGE, "option --family: expected one of %s, found \"%s\"", known, name);
}

/* The given or the size's own family where that has the activation, under a name that fits the number of layers. */
static enum tri_status read_activation(const struct tri_shape *s, struct tri_config *c, struct tri_error *e)
{
    enum tri_activation wanted = c->family ? c->family->activation : TRI_RELU2;
    if (s->act && strcmp(s->act, "silu") != 0 && strcmp(s->act, "relu2") != 0)
        return tri_fail(e, TRI_USAGE, "option --act: expected silu or relu2, found \"%s\"", s->act);
    if (s->act)
        wanted = strcmp(s->act, "silu") == 0 ? TRI_SILU : TRI_RELU2;
    if (s->family && c->family->activation != wanted)
        return tri_fail(e, TRI_USAGE, "option --act: expected what --family %s has, found %s; leave out one of them",
                        s->family, s->act);
    if (!c->family || c->family->activation != wanted || !tri_family_is_kept(c->family, c->layers))
        c->family = tri_family_with(wanted, c->layers);
    return TRI_OK;
}

static enum tri_status read_contents(const struct tri_shape *s, struct tri_synth *synth, struct tri_error *e)
{
    synth->seed = (uint64_t)s->seed;
    synth->group = s->group;
    synth->three_of_four = s->three_of_four;
    if (s->zeros >= 0 && s->three_of_four)
        return tri_fail(e, TRI_USAGE, "options --zeros and --three-of-four: a quarter of such weights is 0; expected one of "
                        "the two, found both");
    if (s->zeros >= 0)
        synth->zeros = s->zeros;
    if (s->ffn_sparsity >= 0)
        synth->ffn_sparsity = s->ffn_sparsity;
    if (s->ffn_sparsity >= 0 && synth->config.family->activation != TRI_RELU2)
        return tri_fail(e, TRI_USAGE, "option --ffn-sparsity: expected a model with squared ReLU, found %s; "
                        "add --act relu2", synth->config.family->arch);
    return read_weights(s->weights, synth, e) == TRI_OK &&
                   read_type("--embedding", s->embedding, &synth->embedding, e) == TRI_OK
               ? read_type("--head-type", s->head, &synth->head, e)
               : e->status;
}

/* -- dimensions ---------------------------------------------------------- */

/* What has no default. */
static enum tri_status check_complete(const struct tri_config *c, struct tri_error *e)
{
    const struct {
        const char *option;
        int value;
    } needed[] = {{"--hidden", c->hidden}, {"--layers", c->layers}, {"--heads", c->heads}, {"--ffn-size", c->ffn},
                  {"--vocab", c->vocab}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].value)
            return tri_fail(e, TRI_USAGE, "expected %s, or one of the sizes " TRI_SYNTH_SIZES ", found neither",
                            needed[i].option);
    return TRI_OK;
}

static int given(int option, int otherwise)
{
    return option ? option : otherwise;
}

/* Heads follow the hidden size and each other where one of them is given and the others are not. */
static enum tri_status read_heads(const struct tri_shape *s, struct tri_config *c, struct tri_error *e)
{
    c->kv_heads = given(s->kv_heads, s->heads || !c->kv_heads ? c->heads : c->kv_heads);
    if (c->heads % c->kv_heads)
        return tri_fail(e, TRI_USAGE, "option --kv-heads: expected a divisor of the %d heads, found %d", c->heads,
                        c->kv_heads);
    const bool follows = !s->head_dim && (s->hidden || s->heads || !c->head_dim);
    if (follows && c->hidden % c->heads)
        return tri_fail(e, TRI_USAGE, "expected a hidden size that is a multiple of the %d heads, found %d; or give "
                        "--head-dim", c->heads, c->hidden);
    c->head_dim = follows ? c->hidden / c->heads : given(s->head_dim, c->head_dim);
    if (c->head_dim % 2)
        return tri_fail(e, TRI_USAGE, "expected heads of an even size, since rotary pairs take two values, found %d",
                        c->head_dim);
    c->rope_dims = c->head_dim;
    return TRI_OK;
}

static enum tri_status read_dimensions(const struct tri_shape *s, struct tri_config *c, struct tri_error *e)
{
    c->hidden = given(s->hidden, c->hidden);
    c->layers = given(s->layers, c->layers);
    c->heads = given(s->heads, c->heads);
    c->ffn = given(s->ffn, c->ffn);
    c->vocab = given(s->vocab, c->vocab);
    return check_complete(c, e) == TRI_OK ? read_heads(s, c, e) : e->status;
}

/* -- the whole ----------------------------------------------------------- */

bool tri_shape_given(const struct tri_shape *s)
{
    return s->hidden || s->layers || s->heads || s->kv_heads || s->head_dim || s->ffn || s->vocab || s->group ||
           s->zeros >= 0 || s->three_of_four || s->ffn_sparsity >= 0 || s->family || s->act || s->embedding ||
           s->head || s->weights;
}

enum tri_status tri_shape_read(const struct tri_shape *s, struct tri_synth *synth, struct tri_error *e)
{
    *synth = (struct tri_synth){.config = {.context = 4096, .rope_theta = 10000, .norm_eps = 1e-5f}};
    tri_synth_usual(synth);
    if (s->size && !tri_synth_size(s->size, synth))
        return tri_fail(e, TRI_USAGE, "expected one of the sizes " TRI_SYNTH_SIZES ", found \"%s\"", s->size);
    if (read_dimensions(s, &synth->config, e) != TRI_OK || read_family(s->family, &synth->config, e) != TRI_OK ||
        read_activation(s, &synth->config, e) != TRI_OK)
        return e->status;
    return read_contents(s, synth, e);
}

enum tri_status tri_shape_choose(const struct tri_shape *s, struct tri_load *l, struct tri_synth *synth,
                                 const char **size, struct tri_error *e)
{
    if (!s->size && !tri_shape_given(s))
        return TRI_OK;
    if (l->model || l->hub)
        return tri_fail(e, TRI_USAGE, "expected one of -m FILE and a random model (--synth SIZE), found both");
    l->synth = synth;
    *size = s->size ? s->size : "by hand";
    return tri_shape_read(s, synth, e);
}
