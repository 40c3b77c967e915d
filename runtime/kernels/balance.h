/* Shares of threads on cores of different speed (performance and efficiency cores). */
#ifndef TRI_BALANCE_H
#define TRI_BALANCE_H

#include "base/error.h"
#include "base/threads.h"

/* Where the system says that the cores for these threads are of different speed: pins each thread, the caller
 * too, to a core of its own, the fastest first, and weighs the threads by what a kernel reaches on each, all of
 * them at work, measured for 2 ms. Elsewhere it does nothing. TRI_NO_MEMORY. */
enum tri_status tri_balance(struct tri_pool *pool, struct tri_error *e);

/* The same whatever the system says. */
enum tri_status tri_balance_measure(struct tri_pool *pool, struct tri_error *e);

#endif
