/* Proof of a model's kernels against plain C, on the very bytes and threads that are to be timed.
 *
 *     struct tri_proof proof;
 *     if (tri_session_prove(s, 512, &proof, &e) != TRI_OK) ...     TRI_WRONG: nothing of it is to be believed
 *
 * A few tokens go through the session as it is, and what kernels compute is held against integer sums of the trits that
 * the layout's unpack (kernel.h) finds in the packed bytes. The same tokens go through a session whose float work is
 * plain C's, which skips nothing and screens nothing: its logits must be the same bits. */
#ifndef TRI_PROOF_H
#define TRI_PROOF_H

#include "engine/session.h"

enum { TRI_PROOF_TOKENS = 16, TRI_PROOF_ROWS = 64 };

struct tri_proof {
    int tokens;      /* decoded greedily, one by one, the logits compared */
    int batch;       /* fed at once, likewise; 0: none */
    int kernel;      /* of a batch without logits, as many as the kernel for most tokens takes; 0: none */
    bool whole;      /* decoding: every row of every matrix; else random ones, at least TRI_PROOF_ROWS of each */
    uint64_t seed;   /* of these */
    uint64_t sums;   /* compared, of rows and tokens */
    uint64_t logits; /* likewise */
    double seconds;  /* it took */
};

/* Every row and TRI_PROOF_TOKENS tokens of a model below 50 million weights; else two tokens, of which every row if
 * that takes some seconds at most, by the number of weights and threads; of large dense models one. batch: tokens that
 * will be fed at once (1 or less: none), so that kernels for several are proved, random rows and tokens of them. Less
 * where the session's context is short. The session begins anew and is left empty. Needs memory for another session
 * of these few tokens. TRI_WRONG: tensor, row and token of the first difference; TRI_NO_MEMORY; what feeding may
 * return. */
enum tri_status tri_session_prove(struct tri_session *s, int batch, struct tri_proof *proof, struct tri_error *e);

#endif
