/* Owns: the table of merges and applying it, lowest rank first, leftmost on ties.
 * A short piece is scanned again after each merge; a long one keeps its pairs in a heap. */
#include "text/bpe.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = 48 };
#define NONE UINT32_MAX /* no merge; no symbol */

struct tri_merge {
    uint32_t left1, right; /* ids; left + 1, 0: free */
    uint32_t rank;
};

/* -- the table ------------------------------------------------------------- */

static struct tri_merge *look(const struct tri_bpe *b, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    for (uint64_t i = tri_hash_pair(b->vocabulary->seed, pair);; i++) {
        struct tri_merge *m = &b->slot[i & b->mask];
        if (!m->left1 || (m->left1 == (uint32_t)left + 1 && m->right == (uint32_t)right))
            return m;
    }
}

static uint32_t rank_of(const struct tri_bpe *b, int32_t left, int32_t right)
{
    const struct tri_merge *m = look(b, left, right);
    return m->left1 ? m->rank : NONE;
}

/* The left part is never empty, so that a space can be one. */
static const char *middle(struct tri_text merge)
{
    return merge.size > 1 ? memchr(merge.at + 1, ' ', merge.size - 1) : NULL;
}

/* `bytes` has room for the text of the merge. Of equal merges the first counts. */
static enum tri_status add_merge(struct tri_bpe *b, struct tri_text merge, size_t rank, char *bytes,
                                 struct tri_error *e)
{
    const struct tri_vocabulary *v = b->vocabulary;
    const char *space = middle(merge);
    if (!space)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key tokenizer.ggml.merges: merge %zu: expected two texts with a space "
                        "between, found \"%.*s\"; convert the file again",
                        tri_gguf_name(v->file), rank, merge.size < 64 ? (int)merge.size : 64,
                        merge.at);
    struct tri_text first = {merge.at, (size_t)(space - merge.at)};
    struct tri_text second = {space + 1, merge.size - first.size - 1};
    size_t n = tri_alphabet_decode(v, first, bytes);
    size_t m = tri_alphabet_decode(v, second, bytes + n);
    int32_t left = tri_vocabulary_find(v, bytes, n);
    int32_t right = tri_vocabulary_find(v, bytes + n, m);
    int32_t result = tri_vocabulary_find(v, bytes, n + m);
    if (left < 0 || right < 0 || result < 0) {
        b->skipped++;
        return TRI_OK;
    }
    struct tri_merge *slot = look(b, left, right);
    if (!slot->left1)
        *slot = (struct tri_merge){(uint32_t)left + 1, (uint32_t)right, (uint32_t)rank};
    b->result[rank] = result;
    return TRI_OK;
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

static enum tri_status add_merges(struct tri_bpe *b, const struct tri_text *merges,
                                  struct tri_error *e)
{
    size_t longest = 0;
    for (size_t i = 0; i < b->merges; i++)
        longest = merges[i].size > longest ? merges[i].size : longest;
    char *bytes = malloc(longest + 1);
    if (!bytes)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for a merge of %zu bytes",
                        tri_gguf_name(b->vocabulary->file), longest);
    enum tri_status status = TRI_OK;
    for (size_t i = 0; i < b->merges && status == TRI_OK; i++)
        status = add_merge(b, merges[i], i, bytes, e);
    free(bytes);
    return status;
}

enum tri_status tri_bpe_read(struct tri_bpe *b, const struct tri_vocabulary *v, struct tri_error *e)
{
    struct tri_text *merges;
    *b = (struct tri_bpe){.vocabulary = v, .unknown = -1};
    enum tri_status status =
        tri_gguf_texts(v->file, "tokenizer.ggml.merges", &merges, &b->merges, e);
    if (status != TRI_OK)
        return status;
    if (b->merges >= NONE)
        status = tri_fail(e, TRI_BAD_FILE, "%s: %zu merges are more than any vocabulary has",
                          tri_gguf_name(v->file), b->merges);
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

/* -- symbols --------------------------------------------------------------- */

static enum tri_status first_id(const struct tri_bpe *b, char byte, int32_t *id,
                                struct tri_error *e)
{
    unsigned char c = (unsigned char)byte;
    *id = b->vocabulary->byte[c] >= 0 ? b->vocabulary->byte[c] : b->unknown;
    if (*id >= 0)
        return TRI_OK;
    return tri_fail(
        e, TRI_UNSUPPORTED,
        "%s: the text has byte 0x%02X, for which this vocabulary has no token; leave it "
        "out, or use a file with a whole alphabet",
        tri_gguf_name(b->vocabulary->file), c);
}

/* -- short pieces ---------------------------------------------------------- */

static void remove_at(int32_t *id, uint32_t *rank, size_t i, size_t count)
{
    memmove(id + i, id + i + 1, (count - i - 1) * sizeof *id);
    memmove(rank + i, rank + i + 1, (count - i - 1) * sizeof *rank);
}

/* rank[i] is that of the pair i, i + 1. Returns how many symbols remain. */
static size_t merge_short(const struct tri_bpe *b, int32_t *id, size_t count)
{
    uint32_t rank[SHORT];
    for (size_t i = 0; i + 1 < count; i++)
        rank[i] = rank_of(b, id[i], id[i + 1]);
    rank[count - 1] = NONE;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == NONE)
            return count;
        id[best] = b->result[rank[best]];
        remove_at(id, rank, best + 1, count--);
        rank[best] = best + 1 < count ? rank_of(b, id[best], id[best + 1]) : NONE;
        if (best > 0)
            rank[best - 1] = rank_of(b, id[best - 1], id[best]);
    }
}

