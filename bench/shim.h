/* Google Benchmark behind a C API, so that LuaJIT can drive it.
 *
 *     struct tri_bench_row row = {"mad_.../2560x6912/threads:2/cold", sample, arg, bytes, weights, operations, "read"};
 *     const char *options[] = {"--benchmark_filter=cold$", "--benchmark_out=rows.json"};
 *     tri_bench_add(&row);
 *     puts(tri_bench_names(options, 1));
 *     int n = tri_bench_run(options, 2, 1);
 *     for (int i = 0; i < n; i++)
 *         use(tri_bench_result(i)->name, tri_bench_result(i)->ns);
 *     tri_bench_clear();
 *
 * The clock is the rows' own: what runs may be a process apart. For one thread of the caller. */
#ifndef TRI_SHIM_H
#define TRI_SHIM_H

#ifdef __cplusplus
extern "C" {
#endif

/* What so many iterations took together. */
struct tri_bench_sample {
    double seconds;
    double cpu_seconds; /* of all threads */
    double ceiling;     /* what could be reached at the time, in the unit of the row's share; 0: not measured */
};

/* Runs `iterations` and fills in the sample: 1, or 0 if they could not be run; then the row is reported nowhere. */
typedef int tri_bench_fn(void *arg, long long iterations, struct tri_bench_sample *sample);

struct tri_bench_row {
    const char *name;
    tri_bench_fn *fn;
    void *arg;
    double bytes, weights, operations; /* of one iteration: counters, each a rate per second; 0: none */
    /* "read": the ceiling is in bytes a second, "peak": in operations a second; shown as the row's label, while
     * counters are the ceiling and the percentage that was reached of it. NULL: no ceiling */
    const char *ceiling;
};

/* A row to run; strings are copied, arg must live until it ran. */
void tri_bench_add(const struct tri_bench_row *row);

/* A line of the context that reports begin with. Each key once. */
void tri_bench_context(const char *key, const char *value);

/* The names of the rows that the options choose, each ended by a line feed; NULL, which was said on stderr, if an option
 * is wrong. Valid until the next call. */
const char *tri_bench_names(const char *const *options, int count);

/* Runs the rows that the options choose, which are those of any program of Google Benchmark; prints and writes what
 * they say if `shown`, else nothing. Returns the number of results, one for each row and repetition, or -1 if an option
 * is wrong, which was said on stderr. */
int tri_bench_run(const char *const *options, int count, int shown);

struct tri_bench_figure {
    const char *name;
    double ns; /* of an iteration */
    long long iterations;
};

/* Result i of the last run, in the order in which they were reported; valid until the next run or clear. */
const struct tri_bench_figure *tri_bench_result(int i);

/* Forgets rows and results. */
void tri_bench_clear(void);

/* Google Benchmark's own help, on stdout. */
void tri_bench_help(void);

#ifdef __cplusplus
}
#endif
#endif
