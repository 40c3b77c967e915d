/* Timing of kernels as an engine runs them: every thread on its share of the rows, the pool's barriers, packed
 * weights that stream past. The tuner drives this through its FFI, in a child process.
 *
 *     struct tri_timing *t = tri_timing_new(2, &e);
 *     struct tri_timing_job job = {.plan = plan, .m = 2560, .k = 6912, .tokens = 1};
 *     if (tri_timing_run(t, &job, 0.002, &ns, &e) == TRI_OK) ...
 *     tri_timing_free(t);
 *
 * Matrices are not packed: all jobs read one shared memory of bytes that are valid codes in every layout,
 * and go on where the last one stopped, so that weights come from memory, or, with a `span` that fits there,
 * from the cache that would hold the model. */
#ifndef TRI_TIMING_H
#define TRI_TIMING_H

#include "base/error.h"
#include "kernels/dispatch.h"

struct tri_timing;

struct tri_timing_job {
    struct tri_plan plan;
    int m, k;
    double active; /* 0: dense; else that fraction, at random, of the rows or inputs of plan.sparse, one token */
    int tokens;  /* 1: decoding; more: a batch of that many, cut into the plan's kernels */
    size_t span; /* bytes the weights rotate through; 0, or more than there is: all of it */
};

/* Starts the threads, measures how much cache is really ours, and fills a memory several times as large
 * (256 MiB at least, a quarter of this machine's at most), in huge pages if these are asked for (tri_huge_pages). Takes
 * about a second. */
struct tri_timing *tri_timing_new(int threads, struct tri_error *e);
void tri_timing_free(struct tri_timing *t);
size_t tri_timing_memory(const struct tri_timing *t); /* bytes that rotate */
size_t tri_timing_cache(const struct tri_timing *t);  /* bytes at which reading was still fast; 0: none found */

/* Whole matrices until `seconds` are over, at least one: nanoseconds per matrix and token. The activations
 * are int8 already; tables are prepared, by all threads, for every matrix. */
enum tri_status tri_timing_run(struct tri_timing *t, const struct tri_timing_job *job, double seconds, double *ns,
                               struct tri_error *e);

/* The same for exactly so many matrices, all tokens of each: the seconds of all. For a benchmark that decides itself
 * how often. */
enum tri_status tri_timing_count(struct tri_timing *t, const struct tri_timing_job *job, int matrices, double *seconds,
                                 struct tri_error *e);

/* From here on the first `threads` threads work and the others wait; 0: all work, as at first. */
void tri_timing_use(struct tri_timing *t, int threads);

/* GB/s of the first `threads` threads (of those in use) reading `span` bytes (0: all) and nothing else, prefetching. */
double tri_timing_read(struct tri_timing *t, int threads, size_t span);

/* 10^9 operations per second of the first `threads` threads, all together, in the loop of a peak whose ISA is present,
 * for a few ms; multiplying and adding are two. */
double tri_timing_peak(struct tri_timing *t, const struct tri_peak *peak, int threads);

/* 10^9 steps per second of `threads` threads, all together, in a loop that stays in registers: tells
 * whether cores are ours alone. */
double tri_timing_registers(struct tri_timing *t, int threads);

#endif
