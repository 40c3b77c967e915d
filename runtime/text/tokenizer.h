/* Text to token ids and back, from the keys of a GGUF file (which may hold a vocabulary only).
 *
 *     struct tri_tokenizer *t = tri_tokenizer_new(gguf, &e);
 *     struct tri_ids ids = {0};
 *     if (tri_tokenize(t, text, strlen(text), TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL, &ids, &e) != TRI_OK) ...
 *     tri_ids_free(&ids);
 *     tri_tokenizer_free(t);
 *
 * Byte-level BPE (`tokenizer.ggml.model` = gpt2). Thread-safe once made. */
#ifndef TRI_TOKENIZER_H
#define TRI_TOKENIZER_H

#include "base/error.h"
#include "file/gguf.h"

#include <stddef.h>
#include <stdint.h>

struct tri_tokenizer;

struct tri_ids { /* grows by tri_tokenize; start from {0} */
    int32_t *at;
    size_t count, room;
};

enum {
    TRI_ADD_SPECIAL = 1,   /* bos and eos where the vocabulary asks for them */
    TRI_PARSE_SPECIAL = 2, /* control tokens written in the text become their ids */
};

/* `g` must outlive the tokenizer. A missing or unknown pre-tokenizer name is resolved as formats.md 5.3
 * says; tri_tokenizer_notice then tells what was assumed (NULL: nothing to tell). */
struct tri_tokenizer *tri_tokenizer_new(const struct tri_gguf *g, struct tri_error *e);
void tri_tokenizer_free(struct tri_tokenizer *t);
const char *tri_tokenizer_notice(const struct tri_tokenizer *t);

/* Appends the ids of text[0..size) to `ids`. The text is bytes: NUL and invalid UTF-8 are allowed. */
enum tri_status tri_tokenize(const struct tri_tokenizer *t, const char *text, size_t size, int flags,
                             struct tri_ids *ids, struct tri_error *e);
void tri_ids_free(struct tri_ids *ids);

/* The bytes that a token stands for (may cut a UTF-8 sequence), in place in the tokenizer. Control
 * tokens are empty unless `special`. An id outside the vocabulary gives an empty text. */
struct tri_text tri_token_bytes(const struct tri_tokenizer *t, int32_t id, bool special);

int32_t tri_vocabulary_size(const struct tri_tokenizer *t);
int32_t tri_bos(const struct tri_tokenizer *t);      /* -1: none */
bool tri_adds_bos(const struct tri_tokenizer *t);
bool tri_ends_generation(const struct tri_tokenizer *t, int32_t id); /* formats.md 5.1 */

/* Bytes of buf[0..size) that are whole UTF-8 sequences: what a stream may print now, holding back the rest. */
size_t tri_utf8_whole(const char *buf, size_t size);

#endif
