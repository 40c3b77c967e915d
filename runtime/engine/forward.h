/* The forward pass of one ubatch: tokens of one or several sessions go through all layers together, each looking back
 * on its own session only. What a token comes to does not depend on what else is in the ubatch, bit for bit. */
#ifndef TRI_FORWARD_H
#define TRI_FORWARD_H

#include "engine/attention.h"
#include "engine/linear.h"
#include "engine/screen.h"
#include "engine/workspace.h"

#include <stdatomic.h>

/* Tokens of a text: what is kept of them, and how many there are. */
struct tri_session {
    const struct tri_model *model;
    struct tri_workspace *work; /* where its passes run when it is fed alone */
    bool owns_work;
    int context, position;
    struct tri_cache keys, values;
    int32_t *ids;  /* [context] */
    int top;       /* of logits, the greatest that are wanted; 0: all */
    float *logits; /* [TRI_HEAD_TOKENS][vocab] of the last feed or score */
};

/* What workspace.c allocates; between passes it holds nothing anybody needs, but for the head (tri_forward_head). */
struct tri_workspace {
    const struct tri_model *model;
    struct tri_pool *pool;
    struct tri_team team[TRI_PHASES];
    const struct tri_vec *vec;
    int ubatch;
    struct tri_input input; /* [max(ubatch + what kernels read behind, threads)] tokens */

    double *frequency;    /* [rope_dims / 2] */
    float *cosine, *sine; /* [ubatch][rope_dims] */
    float *x;             /* [ubatch][hidden] residual stream */
    float *wide;          /* [ubatch][ldw] q, k, v of a layer; then gate and up */
    size_t ldw;
    float *mixed;  /* [ubatch][heads * head_dim] output of attention */
    float *branch; /* [ubatch][hidden] what is normed and then added to x, where the family has post norms */
    float *parts;  /* [parts_count][tri_part_floats] attention of single blocks */
    size_t parts_count;
    float *last;   /* [TRI_HEAD_TOKENS][hidden] normed, for the head */
    float *floats; /* [threads][floats_each] scratch */
    int32_t *sums; /* [threads][sums_each] scratch */
    size_t floats_each, sums_each;
    size_t marks_each; /* between the threads' own scales and sums of a single token: at least a cache line */
    int32_t *list;         /* [threads][ffn] where layers skip: what counts, */
    int8_t *listed;        /* [threads][ffn] and its quantised values */
    struct tri_ffn_count *counts; /* [layers], added to by single tokens; or NULL */
    struct tri_screening *screening; /* NULL where the model has no screen */
    atomic_bool *overflow; /* [ubatch] a norm, score or quantiser met values beyond the range of floats */
};

/* Consecutive tokens of one session: those of the ubatch from `first` on stand at `position` and behind it. */
struct tri_run {
    struct tri_session *session;
    int position, first, count;
};

/* The tokens of one pass, at most as many as the workspace's ubatch. */
struct tri_ubatch {
    const int32_t *ids; /* [n] */
    int n;
    const struct tri_run *run; /* [runs], all tokens in their order */
    int runs;
    bool decodes; /* though there are several tokens: TRI_DECODE's team works */
};

/* Which tokens' logits are wanted, and where to. */
struct tri_wanted {
    const int *token; /* [n] of the ubatch, in any order */
    int n;
    int top;       /* the greatest few, where the model has a screen: others may be -INFINITY; 0: all */
    float *logits; /* [n][vocab] */
};

/* Floats of scratch that each thread needs. */
size_t tri_forward_floats(const struct tri_config *c);

/* y = x / sqrt(mean(x^2) + eps) * weight, measured for the quantiser; squares: those of x as tri_measure has them. */
struct tri_measure tri_rms_norm(const struct tri_vec *v, const float *x, float squares, const float *weight, float eps,
                                int n, float *y);

/* Puts the tokens' keys and values into their sessions' caches, whose positions the caller has checked and moves on. */
void tri_forward(struct tri_workspace *w, const struct tri_ubatch *u, const struct tri_wanted *wanted);

/* Logits of tokens of the pass before. */
void tri_forward_head(struct tri_workspace *w, const struct tri_wanted *wanted);

/* The first of the n tokens of the pass before that went beyond the range of floats, or -1; forgets it. */
int tri_forward_overflow(struct tri_workspace *w, int n);

/* TRI_USAGE or TRI_FAILED, and why, if these tokens cannot stand at that position of the session. */
enum tri_status tri_session_check(const struct tri_session *s, int position, const int32_t *ids, int count,
                                  struct tri_error *e);

/* Moves on behind tokens that went through the layers. */
void tri_session_advance(struct tri_session *s, const int32_t *ids, int count);

/* What is said of a token that went beyond the range of floats. */
enum tri_status tri_fail_overflow(int position, struct tri_error *e);

#endif
