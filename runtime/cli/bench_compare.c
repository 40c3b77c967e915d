/* Owns: reading of results, which of their rows belong together, and the table of ratios. Leaves out how a ratio is
 * bounded (compare.c). */
#include "cli/bench_compare.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/compare.h"
#include "cli/quote.h"
#include "file/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_BYTES = 64 << 20, MOST_ROWS = 10000, MOST_TOKENS = 1 << 24 };

/* -- reading ------------------------------------------------------------ */

static enum tri_status fail_row(const char *path, size_t row, const char *expected, struct tri_error *e)
{
    return tri_fail(e, TRI_BAD_FILE, "%s: row %zu: expected %s; is this what `tritune bench -o json` wrote?", path,
                    row + 1, expected);
}

static bool counts(const json_t *row, const char *key, bool optional)
{
    const json_t *value = json_object_get(row, key);
    return value ? json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= MOST_TOKENS
                 : optional;
}

static bool positive_numbers(const json_t *list)
{
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value)
        if (!(json_number_value(value) > 0) || isinf(json_number_value(value)))
            return false;
    return json_array_size(list) > 0;
}

static enum tri_status check_row(const char *path, size_t at, const json_t *row, struct tri_error *e)
{
    if (!json_is_string(json_object_get(row, "model_type")))
        return fail_row(path, at, "a \"model_type\"", e);
    if (!counts(row, "n_threads", false) || !counts(row, "n_prompt", false) || !counts(row, "n_gen", false) ||
        !counts(row, "n_depth", true))
        return fail_row(path, at, "whole numbers \"n_threads\", \"n_prompt\" and \"n_gen\"", e);
    if (!positive_numbers(json_object_get(row, "samples_ts")))
        return fail_row(path, at, "\"samples_ts\", positive numbers", e);
    return TRI_OK;
}

static enum tri_status add_value(const char *path, json_t *value, json_t *rows, struct tri_error *e)
{
    json_t *inner = json_object_get(value, "rows");
    const int failed = json_is_array(value)  ? json_array_extend(rows, value)
                       : json_is_array(inner) ? json_array_extend(rows, inner)
                                              : json_array_append(rows, value);
    if (failed)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its rows", path);
    if (json_array_size(rows) > MOST_ROWS)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected at most %d rows, found more", path, MOST_ROWS);
    return TRI_OK;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* JSON values one after the other. */
static enum tri_status add_values(const char *path, const char *text, size_t size, json_t *rows, struct tri_error *e)
{
    for (size_t at = 0;;) {
        while (at < size && blank(text[at]))
            at++;
        if (at == size)
            return TRI_OK;
        json_error_t error;
        json_t *value = json_loadb(text + at, size - at, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
        if (!value)
            return tri_fail(e, TRI_BAD_FILE, "%s: expected JSON at byte %zu: %s", path, at + (size_t)error.position,
                            error.text);
        at += (size_t)error.position;
        const enum tri_status status = add_value(path, value, rows, e);
        json_decref(value);
        if (status != TRI_OK)
            return status;
    }
}

static enum tri_status read_rows(const char *path, const struct tri_map *map, json_t *rows, struct tri_error *e)
{
    size_t i;
    json_t *row;
    if (map->size > MOST_BYTES)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected at most %d MiB of results, found %zu", path, MOST_BYTES >> 20,
                        map->size >> 20);
    if (add_values(path, (const char *)map->data, map->size, rows, e) != TRI_OK)
        return e->status;
    json_array_foreach(rows, i, row)
        if (check_row(path, i, row, e) != TRI_OK)
            return e->status;
    return json_array_size(rows) ? TRI_OK : tri_fail(e, TRI_BAD_FILE, "%s: expected results, found none", path);
}

json_t *tri_bench_read_rows(const char *path, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, path, e) != TRI_OK)
        return NULL;
    json_t *rows = json_array();
    if (!rows)
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its rows", path);
    const enum tri_status status = rows ? read_rows(path, &map, rows, e) : e->status;
    tri_map_close(&map);
    if (status == TRI_OK)
        return rows;
    json_decref(rows);
    return NULL;
}

