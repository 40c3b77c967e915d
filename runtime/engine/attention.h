/* Rotary embedding, the cache of keys and values, and attention over it for the heads of some tokens that share them.
 *
 * Positions are taken in blocks of 256, counted from 0: maximum, exponentials and output of a block
 * in position order, then the blocks from left to right. So neither threads nor the way a text is
 * fed change a bit. */
#ifndef TRI_ATTENTION_H
#define TRI_ATTENTION_H

#include "engine/session.h"

enum { TRI_ATTENTION_BLOCK = 256 };

/* Keys or values of all heads, by layer, head and position: a head's positions are one stream, read once for all
 * queries that share it. Each is a row of its own (struct tri_rows) of n values: head_dim, and zeros up to a multiple
 * of 16, of Q8_0 of 32. */
struct tri_cache {
    enum tri_rows_kind rows;
    int context, heads, n;
    size_t row, position; /* bytes of one head, and of all heads of one position of a layer */
    uint8_t *data;        /* [layers][heads][context] */
};

/* Bytes that a cache takes for one position of one layer. */
size_t tri_cache_position(enum tri_cache_type type, int heads, int head_dim);

enum tri_status tri_cache_new(struct tri_cache *c, const char *what, enum tri_cache_type type, int layers,
                              int context, int heads, int head_dim, struct tri_error *e);
/* Where a head's first position lies; the others follow, c->row bytes each. */
uint8_t *tri_cache_head(const struct tri_cache *c, int layer, int head);
/* Stores x[n] as `head` of a position, rounded as the cache's type is. */
void tri_cache_put(const struct tri_cache *c, const struct tri_vec *v, int layer, int position, int head,
                   const float *x, int n);

/* Frequencies theta^(-2i / rope_dims), divided by the configuration's factor and by divisors[rope_dims / 2], which may
 * be NULL; then what tri_rope multiplies at a position, [rope_dims] each: cosines and sines of its angles, as the family
 * pairs values; and the first rope_dims values of a head, rotated. */
void tri_rope_frequencies(const struct tri_config *c, const float *divisors, double *frequency);
void tri_rope_angles(const struct tri_config *c, const double *frequency, int position, float *cosine, float *sine);
void tri_rope(const struct tri_vec *v, const struct tri_config *c, const float *cosine, const float *sine, float *x);

/* Of consecutive tokens of one session the queries that look at key/value head `head`; no more tokens than
 * tri_attention_tokens. */
struct tri_attention {
    const struct tri_vec *v;
    const struct tri_cache *keys, *values;
    int layer, head, head_dim;
    int position, tokens; /* the first one's position; keys and values are there up to the last one's */
    int shared;           /* queries of a token */
    const float *query;   /* [tokens][shared][head_dim], tokens ldq floats apart */
    size_t ldq;
    float *scratch; /* tri_attention_floats, for one thread */
};

/* For queries that so many heads share: tokens taken together, floats of scratch; floats of a part: what a query has
 * gathered over some positions. */
int tri_attention_tokens(int shared);
size_t tri_attention_floats(int shared, int head_dim);
size_t tri_part_floats(int head_dim);

/* A query at `position` looks at so many blocks. */
static inline int tri_attention_blocks(int position)
{
    return position / TRI_ATTENTION_BLOCK + 1;
}

/* part[tokens * shared] of one block, of those queries that look at it. */
void tri_attend_block(const struct tri_attention *a, int block, float *part);
/* Adds a query's next block to what it gathered over those before. */
void tri_attend_join(const struct tri_attention *a, float *part, const float *next);
/* All blocks of all queries, joined: in a's scratch, valid until it is used again. */
float *tri_attend(const struct tri_attention *a);
/* out[head_dim] of a query, whose part is used up. False if a score was beyond the range of floats. */
bool tri_attend_finish(const struct tri_attention *a, float *part, float *out);

#endif
