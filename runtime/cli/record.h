/* What stands beside the samples of `tritune bench` so that they can be believed: the proof before them, how fast the
 * model's own bytes can be read, measured in turn with them, their moments and energy, and what others did meanwhile.
 *
 *     tri_record_begin(b, &e);                            the model is open; proves its kernels
 *     tri_record_round(b);                                before the rows of every round, the warm-up's too
 *     tri_record_start(b);                                a row begins
 *     tri_record_sample(b, row, seconds);                 it has one more of row->speed
 *     tri_record_row(b, row, &e);                         a row has all its samples: its ceiling and grade
 *     tri_record_end(b);
 *     tri_record_free(&b->record); */
#ifndef TRI_RECORD_H
#define TRI_RECORD_H

#include "base/energy.h"
#include "cli/machine.h"
#include "engine/proof.h"

#include <stdio.h>

struct tri_bench;
struct tri_bench_row;

/* How fast so many threads read the model's own bytes (model/reading.h). */
struct tri_reads {
    int threads;
    double *gbps, *at; /* [count]; at: seconds since the record began */
    int count, room;
};

struct tri_sample {
    double at, seconds; /* it began since the record did, and took */
    double joules;      /* of the packages meanwhile; below 0: unknown */
};

struct tri_record {
    struct tri_proof proof;
    struct tri_reads *reads; /* [teams], for every number of threads that some row has */
    int teams;
    struct tri_sample *sample; /* [rows][repetitions] */
    struct tri_energy energy;
    double zero; /* by tri_now */
    struct tri_cpu_time start, measured, end; /* of the program, of the first round, of the last */
    json_t *before, *after; /* tri_state_json */
};

/* A run beyond the greatest read by more than this is impossible. Kernels that prefetch further than the loop that
 * only reads were seen to reach 1.06 of it; that much again is for what stays in caches from one token to the next. */
#define TRI_READ_TOLERANCE 1.12

enum tri_status tri_record_begin(struct tri_bench *b, struct tri_error *e);
void tri_record_round(struct tri_bench *b);
void tri_record_start(struct tri_bench *b);
void tri_record_sample(struct tri_bench *b, const struct tri_bench_row *row, double seconds);

/* row->gbps becomes the median of the reads so far. TRI_WRONG if the row's mean speed reads more bytes a second than
 * TRI_READ_TOLERANCE times the greatest read allows, a few more reads included. */
enum tri_status tri_record_row(struct tri_bench *b, struct tri_bench_row *row, struct tri_error *e);
/* Behind the rounds, be they interrupted: rows that have samples get their gbps. */
void tri_record_end(struct tri_bench *b);
void tri_record_free(struct tri_record *r);

const struct tri_reads *tri_record_reads(const struct tri_record *r, int threads);

/* Grades of noise, by the spread of reads: their standard deviation over their mean. The last has no end. */
struct tri_grade {
    char name[2];
    double most;
};
enum { TRI_GRADES = 4 };
extern const struct tri_grade tri_grades[TRI_GRADES];
#define TRI_GRADES_TEXT "A up to 2 %, B 5 %, C 10 %, D beyond"

/* Of positive numbers, count > 0; one alone has no spread: 0. */
double tri_spread(const double *values, int count);
const char *tri_grade_of(double spread);

/* Joules per token over a row's samples; below 0: unknown. */
double tri_record_joules(const struct tri_bench *b, const struct tri_bench_row *row);

/* "all rows of every tensor for 2 tokens; 64 random rows for 16 at once", at most 127 bytes. */
void tri_proof_text(const struct tri_proof *p, char *text, size_t room);

/* Lines below a table: what was proved and what that took, noise with its grades, energy or why there is none. */
void tri_record_print(const struct tri_bench *b, FILE *to);

#endif
