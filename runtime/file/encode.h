/* Trits and floats to the bytes of a file, the way back of file/tensor.h. One row of a table per encoding.
 *
 *     const struct tri_encoder *c = tri_encoder_find(t.encoding);
 *     c->groups(trits, n, scale, out);          n whole groups of a matrix, row after row, anywhere in it
 *     tri_encoder_tail(c, scale, out);          what follows the last of them
 *
 *     const struct tri_float_encoder *f = tri_float_encoder_find(t.encoding);
 *     f->blocks(floats, n, out);                n whole blocks, which lie in one row */
#ifndef TRI_ENCODE_H
#define TRI_ENCODE_H

#include "file/tensor.h"

enum { TRI_ENCODER_TAIL = 32, TRI_ENCODER_GROUP = 256 /* a multiple of every group */ };

struct tri_encoder {
    uint32_t id;        /* of the encoding */
    uint32_t file_type; /* general.file_type of files whose matrices have it */
    int group;          /* trits */
    int group_bytes;
    int tail;     /* bytes behind all groups, at most TRI_ENCODER_TAIL */
    bool whole;   /* groups begin anew with every row, else they may lie across */
    bool grouped; /* each group has a scale of its own, an F16; else the tensor has one, an F32 */
    void (*groups)(const int8_t *trits, int64_t n, float scale, uint8_t *out);
};

const struct tri_encoder *tri_encoder_find(const struct tri_encoding *encoding); /* NULL: nobody writes it yet */

/* c->tail bytes. */
void tri_encoder_tail(const struct tri_encoder *c, float scale, uint8_t *out);

/* What `scale` is once it was written. */
float tri_encoder_scale(const struct tri_encoder *c, float scale);

struct tri_float_encoder {
    uint32_t id;
    int block, block_bytes;
    void (*blocks)(const float *in, int64_t n, uint8_t *out);
};

const struct tri_float_encoder *tri_float_encoder_find(const struct tri_encoding *encoding); /* NULL likewise */

#endif
