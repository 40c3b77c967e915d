/* Owns: finding special tokens in a text. A first pass marks which of them occur at all, by
 * bisection in their sorted texts; most texts have none, and only those marked are then searched
 * for one by one. */
#define _GNU_SOURCE
#include "text/special.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { WALK = 64 };

/* -- the lists ------------------------------------------------------------- */

static bool special(const struct tri_vocabulary *v, int32_t id)
{
    return v->token[id].size && tri_token_special(v, id);
}

static int compare_texts(struct tri_text a, struct tri_text b)
{
    int c = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

static int order_texts(const void *a, const void *b, void *vocabulary)
{
    const struct tri_vocabulary *v = vocabulary;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    int c = compare_texts(v->token[i], v->token[j]);
    return c ? c : (i > j) - (i < j);
}

static int order_sizes(const void *a, const void *b, void *specials)
{
    const struct tri_specials *s = specials;
    int32_t i = s->by_text[*(const int32_t *)a], j = s->by_text[*(const int32_t *)b];
    size_t x = s->vocabulary->token[i].size, y = s->vocabulary->token[j].size;
    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

static struct tri_text text_of(const struct tri_specials *s, int32_t i)
{
    return s->vocabulary->token[s->by_text[i]];
}

static void drop_equal(struct tri_specials *s)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < s->count; i++)
        if (!kept || compare_texts(text_of(s, kept - 1), text_of(s, i)))
            s->by_text[kept++] = s->by_text[i];
    s->count = kept;
}

static void index_first_bytes(struct tri_specials *s)
{
    int32_t i = 0;
    for (int c = 0; c <= 256; c++) {
        while (i < s->count && (unsigned char)text_of(s, i).at[0] < c)
            i++;
        s->first[c] = i;
    }
}

enum tri_status tri_specials_find(struct tri_specials *s, const struct tri_vocabulary *v,
                                  struct tri_error *e)
{
    size_t count = 0;
    *s = (struct tri_specials){.vocabulary = v};
    for (int32_t id = 0; id < v->count; id++)
        count += special(v, id);
    if (!(s->by_text = tri_alloc(count, sizeof *s->by_text, "special tokens", e)) ||
        !(s->by_size = tri_alloc(count, sizeof *s->by_size, "special tokens", e)))
        return e->status;
    for (int32_t id = 0; id < v->count; id++)
        if (special(v, id))
            s->by_text[s->count++] = id;
    qsort_r(s->by_text, (size_t)s->count, sizeof *s->by_text, order_texts, (void *)v);
    drop_equal(s);
    for (int32_t i = 0; i < s->count; i++)
        s->by_size[i] = i;
    qsort_r(s->by_size, (size_t)s->count, sizeof *s->by_size, order_sizes, s);
    index_first_bytes(s);
    return TRI_OK;
}

void tri_specials_free(struct tri_specials *s)
{
    tri_free(s->by_text);
    tri_free(s->by_size);
}

/* -- which of them occur --------------------------------------------------- */

/* Texts with a common beginning are in order of their next byte: the first of [from, to) whose byte
 * `depth` is at least c. */
