/* Drafts from the text itself: what followed where its last tokens stood before.
 *
 *     struct tri_draft *d = tri_draft_new(4096, &e);
 *     tri_draft_add(d, id);                             every token of the text, prompt and generated alike
 *     int n = tri_draft_propose(d, 7, ids, chance);     what may come next
 *     tri_draft_free(d);
 *
 * Every token added is held against what was foreseen, whether somebody asked for it or not: how often matches of a
 * length go on as before is known without trying. Some 30 ns per token. */
#ifndef TRI_DRAFT_H
#define TRI_DRAFT_H

#include "base/error.h"

#include <stdint.h>

struct tri_draft;

/* Remembers at least the last room / 2 tokens, in at most 24 * room words of memory. room >= 1. */
struct tri_draft *tri_draft_new(int room, struct tri_error *e);
void tri_draft_free(struct tri_draft *d);
void tri_draft_add(struct tri_draft *d, int32_t id);

/* How many of the last tokens stood there before, at the place proposals follow: the latest where the last 8 of them
 * stood, else 4, 3, 2, 1; 0: nowhere. Counted up to 16. */
int tri_draft_match(const struct tri_draft *d);

/* Tokens ids[0..n) that followed there, n <= most; chance[i]: that ids[0..i] all come next, as matches of such lengths
 * went on of late. Where the match reaches the end of the text, the draft follows itself. Returns n: most, or 0. */
int tri_draft_propose(const struct tri_draft *d, int most, int32_t *ids, double *chance);

#endif
