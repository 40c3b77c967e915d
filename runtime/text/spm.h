/* SentencePiece vocabularies as `tokenizer.ggml.model` = llama means them (formats.md 5.4): characters, merged into
 * whichever tokens there are, the highest score first; what is no token becomes tokens of its bytes. */
#ifndef TRI_SPM_H
#define TRI_SPM_H

#include "text/merge.h"
#include "text/vocabulary.h"

struct tri_spm {
    struct tri_rules rules;
    const struct tri_vocabulary *vocabulary;
    int32_t unknown;  /* stands for bytes without a token; -1: they are an error */
    bool space_first; /* a text begins with a space, and so does what follows a special token */
    uint32_t *rank;   /* [count] of a token: the higher its score, the lower */
    size_t longest;   /* bytes of a token */
    bool joins[256];  /* some token has a space behind a character that ends in this byte */
};

/* tokenizer.ggml.scores and add_space_prefix. `s` may be freed after a failure, too. */
enum tri_status tri_spm_read(struct tri_spm *s, const struct tri_vocabulary *v, struct tri_error *e);
void tri_spm_free(struct tri_spm *s);

/* Length of the word that at[0..size), size > 0, begins with: up to a space over which no token reaches, so that words
 * are merged each for itself with the same result. */
size_t tri_spm_word(const struct tri_spm *s, const char *at, size_t size);

/* Appends the ids of one word, with a space in front if `space`. */
enum tri_status tri_spm_encode(const struct tri_spm *s, const char *word, size_t size, bool space, struct tri_ids *ids,
                               struct tri_error *e);

#endif
