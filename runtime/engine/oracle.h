/* Sums of kernels held against plain C's, of the same packed bytes and activations, while a session computes.
 *
 *     struct tri_oracle *o = tri_oracle_new(model, threads, &e);
 *     workspace->input.watch = tri_oracle_see, workspace->input.watching = o;
 *     ... passes ...
 *     if (tri_oracle_verdict(o, 0, &e) != TRI_OK) ...     TRI_WRONG: which tensor, row and token
 *     tri_oracle_free(o); */
#ifndef TRI_ORACLE_H
#define TRI_ORACLE_H

#include "engine/linear.h"

#include <stdatomic.h>

/* The first difference anybody met. */
struct tri_difference {
    const uint8_t *tile; /* packed */
    int row, token;      /* of the tile; of the pass */
    double expected, found;
};

struct tri_oracle {
    const struct tri_model *model;
    int rows;      /* of every tensor at least so many, at random, and of a call TRI_ORACLE_TOKENS tokens; 0: all */
    uint64_t seed; /* of what is random */
    size_t ld, tile_bytes; /* of a thread's scratch: columns, and all of it */
    int8_t *trits;         /* [threads][tile_bytes] */
    atomic_uint_least64_t sums; /* compared so far, of rows and tokens */
    atomic_flag claimed;
    atomic_bool wrong; /* `first` is written */
    struct tri_difference first;
};

enum { TRI_ORACLE_TOKENS = 4 };

/* Memory for so many threads; all rows are compared. NULL on error. */
struct tri_oracle *tri_oracle_new(const struct tri_model *m, int threads, struct tri_error *e);
void tri_oracle_free(struct tri_oracle *o);

tri_watch_fn tri_oracle_see; /* arg: the oracle */

/* Between passes. before: tokens fed before the pass in which a difference would be, for the message. */
enum tri_status tri_oracle_verdict(struct tri_oracle *o, int before, struct tri_error *e);

#endif
