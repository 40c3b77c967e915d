/* Owns: the clock of `tritune bench`, what a row does while it runs, and the order of rows. Leaves out which rows there
 * are (bench_tests.c) and how they are shown (bench_report.c). */
#include "cli/bench.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "engine/generation.h"
#include "kernels/timing.h"

#include <stdio.h>
#include <unistd.h>

enum { FILL = 512, COUNTED = 8 };

/* -- the machine ------------------------------------------------------- */

/* Before there is a model, whose memory might leave no room for what is read here. */
static enum tri_status measure_reading(struct tri_bench *b, struct tri_error *e)
{
    struct tri_timing *t = tri_timing_new(b->load.threads[TRI_DECODE], e);
    if (!t)
        return e->status;
    for (int i = 0; i < b->rows; i++) {
        struct tri_bench_row *row = &b->row[i];
        for (int j = 0; j < i && row->gbps == 0; j++)
            if (b->row[j].threads == row->threads)
                row->gbps = b->row[j].gbps;
        if (row->gbps == 0)
            row->gbps = tri_timing_read(t, row->threads, 0);
    }
    tri_timing_free(t);
    return TRI_OK;
}

/* So that the peak is the model's; a system that cannot do it goes on with the whole program's. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

static double peak_rss_mib(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

/* -- running ----------------------------------------------------------- */

static void show_progress(const struct tri_bench *b, int round, int row)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (round == 0)
        fprintf(stderr, "\rwarming up, row %d of %d    ", row + 1, b->rows);
    else
        fprintf(stderr, "\rrepetition %d of %d, row %d of %d    ", round, b->repetitions, row + 1, b->rows);
}

/* The same token at a position whoever feeds it, so that what is in the cache is right for every row. */
static int32_t *make_ids(const struct tri_bench *b, struct tri_error *e)
{
    const int vocab = b->load.weights->config.vocab;
    int32_t *ids = tri_alloc((size_t)b->load.context, sizeof *ids, "tokens", e);
    for (int i = 0; ids && i < b->load.context; i++)
        ids[i] = (int32_t)(((uint64_t)i + 1) * 0x9E3779B97F4A7C15u >> 33) % vocab;
    return ids;
}

/* Tokens up to position `to`, `most` in one feed. */
static enum tri_status feed(struct tri_session *s, const int32_t *ids, int to, int most, struct tri_error *e)
{
    const float *logits;
    for (int at; (at = tri_session_position(s)) < to;) {
        const int n = to - at < most ? to - at : most;
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_session_feed(s, ids + at, n, &logits, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

/* Tokens up to position `to`, before each of which some are guessed of those before it: rightly or not, the ones in ids
 * follow. */
static enum tri_status feed_drafting(struct tri_generation *g, const int32_t *ids, int at, int to, struct tri_error *e)
{
    const float *logits;
    if (tri_generation_feed(g, ids + at, 1, e) != TRI_OK)
        return e->status;
    for (at++; at < to; at++) {
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        tri_generation_take(g, ids[at]);
        if (tri_generation_logits(g, &logits, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

/* A row's tokens behind its depth, and the seconds it took. */
static enum tri_status time_row(struct tri_bench *b, const struct tri_bench_row *row, const int32_t *ids, double *spent,
                                struct tri_error *e)
{
    const struct tri_generation_options o = {.draft = b->draft, .tokens = row->gen};
    const int tokens = row->prompt ? row->prompt : row->gen, to = row->depth + tokens;
    const bool drafts = row->gen && b->draft;
    struct tri_session *s = b->load.session;
    struct tri_generation *g = drafts ? tri_generation_new(s, NULL, &o, e) : NULL;
    if (drafts && !g)
        return e->status;
    const double begin = tri_now();
    const enum tri_status status = drafts ? feed_drafting(g, ids, row->depth, to, e)
                                          : feed(s, ids, to, row->prompt ? tokens : 1, e);
    *spent = tri_now() - begin;
    tri_generation_free(g);
    return status;
}

/* A few of the tokens that are decoded, to warm up and to see what their feed forward leaves out. */
static enum tri_status count_row(struct tri_bench *b, struct tri_bench_row *row, const int32_t *ids,
                                 struct tri_error *e)
{
    const int layers = b->load.weights->config.layers;
    struct tri_ffn_count *counts = tri_alloc((size_t)layers, sizeof *counts, "counts", e);
    if (!counts)
        return e->status;
    struct tri_session *s = b->load.session;
    int64_t before[2], after[2];
    tri_session_screened(s, &before[0], &before[1]);
    tri_session_count(s, counts);
    const enum tri_status status = feed(s, ids, row->depth + (row->gen < COUNTED ? row->gen : COUNTED), 1, e);
    tri_session_count(s, NULL);
    tri_session_screened(s, &after[0], &after[1]);
    row->candidates = -1;
    if (after[0] > before[0])
        row->candidates = (double)(after[1] - before[1]) / (double)(after[0] - before[0]);
    for (int i = 0; i < layers; i++) {
        row->ffn.tokens = counts[i].tokens;
        row->ffn.idle += counts[i].idle;
        row->ffn.zeros += counts[i].zeros;
        row->ffn.bytes += counts[i].bytes;
    }
    tri_free(counts);
    return status;
}

/* Once. */
static enum tri_status run_row(struct tri_bench *b, struct tri_bench_row *row, const int32_t *ids, bool warm,
                               struct tri_error *e)
{
    struct tri_session *s = b->load.session;
    double spent = 0;
    for (int phase = 0; phase < TRI_PHASES; phase++)
        tri_session_use(s, phase, (struct tri_team){row->threads, b->load.setting.team[phase].pinned});
    tri_session_rewind(s, row->depth);
    if (feed(s, ids, row->depth, FILL, e) != TRI_OK)
        return e->status;
    if (warm && row->gen)
        return count_row(b, row, ids, e);
    if (time_row(b, row, ids, &spent, e) != TRI_OK)
        return e->status;
    if (!warm)
        row->speed[row->samples++] = (row->prompt + row->gen) / spent;
    return TRI_OK;
}

/* Rows take turns, so that a drift of the machine is in all of them. */
static enum tri_status run_rows(struct tri_bench *b, struct tri_error *e)
{
    int32_t *ids = make_ids(b, e);
    enum tri_status status = ids ? TRI_OK : e->status;
    for (int round = 0; round <= b->repetitions && status == TRI_OK; round++)
        for (int i = 0; i < b->rows && status == TRI_OK; i++) {
            show_progress(b, round, i);
            status = run_row(b, &b->row[i], ids, round == 0, e);
        }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    tri_free(ids);
    return status;
}

enum tri_status tri_bench_measure(struct tri_bench *b, struct tri_error *e)
{
    if (measure_reading(b, e) != TRI_OK)
        return e->status;
    forget_peak();
    const double begin = tri_now();
    if (tri_load_open(&b->load, e) != TRI_OK)
        return e->status;
    b->load_ms = 1e3 * (tri_now() - begin);
    tri_session_want(b->load.session, 1); /* as greedy decoding does */
    enum tri_status status = run_rows(b, e);
    b->peak_rss_mib = peak_rss_mib();
    return status;
}
