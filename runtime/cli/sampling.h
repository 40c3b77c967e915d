/* What commands that draw tokens share: -s, --temp, --top-k and the others, and the sampler they describe. */
#ifndef TRI_CLI_SAMPLING_H
#define TRI_CLI_SAMPLING_H

#include "cli/load.h"
#include "engine/sampler.h"

struct tri_sampling_options {
    struct tri_sampling values; /* begin as TRI_SAMPLING_DEFAULTS */
    const char *seed;
};

#define TRI_SAMPLING_OPTIONS(s)                                                                                \
    {"-s", "--seed", TRI_TEXT, "N", "seed of the sampling (default: -1, any)", &(s).seed, 0, 0},               \
    {NULL, "--temp", TRI_FLOAT, "F", "temperature, 0: greedy (default: 0.8)", &(s).values.temperature, 0, 0},  \
    {NULL, "--top-k", TRI_INT, "N", "keep the N likeliest, 0: all (default: 40)", &(s).values.top_k, 0, 0},    \
    {NULL, "--top-p", TRI_FLOAT, "F", "keep the likeliest of sum F, 1: all (default: 0.95)",                   \
     &(s).values.top_p, 0, 1},                                                                                 \
    {NULL, "--min-p", TRI_FLOAT, "F", "keep those of F times the likeliest (default: 0.05)",                   \
     &(s).values.min_p, 0, 1},                                                                                 \
    {NULL, "--repeat-penalty", TRI_FLOAT, "F", "penalty of repetition, 1: none (default: 1)",                  \
     &(s).values.repeat_penalty, 0.01, 100},                                                                   \
    {NULL, "--repeat-last-n", TRI_INT, "N", "tokens looked back on for it, -1: the context (default: 64)",     \
     &(s).values.repeat_last_n, -1, 1 << 24}

/* The seed's text as a number; TRI_USAGE if it is none. */
enum tri_status tri_sampling_read(struct tri_sampling_options *o, struct tri_error *e);

/* For an open model with a session. NULL with an error. */
struct tri_sampler *tri_sampling_open(const struct tri_sampling_options *o, const struct tri_load *l,
                                      struct tri_error *e);

#endif