static int32_t bisect(const struct tri_specials *s, int32_t from, int32_t to, size_t depth, int c)
{
    while (from < to) {
        int32_t mid = from + (to - from) / 2;
        if ((unsigned char)text_of(s, mid).at[depth] < c)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* Tokens longer than WALK are marked by their beginning alone, so that no text takes time for each
 * byte of each token. A range of them is marked whole or not at all. */
static void mark_range(int32_t from, int32_t to, bool *occurs)
{
    if (!occurs[from])
        memset(occurs + from, true, (size_t)(to - from) * sizeof *occurs);
}

/* Marks every token that at[0..size) begins with; true if any. */
static bool mark_at(const struct tri_specials *s, const unsigned char *at, size_t size,
                    bool *occurs)
{
    int32_t from = s->first[at[0]], to = s->first[at[0] + 1];
    bool any = false;
    for (size_t depth = 1; from < to; depth++) {
        if (text_of(s, from).size == depth) /* the shortest comes first */
            any = occurs[from++] = true;
        if (from < to && depth == WALK) {
            mark_range(from, to, occurs);
            return true;
        }
        if (depth == size)
            break;
        from = bisect(s, from, to, depth, at[depth]);
        to = bisect(s, from, to, depth, at[depth] + 1);
    }
    return any;
}

static bool mark(const struct tri_specials *s, struct tri_text text, bool *occurs)
{
    bool any = false;
    for (size_t i = 0; i < text.size; i++)
        any |= mark_at(s, (const unsigned char *)text.at + i, text.size - i, occurs);
    return any;
}

/* -- taking them out ------------------------------------------------------- */

static enum tri_status add(struct tri_fragments *f, const char *from, const char *to, int32_t id,
                           struct tri_error *e)
{
    if (from == to)
        return TRI_OK;
    if (f->count == f->room) {
        size_t room = f->room ? 2 * f->room : 8;
        void *at = room < SIZE_MAX / sizeof *f->at ? realloc(f->at, room * sizeof *f->at) : NULL;
        if (!at)
            return tri_fail(e, TRI_NO_MEMORY, "tokens: no memory for %zu special tokens", room);
        f->at = at;
        f->room = room;
    }
    f->at[f->count++] = (struct tri_fragment){{from, (size_t)(to - from)}, id};
    return TRI_OK;
}

/* Whose bytes count: all (own NULL), or those that are marked. */
struct marks {
    const char *text;
    const unsigned char *own;
};

static bool marked(const struct marks *m, const char *at, size_t size)
{
    return !m->own || !memchr(m->own + (at - m->text), 0, size);
}

/* The next occurrence all of which is marked, or NULL. */
static const char *find(const struct marks *m, const char *at, const char *end, struct tri_text token)
{
    const char *hit;
    while ((hit = memmem(at, (size_t)(end - at), token.at, token.size)) && !marked(m, hit, token.size))
        at = hit + 1;
    return hit;
}

static enum tri_status take(struct tri_fragments *f, struct tri_text text, struct tri_text token,
                            int32_t id, const struct marks *m, struct tri_error *e)
{
    const char *at = text.at, *end = text.at + text.size, *hit;
    while ((hit = find(m, at, end, token))) {
        if (add(f, at, hit, -1, e) != TRI_OK || add(f, hit, hit + token.size, id, e) != TRI_OK)
            return e->status;
        at = hit + token.size;
    }
    return add(f, at, end, -1, e);
}

static enum tri_status take_everywhere(const struct tri_specials *s, struct tri_fragments *f,
                                       int32_t id, const struct marks *m, struct tri_error *e)
{
    struct tri_fragments out = {0};
    enum tri_status status = TRI_OK;
    for (size_t i = 0; i < f->count && status == TRI_OK; i++) {
        struct tri_fragment *x = &f->at[i];
        if (x->id < 0)
            status = take(&out, x->text, s->vocabulary->token[id], id, m, e);
        else
            status = add(&out, x->text.at, x->text.at + x->text.size, x->id, e);
    }
    tri_fragments_free(f);
    *f = out;
    return status;
}

/* What of the marks matters to a token: to one that is ordinary text nothing. */
static struct marks marks_for(const struct tri_vocabulary *v, int32_t id, struct tri_text text,
                              const unsigned char *own)
{
    const struct marks all = {text.at, NULL}, m = {text.at, own};
    if (!own || tri_token_hidden(v, id))
        return m;
    return find(&m, text.at, text.at + text.size, v->token[id]) ? m : all;
}

static enum tri_status partition(const struct tri_specials *s, struct tri_text text, bool control,
                                 const unsigned char *own, bool *occurs, struct tri_fragments *out, struct tri_error *e)
{
    if (add(out, text.at, text.at + text.size, -1, e) != TRI_OK)
        return e->status;
    if (!mark(s, text, occurs))
        return TRI_OK;
    for (int32_t i = 0; i < s->count; i++) {
        int32_t id = s->by_text[s->by_size[i]];
        if (!occurs[s->by_size[i]] || (!control && tri_token_hidden(s->vocabulary, id)))
            continue;
        const struct marks m = marks_for(s->vocabulary, id, text, own);
        if (take_everywhere(s, out, id, &m, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

enum tri_status tri_partition(const struct tri_specials *s, struct tri_text text, bool control,
                              const unsigned char *own, struct tri_fragments *out, struct tri_error *e)
{
    *out = (struct tri_fragments){0};
    bool *occurs = calloc((size_t)s->count + 1, sizeof *occurs);
    if (!occurs)
        return tri_fail(e, TRI_NO_MEMORY, "tokens: no memory for marks of %d special tokens",
                        s->count);
    enum tri_status status = partition(s, text, control, own, occurs, out, e);
    free(occurs);
    return status;
}

void tri_fragments_free(struct tri_fragments *f)
{
    free(f->at);
    *f = (struct tri_fragments){0};
}
