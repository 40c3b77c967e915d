/* Byte pair encoding: the bytes of a piece, merged in the order of the file's list. */
#ifndef TRI_BPE_H
#define TRI_BPE_H

#include "text/merge.h"
#include "text/vocabulary.h"

struct tri_bpe {
    struct tri_rules rules; /* of tri_merge: symbols begin as single bytes */
    const struct tri_vocabulary *vocabulary;
    int32_t unknown; /* stands for bytes without a token; -1: they are an error */
    size_t merges;
    int32_t *result;        /* [merges] by rank */
    struct tri_merge *slot; /* hash table: pair of ids -> rank */
    uint64_t mask;
    size_t skipped; /* merges of or into texts that are no tokens: they can never apply */
};

/* tokenizer.ggml.merges. `b` may be freed after a failure, too. */
enum tri_status tri_bpe_read(struct tri_bpe *b, const struct tri_vocabulary *v,
                             struct tri_error *e);
void tri_bpe_free(struct tri_bpe *b);

#endif
