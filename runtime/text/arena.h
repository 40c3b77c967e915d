/* Memory that is freed all at once, of a bounded size.
 *
 *     struct tri_arena a = {.limit = 1 << 20};
 *     char *at = tri_arena_take(&a, 100);      aligned for any type, NULL if the limit or memory does not allow it
 *     tri_arena_free(&a); */
#ifndef TRI_ARENA_H
#define TRI_ARENA_H

#include <stddef.h>

struct tri_arena {
    size_t limit; /* bytes taken at most */
    size_t taken;
    struct tri_arena_block *last;
    size_t used; /* of its bytes */
};

void *tri_arena_take(struct tri_arena *a, size_t size); /* not zeroed */
void tri_arena_free(struct tri_arena *a);

#endif
