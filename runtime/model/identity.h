/* Telling models apart by what they compute, whatever file, layout or instruction set they came through. */
#ifndef TRI_IDENTITY_H
#define TRI_IDENTITY_H

#include "model/model.h"

/* A hash over the shape, the norms, every scale, one row of each ternary matrix, and rows of embedding and output
 * layer as they are stored. 0, and TRI_NO_MEMORY in `e`, if there is no room for a tile. */
uint64_t tri_model_identity(const struct tri_model *m, struct tri_error *e);

#endif
