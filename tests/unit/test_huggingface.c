/* The embedded model written as Hugging Face's library saves models, in each form of weights, is the same model:
 * its trits, scales, norms and embedding. And what config.json says that nobody here follows is refused by name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/ternary.h"
#include "model/checkpoint.h"
#include "model/huggingface.h"
#include "model/model.h"

enum { LAYERS = 6, PARTS = 7, HEAD = 64 };

static struct tri_gguf *tales;

static int open_tales(void **state)
{
    (void)state;
    struct tri_error e;
    tales = tri_gguf_open("tests/model/tiny-tales-i2_s.gguf", &e);
    return tales ? 0 : -1;
}

static int close_tales(void **state)
{
    (void)state;
    tri_gguf_close(tales);
    return 0;
}

/* -- a safetensors file that grows ------------------------------------------- */

struct file {
    json_t *header;
    uint8_t *data;
    size_t size;
};

static struct file new_file(void)
{
    return (struct file){json_object(), NULL, 0};
}

static void put_tensor(struct file *f, const char *name, const char *dtype, json_t *shape, const void *bytes,
                       size_t size)
{
    json_t *t = json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)f->size,
                          (json_int_t)(f->size + size));
    assert_int_equal(json_object_set_new(f->header, name, t), 0);
    f->data = realloc(f->data, f->size + size + 1);
    memcpy(f->data + f->size, bytes, size);
    f->size += size;
}

/* The whole, to be freed. */
static uint8_t *finish(struct file *f, size_t *size)
{
    char *header = json_dumps(f->header, JSON_COMPACT);
    const uint64_t length = strlen(header);
    uint8_t *bytes = malloc(sizeof length + length + f->size);
    memcpy(bytes, &length, sizeof length);
    memcpy(bytes + sizeof length, header, length);
    memcpy(bytes + sizeof length + length, f->data, f->size);
    *size = sizeof length + length + f->size;
    free(header);
    free(f->data);
    json_decref(f->header);
    return bytes;
}

/* -- the model in its forms -------------------------------------------------- */

enum form { PACKED, MASTERS, PLAIN };

static const char *const hf_parts[PARTS] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                            "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};
static const char *const gguf_parts[PARTS] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up",
                                              "ffn_down"};
static const struct {
    const char *hf, *gguf;
} norms[] = {{"input_layernorm", "attn_norm"}, {"post_attention_layernorm", "ffn_norm"},
             {"self_attn.attn_sub_norm", "attn_sub_norm"}, {"mlp.ffn_sub_norm", "ffn_sub_norm"}};

static const struct tri_tensor *original(int layer, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    const struct tri_tensor *t = tri_gguf_tensor(tales, full);
    assert_non_null(t);
    return t;
}

/* [rows][k]; what they are worth in *scale. */
static int8_t *trits_of(const struct tri_tensor *t, float *scale)
{
    struct tri_error e;
    struct tri_ternary w;
    int8_t *trits = malloc((size_t)(t->ne[0] * t->ne[1]));
    assert_int_equal(tri_ternary_read(&w, t, &e), TRI_OK);
    assert_int_equal(w.scaling, TRI_PER_TENSOR);
    tri_ternary_scales(&w, 0, scale);
    for (int64_t row = 0; row < t->ne[1]; row++)
        assert_int_equal(tri_ternary_row(&w, row, trits + row * t->ne[0], &e), TRI_OK);
    return trits;
}

static json_t *shape(int64_t rows, int64_t columns)
{
    return json_pack("[I,I]", (json_int_t)rows, (json_int_t)columns);
}

/* Rows r, r + R, r + 2R, r + 3R in a byte, the first in its lowest bits. */
static void put_packed(struct file *f, const char *name, const int8_t *trits, int64_t rows, int64_t k, float factor)
{
    char scale[160];
    uint8_t *bytes = calloc((size_t)(rows / 4 * k), 1);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < k; i++)
            bytes[row % (rows / 4) * k + i] |= (uint8_t)((trits[row * k + i] + 1) << 2 * (row / (rows / 4)));
    put_tensor(f, name, "U8", shape(rows / 4, k), bytes, (size_t)(rows / 4 * k));
    snprintf(scale, sizeof scale, "%s_scale", name);
    put_tensor(f, scale, "F32", json_pack("[i]", 1), &factor, sizeof factor);
    free(bytes);
}

