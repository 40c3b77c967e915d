/* Google Benchmark behind a C API, so that LuaJIT can drive it.
 *
 *     tri_bench_row("mad ... 2560x6912", tri_timing_row, &row, bytes);
 *     const char *options[] = {"--benchmark_repetitions=5"};
 *     int n = tri_bench_run(options, 1);
 *     for (int i = 0; i < n; i++)
 *         use(tri_bench_result(i)->name, tri_bench_result(i)->ns);
 *     tri_bench_clear();
 *
 * For one thread of the caller; the rows may run threads of their own. */
#ifndef TRI_SHIM_H
#define TRI_SHIM_H

#ifdef __cplusplus
extern "C" {
#endif

/* One iteration. */
typedef void tri_bench_fn(void *arg);

/* A row to run; the name is copied, arg must live until it ran. bytes: read by one iteration, 0 if
 * throughput is of no interest. */
void tri_bench_row(const char *name, tri_bench_fn *fn, void *arg, double bytes);

/* Runs all rows with options as on the command line of a benchmark, and prints nothing. Returns the number of
 * results, one for each row and repetition, or -1 if an option is wrong. */
int tri_bench_run(const char *const *options, int count);

struct tri_bench_figure {
    const char *name;
    double ns; /* real time of an iteration */
    long long iterations;
};

/* Result i of the last run, in the order in which they ran; valid until the next run or clear. */
const struct tri_bench_figure *tri_bench_result(int i);

/* Forgets rows and results. */
void tri_bench_clear(void);

#ifdef __cplusplus
}
#endif
#endif
