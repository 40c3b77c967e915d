/* Owns: what `tritune roofline` found as text and as JSON. */
#include "cli/roofline.h"
#include "cli/machine.h"
#include "cli/quote.h"
#include "file/json.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 34, COLUMN = 11 };

/* -- what both say ------------------------------------------------------- */

/* "pp512", "tg16 @ d4096", as llama-bench calls tests; "decode" where nothing is run. */
static void test_of(const struct tri_roof *f, char *out, size_t room)
{
    int n = f->prompt      ? snprintf(out, room, "pp%d", f->prompt)
            : f->measured ? snprintf(out, room, "tg%d", f->gen)
                          : snprintf(out, room, "decode");
    if (f->depth)
        snprintf(out + n, room - (size_t)n, " @ d%d", f->depth);
}

/* Tokens per second of what was run. */
static double measured_speed(const struct tri_roof *f)
{
    return json_real_value(json_object_get(f->measured, "median_ts"));
}

static const char *bound_of(const struct tri_roofline *r, const struct tri_roof *f)
{
    const double speed = tri_roof_speed(r, f);
    return speed == 0 ? "unknown" : speed == tri_roof_reading(f) ? "reading" : "multiplying";
}

/* -- text: the machine --------------------------------------------------- */

static bool same_row(const struct tri_gauge *a, const struct tri_gauge *b)
{
    return a->kind == b->kind && a->level == b->level && a->huge == b->huge && a->peak == b->peak;
}

static void name_of(const struct tri_gauge *g, char *out, size_t room)
{
    const double mib = (double)g->bytes / (1 << 20);
    if (g->kind == TRI_GAUGE_READ)
        snprintf(out, room, "read %s%s, %.*f MiB", g->level, g->huge ? "" : ", small pages", mib < 10, mib);
    else
        snprintf(out, room, "multiply %s, %s", g->peak->isa, g->peak->family);
}

/* A line of the gauges that differ by threads only, from the first of them on. */
static void print_gauges(const struct tri_ceiling *c, const struct tri_gauge *first)
{
    char name[64];
    name_of(first, name, sizeof name);
    printf("%-*s", NAME, name);
    for (const struct tri_gauge *g = first; g < c->gauge + c->gauges; g++)
        if (same_row(g, first))
            printf("%*.1f", COLUMN, tri_gauge_best(g));
    putchar('\n');
}

static void print_machine(const struct tri_roofline *r)
{
    const struct tri_ceiling *c = &r->ceiling;
    printf("%s, kernels up to %s\n\n%-*s", r->machine, tri_dispatch_isa()->name, NAME, "threads");
    for (int i = 0; i < r->counts; i++)
        printf("%*d", COLUMN, r->threads[i]);
    putchar('\n');
    for (const struct tri_gauge *g = c->gauge; g < c->gauge + c->gauges; g++) {
        bool first = g->kind != TRI_GAUGE_STEP;
        for (const struct tri_gauge *before = c->gauge; before < g; before++)
            first &= !same_row(before, g);
        if (first)
            print_gauges(c, g);
    }
    printf("\nread      GB/s (10^9), nothing else done with it; MiB of all threads; the best of %d rounds\n"
           "multiply  10^9 operations a second in registers; multiplying and adding are two\n",
           TRI_GAUGE_ROUNDS);
    if (r->counts > 1)
        printf("cores     %d threads step at %.2f of the speed of %d, each: 1 on cores of one's own\n",
               r->threads[r->counts - 1], tri_ceiling_own(c), r->threads[0]);
}

/* -- text: the model ----------------------------------------------------- */

static const struct cost {
    const char *name;
    size_t field; /* of struct tri_traffic */
} costs[] = {{"attention's matrices", offsetof(struct tri_traffic, attention)},
             {"feed forward", offsetof(struct tri_traffic, ffn)},
             {"output matrix", offsetof(struct tri_traffic, head)},
             {"keys and values", offsetof(struct tri_traffic, kv)}};
enum { COSTS = sizeof costs / sizeof costs[0] };

static uint64_t bytes_at(const struct tri_traffic *t, const struct cost *c)
{
    return *(const uint64_t *)((const char *)t + c->field);
}

