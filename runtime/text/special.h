/* Special tokens: those that are looked for in a text before it is cut into pieces
 * (formats.md 5.2). */
#ifndef TRI_SPECIAL_H
#define TRI_SPECIAL_H

#include "text/vocabulary.h"

struct tri_specials {
    const struct tri_vocabulary *vocabulary;
    int32_t count;
    int32_t *by_text;   /* ids in the order of their bytes, equal texts once */
    int32_t *by_size;   /* indices into by_text, longest text first, then lowest id */
    int32_t first[257]; /* by_text of first byte c: [first[c], first[c + 1]) */
};

/* `s` may be freed after a failure, too. */
enum tri_status tri_specials_find(struct tri_specials *s, const struct tri_vocabulary *v,
                                  struct tri_error *e);
void tri_specials_free(struct tri_specials *s);

struct tri_fragment {
    struct tri_text text;
    int32_t id; /* of the special token; -1: still text */
};

struct tri_fragments {
    struct tri_fragment *at;
    size_t count, room;
};

/* A text as special tokens and what is between them. Each token in turn, the longest first, takes
 * its occurrences from left to right out of what is still text. Without `control` only user-defined
 * tokens take part. With `own`, marks of text.size bytes, control tokens are found only where all of their
 * bytes are marked; of a user-defined token with such an occurrence the same holds. To be freed with
 * tri_fragments_free, also after a failure. */
enum tri_status tri_partition(const struct tri_specials *s, struct tri_text text, bool control,
                              const unsigned char *own, struct tri_fragments *out, struct tri_error *e);
void tri_fragments_free(struct tri_fragments *f);

#endif