static enum tri_status encode_short(const struct tri_bpe *b, const char *piece, size_t size,
                                    struct tri_ids *ids, struct tri_error *e)
{
    int32_t id[SHORT];
    for (size_t i = 0; i < size; i++)
        if (first_id(b, piece[i], &id[i], e) != TRI_OK)
            return e->status;
    size_t count = merge_short(b, id, size);
    for (size_t i = 0; i < count; i++)
        if (tri_ids_add(ids, id[i], e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* -- long pieces ----------------------------------------------------------- */

struct symbol { /* in a list of those not merged away */
    int32_t id;
    uint32_t before, after; /* NONE at the ends, which is 0 - 1 */
    uint32_t rank;          /* of the pair with the one after; NONE: no merge, or gone */
};

/* A pair is rank << 32 | position of its left symbol: the order in which merges apply. Pairs that
 * changed stay in the heap and are passed over when they come up. */
struct queue {
    const struct tri_bpe *bpe;
    struct symbol *symbol;
    uint64_t *heap; /* least first */
    size_t pairs;
};

static void sink(uint64_t *heap, size_t count, size_t i)
{
    uint64_t x = heap[i];
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (x <= heap[child])
            break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

static void push(struct queue *q, uint64_t pair)
{
    size_t i = q->pairs++;
    for (; i > 0 && pair < q->heap[(i - 1) / 2]; i = (i - 1) / 2)
        q->heap[i] = q->heap[(i - 1) / 2];
    q->heap[i] = pair;
}

static uint64_t pop(struct queue *q)
{
    uint64_t least = q->heap[0];
    q->heap[0] = q->heap[--q->pairs];
    sink(q->heap, q->pairs, 0);
    return least;
}

/* The rank of the pair that begins at `i`, after one of the two changed. */
static void rank_pair(struct queue *q, uint32_t i)
{
    struct symbol *s = &q->symbol[i];
    s->rank = s->after == NONE ? NONE : rank_of(q->bpe, s->id, q->symbol[s->after].id);
}

static void rank_again(struct queue *q, uint32_t i)
{
    rank_pair(q, i);
    if (q->symbol[i].rank != NONE)
        push(q, (uint64_t)q->symbol[i].rank << 32 | i);
}

static void merge_at(struct queue *q, uint32_t i)
{
    struct symbol *s = &q->symbol[i], *gone = &q->symbol[s->after];
    s->id = q->bpe->result[s->rank];
    gone->rank = NONE;
    s->after = gone->after;
    if (s->after != NONE)
        q->symbol[s->after].before = i;
    rank_again(q, i);
    if (s->before != NONE)
        rank_again(q, s->before);
}

static void merge_long(struct queue *q, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rank_pair(q, i);
        if (q->symbol[i].rank != NONE)
            q->heap[q->pairs++] = (uint64_t)q->symbol[i].rank << 32 | i;
    }
    for (size_t i = q->pairs / 2; i-- > 0;)
        sink(q->heap, q->pairs, i);
    while (q->pairs) {
        uint64_t pair = pop(q);
        if (q->symbol[(uint32_t)pair].rank == pair >> 32)
            merge_at(q, (uint32_t)pair);
    }
}

static enum tri_status run_queue(struct queue *q, const char *piece, uint32_t size,
                                 struct tri_ids *ids, struct tri_error *e)
{
    for (uint32_t i = 0; i < size; i++) {
        q->symbol[i] = (struct symbol){.before = i - 1, .after = i + 1 < size ? i + 1 : NONE};
        if (first_id(q->bpe, piece[i], &q->symbol[i].id, e) != TRI_OK)
            return e->status;
    }
    merge_long(q, size);
    for (uint32_t i = 0; i != NONE; i = q->symbol[i].after)
        if (tri_ids_add(ids, q->symbol[i].id, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* Each merge takes one pair out of the heap and puts in two at most: 2 * size pairs are room
 * enough. */
static enum tri_status encode_long(const struct tri_bpe *b, const char *piece, size_t size,
                                   struct tri_ids *ids, struct tri_error *e)
{
    if (size >= NONE)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "tokens: %zu bytes of text without a place to cut it; the limit is %u",
                        size, NONE - 1);
    struct queue q = {.bpe = b};
    q.symbol = tri_alloc(size, sizeof *q.symbol, "symbols of a text", e);
    q.heap = q.symbol ? tri_alloc(2 * size, sizeof *q.heap, "pairs of a text", e) : NULL;
    enum tri_status status = q.heap ? run_queue(&q, piece, (uint32_t)size, ids, e) : e->status;
    tri_free(q.symbol);
    tri_free(q.heap);
    return status;
}

enum tri_status tri_bpe_encode(const struct tri_bpe *b, const char *piece, size_t size,
                               struct tri_ids *ids, struct tri_error *e)
{
    return size <= SHORT ? encode_short(b, piece, size, ids, e)
                         : encode_long(b, piece, size, ids, e);
}
