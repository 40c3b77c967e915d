/* Of a few measurements; counts above 0. */
#ifndef TRI_STATISTICS_H
#define TRI_STATISTICS_H

double tri_mean(const double *values, int count);
double tri_deviation(const double *values, int count); /* of a sample: 0 for a single one */

void tri_sort(double *values, int count); /* ascending; no NaN */

/* The mean of the two in the middle where there is no one. `values` come out in ascending order. */
double tri_median(double *values, int count);

#endif