/* The first roof of each depth that decodes stands for it. */
static bool stands_for_depth(const struct tri_roofline *r, const struct tri_roof *f)
{
    bool first = !f->prompt;
    for (const struct tri_roof *before = r->roof; before < f; before++)
        first &= before->prompt || before->depth != f->depth;
    return first;
}

static void print_traffic(const struct tri_roof *f)
{
    const double all = (double)tri_traffic_sum(&f->traffic);
    char title[48];
    snprintf(title, sizeof title, "one token reads, behind %d", f->depth);
    printf("\n%-*s%*s%*s\n", NAME, title, COLUMN, "MiB", COLUMN, "share");
    for (int i = 0; i < COSTS; i++) {
        const double bytes = (double)bytes_at(&f->traffic, &costs[i]);
        printf("  %-*s%*.1f%*.1f %%\n", NAME - 2, costs[i].name, COLUMN, bytes / (1 << 20), COLUMN - 2,
               all > 0 ? 100 * bytes / all : 0);
    }
    printf("  %-*s%*.1f\n", NAME - 2, "all", COLUMN, all / (1 << 20));
}

static void print_roof(const struct tri_roofline *r, const struct tri_roof *f)
{
    const double speed = tri_roof_speed(r, f);
    char test[48], threads[16] = "all";
    test_of(f, test, sizeof test);
    if (f->threads)
        snprintf(threads, sizeof threads, "%d", f->threads);
    printf("%-*s%8s%*.2f", NAME - 8, test, threads, COLUMN, speed);
    if (f->measured)
        printf("%*.2f%*.2f", COLUMN, measured_speed(f), COLUMN, speed > 0 ? measured_speed(f) / speed : 0);
    printf("  %s\n", bound_of(r, f));
}

static void print_columns(const struct tri_roofline *r, bool ran)
{
    if (r->predicted)
        printf("\npredicted  tokens per second at most: bandwidth over the bytes of a token; prompts are bound by "
               "multiplying\n");
    else
        printf("\nceiling   tokens per second at most: GB/s over the bytes of a token, or operations over those of its "
               "ternary\n          matrices, whichever is less\n");
    if (!ran)
        return;
    printf("measured  tokens per second, the median of a few short runs (tritune bench takes longer ones)\n"
           "share     measured over ceiling\n\n");
    tri_record_print(&r->bench, stdout);
}

static void print_model(const struct tri_roofline *r)
{
    const struct tri_model *m = r->outline.weights;
    const bool ran = r->roofs && r->roof[0].measured;
    char type[96];
    tri_bench_name_model(m, r->bench.size, type, sizeof type);
    printf("%s: %.2f M weights in %.1f MiB\n", type, (double)tri_model_parameters(m) / 1e6,
           (double)tri_model_bytes(m) / (1 << 20));
    for (int i = 0; i < r->roofs; i++)
        if (stands_for_depth(r, &r->roof[i]))
            print_traffic(&r->roof[i]);
    printf("\n%-*s%8s%*s", NAME - 8, "test", "threads", COLUMN, r->predicted ? "predicted" : "ceiling");
    printf(ran ? "%*s%*s  bound by\n" : "  bound by\n", COLUMN, "measured", COLUMN, "share");
    for (int i = 0; i < r->roofs; i++)
        print_roof(r, &r->roof[i]);
    print_columns(r, ran);
}

void tri_roofline_print(const struct tri_roofline *r)
{
    if (r->predicted)
        printf("predicted for %s, from %g GB/s; nothing was measured, and packed as on this machine (%s)\n\n",
               r->machine, r->bandwidth, tri_dispatch_isa()->name);
    else
        print_machine(r);
    if (!r->predicted && r->outline.weights)
        putchar('\n');
    if (r->outline.weights)
        print_model(r);
}

/* -- JSON ---------------------------------------------------------------- */

/* jansson passes NULL on, and all that a failed pack was given is released: one check at the end is enough. */

