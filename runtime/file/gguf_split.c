/* Owns: finding the other parts of a model of which one is given, and whether they belong together.
 * Leaves out reading and joining them (gguf.c). */
#include "file/gguf_split.h"

#include "file/part_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct split {
    uint64_t no, count, tensors; /* from 0; parts; tensors of all */
};

static enum tri_status read_split(const struct tri_gguf *g, struct split *s, struct tri_error *e)
{
    if (tri_gguf_uint(g, "split.no", &s->no, e) != TRI_OK || tri_gguf_uint(g, "split.count", &s->count, e) != TRI_OK)
        return e->status;
    return tri_gguf_uint(g, "split.tensors.count", &s->tensors, e);
}

/* -- names --------------------------------------------------------------- */

static char *name_of(const char *path, size_t stem, uint64_t no, uint64_t count, struct tri_error *e)
{
    const size_t room = stem + sizeof "-00001-of-00003.gguf";
    char *name = malloc(room);
    if (name)
        snprintf(name, room, "%.*s-%05" PRIu64 "-of-%05" PRIu64 ".gguf", (int)stem, path, (no + 1) % 100000, count);
    else
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory to open it", path);
    return name;
}

/* -- parts --------------------------------------------------------------- */

static enum tri_status check_part(const struct tri_gguf *g, uint64_t no, const struct split *of, struct tri_error *e)
{
    struct split s;
    if (read_split(g, &s, e) != TRI_OK)
        return e->status;
    if (s.no == no && s.count == of->count && s.tensors == of->tensors)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE,
                    "%s: expected part %" PRIu64 " of %" PRIu64 ", of a model of %" PRIu64 " tensors (keys split.no, "
                    "split.count, split.tensors.count), found part %" PRIu64 " of %" PRIu64 ", of %" PRIu64 " tensors: "
                    "it belongs to another model or has another part's name; fetch all parts again, from one place",
                    tri_gguf_name(g), no + 1, of->count, of->tensors, s.no + 1, s.count, s.tensors);
}

static struct tri_gguf *open_part(const char *path, size_t stem, uint64_t no, const struct split *of,
                                  struct tri_error *e)
{
    char *name = name_of(path, stem, no, of->count, e);
    struct tri_gguf *g = name ? tri_gguf_open(name, e) : NULL;
    if (name && !g)
        tri_fail_in(e, "part %" PRIu64 " of %" PRIu64, no + 1, of->count);
    free(name);
    if (g && check_part(g, no, of, e) != TRI_OK) {
        tri_gguf_close(g);
        return NULL;
    }
    return g;
}

static enum tri_status check_sum(const struct tri_gguf *g, const struct split *of, struct tri_error *e)
{
    if (tri_gguf_tensor_count(g) == of->tensors)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: expected %" PRIu64 " tensors in all %" PRIu64 " parts together (key "
                    "split.tensors.count), found %zu; fetch all parts again, from one place",
                    tri_gguf_name(g), of->tensors, of->count, tri_gguf_tensor_count(g));
}

static struct tri_gguf *open_parts(const char *path, size_t stem, const struct split *of, struct tri_error *e)
{
    struct tri_gguf *g = open_part(path, stem, 0, of, e);
    enum tri_status status = g ? TRI_OK : e->status;
    for (uint64_t no = 1; no < of->count && status == TRI_OK; no++) {
        struct tri_gguf *part = open_part(path, stem, no, of, e);
        status = part ? tri_gguf_join(g, part, e) : e->status;
    }
    if (status == TRI_OK && check_sum(g, of, e) == TRI_OK) {
        tri_gguf_drop(g, "split.");
        return g;
    }
    tri_gguf_close(g);
    return NULL;
}

static bool is_split(const struct tri_gguf *g)
{
    struct tri_error e;
    uint64_t count;
    return tri_gguf_find(g, "split.count") && (tri_gguf_uint(g, "split.count", &count, &e) != TRI_OK || count != 1);
}

struct tri_gguf *tri_gguf_open_whole(const char *path, struct tri_error *e)
{
    struct split s;
    unsigned no, of;
    size_t stem;
    struct tri_gguf *g = tri_gguf_open(path, e);
    if (!g || !is_split(g))
        return g;
    enum tri_status status = read_split(g, &s, e);
    tri_gguf_close(g);
    if (status != TRI_OK)
        return NULL;
    if (tri_part_name(path, ".gguf", &stem, &no, &of) && of == s.count && of >= 1 && s.no < s.count)
        return open_parts(path, stem, &s, e);
    tri_fail(e, TRI_BAD_FILE, "%s: part %" PRIu64 " of %" PRIu64 " (keys split.no, split.count): expected a name that "
             "says so, MODEL-%05" PRIu64 "-of-%05" PRIu64 ".gguf, and the other parts beside it",
             path, s.no + 1, s.count, s.no + 1, s.count);
    return NULL;
}
