/* How two lists of samples compare: `tritune bench --compare` and whoever runs something again. Knows neither rows nor
 * clocks. */
#ifndef TRI_COMPARE_H
#define TRI_COMPARE_H

#include "base/error.h"

#include <stdbool.h>

struct tri_ratio {
    double ratio;     /* of the medians */
    bool bounded;     /* a single sample on either side bounds nothing */
    double low, high; /* its 95 % bounds; without any, the ratio itself */
    double a, b;      /* the medians */
};

/* a's median over b's, samples positive and in no order, counts > 0. The bounds are by percentile bootstrap (Efron),
 * both lists drawn anew 2000 times, as tune/ratio.lua draws rounds that two sides share; here they share none. Always
 * the same for the same samples, in whatever order. They hold what differed within each list, so a machine that was
 * another from one list to the next may well lie outside. TRI_NO_MEMORY. */
enum tri_status tri_ratio_of_medians(const double *a, int a_count, const double *b, int b_count, struct tri_ratio *r,
                                     struct tri_error *e);

/* Whether there are bounds, and 1 lies outside. */
bool tri_ratio_differs(const struct tri_ratio *r);

#endif
