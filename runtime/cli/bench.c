/* `tritune bench`: tokens per second of prompts and of decoding, as llama-bench counts them, beside what reading the
 * memory they need would allow. Owns the tests and their clock; leaves out how they are shown (bench_report.c). */
#include "cli/bench.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/shape.h"
#include "engine/generation.h"
#include "kernels/timing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_VALUES = 32, MOST_TOKENS = 1 << 24, FILL = 512, COUNTED = 8, DEFAULT_REPETITIONS = 5 };

struct list {
    int at[MOST_VALUES], count;
};

struct options {
    struct tri_bench bench;
    struct tri_shape shape;
    const char *prompt, *gen, *depth, *threads, *output;
    int repetitions;
};

struct tests {
    struct list prompt, gen, depth, threads; /* threads: none for as tuned */
};

/* -- what to run ------------------------------------------------------- */

/* "0,512": whole numbers in [least, most]. */
static enum tri_status read_list(const char *option, const char *text, int least, int most, struct list *list,
                                 struct tri_error *e)
{
    const char *at = text;
    for (char *end;; at = end + 1) {
        errno = 0;
        const long value = strtol(at, &end, 10);
        if (end == at || errno || value < least || value > most || (*end && *end != ','))
            return tri_fail(e, TRI_USAGE, "option %s: expected numbers from %d to %d with commas, found \"%.40s\"",
                            option, least, most, at);
        if (list->count == MOST_VALUES)
            return tri_fail(e, TRI_USAGE, "option %s: expected at most %d numbers, found more", option, MOST_VALUES);
        list->at[list->count++] = (int)value;
        if (!*end)
            return TRI_OK;
    }
}

static enum tri_status read_tests(const struct options *o, struct tests *t, struct tri_error *e)
{
    if (read_list("-p", o->prompt, 0, MOST_TOKENS, &t->prompt, e) != TRI_OK ||
        read_list("-n", o->gen, 0, MOST_TOKENS, &t->gen, e) != TRI_OK ||
        read_list("-d", o->depth, 0, MOST_TOKENS, &t->depth, e) != TRI_OK)
        return e->status;
    return o->threads ? read_list("-t", o->threads, 1, TRI_MAX_THREADS, &t->threads, e) : TRI_OK;
}

static int greater(int a, int b)
{
    return a > b ? a : b;
}

/* The rows of one depth and number of threads (0: as tuned). */
static void add_rows(struct tri_bench *b, const struct tests *t, int depth, int threads)
{
    const struct tri_setting tuned = tri_dispatch_setting();
    for (int phase = TRI_PHASES - 1; phase >= 0; phase--) { /* prompts first, as llama-bench does */
        const struct list *tokens = phase == TRI_PROMPT ? &t->prompt : &t->gen;
        for (int i = 0; i < tokens->count; i++) {
            struct tri_bench_row *row = &b->row[b->rows];
            if (tokens->at[i] == 0)
                continue;
            *(phase == TRI_PROMPT ? &row->prompt : &row->gen) = tokens->at[i];
            row->depth = depth;
            row->threads = threads ? threads : tuned.team[phase].threads;
            b->load.context = greater(b->load.context, depth + tokens->at[i]);
            b->load.threads[TRI_DECODE] = greater(b->load.threads[TRI_DECODE], row->threads);
            b->rows++;
        }
    }
}

/* Depths, threads and tokens crossed; threads of the pool and the context are the most that a row needs. */
static enum tri_status make_rows(struct options *o, const struct tests *t, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    const int teams = greater(t->threads.count, 1), each = t->prompt.count + t->gen.count;
    b->row = tri_alloc((size_t)(t->depth.count * teams * each), sizeof *b->row, "rows", e);
    if (!b->row)
        return e->status;
    for (int d = 0; d < t->depth.count; d++)
        for (int i = 0; i < teams; i++)
            add_rows(b, t, t->depth.at[d], t->threads.count ? t->threads.at[i] : 0);
    if (b->rows == 0)
        return tri_fail(e, TRI_USAGE, "expected something to run, found -p 0 and -n 0");
    for (int i = 0; i < b->rows; i++)
        if (!(b->row[i].speed = tri_alloc((size_t)o->repetitions, sizeof(double), "samples", e)))
            return e->status;
    return TRI_OK;
}

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

static void show_progress(const struct tri_bench *b, int round, int repetitions, int row)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (round == 0)
        fprintf(stderr, "\rwarming up, row %d of %d    ", row + 1, b->rows);
    else
        fprintf(stderr, "\rrepetition %d of %d, row %d of %d    ", round, repetitions, row + 1, b->rows);
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
static enum tri_status run_rows(struct options *o, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    int32_t *ids = make_ids(b, e);
    enum tri_status status = ids ? TRI_OK : e->status;
    for (int round = 0; round <= o->repetitions && status == TRI_OK; round++)
        for (int i = 0; i < b->rows && status == TRI_OK; i++) {
            show_progress(b, round, o->repetitions, i);
            status = run_row(b, &b->row[i], ids, round == 0, e);
        }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    tri_free(ids);
    return status;
}

