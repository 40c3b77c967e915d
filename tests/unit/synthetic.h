/* Small random models as GGUF files in memory, whole or with one thing wrong.
 *
 *     struct synthetic m = SYNTHETIC;
 *     m.arch = "llama";
 *     struct bytes file = synthetic_file(&m);      free(file.at) after use */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include "file/gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct synthetic {
    const char *arch;
    int layers, hidden, ffn, heads, kv_heads, head_dim, rope_dims, vocab, context;
    bool sub_norms, own_head;
    int idle; /* of 100 rows of ffn_gate those that are zeros, of a hidden size that is a multiple of 128 */
    uint32_t embedding; /* and head: 0: F32, 1: F16, 30: BF16, 2: Q4_0, 8: Q8_0, 12: Q4_K, 14: Q6_K, 36: I2_S */
    /* what is wrong, by name of a key (without the architecture) or tensor */
    const char *drop;
    const char *key; /* with this value instead */
    double value;
    const char *text;    /* a text key: general.architecture or rope.scaling.type */
    const char *taller;  /* a tensor with twice the rows */
    const char *retyped; /* a ternary tensor as F32 */
    const char *extra;   /* a tensor nobody knows */
    const char *spoilt;  /* a tensor whose last float is infinite */
    const char *scale;   /* a tensor of one value, 0.25 */
    const char *further; /* one more number */
    double further_value;
    bool further_real; /* it is a float */
    int tokens; /* of a SentencePiece vocabulary, all of them empty; 0: none */
};

/* Odd sizes on purpose: no column count is a multiple of 64, and heads are no power of two. */
#define SYNTHETIC                                                                                  \
    {                                                                                              \
        .arch = "bitnet-b1.58", .layers = 2, .hidden = 96, .ffn = 160, .heads = 8, .kv_heads = 4,  \
        .head_dim = 12, .rope_dims = 12, .vocab = 70, .context = 600, .sub_norms = true,           \
        .embedding = 1                                                                             \
    }

struct bytes {
    uint8_t *at;
    size_t count, room;
};

static inline void put(struct bytes *b, const void *from, size_t count)
{
    while (b->count + count > b->room)
        b->at = realloc(b->at, b->room = 2 * b->room + count);
    memcpy(b->at + b->count, from, count);
    b->count += count;
}

static inline void put_u32(struct bytes *b, uint32_t v)
{
    put(b, &v, sizeof v);
}

static inline void put_u64(struct bytes *b, uint64_t v)
{
    put(b, &v, sizeof v);
}

static inline void put_text(struct bytes *b, const char *text)
{
    put_u64(b, strlen(text));
    put(b, text, strlen(text));
}

static inline void pad(struct bytes *b)
{
    while (b->count % 32)
        put(b, "", 1);
}

/* -- random numbers ---------------------------------------------------- */

static inline uint32_t any(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static inline float any_float(uint64_t *state, float from, float to)
{
    return from + (to - from) * ((float)(any(state) & 0xFFFF) / 65536.0f);
}

/* -- the file ---------------------------------------------------------- */

struct writer {
    const struct synthetic *m;
    struct bytes keys, infos, data;
    uint64_t key_count, tensor_count, random;
};

static inline bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static inline void key_start(struct writer *w, const char *name, bool of_arch, uint32_t type)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s%s", of_arch ? w->m->arch : "", of_arch ? "." : "", name);
    put_text(&w->keys, full);
    put_u32(&w->keys, type);
    w->key_count++;
}

static inline void number(struct writer *w, const char *name, double value, bool whole)
{
    if (is(w->m->drop, name))
        return;
    value = is(w->m->key, name) ? w->m->value : value;
    float f = (float)value;
    key_start(w, name, true, whole ? TRI_U32 : TRI_F32);
    if (whole)
        put_u32(&w->keys, (uint32_t)value);
    else
        put(&w->keys, &f, sizeof f);
}

