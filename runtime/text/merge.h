/* Merging the symbols of a piece: of all adjacent pairs that may merge the one of lowest rank, the leftmost on ties,
 * until none may. What a symbol is and which pairs merge is the vocabulary's (bpe.h, spm.h). */
#ifndef TRI_MERGE_H
#define TRI_MERGE_H

#include "text/ids.h"

struct tri_symbol {
    int32_t id;
    uint32_t from, size; /* its bytes in the piece */
};

struct tri_pair {
    uint32_t rank; /* TRI_NO_MERGE: it does not merge */
    int32_t result;
};
#define TRI_NO_MERGE UINT32_MAX

struct tri_rules {
    /* The id of the symbol that at[0..size), which is not empty, begins with, and its bytes. */
    enum tri_status (*first)(const struct tri_rules *r, const char *at, size_t size, int32_t *id, uint32_t *bytes,
                             struct tri_error *e);
    struct tri_pair (*pair)(const struct tri_rules *r, const char *piece, const struct tri_symbol *left,
                            const struct tri_symbol *right);
    /* Appends the ids of a symbol that remained. */
    enum tri_status (*emit)(const struct tri_rules *r, const char *piece, const struct tri_symbol *s,
                            struct tri_ids *ids, struct tri_error *e);
};

/* Appends the ids of one piece, which is not empty. Time is n log n, so a piece may be megabytes long. */
enum tri_status tri_merge(const struct tri_rules *r, const char *piece, size_t size, struct tri_ids *ids,
                          struct tri_error *e);

#endif
