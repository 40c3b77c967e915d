/* Owns: ratios of medians and their bounds by bootstrap. */
#include "cli/compare.h"
#include "base/statistics.h"
#include "base/memory.h"

#include <stdint.h>
#include <string.h>

enum { RESAMPLES = 2000, TAIL = RESAMPLES / 40 };

struct list {
    double *value; /* [count] ascending */
    int *drawn;    /* [count] how often each was */
    int count;
    double median;
};

/* -- drawing ------------------------------------------------------------ */

/* As tune/random.lua: a whole number in [0, count). */
static int draw(uint64_t *state, int count)
{
    *state = *state * 16807 % 2147483647;
    return (int)(*state % (uint64_t)count);
}

/* The `rank`th of what was drawn, counted from 0. */
static double drawn_at(const struct list *l, int rank)
{
    int i = 0;
    while ((rank -= l->drawn[i]) >= 0)
        i++;
    return l->value[i];
}

/* The median of as many samples, each drawn from all: counting how often each is spares sorting. */
static double drawn_median(struct list *l, uint64_t *state)
{
    memset(l->drawn, 0, (size_t)l->count * sizeof *l->drawn);
    for (int i = 0; i < l->count; i++)
        l->drawn[draw(state, l->count)]++;
    return (drawn_at(l, (l->count - 1) / 2) + drawn_at(l, l->count / 2)) / 2;
}

/* -- the ratio ----------------------------------------------------------- */

static enum tri_status list_new(struct list *l, const double *samples, int count, struct tri_error *e)
{
    l->count = count;
    l->value = tri_alloc((size_t)count, sizeof *l->value, "samples", e);
    l->drawn = l->value ? tri_alloc((size_t)count, sizeof *l->drawn, "samples", e) : NULL;
    if (!l->drawn)
        return e->status;
    memcpy(l->value, samples, (size_t)count * sizeof *samples);
    l->median = tri_median(l->value, count);
    return TRI_OK;
}

static void list_free(struct list *l)
{
    tri_free(l->value);
    tri_free(l->drawn);
}

static void bound(struct list *a, struct list *b, struct tri_ratio *r)
{
    double ratios[RESAMPLES];
    uint64_t state = 31;
    for (int i = 0; i < RESAMPLES; i++) {
        const double over = drawn_median(a, &state);
        ratios[i] = over / drawn_median(b, &state);
    }
    tri_sort(ratios, RESAMPLES);
    r->low = ratios[TAIL];
    r->high = ratios[RESAMPLES - TAIL - 1];
}

enum tri_status tri_ratio_of_medians(const double *a, int a_count, const double *b, int b_count, struct tri_ratio *r,
                                     struct tri_error *e)
{
    struct list x = {0}, y = {0};
    enum tri_status status = list_new(&x, a, a_count, e);
    if (status == TRI_OK)
        status = list_new(&y, b, b_count, e);
    if (status == TRI_OK) {
        const double ratio = x.median / y.median;
        *r = (struct tri_ratio){ratio, a_count > 1 && b_count > 1, ratio, ratio, x.median, y.median};
        if (r->bounded)
            bound(&x, &y, r);
    }
    list_free(&x);
    list_free(&y);
    return status;
}

bool tri_ratio_differs(const struct tri_ratio *r)
{
    return r->bounded && (r->low > 1 || r->high < 1);
}
