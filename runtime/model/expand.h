/* Embedding and output matrices that a file stores as trits: as floats of the same values, since these rows are read
 * and multiplied in place.
 *
 *     struct tri_expansion x;
 *     tensor = tri_expansion_plan(&x, m, stored, &e);      what it will be, without data
 *     tri_expand(&x, m, &e);                               its data, once memory is known to suffice */
#ifndef TRI_EXPAND_H
#define TRI_EXPAND_H

#include "file/ternary.h"
#include "model/model.h"

struct tri_expansion {
    struct tri_ternary from;
    struct tri_tensor *to; /* the model's */
};

/* F16 if that holds the scale exactly, else F32. NULL on error: TRI_UNSUPPORTED unless one scale serves the tensor. */
const struct tri_tensor *tri_expansion_plan(struct tri_expansion *x, struct tri_model *m, const struct tri_tensor *t,
                                            struct tri_error *e);

/* Fills the tensor in and adds a warning to the model's notice: nobody trains embeddings to be trits. */
enum tri_status tri_expand(const struct tri_expansion *x, struct tri_model *m, struct tri_error *e);

#endif
