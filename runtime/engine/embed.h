/* A text as one vector: the hidden values behind the output norm, pooled over its tokens, of length 1.
 *
 *     float *out = malloc((size_t)model->config.hidden * sizeof *out);
 *     tri_session_embed(s, ids, n, model->config.pooling, NULL, out, &e); */
#ifndef TRI_EMBED_H
#define TRI_EMBED_H

#include "engine/session.h"

/* out[hidden] of a text, with which the session begins anew. TRI_USAGE and TRI_FAILED as tri_session_feed;
 * TRI_INTERRUPTED once stop(), asked before every pass, is true (NULL: never). The same bits whatever the threads, the
 * ISA and the ubatch. */
enum tri_status tri_session_embed(struct tri_session *s, const int32_t *ids, int count, enum tri_pooling pooling,
                                  bool (*stop)(void), float *out, struct tri_error *e);

#endif
