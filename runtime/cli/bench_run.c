/* Owns: the clock of `tritune bench`, what a row does while it runs, and the order of rows. Leaves out which rows there
 * are (bench_tests.c) and how they are shown (bench_report.c). */
#define _GNU_SOURCE
#include "cli/bench.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "engine/generation.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { FILL = 512, COUNTED = 8 };

/* -- the machine ------------------------------------------------------- */

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

/* A row's prompt, or the first token, and tokens up to position `to`, before each of which some are guessed of those
 * before it: rightly or not, the ones in ids follow. */
static enum tri_status feed_drafting(struct tri_generation *g, const struct tri_bench_row *row, const int32_t *ids,
                                     struct tri_error *e)
{
    const float *logits;
    const int first = row->prompt ? row->prompt : 1, to = row->depth + row->prompt + row->gen;
    if (tri_generation_feed(g, ids + row->depth, first, e) != TRI_OK)
        return e->status;
    for (int at = row->depth + first; at < to; at++) {
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        tri_generation_take(g, ids[at]);
        if (tri_generation_logits(g, &logits, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status feed_plainly(const struct tri_bench *b, const struct tri_bench_row *row, const int32_t *ids,
                                    struct tri_error *e)
{
    struct tri_session *s = b->load.session;
    const int decoded = row->depth + row->prompt;
    const enum tri_status status = feed(s, ids, decoded, b->batch, e);
    return status == TRI_OK ? feed(s, ids, decoded + row->gen, 1, e) : status;
}

/* A row's tokens behind its depth, and the seconds it took. */
static enum tri_status time_row(struct tri_bench *b, const struct tri_bench_row *row, const int32_t *ids, double *spent,
                                struct tri_error *e)
{
    const struct tri_generation_options o = {.draft = b->draft, .tokens = row->gen};
    const bool drafts = row->gen && b->draft;
    struct tri_generation *g = drafts ? tri_generation_new(b->load.session, NULL, &o, e) : NULL;
    if (drafts && !g)
        return e->status;
    const double begin = tri_now();
    const enum tri_status status = drafts ? feed_drafting(g, row, ids, e) : feed_plainly(b, row, ids, e);
    *spent = tri_now() - begin;
    tri_generation_free(g);
    return status;
}

static int counted(const struct tri_bench_row *row)
{
    return row->gen < COUNTED ? row->gen : COUNTED;
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
    const enum tri_status status = feed(s, ids, row->depth + counted(row), 1, e);
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

/* The seconds that a repetition of the row itself, without what is before it, will take. */
static enum tri_status warm_row(struct tri_bench *b, struct tri_bench_row *row, const int32_t *ids, double *expected,
                                struct tri_error *e)
{
    if (row->prompt)
        return time_row(b, row, ids, expected, e);
    const double begin = tri_now();
    const enum tri_status status = count_row(b, row, ids, e);
    *expected = (tri_now() - begin) * row->gen / counted(row);
    return status;
}

/* Tokens that are fed before a repetition: none where the row before it, or the last one in the round before, left
 * enough. */
static int filled_again(const struct tri_bench *b, const struct tri_bench_row *row)
{
    const struct tri_bench_row *before = row > b->row ? row - 1 : &b->row[b->rows - 1];
    const int missing = row->depth - (before->depth + before->prompt + before->gen);
    return missing > 0 ? missing : 0;
}

/* Seconds are added up to b->delay, in pieces, so that an interrupt is soon noticed. */
static enum tri_status rest(const struct tri_bench *b, struct tri_error *e)
{
    const double end = tri_now() + b->delay;
    for (double left; (left = end - tri_now()) > 0;) {
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        const double piece = fmin(left, 0.1);
        nanosleep(&(struct timespec){.tv_nsec = (long)(piece * 1e9)}, NULL);
    }
    return TRI_OK;
}

/* Tokens up to the row's depth; `seconds` becomes what they took, in a warm-up what they will take. */
static enum tri_status fill(const struct tri_bench *b, const struct tri_bench_row *row, const int32_t *ids, bool warm,
                            double *seconds, struct tri_error *e)
{
    struct tri_session *s = b->load.session;
    tri_session_rewind(s, row->depth);
    const int missing = row->depth - tri_session_position(s);
    const double begin = tri_now();
    const enum tri_status status = feed(s, ids, row->depth, FILL, e);
    *seconds = tri_now() - begin;
    if (warm && missing)
        *seconds *= (double)filled_again(b, row) / missing;
    return status;
}

/* Once. */
static enum tri_status run_row(struct tri_bench *b, struct tri_bench_row *row, const int32_t *ids, bool warm,
                               struct tri_error *e)
{
    double before, spent = 0;
    for (int phase = 0; phase < TRI_PHASES; phase++)
        tri_session_use(b->load.session, phase, (struct tri_team){row->threads, b->load.setting.team[phase].pinned});
    if (fill(b, row, ids, warm, &before, e) != TRI_OK || (!warm && rest(b, e) != TRI_OK))
        return e->status;
    tri_record_start(b);
    if ((warm ? warm_row(b, row, ids, &spent, e) : time_row(b, row, ids, &spent, e)) != TRI_OK)
        return e->status;
    row->seconds = before + spent + b->delay;
    if (warm)
        return TRI_OK;
    row->speed[row->samples++] = (row->prompt + row->gen) / spent;
    tri_record_sample(b, row, spent);
    return TRI_OK;
}

/* What it reads beside what can be read; then it may be shown. */
static enum tri_status finish_row(struct tri_bench *b, struct tri_bench_row *row, struct tri_error *e)
{
    const enum tri_status status = tri_record_row(b, row, e);
    if (status != TRI_OK || !b->done)
        return status;
    tri_bench_end_progress();
    return b->done(b, row, e);
}

/* Rows take turns, with each other and with reads, so that a drift of the machine is in all of them. */
static enum tri_status run_round(struct tri_bench *b, int round, const int32_t *ids, struct tri_error *e)
{
    tri_record_round(b);
    for (int i = 0; i < b->rows; i++) {
        struct tri_bench_row *row = &b->row[i];
        tri_bench_say_progress(b, round, i);
        if (run_row(b, row, ids, round == 0, e) != TRI_OK)
            return e->status;
        b->peak_rss_mib = peak_rss_mib();
        if (round == b->repetitions && finish_row(b, row, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status run_rounds(struct tri_bench *b, struct tri_error *e)
{
    int32_t *ids = make_ids(b, e);
    enum tri_status status = ids ? TRI_OK : e->status;
    for (int round = 0; round <= b->repetitions && status == TRI_OK; round++) {
        status = run_round(b, round, ids, e);
        if (round == 0 && status == TRI_OK)
            tri_bench_say_estimate(b);
    }
    tri_bench_end_progress();
    tri_free(ids);
    return status;
}

enum tri_status tri_bench_measure(struct tri_bench *b, struct tri_error *e)
{
    forget_peak();
    const double begin = tri_now();
    if (tri_load_open(&b->load, e) != TRI_OK)
        return e->status;
    b->load_ms = 1e3 * (tri_now() - begin);
    tri_session_want(b->load.session, 1); /* as greedy decoding does */
    if (tri_record_begin(b, e) != TRI_OK)
        return e->status;
    const enum tri_status status = run_rounds(b, e);
    tri_record_end(b);
    return status;
}

void tri_bench_close(struct tri_bench *b)
{
    for (int i = 0; i < b->rows; i++)
        tri_free(b->row[i].speed);
    tri_free(b->row);
    tri_record_free(&b->record);
    tri_load_close(&b->load);
}
