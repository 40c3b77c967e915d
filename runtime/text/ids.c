/* Owns: the list of ids and its growth. */
#include "text/ids.h"

#include <stdlib.h>

static enum tri_status grow(struct tri_ids *ids, struct tri_error *e)
{
    size_t room = ids->room ? ids->room : 32, bytes;
    int32_t *at = NULL;
    if (!__builtin_mul_overflow(room, 2 * sizeof *at, &bytes))
        at = realloc(ids->at, bytes);
    if (!at)
        return tri_fail(e, TRI_NO_MEMORY,
                        "tokens: no memory for more than %zu ids; use a shorter text", ids->count);
    ids->at = at;
    ids->room = 2 * room;
    return TRI_OK;
}

enum tri_status tri_ids_add(struct tri_ids *ids, int32_t id, struct tri_error *e)
{
    if (ids->count == ids->room && grow(ids, e) != TRI_OK)
        return e->status;
    ids->at[ids->count++] = id;
    return TRI_OK;
}

enum tri_status tri_ids_repeat(struct tri_ids *ids, size_t first, size_t count, struct tri_error *e)
{
    for (size_t i = 0; i < count; i++)
        if (tri_ids_add(ids, ids->at[first + i], e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

void tri_ids_free(struct tri_ids *ids)
{
    free(ids->at);
    *ids = (struct tri_ids){0};
}
