/* Models made in memory, for measuring: every shape, under every plan, without a file.
 *
 *     struct tri_synth synth = {.config = {...}, .seed = 1};
 *     struct tri_model *m = tri_model_synth(&synth, pool, &e);     a second for two billion weights
 *     tri_model_free(m);
 *
 * The weights are random, the output means nothing, but everything costs what it costs in a model of that shape,
 * and activations stay in the range of floats. The same seed and shape are the same weights under every plan: the
 * same bits come out. */
#ifndef TRI_SYNTH_H
#define TRI_SYNTH_H

#include "model/model.h"

struct tri_synth {
    struct tri_config config;        /* as tri_config_read makes it; family: tri_family_find */
    struct tri_plan plan[TRI_ROLES]; /* without a layout: the dispatch table's */
    uint64_t seed;
};

/* The shape of a public model, by one of these names. False: another name. */
#define TRI_SYNTH_SIZES "2b4t, 3b, large, 8b"
bool tri_synth_size(const char *name, struct tri_config *c);

/* Fills in parallel on `pool`; the head is the embedding, F16. TRI_USAGE for a shape that no model has or a plan that
 * cannot take it; TRI_NO_MEMORY before anything large is allocated, if it would not fit. */
struct tri_model *tri_model_synth(const struct tri_synth *s, struct tri_pool *pool, struct tri_error *e);

/* Bytes that such a model takes; 0 if the shape or a plan is refused (`e` says why). */
size_t tri_synth_bytes(const struct tri_synth *s, struct tri_error *e);

#endif
