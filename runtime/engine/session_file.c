/* Owns: the file of a session, so that a prompt need not be computed twice: a header; ids, then keys layer by layer and
 * head by head, then values, each piece with zeros up to a multiple of eight bytes; and the checksum of all that. Numbers
 * are little endian. */
#include "engine/session.h"
#include "base/checksum.h"
#include "base/memory.h"
#include "base/output.h"
#include "engine/forward.h"
#include "model/identity.h"

#include <string.h>

typedef unsigned long long ull; /* for %llu */

enum { VERSION = 1 };
static const char magic[8] = {'t', 'r', 'i', 't', 'u', 'n', 'e', '\n'};

struct header {
    char magic[8];
    uint32_t version, tokens;
    uint32_t keys, values; /* GGUF's numbers of their types */
    uint32_t key_bytes, value_bytes; /* of one position in one layer */
    uint64_t model;
};

/* -- pieces ------------------------------------------------------------ */

struct piece {
    uint8_t *at;
    size_t each; /* bytes of one position */
};

static int pieces(const struct tri_session *s)
{
    return 1 + 2 * s->model->config.layers * s->model->config.kv_heads;
}

static struct piece piece_of(const struct tri_session *s, int i)
{
    const int heads = s->model->config.kv_heads, all = s->model->config.layers * heads, head = (i - 1) % all;
    if (i == 0)
        return (struct piece){(uint8_t *)s->ids, sizeof *s->ids};
    const struct tri_cache *c = i <= all ? &s->keys : &s->values;
    return (struct piece){tri_cache_head(c, head / heads, head % heads), c->row};
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static uint64_t file_bytes(const struct tri_session *s, uint64_t tokens)
{
    uint64_t bytes = sizeof(struct header) + sizeof(uint64_t);
    for (int i = 0; i < pieces(s); i++)
        bytes += padded(tokens * piece_of(s, i).each);
    return bytes;
}

/* -- cache types ------------------------------------------------------- */

static const struct stored {
    uint32_t id;
    const char *name;
} stored[TRI_ROWS_KINDS] = {
    [TRI_ROWS_F32] = {0, "f32"}, [TRI_ROWS_F16] = {1, "f16"}, [TRI_ROWS_Q8_0] = {8, "q8_0"}};

static const char *type_name(uint32_t id)
{
    for (int i = 0; i < TRI_ROWS_KINDS; i++)
        if (stored[i].name && stored[i].id == id)
            return stored[i].name;
    return "of a type unknown here";
}

static enum tri_status header_of(const struct tri_session *s, int tokens, struct header *h, struct tri_error *e)
{
    *h = (struct header){.version = VERSION,
                         .tokens = (uint32_t)tokens,
                         .keys = stored[s->keys.rows].id,
                         .values = stored[s->values.rows].id,
                         .key_bytes = (uint32_t)s->keys.position,
                         .value_bytes = (uint32_t)s->values.position,
                         .model = tri_model_identity(s->model, e)};
    memcpy(h->magic, magic, sizeof magic);
    return h->model ? TRI_OK : e->status;
}

/* -- saving ------------------------------------------------------------ */

struct writing {
    struct tri_output_file *file;
    uint64_t offset, checksum;
};

static enum tri_status put(struct writing *w, const void *bytes, size_t size, struct tri_error *e)
{
    if (tri_output_write(w->file, w->offset, bytes, size, e) != TRI_OK)
        return e->status;
    w->checksum = tri_checksum(w->checksum, bytes, size);
    w->offset += padded(size);
    return TRI_OK;
}

static enum tri_status write_all(const struct tri_session *s, const struct header *h, struct writing *w,
                                 struct tri_error *e)
{
    if (tri_output_reserve(w->file, file_bytes(s, h->tokens), e) != TRI_OK || put(w, h, sizeof *h, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < pieces(s); i++) {
        const struct piece p = piece_of(s, i);
        if (put(w, p.at, h->tokens * p.each, e) != TRI_OK)
            return e->status;
    }
    const uint64_t checksum = w->checksum;
    return put(w, &checksum, sizeof checksum, e) == TRI_OK ? tri_output_commit(w->file, e) : e->status;
}

enum tri_status tri_session_save(const struct tri_session *s, int count, const char *path, struct tri_error *e)
{
    struct header h;
    if (count < 1 || count > s->position)
        return tri_fail(e, TRI_USAGE, "%s: expected 1 to %d positions to save, found %d", path, s->position, count);
    if (header_of(s, count, &h, e) != TRI_OK)
        return e->status;
    struct writing w = {.file = tri_output_open(path, e)};
    if (!w.file)
        return e->status;
    const enum tri_status status = write_all(s, &h, &w, e);
    tri_output_close(w.file);
    return status;
}

/* -- loading ----------------------------------------------------------- */

static enum tri_status check_whole(const struct tri_map *map, const char *path, struct tri_error *e)
{
    struct header h;
    uint64_t checksum;
    if (map->size < sizeof h + sizeof checksum || memcmp(map->data, magic, sizeof magic) != 0)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected a prompt cache written by tritune, found something else", path);
    memcpy(&h, map->data, sizeof h);
    if (h.version != VERSION)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: expected a prompt cache of version %d, found version %u; delete it",
                        path, VERSION, h.version);
    memcpy(&checksum, map->data + map->size - sizeof checksum, sizeof checksum);
    if (tri_checksum(0, map->data, map->size - sizeof checksum) != checksum)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: the prompt cache is damaged or cut short: its %zu bytes do not have the checksum at their "
                        "end; delete it",
                        path, map->size);
    return TRI_OK;
}

