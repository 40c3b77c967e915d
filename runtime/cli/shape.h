/* The options that say what a random model is like, for the commands that make one: one of the sizes by name, single
 * dimensions over it or without it, and contents. */
#ifndef TRI_SHAPE_H
#define TRI_SHAPE_H

#include "cli/load.h"
#include "model/synth.h"

struct tri_shape {
    const char *size; /* NULL: by hand */
    int hidden, layers, heads, kv_heads, head_dim, ffn, vocab, group; /* 0: as the size has it */
    int seed;
    bool three_of_four;
    float zeros, ffn_sparsity;          /* below 0: as published models have it */
    const char *family, *act, *embedding, *head; /* NULL: likewise */
    const char *weights; /* of models in memory: "ternary" or a tri_dense_find; NULL: ternary */
};

#define TRI_SHAPE_START {.seed = 1, .zeros = -1, .ffn_sparsity = -1}

#define TRI_SHAPE_OPTIONS(s)                                                                                     \
    {NULL, "--hidden", TRI_INT, "N", "hidden size, over that of SIZE; without SIZE also what follows", &(s).hidden, 1, \
     1 << 18},                                                                                                  \
    {NULL, "--layers", TRI_INT, "N", "layers", &(s).layers, 1, 1024},                                           \
    {NULL, "--heads", TRI_INT, "N", "query heads", &(s).heads, 1, 1024},                                        \
    {NULL, "--kv-heads", TRI_INT, "N", "key/value heads (default: as heads)", &(s).kv_heads, 1, 1024},          \
    {NULL, "--head-dim", TRI_INT, "N", "head size (default: hidden size over heads)", &(s).head_dim, 2, 1024},  \
    {NULL, "--ffn-size", TRI_INT, "N", "feed-forward size", &(s).ffn, 1, 1 << 18},                              \
    {NULL, "--vocab", TRI_INT, "N", "tokens", &(s).vocab, 1, 1 << 24},                                          \
    {NULL, "--group", TRI_INT, "N", "columns that share a scale: 32, 64, 128 or 256 (default: all)", &(s).group, 1,   \
     1 << 18},                                                                                                  \
    {NULL, "--zeros", TRI_FLOAT, "P", "share of weights that are 0 (default: 0.42)", &(s).zeros, 0, 0.99},      \
    {NULL, "--three-of-four", TRI_FLAG, NULL, "exactly one zero in every four weights, which --bits 1.25 takes",  \
     &(s).three_of_four, 0, 0},                                                                                 \
    {NULL, "--ffn-sparsity", TRI_FLOAT, "P", "share of hidden values that relu(gate) makes 0 (default: 0.5)",   \
     &(s).ffn_sparsity, 0, 0.99},                                                                               \
    {"-s", "--seed", TRI_INT, "N", "seed of the random weights (default: 1)", &(s).seed, 0, 0},                 \
    {NULL, "--family", TRI_TEXT, "NAME", "general.architecture: what layers are made of (default: as SIZE has, by " \
     "hand bitnet-b1.58)", &(s).family, 0, 0},                                                                  \
    {NULL, "--act", TRI_TEXT, "NAME", "a BitNet's activation: silu or relu2 (default: as the family has)", &(s).act,  \
     0, 0},                                                                                                     \
    {NULL, "--embedding", TRI_TEXT, "TYPE", "of the embedding: f16, q8_0 or q6_k (default: f16)", &(s).embedding, 0, \
     0},                                                                                                        \
    {NULL, "--head-type", TRI_TEXT, "TYPE", "of an output matrix of its own (default: as SIZE has, else none)",  \
     &(s).head, 0, 0}

#define TRI_WEIGHTS_OPTION(s)                                                                                    \
    {NULL, "--weights", TRI_TEXT, "TYPE", "what a random model's matrices are: ternary, or the same values kept as "  \
     "f16, q8_0 or q4_0 (default: ternary)", &(s).weights, 0, 0}

/* Whether any of them was given but a size. */
bool tri_shape_given(const struct tri_shape *s);

/* Where a random model is asked for, l->synth becomes `synth`, and *size what it is called; else *size stays. TRI_USAGE
 * as of tri_shape_read, and if l names a file, too. */
enum tri_status tri_shape_choose(const struct tri_shape *s, struct tri_load *l, struct tri_synth *synth,
                                 const char **size, struct tri_error *e);

/* TRI_USAGE for an unknown name, a dimension that is missing, or heads that do not divide the hidden size. */
enum tri_status tri_shape_read(const struct tri_shape *s, struct tri_synth *synth, struct tri_error *e);

#endif
