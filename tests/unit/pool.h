/* Threads for tests of models made in memory; behind cmocka.h. */
#ifndef POOL_H
#define POOL_H

#include "base/threads.h"

static inline struct tri_pool *pool_of(int threads)
{
    struct tri_error e;
    struct tri_pool *pool = tri_pool_new(threads, &e);
    assert_non_null(pool);
    return pool;
}

#endif
