/* One conversation with a model: its KV cache, fed through the forward pass.
 *
 *     struct tri_session *s = tri_session_new(model, pool, &(struct tri_session_options){.context = 512}, &e);
 *     const float *logits;
 *     tri_session_feed(s, ids, n, &logits, &e);       [vocab] of the last token
 *     tri_session_free(s);
 *
 * The same bits come out whatever the ISA, the number of threads and the way a text is cut into feeds. */
#ifndef TRI_SESSION_H
#define TRI_SESSION_H

#include "engine/workspace.h"

struct tri_session_options {
    int context;  /* positions; 0: the model's own */
    enum tri_cache_type cache_k, cache_v;
    struct tri_workspace *workspace; /* where its passes run, for sessions that take turns; NULL: its own, of */
    int ubatch;                      /* tokens per pass at most; 0: 512 */
    struct tri_team team[TRI_PHASES];
};

/* The other functions of sessions are public: include/tritune.h. */
struct tri_session *tri_session_new(const struct tri_model *m, struct tri_pool *pool,
                                    const struct tri_session_options *o, struct tri_error *e);

/* About how many bytes a session of such a model takes, with a workspace of its own: before there is a model. */
size_t tri_session_bytes(const struct tri_config *c, const struct tri_session_options *o);

size_t tri_session_position_bytes(const struct tri_session *s); /* keys and values of all layers at one position */
/* The same before there is a session. */
size_t tri_session_cached(const struct tri_config *c, const struct tri_session_options *o);
/* How many tokens the session and ids begin with alike, the last of ids not counted: that is to be fed, for its logits. */
int tri_session_common(const struct tri_session *s, const int32_t *ids, int count);
void tri_session_use(struct tri_session *s, enum tri_phase phase, struct tri_team team); /* from here on */

/* What the feed forward of single tokens met, and the bytes of gate, up and down that it read: sums over tokens. */
struct tri_ffn_count {
    uint64_t tokens;
    uint64_t idle;  /* gates that are not positive: a squared ReLU makes them 0 */
    uint64_t zeros; /* quantised inputs of down that are 0 */
    uint64_t bytes;
};

/* From here on single tokens are added to counts[layers], of all sessions that share the workspace; NULL: no longer. It
 * takes time, so what is timed is better not counted. */
void tri_session_count(struct tri_session *s, struct tri_ffn_count *counts);

/* Tokens that went through the head's screen so far, of all sessions that share the workspace, and the rows of the output
 * matrix that were multiplied for them; zeros where the model has none. */
void tri_session_screened(const struct tri_session *s, int64_t *tokens, int64_t *rows);

/* As feed, in one pass of TRI_DECODE's team, with the logits of every token: *logits is [*fed][vocab]. Tokens behind the
 * first are guesses, at most tri_session_guesses(s): 7, or less where the context ends or ubatch is small, -1 in a full
 * context. From a guess on whose activations are beyond the range of floats none is appended: *fed tells how many are. */
int tri_session_guesses(const struct tri_session *s);
enum tri_status tri_session_guess(struct tri_session *s, const int32_t *ids, int count, const float **logits, int *fed,
                                  struct tri_error *e);

/* As feed, with the logits of every token: each(arg, i, logits) in order, for perplexity. */
typedef void tri_each_fn(void *arg, int i, const float *logits);
enum tri_status tri_session_score(struct tri_session *s, const int32_t *ids, int count, tri_each_fn *each,
                                  void *arg, struct tri_error *e);

#endif
