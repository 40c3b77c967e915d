/* `tritune bench --like`: the sizes, tests and threads of tables that others publish, in the columns of their programs,
 * with what they published beside. */
#ifndef TRI_BENCH_LIKE_H
#define TRI_BENCH_LIKE_H

#include "cli/bench.h"
#include "cli/shape.h"

#define TRI_BENCH_LIKES "bitnet.cpp, llama-bench or ik-sweep"

struct tri_bench_like {
    const char *name;
    struct tri_texts published; /* files of tables beside those of the program */
};

/* Runs and prints. `b` has the options and, if a model was asked for, that one; else the sizes are those of the tables,
 * each made as `shape` says, and what memory cannot hold is skipped with a line on stderr. Tests and threads that were
 * not asked for are the table's, threads as far as this machine has cores. Interrupted, prints what is done. */
enum tri_status tri_bench_run_like(const struct tri_bench_like *like, const struct tri_bench *b,
                                   const struct tri_bench_tests *tests, const struct tri_shape *shape, bool as_json,
                                   struct tri_error *e);

#endif