static enum tri_status measure(struct options *o, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    if (measure_reading(b, e) != TRI_OK)
        return e->status;
    forget_peak();
    const double begin = tri_now();
    if (tri_load_open(&b->load, e) != TRI_OK)
        return e->status;
    b->load_ms = 1e3 * (tri_now() - begin);
    tri_session_want(b->load.session, 1); /* as greedy decoding does */
    enum tri_status status = run_rows(o, e);
    b->peak_rss_mib = peak_rss_mib();
    return status;
}

/* -- the command ------------------------------------------------------- */

static const struct output {
    const char *name;
    tri_bench_print_fn *print;
} outputs[] = {{"md", tri_bench_markdown}, {"csv", tri_bench_csv}, {"json", tri_bench_json}};
enum { OUTPUTS = sizeof outputs / sizeof outputs[0] };

static const struct output *find_output(const char *name)
{
    for (int i = 0; i < OUTPUTS; i++)
        if (strcmp(name, outputs[i].name) == 0)
            return &outputs[i];
    return NULL;
}

/* What is done is shown when interrupted, too. */
static enum tri_status run_with(struct options *o, const struct tests *t, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    tri_catch_interrupt();
    enum tri_status status = make_rows(o, t, e);
    if (status == TRI_OK)
        status = measure(o, e);
    if (status == TRI_OK)
        status = find_output(o->output)->print(b, e);
    else if (status == TRI_INTERRUPTED)
        find_output(o->output)->print(b, &(struct tri_error){0});
    for (int i = 0; i < b->rows; i++)
        tri_free(b->row[i].speed);
    tri_free(b->row);
    tri_load_close(&b->load);
    return status;
}

static enum tri_status check(struct options *o, struct tri_synth *synth, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    if (!find_output(o->output))
        return tri_fail(e, TRI_USAGE, "option -o: expected md, csv or json, found \"%s\"", o->output);
    const bool random = o->shape.size || tri_shape_given(&o->shape);
    if (random && (b->load.model || b->load.hub))
        return tri_fail(e, TRI_USAGE, "expected one of -m FILE and a random model (--synth SIZE), found both");
    if (!random)
        return TRI_OK;
    b->load.synth = synth;
    b->size = o->shape.size ? o->shape.size : "by hand";
    return tri_shape_read(&o->shape, synth, e);
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.bench.load = {.cache_k = "f16", .cache_v = "f16", .ffn = "dense"},
                        .shape = TRI_SHAPE_START, .prompt = "512", .gen = "128", .depth = "0", .output = "md",
                        .repetitions = DEFAULT_REPETITIONS};
    struct tri_synth synth;
    struct tests t = {0};
    const struct tri_option options[] = {
        TRI_MODEL_OPTION(o.bench.load),
        {NULL, "--synth", TRI_TEXT, "SIZE", "random weights of one of these shapes instead: " TRI_SYNTH_SIZES,
         &o.shape.size, 0, 0},
        TRI_SHAPE_OPTIONS(o.shape),
        {"-p", "--n-prompt", TRI_TEXT, "N,...", "tokens of a prompt, fed in batches; 0: no such test (default: 512)",
         &o.prompt, 0, 0},
        {"-n", "--n-gen", TRI_TEXT, "N,...", "tokens fed one by one; 0: no such test (default: 128)", &o.gen, 0, 0},
        {"-d", "--n-depth", TRI_TEXT, "N,...", "tokens in the cache before (default: 0)", &o.depth, 0, 0},
        {"-t", "--threads", TRI_TEXT, "N", "threads, several with commas (default: as tuned, else cores)", &o.threads,
         0, 0},
        {"-r", "--repetitions", TRI_INT, "N", "of each test, which take turns, after a warm-up (default: 5)",
         &o.repetitions, 1, 10000},
        {"-o", "--output", TRI_TEXT, "FORMAT", "md, csv or json, with llama-bench's keys (default: md)", &o.output, 0,
         0},
        {NULL, "--draft,--draft-max", TRI_INT, "N", "guess so many decoded tokens, which seldom repeat (default: 0)",
         &o.bench.draft, 0, 64},
        TRI_RUN_OPTIONS(o.bench.load),
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status = tri_parse(&tri_command_bench, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (check(&o, &synth, e) != TRI_OK || read_tests(&o, &t, e) != TRI_OK)
        return e->status;
    return run_with(&o, &t, e);
}

const struct tri_command tri_command_bench = {
    .name = "bench",
    .summary = "tokens per second, and the share of the memory's speed that they use",
    .usage = "[-m FILE | --synth SIZE] [-p N,...] [-n N,...] [-d N,...] [-t N,...] [-r N] [-o md|csv|json]",
    .run = run,
};
