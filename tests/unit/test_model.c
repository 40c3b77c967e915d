/* Loading: what a configuration says, what is refused and how, and that packing loses no trit. */
#include "model/model.h"
#include "model/packed.h"
#include "file/ternary.h"
#include "engine/session.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

/* A file opened; everything is released by close_file. */
struct opened {
    struct bytes bytes;
    struct tri_gguf *g;
    struct tri_pool *pool;
};

static struct opened open_file(const struct synthetic *m, int threads)
{
    struct tri_error e = {0};
    struct opened o = {.bytes = synthetic_file(m)};
    o.g = tri_gguf_read(o.bytes.at, o.bytes.count, "test.gguf", &e);
    o.pool = tri_pool_new(threads, &e);
    if (!o.g || !o.pool)
        fail_msg("%s", e.text);
    return o;
}

static void close_file(struct opened *o)
{
    tri_pool_free(o->pool);
    tri_gguf_close(o->g);
    free(o->bytes.at);
}

static void configuration_is_read(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct tri_config c;
    struct synthetic m = SYNTHETIC;
    struct opened o = open_file(&m, 1);
    assert_int_equal(tri_config_read(o.g, &c, &e), TRI_OK);
    assert_string_equal(c.family->arch, "bitnet-b1.58");
    assert_true(c.family->sub_norms && c.family->neox && c.family->activation == TRI_RELU2);
    assert_int_equal(c.layers, 2);
    assert_int_equal(c.hidden, 96);
    assert_int_equal(c.ffn, 160);
    assert_int_equal(c.heads, 8);
    assert_int_equal(c.kv_heads, 4);
    assert_int_equal(c.head_dim, 12);
    assert_int_equal(c.rope_dims, 12);
    assert_int_equal(c.vocab, 70);
    assert_int_equal(c.context, 600);
    assert_true(c.norm_eps == 1e-5f && c.rope_theta == 10000);
    close_file(&o);
}

static struct tri_config config_of(const struct synthetic *m)
{
    struct tri_error e = {0};
    struct tri_config c;
    struct opened o = open_file(m, 1);
    if (tri_config_read(o.g, &c, &e) != TRI_OK)
        fail_msg("%s", e.text);
    close_file(&o);
    return c;
}

static void absent_keys_have_their_meaning(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    m.drop = "attention.head_count_kv";
    assert_int_equal(config_of(&m).kv_heads, 8);
    m.drop = "attention.key_length";
    assert_int_equal(config_of(&m).head_dim, 12);
    m.drop = "rope.dimension_count";
    assert_int_equal(config_of(&m).rope_dims, 12);
    m.drop = "rope.freq_base";
    assert_true(config_of(&m).rope_theta == 10000);
}