static inline void words(struct writer *w, const char *name, bool of_arch, const char *value)
{
    if (is(w->m->drop, name))
        return;
    key_start(w, name, of_arch, TRI_STRING);
    put_text(&w->keys, is(w->m->key, name) ? w->m->text : value);
}

static inline void write_tokens(struct writer *w)
{
    words(w, "tokenizer.ggml.model", false, "llama");
    key_start(w, "tokenizer.ggml.tokens", false, TRI_ARRAY);
    put_u32(&w->keys, TRI_STRING);
    put_u64(&w->keys, (uint64_t)w->m->tokens);
    for (int i = 0; i < w->m->tokens; i++)
        put_text(&w->keys, "");
}

static inline void write_keys(struct writer *w)
{
    const struct synthetic *m = w->m;
    words(w, "general.architecture", false, m->arch);
    number(w, "block_count", m->layers, true);
    number(w, "context_length", m->context, true);
    number(w, "embedding_length", m->hidden, true);
    number(w, "feed_forward_length", m->ffn, true);
    number(w, "attention.head_count", m->heads, true);
    number(w, "attention.head_count_kv", m->kv_heads, true);
    number(w, "attention.key_length", m->head_dim, true);
    number(w, "attention.value_length", m->head_dim, true);
    number(w, "rope.dimension_count", m->rope_dims, true);
    number(w, "vocab_size", m->vocab, true);
    number(w, "attention.layer_norm_rms_epsilon", 1e-5, false);
    number(w, "rope.freq_base", 10000, false);
    words(w, "rope.scaling.type", true, "none");
    if (m->tokens)
        write_tokens(w);
    if (m->further)
        number(w, m->further, m->further_value, !m->further_real);
}

/* A tensor's row in the list, its data to come at the end of `data`. */
static inline void tensor_start(struct writer *w, const char *name, uint64_t k, uint64_t rows,
                                uint32_t type)
{
    pad(&w->data);
    put_text(&w->infos, name);
    put_u32(&w->infos, rows == 1 ? 1 : 2);
    put_u64(&w->infos, k);
    if (rows != 1)
        put_u64(&w->infos, rows);
    put_u32(&w->infos, type);
    put_u64(&w->infos, w->data.count);
    w->tensor_count++;
}

/* Blocks of random codes, with scales that make values of about -1 to 1. */
static inline void random_blocks(struct writer *w, uint32_t type, int64_t count)
{
    const struct tri_encoding *e = tri_encoding_find(type);
    const float scale = 1.0f / (type == 8 ? 127 : type == 2 ? 8 : type == 12 ? 500 : 4000), least = 1.0f / 63;
    for (int64_t i = 0; i < count / e->block; i++) {
        uint8_t block[210];
        const uint16_t halves[2] = {tri_f32_to_f16(scale), tri_f32_to_f16(least)};
        for (int j = 0; j < e->block_bytes; j++)
            block[j] = (uint8_t)any(&w->random);
        memcpy(type == 14 ? block + 208 : block, halves, type == 12 ? 4 : 2);
        put(&w->data, block, (size_t)e->block_bytes);
    }
}

static inline void floats(struct writer *w, const char *name, int k, int rows, uint32_t type,
                          float from, float to)
{
    if (is(w->m->drop, name))
        return;
    rows *= is(w->m->taller, name) ? 2 : 1;
    tensor_start(w, name, (uint64_t)k, (uint64_t)rows, type);
    if (tri_encoding_find(type)->block > 1) {
        random_blocks(w, type, (int64_t)k * rows);
        return;
    }
    for (int i = 0; i < k * rows; i++) {
        bool last = is(w->m->spoilt, name) && i == k * rows - 1;
        float f = last ? INFINITY : any_float(&w->random, from, to);
        uint16_t h = type == 1 ? tri_f32_to_f16(f) : tri_f32_to_bf16(f);
        put(&w->data, type ? (void *)&h : (void *)&f, type ? sizeof h : sizeof f);
    }
}

