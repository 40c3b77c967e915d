/* Several sessions of one model fed together: their tokens share passes, so that the weights are read once for all.
 *
 *     struct tri_batch *b = tri_batch_new(workspace, &e);
 *     tri_batch_add(b, one, ids, n, TRI_LOGITS_LAST, &e);      tokens 0 to n - 1 of the batch
 *     tri_batch_add(b, other, &id, 1, TRI_LOGITS_LAST, &e);    token n
 *     tri_batch_run(b, &e);                                    positions move; the batch is empty again
 *     const float *logits = tri_batch_logits(b, n);            [vocab] behind token n
 *     tri_batch_free(b);
 *
 * What a session gets is what it would get alone, bit for bit. */
#ifndef TRI_BATCH_H
#define TRI_BATCH_H

#include "engine/session.h"

struct tri_batch;

/* As many tokens at once as the workspace's ubatch. */
struct tri_batch *tri_batch_new(struct tri_workspace *w, struct tri_error *e);
void tri_batch_free(struct tri_batch *b);

enum tri_logits { TRI_LOGITS_NONE, TRI_LOGITS_LAST, TRI_LOGITS_ALL };

/* Appends tokens to what the session holds and to what was added for it before. The session may be fed, rewound or
 * freed again once the batch has run. Errors leave the batch as it was: TRI_USAGE for a session of another model, an id
 * outside the vocabulary or a full batch, TRI_FAILED for a full context, TRI_NO_MEMORY for logits. */
enum tri_status tri_batch_add(struct tri_batch *b, struct tri_session *s, const int32_t *ids, int count,
                              enum tri_logits wanted, struct tri_error *e);
int tri_batch_room(const struct tri_batch *b); /* tokens that can be added yet */

/* One pass over all. On error no session has moved; the batch is empty in any case. TRI_USAGE for an empty batch and
 * for a session that moved since its tokens were added; TRI_FAILED if activations overflow, which names the session. */
enum tri_status tri_batch_run(struct tri_batch *b, struct tri_error *e);

/* Logits behind a token of the batch that ran last, tokens counted from 0 as they were added; NULL where none were
 * wanted. Valid until the next add. */
const float *tri_batch_logits(const struct tri_batch *b, int token);

#endif
