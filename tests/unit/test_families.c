/* Every family against an independent reference: logits of a prompt and of single tokens behind it; and proof that
 * each fact of a family would be missed if it were wrong.
 *
 * The reference computes in double, the engine in float: logits agree to a few units of float's last place, SAME. Only
 * where an activation lies within that of the middle between two integers would they quantise it apart, which changes
 * logits by about 1e-3; both sides being exact to the bit everywhere, the seeds here meet no such activation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../reference/encode.h"
#include "../reference/family.h"
#include "engine/embed.h"
#include "pool.h"

enum { I2_S = 36 };
enum { PROMPT = 8, TOKENS = 12, MOST_LAYERS = 24 };
static const double same = 1e-6, wrong = 1e-4;

#define BITNET .half_split = true, .sub_norms = true, .layers = 2, .eps = 1e-5
#define LLAMA .arch = "llama", .activation = REFERENCE_SILU, .own_head = true, .layers = 2
#define QWEN                                                                                                     \
    .arch = "qwen3", .activation = REFERENCE_SILU, .half_split = true, .head_norms = true, .layers = 2, .theta = 1000000
#define GEMMA                                                                                               \
    .arch = "gemma3", .activation = REFERENCE_GELU, .half_split = true, .head_norms = true, .layers = 2,   \
    .theta = 10000, .post_norms = true
#define WIDE_HEADS .hidden = 128, .ffn = 192, .heads = 4, .kv_heads = 2, .head_dim = 64
#define SMALL .hidden = 128, .ffn = 192, .heads = 4, .kv_heads = 2, .head_dim = 32

static const struct family families[] = {
    {.name = "bitnet", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000, BITNET, SMALL},
    {.name = "bitnet-b1.58", .arch = "bitnet-b1.58", .activation = REFERENCE_RELU2, .theta = 500000, BITNET, SMALL},
    {.name = "bitnet-25", .arch = "bitnet-25", .activation = REFERENCE_RELU2, .theta = 500000, BITNET, SMALL},
    {.name = "24 layers called bitnet-b1.58", .arch = "bitnet-b1.58", .activation = REFERENCE_SILU, .half_split = true,
     .sub_norms = true, .layers = 24, .eps = 1e-5, .theta = 10000, .hidden = 64, .ffn = 128, .heads = 2, .kv_heads = 2,
     .head_dim = 32},
    {.name = "llama 3", LLAMA, .theta = 500000, .eps = 1e-5, SMALL},
    {.name = "half of a head turned", LLAMA, .theta = 10000, .eps = 1e-5, .rope_dims = 16, SMALL},
    {.name = "falcon 3", LLAMA, .theta = 1000042, .eps = 1e-6, .hidden = 512, .ffn = 128, .heads = 2, .kv_heads = 1,
     .head_dim = 256},
    {.name = "heads of 96", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000, BITNET, .hidden = 384,
     .ffn = 128, .heads = 4, .kv_heads = 4, .head_dim = 96},
    {.name = "heads of 100", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000, BITNET, .hidden = 400,
     .ffn = 128, .heads = 4, .kv_heads = 4, .head_dim = 100},
    {.name = "5460 columns", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000, BITNET, .hidden = 64,
     .ffn = 5460, .heads = 1, .kv_heads = 1, .head_dim = 64},
    {.name = "8640 columns", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000, BITNET, .hidden = 64,
     .ffn = 8640, .heads = 1, .kv_heads = 1, .head_dim = 64},
    {.name = "positions divided by 4", LLAMA, .theta = 10000, .eps = 1e-5, .rope_factor = 4, SMALL},
    {.name = "frequencies divided each by its own", LLAMA, .theta = 500000, .eps = 1e-5, .rope_freqs = true, SMALL},
    {.name = "qwen 3", .own_head = true, QWEN, .eps = 1e-6, WIDE_HEADS},
    {.name = "qwen 3, tied", QWEN, .eps = 1e-6, SMALL},
    {.name = "qwen 3 that embeds", .norms_in = true, QWEN, .eps = 1e-6, WIDE_HEADS},
    {.name = "gemma 3", GEMMA, .eps = 1e-6, .embedding_scale = 16, .hidden = 256, .ffn = 192, .heads = 4, .kv_heads = 1,
     .head_dim = 32},
    {.name = "gemma 3 that embeds", .norms_in = true, GEMMA, .eps = 1e-3, .embedding_scale = 25.25,
     .hidden = 640, .ffn = 192, .heads = 4, .kv_heads = 1, .head_dim = 256},
    {.name = "bitnet, scales of rows", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000,
     .row_scales = true, BITNET, SMALL},
    {.name = "qwen 3 that embeds, scales of rows", .norms_in = true, .row_scales = true, QWEN, .eps = 1e-3, SMALL},
    {.name = "bitnet, scales of 64 columns", .arch = "bitnet-b1.58", .activation = REFERENCE_RELU2, .theta = 500000,
     .group = 64, BITNET, SMALL},
    {.name = "bitnet, scales of 256 columns", .arch = "bitnet", .activation = REFERENCE_SILU, .theta = 10000,
     .group = 256, BITNET, .hidden = 256, .ffn = 512, .heads = 2, .kv_heads = 2, .head_dim = 128},
    {.name = "qwen 3, scales of 64 columns", .own_head = true, .group = 64, QWEN, .eps = 1e-6, .hidden = 192,
     .ffn = 320, .heads = 4, .kv_heads = 2, .head_dim = 64},
    {.name = "qwen 3 that embeds, scales of 64 columns", .norms_in = true, .group = 64, QWEN, .eps = 1e-6, WIDE_HEADS},
    {.name = "gemma 3, scales of 64 columns", .norms_in = true, .group = 64, GEMMA, .eps = 1e-3, .embedding_scale = 16,
     .hidden = 256, .ffn = 192, .heads = 4, .kv_heads = 1, .head_dim = 64},
    {.name = "llama, scales of every kind side by side", LLAMA, .theta = 500000, .eps = 1e-5, .mixed = true, SMALL},
    {.name = "qwen 3 that embeds, scales of every kind", .norms_in = true, .mixed = true, QWEN, .eps = 1e-6,
     WIDE_HEADS},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* -- both sides ---------------------------------------------------------- */

