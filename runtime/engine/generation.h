/* Token after token from a session and a sampler, with drafts (draft.h) verified several in one pass.
 *
 *     struct tri_generation *g = tri_generation_new(session, sampler, &(struct tri_generation_options){.draft = 7}, &e);
 *     tri_generation_feed(g, ids, n, &e);               the prompt, in one piece or several
 *     while (!tri_generation_over(g)) {
 *         tri_generation_next(g, &id, &e);
 *         ...
 *     }
 *     tri_generation_free(g);                           before the session and the sampler
 *
 * The tokens are those that single passes give, with the same seed: each is drawn by the sampler from the logits behind
 * what was drawn before it, and no earlier than it is asked for. How long drafts are depends on what passes took so far
 * (cost.h), so the counts may differ from run to run, the tokens never. */
#ifndef TRI_GENERATION_H
#define TRI_GENERATION_H

#include "engine/sampler.h"
#include "engine/session.h"

/* The other functions are public: include/tritune.h. Without a sampler (NULL) there is no tri_generation_next, but its
 * halves for who draws by himself: the logits behind the text, as many as the session wants, valid until take; and the
 * token that goes there. */
enum tri_status tri_generation_logits(struct tri_generation *g, const float **logits, struct tri_error *e);
void tri_generation_take(struct tri_generation *g, int32_t id);

#endif
