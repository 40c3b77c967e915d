/* Choosing the next token: llama.cpp's chain penalties -> top-k -> top-p -> min-p -> temperature -> draw, with
 * its defaults, and libstdc++'s mt19937 and discrete_distribution, bit for bit (no libm: base/math.h). */
#ifndef TRI_SAMPLER_H
#define TRI_SAMPLER_H

#include "base/error.h"

#include <stdint.h>

struct tri_sampling {
    uint32_t seed;
    float temperature;    /* <= 0: greedy, lowest id on ties */
    int top_k;            /* <= 0: off */
    float top_p, min_p;   /* >= 1 and <= 0: off */
    float repeat_penalty; /* 1: off */
    int repeat_last_n;
};

#define TRI_SAMPLING_DEFAULTS {.seed = 0xFFFFFFFFu, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, \
                               .min_p = 0.05f, .repeat_penalty = 1.0f, .repeat_last_n = 64}

struct tri_sampler;

/* Seed 0xFFFFFFFF: from the system. tri_sampler_seed tells the one in use. */
struct tri_sampler *tri_sampler_new(const struct tri_sampling *o, int vocab, struct tri_error *e);
void tri_sampler_free(struct tri_sampler *s);
uint32_t tri_sampler_seed(const struct tri_sampler *s);
void tri_sampler_accept(struct tri_sampler *s, int32_t id); /* prompt tokens too: the penalty window */
int32_t tri_sampler_next(struct tri_sampler *s, const float *logits); /* draws; the caller accepts */

#endif