static void some_ids(int32_t *ids)
{
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 37 + 11) % FAMILY_VOCAB;
}

static void keep(void *arg, int i, const float *logits)
{
    memcpy((float *)arg + i * FAMILY_VOCAB, logits, FAMILY_VOCAB * sizeof *logits);
}

/* logits[TOKENS][FAMILY_VOCAB]: the prompt in one pass, then token by token. */
static enum tri_status feed(struct tri_session *s, const int32_t *ids, float *logits, struct tri_error *e)
{
    if (tri_session_score(s, ids, PROMPT, keep, logits, e) != TRI_OK)
        return e->status;
    for (int i = PROMPT; i < TOKENS; i++) {
        const float *one;
        if (tri_session_feed(s, ids + i, 1, &one, e) != TRI_OK)
            return e->status;
        keep(logits, i, one);
    }
    return TRI_OK;
}

static void run_engine(const struct made *made, uint32_t type, int threads, const int32_t *ids, float *logits)
{
    char path[64];
    struct tri_error e = {0};
    snprintf(path, sizeof path, "/tmp/test_families.%d.gguf", (int)getpid());
    family_write(made, type, path);
    struct tri_pool *pool = pool_of(threads);
    struct tri_gguf *g = tri_gguf_open(path, &e);
    struct tri_model *m = g ? tri_model_load(g, pool, &e) : NULL;
    struct tri_session *s = m ? tri_session_new(m, pool, &(struct tri_session_options){0}, &e) : NULL;
    if (!s || feed(s, ids, logits, &e) != TRI_OK)
        fail_msg("%s: %s", made->family->name, e.text);
    tri_session_free(s);
    tri_model_free(m);
    tri_gguf_close(g);
    tri_pool_free(pool);
    unlink(path);
}

/* -- comparing ----------------------------------------------------------- */

