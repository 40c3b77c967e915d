/* Owns: tables of published speeds, and the ratio of ours to theirs for the same speed of memory. */
#include "cli/bench_published.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/quote.h"
#include "file/json.h"
#include "model/synth.h"

#include <stdio.h>
#include <string.h>

static const struct tri_json_limits limits = {.depth = 8, .values = 100000};

extern const char tri_published[], tri_published_end[]; /* the files of results/published, as one array */

/* -- reading -------------------------------------------------------------- */

static bool whole_row(const json_t *row)
{
    return *tri_string(row, "model") && *tri_string(row, "test") && json_is_integer(json_object_get(row, "threads")) &&
           tri_number(row, "threads") >= 0 && tri_number(row, "ts") > 0;
}

static enum tri_status check_table(const char *name, const json_t *table, struct tri_error *e)
{
    static const char *const texts[] = {"kind", "program", "cpu", "source", "url"};
    size_t i;
    json_t *row, *rows = json_object_get(table, "rows");
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!*tri_string(table, texts[i]))
            return tri_fail(e, TRI_BAD_FILE, "%s: expected a text \"%s\"; bench/schema/published.json says how such a "
                            "file looks", name, texts[i]);
    if (!(tri_number(table, "bandwidth_gbps") > 0) || json_array_size(rows) == 0)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected a positive \"bandwidth_gbps\" and \"rows\"", name);
    json_array_foreach(rows, i, row)
        if (!whole_row(row))
            return tri_fail(e, TRI_BAD_FILE, "%s: row %zu: expected \"model\", \"test\", \"threads\" and a positive "
                            "\"ts\"", name, i + 1);
    return TRI_OK;
}

static enum tri_status add_table(const char *name, json_t *table, const char *kind, json_t *tables,
                                 struct tri_error *e)
{
    if (check_table(name, table, e) != TRI_OK)
        return e->status;
    if (strcmp(tri_string(table, "kind"), kind) == 0 && json_array_append(tables, table) != 0)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for published speeds");
    return TRI_OK;
}

static enum tri_status add_file(const char *path, const char *kind, json_t *tables, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, path, e) != TRI_OK)
        return e->status;
    json_t *table = tri_json_read((const char *)map.data, map.size, limits, path, e);
    const enum tri_status status = table ? add_table(path, table, kind, tables, e) : e->status;
    json_decref(table);
    tri_map_close(&map);
    return status;
}

static enum tri_status add_embedded(const char *kind, json_t *tables, struct tri_error *e)
{
    static const char name[] = "the published speeds in this program";
    json_error_t problem;
    json_t *all = json_loadb(tri_published, (size_t)(tri_published_end - tri_published), 0, &problem), *table;
    enum tri_status status = all ? TRI_OK : tri_fail(e, TRI_BAD_FILE, "%s: %s", name, problem.text);
    size_t i;
    json_array_foreach(all, i, table)
        if (status == TRI_OK)
            status = add_table(name, table, kind, tables, e);
    json_decref(all);
    return status;
}

json_t *tri_published_read(const char *kind, const struct tri_texts *files, struct tri_error *e)
{
    json_t *tables = json_array();
    enum tri_status status = tables ? add_embedded(kind, tables, e)
                                    : tri_fail(e, TRI_NO_MEMORY, "no memory for published speeds");
    for (int i = 0; i < files->count && status == TRI_OK; i++)
        status = add_file(files->at[i], kind, tables, e);
    if (status == TRI_OK)
        return tables;
    json_decref(tables);
    return NULL;
}

/* -- what they are of ------------------------------------------------------ */

typedef void row_fn(void *context, const json_t *table, const json_t *row);

static void each_row(const json_t *tables, row_fn *f, void *context)
{
    size_t i, j;
    json_t *table, *row;
    json_array_foreach((json_t *)tables, i, table)
        json_array_foreach(json_object_get(table, "rows"), j, row)
            f(context, table, row);
}

static bool among(const json_t *texts, const char *text)
{
    size_t i;
    json_t *at;
    json_array_foreach((json_t *)texts, i, at)
        if (strcmp(json_string_value(at), text) == 0)
            return true;
    return false;
}

static void add_model(void *context, const json_t *table, const json_t *row)
{
    struct tri_synth synth;
    json_t *models = context;
    (void)table;
    if (!among(models, tri_string(row, "model")) && tri_synth_size(tri_string(row, "model"), &synth))
        json_array_append(models, json_object_get(row, "model"));
}

json_t *tri_published_models(const json_t *tables)
{
    json_t *models = json_array();
    if (models)
        each_row(tables, add_model, models);
    return models;
}

struct threads {
    const char *model;
    bool seen[TRI_MAX_THREADS + 1];
};

static void note_threads(void *context, const json_t *table, const json_t *row)
{
    struct threads *t = context;
    const json_int_t threads = tri_integer(row, "threads");
    (void)table;
    if (strcmp(t->model, tri_string(row, "model")) == 0 && threads <= TRI_MAX_THREADS)
        t->seen[threads] = true;
}

