/* TL1 and TL2, rearranged for the lookup tables of one kernel configuration, which the file does not name: it has to
 * be known for the shape. Formats.md 2.5 to 2.7 in the project's documentation. */
#ifndef TRI_TL_H
#define TRI_TL_H

#include "file/tensor.h"

/* Rows and columns of a block of the kernel (BM, BK), and rows it handles at once (bm). */
struct tri_tl {
    int rows, columns, at_once;
};

/* NULL: none is known for the shape. */
const struct tri_tl *tri_tl1_find(const struct tri_tensor *t);
const struct tri_tl *tri_tl2_find(const struct tri_tensor *t);

/* Row `row` as stored under a configuration that divides the shape, 2 where a code stands for no trit. */
void tri_tl1_row(const struct tri_tl *c, const struct tri_tensor *t, int64_t row, int8_t *out);
void tri_tl2_row(const struct tri_tl *c, const struct tri_tensor *t, int64_t row, int8_t *out);

/* Bytes of a TL2 matrix of this shape; 0: rows shorter than 256, which it has no room for. */
uint64_t tri_tl2_bytes(uint64_t k, uint64_t rows);

#endif