/* Of one magnitude: for masters such that the absolute mean is the scale. */
static void put_floats(struct file *f, const char *name, const int8_t *trits, int64_t rows, int64_t k, float scale,
                       bool master)
{
    const int64_t n = rows * k;
    int64_t nonzero = 0;
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        nonzero += trits[i] != 0;
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)trits[i] * scale * (master ? (float)n / (float)nonzero : 1);
    put_tensor(f, name, "F32", shape(rows, k), values, (size_t)n * sizeof *values);
    free(values);
}

static void put_part(struct file *f, const char *prefix, int layer, int part, enum form form, bool divides)
{
    char name[128];
    float scale;
    const struct tri_tensor *t = original(layer, gguf_parts[part]);
    int8_t *trits = trits_of(t, &scale);
    snprintf(name, sizeof name, "%slayers.%d.%s.weight", prefix, layer, hf_parts[part]);
    if (form == PACKED)
        put_packed(f, name, trits, t->ne[1], t->ne[0], divides ? 1 / scale : scale);
    else
        put_floats(f, name, trits, t->ne[1], t->ne[0], scale, form == MASTERS);
    free(trits);
}

static void put_norm(struct file *f, const char *prefix, const char *hf, const struct tri_tensor *t)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s.weight", prefix, hf);
    put_tensor(f, name, "F32", json_pack("[I]", (json_int_t)t->ne[0]), t->data, t->bytes);
}

static void put_layer(struct file *f, const char *prefix, int layer, enum form form, bool divides, int norm_count)
{
    char name[128];
    for (int i = 0; i < PARTS; i++)
        put_part(f, prefix, layer, i, form, divides);
    for (int i = 0; i < norm_count; i++) {
        snprintf(name, sizeof name, "layers.%d.%s", layer, norms[i].hf);
        put_norm(f, prefix, name, original(layer, norms[i].gguf));
    }
}

static void put_ends(struct file *f, const char *prefix)
{
    char name[128];
    const struct tri_tensor *t = tri_gguf_tensor(tales, "token_embd.weight");
    snprintf(name, sizeof name, "%sembed_tokens.weight", prefix);
    put_tensor(f, name, "F16", shape(t->ne[1], t->ne[0]), t->data, t->bytes);
    put_norm(f, prefix, "norm", tri_gguf_tensor(tales, "output_norm.weight"));
}

static uint8_t *make_weights(enum form form, bool divides, size_t *size)
{
    struct file f = new_file();
    put_ends(&f, "model.");
    for (int i = 0; i < LAYERS; i++)
        put_layer(&f, "model.", i, form, divides, 4);
    put_tensor(&f, "model.layers.0.self_attn.rotary_emb.inv_freq", "F32", json_pack("[i]", 1), "abcd", 4);
    put_tensor(&f, "lm_head.weight", "U8", json_pack("[i]", 1), "a", 1); /* tied: nobody looks at it */
    return finish(&f, size);
}

/* -- config.json --------------------------------------------------------------- */

#define SIZES                                                                                                    \
    "\"num_hidden_layers\":6,\"max_position_embeddings\":512,\"hidden_size\":256,\"intermediate_size\":1024,"    \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":4096,\"rms_norm_eps\":1e-05,"            \
    "\"eos_token_id\":[4095,4094],\"bos_token_id\":4094,\"rope_scaling\":null,"
#define BITNET(more) "{" SIZES "\"architectures\":[\"BitNetForCausalLM\"],\"hidden_act\":\"relu2\"," \
    "\"tie_word_embeddings\":true" more "}"
#define QUANTIZED(more) ",\"quantization_config\":{\"quant_method\":\"bitnet\"" more "}"

