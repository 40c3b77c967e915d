/* tritune: ternary language models on CPUs, at the speed of the CPU. The functions below are the library's interface;
 * nothing else in it is promised.
 *
 *     #include <tritune.h>
 *
 *     #include <stdio.h>
 *     #include <string.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         const char *path = argc > 1 ? argv[1] : NULL, *prompt = argc > 2 ? argv[2] : "Once upon a time";
 *         struct tri_error e = {0};
 *         struct tri_ids ids = {0};
 *         struct tri_engine *engine = tri_engine_open(path, NULL, &e);
 *         struct tri_session *session = NULL;
 *         struct tri_sampler *sampler = NULL;
 *         const struct tri_sampling greedy = {.temperature = 0};
 *         const float *logits;
 *
 *         if (!engine || !(session = tri_engine_session(engine, 256, TRI_CACHE_F16, TRI_CACHE_F16, &e)) ||
 *             !(sampler = tri_engine_sampler(engine, &greedy, &e)) ||
 *             tri_tokenize(tri_engine_tokenizer(engine), prompt, strlen(prompt), TRI_ADD_SPECIAL, &ids, &e) ||
 *             tri_session_feed(session, ids.at, (int)ids.count, &logits, &e))
 *             fprintf(stderr, "%s\n", e.text);
 *         while (!e.status && tri_session_position(session) < tri_session_context(session)) {
 *             const int32_t id = tri_sampler_next(sampler, logits);
 *             const struct tri_text text = tri_token_bytes(tri_engine_tokenizer(engine), id, false);
 *             if (tri_ends_generation(tri_engine_tokenizer(engine), id))
 *                 break;
 *             fwrite(text.at, 1, text.size, stdout);
 *             tri_sampler_accept(sampler, id);
 *             if (tri_session_feed(session, &id, 1, &logits, &e))
 *                 fprintf(stderr, "%s\n", e.text);
 *         }
 *         tri_ids_free(&ids);
 *         tri_sampler_free(sampler);
 *         tri_session_free(session);
 *         tri_engine_free(engine);
 *         return (int)e.status;
 *     }
 *
 *     cc -I runtime/include example.c build/libtritune.a -ljansson -lpcre2-8 -lpthread -lm
 *
 * Pointers may be NULL only where that is said; every *_free takes NULL and does nothing. What is returned as const
 * belongs to what it was asked of. Generations are freed before their session and sampler, and all of these before
 * their engine.
 *
 * Threads. An engine and its tokenizer serve any number of threads at once; passes of their sessions take turns, each
 * with all of the engine's threads. A session, a batch (with its sessions), a sampler and a
 * generation are one thread's at a time.
 * Opening engines takes turns, too.
 *
 * The same model, tokens and seed give the same bits whatever the instruction set, the number of threads, the way
 * tokens are cut into calls, and what else is in a batch. */
#ifndef TRITUNE_H
#define TRITUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -- errors --------------------------------------------------------------------------------------------- */

enum tri_status { /* the documented exit codes of the command line */
    TRI_OK = 0,
    TRI_FAILED = 1,
    TRI_USAGE = 2,
    TRI_BAD_FILE = 3,
    TRI_UNSUPPORTED = 4,
    TRI_NO_MEMORY = 5,
    TRI_WRONG = 6, /* a verification failed */
    TRI_INTERRUPTED = 130,
};

/* Filled in by what fails, else left alone: what was expected, what was found, where, and what to do. */
struct tri_error {
    enum tri_status status;
    char text[768];
};

/* -- engines: a model made ready to run here -------------------------------------------------------------- */

struct tri_engine;

/* Whether decoding skips rows of up and columns of down that a squared ReLU makes zero. The bits are the same. */
enum tri_ffn {
    TRI_FFN_DENSE,
    TRI_FFN_SPARSE, /* always, whatever it costs */
    TRI_FFN_AUTO,   /* for a layer and token where it is faster; never where memory is short */
};

/* Whether the greatest logits are found by a copy of the output matrix in int8, where no others are wanted. They are the
 * same bits. */
enum tri_head {
    TRI_HEAD_AUTO, /* where the file has more than 8.5 bits a weight, the matrix is large and memory is not short */
    TRI_HEAD_FULL,
    TRI_HEAD_SCREENED, /* always */
};

struct tri_engine_options { /* {0}: the defaults */
    const char *isa;  /* no kernels beyond this instruction set, as the command line's --isa; NULL: the best here */
    int threads;      /* for single tokens, the caller among them, at most 512; 0: as tuned, else one for every core */
    int threads_batch; /* for more tokens at once; 0: as threads, if that is given */
    int ubatch;       /* tokens of a pass, and of a batch, at most, up to 65536; 0: 512 */
    enum tri_ffn ffn;
    enum tri_head head; /* for generations, and sessions that want few logits */
};