static void families_are_told_apart(void **unused)
{
    (void)unused;
    const struct {
        const char *arch;
        int layers;
        enum tri_activation activation;
        bool sub_norms, neox;
    } cases[] = {
        {"bitnet-b1.58", 30, TRI_RELU2, true, true}, {"bitnet-b1.58", 24, TRI_SILU, true, true},
        {"bitnet-b1.58", 26, TRI_SILU, true, true},  {"bitnet-25", 24, TRI_RELU2, true, true},
        {"bitnet", 30, TRI_SILU, true, true},        {"llama", 24, TRI_SILU, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.arch = cases[i].arch;
        m.key = "block_count";
        m.value = cases[i].layers;
        const struct tri_family *f = config_of(&m).family;
        assert_int_equal(f->activation, cases[i].activation);
        assert_int_equal(f->sub_norms, cases[i].sub_norms);
        assert_int_equal(f->neox, cases[i].neox);
    }
    struct synthetic m = SYNTHETIC; /* 1bitLLM's vocabulary, and one that is not */
    m.tokens = 32002;
    assert_int_equal(config_of(&m).family->activation, TRI_SILU);
    m.tokens = 32000;
    assert_int_equal(config_of(&m).family->activation, TRI_RELU2);
}

/* -- refusals ---------------------------------------------------------- */

static void refuse(const struct synthetic *m, enum tri_status status, const char *needle)
{
    struct tri_error e = {0};
    struct opened o = open_file(m, 2);
    struct tri_model *model = tri_model_load(o.g, o.pool, &e);
    if (model)
        fail_msg("loaded, but expected: %s", needle);
    if (e.status != status || !strstr(e.text, needle))
        fail_msg("expected %d with \"%s\", found %d: %s", status, needle, e.status, e.text);
    assert_non_null(strstr(e.text, "test.gguf"));
    close_file(&o);
}

static void bad_keys_are_refused(void **unused)
{
    (void)unused;
    static const char *const needed[] = {
        "general.architecture",
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.layer_norm_rms_epsilon",
        "vocab_size",
    };
    static const struct {
        const char *key;
        double value;
        enum tri_status status;
    } wrong[] = {
        {"block_count", 0, TRI_BAD_FILE},
        {"block_count", 1e9, TRI_BAD_FILE},
        {"context_length", 0, TRI_BAD_FILE},
        {"context_length", 4e9, TRI_BAD_FILE},
        {"embedding_length", 4e9, TRI_BAD_FILE},
        {"feed_forward_length", 0, TRI_BAD_FILE},
        {"attention.head_count", 0, TRI_BAD_FILE},
        {"attention.head_count", 1e6, TRI_BAD_FILE},
        {"attention.head_count_kv", 3, TRI_BAD_FILE},
        {"attention.head_count_kv", 0, TRI_BAD_FILE},
        {"attention.key_length", 5000, TRI_BAD_FILE},
        {"attention.value_length", 16, TRI_UNSUPPORTED},
        {"rope.dimension_count", 7, TRI_BAD_FILE},
        {"rope.dimension_count", 14, TRI_BAD_FILE},
        {"vocab_size", 0, TRI_BAD_FILE},
        {"attention.layer_norm_rms_epsilon", 0, TRI_BAD_FILE},
        {"attention.layer_norm_rms_epsilon", -1, TRI_BAD_FILE},
        {"attention.layer_norm_rms_epsilon", NAN, TRI_BAD_FILE},
        {"rope.freq_base", INFINITY, TRI_BAD_FILE},
        {"rope.freq_base", 0, TRI_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.drop = needed[i];
        refuse(&m, TRI_BAD_FILE, needed[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.key = wrong[i].key;
        m.value = wrong[i].value;
        refuse(&m, wrong[i].status, strstr(wrong[i].key, "kv") ? "head_count_kv" : wrong[i].key);
    }
}

static void other_models_are_refused(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    m.key = "general.architecture";
    m.text = "mamba";
    refuse(&m, TRI_UNSUPPORTED, "found \"mamba\"");
    m.key = "rope.scaling.type";
    m.text = "yarn";
    refuse(&m, TRI_UNSUPPORTED, "rope.scaling.type: expected none or linear, found \"yarn\"");
}

/* What no family here has, and what would be computed otherwise. */
static void other_computations_are_refused(void **unused)
{
    (void)unused;
    const struct {
        const char *key;
        double value;
        enum tri_status status;
    } further[] = {
        {"expert_count", 8, TRI_UNSUPPORTED},      {"final_logit_softcapping", 30, TRI_UNSUPPORTED},
        {"pooling_type", 4, TRI_UNSUPPORTED},      {"attention.sliding_window", 0, TRI_BAD_FILE},
        {"attention.causal", 0, TRI_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof further / sizeof further[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.further = further[i].key, m.further_value = further[i].value;
        refuse(&m, further[i].status, further[i].key);
    }
    struct synthetic m = SYNTHETIC;
    m.key = "rope.freq_base", m.value = 500000; /* but layers with a window turn by 10000 */
    m.further = "attention.sliding_window", m.further_value = 64;
    refuse(&m, TRI_UNSUPPORTED, "rope.freq_base");
}

static void optional_keys_are_read(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    assert_int_equal(config_of(&m).pooling, TRI_POOL_LAST);
    m.further = "pooling_type", m.further_value = 1;
    assert_int_equal(config_of(&m).pooling, TRI_POOL_MEAN);
    m.further = "expert_count", m.further_value = 0;
    assert_int_equal(config_of(&m).window, 0);
    m.further = "rope.scaling.factor", m.further_value = 4, m.further_real = true;
    assert_true(config_of(&m).rope_factor == 0); /* of the type none */
    m.key = "rope.scaling.type", m.text = "linear";
    assert_true(config_of(&m).rope_factor == 4);
    m.drop = "rope.scaling.type";
    assert_true(config_of(&m).rope_factor == 4);
    m.further = "rope.scale_linear";
    assert_true(config_of(&m).rope_factor == 4);
}

/* Layers that forget are alike as long as nothing is forgotten. */
static void a_window_bounds_the_context(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    m.further = "attention.sliding_window", m.further_value = 64;
    struct opened o = open_file(&m, 1);
    struct tri_model *model = tri_model_load(o.g, o.pool, &e);
    assert_non_null(model);
    struct tri_session *s = tri_session_new(model, o.pool, &(struct tri_session_options){0}, &e);
    assert_non_null(s);
    assert_int_equal(tri_session_context(s), 64);
    tri_session_free(s);
    assert_null(tri_session_new(model, o.pool, &(struct tri_session_options){.context = 65}, &e));
    assert_int_equal(e.status, TRI_UNSUPPORTED);
    assert_non_null(strstr(e.text, "64 positions"));
    tri_model_free(model);
    close_file(&o);
}

static float scale_of_last_down(const char *tensor)
{
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    m.scale = tensor;
    struct opened o = open_file(&m, 1);
    struct tri_model *model = tri_model_load(o.g, o.pool, &e);
    if (!model)
        fail_msg("%s", e.text);
    const float scale = model->layer[1].matrix[TRI_ROLE_DOWN].part[0].scale;
    tri_model_free(model);
    close_file(&o);
    return scale;
}

static bool never(void)
{
    return false;
}

/* The packed form has the product: a factor that stood in it, too, would be applied twice on the way to GGUF. */
static void packed_scales_have_their_factor(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    char path[80];
    snprintf(path, sizeof path, "/tmp/tritune-model.%d.gguf", (int)getpid());
    m.scale = "blk.1.ffn_down.scale";
    struct opened o = open_file(&m, 1);
    struct tri_model *model = tri_model_load(o.g, o.pool, &e);
    assert_int_equal(tri_packed_write(model, o.g, path, o.pool, never, &e), TRI_OK);
    struct tri_gguf *packed = tri_gguf_open(path, &e);
    unlink(path);
    struct tri_model *again = tri_model_load(packed, o.pool, &e);
    assert_non_null(tri_gguf_tensor(o.g, m.scale));
    assert_null(tri_gguf_tensor(packed, m.scale));
    assert_true(again->layer[1].matrix[TRI_ROLE_DOWN].part[0].scale ==
                model->layer[1].matrix[TRI_ROLE_DOWN].part[0].scale);
    tri_model_free(again);
    tri_gguf_close(packed);
    tri_model_free(model);
    close_file(&o);
}

static void scale_tensors_are_factors(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    assert_true(scale_of_last_down("blk.1.ffn_down.scale") == 0.25f * scale_of_last_down(NULL));
    m.scale = "blk.1.attn_norm.scale";
    refuse(&m, TRI_UNSUPPORTED, m.scale);
}

static void an_activation_can_be_put_right(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct tri_model m = {.config = {.family = tri_family_find("bitnet-b1.58"), .layers = 30}};
    assert_int_equal(tri_model_activation(&m, "silu", &e), TRI_OK);
    assert_true(m.config.family->activation == TRI_SILU && m.config.family->sub_norms);
    assert_int_equal(tri_model_activation(&m, "relu2", &e), TRI_OK);
    assert_true(m.config.family->activation == TRI_RELU2 && m.config.family->sub_norms);
    assert_int_equal(tri_model_activation(&m, "gelu", &e), TRI_USAGE);
    m.config.family = tri_family_find("llama");
    assert_int_equal(tri_model_activation(&m, "silu", &e), TRI_OK);
    assert_int_equal(tri_model_activation(&m, "relu2", &e), TRI_UNSUPPORTED);
}

static void bad_tensors_are_refused(void **unused)
{
    (void)unused;
    static const char *const names[] = {
        "token_embd.weight",        "output_norm.weight",         "blk.0.attn_norm.weight",
        "blk.1.attn_q.weight",      "blk.0.attn_k.weight",        "blk.0.attn_v.weight",
        "blk.1.ffn_norm.weight",    "blk.0.attn_sub_norm.weight", "blk.1.ffn_sub_norm.weight",
        "blk.0.ffn_gate.weight",    "blk.0.ffn_up.weight",        "blk.1.ffn_down.weight",
        "blk.1.attn_output.weight",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.drop = names[i];
        refuse(&m, TRI_BAD_FILE, names[i]);
        m.drop = NULL;
        m.taller = names[i];
        refuse(&m, TRI_BAD_FILE, names[i]);
    }
    struct synthetic m = SYNTHETIC;
    m.retyped = "blk.1.ffn_up.weight";
    refuse(&m, TRI_UNSUPPORTED, "blk.1.ffn_up.weight");
    m.retyped = NULL;
    m.extra = "blk.0.attn_q.bias";
    refuse(&m, TRI_UNSUPPORTED, "blk.0.attn_q.bias");
    m.extra = "blk.2.attn_norm.weight"; /* there is no such layer */
    refuse(&m, TRI_UNSUPPORTED, "blk.2.attn_norm.weight");
    m.extra = NULL;
    m.spoilt = "blk.1.ffn_sub_norm.weight";
    refuse(&m, TRI_BAD_FILE, "found inf");
    m.spoilt = "blk.1.attn_v.weight";
    refuse(&m, TRI_BAD_FILE, "blk.1.attn_v.weight");
}

/* Code 3 is no trit: it is found while threads pack, and told once. */
static void bad_codes_are_refused(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    struct opened o = open_file(&m, 3);
    const struct tri_tensor *t = tri_gguf_tensor(o.g, "blk.1.ffn_gate.weight");
    memset(o.bytes.at + t->offset, 0xFF, (size_t)(t->ne[0] * t->ne[1] / 4));
    assert_null(tri_model_load(o.g, o.pool, &e));
    assert_int_equal(e.status, TRI_BAD_FILE);
    assert_non_null(strstr(e.text, "blk.1.ffn_gate.weight"));
    close_file(&o);
}

/* -- packing ----------------------------------------------------------- */

static void check_part(const struct tri_gguf *g, const struct tri_matrix *m, int part,
                       const char *name)
{
    const struct tri_layout *layout = m->plan.layout;
    const struct tri_tensor *t = tri_gguf_tensor(g, name);
    size_t tile = (size_t)(m->kp / layout->kstep) * (size_t)layout->bytes;
    int8_t *rows = calloc((size_t)layout->rows, (size_t)m->kp), *row = calloc(1, (size_t)m->k);
    struct tri_error e;
    struct tri_ternary w;
    assert_int_equal(tri_ternary_read(&w, t, &e), TRI_OK);
    assert_int_equal(m->part[part].row % layout->rows, 0);
    assert_int_equal(m->part[part].rows, t->ne[1]);
    for (int i = 0; i < m->part[part].rows; i++) {
        int at = m->part[part].row + i;
        if (at % layout->rows == 0)
            layout->unpack(m->packed + (size_t)(at / layout->rows) * tile, m->kp, rows,
                           (size_t)m->kp);
        assert_int_equal(tri_ternary_row(&w, i, row, &e), TRI_OK);
        assert_memory_equal(rows + (size_t)(at % layout->rows) * (size_t)m->kp, row, m->k);
    }
    free(rows);
    free(row);
}

static void packing_loses_nothing(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        if (!isa->present())
            continue;
        assert_int_equal(tri_dispatch_limit(isa->name, &e), TRI_OK);
        struct opened o = open_file(&m, 3);
        struct tri_model *model = tri_model_load(o.g, o.pool, &e);
        assert_non_null(model);
        const struct tri_matrix *l = model->layer[1].matrix;
        check_part(o.g, &l[TRI_ROLE_QKV], 0, "blk.1.attn_q.weight");
        check_part(o.g, &l[TRI_ROLE_QKV], 1, "blk.1.attn_k.weight");
        check_part(o.g, &l[TRI_ROLE_QKV], 2, "blk.1.attn_v.weight");
        check_part(o.g, &l[TRI_ROLE_O], 0, "blk.1.attn_output.weight");
        check_part(o.g, &l[TRI_ROLE_GATE_UP], 0, "blk.1.ffn_gate.weight");
        check_part(o.g, &l[TRI_ROLE_GATE_UP], 1, "blk.1.ffn_up.weight");
        check_part(o.g, &l[TRI_ROLE_DOWN], 0, "blk.1.ffn_down.weight");
        tri_model_free(model);
        close_file(&o);
    }
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
}

/* As files have it that were made without a thought: rows are read all the same, and somebody says so. */
static void an_embedding_of_trits_becomes_floats(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    m.embedding = 36;
    m.vocab = 64;
    struct opened o = open_file(&m, 2);
    const struct tri_tensor *stored = tri_gguf_tensor(o.g, "token_embd.weight");
    struct tri_error e = {0};
    struct tri_ternary w;
    struct tri_model *model = tri_model_load(o.g, o.pool, &e);
    if (!model || tri_ternary_read(&w, stored, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_non_null(strstr(model->notice, "token_embd.weight is stored as trits (I2_S)"));
    assert_ptr_equal(model->head, model->embedding);
    for (int row = 0; row < m.vocab; row++) {
        int8_t trits[96];
        float floats[96];
        assert_int_equal(tri_ternary_row(&w, row, trits, &e), TRI_OK);
        model->embedding->encoding->floats(model->embedding, row, floats);
        for (int i = 0; i < m.hidden; i++)
            assert_true(floats[i] == (float)trits[i] * w.scale);
    }
    tri_model_free(model);
    close_file(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_is_read),
        cmocka_unit_test(absent_keys_have_their_meaning),
        cmocka_unit_test(families_are_told_apart),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(other_models_are_refused),
        cmocka_unit_test(other_computations_are_refused),
        cmocka_unit_test(optional_keys_are_read),
        cmocka_unit_test(a_window_bounds_the_context),
        cmocka_unit_test(scale_tensors_are_factors),
        cmocka_unit_test(packed_scales_have_their_factor),
        cmocka_unit_test(an_activation_can_be_put_right),
        cmocka_unit_test(bad_tensors_are_refused),
        cmocka_unit_test(bad_codes_are_refused),
        cmocka_unit_test(packing_loses_nothing),
        cmocka_unit_test(an_embedding_of_trits_becomes_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
