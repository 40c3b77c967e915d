/* Owns: what the measurements of `tritune bench` say, as a table, CSV and JSON. A row's JSON object is the one list of
 * its keys: CSV is made of it. */
#include "cli/bench.h"
#include "cli/quote.h"
#include "model/build.h"
#include "model/screen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- what follows from samples and shapes ------------------------------ */

static double mean_of(const struct tri_bench_row *r)
{
    double sum = 0;
    for (int i = 0; i < r->samples; i++)
        sum += r->speed[i];
    return sum / r->samples;
}

/* Of a sample: 0 for a single one. */
static double deviation_of(const struct tri_bench_row *r)
{
    double mean = mean_of(r), sum = 0;
    for (int i = 0; i < r->samples; i++)
        sum += (r->speed[i] - mean) * (r->speed[i] - mean);
    return r->samples > 1 ? sqrt(sum / (r->samples - 1)) : 0;
}

/* Whether a row was decoded token by token, so that what its tokens read was counted. */
static bool counted(const struct tri_bench_row *r)
{
    return r->ffn.tokens > 0;
}

/* Whether what bounds a row is known: the weights of a prompt, and those of a draft, are read once for many tokens. */
static bool bounded(const struct tri_bench *b, const struct tri_bench_row *r)
{
    return counted(r) && b->draft == 0;
}

/* Of the hidden values of all layers: those that relu(gate) makes zero, and the inputs of down that are. */
struct sparsity {
    double gate, down;
};

static struct sparsity sparsity_of(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_config *c = &b->load.weights->config;
    const double values = (double)r->ffn.tokens * c->layers * c->ffn;
    return (struct sparsity){(double)r->ffn.idle / values, (double)r->ffn.zeros / values};
}

static bool relu2(const struct tri_bench *b)
{
    return b->load.weights->config.family->activation == TRI_RELU2;
}

/* Bytes that decoding a token reads, what is skipped left out; norms and a row of the embedding, some KiB, are not
 * counted. */
struct traffic {
    uint64_t weights, head, kv;
};

/* Of attention; those of the feed forward depend on the token. */
static uint64_t attention_bytes(const struct tri_model *m)
{
    uint64_t sum = 0;
    for (int i = 0; i < m->config.layers; i++)
        sum += m->layer[i].matrix[TRI_ROLE_QKV].bytes + m->layer[i].matrix[TRI_ROLE_O].bytes;
    return sum;
}

/* Of the output matrix, or of its copy and the rows that are multiplied beside it. */
static uint64_t head_bytes(const struct tri_model *m, const struct tri_bench_row *r)
{
    if (r->candidates < 0)
        return m->head->bytes;
    return m->screen->bytes + (uint64_t)(r->candidates * (double)m->head->bytes / m->config.vocab);
}

/* The token at position p reads p + 1 positions: the mean over those fed. */
static struct traffic traffic_of(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_model *m = b->load.weights;
    const uint64_t twice = 2 * (uint64_t)r->depth + (uint64_t)r->gen + 1;
    return (struct traffic){attention_bytes(m) + r->ffn.bytes / r->ffn.tokens, head_bytes(m, r),
                            tri_session_position_bytes(b->load.session) * twice / 2};
}

static double share_of(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct traffic t = traffic_of(b, r);
    return (double)(t.weights + t.head + t.kv) * mean_of(r) / (r->gbps * 1e9);
}

/* In memory, as it runs, without second copies. */
static uint64_t bytes_of(const struct tri_model *m)
{
    return m->packed_bytes + m->embedding->bytes + (m->head == m->embedding ? 0 : m->head->bytes);
}

static uint64_t elements(const struct tri_tensor *t)
{
    return (uint64_t)t->ne[0] * (uint64_t)tri_tensor_rows(t);
}

static uint64_t parameters_of(const struct tri_model *m)
{
    const struct tri_config *c = &m->config;
    int norms = 0;
    uint64_t sum = elements(m->embedding) + (m->head == m->embedding ? 0 : elements(m->head)) + (uint64_t)c->hidden;
    for (int n = 0; n < TRI_NORMS; n++)
        norms += tri_norm_is_there(c, &tri_norm_shapes[n]) ? tri_width(c, tri_norm_shapes[n].width) : 0;
    for (int i = 0; i < c->layers; i++) {
        sum += (uint64_t)norms;
        for (int r = 0; r < TRI_ROLES; r++)
            for (int p = 0; p < m->layer[i].matrix[r].parts; p++)
                sum += (uint64_t)m->layer[i].matrix[r].part[p].rows * (uint64_t)m->layer[i].matrix[r].k;
    }
    return sum;
}

static void type_of(const struct tri_bench *b, char *out, size_t room)
{
    snprintf(out, room, "%s%s%s", b->load.weights->config.family->arch, b->size ? " synthetic " : "",
             b->size ? b->size : "");
}

/* -- a table ----------------------------------------------------------- */