/* A model in a GGUF file, or in a safetensors file or folder of Hugging Face (NULL: the one in the library), its
 * tokenizer, and the threads to run it; `o` NULL: defaults. The caller's thread is never pinned. NULL on error:
 * TRI_BAD_FILE and TRI_UNSUPPORTED of the file, TRI_USAGE of an option, TRI_UNSUPPORTED of an instruction set this CPU
 * lacks, TRI_NO_MEMORY, TRI_FAILED if threads cannot be had. */
struct tri_engine *tri_engine_open(const char *path, const struct tri_engine_options *o, struct tri_error *e);
void tri_engine_free(struct tri_engine *engine);

int tri_engine_context(const struct tri_engine *engine);    /* positions the model was made for */
int tri_engine_vocabulary(const struct tri_engine *engine); /* logits of a token; ids are below it */

/* What should be told to whoever runs the engine, as that its tuning is of another CPU, or that a session was made that
 * is longer than tri_engine_context; NULL: nothing. */
const char *tri_engine_notice(const struct tri_engine *engine);

/* -- tokenizers: text to ids and back --------------------------------------------------------------------- */

struct tri_tokenizer;

struct tri_text { /* bytes, not terminated */
    const char *at;
    size_t size;
};

struct tri_ids { /* grows by tri_tokenize; start from {0} */
    int32_t *at;
    size_t count, room;
};

enum {
    TRI_ADD_SPECIAL = 1,   /* bos and eos where the vocabulary asks for them */
    TRI_PARSE_SPECIAL = 2, /* control tokens written in the text become their ids */
};

const struct tri_tokenizer *tri_engine_tokenizer(const struct tri_engine *engine);

/* Appends the ids of text[0..size) to `ids`, which stay as they were on error. The text is bytes: NUL and invalid UTF-8
 * are allowed. */
enum tri_status tri_tokenize(const struct tri_tokenizer *t, const char *text, size_t size, int flags,
                             struct tri_ids *ids, struct tri_error *e);
void tri_ids_free(struct tri_ids *ids);

/* The bytes that a token stands for (may cut a UTF-8 sequence), in place in the tokenizer. Control
 * tokens are empty unless `special`. An id outside the vocabulary gives an empty text. */
struct tri_text tri_token_bytes(const struct tri_tokenizer *t, int32_t id, bool special);

/* The same where the token stands behind another one, or first (before = -1): SentencePiece vocabularies put a space
 * there that was not in the text, which is left out. */
struct tri_text tri_token_bytes_behind(const struct tri_tokenizer *t, int32_t before, int32_t id, bool special);

int32_t tri_vocabulary_size(const struct tri_tokenizer *t);
int32_t tri_bos(const struct tri_tokenizer *t); /* begins a text; -1: none */
bool tri_adds_bos(const struct tri_tokenizer *t);
bool tri_ends_generation(const struct tri_tokenizer *t, int32_t id);

/* Bytes of buf[0..size) that are whole UTF-8 sequences: what a stream may print now, holding back the rest. */
size_t tri_utf8_whole(const char *buf, size_t size);

/* -- sessions: a text, with its keys and values in every layer ---------------------------------------------- */

struct tri_session;

enum tri_cache_type { TRI_CACHE_F32, TRI_CACHE_F16, TRI_CACHE_Q8_0 };

/* With room for `context` positions, 0: as many as the model was made for. */
struct tri_session *tri_engine_session(struct tri_engine *engine, int context, enum tri_cache_type keys,
                                       enum tri_cache_type values, struct tri_error *e);
void tri_session_free(struct tri_session *s);

int tri_session_context(const struct tri_session *s);
int tri_session_position(const struct tri_session *s); /* tokens it holds */

/* Appends `count` tokens. On return *logits points at the [vocabulary] logits of the last one, valid until
 * the next call. TRI_FAILED if the context is too small, TRI_USAGE for an id outside the vocabulary. */
enum tri_status tri_session_feed(struct tri_session *s, const int32_t *ids, int count, const float **logits,
                                 struct tri_error *e);
void tri_session_rewind(struct tri_session *s, int position); /* forgets what lies behind it */

/* Of feeds from here on only the greatest `top` logits are wanted (0: all again, as at first): those are exact, with all
 * that equal the least of them; the others are exact or -INFINITY, as it is faster. */
void tri_session_want(struct tri_session *s, int top);

/* Makes room in a long text: the first `keep` tokens stay, the older half of the others (rounded down) is dropped, and
 * the rest moves up. What moved is computed anew, so that the session is as if it had been fed with just these tokens.
 * TRI_USAGE unless at least two tokens are there behind those kept. Errors while it computes, as of tri_session_feed,
 * leave the session shorter. */
enum tri_status tri_session_shift(struct tri_session *s, int keep, struct tri_error *e);

/* The first `count` positions, 1 to all, to a file, which appears whole or not at all, in place of one that was there.
 * TRI_USAGE for a count out of range, TRI_FAILED if the file cannot be written. */
enum tri_status tri_session_save(const struct tri_session *s, int count, const char *path, struct tri_error *e);