static enum tri_status check_type(const char *path, const char *what, const char *option, uint32_t expected,
                                  uint32_t found, struct tri_error *e)
{
    if (expected == found)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED, "%s: expected %s in %s, found %s in the prompt cache; use %s, or another file",
                    path, what, type_name(expected), type_name(found), option);
}

/* Whether the session could have written the file. */
static enum tri_status check_origin(const struct tri_session *s, const struct header *h, uint64_t size,
                                    const char *path, struct tri_error *e)
{
    struct header own;
    if (header_of(s, 0, &own, e) != TRI_OK)
        return e->status;
    if (h->model != own.model)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: expected a prompt cache of this model (%016llx), found one of another (%016llx); give "
                        "another file, or delete it",
                        path, (ull)own.model, (ull)h->model);
    if (check_type(path, "keys", "-ctk", own.keys, h->keys, e) != TRI_OK ||
        check_type(path, "values", "-ctv", own.values, h->values, e) != TRI_OK)
        return e->status;
    const bool alike = h->key_bytes == own.key_bytes && h->value_bytes == own.value_bytes;
    if (!alike || !h->tokens || h->tokens > size || file_bytes(s, h->tokens) != size)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: expected a prompt cache of %u tokens in %llu bytes, found %llu; delete it", path,
                        h->tokens, (ull)file_bytes(s, h->tokens), (ull)size);
    return TRI_OK;
}

/* How many of the file's tokens, `held`, are those that ids begins with; the last of ids does not count. */
static int shared(const uint8_t *tokens, uint32_t held, const int32_t *ids, int count)
{
    int n = 0;
    while (n < count - 1 && (uint32_t)n < held && memcmp(tokens + (size_t)n * sizeof *ids, &ids[n], sizeof *ids) == 0)
        n++;
    return n;
}

static void take_over(struct tri_session *s, const uint8_t *at, uint32_t held, int count)
{
    for (int i = 0; i < pieces(s); i++) {
        const struct piece p = piece_of(s, i);
        memcpy(p.at, at, (size_t)count * p.each);
        at += padded(held * p.each);
    }
    s->position = count;
}

enum tri_status tri_session_load(struct tri_session *s, const char *path, const int32_t *ids, int count,
                                 struct tri_error *e)
{
    struct tri_map map;
    struct header h;
    if (tri_session_check(s, 0, ids, count, e) != TRI_OK || tri_map_open(&map, path, e) != TRI_OK)
        return e->status;
    enum tri_status status = check_whole(&map, path, e);
    if (status == TRI_OK) {
        memcpy(&h, map.data, sizeof h);
        status = check_origin(s, &h, map.size, path, e);
    }
    if (status == TRI_OK)
        take_over(s, map.data + sizeof h, h.tokens, shared(map.data + sizeof h, h.tokens, ids, count));
    tri_map_close(&map);
    return status;
}