static void print_row(const struct tri_bench *b, const struct tri_bench_row *r)
{
    char type[64], size[32], params[32], test[64], speed[64], share[16] = "", zeros[32] = "";
    const int n = snprintf(test, sizeof test, "%s%d", r->prompt ? "pp" : "tg", r->prompt ? r->prompt : r->gen);
    if (r->depth)
        snprintf(test + n, sizeof test - (size_t)n, " @ d%d", r->depth);
    type_of(b, type, sizeof type);
    snprintf(size, sizeof size, "%.2f MiB", (double)bytes_of(b->load.weights) / (1 << 20));
    snprintf(params, sizeof params, "%.2f M", (double)parameters_of(b->load.weights) / 1e6);
    snprintf(speed, sizeof speed, "%.2f ± %.2f", mean_of(r), deviation_of(r));
    if (bounded(b, r))
        snprintf(share, sizeof share, "%.3f", share_of(b, r));
    if (counted(r) && relu2(b))
        snprintf(zeros, sizeof zeros, "%.2f, %.2f", sparsity_of(b, r).gate, sparsity_of(b, r).down);
    printf("| %-27s | %11s | %10s | %-12s | %7d | %15s | %19s | %9.2f | %6s | %10s |\n", type, size, params,
           tri_dispatch_isa()->name, r->threads, test, speed, r->gbps, share, zeros);
}

enum tri_status tri_bench_markdown(const struct tri_bench *b, struct tri_error *e)
{
    (void)e;
    printf("| %-27s | %11s | %10s | %-12s | %7s | %15s | %18s | %9s | %6s | %10s |\n", "model", "size", "params",
           "backend", "threads", "test", "t/s", "read GB/s", "share", "ffn zeros");
    printf("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].samples)
            print_row(b, &b->row[i]);
    printf("\nloaded in %.0f ms, resident at most %.0f MiB\n", b->load_ms, b->peak_rss_mib);
    return TRI_OK;
}

/* -- JSON -------------------------------------------------------------- */

static json_t *samples_of(const struct tri_bench_row *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->samples; i++)
        json_array_append_new(list, json_real(r->speed[i]));
    return list;
}

static json_t *text_of(const char *text)
{
    return tri_json_text((struct tri_text){text, strlen(text)});
}

/* What was run and how fast it was. NULL: no memory; likewise below. */
static json_t *test_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_load *l = &b->load;
    const enum tri_phase phase = r->prompt ? TRI_PROMPT : TRI_DECODE;
    char type[64];
    type_of(b, type, sizeof type);
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:s, s:i, s:b, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:o}",
        "model_filename", text_of(b->size ? "" : l->model ? l->model : "embedded"), "model_type", type, "model_size",
        (json_int_t)bytes_of(l->weights), "model_n_params", (json_int_t)parameters_of(l->weights), "backends",
        tri_dispatch_isa()->name, "n_threads", r->threads, "cpu_strict", l->setting.team[phase].pinned, "type_k",
        l->cache_k, "type_v", l->cache_v, "ffn", l->ffn, "head", l->head ? l->head : "auto", "draft", b->draft,
        "n_prompt", r->prompt, "n_gen", r->gen, "n_depth", r->depth, "avg_ts", mean_of(r), "stddev_ts",
        deviation_of(r), "samples_ts", samples_of(r));
}

static json_t *bytes_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct traffic t = traffic_of(b, r);
    return json_pack("{s:I, s:I, s:I}", "weights", (json_int_t)t.weights, "head", (json_int_t)t.head, "kv",
                     (json_int_t)t.kv);
}

/* What bounds it: null where that is not known, and where nothing is zero by the activation. */
static json_t *bounds_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const bool known = bounded(b, r), zeros = counted(r) && relu2(b), screened = counted(r) && r->candidates >= 0;
    return json_pack("{s:o, s:f, s:o, s:o, s:o, s:o, s:f, s:f}", "bytes_per_token",
                     known ? bytes_json(b, r) : json_null(), "read_gbps", r->gbps, "share",
                     known ? json_real(share_of(b, r)) : json_null(), "ffn_sparsity",
                     zeros ? json_real(sparsity_of(b, r).gate) : json_null(), "down_sparsity",
                     zeros ? json_real(sparsity_of(b, r).down) : json_null(), "head_candidates",
                     screened ? json_real(r->candidates) : json_null(), "peak_rss_mib", b->peak_rss_mib, "load_ms",
                     b->load_ms);
}

static json_t *row_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    json_t *row = test_json(b, r), *bounds = bounds_json(b, r);
    const bool whole = row && bounds && json_object_update(row, bounds) == 0;
    json_decref(bounds);
    if (whole)
        return row;
    json_decref(row);
    return NULL;
}

/* Of all rows, NULL with TRI_NO_MEMORY. */
static json_t *rows_json(const struct tri_bench *b, struct tri_error *e)
{
    json_t *list = json_array();
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].samples && json_array_append_new(list, row_json(b, &b->row[i])) != 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    if (!list)
        tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
    return list;
}

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

/* -- CSV --------------------------------------------------------------- */

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