/* Forgets what the session holds, and takes from the file the positions whose tokens are those `ids` begins with, all
 * but the last of ids at most: that is to be fed, for its logits. On error the session is as it was: TRI_BAD_FILE if
 * the file is none of these, is damaged, or comes of another model; TRI_UNSUPPORTED if its version or cache types are
 * others; and what tri_session_feed says of ids. */
enum tri_status tri_session_load(struct tri_session *s, const char *path, const int32_t *ids, int count,
                                 struct tri_error *e);

/* -- batches: several sessions fed together, so that the weights are read once for all ------------------------ */

struct tri_batch;

/* For as many tokens at once as the engine's ubatch. */
struct tri_batch *tri_engine_batch(struct tri_engine *engine, struct tri_error *e);
void tri_batch_free(struct tri_batch *b);

enum tri_logits { TRI_LOGITS_NONE, TRI_LOGITS_LAST, TRI_LOGITS_ALL };

/* Appends tokens to what the session holds and to what was added for it before. The session may be fed, rewound or
 * freed again once the batch has run. Errors leave the batch as it was: TRI_USAGE for a session of another engine, an
 * id outside the vocabulary or a full batch, TRI_FAILED for a full context, TRI_NO_MEMORY for logits. */
enum tri_status tri_batch_add(struct tri_batch *b, struct tri_session *s, const int32_t *ids, int count,
                              enum tri_logits wanted, struct tri_error *e);
int tri_batch_room(const struct tri_batch *b); /* tokens that can be added yet */

/* One pass over all. On error no session has moved; the batch is empty in any case. TRI_USAGE for an empty batch and
 * for a session that moved since its tokens were added; TRI_FAILED if activations overflow, which names the session. */
enum tri_status tri_batch_run(struct tri_batch *b, struct tri_error *e);

/* Logits behind a token of the batch that ran last, tokens counted from 0 as they were added; NULL where none were
 * wanted. Valid until the next add. */
const float *tri_batch_logits(const struct tri_batch *b, int token);

/* -- samplers: the next token from logits ---------------------------------------------------------------------- */

struct tri_sampler;

struct tri_sampling {
    uint32_t seed;        /* 0xFFFFFFFF: from the system */
    float temperature;    /* <= 0: greedy, lowest id on ties */
    int top_k;            /* <= 0: off */
    float top_p, min_p;   /* >= 1 and <= 0: off */
    float repeat_penalty; /* 1 or 0: off */
    int repeat_last_n;    /* tokens that are penalised */
};

/* llama.cpp's: any seed, temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalty of the last 64. */
struct tri_sampling tri_sampling_defaults(void);

struct tri_sampler *tri_engine_sampler(const struct tri_engine *engine, const struct tri_sampling *o,
                                       struct tri_error *e);
void tri_sampler_free(struct tri_sampler *s);
uint32_t tri_sampler_seed(const struct tri_sampler *s); /* the one in use */
void tri_sampler_accept(struct tri_sampler *s, int32_t id); /* prompt tokens too: the penalty window */
int32_t tri_sampler_next(struct tri_sampler *s, const float *logits); /* draws; the caller accepts */

/* How many of the greatest logits decide what is drawn (tri_session_want), whatever was accepted; 0: all. */
int tri_sampler_wants(const struct tri_sampler *s);

/* -- generations: token after token from a session and a sampler, with drafts that change no token -------------- */

struct tri_generation;

struct tri_generation_options {
    int draft;  /* tokens drafted for a pass at most, 0: none; more than 7 are as 7 */
    int tokens; /* that will be drawn at most, so that no draft reaches beyond; < 0: nobody knows */
    bool shift; /* a full context goes on by tri_session_shift, with the first */
    int keep;   /* tokens kept; else it ends the generation */
};

/* The session and the sampler are used, not owned. What the session holds already begins the text: the sampler accepts
 * it, once more perhaps, which does not matter to it. */
struct tri_generation *tri_generation_new(struct tri_session *s, struct tri_sampler *sampler,
                                          const struct tri_generation_options *o, struct tri_error *e);
void tri_generation_free(struct tri_generation *g);

/* Appends tokens of the prompt, before the first is drawn: to the session, the sampler's window, and what drafts are
 * made of. Errors as of tri_session_feed. */
enum tri_status tri_generation_feed(struct tri_generation *g, const int32_t *ids, int count, struct tri_error *e);

/* Whether nothing is left to be drawn: all of options.tokens are, or the context is full and may not be shifted. The
 * last token drawn needs no room in it. */
bool tri_generation_over(const struct tri_generation *g);

/* Draws a token, which the sampler accepts. Not before a feed, nor when it is over. Errors as of tri_session_feed, and
 * of tri_session_shift. The session may hold drafted tokens behind those drawn, until the next call. */
enum tri_status tri_generation_next(struct tri_generation *g, int32_t *id, struct tri_error *e);

/* Of the tokens drafted, those accepted are those that were drawn; dropped are what context shifts left out. */
struct tri_generation_counts {
    int drafted, accepted, dropped;
};
struct tri_generation_counts tri_generation_counts(const struct tri_generation *g);

#ifdef __cplusplus
}
#endif

#endif
