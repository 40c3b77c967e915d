/* Rotary embedding, the cache of keys and values, and attention over it for one head of one token.
 *
 * Positions are taken in blocks of 256, counted from 0: maximum, exponentials and output of a block
 * in position order, then the blocks from left to right. So neither threads nor the way a text is
 * fed change a bit. */
#ifndef TRI_ATTENTION_H
#define TRI_ATTENTION_H

#include "engine/session.h"

enum { TRI_ATTENTION_BLOCK = 256 };

/* Keys or values of all heads, by layer and position. A head is a row of its own (struct tri_rows), so that it begins
 * with a block: Q8_0 heads of 100 values take four blocks, 136 bytes, of which the last 28 values are zero. */
struct tri_cache {
    enum tri_rows_kind rows;
    int context;
    size_t head, position; /* bytes of one head, and of all heads of one position */
    uint8_t *data;         /* [layers][context][heads] */
};

enum tri_status tri_cache_new(struct tri_cache *c, const char *what, enum tri_cache_type type, int layers,
                              int context, int heads, int head_dim, struct tri_error *e);
/* Where a layer's first position lies; the others follow, c->position bytes each. */
uint8_t *tri_cache_layer(const struct tri_cache *c, int layer);
/* Stores x[n] as `head` of a position, rounded as the cache's type is. */
void tri_cache_put(const struct tri_cache *c, const struct tri_vec *v, int layer, int position, int head,
                   const float *x, int n);

/* Frequencies theta^(-2i / rope_dims); then what tri_rope multiplies at a position, [rope_dims] each: cosines and
 * sines of its angles, as the family pairs values; and the first rope_dims values of a head, rotated. */
void tri_rope_frequencies(float theta, int dims, double *frequency);
void tri_rope_angles(const struct tri_config *c, const double *frequency, int position, float *cosine, float *sine);
void tri_rope(const struct tri_vec *v, const struct tri_config *c, const float *cosine, const float *sine, float *x);

/* out[head_dim] of a query at `position`, of what key/value head `head` of the caches holds up to there. False if a
 * score is beyond the range of floats. */
struct tri_attention {
    const struct tri_vec *v;
    const struct tri_cache *keys, *values;
    int layer, position, head, head_dim;
    float *scratch; /* [TRI_ATTENTION_BLOCK + head_dim] */
};
bool tri_attend(const struct tri_attention *a, const float *query, float *out);

#endif
