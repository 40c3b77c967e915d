/* What a pass of a few tokens costs, to weigh a draft by: as passes of so many tokens took of late; where none was timed,
 * in proportion to those that were, by the plans of the model's matrices.
 *
 * Clocks decide how fast a text comes, never what it says. Times measured on the spot know what no plan does: whether
 * weights come from memory or cache, what is skipped, how far attention looks back, who else is at work. */
#ifndef TRI_COST_H
#define TRI_COST_H

#include "model/model.h"

enum { TRI_COST_TOKENS = 8 };

struct tri_cost {
    double of[TRI_COST_TOKENS + 1];       /* n tokens, in seconds; before any pass was timed, in units of one token */
    double expected[TRI_COST_TOKENS + 1]; /* to one */
    double least[2][TRI_COST_TOKENS + 1]; /* seconds in this window of passes and the one before; 0: none was timed */
    int passes;                           /* in this window */
};

void tri_cost_begin(struct tri_cost *c, const struct tri_model *m);
void tri_cost_timed(struct tri_cost *c, int tokens, double seconds); /* one pass; 1 <= tokens <= TRI_COST_TOKENS */

#endif