/* -- a pair ----------------------------------------------------------------- */

static bool same_test(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"n_threads", "n_prompt", "n_gen", "n_depth"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (tri_integer(a, keys[i]) != tri_integer(b, keys[i]))
            return false;
    return true;
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return x == y || (x && y && json_equal((json_t *)x, (json_t *)y));
}

static bool same_model(const json_t *a, const json_t *b)
{
    return same(a, b, "model_type") && same(a, b, "model_n_params");
}

/* What two runs of one test ought to have in common, by key: [a's, b's] where both say it and it is not the same. */
static json_t *differences(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"model_type", "model_n_params", "model_size", "bytes_per_token", "backends",
                                       "n_batch", "n_ubatch", "cpu_strict", "type_k", "type_v", "ffn", "head", "draft"};
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        if (x && y && !json_equal(x, y))
            json_object_set_new(all, keys[i], json_pack("[O, O]", x, y));
    }
    return all;
}

/* Of b over a. */
static enum tri_status ratio_of(const json_t *a, const json_t *b, struct tri_ratio *r, struct tri_error *e)
{
    int as, bs;
    double *x = tri_numbers(a, "samples_ts", &as, e), *y = x ? tri_numbers(b, "samples_ts", &bs, e) : NULL;
    const enum tri_status status = y ? tri_ratio_of_medians(y, bs, x, as, r, e) : e->status;
    tri_free(x);
    tri_free(y);
    return status;
}

static json_t *pair_json(const json_t *a, const json_t *b, struct tri_error *e)
{
    struct tri_ratio r;
    if (ratio_of(a, b, &r, e) != TRI_OK)
        return NULL;
    json_t *pair = json_pack("{s:O, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:o, s:o}", "model_type",
                             json_object_get(a, "model_type"), "n_threads", tri_integer(a, "n_threads"), "n_prompt",
                             tri_integer(a, "n_prompt"), "n_gen", tri_integer(a, "n_gen"), "n_depth",
                             tri_integer(a, "n_depth"), "a_median_ts", r.b, "b_median_ts", r.a, "ratio", r.ratio, "low",
                             r.bounded ? json_real(r.low) : json_null(), "high",
                             r.bounded ? json_real(r.high) : json_null(), "differs", differences(a, b));
    if (!pair)
        tri_fail(e, TRI_NO_MEMORY, "no memory for the comparison");
    return pair;
}

/* -- which belong together -------------------------------------------------- */

struct pairing {
    json_t *pairs, *only[2];
};

/* The first of the rows left of b that is a's. */
static size_t find_mate(const json_t *row, const json_t *left, bool model_too)
{
    size_t i;
    json_t *mate;
    json_array_foreach((json_t *)left, i, mate)
        if (same_test(row, mate) && (!model_too || same_model(row, mate)))
            return i;
    return json_array_size(left);
}

/* Moves rows that have mates from `only` to `pairs`. */
static enum tri_status pair_left(struct pairing *p, bool model_too, struct tri_error *e)
{
    for (size_t i = 0; i < json_array_size(p->only[0]);) {
        const json_t *row = json_array_get(p->only[0], i);
        const size_t mate = find_mate(row, p->only[1], model_too);
        if (mate == json_array_size(p->only[1])) {
            i++;
            continue;
        }
        json_t *pair = pair_json(row, json_array_get(p->only[1], mate), e);
        if (!pair)
            return e->status;
        if (json_array_append_new(p->pairs, pair) || json_array_remove(p->only[0], i) ||
            json_array_remove(p->only[1], mate))
            return tri_fail(e, TRI_NO_MEMORY, "no memory for the comparison");
    }
    return TRI_OK;
}

