/* Results of `tritune bench` side by side: of -o json and -o jsonl, of receipts, and what llama-bench writes so. */
#ifndef TRI_BENCH_COMPARE_H
#define TRI_BENCH_COMPARE_H

#include "base/error.h"

#include <jansson.h>

/* The rows of a file: arrays of rows, rows, or objects with an array "rows", one after the other. Each has at least a
 * model_type, n_threads, n_prompt, n_gen and samples_ts, positive numbers, one or more. NULL with TRI_BAD_FILE, which
 * says where, or TRI_NO_MEMORY; the caller's to release. */
json_t *tri_bench_read_rows(const char *path, struct tri_error *e);

/* An array with an object for every pair of rows of one test, depth and number of threads: what is compared, medians,
 * "ratio" (b over a) with its bounds "low" and "high" (null without), and in "differs" by key what else is not the same
 * in both. Rows of the same model first; what is left is paired whatever the model. Rows that are in no pair are in
 * `only` (NULL where all are). NULL with TRI_NO_MEMORY; all are the caller's to release. */
json_t *tri_bench_pair_rows(const json_t *a, const json_t *b, json_t *only[2], struct tri_error *e);

/* --compare: prints that, as JSON or as a table with what only one of the two has. TRI_FAILED if nothing is in both. */
enum tri_status tri_bench_compare(const char *a, const char *b, bool as_json, struct tri_error *e);

#endif
