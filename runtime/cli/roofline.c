/* `tritune roofline`: what this machine reads and multiplies at most, what a model asks of it, and so how fast the
 * model could run here, or on a machine of which only the bandwidth is known. Owns the order of the steps; leaves out
 * the gauges (kernels/ceiling.c), the runs (bench_run.c) and how all is shown (roofline_report.c). */
#include "cli/roofline.h"
#include "base/cores.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MOST_PROMPT = 512, LEAST_PROMPT = 16, MOST_GEN = 64, LEAST_GEN = 4,
    USUAL_PROMPT = 32, USUAL_GEN = 8, /* where nobody knows how long they take */
    REPETITIONS = 3,
};

struct options {
    struct tri_roofline r;
    struct tri_shape shape;
    struct tri_texts depth, threads;
    const char *name;
    float bandwidth;
    bool no_run, json;
};

/* -- roofs --------------------------------------------------------------- */

double tri_roof_reading(const struct tri_roof *f)
{
    const uint64_t bytes = tri_traffic_sum(&f->traffic);
    return f->prompt || !bytes ? 0 : f->gbps * 1e9 / (double)bytes;
}

double tri_roof_multiplying(const struct tri_roofline *r, const struct tri_roof *f)
{
    return f->gops * 1e9 / (2 * (double)tri_model_ternary(r->outline.weights));
}

double tri_roof_speed(const struct tri_roofline *r, const struct tri_roof *f)
{
    const double reading = tri_roof_reading(f), multiplying = tri_roof_multiplying(r, f);
    return reading > 0 && (multiplying == 0 || reading < multiplying) ? reading : multiplying;
}

static double best(const struct tri_gauge *g)
{
    return g ? tri_gauge_best(g) : 0;
}

/* Of a row that may have been run. */
static struct tri_roof roof_of(const struct tri_roofline *r, const struct tri_bench_row *row)
{
    const struct tri_model *m = r->outline.weights;
    const struct tri_decoding d = {.candidates = m->screen ? 0 : -1, .position = r->position, .depth = row->depth,
                                   .tokens = row->gen};
    struct tri_roof f = {.prompt = row->prompt, .gen = row->gen, .depth = row->depth, .traffic = tri_traffic_of(m, &d)};
    if (r->predicted) {
        f.gbps = r->bandwidth;
        return f;
    }
    f.threads = row->threads;
    f.gbps = best(tri_ceiling_reading(&r->ceiling, "model", row->threads));
    if (!m->layer[0].matrix[0].dense) /* floats are bound by other units */
        f.gops = best(tri_ceiling_multiplying(&r->ceiling, row->threads));
    if (row->samples && row->gen)
        f.traffic = tri_bench_traffic(&r->bench, row);
    if (row->samples && row->gbps > f.gbps) /* the machine may have become faster since */
        f.gbps = row->gbps;
    return f;
}

static enum tri_status make_roofs(struct tri_roofline *r, struct tri_error *e)
{
    const struct tri_bench *b = &r->bench;
    r->roof = tri_alloc((size_t)b->rows, sizeof *r->roof, "roofs", e);
    if (!r->roof)
        return e->status;
    for (; r->roofs < b->rows; r->roofs++) {
        struct tri_roof *f = &r->roof[r->roofs];
        *f = roof_of(r, &b->row[r->roofs]);
        if (b->row[r->roofs].samples && !(f->measured = tri_bench_row_json(b, &b->row[r->roofs])))
            return tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON of a row");
    }
    return TRI_OK;
}

/* -- the model's shape --------------------------------------------------- */

static enum tri_status open_outline(struct tri_roofline *r, struct tri_error *e)
{
    r->outline = r->bench.load;
    const enum tri_status status = tri_load_outline(&r->outline, &r->position, e);
    tri_pool_free(r->outline.pool); /* its threads would be in the way of those that are measured */
    r->outline.pool = NULL;
    return status;
}

/* Of one token, where nothing is cached yet. */
static size_t least_traffic(const struct tri_roofline *r)
{
    const struct tri_roof f = roof_of(r, &(struct tri_bench_row){.gen = 1});
    return (size_t)tri_traffic_sum(&f.traffic);
}

/* -- the machine --------------------------------------------------------- */

/* "1,2,4,6" of six cores. */
static void usual_threads(char *text, size_t room)
{
    const int cores = tri_cores();
    int used = 0;
    for (int n = 1; n < cores; n *= 2)
        used += snprintf(text + used, room - (size_t)used, "%d,", n);
    snprintf(text + used, room - (size_t)used, "%d", cores);
}

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static struct tri_texts given(const char *text)
{
    return (struct tri_texts){.at = {text}, .count = 1};
}

