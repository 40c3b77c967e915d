/* The ternary matrices of a model's file, whatever form it has: their trits row by row, what scales them, and a hash
 * of both that says whether two files hold the same weights.
 *
 *     struct tri_trits *s = tri_trits_open(g, &config, pool, &e);
 *     tri_trits_rows(s, matrix, from, rows, hand, out, &e);      from any thread, each with a hand of its own
 *     tri_trits_hash(s, pool, stop, &hash, &e);
 *     tri_trits_free(s); */
#ifndef TRI_TRITS_H
#define TRI_TRITS_H

#include "file/ternary.h"
#include "model/packed.h"

enum { TRI_TRITS_CHUNK = 128 }; /* rows that are hashed as one; times any even number of columns whole groups of I2_S */

struct tri_trits_matrix {
    char name[64]; /* "blk.0.attn_q.weight" */
    int64_t rows, columns;
    const struct tri_tensor *tensor; /* NULL: part `part` of a packed stack */
    struct tri_ternary stored;
    struct tri_matrix stack;
    int part;
};

struct tri_trits {
    const struct tri_gguf *g;
    struct tri_trits_matrix *matrix; /* [count], layer by layer */
    int count;
};

struct tri_trits_hash {
    uint64_t trits;  /* of names, shapes and trits in the order of names: the same in every encoding */
    uint64_t scales; /* of names and scales likewise, as they are stored and meant */
};

/* Finds and checks all matrices of the configuration, and reads their scales, in parallel. `g` must outlive them. NULL
 * on error: TRI_BAD_FILE, TRI_UNSUPPORTED, TRI_NO_MEMORY. */
struct tri_trits *tri_trits_open(const struct tri_gguf *g, const struct tri_config *c, struct tri_pool *pool,
                                 struct tri_error *e);
void tri_trits_free(struct tri_trits *s);

/* Whether a tensor is one of the matrices, or of the packed form, and not a float tensor of the model. */
bool tri_trits_own(const struct tri_trits *s, const struct tri_tensor *t);

/* Bytes of a hand, scratch of tri_trits_rows. */
size_t tri_trits_hand(const struct tri_trits *s);

/* Rows [from, from + rows) of a matrix, [rows][columns]; bytes that stand for no trit are TRI_BAD_FILE. */
enum tri_status tri_trits_rows(const struct tri_trits *s, const struct tri_trits_matrix *m, int64_t from, int rows,
                               int8_t *hand, int8_t *out, struct tri_error *e);

/* Scales of a row, [groups]; groups and how many columns share one. */
int tri_trits_groups(const struct tri_trits_matrix *m, int64_t *group);
void tri_trits_scales(const struct tri_trits_matrix *m, int64_t row, float *scales);
enum tri_scaling tri_trits_scaling(const struct tri_trits_matrix *m);

/* The hash of a chunk's trits, and of all from those of the chunks, [matrices][chunks of the matrix]. */
uint64_t tri_trits_chunk_hash(const int8_t *trits, int rows, int64_t columns);
int64_t tri_trits_chunks(const struct tri_trits_matrix *m);
enum tri_status tri_trits_combine(const struct tri_trits *s, const uint64_t *chunks, struct tri_trits_hash *hash,
                                  struct tri_error *e);

/* All of it, in parallel, with percent on stderr if it is a terminal. TRI_INTERRUPTED once stop() is true. */
enum tri_status tri_trits_hash(const struct tri_trits *s, struct tri_pool *pool, bool (*stop)(void),
                               struct tri_trits_hash *hash, struct tri_error *e);

#endif
