#include "base/statistics.h"

#include <math.h>
#include <stdlib.h>

double tri_mean(const double *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}

double tri_deviation(const double *values, int count)
{
    const double mean = tri_mean(values, count);
    double squares = 0;
    for (int i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return count > 1 ? sqrt(squares / (count - 1)) : 0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void tri_sort(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
}

double tri_median(double *values, int count)
{
    tri_sort(values, count);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}
