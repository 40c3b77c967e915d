/* Owns: what is measured beside the rows of `tritune bench`, and the verdict on them. Leaves out the rows
 * (bench_run.c), what a receipt says of all this (receipt.c), and what is right (engine/proof.c). */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/statistics.h"
#include "base/memory.h"
#include "model/reading.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MORE_READS = 8 }; /* before a row is called impossible */

/* -- grades -------------------------------------------------------------- */

const struct tri_grade tri_grades[TRI_GRADES] = {{"A", 0.02}, {"B", 0.05}, {"C", 0.10}, {"D", INFINITY}};

double tri_spread(const double *values, int count)
{
    return count > 1 ? tri_deviation(values, count) / tri_mean(values, count) : 0;
}

const char *tri_grade_of(double spread)
{
    int i = 0;
    while (i < TRI_GRADES - 1 && !(spread <= tri_grades[i].most))
        i++;
    return tri_grades[i].name;
}

/* -- reads --------------------------------------------------------------- */

const struct tri_reads *tri_record_reads(const struct tri_record *r, int threads)
{
    int i = 0;
    while (i < r->teams - 1 && r->reads[i].threads != threads)
        i++;
    return &r->reads[i];
}

static void read_once(struct tri_bench *b, struct tri_reads *r)
{
    const struct tri_load *l = &b->load;
    if (r->count == r->room)
        return;
    r->at[r->count] = tri_now() - b->record.zero;
    r->gbps[r->count++] = tri_model_read(l->weights, l->pool,
                                         (struct tri_team){r->threads, l->setting.team[TRI_DECODE].pinned});
}

static enum tri_status make_reads(struct tri_bench *b, struct tri_error *e)
{
    struct tri_record *r = &b->record;
    if (!(r->reads = tri_alloc((size_t)b->rows, sizeof *r->reads, "reads", e)))
        return e->status;
    for (int i = 0; i < b->rows; i++) {
        if (r->teams && tri_record_reads(r, b->row[i].threads)->threads == b->row[i].threads)
            continue;
        struct tri_reads *reads = &r->reads[r->teams++];
        reads->threads = b->row[i].threads;
        reads->room = b->repetitions + 1 + MORE_READS;
        if (!(reads->gbps = tri_alloc((size_t)reads->room, sizeof *reads->gbps, "reads", e)) ||
            !(reads->at = tri_alloc((size_t)reads->room, sizeof *reads->at, "reads", e)))
            return e->status;
    }
    return TRI_OK;
}

/* -- the proof ------------------------------------------------------------- */

void tri_proof_text(const struct tri_proof *p, char *text, size_t room)
{
    char rows[32] = "all rows", batch[48] = "";
    if (!p->whole)
        snprintf(rows, sizeof rows, "%d random rows", TRI_PROOF_ROWS);
    if (p->batch)
        snprintf(batch, sizeof batch, "; %d random rows for %d at once", TRI_PROOF_ROWS,
                 p->kernel > p->batch ? p->kernel : p->batch);
    snprintf(text, room, "%s of every tensor for %d token%s%s", rows, p->tokens, p->tokens == 1 ? "" : "s", batch);
}

/* Tokens fed at once by some row, at most. */
static int greatest_batch(const struct tri_bench *b)
{
    int most = b->draft ? b->draft + 1 : 0;
    for (int i = 0; i < b->rows; i++)
        most = b->row[i].prompt > most ? b->row[i].prompt : most;
    return most;
}

/* -- in order of time ------------------------------------------------------ */

enum tri_status tri_record_begin(struct tri_bench *b, struct tri_error *e)
{
    struct tri_record *r = &b->record;
    const size_t samples = (size_t)b->rows * (size_t)b->repetitions;
    r->zero = tri_now();
    r->start = tri_cpu_time("");
    if (make_reads(b, e) != TRI_OK || !(r->sample = tri_alloc(samples, sizeof *r->sample, "samples", e)) ||
        tri_session_prove(b->load.session, greatest_batch(b), &r->proof, e) != TRI_OK)
        return e->status;
    tri_energy_open(&r->energy, "/sys");
    r->before = tri_state_json("");
    r->measured = tri_cpu_time("");
    return r->before ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "no memory for the machine's state");
}

void tri_record_round(struct tri_bench *b)
{
    for (int i = 0; i < b->record.teams; i++)
        read_once(b, &b->record.reads[i]);
}

