/* Work in pieces for all threads of a pool, each piece to whoever is free, in their order.
 *
 *     const struct tri_queue q = {.count = pieces, .step = write_piece, .arg = &f, .what = "writing", .stop = stop};
 *     if (tri_queue_run(&q, pool, &e) != TRI_OK) ... */
#ifndef TRI_QUEUE_H
#define TRI_QUEUE_H

#include "base/threads.h"

#include <stdint.h>

/* Piece [0, count), on thread `thread` of the pool. */
typedef enum tri_status tri_step_fn(void *arg, int64_t piece, int thread, struct tri_error *e);

struct tri_queue {
    int64_t count;
    tri_step_fn *step;
    void *arg;
    const char *what;   /* is shown with percent on stderr if that is a terminal; NULL: nothing is */
    bool (*stop)(void); /* asked before each piece; NULL: never */
};

/* Returns when no thread is at work any more. The first error ends it; TRI_INTERRUPTED once stop() is true. */
enum tri_status tri_queue_run(const struct tri_queue *q, struct tri_pool *pool, struct tri_error *e);

#endif