static struct tri_gguf *read_model(const char *config, const uint8_t *bytes, size_t size, struct tri_error *e)
{
    const struct tri_text texts[TRI_HF_TEXTS] = {[TRI_HF_CONFIG] = {config, strlen(config)}};
    struct tri_safetensors *s = tri_safetensors_read(bytes, size, "memory", e);
    if (!s)
        fail_msg("%s", e->text);
    struct tri_gguf *g = tri_huggingface_read("/some/where/tales", texts, s, e);
    tri_safetensors_close(s);
    return g;
}

static struct tri_gguf *must_read(const char *config, const uint8_t *bytes, size_t size)
{
    struct tri_error e;
    struct tri_gguf *g = read_model(config, bytes, size, &e);
    if (!g)
        fail_msg("%s", e.text);
    return g;
}

/* -- the same model ------------------------------------------------------------ */

static void expect_part(const struct tri_gguf *g, const struct tri_tensor *t)
{
    float scale, expected_scale;
    const struct tri_tensor *found = tri_gguf_tensor(g, t->name);
    assert_non_null(found);
    assert_true(found->ne[0] == t->ne[0] && found->ne[1] == t->ne[1]);
    int8_t *expected = trits_of(t, &expected_scale), *trits = trits_of(found, &scale);
    assert_memory_equal(trits, expected, (size_t)(t->ne[0] * t->ne[1]));
    assert_true(fabsf(scale / expected_scale - 1) < 1e-6f);
    free(expected);
    free(trits);
}

static void expect_tales(const struct tri_gguf *g)
{
    struct tri_error e;
    struct tri_config c, expected;
    assert_int_equal(tri_config_read(g, &c, &e), TRI_OK);
    assert_int_equal(tri_config_read(tales, &expected, &e), TRI_OK);
    assert_memory_equal(&c, &expected, sizeof c);
    assert_int_equal(tri_gguf_tensor_count(g), tri_gguf_tensor_count(tales));
    for (size_t i = 0; i < tri_gguf_tensor_count(tales); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(tales, i), *found = tri_gguf_tensor(g, t->name);
        if (t->encoding->ternary)
            expect_part(g, t);
        else
            assert_true(found && found->bytes == t->bytes && memcmp(found->data, t->data, t->bytes) == 0);
    }
}

static void every_form_is_the_same_model(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        enum form form;
        bool divides;
    } cases[] = {
        {BITNET(QUANTIZED("")), PACKED, true},
        {BITNET(QUANTIZED(",\"linear_class\":\"bitlinear\"")), PACKED, true},
        {BITNET(QUANTIZED(",\"linear_class\":\"autobitlinear\",\"quantization_mode\":\"offline\"")), PACKED, false},
        {BITNET(QUANTIZED(",\"linear_class\":\"autobitlinear\",\"quantization_mode\":\"online\"")), MASTERS, false},
        {BITNET(""), MASTERS, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *bytes = make_weights(cases[i].form, cases[i].divides, &size);
        struct tri_gguf *g = must_read(cases[i].config, bytes, size);
        expect_tales(g);
        tri_gguf_close(g);
        free(bytes);
    }
}

static void keys_come_from_the_configuration(void **state)
{
    (void)state;
    struct tri_error e;
    struct tri_text name;
    uint64_t id;
    size_t size;
    uint8_t *bytes = make_weights(PACKED, true, &size);
    struct tri_gguf *g = must_read(BITNET(QUANTIZED("")), bytes, size);
    assert_int_equal(tri_gguf_text(g, "general.name", &name, &e), TRI_OK);
    assert_true(name.size == 5 && memcmp(name.at, "tales", 5) == 0);
    assert_int_equal(tri_gguf_uint(g, "tokenizer.ggml.eos_token_id", &id, &e), TRI_OK);
    assert_int_equal(id, 4095);
    assert_int_equal(tri_gguf_uint(g, "tokenizer.ggml.eot_token_id", &id, &e), TRI_OK);
    assert_int_equal(id, 4094);
    tri_gguf_close(g);
    free(bytes);
}

/* -- Llama: pairs of the rotary embedding --------------------------------------- */

#define LLAMA(more) "{" SIZES "\"architectures\":[\"LlamaForCausalLM\"],\"hidden_act\":\"silu\"" more "}"

