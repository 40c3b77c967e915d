/* Owns: what the samples of a row of `tritune bench` say, and its JSON object, the one list of its keys. Leaves out how
 * rows are shown (bench_report.c). */
#include "cli/bench.h"
#include "base/statistics.h"
#include "base/memory.h"
#include "cli/quote.h"
#include "file/json.h"

#include <stdio.h>
#include <string.h>

/* -- what follows from samples and shapes ------------------------------ */

double tri_bench_row_mean(const struct tri_bench_row *r)
{
    return tri_mean(r->speed, r->samples);
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

struct tri_traffic tri_bench_traffic(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_decoding d = {.ffn = r->ffn.bytes / r->ffn.tokens, .candidates = r->candidates,
                                   .position = tri_session_position_bytes(b->load.session), .depth = r->depth,
                                   .tokens = r->gen};
    return tri_traffic_of(b->load.weights, &d);
}

double tri_bench_row_bytes(const struct tri_bench *b, const struct tri_bench_row *r)
{
    if (!bounded(b, r))
        return 0;
    const struct tri_traffic t = tri_bench_traffic(b, r);
    return (double)tri_traffic_sum(&t);
}

static double share_of(const struct tri_bench *b, const struct tri_bench_row *r)
{
    return tri_bench_row_bytes(b, r) * tri_bench_row_mean(r) / (r->gbps * 1e9);
}

void tri_bench_name_model(const struct tri_model *m, const char *size, char *out, size_t room)
{
    const struct tri_dense *dense = m->layer[0].matrix[0].dense;
    snprintf(out, room, "%s%s%s%s%s", m->config.family->arch, size ? " synthetic " : "", size ? size : "",
             dense ? " " : "", dense ? dense->layout.name : "");
}

/* -- its JSON ------------------------------------------------------------ */

/* What was run and how fast it was. NULL: no memory; likewise below. */
static json_t *test_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_load *l = &b->load;
    const enum tri_phase phase = r->prompt ? TRI_PROMPT : TRI_DECODE;
    char type[64];
    tri_bench_name_model(l->weights, b->size, type, sizeof type);
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:s, s:i, s:i, s:i, s:b, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:o}",
        "model_filename", tri_json_string(b->size ? "" : l->model ? l->model : "embedded"), "model_type", type,
        "model_size", (json_int_t)tri_model_bytes(l->weights), "model_n_params",
        (json_int_t)tri_model_parameters(l->weights),
        "backends", tri_dispatch_isa()->name, "n_batch", b->batch, "n_ubatch", l->ubatch ? l->ubatch : TRI_UBATCH,
        "n_threads", r->threads, "cpu_strict", l->setting.team[phase].pinned, "type_k", l->cache_k, "type_v",
        l->cache_v, "ffn", l->ffn, "head", l->head ? l->head : "auto", "draft", b->draft, "n_prompt", r->prompt,
        "n_gen", r->gen, "n_depth", r->depth, "avg_ts", tri_bench_row_mean(r), "stddev_ts", tri_deviation(r->speed, r->samples),
        "samples_ts", tri_json_numbers(r->speed, r->samples));
}

/* NULL: no memory; likewise below. */
static json_t *spread_json(const struct tri_bench_row *r)
{
    double *sorted = tri_alloc((size_t)r->samples, sizeof *sorted, "samples", &(struct tri_error){0});
    if (!sorted)
        return NULL;
    memcpy(sorted, r->speed, (size_t)r->samples * sizeof *sorted);
    const double median = tri_median(sorted, r->samples);
    json_t *spread = json_pack("{s:f, s:f, s:f}", "median_ts", median, "min_ts", sorted[0], "max_ts",
                               sorted[r->samples - 1]);
    tri_free(sorted);
    return spread;
}

static json_t *bytes_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_traffic t = tri_bench_traffic(b, r);
    return json_pack("{s:I, s:I, s:I}", "weights", (json_int_t)(t.attention + t.ffn), "head", (json_int_t)t.head, "kv",
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

/* Why all this may be believed, and what it took: null where there is no counter. */
static json_t *record_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    const struct tri_reads *reads = tri_record_reads(&b->record, r->threads);
    const double joules = tri_record_joules(b, r);
    char proof[128];
    tri_proof_text(&b->record.proof, proof, sizeof proof);
    return json_pack("{s:s, s:s, s:o}", "noise", tri_grade_of(tri_spread(reads->gbps, reads->count)), "proof", proof,
                     "j_per_token", joules < 0 ? json_null() : json_real(joules));
}

json_t *tri_bench_row_json(const struct tri_bench *b, const struct tri_bench_row *r)
{
    json_t *row = test_json(b, r), *more[] = {spread_json(r), bounds_json(b, r), record_json(b, r)};
    bool whole = row;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        whole = whole && more[i] && json_object_update(row, more[i]) == 0;
        json_decref(more[i]);
    }
    if (whole)
        return row;
    json_decref(row);
    return NULL;
}
