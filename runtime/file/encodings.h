/* What the table of tensor.c refers to: how each encoding holds its rows. Trits of an encoding come in a function
 * `trits` that writes 2 where a code stands for no trit, and `byte`, where in the tensor an element's code lies. */
#ifndef TRI_ENCODINGS_H
#define TRI_ENCODINGS_H

#include "file/tensor.h"

typedef void tri_floats_fn(const struct tri_tensor *t, int64_t row, float *out);
typedef void tri_trits_fn(const struct tri_tensor *t, int64_t row, int8_t *restrict out);
typedef uint64_t tri_byte_fn(const struct tri_tensor *t, int64_t row, int64_t i);
typedef enum tri_status tri_fits_fn(const struct tri_tensor *t, struct tri_error *e);

/* Of an encoding with blocks, its head included. */
static inline uint64_t tri_row_bytes(const struct tri_tensor *t)
{
    const struct tri_encoding *c = t->encoding;
    return (uint64_t)c->row_head + (uint64_t)(t->ne[0] / c->block) * (uint64_t)c->block_bytes;
}

/* Of a weight matrix: rows `multiple` of which are stored together. */
enum tri_status tri_rows_in(const struct tri_tensor *t, int multiple, struct tri_error *e);

/* floats.c */
tri_floats_fn tri_f32_floats, tri_f16_floats, tri_bf16_floats, tri_q8_0_floats, tri_q4_0_floats, tri_q4_k_floats,
    tri_q6_k_floats;

/* i2s.c: the layouts of formats.md 2.4 in the project's documentation */
tri_trits_fn tri_i2s_128, tri_i2s_64, tri_i2s_sequence, tri_i2s_rows4, tri_i2s_row_tail;
tri_byte_fn tri_i2s_128_byte, tri_i2s_64_byte, tri_i2s_sequence_byte, tri_i2s_rows4_byte, tri_i2s_row_tail_byte;
tri_fits_fn tri_i2s_rows4_fits, tri_i2s_row_tail_fits;

/* bits2.c */
tri_trits_fn tri_tq2_0_trits, tri_q2_0_trits, tri_iq2_bn_trits, tri_iq2_bn_r4_trits, tri_hf_packed_trits;
tri_byte_fn tri_tq2_0_byte, tri_q2_0_byte, tri_iq2_bn_byte, tri_iq2_bn_r4_byte, tri_hf_packed_byte;
tri_fits_fn tri_iq2_bn_r4_fits;

/* tl.c */
tri_trits_fn tri_tl1_trits, tri_tl2_trits;
tri_byte_fn tri_tl1_byte, tri_tl2_byte;
tri_fits_fn tri_tl1_fits, tri_tl2_fits;

/* base3.c */
tri_trits_fn tri_tq1_0_trits, tri_iq1_bn_trits;
tri_byte_fn tri_tq1_0_byte, tri_iq1_bn_byte;

#endif
