/* What ternary language models compute, token by token in double, as their papers and converters have it (formats.md
 * 3.5 and 4.2 to 4.6 in the project's documentation). It takes plain arrays and shares no code with the engine, so that
 * the two agree only if both are right.
 *
 *     struct reference_model m = {.layers = 2, ...};
 *     reference_run(&m, ids, tokens, hidden);          [tokens][hidden]
 *     reference_logits(&m, hidden, logits);            [vocab], of one token
 *
 * Nothing is checked and nothing is fast: shapes are the caller's affair. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

enum reference_activation { REFERENCE_SILU, REFERENCE_RELU2, REFERENCE_GELU };

/* In the order in which a layer uses them. */
enum reference_projection { Q, K, V, O, GATE, UP, DOWN, REFERENCE_PROJECTIONS };

struct reference_matrix {
    int rows, columns, group; /* group: columns that share a scale, a divisor of columns */
    int8_t *trits;            /* [rows][columns] -1, 0, +1 */
    float *scales;            /* [rows][columns / group] */
};

struct reference_layer {
    struct reference_matrix matrix[REFERENCE_PROJECTIONS];
    const float *norm_in[REFERENCE_PROJECTIONS]; /* [columns] of the projection's own input; NULL: none */
    const float *attn_norm, *ffn_norm;           /* [hidden] */
    const float *attn_sub_norm, *ffn_sub_norm;   /* [heads * head_dim], [ffn]; NULL: none */
    const float *q_norm, *k_norm;                /* [head_dim], of each head; NULL: none */
    const float *post_attn_norm, *post_ffn_norm; /* [hidden], of what is added; NULL: none */
};

struct reference_model {
    int layers, hidden, ffn, heads, kv_heads, head_dim, vocab;
    int rope_dims;             /* of head_dim values those that turn, even */
    bool half_split;           /* pairs (i, i + rope_dims / 2), else (2i, 2i + 1) */
    double theta, rope_factor; /* positions are divided by rope_factor: 1 without scaling */
    const float *rope_freqs;   /* [rope_dims / 2] divisors of the frequencies; NULL: 1 */
    double eps, embedding_scale;
    enum reference_activation activation;
    const float *embedding, *head; /* [vocab][hidden], the same where they are tied */
    const float *output_norm;      /* [hidden] */
    struct reference_layer *layer; /* [layers] */
};

/* hidden[tokens][hidden]: what leaves the output norm, at positions 0 to tokens - 1. */
void reference_run(const struct reference_model *m, const int32_t *ids, int tokens, double *hidden);

/* logits[vocab] of one token's hidden[hidden]. */
void reference_logits(const struct reference_model *m, const double *hidden, double *logits);

/* A text's embedding: the last token's hidden values, of length 1. */
void reference_embedding(const struct reference_model *m, const int32_t *ids, int tokens, double *embedding);

#endif
