/* The greatest logits without computing all: by the int8 copy of the output matrix (model/screen.h) every logit is
 * enclosed in bounds, and only rows that could be among the greatest are multiplied as they are stored. Those have the
 * bits of the full head; proof in screen.c.
 *
 * Within a region, by all its threads, each with its own struct tri_screened:
 *
 *     tri_screen_take(&j, t, measure);           each token by one thread, a single one by every thread; barrier if
 *     if (tri_screen_holds(&j)) {                there are several
 *         tri_screen_bound(&j);
 *         tri_pool_sync(pool);
 *         tri_screen_decide(&j);
 *     }                                          else all logits are to be computed */
#ifndef TRI_ENGINE_SCREEN_H
#define TRI_ENGINE_SCREEN_H

#include "model/screen.h"

enum { TRI_HEAD_TOKENS = 8 }; /* whose logits are made in one go, reading the head once */
enum { TRI_TOP_MOST = 1024 }; /* of which a screen makes out the greatest; who wants more gets all */

struct tri_screening;

struct tri_screening *tri_screening_new(const struct tri_model *m, int threads, struct tri_error *e);
void tri_screening_free(struct tri_screening *s);

struct tri_screened {
    struct tri_screening *s;
    const struct tri_vec *v;
    const struct tri_pool *pool;
    int thread, threads; /* of the team at work */
    const float *h;      /* [n][hidden] normed outputs, n <= TRI_HEAD_TOKENS */
    int n, top;          /* 1 <= top <= TRI_TOP_MOST */
    float *logits;       /* [n][vocab]; in the end: exact for the greatest `top` and whatever equals the least of them,
                          * else exact or -INFINITY */
};

void tri_screen_take(const struct tri_screened *j, int t, struct tri_measure of); /* of: h of token t */
bool tri_screen_holds(const struct tri_screened *j); /* false: bounds would be beyond the range of floats */
void tri_screen_bound(const struct tri_screened *j);
void tri_screen_decide(const struct tri_screened *j);

/* Tokens screened so far, and the rows that were multiplied for them. */
struct tri_screen_counts {
    int64_t tokens, rows;
};
struct tri_screen_counts tri_screening_counts(const struct tri_screening *s);

#endif
