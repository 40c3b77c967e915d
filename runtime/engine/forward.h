/* The forward pass over a session's buffers: what session.c allocates and forward.c computes. */
#ifndef TRI_FORWARD_H
#define TRI_FORWARD_H

#include "engine/attention.h"
#include "engine/linear.h"

#include <stdatomic.h>

enum { TRI_HEAD_TOKENS = 8 }; /* whose logits are made in one go, reading the head once */

struct tri_session {
    const struct tri_model *model;
    struct tri_pool *pool;
    struct tri_team team[TRI_PHASES];
    const struct tri_vec *vec;
    int context, ubatch, position;
    struct tri_cache keys, values;
    struct tri_input input; /* [max(ubatch + what kernels read behind, threads)] tokens */

    double *frequency;    /* [rope_dims / 2] */
    float *cosine, *sine; /* [ubatch][rope_dims] */
    float *x;             /* [ubatch][hidden] residual stream */
    float *wide;          /* [ubatch][ldw] q, k, v of a layer; then gate and up */
    size_t ldw;
    float *mixed;  /* [ubatch][heads * head_dim] output of attention */
    float *last;   /* [TRI_HEAD_TOKENS][hidden] normed, for the head */
    float *logits; /* [TRI_HEAD_TOKENS][vocab] */
    float *floats; /* [threads][floats_each] scratch */
    int32_t *sums; /* [threads][sums_each] scratch */
    size_t floats_each, sums_each;
    int32_t *list;  /* [threads][ffn] where layers skip: what counts, */
    int8_t *listed; /* [threads][ffn] and its quantised values */
    atomic_bool overflow; /* a norm or quantiser met values beyond the range of floats */
};

/* Floats of scratch that each thread needs. */
size_t tri_forward_floats(const struct tri_config *c);

/* y = x / sqrt(mean(x^2) + eps) * weight, measured for the quantiser; squares: those of x as tri_measure has them. */
struct tri_measure tri_rms_norm(const struct tri_vec *v, const float *x, float squares, const float *weight, float eps,
                                int n, float *y);

/* `n` tokens at s->position through all layers; with `logits` also those of the last one,
 * s->logits. */
void tri_forward(struct tri_session *s, const int32_t *ids, int n, bool logits);

/* s->logits of tokens [from, from + n) of the pass before, n <= TRI_HEAD_TOKENS. */
void tri_forward_head(struct tri_session *s, int from, int n);

#endif