void tri_record_start(struct tri_bench *b)
{
    tri_energy_read(&b->record.energy);
}

void tri_record_sample(struct tri_bench *b, const struct tri_bench_row *row, double seconds)
{
    const int at = (int)(row - b->row) * b->repetitions + row->samples - 1;
    b->record.sample[at] = (struct tri_sample){tri_now() - seconds - b->record.zero, seconds,
                                               tri_energy_read(&b->record.energy)};
}

static double greatest(const struct tri_reads *r)
{
    double most = 0;
    for (int i = 0; i < r->count; i++)
        most = fmax(most, r->gbps[i]);
    return most;
}

static enum tri_status read_median(const struct tri_reads *r, double *median, struct tri_error *e)
{
    double *sorted = tri_alloc((size_t)r->count, sizeof *sorted, "reads", e);
    if (!sorted)
        return e->status;
    memcpy(sorted, r->gbps, (size_t)r->count * sizeof *sorted);
    *median = tri_median(sorted, r->count);
    tri_free(sorted);
    return TRI_OK;
}

enum tri_status tri_record_row(struct tri_bench *b, struct tri_bench_row *row, struct tri_error *e)
{
    struct tri_reads *reads = (struct tri_reads *)tri_record_reads(&b->record, row->threads);
    const double needed = tri_bench_row_bytes(b, row) * tri_bench_row_mean(row) * 1e-9;
    for (int i = 0; i < MORE_READS && needed > TRI_READ_TOLERANCE * greatest(reads); i++)
        read_once(b, reads);
    if (needed > TRI_READ_TOLERANCE * greatest(reads))
        return tri_fail(e, TRI_WRONG, "%d tokens behind %d on %d threads: %.2f tokens per second would read %.2f GB/s, "
                        "but reading the same bytes and nothing else reached at most %.2f in %d tries: the result is "
                        "impossible; run tritune selftest, and see whether the clock is right",
                        row->gen, row->depth, row->threads, tri_bench_row_mean(row), needed, greatest(reads),
                        reads->count);
    return read_median(reads, &row->gbps, e);
}

void tri_record_end(struct tri_bench *b)
{
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].gbps == 0 && b->row[i].samples)
            read_median(tri_record_reads(&b->record, b->row[i].threads), &b->row[i].gbps, &(struct tri_error){0});
    b->record.end = tri_cpu_time("");
    b->record.after = tri_state_json("");
}

void tri_record_free(struct tri_record *r)
{
    for (int i = 0; i < r->teams; i++) {
        tri_free(r->reads[i].gbps);
        tri_free(r->reads[i].at);
    }
    tri_free(r->reads);
    tri_free(r->sample);
    json_decref(r->before);
    json_decref(r->after);
}

/* -- what it says ---------------------------------------------------------- */

double tri_record_joules(const struct tri_bench *b, const struct tri_bench_row *row)
{
    const struct tri_sample *sample = b->record.sample + (row - b->row) * b->repetitions;
    double sum = 0;
    for (int i = 0; i < row->samples; i++) {
        if (sample[i].joules < 0)
            return -1;
        sum += sample[i].joules;
    }
    return row->samples ? sum / row->samples / (row->prompt + row->gen) : -1;
}

static void print_noise(const struct tri_bench *b, FILE *to)
{
    const struct tri_record *r = &b->record;
    const double others = tri_others_share(&r->measured, &r->end);
    for (int i = 0; i < r->teams; i++) {
        const struct tri_reads *reads = &r->reads[i];
        const double spread = tri_spread(reads->gbps, reads->count);
        fprintf(to, "%s%s of %d thread%s", i ? ", " : "noise ", tri_grade_of(spread), reads->threads,
                reads->threads == 1 ? "" : "s");
        fprintf(to, " (reads spread %.1f %%)", 100 * spread);
    }
    fprintf(to, "; grades: %s", TRI_GRADES_TEXT);
    if (others >= 0)
        fprintf(to, "; others took %.0f %% of the CPUs", 100 * others);
    fputc('\n', to);
}

void tri_record_print(const struct tri_bench *b, FILE *to)
{
    char text[128];
    tri_proof_text(&b->record.proof, text, sizeof text);
    fprintf(to, "proved against plain C in %.1f s: %s\n", b->record.proof.seconds, text);
    print_noise(b, to);
    if (b->record.energy.why[0])
        fprintf(to, "no energy: %s\n", b->record.energy.why);
}
