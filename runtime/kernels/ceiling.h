/* What this machine reads and multiplies at most: the roof over every kernel and every model.
 *
 *     struct tri_ceiling c;
 *     const int threads[] = {1, 2};
 *     const struct tri_ceiling_plan plan = {.threads = threads, .count = 2};
 *     if (tri_ceiling_measure(&c, &plan, &e) == TRI_OK)
 *         tri_gauge_best(tri_ceiling_reading(&c, "memory", 2));     GB/s
 *     tri_ceiling_free(&c);
 *
 * Gauges take turns, round after round, so that a drift of the machine is in all of them. */
#ifndef TRI_CEILING_H
#define TRI_CEILING_H

#include "base/error.h"
#include "kernels/kernel.h"

#include <stdbool.h>

enum { TRI_GAUGE_ROUNDS = 7, TRI_CEILING_THREADS = 32 };

/* One thing that is measured again in every round. */
struct tri_gauge {
    enum tri_gauge_kind {
        TRI_GAUGE_READ,     /* GB/s (10^9) of reading and nothing else */
        TRI_GAUGE_MULTIPLY, /* 10^9 operations a second in registers; multiplying and adding are two */
        TRI_GAUGE_STEP,     /* 10^9 scalar steps a second in registers: whether cores are ours alone */
    } kind;
    int threads;
    const char *level;           /* of reading: "L2", "L3", "memory", "model" */
    size_t bytes;                /* of reading: those that all threads go through */
    bool huge;                   /* of reading: in huge pages, as far as the system gives them */
    const struct tri_peak *peak; /* of multiplying */
    double sample[TRI_GAUGE_ROUNDS];
    int samples;
};

struct tri_ceiling {
    struct tri_gauge *gauge;
    int gauges;
    size_t cache; /* bytes of cache that are really ours; 0: none was seen beyond the cores' own */
};

/* What to measure. */
struct tri_ceiling_plan {
    const int *threads; /* [count] ascending, at most TRI_CEILING_THREADS numbers */
    int count;
    size_t model;         /* read so many bytes, too, as level "model"; 0: not */
    bool (*stop)(void);   /* asked between two gauges; NULL: never */
    void (*round)(int i); /* told before round i of TRI_GAUGE_ROUNDS, from 1 on; NULL: nobody */
};

/* Takes a few seconds and twice the memory of a tri_timing. Leaves huge pages asked for. TRI_INTERRUPTED once stop() is
 * true, TRI_NO_MEMORY. To be freed after an error, too. */
enum tri_status tri_ceiling_measure(struct tri_ceiling *c, const struct tri_ceiling_plan *plan, struct tri_error *e);
void tri_ceiling_free(struct tri_ceiling *c);

/* Of its samples; noise only takes away, so the best is what the machine can do. */
double tri_gauge_best(const struct tri_gauge *g);
double tri_gauge_median(const struct tri_gauge *g);

/* The gauge in huge pages of a level, or NULL. */
const struct tri_gauge *tri_ceiling_reading(const struct tri_ceiling *c, const char *level, int threads);

/* Of the instruction sets in force (dispatch.h) the one that multiplies most with so many threads; NULL: none has a
 * peak. */
const struct tri_gauge *tri_ceiling_multiplying(const struct tri_ceiling *c, int threads);

/* What each of the plan's greatest number of threads steps, over what each of its least does, by medians, since others
 * who come and go are the point: about 1 on cores of our own, 0.5 where two share one. */
double tri_ceiling_own(const struct tri_ceiling *c);

#endif
