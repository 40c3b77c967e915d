/* Tensors as stored, and their encodings: each decodes to plain trits with scales, or to float rows.
 * One table row per encoding; nothing else in the engine knows how a file packs its weights. */
#ifndef TRI_TENSOR_H
#define TRI_TENSOR_H

#include "base/error.h"
#include "kernels/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tri_tensor;

struct tri_encoding {
    uint32_t id; /* GGUF tensor type */
    const char *name;
    int block;       /* elements a block; a row holds whole blocks */
    int block_bytes; /* 0: the size is special (I2_S) */
    int row_head;    /* bytes before the blocks of each row */
    bool ternary;
    /* Row `row` of a matrix [rows][k] as trits (-1, 0, +1) and the tensor's one scale. */
    enum tri_status (*trits)(const struct tri_tensor *t, int64_t row, int8_t *out, struct tri_error *e);
    enum tri_status (*scale)(const struct tri_tensor *t, float *out, struct tri_error *e);
    /* The same row as floats. An encoding with neither can be named and sized, not read yet. */
    void (*floats)(const struct tri_tensor *t, int64_t row, float *out);
    enum tri_rows_kind rows; /* how they are multiplied in place; NONE: no embedding or output matrix may be so */
};

struct tri_tensor {
    char name[64];
    const struct tri_encoding *encoding;
    int dims;
    int64_t ne[4]; /* fastest first: ne[0] = K, ne[1] = M */
    const uint8_t *data;
    uint64_t offset; /* of data, in the file */
    uint64_t bytes;
    float factor; /* of its scales, where the file says one elsewhere; else 1 */
};

const struct tri_encoding *tri_encoding_find(uint32_t id); /* NULL: unknown */
extern const struct tri_encoding tri_encoding_tl2; /* id 39 where general.file_type is 39, else MXFP4 */

/* Sets t->bytes from encoding and ne, both checked; the text of an error does not name the tensor. */
enum tri_status tri_tensor_size(struct tri_tensor *t, struct tri_error *e);
int64_t tri_tensor_rows(const struct tri_tensor *t);       /* the product of ne[1..3] */

/* Conversions of 16-bit floats, exact (f16 subnormals included). */
float tri_f16_to_f32(uint16_t h);
uint16_t tri_f32_to_f16(float f);
float tri_bf16_to_f32(uint16_t h);
uint16_t tri_f32_to_bf16(float f);

#endif
