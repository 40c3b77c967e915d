/* Owns: mt19937 and the distributions of libstdc++ that somebody needs. */
#include "base/twister.h"

enum { SHIFT = 397 };

void tri_twister_seed(struct tri_twister *t, uint32_t seed)
{
    t->word[0] = seed;
    for (uint32_t i = 1; i < TRI_TWISTER_WORDS; i++)
        t->word[i] = 1812433253u * (t->word[i - 1] ^ t->word[i - 1] >> 30) + i;
    t->used = TRI_TWISTER_WORDS;
}

static void turn(struct tri_twister *t)
{
    for (int i = 0; i < TRI_TWISTER_WORDS; i++) {
        uint32_t y = (t->word[i] & 0x80000000u) | (t->word[(i + 1) % TRI_TWISTER_WORDS] & 0x7FFFFFFFu);
        t->word[i] = t->word[(i + SHIFT) % TRI_TWISTER_WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
    }
    t->used = 0;
}

uint32_t tri_twister_next(struct tri_twister *t)
{
    if (t->used == TRI_TWISTER_WORDS)
        turn(t);
    uint32_t y = t->word[t->used++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

double tri_twister_unit(struct tri_twister *t)
{
    double low = tri_twister_next(t), high = tri_twister_next(t);
    double u = (low + high * 0x1p32) * 0x1p-64;
    return u < 1 ? u : 0x1.fffffffffffffp-1;
}

/* The upper word of a product; lower words below 2^32 mod count would favour some (Lemire, arXiv:1805.10941). */
uint32_t tri_twister_below(struct tri_twister *t, uint32_t count)
{
    const uint32_t unfair = -count % count;
    uint64_t product;
    do
        product = (uint64_t)tri_twister_next(t) * count;
    while ((uint32_t)product < unfair);
    return (uint32_t)(product >> 32);
}
