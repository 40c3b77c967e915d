/* Rotary embedding, the cache of keys and values, and attention over it for one head of one token.
 *
 * Positions are taken in blocks of 256, counted from 0: maximum, exponentials and output of a block
 * in position order, then the blocks from left to right. So neither threads nor the way a text is
 * fed change a bit. */
#ifndef TRI_ATTENTION_H
#define TRI_ATTENTION_H

#include "engine/session.h"

enum { TRI_ATTENTION_BLOCK = 256 };

/* Rows of `width` values by layer and position. */
struct tri_cache {
    enum tri_cache_type type;
    int context;
    size_t width;
    void *data; /* [layers][context][width] */
};

enum tri_status tri_cache_new(struct tri_cache *c, const char *what, enum tri_cache_type type,
                              int layers, int context, int width, struct tri_error *e);
void tri_cache_put(const struct tri_cache *c, const struct tri_vec *v, int layer, int position,
                   int column, const float *x, int n);

/* Frequencies theta^(-2i / dims), then cosines and sines of a position's angles, [dims / 2] each.
 */
void tri_rope_frequencies(float theta, int dims, double *frequency);
void tri_rope_angles(const double *frequency, int dims, int position, float *cosine, float *sine);
void tri_rope(const struct tri_config *c, const float *cosine, const float *sine, float *x);

/* out[head_dim] of a query at `position`; `column` is where its key/value head begins. False if a
 * score is beyond the range of floats. */
struct tri_attention {
    const struct tri_vec *v;
    const struct tri_cache *keys, *values;
    int layer, position, column, head_dim;
    float *scratch; /* [TRI_ATTENTION_BLOCK + head_dim] */
};
bool tri_attend(const struct tri_attention *a, const float *query, float *out);

#endif