static uint8_t *make_llama(enum form form, size_t *size)
{
    struct file f = new_file();
    const struct tri_tensor *t = tri_gguf_tensor(tales, "token_embd.weight");
    put_ends(&f, "model.");
    put_tensor(&f, "lm_head.weight", "F16", shape(t->ne[1], t->ne[0]), t->data, t->bytes);
    for (int i = 0; i < LAYERS; i++)
        put_layer(&f, "model.", i, form, true, 2);
    return finish(&f, size);
}

/* Row 2i of a head of `llama` is what Hugging Face stores as row i, row 2i + 1 as row i + half. */
static void expect_pairs(const struct tri_gguf *g, const char *part)
{
    float scale;
    char name[64];
    const struct tri_tensor *t = original(3, part);
    const size_t k = (size_t)t->ne[0];
    snprintf(name, sizeof name, "blk.3.%s.weight", part);
    int8_t *stored = trits_of(t, &scale), *rows = trits_of(tri_gguf_tensor(g, name), &scale);
    for (size_t row = 0; row < (size_t)t->ne[1]; row++) {
        const size_t at = row % HEAD, from = row - at + at / 2 + (at % 2 ? HEAD / 2 : 0);
        assert_memory_equal(rows + row * k, stored + from * k, k);
    }
    free(stored);
    free(rows);
}

static void llama_pairs_neighbours(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t size;
        uint8_t *bytes = make_llama(i ? PLAIN : PACKED, &size);
        struct tri_gguf *g = must_read(i ? LLAMA("") : LLAMA(QUANTIZED("")), bytes, size);
        expect_pairs(g, "attn_q");
        expect_pairs(g, "attn_k");
        expect_part(g, original(5, "attn_v"));
        assert_non_null(tri_gguf_tensor(g, "output.weight"));
        tri_gguf_close(g);
        free(bytes);
    }
}

/* A short head's frequencies: the fastest as they are, the slowest divided by the factor. */
static void llama3_stretches_frequencies(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make_llama(PACKED, &size);
    struct tri_gguf *g = must_read(
        LLAMA(QUANTIZED("") ",\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":500000.0,\"factor\":8.0,"
              "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192}"),
        bytes, size);
    const struct tri_tensor *t = tri_gguf_tensor(g, "rope_freqs.weight");
    assert_non_null(t);
    assert_int_equal(t->ne[0], HEAD / 2);
    const float *divisors = (const float *)(const void *)t->data;
    assert_true(divisors[0] == 1 && divisors[HEAD / 2 - 1] == 8);
    for (int i = 1; i < HEAD / 2; i++)
        assert_true(divisors[i] >= divisors[i - 1]);
    tri_gguf_close(g);
    free(bytes);
}

/* -- Gemma and Qwen ------------------------------------------------------------- */

/* Norms are stored less 1, but for those of projections; names have no "model." in front. */
static void gemma_norms_gain_one(void **state)
{
    (void)state;
    static const struct {
        const char *hf, *gguf;
        float first;
    } expected[] = {
        {"layers.0.input_layernorm", "blk.0.attn_norm.weight", 1.5f},
        {"layers.0.post_attention_layernorm", "blk.0.post_attention_norm.weight", 1.5f},
        {"layers.0.pre_feedforward_layernorm", "blk.0.ffn_norm.weight", 1.5f},
        {"layers.0.post_feedforward_layernorm", "blk.0.post_ffw_norm.weight", 1.5f},
        {"layers.0.self_attn.q_norm", "blk.0.attn_q_norm.weight", 1.5f},
        {"layers.0.self_attn.q_proj.norm", "blk.0.attn_q_norm_in.weight", 0.5f},
        {"norm", "output_norm.weight", 1.5f},
    };
    const uint16_t half[] = {0x3F00, 0x4000}; /* bf16 0.5 and 2 */
    const int count = sizeof expected / sizeof expected[0];
    char name[128];
    size_t size;
    struct file f = new_file();
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s.weight", expected[i].hf);
        put_tensor(&f, name, "BF16", json_pack("[i]", 2), half, sizeof half);
    }
    uint8_t *bytes = finish(&f, &size);
    struct tri_gguf *g = must_read("{" SIZES "\"architectures\":[\"Gemma3TextModel\"],\"sliding_window\":512,"
                                   "\"query_pre_attn_scalar\":64,\"hidden_activation\":\"gelu_pytorch_tanh\","
                                   "\"rope_theta\":1e6,\"rope_local_base_freq\":10000}", bytes, size);
    for (int i = 0; i < count; i++) {
        const struct tri_tensor *t = tri_gguf_tensor(g, expected[i].gguf);
        float values[2];
        assert_non_null(t);
        memcpy(values, t->data, sizeof values);
        assert_true(values[0] == expected[i].first && values[1] == expected[i].first + 1.5f);
    }
    assert_non_null(tri_gguf_find(g, "gemma3.attention.sliding_window"));
    tri_gguf_close(g);
    free(bytes);
}

