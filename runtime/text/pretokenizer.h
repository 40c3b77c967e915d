/* Pre-tokenizers: regular expressions that cut a text into the pieces that merges never cross.
 *
 *     const struct tri_pretokenizer *p = tri_pretokenizer_find(name);
 *     struct tri_splitter *s = tri_splitter_new(p->expressions, &e);
 *     tri_split(s, text, size, each, arg, &e);       each(arg, piece, bytes, &e), in order
 *     tri_splitter_free(s);
 *
 * The pieces, one after another, are the text, whatever its bytes. Thread-safe once made. */
#ifndef TRI_PRETOKENIZER_H
#define TRI_PRETOKENIZER_H

#include "base/error.h"
#include "file/gguf.h"

enum { TRI_MAX_EXPRESSIONS = 8 };

#define TRI_GPT2_EXPRESSION                                                                                  \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"

/* Keys for what tokenizer.json says and no name does: the expressions, string[], and whether merges are ignored, bool,
 * which win over tokenizer.ggml.pre; and a normalizer, string, which is none or "NFC". */
#define TRI_KEY_EXPRESSIONS   "tritune.tokenizer.patterns"
#define TRI_KEY_IGNORE_MERGES "tritune.tokenizer.ignore_merges"
#define TRI_KEY_NORMALIZER    "tritune.tokenizer.normalizer"

struct tri_pretokenizer {
    const char *names[5]; /* as files spell it; NULL behind the last */
    bool ignore_merges;   /* a piece that is a token is that token, whatever the merges say */
    bool add_bos;         /* unless the file says otherwise */
    /* applied in sequence, as formats.md spells them; NULL behind the last */
    const char *expressions[TRI_MAX_EXPRESSIONS + 1];
};

const struct tri_pretokenizer *tri_pretokenizer_find(struct tri_text name); /* NULL: unknown */

/* The one of exactly these expressions, ended by NULL; NULL: none. */
const char *tri_pretokenizer_name(const char *const *expressions, bool ignore_merges);

void tri_pretokenizer_names(char *text, size_t room); /* "llama-bpe, llama3, ..." */

struct tri_splitter;

/* At most TRI_MAX_EXPRESSIONS expressions, ended by NULL, as expression.h takes them; none: no text is cut. */
struct tri_splitter *tri_splitter_new(const char *const *expressions, struct tri_error *e);
void tri_splitter_free(struct tri_splitter *s);

/* Anything but TRI_OK ends the splitting and becomes its result. */
typedef enum tri_status tri_piece_fn(void *arg, const char *piece, size_t size,
                                     struct tri_error *e);

/* The first expression cuts the text, each further one every piece so far; matches become pieces
 * and so do the gaps between them. Bytes that are not UTF-8 match nothing: each run of them is a
 * piece. */
enum tri_status tri_split(const struct tri_splitter *s, const char *text, size_t size,
                          tri_piece_fn *each, void *arg, struct tri_error *e);

#endif
