/* Owns: blocks that arenas cut what is asked of them from. */
#include "text/arena.h"

#include <stdlib.h>

struct tri_arena_block {
    struct tri_arena_block *before;
    size_t size;
    max_align_t bytes[];
};

enum { BLOCK = 64 << 10, ALIGNMENT = _Alignof(max_align_t) };

static void *add_block(struct tri_arena *a, size_t size)
{
    size_t room = size > BLOCK ? size : BLOCK;
    struct tri_arena_block *b = malloc(sizeof *b + room);
    if (!b)
        return NULL;
    *b = (struct tri_arena_block){.before = a->last, .size = room};
    a->last = b;
    a->used = size;
    return b->bytes;
}

void *tri_arena_take(struct tri_arena *a, size_t size)
{
    if (size > a->limit - a->taken || a->limit - a->taken - size < ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* never 0 */
    a->taken += size;
    if (!a->last || a->last->size - a->used < size)
        return add_block(a, size);
    void *at = (char *)a->last->bytes + a->used;
    a->used += size;
    return at;
}

void tri_arena_free(struct tri_arena *a)
{
    while (a->last) {
        struct tri_arena_block *before = a->last->before;
        free(a->last);
        a->last = before;
    }
    a->taken = a->used = 0;
}
