/* Random models, for measuring: every shape, in memory under every plan, or as a file.
 *
 *     struct tri_synth synth;
 *     if (!tri_synth_size("2b4t", &synth)) ...                     shape and contents of a public model
 *     struct tri_model *m = tri_model_synth(&synth, pool, &e);     a second for two billion weights
 *     tri_model_free(m);
 *
 * The weights are random, the output means nothing, but everything costs what it costs in a model of that shape,
 * and activations stay in the range of floats. The same seed, shape and contents are the same weights under every plan
 * and in every file: the same bits come out. */
#ifndef TRI_SYNTH_H
#define TRI_SYNTH_H

#include "model/model.h"

struct tri_synth {
    struct tri_config config;        /* as tri_config_read makes it; family: tri_family_find */
    struct tri_plan plan[TRI_ROLES]; /* without a layout: the dispatch table's */
    struct tri_budget budget;        /* where there is no plan at all */
    uint64_t seed;
    float zeros;                     /* share of trits that are 0: 0 to 0.99 */
    bool three_of_four;              /* exactly one trit in four columns is 0, whatever `zeros` says */
    int group;                       /* columns that share a scale, a multiple of 32; 0: all of a matrix */
    const struct tri_dense *weights; /* in memory: what trits times a scale are kept as; NULL: packed trits */
    float ffn_sparsity;              /* share of gate's values that are not positive: 0 to 0.99; 0.5 without a bias */
    const struct tri_encoding *embedding, *head; /* F16, Q8_0 or Q6_K; NULL: F16, and as head the embedding */
};

/* Contents as published models have, nothing said of shape and plans. */
void tri_synth_usual(struct tri_synth *s);

/* Shape and contents of a public model, or of one of the models of random weights that BitNet's benchmarks use, by one
 * of these names. False: another name. */
#define TRI_SYNTH_SIZES                                                                                             \
    "2b4t, large, xl, 3b, llama3-8b, falcon3-1b, falcon3-3b, falcon3-7b, falcon3-10b, falcon-e-1b, falcon-e-3b, "   \
    "embedding-0.6b, embedding-270m, 125m, 350m, 1b, 1.5b, 2.7b, 3.8b, 7b, 13b, 30b, 70b, 100b"
bool tri_synth_size(const char *name, struct tri_synth *s);

/* Fills in parallel on `pool`. TRI_USAGE for a shape or contents that no model has or a plan that cannot take it;
 * TRI_NO_MEMORY before anything large is allocated, if it would not fit. */
struct tri_model *tri_model_synth(const struct tri_synth *s, struct tri_pool *pool, struct tri_error *e);

/* The same without weights, for traffic.h: layers, plans, bytes, and tensors without data. It takes some KiB a layer,
 * and its budget only says how many bits. */
struct tri_model *tri_model_synth_outline(const struct tri_synth *s, struct tri_error *e);

struct tri_gguf_writer;

/* The same as a file: adds keys and tensors to a file that has none of them yet, and writes these in parallel on
 * `pool`; all but the tokenizer's keys, and the commit. Ternary matrices are of encoding `type` (file/encode.h).
 * Percent on stderr if it is a terminal. TRI_INTERRUPTED once stop(), asked every few MiB by each thread, is true. */
enum tri_status tri_synth_write(const struct tri_synth *s, const struct tri_encoding *type, struct tri_gguf_writer *w,
                                struct tri_pool *pool, bool (*stop)(void), struct tri_error *e);

#endif
