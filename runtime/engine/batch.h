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

/* The other functions of batches are public: include/tritune.h. As many tokens at once as the workspace's ubatch. */
struct tri_batch *tri_batch_new(struct tri_workspace *w, struct tri_error *e);

#endif