/* Each number once. */
static enum tri_status list_threads(struct tri_roofline *r, const struct tri_texts *threads, struct tri_error *e)
{
    struct tri_bench list = {.repetitions = 1};
    const struct tri_bench_tests tests = {.prompt = given("0"), .gen = given("1"), .threads = *threads};
    enum tri_status status = tri_bench_make_rows(&list, &tests, e);
    for (int i = 0; i < list.rows && status == TRI_OK; i++) {
        bool known = false;
        for (int k = 0; k < r->counts; k++)
            known |= r->threads[k] == list.row[i].threads;
        if (known)
            continue;
        if (r->counts == TRI_CEILING_THREADS)
            status = tri_fail(e, TRI_USAGE, "option -t: expected at most %d numbers, found more", TRI_CEILING_THREADS);
        else
            r->threads[r->counts++] = list.row[i].threads;
    }
    tri_bench_close(&list);
    qsort(r->threads, (size_t)r->counts, sizeof r->threads[0], ascending);
    return status;
}

static void show_round(int round)
{
    fprintf(stderr, "\rmeasuring the machine, round %d of %d ", round, TRI_GAUGE_ROUNDS);
}

static enum tri_status measure_machine(struct tri_roofline *r, const struct tri_texts *threads, struct tri_error *e)
{
    const bool terminal = isatty(STDERR_FILENO);
    char text[128];
    usual_threads(text, sizeof text);
    const struct tri_texts usual = given(text);
    if (list_threads(r, threads->count ? threads : &usual, e) != TRI_OK)
        return e->status;
    const struct tri_ceiling_plan plan = {.threads = r->threads, .count = r->counts, .stop = tri_interrupted,
                                          .model = r->outline.weights ? least_traffic(r) : 0,
                                          .round = terminal ? show_round : NULL};
    if (terminal)
        fputs("measuring the machine", stderr);
    const enum tri_status status = tri_ceiling_measure(&r->ceiling, &plan, e);
    if (terminal)
        fputs("\r\033[K", stderr);
    return status;
}

/* -- the runs ------------------------------------------------------------ */

/* What takes about a second at a speed. */
static int tokens_of(double speed, int least, int most, int usual)
{
    const int tokens = speed >= most ? most : (int)speed;
    return speed <= 0 ? usual : tokens < least ? least : tokens;
}

/* With the fewest threads, for decoding, and with the most, for prompts. */
static enum tri_status make_rows(struct options *o, struct tri_error *e)
{
    struct tri_roofline *r = &o->r;
    char gen[16], prompt[16], threads[TRI_CEILING_THREADS * 8] = "";
    const struct tri_bench_row one = {.gen = 1, .threads = r->threads[0]};
    const struct tri_bench_row many = {.prompt = 1, .threads = r->counts ? r->threads[r->counts - 1] : 0};
    const struct tri_roof decode = roof_of(r, &one), batch = roof_of(r, &many);
    const int tokens = tokens_of(tri_roof_speed(r, &decode), LEAST_GEN, MOST_GEN, USUAL_GEN);
    const int prompts = tokens_of(tri_roof_speed(r, &batch), LEAST_PROMPT, MOST_PROMPT, USUAL_PROMPT);
    snprintf(gen, sizeof gen, "%d", r->predicted ? 1 : tokens);
    snprintf(prompt, sizeof prompt, "%d", r->predicted ? 0 : prompts);
    for (int i = 0; i < r->counts; i++)
        snprintf(threads + strlen(threads), sizeof threads - strlen(threads), "%s%d", i ? "," : "", r->threads[i]);
    const struct tri_bench_tests tests = {.prompt = given(prompt), .gen = given(gen), .depth = o->depth,
                                          .threads = given(r->predicted ? "1" : threads)};
    r->bench.repetitions = REPETITIONS;
    r->bench.batch = MOST_PROMPT;
    return tri_bench_make_rows(&r->bench, &tests, e);
}

static enum tri_status study(struct options *o, struct tri_error *e)
{
    struct tri_roofline *r = &o->r;
    const bool model = r->bench.load.synth || r->bench.load.model || r->bench.load.hub;
    if (model ? open_outline(r, e) != TRI_OK : tri_dispatch_limit(r->bench.load.isa, e) != TRI_OK)
        return e->status;
    if (!r->predicted && measure_machine(r, &o->threads, e) != TRI_OK)
        return e->status;
    if (!model)
        return TRI_OK;
    if (make_rows(o, e) != TRI_OK || (!r->predicted && !o->no_run && tri_bench_measure(&r->bench, e) != TRI_OK))
        return e->status;
    return make_roofs(r, e);
}

