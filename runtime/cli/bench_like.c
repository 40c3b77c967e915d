/* Owns: which sizes and tests such tables have, running them one after the other, and the columns of three programs.
 * Leaves out what was published (bench_published.c). */
#include "cli/bench_like.h"
#include "base/cores.h"
#include "cli/bench_published.h"
#include "file/json.h"

#include <stdio.h>
#include <string.h>

/* -- columns of others -------------------------------------------------------- */

static const char *type_of(const json_t *row)
{
    return tri_string(row, "model_type");
}

static json_t *row_at(const json_t *entries, size_t i)
{
    return json_object_get(json_array_get(entries, i), "row");
}

/* As charts of bitnet.cpp have it. */
static void print_bitnet(const json_t *entries)
{
    puts("| model | threads | test | tokens/s | J/token |\n| --- | ---: | ---: | ---: | ---: |");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *row = row_at(entries, i);
        char test[64], joules[32] = "";
        tri_bench_name_test(row, test, sizeof test);
        if (tri_number(row, "j_per_token") > 0)
            snprintf(joules, sizeof joules, "%.3f", tri_number(row, "j_per_token"));
        printf("| %s | %d | %s | %.2f | %s |\n", type_of(row), (int)tri_integer(row, "n_threads"), test,
               tri_number(row, "median_ts"), joules);
    }
}

static void print_llama(const json_t *entries)
{
    puts("| model | size | params | backend | threads | test | t/s |\n"
         "| --- | ---: | ---: | --- | ---: | ---: | ---: |");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *row = row_at(entries, i);
        char test[64];
        tri_bench_name_test(row, test, sizeof test);
        printf("| %s | %.2f MiB | %.2f M | %s | %d | %s | %.2f ± %.2f |\n", type_of(row),
               tri_number(row, "model_size") / (1 << 20), tri_number(row, "model_n_params") / 1e6,
               tri_string(row, "backends"), (int)tri_integer(row, "n_threads"), test,
               tri_number(row, "avg_ts"), tri_number(row, "stddev_ts"));
    }
}

static bool same_sweep(const json_t *a, const json_t *b)
{
    return strcmp(type_of(a), type_of(b)) == 0 && tri_integer(a, "n_threads") == tri_integer(b, "n_threads");
}

/* Decoding at the depth of a prompt, in the same sweep. */
static const json_t *find_decoding(const json_t *entries, const json_t *prompt)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *row = row_at(entries, i);
        if (same_sweep(row, prompt) && tri_integer(row, "n_depth") == tri_integer(prompt, "n_depth") &&
            tri_integer(row, "n_prompt") == 0)
            return row;
    }
    return NULL;
}

static void print_step(const json_t *entries, const json_t *prompt)
{
    const json_t *gen = find_decoding(entries, prompt);
    if (tri_integer(prompt, "n_gen") || !gen)
        return;
    const int fed = (int)tri_integer(prompt, "n_prompt"), decoded = (int)tri_integer(gen, "n_gen");
    const double pp = tri_number(prompt, "median_ts"), tg = tri_number(gen, "median_ts");
    printf("| %d | %d | %d | %.3f | %.2f | %.3f | %.2f |\n", fed, decoded,
           (int)tri_integer(prompt, "n_depth"), fed / pp, pp, decoded / tg, tg);
}

static bool first_of_sweep(const json_t *entries, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (same_sweep(row_at(entries, i), row_at(entries, at)))
            return false;
    return true;
}

/* A sweep for each model and number of threads. */
static void print_sweeps(const json_t *entries)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *first = row_at(entries, i);
        if (!first_of_sweep(entries, i))
            continue;
        printf("%s%s, %d thread%s\n\n", i ? "\n" : "", type_of(first), (int)tri_integer(first, "n_threads"),
               tri_integer(first, "n_threads") == 1 ? "" : "s");
        puts("| PP | TG | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s |\n"
             "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for (size_t j = i; j < json_array_size(entries); j++)
            if (same_sweep(first, row_at(entries, j)) && tri_integer(row_at(entries, j), "n_prompt"))
                print_step(entries, row_at(entries, j));
    }
}

static const struct preset {
    const char *name, *prompt, *gen, *depth;
    void (*print)(const json_t *entries); /* of {"name", "row"} */
} presets[] = {
    {"bitnet.cpp", "0", "128", "0", print_bitnet},
    {"llama-bench", "512", "128", "0", print_llama},
    {"ik-sweep", "512", "128", "0-1536+512", print_sweeps},
};

static const struct preset *find_preset(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(name, presets[i].name) == 0)
            return &presets[i];
    return NULL;
}

/* -- running ------------------------------------------------------------------- */

struct series {
    const struct preset *preset;
    const struct tri_bench *options;
    const struct tri_bench_tests *tests;
    json_t *tables, *entries;
};

