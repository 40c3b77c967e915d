/* Text to token ids and back, from the keys of a GGUF file (which may hold a vocabulary only).
 *
 *     struct tri_tokenizer *t = tri_tokenizer_new(gguf, &e);
 *     struct tri_ids ids = {0};
 *     if (tri_tokenize(t, text, strlen(text), TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL, &ids, &e) != TRI_OK) ...
 *     tri_ids_free(&ids);
 *     tri_tokenizer_free(t);
 *
 * Byte-level BPE (`tokenizer.ggml.model` = gpt2) and SentencePiece's (llama). Thread-safe once made. */
#ifndef TRI_TOKENIZER_H
#define TRI_TOKENIZER_H

#include "base/error.h"
#include "file/gguf.h"

/* `g` must outlive the tokenizer. A missing or unknown pre-tokenizer name is resolved as formats.md 5.3
 * says; tri_tokenizer_notice then tells what was assumed (NULL: nothing to tell). */
struct tri_tokenizer *tri_tokenizer_new(const struct tri_gguf *g, struct tri_error *e);
/* The same with a pre-tokenizer of this name (NULL: the file's), whatever the file says. TRI_USAGE if there is none of
 * the name, or the vocabulary has none. */
struct tri_tokenizer *tri_tokenizer_new_pre(const struct tri_gguf *g, const char *pre, struct tri_error *e);
void tri_tokenizer_free(struct tri_tokenizer *t);
const char *tri_tokenizer_notice(const struct tri_tokenizer *t);

/* TRI_BAD_FILE if there are more tokens than `rows` of an embedding: their ids could not be fed. */
enum tri_status tri_tokenizer_fits(const struct tri_tokenizer *t, int rows, struct tri_error *e);

int32_t tri_eos(const struct tri_tokenizer *t); /* ends a text; -1: none */

/* As tri_tokenize, but with marks of `size` bytes (NULL: all are) a control token becomes its id only where all of its
 * bytes are marked: what others wrote cannot be one, nor a part of one. It is tokenized with what is around it, so that
 * words do not fall apart where the marks change. User-defined tokens are found everywhere, but those of which one is
 * marked only there. */
enum tri_status tri_tokenize_marked(const struct tri_tokenizer *t, const char *text, const unsigned char *own,
                                    size_t size, int flags, struct tri_ids *ids, struct tri_error *e);

/* All else is of the public interface: include/tritune.h. */

#endif