/* The length of the difference over the reference's. */
static double distance(const float *found, const double *expected)
{
    double difference = 0, length = 0;
    for (int i = 0; i < FAMILY_VOCAB; i++) {
        difference += ((double)found[i] - expected[i]) * ((double)found[i] - expected[i]);
        length += expected[i] * expected[i];
    }
    return sqrt(difference / length);
}

static void compare(const struct reference_model *m, const int32_t *ids, const float *found, double *distances)
{
    double *hidden = calloc((size_t)(TOKENS * m->hidden), sizeof *hidden), logits[FAMILY_VOCAB];
    assert_non_null(hidden);
    reference_run(m, ids, TOKENS, hidden);
    for (int i = 0; i < TOKENS; i++) {
        reference_logits(m, hidden + i * m->hidden, logits);
        distances[i] = distance(found + i * FAMILY_VOCAB, logits);
    }
    free(hidden);
}

/* -- facts: each changes a model's copy, and tells whether the family has it at all ---------------------------- */

typedef bool change_fn(struct reference_model *m);

static bool other_pairs(struct reference_model *m)
{
    m->half_split = !m->half_split;
    return true;
}

static bool other_theta(struct reference_model *m)
{
    m->theta *= 2;
    return true;
}

static bool other_eps(struct reference_model *m)
{
    m->eps *= 2;
    return true;
}

static bool other_activation(struct reference_model *m)
{
    m->activation = m->activation == REFERENCE_SILU ? REFERENCE_GELU : REFERENCE_SILU;
    return true;
}

static bool other_head_size(struct reference_model *m)
{
    m->rope_dims -= 2;
    return true;
}

static bool no_rope_factor(struct reference_model *m)
{
    const bool there = m->rope_factor > 1;
    m->rope_factor = 1;
    return there;
}

static bool no_rope_freqs(struct reference_model *m)
{
    const bool there = m->rope_freqs != NULL;
    m->rope_freqs = NULL;
    return there;
}

static bool no_embedding_scale(struct reference_model *m)
{
    const bool there = m->embedding_scale > 1;
    m->embedding_scale = 1;
    return there;
}

static bool tied_head(struct reference_model *m)
{
    const bool own = m->head != m->embedding;
    m->head = m->embedding;
    return own;
}

/* Of the last layer, which sees what the others made. */
static bool drop(const float **norm)
{
    const bool there = *norm != NULL;
    *norm = NULL;
    return there;
}

#define LAST(m) ((m)->layer[(m)->layers - 1])
#define DROP(name, field) static bool name(struct reference_model *m) { return drop(&LAST(m).field); }
DROP(no_attn_norm, attn_norm)
DROP(no_ffn_norm, ffn_norm)
DROP(no_attn_sub_norm, attn_sub_norm)
DROP(no_ffn_sub_norm, ffn_sub_norm)
DROP(no_q_norm, q_norm)
DROP(no_k_norm, k_norm)
DROP(no_post_attn_norm, post_attn_norm)
DROP(no_post_ffn_norm, post_ffn_norm)
DROP(no_q_norm_in, norm_in[Q])
DROP(no_k_norm_in, norm_in[K])
DROP(no_v_norm_in, norm_in[V])
DROP(no_o_norm_in, norm_in[O])
DROP(no_gate_norm_in, norm_in[GATE])
DROP(no_up_norm_in, norm_in[UP])
DROP(no_down_norm_in, norm_in[DOWN])

static const struct {
    const char *name;
    change_fn *change;
} facts[] = {
    {"rotary pairs", other_pairs},
    {"rotary base", other_theta},
    {"rotary values", other_head_size},
    {"rotary scaling", no_rope_factor},
    {"rotary divisors", no_rope_freqs},
    {"epsilon", other_eps},
    {"activation", other_activation},
    {"scale of the embedding", no_embedding_scale},
    {"head", tied_head},
    {"attn_norm", no_attn_norm},
    {"attn_sub_norm", no_attn_sub_norm},
    {"attn_q_norm", no_q_norm},
    {"attn_k_norm", no_k_norm},
    {"post_attention_norm", no_post_attn_norm},
    {"ffn_norm", no_ffn_norm},
    {"ffn_sub_norm", no_ffn_sub_norm},
    {"post_ffw_norm", no_post_ffn_norm},
    {"attn_q_norm_in", no_q_norm_in},
    {"attn_k_norm_in", no_k_norm_in},
    {"attn_v_norm_in", no_v_norm_in},
    {"attn_output_norm_in", no_o_norm_in},
    {"ffn_gate_norm_in", no_gate_norm_in},
    {"ffn_up_norm_in", no_up_norm_in},
    {"ffn_down_norm_in", no_down_norm_in},
};

