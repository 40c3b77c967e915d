/* Token after token from a session and a sampler, with drafts (draft.h) that are verified several in one pass.
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

struct tri_generation_options {
    int draft;  /* tokens drafted for a pass at most, 0: none; more than 7 are as 7 */
    int tokens; /* that will be drawn at most, so that no draft reaches beyond; < 0: nobody knows */
    bool shift; /* a full context goes on by tri_session_shift, with the first */
    int keep;   /* tokens kept; else it ends the generation */
};

struct tri_generation;

/* The session and the sampler are used, not owned. What the session holds already begins the text: the sampler accepts
 * it, once more perhaps, which does not matter to it. Without a sampler (NULL) there is no tri_generation_next. */
struct tri_generation *tri_generation_new(struct tri_session *s, struct tri_sampler *sampler,
                                          const struct tri_generation_options *o, struct tri_error *e);
void tri_generation_free(struct tri_generation *g);

/* Appends tokens of the prompt, before the first is drawn: to the session, the sampler's window, and what drafts are
 * made of. Errors as of tri_session_feed. */
enum tri_status tri_generation_feed(struct tri_generation *g, const int32_t *ids, int count, struct tri_error *e);

/* Whether nothing is left to be drawn: all of options.tokens are, or the context is full and may not be shifted. The last
 * token drawn needs no room in it. */
bool tri_generation_over(const struct tri_generation *g);

/* Draws a token, which the sampler accepts. Not before a feed, nor when it is over. Errors as of tri_session_feed, and of
 * tri_session_shift. The session may hold drafted tokens behind those drawn, until the next call. */
enum tri_status tri_generation_next(struct tri_generation *g, int32_t *id, struct tri_error *e);

/* The halves of next, for who draws by himself: the [vocab] logits behind the text, valid until take, and the token
 * that goes there. */
enum tri_status tri_generation_logits(struct tri_generation *g, const float **logits, struct tri_error *e);
void tri_generation_take(struct tri_generation *g, int32_t id);

/* Of the tokens drafted, those accepted are the ones that were drawn; dropped are those that context shifts left out. */
struct tri_generation_counts {
    int drafted, accepted, dropped;
};
struct tri_generation_counts tri_generation_counts(const struct tri_generation *g);

#endif
