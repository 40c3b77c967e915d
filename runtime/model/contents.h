/* What a random model holds, for those who make one: synth.c in memory, synth_file.c as a file. Every value follows
 * from the seed, what it belongs to and its place there.
 *
 *     struct tri_contents c;
 *     if (tri_contents_open(&c, &synth, &e) == TRI_OK)
 *         tri_contents_trits(&c, part, row, trits);
 *     tri_contents_close(&c);
 *
 * Rows of matrices repeat after TRI_PERIOD, and a matrix of another layer begins at another of them: so that a few
 * rows are made and the rest are copies, as fast as memory is written.
 *
 * Embeddings have a direction in common, a random sign per column, which is a part COMMON of their length; o and down
 * add little to them, so that it is there in the input of every layer's gate. A gate whose trits lean against
 * it has fewer positive values: relu(gate) is zero as often as asked, in other places for each token. */
#ifndef TRI_CONTENTS_H
#define TRI_CONTENTS_H

#include "model/build.h"
#include "model/synth.h"

enum {
    TRI_PERIOD = 1024, /* rows; times an even number of columns it is a multiple of all groups of trits in files */
    TRI_SHIFT = 64,    /* rows; likewise */
};

/* Trits of one draw of 16 bits: -1 below minus[d], +1 from plus[d] on; d: 1 where the common direction is negative. */
struct tri_draws {
    int32_t minus[2], plus[2];
};

struct tri_contents {
    const struct tri_synth *synth;
    uint16_t *signs; /* [widest] the common direction: 0 or 0x8000 */
    struct tri_draws even, gate;
    double length; /* of a row of even trits, over the square root of its columns */
    float damping; /* of o and down */
};

/* TRI_USAGE for a shape or contents that no model has; TRI_NO_MEMORY. */
enum tri_status tri_contents_open(struct tri_contents *c, const struct tri_synth *s, struct tri_error *e);
void tri_contents_close(struct tri_contents *c); /* after a failure, too */

/* Parts are counted as in tri_part_shapes. */

/* Row `row` < TRI_PERIOD of a part. */
void tri_contents_trits(const struct tri_contents *c, int part, int row, int8_t *trits);

/* The row that is the first of a layer's part: a multiple of TRI_SHIFT below TRI_PERIOD. */
int tri_contents_begin(const struct tri_contents *c, int layer, int part);

/* An exact F16, so that encodings which store scales as such lose nothing. */
float tri_contents_scale(const struct tri_contents *c, int layer, int part);

/* The same of columns [i, i + 1) * synth->group of a row: about the matrix's. */
float tri_contents_group_scale(const struct tri_contents *c, int layer, int part, int row, int i);

/* norm: as in tri_norm_shapes. The output norm is norm 0 of layer config.layers. */
void tri_contents_norm(const struct tri_contents *c, int layer, int norm, float *values);

/* The embedding or, with `head`, the head: its tensor without data, and a row as it lies there. */
struct tri_tensor tri_contents_embedding(const struct tri_contents *c, bool head);
void tri_contents_row(const struct tri_contents *c, bool head, int row, uint8_t *to);

#endif
