/* Owns: the index of a text's n-grams, and how often its matches go on. Leaves out whether a draft pays
 * (generation.c). */
#include "engine/draft.h"
#include "base/memory.h"

#include <stdbool.h>
#include <string.h>

/* Longer grams first. With 8 before 4, 1 to 2 % more of tokens in prose and code were foreseen; with 5, 6 and 7 none. */
static const int orders[] = {8, 4, 3, 2, 1};
enum { ORDERS = sizeof orders / sizeof orders[0], LONGEST = 8, LONGEST_MATCH = 16 };

/* Matches of like lengths share a rate: hits of late among tries of late, each one weighing 15/16 of the next. What they
 * begin with, in a weight of four tries, is what prose, documentation and code had (one token goes on in 0.1 to 0.2). */
struct rate {
    float hits, tries;
};
enum { CLASSES = 8 };
static const unsigned char class_of[LONGEST_MATCH + 1] = {0, 0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7};
static const struct rate usual[CLASSES] = {{0.6f, 4}, {1.2f, 4}, {1.6f, 4}, {2.0f, 4},
                                           {2.3f, 4}, {2.8f, 4}, {3.1f, 4}, {3.6f, 4}};
static const float keep = 15.0f / 16;

struct tri_draft {
    int32_t *text;          /* [room] */
    int32_t *slot[ORDERS];  /* [1 << bits]: behind the last token of a gram's latest occurrence; 0: free */
    int bits, room, count;
    int next, match; /* where the match goes on in text, and its length; 0: there is none */
    struct rate rate[CLASSES];
};

static size_t slots(const struct tri_draft *d)
{
    return (size_t)1 << d->bits;
}

struct tri_draft *tri_draft_new(int room, struct tri_error *e)
{
    struct tri_draft *d = tri_alloc(1, sizeof *d, "drafts", e);
    if (!d)
        return NULL;
    d->room = room < 2 * LONGEST ? 2 * LONGEST : room;
    while (slots(d) < 2 * (size_t)d->room)
        d->bits++;
    memcpy(d->rate, usual, sizeof usual);
    d->text = tri_alloc((size_t)d->room + ORDERS * slots(d), sizeof *d->text, "drafts", e);
    if (!d->text) {
        tri_draft_free(d);
        return NULL;
    }
    for (int i = 0; i < ORDERS; i++)
        d->slot[i] = d->text + d->room + (size_t)i * slots(d);
    return d;
}

void tri_draft_free(struct tri_draft *d)
{
    if (!d)
        return;
    tri_free(d->text);
    tri_free(d);
}

/* -- the index --------------------------------------------------------- */

/* The slot of the gram of `order` tokens that ends the text: its own, or a free one. */
static int32_t *find(const struct tri_draft *d, int which, uint32_t hash)
{
    const size_t bytes = (size_t)orders[which] * sizeof *d->text;
    const int32_t *gram = d->text + d->count - orders[which];
    for (size_t at = hash >> (32 - d->bits);; at++) {
        int32_t *slot = &d->slot[which][at & (slots(d) - 1)];
        if (*slot == 0 || memcmp(d->text + *slot - orders[which], gram, bytes) == 0)
            return slot;
    }
}

static int match_length(const struct tri_draft *d, int next)
{
    int n = 1;
    while (n < LONGEST_MATCH && n < next && d->text[next - 1 - n] == d->text[d->count - 1 - n])
        n++;
    return n;
}

/* Makes the end of the text the latest occurrence of its grams, and the one before of the longest the match. */
static void index_end(struct tri_draft *d)
{
    uint32_t hash[LONGEST + 1] = {0};
    for (int n = 1; n <= LONGEST && n <= d->count; n++)
        hash[n] = (hash[n - 1] ^ (uint32_t)d->text[d->count - n]) * 0x9E3779B1u;
    d->next = 0;
    for (int i = 0; i < ORDERS; i++) {
        if (orders[i] > d->count)
            continue;
        int32_t *slot = find(d, i, hash[orders[i]]);
        if (d->next == 0)
            d->next = *slot;
        *slot = d->count;
    }
    d->match = d->next ? match_length(d, d->next) : 0;
}

/* A full text goes on with its younger half. */
static void forget(struct tri_draft *d)
{
    const int kept = d->room / 2;
    memmove(d->text, d->text + d->count - kept, (size_t)kept * sizeof *d->text);
    memset(d->slot[0], 0, ORDERS * slots(d) * sizeof *d->slot[0]);
    for (d->count = 0; d->count < kept;) {
        d->count++;
        index_end(d);
    }
}

/* -- what is foreseen -------------------------------------------------- */

static int class_at(int match)
{
    return class_of[match < LONGEST_MATCH ? match : LONGEST_MATCH];
}

static void learn(struct tri_draft *d, bool right)
{
    struct rate *r = &d->rate[class_at(d->match)];
    r->hits = keep * r->hits + (float)right;
    r->tries = keep * r->tries + 1;
}

void tri_draft_add(struct tri_draft *d, int32_t id)
{
    if (d->match)
        learn(d, d->text[d->next] == id);
    if (d->count == d->room)
        forget(d);
    d->text[d->count++] = id;
    index_end(d);
}

int tri_draft_match(const struct tri_draft *d)
{
    return d->match;
}

int tri_draft_propose(const struct tri_draft *d, int most, int32_t *ids, double *chance)
{
    double all = 1;
    for (int i = 0; d->match && i < most; i++) {
        const int at = d->next + i;
        const struct rate *r = &d->rate[class_at(d->match + i)];
        ids[i] = at < d->count ? d->text[at] : ids[at - d->count];
        chance[i] = all *= (double)(r->hits / r->tries);
    }
    return d->match && most > 0 ? most : 0;
}