static json_t *known(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static json_t *gauge_json(const struct tri_gauge *g)
{
    json_t *samples = tri_json_numbers(g->sample, g->samples);
    const double best = tri_gauge_best(g), median = tri_gauge_median(g);
    switch (g->kind) {
    case TRI_GAUGE_READ:
        return json_pack("{s:s, s:s, s:I, s:i, s:f, s:f, s:o}", "level", g->level, "pages", g->huge ? "huge" : "small",
                         "bytes", (json_int_t)g->bytes, "threads", g->threads, "gbps", best, "median_gbps", median,
                         "samples", samples);
    case TRI_GAUGE_MULTIPLY:
        return json_pack("{s:s, s:s, s:i, s:f, s:f, s:o}", "isa", g->peak->isa, "family", g->peak->family, "threads",
                         g->threads, "gops", best, "median_gops", median, "samples", samples);
    case TRI_GAUGE_STEP:
        break;
    }
    return json_pack("{s:i, s:f, s:f, s:o}", "threads", g->threads, "gsteps", best, "median_gsteps", median, "samples",
                     samples);
}

static json_t *gauges_json(const struct tri_ceiling *c, enum tri_gauge_kind kind)
{
    json_t *list = json_array();
    for (const struct tri_gauge *g = c->gauge; g < c->gauge + c->gauges; g++)
        if (g->kind == kind && json_array_append_new(list, gauge_json(g)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *machine_json(const struct tri_roofline *r)
{
    const struct tri_ceiling *c = &r->ceiling;
    if (r->predicted)
        return json_pack("{s:o, s:b, s:f}", "name", tri_json_string(r->machine), "predicted", 1, "bandwidth_gbps",
                         r->bandwidth);
    const struct tri_gauge *memory = tri_ceiling_reading(c, "memory", r->threads[r->counts - 1]);
    return json_pack("{s:o, s:b, s:f, s:s, s:I, s:f, s:o, s:o, s:o, s:o}", "name", tri_json_string(r->machine), 
                     "predicted", 0, "bandwidth_gbps", tri_gauge_best(memory), "isa", tri_dispatch_isa()->name,
                     "cache_bytes",
                     (json_int_t)c->cache, "own_cores", tri_ceiling_own(c), "reading",
                     gauges_json(c, TRI_GAUGE_READ), "multiplying", gauges_json(c, TRI_GAUGE_MULTIPLY), "stepping",
                     gauges_json(c, TRI_GAUGE_STEP), "host", tri_machine_json(""));
}

static json_t *traffic_json(const struct tri_traffic *t)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "attention", (json_int_t)t->attention, "ffn", (json_int_t)t->ffn,
                     "head", (json_int_t)t->head, "kv", (json_int_t)t->kv, "all", (json_int_t)tri_traffic_sum(t));
}

static json_t *roof_json(const struct tri_roofline *r, const struct tri_roof *f)
{
    const double speed = tri_roof_speed(r, f), measured = f->measured ? measured_speed(f) : 0;
    return json_pack("{s:i, s:i, s:i, s:o, s:b, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:O?}", "n_prompt", f->prompt,
                     "n_gen", f->gen, "n_depth", f->depth, "n_threads",
                     f->threads ? json_integer(f->threads) : json_null(),
                     "predicted", (int)r->predicted, "bytes_per_token",
                     f->prompt ? json_null() : traffic_json(&f->traffic), "read_gbps",
                     known(f->prompt ? 0 : f->gbps), "gops", known(f->gops), "ceiling_ts", known(speed), "bound",
                     bound_of(r, f), "measured_ts", known(measured), "share",
                     known(speed > 0 ? measured / speed : 0), "measured", f->measured);
}

static json_t *roofs_json(const struct tri_roofline *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->roofs; i++)
        if (json_array_append_new(list, roof_json(r, &r->roof[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *model_json(const struct tri_roofline *r)
{
    const struct tri_model *m = r->outline.weights;
    char type[96];
    if (!m)
        return json_null();
    tri_bench_name_model(m, r->bench.size, type, sizeof type);
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "model_type", type, "model_size", (json_int_t)tri_model_bytes(m),
                     "model_n_params", (json_int_t)tri_model_parameters(m), "packed_bytes",
                     (json_int_t)m->packed_bytes, "ops_per_token", (json_int_t)(2 * tri_model_ternary(m)));
}

enum tri_status tri_roofline_json(const struct tri_roofline *r, struct tri_error *e)
{
    json_t *root = json_pack("{s:o, s:o, s:o}", "machine", machine_json(r), "model", model_json(r), "roofs",
                             roofs_json(r));
    if (!root)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
    putchar('\n');
    json_decref(root);
    return TRI_OK;
}
