/* Attention of a pass: which thread computes it for which queries. */
#ifndef TRI_ATTEND_H
#define TRI_ATTEND_H

#include "engine/forward.h"

/* The queries in w->wide over their sessions' caches, to w->mixed: this thread's share. Every thread of the team calls
 * it; behind a barrier all is done. */
void tri_attend_pass(struct tri_workspace *w, const struct tri_ubatch *u, int layer, int thread, int threads);

#endif