/* -- what is refused ------------------------------------------------------------ */

static void refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *reason;
    } cases[] = {
        {"{\"architectures\":[\"GPT2LMHeadModel\"]}", "\"architectures\": expected one of BitNetForCausalLM"},
        {BITNET(",\"hidden_size\":256"), "duplicate"},
        {BITNET(QUANTIZED(",\"use_rms_norm\":true")), "\"use_rms_norm\""},
        {BITNET(QUANTIZED(",\"linear_class\":\"other\"")), "\"linear_class\": expected bitlinear or autobitlinear"},
        {BITNET(QUANTIZED(",\"quantization_mode\":\"never\"")), "\"quantization_mode\""},
        {BITNET(",\"quantization_config\":{\"quant_method\":\"gptq\"}"), "\"quantization_config\""},
        {BITNET(",\"attention_bias\":true"), "\"attention_bias\""},
        {BITNET(",\"partial_rotary_factor\":0.5"), "\"partial_rotary_factor\""},
        {BITNET(",\"rope_parameters\":{\"rope_type\":\"longrope\"}"), "rope_type of default, linear, yarn or llama3"},
        {BITNET(",\"rope_theta\":-1"), "\"rope_theta\": expected a number above 0, found -1"},
        {BITNET(",\"head_dim\":64.0"), "\"head_dim\": expected a whole number"},
        {BITNET(",\"head_dim\":2147483647,\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":8,"
                "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}"),
         "expected heads of at most 1024"},
        {LLAMA(",\"hidden_activation\":\"relu2\""), "\"hidden_activation\": expected silu"},
        {"[]", "/some/where/tales/config.json"},
        {LLAMA(QUANTIZED("")), "expected a tensor lm_head.weight"},
    };
    const uint16_t one = 0x3F80;
    size_t size;
    struct file f = new_file();
    put_tensor(&f, "model.norm.weight", "BF16", json_pack("[i]", 1), &one, sizeof one);
    uint8_t *bytes = finish(&f, &size);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tri_error e;
        struct tri_gguf *g = read_model(cases[i].config, bytes, size, &e);
        if (g || !strstr(e.text, cases[i].reason))
            fail_msg("%s: expected \"%s\", found \"%s\"", cases[i].config, cases[i].reason, g ? "a model" : e.text);
    }
    free(bytes);
}

/* One tensor of a model, and why it is no such tensor. */
static void strange_tensors_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *dtype;
        int rows, columns, bytes;
        const char *reason;
    } cases[] = {
        {"model.layers.0.mlp.up_proj.weight", "U8", 2, 4, 8, "_scale behind it"},
        {"model.layers.0.mlp.up_proj.weight", "I32", 1, 2, 8, "expected F32, F16 or BF16"},
        {"model.layers.0.mlp.up_proj.bias", "F32", 1, 2, 8, "would give wrong results"},
        {"model.layers.0.mlp.up_proj.rms_norm.weight", "F32", 1, 2, 8, "use_rms_norm"},
        {"model.layers.x.mlp.up_proj.weight", "F32", 1, 2, 8, "would give wrong results"},
        {"model.layers.0.mlp.up_proj.weight", "F32", 0, 2, 0, "dimension 1 is 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tri_error e;
        size_t size;
        struct file f = new_file();
        put_tensor(&f, cases[i].name, cases[i].dtype, shape(cases[i].rows, cases[i].columns), "abcdefgh",
                   (size_t)cases[i].bytes);
        uint8_t *bytes = finish(&f, &size);
        struct tri_gguf *g = read_model(BITNET(""), bytes, size, &e);
        if (g || !strstr(e.text, cases[i].reason))
            fail_msg("%s: expected \"%s\", found \"%s\"", cases[i].name, cases[i].reason, g ? "a model" : e.text);
        free(bytes);
    }
}

