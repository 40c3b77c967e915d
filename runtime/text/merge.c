/* Owns: the order of merges. A short piece is scanned again after each merge; a long one keeps its pairs in a heap. */
#include "text/merge.h"

#include "base/memory.h"

#include <string.h>

enum { SHORT = 48 };
#define NONE UINT32_MAX /* no symbol */

static const struct tri_pair no_pair = {TRI_NO_MERGE, -1};

/* -- short pieces ---------------------------------------------------------- */

struct short_piece { /* pair[i] is that of the symbols i and i + 1 */
    struct tri_symbol symbol[SHORT];
    struct tri_pair pair[SHORT];
    size_t count;
};

static void rank_short(const struct tri_rules *r, const char *piece, struct short_piece *p, size_t i)
{
    p->pair[i] = i + 1 < p->count ? r->pair(r, piece, &p->symbol[i], &p->symbol[i + 1]) : no_pair;
}

static size_t least_pair(const struct short_piece *p)
{
    size_t best = 0;
    for (size_t i = 1; i + 1 < p->count; i++)
        if (p->pair[i].rank < p->pair[best].rank)
            best = i;
    return best;
}

/* Symbol i takes in the next one, whose place closes. */
static void join_short(struct short_piece *p, size_t i)
{
    const size_t moved = --p->count - i - 1;
    p->symbol[i].id = p->pair[i].result;
    p->symbol[i].size += p->symbol[i + 1].size;
    memmove(p->symbol + i + 1, p->symbol + i + 2, moved * sizeof *p->symbol);
    memmove(p->pair + i + 1, p->pair + i + 2, moved * sizeof *p->pair);
}

static void merge_short(const struct tri_rules *r, const char *piece, struct short_piece *p)
{
    for (size_t i = 0; i < p->count; i++)
        rank_short(r, piece, p, i);
    for (size_t best; best = least_pair(p), p->pair[best].rank != TRI_NO_MERGE;) {
        join_short(p, best);
        rank_short(r, piece, p, best);
        if (best > 0)
            rank_short(r, piece, p, best - 1);
    }
}

static enum tri_status encode_short(const struct tri_rules *r, const char *piece, size_t size, struct tri_ids *ids,
                                    struct tri_error *e)
{
    struct short_piece p;
    uint32_t at = 0;
    for (p.count = 0; at < size; at += p.symbol[p.count++].size) {
        struct tri_symbol *s = &p.symbol[p.count];
        s->from = at;
        if (r->first(r, piece + at, size - at, &s->id, &s->size, e) != TRI_OK)
            return e->status;
    }
    merge_short(r, piece, &p);
    for (size_t i = 0; i < p.count; i++)
        if (r->emit(r, piece, &p.symbol[i], ids, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* -- long pieces ----------------------------------------------------------- */

struct node { /* in a list of those not merged away */
    struct tri_symbol symbol;
    uint32_t before, after; /* NONE at the ends, which is 0 - 1 */
    struct tri_pair pair;   /* with the one after; no pair if this one is gone */
};

/* A pair is rank << 32 | position of its left symbol: the order in which merges apply. Pairs that
 * changed stay in the heap and are passed over when they come up. */
struct queue {
    const struct tri_rules *rules;
    const char *piece;
    struct node *node;
    uint32_t count;
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

/* The pair that begins at `i`, after one of the two changed. */
static void rank_pair(struct queue *q, uint32_t i)
{
    struct node *n = &q->node[i];
    n->pair = no_pair;
    if (n->after != NONE)
        n->pair = q->rules->pair(q->rules, q->piece, &n->symbol, &q->node[n->after].symbol);
}

static void rank_again(struct queue *q, uint32_t i)
{
    rank_pair(q, i);
    if (q->node[i].pair.rank != TRI_NO_MERGE)
        push(q, (uint64_t)q->node[i].pair.rank << 32 | i);
}

static void merge_at(struct queue *q, uint32_t i)
{
    struct node *n = &q->node[i], *gone = &q->node[n->after];
    n->symbol.id = n->pair.result;
    n->symbol.size += gone->symbol.size;
    gone->pair = no_pair;
    n->after = gone->after;
    if (n->after != NONE)
        q->node[n->after].before = i;
    rank_again(q, i);
    if (n->before != NONE)
        rank_again(q, n->before);
}

static void merge_long(struct queue *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        rank_pair(q, i);
        if (q->node[i].pair.rank != TRI_NO_MERGE)
            q->heap[q->pairs++] = (uint64_t)q->node[i].pair.rank << 32 | i;
    }
    for (size_t i = q->pairs / 2; i-- > 0;)
        sink(q->heap, q->pairs, i);
    while (q->pairs) {
        uint64_t pair = pop(q);
        if (q->node[(uint32_t)pair].pair.rank == pair >> 32)
            merge_at(q, (uint32_t)pair);
    }
}

static enum tri_status list_symbols(struct queue *q, uint32_t size, struct tri_error *e)
{
    for (uint32_t at = 0; at < size;) {
        struct node *n = &q->node[q->count];
        *n = (struct node){.symbol.from = at, .before = q->count - 1, .after = ++q->count};
        if (q->rules->first(q->rules, q->piece + at, size - at, &n->symbol.id, &n->symbol.size, e) != TRI_OK)
            return e->status;
        at += n->symbol.size;
    }
    q->node[q->count - 1].after = NONE;
    return TRI_OK;
}

static enum tri_status run_queue(struct queue *q, uint32_t size, struct tri_ids *ids, struct tri_error *e)
{
    if (list_symbols(q, size, e) != TRI_OK)
        return e->status;
    merge_long(q);
    for (uint32_t i = 0; i != NONE; i = q->node[i].after)
        if (q->rules->emit(q->rules, q->piece, &q->node[i].symbol, ids, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

static enum tri_status count_symbols(const struct tri_rules *r, const char *piece, size_t size, size_t *count,
                                     struct tri_error *e)
{
    *count = 0;
    for (size_t at = 0; at < size; ++*count) {
        int32_t id;
        uint32_t bytes;
        if (r->first(r, piece + at, size - at, &id, &bytes, e) != TRI_OK)
            return e->status;
        at += bytes;
    }
    return TRI_OK;
}

/* Each merge takes one pair out of the heap and puts in two at most: twice as many pairs as symbols are room enough. */
static enum tri_status encode_long(const struct tri_rules *r, const char *piece, size_t size, struct tri_ids *ids,
                                   struct tri_error *e)
{
    if (size >= NONE)
        return tri_fail(e, TRI_UNSUPPORTED, "tokens: %zu bytes of text without a place to cut it; the limit is %u",
                        size, NONE - 1);
    struct queue q = {.rules = r, .piece = piece};
    size_t symbols;
    if (count_symbols(r, piece, size, &symbols, e) != TRI_OK)
        return e->status;
    q.node = tri_alloc(symbols, sizeof *q.node, "symbols of a text", e);
    q.heap = q.node ? tri_alloc(2 * symbols, sizeof *q.heap, "pairs of a text", e) : NULL;
    enum tri_status status = q.heap ? run_queue(&q, (uint32_t)size, ids, e) : e->status;
    tri_free(q.node);
    tri_free(q.heap);
    return status;
}

enum tri_status tri_merge(const struct tri_rules *r, const char *piece, size_t size, struct tri_ids *ids,
                          struct tri_error *e)
{
    return size <= SHORT ? encode_short(r, piece, size, ids, e) : encode_long(r, piece, size, ids, e);
}