/* -- the command --------------------------------------------------------- */

static void release(struct tri_roofline *r)
{
    for (int i = 0; i < r->roofs; i++)
        json_decref(r->roof[i].measured);
    tri_free(r->roof);
    tri_ceiling_free(&r->ceiling);
    tri_bench_close(&r->bench);
    tri_load_close(&r->outline);
}

static enum tri_status check_prediction(const struct options *o, struct tri_error *e)
{
    const struct tri_load *l = &o->r.bench.load;
    if (o->name && o->bandwidth == 0)
        return tri_fail(e, TRI_USAGE, "option --name: expected --bandwidth GB/s of that machine, found none");
    if (o->bandwidth == 0 && !o->no_run)
        return TRI_OK;
    if (o->bandwidth != 0 && !l->synth && !l->model && !l->hub)
        return tri_fail(e, TRI_USAGE, "option --bandwidth: expected a model (-m FILE, -hf REPO or --synth SIZE) to "
                        "predict, found none");
    if (o->bandwidth != 0 && o->threads.count)
        return tri_fail(e, TRI_USAGE, "option --bandwidth: expected no number of threads, since it is what all of that "
                        "machine's threads read together, found -t %s", o->threads.at[0]);
    if (strcmp(l->ffn, "dense") != 0)
        return tri_fail(e, TRI_USAGE, "option --ffn: expected dense where nothing is run, since only a run tells what "
                        "is skipped, found \"%s\"", l->ffn);
    return TRI_OK;
}

static enum tri_status check(struct options *o, struct tri_synth *synth, struct tri_error *e)
{
    struct tri_bench *b = &o->r.bench;
    if (tri_shape_choose(&o->shape, &b->load, synth, &b->size, e) != TRI_OK)
        return e->status;
    o->r.predicted = o->bandwidth != 0;
    o->r.bandwidth = (double)o->bandwidth;
    o->r.machine = o->name ? o->name : o->r.predicted ? "a machine of this bandwidth" : tri_cpu_name();
    return check_prediction(o, e);
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.r.bench.load = {.cache_k = "f16", .cache_v = "f16", .ffn = "dense"},
                        .shape = TRI_SHAPE_START};
    struct tri_synth synth;
    const struct tri_option options[] = {
        TRI_MODEL_OPTION(o.r.bench.load),
        {NULL, "--synth", TRI_TEXT, "SIZE", "random weights of one of these shapes instead: " TRI_SYNTH_SIZES,
         &o.shape.size, 0, 0},
        TRI_SHAPE_OPTIONS(o.shape),
        TRI_WEIGHTS_OPTION(o.shape),
        {NULL, "--bandwidth", TRI_FLOAT, "GB/s", "predict for a machine that reads so much, and measure nothing",
         &o.bandwidth, 0.001, 1e6},
        {NULL, "--name", TRI_TEXT, "NAME", "of that machine", &o.name, 0, 0},
        {NULL, "--no-run", TRI_FLAG, NULL, "only say how fast the model could be", &o.no_run, 0, 0},
        {"-d", "--n-depth", TRI_TEXTS, "N,...", "tokens in the cache before (default: 0)", &o.depth, 0, 0},
        {"-t", "--threads", TRI_TEXTS, "N", "threads, several with commas, ranges as 1-4 (default: 1, 2, 4, ... cores)",
         &o.threads, 0, 0},
        {NULL, "--json", TRI_FLAG, NULL, "print JSON", &o.json, 0, 0},
        TRI_RUN_OPTIONS(o.r.bench.load),
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status = tri_parse(&tri_command_roofline, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    status = check(&o, &synth, e);
    if (status == TRI_OK) {
        tri_catch_interrupt();
        status = study(&o, e);
    }
    if (status == TRI_OK && o.json)
        status = tri_roofline_json(&o.r, e);
    else if (status == TRI_OK)
        tri_roofline_print(&o.r);
    release(&o.r);
    return status;
}

const struct tri_command tri_command_roofline = {
    .name = "roofline",
    .summary = "what this machine reads and multiplies at most, and so how fast a model could be",
    .usage = "[-m FILE | --synth SIZE] [-d N,...] [-t N,...] [--no-run] [--bandwidth GB/s [--name NAME]] [--json]",
    .run = run,
};