/* The greatest over the positions. */
static double most(const double *distances)
{
    double found = 0;
    for (int i = 0; i < TOKENS; i++)
        found = fmax(found, distances[i]);
    return found;
}

static void check_facts(const struct made *made, const int32_t *ids, const float *found)
{
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        struct reference_layer layers[MOST_LAYERS];
        struct reference_model changed = made->model;
        double distances[TOKENS];
        memcpy(layers, changed.layer, (size_t)changed.layers * sizeof layers[0]);
        changed.layer = layers;
        if (!facts[i].change(&changed))
            continue;
        compare(&changed, ids, found, distances);
        if (!(most(distances) > wrong))
            fail_msg("%s: another %s changes logits by only %.1e", made->family->name, facts[i].name, most(distances));
    }
}

/* -- the tests ------------------------------------------------------------------------------------------------ */

static void check_family(const struct family *f)
{
    int32_t ids[TOKENS];
    float found[TOKENS * FAMILY_VOCAB];
    double distances[TOKENS];
    struct made *made = family_make(f, 1);
    some_ids(ids);
    run_engine(made, FAMILY_TYPES, 2, ids, found);
    compare(&made->model, ids, found, distances);
    for (int i = 0; i < TOKENS; i++)
        if (!(distances[i] <= same))
            fail_msg("%s: token %d: logits differ from the reference by %.1e", f->name, i, distances[i]);
    check_facts(made, ids, found);
    family_free(made);
}

static void every_family_is_computed_as_described(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++)
        check_family(&families[f]);
}

/* The same trits and scales, whatever they are written as: the same bits. */
static void every_encoding_gives_the_same_logits(void **state)
{
    (void)state;
    static const struct family f = {.name = "encodings", .arch = "bitnet-b1.58", .activation = REFERENCE_RELU2,
                                    .theta = 500000, BITNET, .hidden = 256, .ffn = 512, .heads = 4, .kv_heads = 2,
                                    .head_dim = 64};
    int32_t ids[TOKENS];
    float expected[TOKENS * FAMILY_VOCAB], found[TOKENS * FAMILY_VOCAB];
    struct made *made = family_make(&f, 1);
    some_ids(ids);
    run_engine(made, I2_S, 2, ids, expected);
    for (int i = 0; i < MADE_ENCODINGS; i++) {
        run_engine(made, made_encodings[i].type, 2, ids, found);
        if (memcmp(found, expected, sizeof expected) != 0)
            fail_msg("%s: other logits than I2_S", made_encodings[i].name);
    }
    family_free(made);
}

static void check_bits(const struct family *f, const struct made *made, const int32_t *ids, const float *expected)
{
    float found[TOKENS * FAMILY_VOCAB];
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        struct tri_error e;
        if (!isa->present())
            continue;
        assert_int_equal(tri_dispatch_limit(isa->name, &e), TRI_OK);
        for (int threads = 1; threads <= 3; threads++) {
            run_engine(made, FAMILY_TYPES, threads, ids, found);
            if (memcmp(found, expected, sizeof found) != 0)
                fail_msg("%s: other bits on %s with %d threads", f->name, isa->name, threads);
        }
    }
    tri_dispatch_limit(NULL, NULL);
}

static bool has_scales(const struct family *f)
{
    return f->row_scales || f->group || f->mixed;
}

/* Where every matrix has one scale, other tests see to it. */
static void scales_of_rows_and_groups_give_the_same_bits_everywhere(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        int32_t ids[TOKENS];
        float expected[TOKENS * FAMILY_VOCAB];
        if (!has_scales(&families[f]))
            continue;
        struct made *made = family_make(&families[f], 1);
        some_ids(ids);
        run_engine(made, FAMILY_TYPES, 2, ids, expected);
        check_bits(&families[f], made, ids, expected);
        family_free(made);
    }
}

