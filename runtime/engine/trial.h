/* The forward pass as the tuner times it: a synthetic model under given plans, and a session of its own. Several
 * trials live side by side on one pool, so that their runs can take turns.
 *
 *     struct tri_trial *a = tri_trial_new(&synth, 32, pool, &e), *b = ...;
 *     tri_trial_run(a, TRI_DECODE, (struct tri_team){0}, 0.05, &ns, &e);       then b, then a, ...
 *     if (tri_trial_bits(a, TRI_DECODE) != tri_trial_bits(b, TRI_DECODE)) ...  one of them computes wrongly
 *     tri_trial_free(a);                                                      before the pool */
#ifndef TRI_TRIAL_H
#define TRI_TRIAL_H

#include "engine/session.h"
#include "model/synth.h"

struct tri_trial;

/* The model, and a prompt of `prompt` tokens (at least 2) behind which decoding is timed. */
struct tri_trial *tri_trial_new(const struct tri_synth *s, int prompt, struct tri_pool *pool, struct tri_error *e);
void tri_trial_free(struct tri_trial *t);

/* The same token behind the prompt, or the prompt as one batch, again and again until `seconds` are over, at least
 * once: nanoseconds per token. */
enum tri_status tri_trial_run(struct tri_trial *t, enum tri_phase phase, struct tri_team team, double seconds,
                              double *ns, struct tri_error *e);

/* A hash of the logits' bits in the last run of that phase; 0 before it. The same shape and seed have the same. */
uint64_t tri_trial_bits(const struct tri_trial *t, enum tri_phase phase);

#endif
