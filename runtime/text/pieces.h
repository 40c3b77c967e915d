/* The pieces of a text that were already made into ids: most of a long text is words that it had before. Nothing is
 * copied, since both the text and the list of its ids stay while it is tokenized. */
#ifndef TRI_PIECES_H
#define TRI_PIECES_H

#include "text/ids.h"

enum { TRI_LONGEST_PIECE = 64 }; /* bytes of those that are kept */

struct tri_piece {
    const char *at; /* in the text; NULL: free */
    uint32_t size, count;
    size_t first; /* its ids in the list: [first, first + count) */
};

struct tri_pieces { /* {0}: keeps none */
    struct tri_piece *slot;
    uint64_t seed;
};

/* For a text of `size` bytes; keeps none if that is short or memory is. */
void tri_pieces_begin(struct tri_pieces *p, size_t size, uint64_t seed);
void tri_pieces_end(struct tri_pieces *p);

/* Where a piece of 1 to TRI_LONGEST_PIECE bytes is kept, another one in its place, or none; NULL: nothing is kept. */
struct tri_piece *tri_pieces_slot(const struct tri_pieces *p, const char *at, size_t size);
bool tri_piece_is(const struct tri_piece *p, const char *at, size_t size);

#endif
