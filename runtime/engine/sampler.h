/* Choosing the next token: llama.cpp's chain penalties -> top-k -> top-p -> min-p -> temperature -> draw, with
 * its defaults, and libstdc++'s mt19937 and discrete_distribution, bit for bit (no libm: base/math.h). */
#ifndef TRI_SAMPLER_H
#define TRI_SAMPLER_H

#include "base/error.h"

#define TRI_SAMPLING_DEFAULTS {.seed = 0xFFFFFFFFu, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, \
                               .min_p = 0.05f, .repeat_penalty = 1.0f, .repeat_last_n = 64}

/* The other functions of samplers are public: include/tritune.h. */
struct tri_sampler *tri_sampler_new(const struct tri_sampling *o, int vocab, struct tri_error *e);

#endif
