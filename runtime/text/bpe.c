/* Owns: the table of merges, and what they apply to. Leaves out in which order they do (merge.c). */
#include "text/bpe.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct tri_merge {
    uint32_t left1, right; /* ids; left + 1, 0: free */
    uint32_t rank;
};

/* -- the table ------------------------------------------------------------- */

static uint64_t hash_of(const struct tri_bpe *b, int32_t left, int32_t right)
{
    return tri_hash_pair(b->vocabulary->seed, (uint64_t)(uint32_t)left << 32 | (uint32_t)right);
}

static struct tri_merge *look(const struct tri_bpe *b, int32_t left, int32_t right)
{
    for (uint64_t i = hash_of(b, left, right);; i++) {
        struct tri_merge *m = &b->slot[i & b->mask];
        if (!m->left1 || (m->left1 == (uint32_t)left + 1 && m->right == (uint32_t)right))
            return m;
    }
}

/* -- applying it ----------------------------------------------------------- */

static const struct tri_bpe *bpe_of(const struct tri_rules *r)
{
    return (const struct tri_bpe *)r; /* its first member */
}

/* Symbols begin as single bytes. */
static enum tri_status first_id(const struct tri_rules *r, const char *at, size_t size, int32_t *id, uint32_t *bytes,
                                struct tri_error *e)
{
    const struct tri_bpe *b = bpe_of(r);
    const unsigned char c = (unsigned char)*at;
    (void)size;
    *bytes = 1;
    *id = b->vocabulary->byte[c] >= 0 ? b->vocabulary->byte[c] : b->unknown;
    if (*id >= 0)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED,
                    "%s: the text has byte 0x%02X, for which this vocabulary has no token; leave it "
                    "out, or use a file with a whole alphabet",
                    tri_gguf_name(b->vocabulary->file), c);
}

static struct tri_pair find_pair(const struct tri_rules *r, const char *piece, const struct tri_symbol *left,
                                 const struct tri_symbol *right)
{
    const struct tri_bpe *b = bpe_of(r);
    const struct tri_merge *m = look(b, left->id, right->id);
    (void)piece;
    return m->left1 ? (struct tri_pair){m->rank, b->result[m->rank]} : (struct tri_pair){TRI_NO_MERGE, -1};
}

static enum tri_status emit(const struct tri_rules *r, const char *piece, const struct tri_symbol *s,
                            struct tri_ids *ids, struct tri_error *e)
{
    (void)r;
    (void)piece;
    return tri_ids_add(ids, s->id, e);
}

/* -- reading ---------------------------------------------------------------- */

/* The left part is never empty, so that a space can be one. */
static const char *middle(struct tri_text merge)
{
    return merge.size > 1 ? memchr(merge.at + 1, ' ', merge.size - 1) : NULL;
}

enum { AT_ONCE = TRI_FIND / 3, ROOM = 4096 };

struct batch { /* of merges in sequence, all looked up at once */
    char *bytes;
    size_t room, used;
    size_t first, count;            /* ranks */
    struct tri_text text[TRI_FIND]; /* of each left, right and both */
};

static enum tri_status decode_merge(struct batch *x, const struct tri_bpe *b, struct tri_text merge,
                                    struct tri_error *e)
{
    const struct tri_vocabulary *v = b->vocabulary;
    const char *space = middle(merge);
    if (!space)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key tokenizer.ggml.merges: merge %zu: expected two texts with a space "
                        "between, found \"%.*s\"; convert the file again",
                        tri_gguf_name(v->file), x->first + x->count, merge.size < 64 ? (int)merge.size : 64, merge.at);
    struct tri_text first = {merge.at, (size_t)(space - merge.at)};
    struct tri_text second = {space + 1, merge.size - first.size - 1};
    char *bytes = x->bytes + x->used;
    size_t n = tri_alphabet_decode(v, first, bytes);
    size_t m = tri_alphabet_decode(v, second, bytes + n);
    struct tri_text *text = x->text + 3 * x->count++;
    text[0] = (struct tri_text){bytes, n};
    text[1] = (struct tri_text){bytes + n, m};
    text[2] = (struct tri_text){bytes, n + m};
    x->used += n + m;
    return TRI_OK;
}

/* Of equal merges the first counts. */
static void add_merge(struct tri_bpe *b, size_t rank, const int32_t ids[3])
{
    if (ids[0] < 0 || ids[1] < 0 || ids[2] < 0) {
        b->skipped++;
        return;
    }
    struct tri_merge *slot = look(b, ids[0], ids[1]);
    if (!slot->left1)
        *slot = (struct tri_merge){(uint32_t)ids[0] + 1, (uint32_t)ids[1], (uint32_t)rank};
    b->result[rank] = ids[2];
}

static void add_batch(struct tri_bpe *b, struct batch *x)
{
    int32_t ids[TRI_FIND];
    tri_vocabulary_find_all(b->vocabulary, x->text, ids, 3 * x->count);
    for (size_t i = 0; i < x->count; i++)
        __builtin_prefetch(&b->slot[hash_of(b, ids[3 * i], ids[3 * i + 1]) & b->mask], 1);
    for (size_t i = 0; i < x->count; i++)
        add_merge(b, x->first + i, ids + 3 * i);
    x->first += x->count;
    x->count = x->used = 0;
}

static enum tri_status make_table(struct tri_bpe *b, struct tri_error *e)
{
    uint64_t slots = 2;
    while (slots < b->merges + b->merges / 2)
        slots *= 2;
    b->mask = slots - 1;
    if (!(b->slot = tri_alloc(slots, sizeof *b->slot, "merges", e)) ||
        !(b->result = tri_alloc(b->merges, sizeof *b->result, "merges", e)))
        return e->status;
    return TRI_OK;
}

static enum tri_status add_merges(struct tri_bpe *b, const struct tri_text *merges, struct tri_error *e)
{
    struct batch x = {.room = ROOM};
    for (size_t i = 0; i < b->merges; i++)
        x.room = merges[i].size > x.room ? merges[i].size : x.room;
    if (!(x.bytes = malloc(x.room)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for a merge of %zu bytes", tri_gguf_name(b->vocabulary->file),
                        x.room);
    enum tri_status status = TRI_OK;
    for (size_t i = 0; i < b->merges && status == TRI_OK; i++) {
        if (x.count == AT_ONCE || merges[i].size > x.room - x.used)
            add_batch(b, &x);
        status = decode_merge(&x, b, merges[i], e);
    }
    add_batch(b, &x);
    free(x.bytes);
    return status;
}

enum tri_status tri_bpe_read(struct tri_bpe *b, const struct tri_vocabulary *v, struct tri_error *e)
{
    struct tri_text *merges;
    *b = (struct tri_bpe){.rules = {first_id, find_pair, emit}, .vocabulary = v, .unknown = -1};
    enum tri_status status = tri_gguf_texts(v->file, "tokenizer.ggml.merges", &merges, &b->merges, e);
    if (status != TRI_OK)
        return status;
    if (b->merges >= TRI_NO_MERGE)
        status = tri_fail(e, TRI_BAD_FILE, "%s: %zu merges are more than any vocabulary has", tri_gguf_name(v->file),
                          b->merges);
    if (status == TRI_OK)
        status = make_table(b, e);
    if (status == TRI_OK)
        status = add_merges(b, merges, e);
    free(merges);
    return status;
}

void tri_bpe_free(struct tri_bpe *b)
{
    tri_free(b->slot);
    tri_free(b->result);
}
