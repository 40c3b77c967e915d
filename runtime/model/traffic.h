/* What decoding a token reads of a model, by what it is read for, and what a model comes to in all: from its shapes and
 * plans, so that an outline (model.h, synth.h) has the same figures as the model itself.
 *
 *     const struct tri_decoding d = {.candidates = -1, .position = bytes, .depth = 512, .tokens = 128};
 *     const struct tri_traffic t = tri_traffic_of(model, &d);
 *     bandwidth / tri_traffic_sum(&t)        tokens per second that memory allows
 *
 * Norms, scales of whole matrices and a row of the embedding, some KiB, are not counted. */
#ifndef TRI_TRAFFIC_H
#define TRI_TRAFFIC_H

#include "model/model.h"

/* Bytes per token. */
struct tri_traffic {
    uint64_t attention; /* qkv and o of all layers */
    uint64_t ffn;       /* gate, up and down of all layers */
    uint64_t head;      /* the output matrix, or its int8 copy and the rows that are multiplied beside it */
    uint64_t kv;        /* keys and values */
};

/* What it depends on beside the model. */
struct tri_decoding {
    uint64_t ffn;      /* bytes of gate, up and down, as counted (tri_ffn_count); 0: nothing is skipped */
    double candidates; /* rows of the output matrix that a screened head multiplies; below 0: all, without a screen */
    uint64_t position; /* bytes of keys and values at one position, of all layers */
    int depth, tokens; /* positions before, and tokens decoded behind them: kv is the mean over these */
};

struct tri_traffic tri_traffic_of(const struct tri_model *m, const struct tri_decoding *d);
uint64_t tri_traffic_sum(const struct tri_traffic *t);

/* Bytes that a product with one token reads of a matrix: what is packed, and scales of rows and groups. */
size_t tri_matrix_traffic(const struct tri_matrix *m);

/* Bytes in memory, as it runs, without second copies. */
uint64_t tri_model_bytes(const struct tri_model *m);

/* Weights of its ternary matrices, padding left out: each token multiplies and adds each of them once. */
uint64_t tri_model_ternary(const struct tri_model *m);

/* All weights: ternary ones, embedding, output matrix and norms. */
uint64_t tri_model_parameters(const struct tri_model *m);

#endif
