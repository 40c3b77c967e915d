/* Damaged folders of Hugging Face: texts, a byte of zero behind each, then the weights. */
#include "fuzz.h"

#include "model/huggingface.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    struct tri_text texts[TRI_HF_TEXTS] = {{0}};
    for (int i = 0; i < TRI_HF_TEXTS; i++) {
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        const size_t text = end ? (size_t)(end - data) : size;
        if (text > 0)
            texts[i] = (struct tri_text){(const char *)data, text};
        data += text + (end != NULL);
        size -= text + (end != NULL);
    }
    if (!texts[TRI_HF_CONFIG].at)
        return 0;
    struct tri_safetensors *s = tri_safetensors_read(data, size, "fuzz", &e);
    struct tri_gguf *g = s ? tri_huggingface_read("fuzz", texts, s, &e) : NULL;
    if (g)
        fuzz_read_model(g);
    else
        fuzz_expect_reason(&e);
    tri_gguf_close(g);
    tri_safetensors_close(s);
    return 0;
}

/* -- good inputs: a layer of each class, and two small tokenizers ---------------- */

enum { ROOM = 1 << 16 };

struct input {
    uint8_t bytes[ROOM];
    size_t size;
};

static void put(struct input *in, const void *bytes, size_t size)
{
    if (size > ROOM - in->size)
        fuzz_die("too long", "input");
    memcpy(in->bytes + in->size, bytes, size);
    in->size += size;
}

#define SIZES                                                                                                     \
    "\"num_hidden_layers\":1,\"max_position_embeddings\":64,\"hidden_size\":8,\"intermediate_size\":16,"          \
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"vocab_size\":4,\"rms_norm_eps\":1e-05,\"head_dim\":4,"  \
    "\"eos_token_id\":[1,2],\"bos_token_id\":0,\"rope_theta\":500000.0,"

static const char *const configs[] = {
    "{" SIZES "\"architectures\":[\"BitNetForCausalLM\"],\"hidden_act\":\"relu2\",\"tie_word_embeddings\":true,"
    "\"quantization_config\":{\"quant_method\":\"bitnet\",\"linear_class\":\"autobitlinear\","
    "\"quantization_mode\":\"offline\",\"modules_to_not_convert\":[\"lm_head\"]}}",
    "{" SIZES "\"architectures\":[\"LlamaForCausalLM\"],\"hidden_act\":\"silu\",\"tie_word_embeddings\":true,"
    "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
    "\"original_max_position_embeddings\":8192},\"quantization_config\":{\"quant_method\":\"bitnet\"}}",
    "{" SIZES "\"architectures\":[\"Gemma3TextModel\"],\"hidden_activation\":\"gelu_pytorch_tanh\","
    "\"sliding_window\":16,\"layer_types\":[\"sliding_attention\"],\"query_pre_attn_scalar\":4,"
    "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e6},\"sliding_attention\":{\"rope_theta\":1e4}}}",
};

static const char *const tokenizers[] = {
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":3,\"content\":\"<e>\",\"special\":true,\"normalized\":false}],"
    "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
    "{\"Regex\":\"\\\\p{L}+|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
    "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]},\"post_processor\":null,\"decoder\":"
    "{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,"
    "\"ab\":2},\"merges\":[\"a b\"]}}",
    "",
};

static const char tokenizer_config[] =
    "{\"eos_token\":\"<e>\",\"chat_template\":[{\"name\":\"default\",\"template\":\"{{ messages }}\"}]}";

static const struct {
    const char *name, *dtype, *shape;
    int bytes;
} packed[] = {
    {"embed_tokens.weight", "BF16", "[4,8]", 64},
    {"norm.weight", "F32", "[8]", 32},
    {"layers.0.input_layernorm.weight", "F16", "[8]", 16},
    {"layers.0.self_attn.q_proj.weight", "U8", "[2,8]", 16},
    {"layers.0.self_attn.q_proj.weight_scale", "BF16", "[1]", 2},
    {"layers.0.self_attn.k_proj.weight", "BF16", "[4,8]", 64},
    {"layers.0.mlp.down_proj.weight", "F32", "[8,16]", 512},
};
enum { TENSORS = sizeof packed / sizeof packed[0] };

/* Bytes that are 0.5 in bf16, and trits in every code but 3 in packed ones. */
static void put_weights(struct input *in)
{
    char header[4096] = "{";
    int at = 0;
    for (int i = 0; i < TENSORS; i++) {
        snprintf(header + strlen(header), sizeof header - strlen(header),
                 "%s\"model.%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}", i ? "," : "",
                 packed[i].name, packed[i].dtype, packed[i].shape, at, at + packed[i].bytes);
        at += packed[i].bytes;
    }
    strcat(header, "}");
    const uint64_t length = strlen(header);
    put(in, &length, sizeof length);
    put(in, header, length);
    for (int i = 0; i < TENSORS; i++)
        for (int b = 0; b < packed[i].bytes; b++)
            put(in, packed[i].dtype[0] == 'U' ? "\x18" : b % 2 ? "\x3f" : "\0", 1);
}

void fuzz_seeds(void)
{
    static struct input in;
    for (int config = 0; config < 3; config++)
        for (int tokenizer = 0; tokenizer < 2; tokenizer++) {
            in.size = 0;
            put(&in, configs[config], strlen(configs[config]) + 1);
            put(&in, "{\"eos_token_id\":3}", sizeof "{\"eos_token_id\":3}");
            put(&in, tokenizers[tokenizer], strlen(tokenizers[tokenizer]) + 1);
            put(&in, tokenizer_config, sizeof tokenizer_config);
            put(&in, "", 1);
            put_weights(&in);
            fuzz_add(in.bytes, in.size, in.size);
        }
}