/* -- folders --------------------------------------------------------------------- */

static char directory[] = "/tmp/tritune-hf-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void put_file(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* The first half of the layers in one file, the second in another, and the index of both. */
static void put_parts(void)
{
    json_t *map = json_object(), *index = json_pack("{s:o}", "weight_map", map);
    for (int part = 0; part < 2; part++) {
        char name[64];
        const char *tensor;
        json_t *value;
        size_t size;
        struct file f = new_file();
        snprintf(name, sizeof name, "model-%05d-of-00002.safetensors", part + 1);
        for (int i = 0; i < LAYERS / 2; i++)
            put_layer(&f, "model.", part * LAYERS / 2 + i, PACKED, true, 4);
        if (part == 1)
            put_ends(&f, "model.");
        json_object_foreach(f.header, tensor, value)
            json_object_set_new(map, tensor, json_string(name));
        uint8_t *bytes = finish(&f, &size);
        put_file(name, bytes, size);
        free(bytes);
    }
    assert_int_equal(json_dump_file(index, path_of("model.safetensors.index.json"), 0), 0);
    json_decref(index);
}

static void folders_and_files_in_them(void **state)
{
    (void)state;
    static const char *const names[] = {"", "model.safetensors.index.json", "model-00002-of-00002.safetensors"};
    static const char config[] = BITNET(QUANTIZED(""));
    struct tri_error e;
    put_file("config.json", config, strlen(config));
    put_parts();
    for (int i = 0; i < 3; i++) {
        struct tri_gguf *g = tri_checkpoint_open(path_of(names[i]), &e);
        if (!g)
            fail_msg("%s: %s", names[i], e.text);
        expect_tales(g);
        tri_gguf_close(g);
    }
    unlink(path_of("config.json"));
    assert_null(tri_checkpoint_open(path_of(""), &e));
    assert_non_null(strstr(e.text, "config.json: cannot be opened"));
    unlink(path_of(names[1]));
    unlink(path_of(names[2]));
    unlink(path_of("model-00001-of-00002.safetensors"));
    assert_null(tri_checkpoint_open(path_of(""), &e));
    assert_non_null(strstr(e.text, "a folder without these"));
    put_file("pytorch_model.bin", "PK\3\4", 4);
    assert_null(tri_checkpoint_open(path_of(""), &e));
    assert_int_equal(e.status, TRI_UNSUPPORTED);
    assert_non_null(strstr(e.text, "save_pretrained"));
    unlink(path_of("pytorch_model.bin"));
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* -- the model as it was trained ---------------------------------------------------- */

static void masters_are_the_trained_model(void **state)
{
    (void)state;
    struct stat st;
    struct tri_error e;
    if (stat("../shared/model/hf", &st) != 0) {
        print_message("           skipped: ../shared/model/hf is not there\n");
        skip();
    }
    struct tri_gguf *g = tri_checkpoint_open("../shared/model/hf", &e);
    if (!g)
        fail_msg("%s", e.text);
    for (int layer = 0; layer < LAYERS; layer++)
        for (int part = 0; part < PARTS; part++)
            expect_part(g, original(layer, gguf_parts[part]));
    tri_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_the_same_model),
        cmocka_unit_test(keys_come_from_the_configuration),
        cmocka_unit_test(llama_pairs_neighbours),
        cmocka_unit_test(llama3_stretches_frequencies),
        cmocka_unit_test(gemma_norms_gain_one),
        cmocka_unit_test(refused_by_name),
        cmocka_unit_test(strange_tensors_are_refused),
        cmocka_unit_test_setup_teardown(folders_and_files_in_them, make_directory, remove_directory),
        cmocka_unit_test(masters_are_the_trained_model),
    };
    return cmocka_run_group_tests(tests, open_tales, close_tales);
}
