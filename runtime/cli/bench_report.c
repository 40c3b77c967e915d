/* Owns: rows of `tritune bench` as a table, CSV, JSON and lines of JSON, all made of a row's JSON object
 * (bench_row.c). */
#include "cli/bench.h"
#include "file/json.h"

#include <stdio.h>
#include <string.h>

/* -- rows -------------------------------------------------------------- */

/* Of all rows, NULL with TRI_NO_MEMORY. */
static json_t *rows_json(const struct tri_bench *b, struct tri_error *e)
{
    json_t *list = json_array();
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].samples && json_array_append_new(list, tri_bench_row_json(b, &b->row[i])) != 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    if (!list)
        tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
    return list;
}

static bool known(const json_t *row, const char *key)
{
    return json_is_number(json_object_get(row, key));
}

/* -- a table ----------------------------------------------------------- */

void tri_bench_name_test(const json_t *row, char *out, size_t room)
{
    const int prompt = (int)tri_integer(row, "n_prompt"), gen = (int)tri_integer(row, "n_gen");
    const int depth = (int)tri_integer(row, "n_depth");
    int n = 0;
    if (prompt)
        n += snprintf(out, room, "pp%d", prompt);
    if (gen)
        n += snprintf(out + n, room - (size_t)n, "%stg%d", prompt ? "+" : "", gen);
    if (depth)
        snprintf(out + n, room - (size_t)n, " @ d%d", depth);
}

static void print_row(const json_t *row)
{
    char size[32], params[32], test[64], spread[64], share[16] = "", zeros[32] = "";
    tri_bench_name_test(row, test, sizeof test);
    snprintf(size, sizeof size, "%.2f MiB", tri_number(row, "model_size") / (1 << 20));
    snprintf(params, sizeof params, "%.2f M", tri_number(row, "model_n_params") / 1e6);
    snprintf(spread, sizeof spread, "%.2f .. %.2f", tri_number(row, "min_ts"), tri_number(row, "max_ts"));
    if (known(row, "share"))
        snprintf(share, sizeof share, "%.3f", tri_number(row, "share"));
    if (known(row, "ffn_sparsity"))
        snprintf(zeros, sizeof zeros, "%.2f, %.2f", tri_number(row, "ffn_sparsity"), tri_number(row, "down_sparsity"));
    printf("| %-27s | %11s | %10s | %-12s | %7d | %15s | %10.2f | %20s | %9.2f | %6s | %10s |\n",
           tri_string(row, "model_type"), size, params, tri_string(row, "backends"),
           (int)tri_integer(row, "n_threads"), test,
           tri_number(row, "median_ts"), spread, tri_number(row, "read_gbps"), share, zeros);
}

enum tri_status tri_bench_markdown(const struct tri_bench *b, struct tri_error *e)
{
    json_t *list = rows_json(b, e), *row;
    size_t i;
    if (!list)
        return e->status;
    printf("| %-27s | %11s | %10s | %-12s | %7s | %15s | %10s | %20s | %9s | %6s | %10s |\n", "model", "size", "params",
           "backend", "threads", "test", "median t/s", "least .. greatest", "read GB/s", "share", "ffn zeros");
    printf("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    json_array_foreach(list, i, row)
        print_row(row);
    printf("\nloaded in %.0f ms, resident at most %.0f MiB\n", b->load_ms, b->peak_rss_mib);
    tri_record_print(b, stdout);
    json_decref(list);
    return TRI_OK;
}

/* -- JSON and CSV ------------------------------------------------------- */

enum tri_status tri_bench_json(const struct tri_bench *b, struct tri_error *e)
{
    json_t *list = rows_json(b, e);
    if (!list)
        return e->status;
    json_dumpf(list, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(list);
    return TRI_OK;
}

enum tri_status tri_bench_json_line(const struct tri_bench *b, struct tri_bench_row *row, struct tri_error *e)
{
    json_t *object = tri_bench_row_json(b, row);
    if (!object)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    fflush(stdout);
    row->shown = true;
    json_decref(object);
    return TRI_OK;
}

enum tri_status tri_bench_jsonl(const struct tri_bench *b, struct tri_error *e)
{
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].samples && !b->row[i].shown && tri_bench_json_line(b, &b->row[i], e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_value(const json_t *value)
{
    if (json_is_string(value))
        print_quoted(json_string_value(value));
    else if (json_is_boolean(value))
        printf("\"%d\"", json_is_true(value));
    else if (json_is_integer(value))
        printf("\"%" JSON_INTEGER_FORMAT "\"", json_integer_value(value));
    else if (json_is_real(value))
        printf("\"%.9g\"", json_real_value(value));
    else
        printf("\"\"");
}

/* The classes of bytes are columns of their own; samples are left out, as in llama-bench. */
static const char *const classes[] = {"weights", "head", "kv"};
enum { CLASSES = sizeof classes / sizeof classes[0] };

static void print_line(json_t *row, bool names)
{
    const char *key, *comma = "";
    json_t *value;
    json_object_foreach(row, key, value) {
        const bool split = strcmp(key, "bytes_per_token") == 0;
        for (int i = 0; i < (json_is_array(value) ? 0 : split ? CLASSES : 1); i++, comma = ",") {
            printf("%s", comma);
            if (names)
                printf("%s%s%s", key, split ? "_" : "", split ? classes[i] : "");
            else
                print_value(split ? json_object_get(value, classes[i]) : value);
        }
    }
    putchar('\n');
}

enum tri_status tri_bench_csv(const struct tri_bench *b, struct tri_error *e)
{
    json_t *list = rows_json(b, e), *row;
    size_t i;
    if (!list)
        return e->status;
    json_array_foreach(list, i, row) {
        if (i == 0)
            print_line(row, true);
        print_line(row, false);
    }
    json_decref(list);
    return TRI_OK;
}
