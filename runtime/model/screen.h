/* A copy of the output matrix in int8 with bounds on what it is off by: by it the rows are found among which the
 * greatest logits must be (engine/screen.c), reading half the bytes of F16. */
#ifndef TRI_SCREEN_H
#define TRI_SCREEN_H

#include "model/model.h"

/* Of a row w, whose codes are c: e = w - scale * c. All lengths are Euclidean, and rounded up. */
struct tri_screen_row {
    float scale, error; /* error >= |e| */
    float norm;         /* >= |w| and >= |scale * c| */
};

struct tri_screen {
    const int8_t *codes; /* [vocab][ld], zeros behind the columns */
    size_t ld;           /* hidden, rounded up to a multiple of 128 */
    const struct tri_screen_row *row;
    float norm;   /* the greatest of the rows' */
    int reach;    /* activations of at most so much have sums within int32 */
    size_t bytes; /* of all this */
};

enum { TRI_SCREEN_REACH = 32767 };

/* Bytes from one row of codes to the next, and those that the copy of a model of this shape takes. */
size_t tri_screen_ld(const struct tri_config *c);
size_t tri_screen_bytes(const struct tri_config *c);

float tri_screen_norm(const struct tri_screen_row *row, int rows); /* the greatest */

/* Whether auto screens a head of this encoding and shape where there is memory: not from 8.5 bits a weight down, where
 * the copy is no smaller, nor where the whole is a matter of microseconds. */
bool tri_screen_pays(const struct tri_encoding *e, const struct tri_config *c);

/* |x| of n numbers whose squares' sum came out as `squares` in the lanes of tri_measure (kernel.h), rounded up. */
double tri_length(float squares, int n);

#endif
