/* What `tritune roofline` found: the machine's ceiling, a model's bytes, and the roof that follows from both. */
#ifndef TRI_ROOFLINE_H
#define TRI_ROOFLINE_H

#include "cli/bench.h"
#include "kernels/ceiling.h"

/* What bounds one kind of work: decoding, or a prompt, with so many threads. */
struct tri_roof {
    int prompt;                 /* tokens; 0: it decodes */
    int gen, depth;             /* tokens decoded, behind so many in the cache */
    int threads;                /* 0: of a predicted machine, all it has */
    struct tri_traffic traffic; /* of decoding one of these tokens */
    double gbps, gops;          /* read and multiplied at most, 10^9 a second; 0: unknown */
    json_t *measured;           /* bench's row; NULL: it was not run */
};

struct tri_roofline {
    struct tri_bench bench;  /* the rows that were run */
    struct tri_load outline; /* its `weights`; NULL: no model was named */
    size_t position;         /* bytes of keys and values at one position, of all layers */
    const char *machine;     /* of a prediction, or this CPU's name */
    bool predicted;          /* for another machine, from `bandwidth` */
    double bandwidth;        /* GB/s */
    struct tri_ceiling ceiling;
    int threads[TRI_CEILING_THREADS], counts; /* ascending: what was measured with */
    struct tri_roof *roof;
    int roofs;
};

/* Tokens per second that memory allows, and that multiplying allows; 0: unknown, or no matter. */
double tri_roof_reading(const struct tri_roof *f);
double tri_roof_multiplying(const struct tri_roofline *r, const struct tri_roof *f);
/* The smaller of both that are known; 0: none is. */
double tri_roof_speed(const struct tri_roofline *r, const struct tri_roof *f);

void tri_roofline_print(const struct tri_roofline *r);
/* One object (bench/schema/roofline.json). TRI_NO_MEMORY. */
enum tri_status tri_roofline_json(const struct tri_roofline *r, struct tri_error *e);

#endif
