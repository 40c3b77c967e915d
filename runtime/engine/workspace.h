/* What a forward pass needs besides weights and caches: activations and scratch. Sessions of a model can share one,
 * one pass at a time. */
#ifndef TRI_WORKSPACE_H
#define TRI_WORKSPACE_H

#include "model/model.h"

struct tri_workspace;

enum { TRI_UBATCH = 512 /* what llama.cpp takes, too */, TRI_MAX_UBATCH = 1 << 16 };

struct tri_workspace_options {
    int ubatch;                       /* tokens per pass at most, up to TRI_MAX_UBATCH; 0: TRI_UBATCH */
    struct tri_team team[TRI_PHASES]; /* of the pool, for single tokens and for batches */
};

struct tri_workspace *tri_workspace_new(const struct tri_model *m, struct tri_pool *pool,
                                        const struct tri_workspace_options *o, struct tri_error *e);
void tri_workspace_free(struct tri_workspace *w);

#endif
