/* What commands that run a model share: the options -m, -hf, --i2s-layout, -t, -tb, placement, -c, -ub, --isa, -ctk,
 * -ctv, --ffn, --head, --memory, --bits, --activation, and opening it all. */
#ifndef TRI_LOAD_H
#define TRI_LOAD_H

#include "cli/command.h"
#include "engine/session.h"
#include "model/synth.h"
#include "text/tokenizer.h"

struct tri_load {
    /* options, to be filled by tri_parse through TRI_LOAD_OPTIONS */
    const char *model, *hub, *pre, *isa, *cache_k, *cache_v, *ffn, *head, *core_weights, *memory, *bits;
    const char *i2s_layout, *activation;
    const char *strict[TRI_PHASES], *huge; /* "0" or "1"; NULL: as tuned */
    int threads[TRI_PHASES];               /* 0: as tuned */
    int context, ubatch;
    bool offline;
    const struct tri_synth *synth; /* no option: a random model instead of a file, without a tokenizer */
    /* what tri_load_open made */
    struct tri_setting setting; /* tuned, but for what the options say */
    char *pulled; /* the path of what -hf names; then `model`, too */
    struct tri_gguf *gguf;
    struct tri_tokenizer *tokenizer;
    struct tri_pool *pool;
    struct tri_model *weights;
    struct tri_session *session;
};

#define TRI_LOAD_OPTIONS(l)                                                                                  \
    TRI_MODEL_OPTION(l),                                                                                       \
    TRI_PRE_OPTION(l),                                                                                         \
    {"-t", "--threads", TRI_INT, "N", "threads (default: as tuned, else cores)", &(l).threads[TRI_DECODE], 1,  \
     512},                                                                                                     \
    {"-tb", "--threads-batch", TRI_INT, "N", "threads for prompts (default: as -t, if given)",                 \
     &(l).threads[TRI_PROMPT], 1, 512},                                                                        \
    {"-c", "--ctx-size", TRI_INT, "N", "context in tokens (default: the model's)", &(l).context, 0, 1 << 24},  \
    TRI_RUN_OPTIONS(l)

#define TRI_MODEL_OPTION(l)                                                                                  \
    {"-m", "--model", TRI_TEXT, "FILE", "model: GGUF, safetensors, or a folder (default: the embedded one)",  \
     &(l).model, 0, 0},                                                                                        \
    {"-hf", "--hf-repo", TRI_TEXT, "REPO", "the same from a hub, as of `tritune pull`: OWNER/REPO[:FILE]",      \
     &(l).hub, 0, 0},                                                                                          \
    {NULL, "--offline", TRI_FLAG, NULL, "download nothing: what is in the cache, or an error", &(l).offline,  \
     0, 0},                                                                                                    \
    TRI_LAYOUT_OPTION((l).i2s_layout)

#define TRI_LAYOUT_OPTION(layout)                                                                            \
    {NULL, "--i2s-layout", TRI_TEXT, "NAME",                                                                  \
     "of I2_S, which no file says: 128, 64, rows4, sequence or row-tail (default: 128)", &(layout), 0, 0}

#define TRI_PRE_OPTION(l)                                                                                    \
    {NULL, "--pre", TRI_TEXT, "NAME", "pre-tokenizer: llama-bpe, qwen2, gpt-2, ... (default: the file's)", &(l).pre, \
     0, 0}

#define TRI_MEMORY_OPTIONS(l)                                                                                 \
    {NULL, "--memory", TRI_TEXT, "SIZE", "memory for all, in MiB or with K, M, G or T (default: what is available)", \
     &(l).memory, 0, 0},                                                                                       \
    {NULL, "--bits", TRI_TEXT, "TYPE",                                                                        \
     "bits a packed weight takes: 2, 1.6, 1.25 where exactly one of four weights is 0, or auto, as tuned and fits "    \
     "(default: auto)", &(l).bits, 0, 0}

/* What stays where threads and context are the command's own business. */
#define TRI_RUN_OPTIONS(l)                                                                                   \
    {NULL, "--cpu-strict", TRI_TEXT, "0|1", "pin each thread to a CPU (default: as tuned, else 0)",             \
     &(l).strict[TRI_DECODE], 0, 0},                                                                           \
    {NULL, "--cpu-strict-batch", TRI_TEXT, "0|1", "the same for prompts (default: as --cpu-strict, if given)",  \
     &(l).strict[TRI_PROMPT], 0, 0},                                                                           \
    {NULL, "--huge-pages", TRI_TEXT, "0|1", "weights in huge pages (default: as tuned, else 1)", &(l).huge, 0,  \
     0},                                                                                                       \
    {NULL, "--core-weights", TRI_TEXT, "N,N...", "how fast each thread is (default: measured where cores differ)", \
     &(l).core_weights, 0, 0},                                                                                 \
    {"-ub", "--ubatch-size", TRI_INT, "N", "tokens per pass (default: 512)", &(l).ubatch, 1, TRI_MAX_UBATCH},         \
    {"-ctk", "--cache-type-k", TRI_TEXT, "TYPE", "KV cache of keys: f32, f16 or q8_0 (default: f32; of bench f16)",  \
     &(l).cache_k, 0, 0},                                                                                      \
    {"-ctv", "--cache-type-v", TRI_TEXT, "TYPE", "KV cache of values: f32, f16 or q8_0 (the same defaults)",   \
     &(l).cache_v, 0, 0},                                                                                      \
    {NULL, "--ffn", TRI_TEXT, "TYPE", "decode past what ReLU zeroes: dense, sparse or auto (default: dense)",    \
     &(l).ffn, 0, 0},                                                                                          \
    TRI_HEAD_OPTION(l),                                                                                          \
    TRI_MEMORY_OPTIONS(l),                                                                                       \
    {NULL, "--activation", TRI_TEXT, "NAME", "of a BitNet whose file says it wrong: relu2 or silu", &(l).activation, \
     0, 0},                                                                                                      \
    {NULL, "--isa", TRI_TEXT, "NAME", "use no kernels beyond this ISA (also: TRI_ISA)", &(l).isa, 0, 0}

#define TRI_HEAD_OPTION(l)                                                                                   \
    {NULL, "--head", TRI_TEXT, "TYPE", "greatest logits by an int8 copy: auto, full or screened (default: auto)",  \
     &(l).head, 0, 0}

/* The model file only: -m, or -hf, which is downloaded if need be; else embedded. */
enum tri_status tri_load_file(struct tri_load *l, struct tri_error *e);
/* That and its tokenizer, whose notice is printed on stderr. */
enum tri_status tri_load_text(struct tri_load *l, struct tri_error *e);
/* Everything: text (a shape has none), kernels limited by --isa / TRI_ISA with notices on stderr, pool, weights,
 * session. */
enum tri_status tri_load_open(struct tri_load *l, struct tri_error *e);
/* The same without a session. */
enum tri_status tri_load_weights(struct tri_load *l, struct tri_error *e);
/* The outline of the weights alone, for model/traffic.h: neither their memory nor that of a cache is taken. *position:
 * the bytes of keys and values of all layers at one position. */
enum tri_status tri_load_outline(struct tri_load *l, size_t *position, struct tri_error *e);
void tri_load_close(struct tri_load *l);

#endif
