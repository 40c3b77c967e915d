/* Random numbers that programs in C++ get as well: std::mt19937, and what libstdc++ makes of it. */
#ifndef TRI_TWISTER_H
#define TRI_TWISTER_H

#include <stdint.h>

enum { TRI_TWISTER_WORDS = 624 };

struct tri_twister {
    uint32_t word[TRI_TWISTER_WORDS];
    int used;
};

void tri_twister_seed(struct tri_twister *t, uint32_t seed);
uint32_t tri_twister_next(struct tri_twister *t);
double tri_twister_unit(struct tri_twister *t); /* generate_canonical<double, 53>: 0 <= u < 1 */

/* uniform_int_distribution over [0, count), since GCC 11; count > 0. */
uint32_t tri_twister_below(struct tri_twister *t, uint32_t count);

#endif
