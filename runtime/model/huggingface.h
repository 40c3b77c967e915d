/* Models as Hugging Face's library saves them: a folder of config.json, safetensors files and tokenizer.json, read as
 * the keys and tensors of a GGUF file (formats.md 3 and 4 in the project's documentation).
 *
 *     struct tri_gguf *g = tri_huggingface_open("bitnet-b1.58-2B-4T", &e);
 *     ...
 *     tri_gguf_close(g); */
#ifndef TRI_HUGGINGFACE_H
#define TRI_HUGGINGFACE_H

#include "file/gguf_write.h"
#include "file/safetensors.h"

#include <jansson.h>

/* The texts of a folder beside its weights; only the first must be there. */
enum tri_hf_text {
    TRI_HF_CONFIG, TRI_HF_GENERATION, TRI_HF_TOKENIZER, TRI_HF_TOKENIZER_CONFIG, TRI_HF_TEMPLATE, TRI_HF_TEXTS
};
extern const char *const tri_hf_names[TRI_HF_TEXTS]; /* "config.json" */

/* `path`: the folder, a safetensors file in it, or the index of several. NULL on error. */
struct tri_gguf *tri_huggingface_open(const char *path, struct tri_error *e);

/* The same of texts (those that are not there: at NULL) and weights in memory. `folder` stands in messages, and its
 * last part in general.name. What `s` has mapped is the result's from here on, also on error; `s` itself is not. */
struct tri_gguf *tri_huggingface_read(const char *folder, const struct tri_text texts[TRI_HF_TEXTS],
                                      struct tri_safetensors *s, struct tri_error *e);

/* -- parts: huggingface_config.c, huggingface_tensors.c ----------------------- */

/* What a class of models, `architectures` in config.json, is here. */
struct tri_hf_class {
    const char *name;
    const char *arch;   /* general.architecture; NULL: BitNet's own, by the activation */
    const char *act;    /* hidden_act it must have; NULL: either of BitNet's */
    bool masters;       /* projections that are floats are always master weights */
    bool interleaved;   /* rotary pairs are (2i, 2i + 1) there, so rows of q and k are taken in that order */
    bool gemma;         /* norms are stored less 1; names of Gemma's */
    bool tied;          /* tie_word_embeddings where config.json does not say */
    bool embeds;        /* makes embeddings: no output matrix */
};

struct tri_hf_config {
    const char *folder;
    const struct tri_hf_class *class;
    const char *arch;
    json_t *root;
    const json_t *quantization, *unconverted; /* quantization_config and its modules_to_not_convert; NULL: none */
    uint32_t layers, heads, head_dim;
    bool tied, divides; /* weight_scale divides */
};

/* Checks all that needs no tensor. TRI_UNSUPPORTED names the member of config.json that this program does not follow.
 * `c` may be closed after a failure, too. */
enum tri_status tri_hf_config_read(struct tri_hf_config *c, const char *folder, struct tri_text text,
                                   struct tri_error *e);
void tri_hf_config_close(struct tri_hf_config *c);

/* The keys of the model, and its divisors of the rotary frequencies if it has such: [head_dim / 2], to be freed with
 * free; NULL: none. */
enum tri_status tri_hf_config_keys(const struct tri_hf_config *c, struct tri_gguf_writer *w, float **divisors,
                                   struct tri_error *e);
/* bos, where the tokenizer's own keys, added before, have none, and what ends a text, beside theirs. `generation`: of
 * generation_config.json, or NULL. */
void tri_hf_config_ids(const struct tri_hf_config *c, const json_t *generation, struct tri_gguf_writer *w);
/* Whether quantization_config leaves this module, such as "model.layers.0.mlp.down_proj", as it is. */
bool tri_hf_unconverted(const struct tri_hf_config *c, const char *module);

/* The tensors of `s` under their GGUF names, in `*tensors`, [*count], to be freed with free. Those that must be
 * computed, norms above all, go to the writer, others are where `s` has them. */
struct tri_hf_tensor {
    struct tri_tensor tensor;
    const struct tri_safetensor *from;
    int place; /* in the writer; -1: where it is */
    bool copied, plus_one; /* goes to the writer as it is; else as F32 */
};
enum tri_status tri_hf_tensors(const struct tri_hf_config *c, const struct tri_safetensors *s,
                               struct tri_gguf_writer *w, struct tri_hf_tensor **tensors, size_t *count,
                               struct tri_error *e);
/* After tri_gguf_begin. */
enum tri_status tri_hf_write(const struct tri_hf_tensor *t, struct tri_gguf_writer *w, struct tri_error *e);

#endif