/* -- embeddings ----------------------------------------------------------------------------------------------- */

static struct tri_session *open_session(const struct made *made, struct tri_pool *pool, int ubatch, struct tri_gguf **g,
                                        struct tri_model **m)
{
    char path[64];
    struct tri_error e = {0};
    struct tri_session *s = NULL;
    snprintf(path, sizeof path, "/tmp/test_families.%d.gguf", (int)getpid());
    family_write(made, FAMILY_TYPES, path);
    *g = tri_gguf_open(path, &e);
    *m = *g ? tri_model_load(*g, pool, &e) : NULL;
    if (!*m || !(s = tri_session_new(*m, pool, &(struct tri_session_options){.ubatch = ubatch}, &e)))
        fail_msg("%s: %s", made->family->name, e.text);
    unlink(path);
    return s;
}

static void expect_embedding(const struct made *made, const float *found, const int32_t *ids)
{
    double expected[1024], far = 0;
    assert_true(made->model.hidden <= 1024);
    reference_embedding(&made->model, ids, TOKENS, expected);
    for (int i = 0; i < made->model.hidden; i++)
        far += ((double)found[i] - expected[i]) * ((double)found[i] - expected[i]);
    if (!(sqrt(far) <= same))
        fail_msg("%s: its embedding differs from the reference by %.1e", made->family->name, sqrt(far));
}

static bool at_once(void)
{
    return true;
}

/* The mean over tokens is that of their hidden values, whose reference is each prefix's last. */
static void expect_mean(struct tri_session *s, const int32_t *ids, const float *last, int hidden)
{
    struct tri_error e;
    float mean[1024], first[1024], one[1024];
    assert_int_equal(tri_session_embed(s, ids, 1, TRI_POOL_MEAN, NULL, one, &e), TRI_OK);
    assert_int_equal(tri_session_embed(s, ids, TOKENS, TRI_POOL_CLS, NULL, first, &e), TRI_OK);
    assert_memory_equal(one, first, (size_t)hidden * sizeof *one);
    assert_int_equal(tri_session_embed(s, ids, TOKENS, TRI_POOL_MEAN, NULL, mean, &e), TRI_OK);
    assert_memory_not_equal(mean, first, (size_t)hidden * sizeof *mean);
    assert_memory_not_equal(mean, last, (size_t)hidden * sizeof *mean);
    assert_int_equal(tri_session_embed(s, ids, TOKENS, TRI_POOL_MEAN, at_once, mean, &e), TRI_INTERRUPTED);
}

static void embeddings_are_the_last_tokens(void **state)
{
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        int32_t ids[TOKENS];
        float found[2][1024];
        if (!families[f].norms_in)
            continue;
        struct made *made = family_make(&families[f], 1);
        some_ids(ids);
        for (int i = 0; i < 2; i++) { /* in one pass, and in several by another number of threads */
            struct tri_gguf *g;
            struct tri_model *m;
            struct tri_error e;
            struct tri_pool *pool = pool_of(1 + i);
            struct tri_session *s = open_session(made, pool, i ? 5 : 0, &g, &m);
            assert_int_equal(m->config.pooling, TRI_POOL_LAST);
            assert_int_equal(tri_session_embed(s, ids, TOKENS, m->config.pooling, NULL, found[i], &e), TRI_OK);
            expect_mean(s, ids, found[i], made->model.hidden);
            tri_session_free(s);
            tri_model_free(m);
            tri_gguf_close(g);
            tri_pool_free(pool);
        }
        expect_embedding(made, found[0], ids);
        assert_memory_equal(found[0], found[1], (size_t)made->model.hidden * sizeof(float));
        family_free(made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_is_computed_as_described),
        cmocka_unit_test(every_encoding_gives_the_same_logits),
        cmocka_unit_test(scales_of_rows_and_groups_give_the_same_bits_everywhere),
        cmocka_unit_test(embeddings_are_the_last_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
