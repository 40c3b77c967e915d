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

/* Ids of encodings that no GGUF file has: what other containers hold, read as what it means. */
enum {
    TRI_OUTSIDE_GGUF = 0x10000,
    TRI_HF_PACKED = TRI_OUTSIDE_GGUF, /* U8 [rows / 4][K]; the scale is the tensor's factor */
    TRI_MASTER_F32,                   /* floats that become trits by their absolute mean (formats.md 3.3) */
    TRI_MASTER_F16,
    TRI_MASTER_BF16,
};

/* Which elements share a stored scale. */
enum tri_scales { TRI_SCALES_NONE, TRI_SCALES_TENSOR, TRI_SCALES_ROW, TRI_SCALES_BLOCK };

/* What ternary.c makes trits of. */
enum tri_origin {
    TRI_NO_TRITS,      /* nothing */
    TRI_TRITS_STORED,  /* codes */
    TRI_TRITS_EXACT,   /* floats, if all are 0 or of one magnitude */
    TRI_TRITS_ABSMEAN, /* floats, by their absolute mean */
};

struct tri_stray {
    enum tri_status status;
    const char *what; /* that a byte holds; what was expected, and what to do */
};

struct tri_encoding {
    uint32_t id; /* GGUF tensor type */
    const char *name;
    int block;       /* elements a block; a row holds whole blocks */
    int block_bytes; /* 0: the size is special (I2_S, TL1, TL2, packed U8) */
    int row_head;    /* bytes before the blocks of each row */
    bool ternary;    /* meant for trits and nothing else */
    enum tri_origin origin;
    int halves; /* rows that are stored in another order: of every so many, an even number that divides them, row 2i is
                 * stored as row i and row 2i + 1 as row halves / 2 + i; 0: in their own */
    const char *why; /* its rows are read as they are, where files do not say; else NULL */
    /* Stored trits: row `row` of a matrix [rows][k], 2 where a code stands for none; the byte of the tensor that
     * holds element i of it; which shapes fit (NULL: every one of its size). */
    void (*trits)(const struct tri_tensor *t, int64_t row, int8_t *restrict out);
    uint64_t (*byte)(const struct tri_tensor *t, int64_t row, int64_t i);
    enum tri_status (*fits)(const struct tri_tensor *t, struct tri_error *e);
    const struct tri_stray *stray; /* what a code is that stands for no trit */
    enum tri_scales scales;
    bool half; /* scales are f16, else f32 */
    uint64_t (*scale_byte)(const struct tri_tensor *t, int64_t row, int64_t block); /* of the tensor */
    /* Row `row` as floats. An encoding with neither can be named and sized, not read yet. */
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
    int halves; /* rows that are stored in another order: of every so many, an even number that divides them, row 2i is
                 * stored as row i and row 2i + 1 as row halves / 2 + i; 0: in their own */
    const char *why; /* it has this encoding, where the type id alone does not tell; else NULL */
};

const struct tri_encoding *tri_encoding_find(uint32_t id); /* NULL: unknown */
extern const struct tri_encoding tri_encoding_tl2; /* shares id 39 with MXFP4, which tri_encoding_find gives */

/* I2_S in the layout of this name: "128" (what tri_encoding_find gives), "64", "rows4", "sequence" or "row-tail".
 * NULL: there is none. */
struct tri_i2s_layout {
    const char *name;
    struct tri_encoding encoding;
};
const struct tri_i2s_layout *tri_i2s_layout_find(const char *name);

/* Sets t->bytes from encoding and ne, both checked; the text of an error does not name the tensor. */
enum tri_status tri_tensor_size(struct tri_tensor *t, struct tri_error *e);
int64_t tri_tensor_rows(const struct tri_tensor *t);       /* the product of ne[1..3] */

/* Conversions of 16-bit floats, exact (f16 subnormals included). */
float tri_f16_to_f32(uint16_t h);
uint16_t tri_f32_to_f16(float f);
float tri_bf16_to_f32(uint16_t h);
uint16_t tri_f32_to_bf16(float f);

#endif