bool tri_published_threads(const json_t *tables, const char *model, int most, char *list, size_t room)
{
    struct threads t = {.model = model};
    size_t n = 0;
    each_row(tables, note_threads, &t);
    for (int i = 1; i <= most && i <= TRI_MAX_THREADS && n < room; i++)
        if (t.seen[i])
            n += (size_t)snprintf(list + n, room - n, "%s%d", n ? "," : "", i);
    return n > 0 && n < room;
}

static bool same_shape(const struct tri_config *a, const struct tri_config *b)
{
    return a->family == b->family && a->layers == b->layers && a->hidden == b->hidden && a->ffn == b->ffn &&
           a->heads == b->heads && a->kv_heads == b->kv_heads && a->head_dim == b->head_dim && a->vocab == b->vocab;
}

const char *tri_published_name(const json_t *tables, const struct tri_config *config)
{
    size_t i, j;
    json_t *table, *row;
    json_array_foreach((json_t *)tables, i, table)
        json_array_foreach(json_object_get(table, "rows"), j, row) {
            struct tri_synth synth;
            if (tri_synth_size(tri_string(row, "model"), &synth) && same_shape(&synth.config, config))
                return tri_string(row, "model");
        }
    return NULL;
}

/* -- beside ours ------------------------------------------------------------- */

struct beside {
    const json_t *rows;
    const json_t *last; /* table of which a row was printed */
    json_t *shown;      /* all of these */
};

/* Ours of a published row: with as many threads if there is one, else the fastest. */
static const json_t *find_ours(const json_t *rows, const json_t *theirs)
{
    const json_t *best = NULL;
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)rows, i, entry) {
        const json_t *row = json_object_get(entry, "row");
        char test[64];
        tri_bench_name_test(row, test, sizeof test);
        if (strcmp(tri_string(entry, "name"), tri_string(theirs, "model")) != 0 ||
            strcmp(test, tri_string(theirs, "test")) != 0)
            continue;
        if (tri_number(row, "n_threads") == tri_number(theirs, "threads"))
            return row;
        if (!best || tri_number(row, "median_ts") > tri_number(best, "median_ts"))
            best = row;
    }
    return best;
}

/* "2", or nothing for what is not known. */
static const char *positive(double value, const char *format, char text[32])
{
    text[0] = 0;
    if (value > 0)
        snprintf(text, 32, format, value);
    return text;
}

/* "bitnet.cpp, Apple M2 Ultra" */
static void print_who(const json_t *table)
{
    tri_print_text(tri_string(table, "program"));
    printf(", ");
    tri_print_text(tri_string(table, "cpu"));
}

/* Of tokens decoded one by one, which memory bounds; prompts have none. */
static double normalised_ratio(const json_t *table, const json_t *theirs, const json_t *ours)
{
    if (strncmp(tri_string(theirs, "test"), "tg", 2) != 0)
        return 0;
    return tri_number(ours, "median_ts") / tri_number(ours, "read_gbps") /
           (tri_number(theirs, "ts") / tri_number(table, "bandwidth_gbps"));
}

static void print_beside(void *context, const json_t *table, const json_t *theirs)
{
    struct beside *b = context;
    const json_t *ours = find_ours(b->rows, theirs);
    char text[4][32];
    if (!ours)
        return;
    if (!b->last)
        puts("\npublished, and ours beside it:\n\n"
             "| model | test | program, CPU | threads | t/s | J/token | GB/s | ours: threads | t/s | J/token | GB/s | "
             "t/s per GB/s, ours / theirs |\n"
             "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    if (b->last != table)
        json_array_append(b->shown, (json_t *)table);
    b->last = table;
    printf("| ");
    tri_print_text(tri_string(theirs, "model"));
    printf(" | ");
    tri_print_text(tri_string(theirs, "test"));
    printf(" | ");
    print_who(table);
    printf(" | %s | %.2f | %s | %.1f | %.0f | %.2f | %s | %.1f | %s |\n",
           positive(tri_number(theirs, "threads"), "%.0f", text[0]), tri_number(theirs, "ts"),
           positive(tri_number(theirs, "j_per_token"), "%.3f", text[1]), tri_number(table, "bandwidth_gbps"),
           tri_number(ours, "n_threads"), tri_number(ours, "median_ts"),
           positive(tri_number(ours, "j_per_token"), "%.3f", text[2]), tri_number(ours, "read_gbps"),
           positive(normalised_ratio(table, theirs, ours), "%.2f", text[3]));
}

static void print_source(const json_t *table)
{
    print_who(table);
    printf(": ");
    tri_print_text(tri_string(table, "source"));
    printf(", ");
    tri_print_text(tri_string(table, "url"));
    puts("");
}

void tri_published_print(const json_t *tables, const json_t *rows)
{
    struct beside b = {rows, NULL, json_array()};
    size_t i;
    json_t *table;
    each_row(tables, print_beside, &b);
    if (b.last)
        puts("\nTheir GB/s are nominal, of the whole machine; ours are what this machine was measured to read with as "
             "many threads.\nLess than the nominal rate can be read, so the ratio favours ours by that much.\n");
    json_array_foreach(b.shown, i, table)
        print_source(table);
    json_decref(b.shown);
}
