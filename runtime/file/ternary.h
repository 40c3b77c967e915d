/* The trits of a tensor and what scales them, whatever its encoding.
 *
 *     struct tri_ternary w;
 *     if (tri_ternary_read(&w, tensor, &e) != TRI_OK) ...
 *     tri_ternary_row(&w, row, trits, &e);       [K] of -1, 0, +1
 *     tri_ternary_scales(&w, row, scales);       [groups]
 *
 * Element i of the row is worth scales[i / group] * trits[i]. The tensor must outlive what was read of it. */
#ifndef TRI_TERNARY_H
#define TRI_TERNARY_H

#include "file/tensor.h"

enum tri_scaling { TRI_PER_TENSOR, TRI_PER_ROW, TRI_PER_GROUP };

struct tri_ternary {
    const struct tri_tensor *tensor;
    enum tri_scaling scaling; /* what was found: equal scales everywhere (all-zero groups aside) are TRI_PER_TENSOR,
                               * whatever the encoding */
    int group, groups;        /* columns that share a scale (K unless TRI_PER_GROUP), groups of a row */
    float scale;              /* TRI_PER_TENSOR: of all, times the tensor's factor */
    const char *why;          /* it was read so: a few words */
    /* for tri_ternary_row */
    bool has_zeros;           /* groups with a scale of 0, whose trits count as 0 */
    float inverse, threshold; /* of floats: times the inverse, +1 above the threshold, -1 below minus it */
};

/* Reads and checks every scale once. TRI_UNSUPPORTED if the tensor is not ternary; TRI_BAD_FILE if a scale is no
 * finite number above 0. Both name tensor and byte. */
enum tri_status tri_ternary_read(struct tri_ternary *w, const struct tri_tensor *t, struct tri_error *e);

/* Row `row` as K trits, from any thread. TRI_BAD_FILE where a code stands for none. */
enum tri_status tri_ternary_row(const struct tri_ternary *w, int64_t row, int8_t *trits, struct tri_error *e);

/* The scales of a row, [groups], times the tensor's factor. */
void tri_ternary_scales(const struct tri_ternary *w, int64_t row, float *scales);

#endif
