/* What `tritune bench` measures, and the ways to show it: texts of options become rows, rows get samples, and
 * what these say is printed. */
#ifndef TRI_BENCH_H
#define TRI_BENCH_H

#include "cli/load.h"
#include "cli/record.h"
#include "model/traffic.h"

#include <jansson.h>

struct tri_bench_row {
    int prompt, gen; /* tokens, decoded ones behind those of the prompt; one of them may be 0 */
    int depth;       /* tokens in the cache before */
    int threads;
    double gbps;   /* what so many threads read the model's own bytes with, and nothing else: the median of reads */
    struct tri_ffn_count ffn; /* sums over layers and some tokens of a decoding row; none of a prompt's */
    double candidates;        /* rows of the output matrix that a screened head multiplies for such a token; < 0: all */
    double *speed;            /* [samples] tokens per second */
    int samples;
    double seconds;           /* of a repetition: the last one's, before the first as the warm-up lets expect */
    bool shown;               /* while others were still to be run */
};

struct tri_bench;
typedef enum tri_status tri_bench_row_fn(const struct tri_bench *b, struct tri_bench_row *row, struct tri_error *e);

struct tri_bench {
    struct tri_load load;
    const char *size; /* of a synthetic model, or NULL */
    int draft;        /* tokens guessed at most before each decoded one */
    int batch;        /* tokens of a prompt fed at once, to be cut into passes of load.ubatch */
    int repetitions;
    float delay;      /* seconds of rest before each repetition of each row */
    tri_bench_row_fn *done; /* called as soon as a row has all its samples; may be NULL */
    struct tri_bench_row *row;
    int rows;
    double load_ms, peak_rss_mib; /* the latter 0 where the system does not say */
    struct tri_record record;
};

/* What is asked for, as options say it: lists of whole numbers, and ranges of these. */
struct tri_bench_tests {
    struct tri_texts prompt, gen, depth; /* tokens; not given: 512, 128, 0 */
    struct tri_texts pairs;              /* "512,128": tokens of a prompt, and decoded behind it */
    struct tri_texts threads;            /* not given: as tuned */
};

/* b->row and b->rows, of depths, threads and tokens crossed; the context and the threads of b->load become the most
 * that a row needs. TRI_USAGE names the option. tri_bench_close is the end of it, after an error, too. */
enum tri_status tri_bench_make_rows(struct tri_bench *b, const struct tri_bench_tests *texts, struct tri_error *e);

/* Opens b->load and runs the rows in turn: a warm-up, then b->repetitions. What was
 * measured before an error stays in the rows. */
enum tri_status tri_bench_measure(struct tri_bench *b, struct tri_error *e);
/* Frees rows, record and model. */
void tri_bench_close(struct tri_bench *b);

/* On stderr: how long the repetitions will take, as the warm-up lets expect; and on a terminal what is running (round 0
 * is the warm-up) with the time left. */
void tri_bench_say_estimate(const struct tri_bench *b);
void tri_bench_say_progress(const struct tri_bench *b, int round, int row);
void tri_bench_end_progress(void);

/* Of its samples. */
double tri_bench_row_mean(const struct tri_bench_row *row);

/* Bytes that decoding a token reads, the mean over the row's; 0: not known. */
double tri_bench_row_bytes(const struct tri_bench *b, const struct tri_bench_row *row);

/* What a token of a decoding row read, once measured; b->load is still open. */
struct tri_traffic tri_bench_traffic(const struct tri_bench *b, const struct tri_bench_row *row);

/* "bitnet synthetic 3b q8_0", as far as it has such parts. size: of a random model, or NULL. */
void tri_bench_name_model(const struct tri_model *m, const char *size, char *out, size_t room);

/* The row's keys and values, llama-bench's first. The caller's to release; NULL: no memory. */
json_t *tri_bench_row_json(const struct tri_bench *b, const struct tri_bench_row *row);

/* "pp512", "pp512+tg128", "tg128 @ d4096", at most 64 bytes: of any object that has n_prompt, n_gen and n_depth. */
void tri_bench_name_test(const json_t *row, char *out, size_t room);

/* Rows without samples (an interrupted run's) are left out. */
typedef enum tri_status tri_bench_print_fn(const struct tri_bench *b, struct tri_error *e);
tri_bench_print_fn tri_bench_markdown, tri_bench_csv, tri_bench_json;
tri_bench_print_fn tri_bench_jsonl;   /* the rows that were not shown yet */
tri_bench_row_fn tri_bench_json_line; /* one of them */

#endif
