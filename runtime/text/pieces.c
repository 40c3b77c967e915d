/* Owns: the table of pieces, of a fixed size: a newer piece takes the place of an older one. */
#include "text/pieces.h"

#include "text/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 12, WORTHWHILE = 1 << 14 }; /* 128 KiB, for texts from 16 KiB */

void tri_pieces_begin(struct tri_pieces *p, size_t size, uint64_t seed)
{
    *p = (struct tri_pieces){.seed = seed};
    if (size >= WORTHWHILE)
        p->slot = calloc(SLOTS, sizeof *p->slot); /* only speed depends on it */
}

void tri_pieces_end(struct tri_pieces *p)
{
    free(p->slot);
}

struct tri_piece *tri_pieces_slot(const struct tri_pieces *p, const char *at, size_t size)
{
    if (!p->slot || size > TRI_LONGEST_PIECE)
        return NULL;
    return &p->slot[tri_hash(p->seed, at, size) % SLOTS];
}

bool tri_piece_is(const struct tri_piece *p, const char *at, size_t size)
{
    return p->at && p->size == size && !memcmp(p->at, at, size);
}