/* I2_S with its scale behind; a third of the trits is zero. */
static inline void trits(struct writer *w, const char *name, int k, int rows)
{
    if (is(w->m->drop, name))
        return;
    if (is(w->m->retyped, name)) {
        floats(w, name, k, rows, 0, -1, 1);
        return;
    }
    rows *= is(w->m->taller, name) ? 2 : 1;
    const int idle = strstr(name, "ffn_gate") ? w->m->idle : 0;
    float tail[8] = {is(w->m->spoilt, name) ? INFINITY
                                            : any_float(&w->random, 0.5f, 1) / sqrtf((float)k)};
    tensor_start(w, name, (uint64_t)k, (uint64_t)rows, 36);
    for (int i = 0; i < k * rows / 4; i++) {
        uint8_t byte = 0;
        for (int j = 0; j < 4; j++)
            byte = (uint8_t)(byte << 2 | any(&w->random) % 3);
        if (i / (k / 4) % 100 < idle)
            byte = 0x55;
        put(&w->data, &byte, 1);
    }
    put(&w->data, tail, sizeof tail);
}

static inline void write_layer(struct writer *w, int i)
{
    const struct synthetic *m = w->m;
    int q = m->heads * m->head_dim, kv = m->kv_heads * m->head_dim;
    const struct {
        const char *name;
        int k, rows; /* rows 0: a norm */
        bool sub;
    } tensors[] = {
        {"attn_norm", m->hidden, 0, false},     {"attn_q", m->hidden, q, false},
        {"attn_k", m->hidden, kv, false},       {"attn_v", m->hidden, kv, false},
        {"attn_sub_norm", q, 0, true},          {"attn_output", q, m->hidden, false},
        {"ffn_norm", m->hidden, 0, false},      {"ffn_gate", m->hidden, m->ffn, false},
        {"ffn_up", m->hidden, m->ffn, false},   {"ffn_sub_norm", m->ffn, 0, true},
        {"ffn_down", m->ffn, m->hidden, false},
    };
    for (size_t t = 0; t < sizeof tensors / sizeof tensors[0]; t++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, tensors[t].name);
        if (tensors[t].sub && !m->sub_norms)
            continue;
        if (tensors[t].rows)
            trits(w, name, tensors[t].k, tensors[t].rows);
        else
            floats(w, name, tensors[t].k, 1, 0, 0.5f, 1.5f);
    }
}

static inline struct bytes synthetic_file(const struct synthetic *m)
{
    struct writer w = {.m = m, .random = 1};
    struct bytes file = {0};
    write_keys(&w);
    if (m->embedding == 36)
        trits(&w, "token_embd.weight", m->hidden, m->vocab);
    else
        floats(&w, "token_embd.weight", m->hidden, m->vocab, m->embedding, -1, 1);
    for (int i = 0; i < m->layers; i++)
        write_layer(&w, i);
    floats(&w, "output_norm.weight", m->hidden, 1, 0, 0.5f, 1.5f);
    if (m->own_head)
        floats(&w, "output.weight", m->hidden, m->vocab, m->embedding, -1, 1);
    if (m->extra)
        floats(&w, m->extra, m->hidden, 1, 0, 0.5f, 1.5f);
    if (m->scale)
        floats(&w, m->scale, 1, 1, 0, 0.25f, 0.25f);
    pad(&w.data);
    put(&file, "GGUF", 4);
    put_u32(&file, 3);
    put_u64(&file, w.tensor_count);
    put_u64(&file, w.key_count);
    put(&file, w.keys.at, w.keys.count);
    put(&file, w.infos.at, w.infos.count);
    pad(&file);
    put(&file, w.data.at, w.data.count);
    free(w.keys.at);
    free(w.infos.at);
    free(w.data.at);
    return file;
}

#endif