json_t *tri_bench_pair_rows(const json_t *a, const json_t *b, json_t *only[2], struct tri_error *e)
{
    struct pairing p = {json_array(), {json_copy((json_t *)a), json_copy((json_t *)b)}};
    if (!p.pairs || !p.only[0] || !p.only[1])
        tri_fail(e, TRI_NO_MEMORY, "no memory for the comparison");
    const bool done = p.pairs && p.only[0] && p.only[1] && pair_left(&p, true, e) == TRI_OK &&
                      pair_left(&p, false, e) == TRI_OK;
    for (int i = 0; i < 2; i++) {
        only[i] = done && json_array_size(p.only[i]) ? p.only[i] : NULL;
        if (!only[i])
            json_decref(p.only[i]);
    }
    if (done)
        return p.pairs;
    json_decref(p.pairs);
    return NULL;
}

/* -- the table -------------------------------------------------------------- */

static void print_value(json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    tri_print_text(json_is_string(value) ? json_string_value(value) : text ? text : "");
    free(text);
}

static void print_differences(json_t *differs)
{
    const char *key, *comma = "";
    json_t *both;
    json_object_foreach(differs, key, both) {
        printf("%s%s ", comma, key);
        print_value(json_array_get(both, 0));
        printf(" -> ");
        print_value(json_array_get(both, 1));
        comma = ", ";
    }
}

static void print_pair(json_t *pair)
{
    char test[64], bounds[64] = "";
    const double low = tri_number(pair, "low"), high = tri_number(pair, "high");
    tri_bench_name_test(pair, test, sizeof test);
    if (low > 0)
        snprintf(bounds, sizeof bounds, "%.3f .. %.3f", low, high);
    printf("| ");
    tri_print_text(tri_string(pair, "model_type"));
    printf(" | %7d | %15s | %10.2f | %10.2f | %6.3f | %16s | ", (int)tri_integer(pair, "n_threads"), test,
           tri_number(pair, "a_median_ts"), tri_number(pair, "b_median_ts"), tri_number(pair, "ratio"), bounds);
    print_differences(json_object_get(pair, "differs"));
    puts(" |");
}

static void print_only(const char *name, const char *path, json_t *only)
{
    char test[64];
    size_t i;
    json_t *row;
    json_array_foreach(only, i, row) {
        tri_bench_name_test(row, test, sizeof test);
        printf("only in %s, ", name);
        tri_print_text(path);
        printf(": ");
        tri_print_text(tri_string(row, "model_type"));
        const int threads = (int)tri_integer(row, "n_threads");
        printf(", %d thread%s, %s\n", threads, threads == 1 ? "" : "s", test);
    }
}

static void print_table(const char *const path[2], json_t *pairs, json_t *only[2])
{
    static const char *const names[2] = {"A", "B"};
    size_t i;
    json_t *pair;
    for (int side = 0; side < 2; side++) {
        printf("%s: ", names[side]);
        tri_print_text(path[side]);
        puts("");
    }
    puts("\n| model | threads | test | A median t/s | B median t/s | B / A | 95 % | differs |");
    puts("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
    json_array_foreach(pairs, i, pair)
        print_pair(pair);
    puts("");
    for (int side = 0; side < 2; side++)
        print_only(names[side], path[side], only[side]);
}

static enum tri_status compare(const char *const path[2], const json_t *a, const json_t *b, bool as_json,
                               struct tri_error *e)
{
    json_t *only[2], *pairs = tri_bench_pair_rows(a, b, only, e);
    if (!pairs)
        return e->status;
    const bool none = json_array_size(pairs) == 0;
    if (as_json) {
        json_dumpf(pairs, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        puts("");
    } else {
        print_table(path, pairs, only);
    }
    json_decref(pairs);
    json_decref(only[0]);
    json_decref(only[1]);
    return none ? tri_fail(e, TRI_FAILED, "expected tests that are in both files, found none: tokens, depth and "
                           "threads must be the same")
                : TRI_OK;
}

enum tri_status tri_bench_compare(const char *a, const char *b, bool as_json, struct tri_error *e)
{
    json_t *x = tri_bench_read_rows(a, e), *y = x ? tri_bench_read_rows(b, e) : NULL;
    const enum tri_status status = y ? compare((const char *const[2]){a, b}, x, y, as_json, e) : e->status;
    json_decref(x);
    json_decref(y);
    return status;
}