static void set_default(struct tri_texts *texts, const char *otherwise)
{
    if (texts->count == 0)
        *texts = (struct tri_texts){{otherwise}, 1};
}

static enum tri_status add_entries(struct series *s, const struct tri_bench *b, struct tri_error *e)
{
    const char *name = b->load.weights ? tri_published_name(s->tables, &b->load.weights->config) : NULL;
    for (int i = 0; i < b->rows; i++) {
        if (b->row[i].samples == 0)
            continue;
        json_t *row = tri_bench_row_json(b, &b->row[i]);
        json_t *entry = row ? json_pack("{s:s, s:o}", "name", name ? name : "", "row", row) : NULL;
        if (!entry || json_array_append_new(s->entries, entry) != 0)
            return tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
    }
    return TRI_OK;
}

/* One model; what an interrupted run has done is kept. */
static enum tri_status run_model(struct series *s, struct tri_bench *b, struct tri_error *e)
{
    struct tri_bench_tests tests = *s->tests;
    char threads[4 * TRI_MAX_CORES] = "";
    const char *name = b->load.synth ? tri_published_name(s->tables, &b->load.synth->config) : NULL;
    set_default(&tests.prompt, s->preset->prompt);
    set_default(&tests.gen, s->preset->gen);
    set_default(&tests.depth, s->preset->depth);
    if (name && tri_published_threads(s->tables, name, tri_cores(), threads, sizeof threads))
        set_default(&tests.threads, threads);
    enum tri_status status = tri_bench_make_rows(b, &tests, e);
    if (status == TRI_OK)
        status = tri_bench_measure(b, e);
    if (status == TRI_OK)
        status = add_entries(s, b, e);
    else if (status == TRI_INTERRUPTED)
        add_entries(s, b, &(struct tri_error){0});
    tri_bench_close(b);
    return status;
}

/* One of the sizes that the tables have. */
static enum tri_status run_size(struct series *s, const char *size, const struct tri_shape *shape, struct tri_error *e)
{
    struct tri_bench b = *s->options;
    struct tri_synth synth;
    struct tri_shape sized = *shape;
    sized.size = size;
    if (tri_shape_read(&sized, &synth, e) != TRI_OK)
        return e->status;
    b.load.synth = &synth;
    b.size = size;
    fprintf(stderr, "%s\n", size);
    const enum tri_status status = run_model(s, &b, e);
    if (status != TRI_NO_MEMORY)
        return status;
    fprintf(stderr, "%s: skipped: %s\n", size, e->text);
    return TRI_OK;
}

static enum tri_status run_sizes(struct series *s, const struct tri_shape *shape, struct tri_error *e)
{
    json_t *sizes = tri_published_models(s->tables), *size;
    enum tri_status status = sizes ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "no memory for published speeds");
    size_t i;
    json_array_foreach(sizes, i, size)
        if (status == TRI_OK)
            status = run_size(s, json_string_value(size), shape, e);
    json_decref(sizes);
    return status;
}

static void print_json(const json_t *entries)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < json_array_size(entries); i++)
        json_array_append(rows, row_at(entries, i));
    json_dumpf(rows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    puts("");
    json_decref(rows);
}

static void print(const struct series *s, bool as_json)
{
    if (as_json) {
        print_json(s->entries);
        return;
    }
    s->preset->print(s->entries);
    tri_published_print(s->tables, s->entries);
}

static enum tri_status run_series(struct series *s, const struct tri_shape *shape, bool as_json, struct tri_error *e)
{
    struct tri_bench one = *s->options;
    const bool asked = one.load.synth || one.load.model || one.load.hub;
    const enum tri_status status = asked ? run_model(s, &one, e) : run_sizes(s, shape, e);
    if (json_array_size(s->entries)) /* what is done is shown, whatever ended it */
        print(s, as_json);
    else if (status == TRI_OK)
        return tri_fail(e, TRI_NO_MEMORY, "expected memory for one of the sizes of such tables, found it for none");
    return status;
}

enum tri_status tri_bench_run_like(const struct tri_bench_like *like, const struct tri_bench *b,
                                   const struct tri_bench_tests *tests, const struct tri_shape *shape, bool as_json,
                                   struct tri_error *e)
{
    struct series s = {find_preset(like->name), b, tests, NULL, NULL};
    if (!s.preset)
        return tri_fail(e, TRI_USAGE, "option --like: expected " TRI_BENCH_LIKES ", found \"%s\"", like->name);
    s.tables = tri_published_read(like->name, &like->published, e);
    s.entries = s.tables ? json_array() : NULL;
    const enum tri_status status = s.entries ? run_series(&s, shape, as_json, e)
                                   : s.tables ? tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON")
                                              : e->status;
    json_decref(s.entries);
    json_decref(s.tables);
    return status;
}
