/* Owns: the writing of receipts. Leaves out reading them (receipt_read.c), what must be true of them (receipt_check.c)
 * and running them again (receipt_compare.c). */
#include "cli/receipt.h"
#include "base/checksum.h"
#include "base/output.h"
#include "cli/interrupt.h"
#include "cli/quote.h"
#include "file/json.h"
#include "model/trits.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the parts ------------------------------------------------------------- */

/* Options that name files or say what is shown. */
static const char *const left_out[] = {"-m", "--model", "-hf", "--hf-repo", "-o", "--output", "--report", "--replicate",
                                       "--compare", "--like", "--published"};
static const char *const left_out_flags[] = {"--offline", "-v", "--verbose", "--progress"};

static bool among(const char *const *list, size_t count, const char *word, bool *joined)
{
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(list[i]);
        if (strncmp(word, list[i], n) != 0 || (word[n] && word[n] != '='))
            continue;
        *joined = word[n] == '=';
        return true;
    }
    return false;
}

static json_t *options_json(int argc, char **argv)
{
    json_t *list = json_array();
    bool joined;
    for (int i = 1; i < argc; i++)
        if (among(left_out, sizeof left_out / sizeof left_out[0], argv[i], &joined))
            i += !joined;
        else if (!among(left_out_flags, sizeof left_out_flags / sizeof left_out_flags[0], argv[i], &joined))
            json_array_append_new(list, tri_json_string(argv[i]));
    return list;
}

enum tri_status tri_receipt_trits(const struct tri_bench *b, char text[17], struct tri_error *e)
{
    const struct tri_load *l = &b->load;
    struct tri_trits_hash hash;
    text[0] = 0;
    if (!l->gguf)
        return TRI_OK;
    struct tri_trits *t = tri_trits_open(l->gguf, &l->weights->config, l->pool, e);
    const enum tri_status status = t ? tri_trits_hash(t, l->pool, tri_interrupted, &hash, e) : e->status;
    tri_trits_free(t);
    if (status == TRI_OK)
        snprintf(text, 17, "%016" PRIx64, hash.trits);
    return status;
}

#define SIZE(name) {#name, offsetof(struct tri_config, name)}
const struct tri_receipt_size tri_receipt_sizes[TRI_RECEIPT_SIZES] = {
    SIZE(layers), SIZE(hidden), SIZE(ffn), SIZE(heads), SIZE(kv_heads), SIZE(head_dim), SIZE(vocab)};

static json_t *layouts_json(const struct tri_model *m)
{
    json_t *list = json_array();
    for (int r = 0; r < TRI_ROLES; r++)
        json_array_append_new(list, json_string(m->layer[0].matrix[r].plan.layout->name));
    return list;
}

static json_t *model_json(const struct tri_bench *b, const char *trits)
{
    const struct tri_model *m = b->load.weights;
    const struct tri_matrix *first = &m->layer[0].matrix[0];
    struct tri_config c = m->config;
    json_t *model = json_pack("{s:s, s:o, s:s, s:i, s:b, s:o, s:i, s:i}", "source",
                              b->size ? "random" : b->load.model ? "file" : "embedded", "trits",
                              *trits ? json_string(trits) : json_null(), "family", c.family->arch, "group",
                              first->dense ? 0 : first->group, "row_scales", first->part[0].group == first->k,
                              "layouts", layouts_json(m), "embedding_type", (int)m->embedding->encoding->id,
                              "head_type", (int)m->head->encoding->id);
    for (int i = 0; i < TRI_RECEIPT_SIZES; i++)
        json_object_set_new(model, tri_receipt_sizes[i].key, json_integer(*tri_receipt_size(&c, i)));
    return model;
}

static json_t *proof_json(const struct tri_proof *p)
{
    char seed[17];
    snprintf(seed, sizeof seed, "%016" PRIx64, p->seed);
    return json_pack("{s:i, s:i, s:i, s:b, s:i, s:s, s:I, s:I, s:f}", "tokens", p->tokens, "batch", p->batch,
                     "kernel_tokens", p->kernel, "whole", p->whole, "rows", TRI_PROOF_ROWS, "seed", seed, "sums",
                     (json_int_t)p->sums, "logits", (json_int_t)p->logits, "seconds", p->seconds);
}

static json_t *reads_json(const struct tri_record *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->teams; i++)
        json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "threads", r->reads[i].threads, "at",
                                              tri_json_numbers(r->reads[i].at, r->reads[i].count), "gbps",
                                              tri_json_numbers(r->reads[i].gbps, r->reads[i].count)));
    return list;
}

/* The row as bench shows it, without a file's name, and when its samples were. */
static json_t *row_json(const struct tri_bench *b, const struct tri_bench_row *row)
{
    const struct tri_sample *s = b->record.sample + (row - b->row) * b->repetitions;
    json_t *object = tri_bench_row_json(b, row), *at = json_array(), *seconds = json_array(), *joules = json_array();
    for (int i = 0; i < row->samples; i++) {
        json_array_append_new(at, json_real(s[i].at));
        json_array_append_new(seconds, json_real(s[i].seconds));
        json_array_append_new(joules, s[i].joules < 0 ? json_null() : json_real(s[i].joules));
    }
    json_object_del(object, "model_filename");
    json_object_set_new(object, "at", at);
    json_object_set_new(object, "seconds", seconds);
    json_object_set_new(object, "joules", joules);
    return object;
}

static json_t *share_json(double share)
{
    return share < 0 ? json_null() : json_real(share);
}

static json_t *receipt_json(const struct tri_bench *b, int argc, char **argv, const char *trits)
{
    const struct tri_record *r = &b->record;
    json_t *rows = json_array();
    for (int i = 0; i < b->rows; i++)
        json_array_append_new(rows, row_json(b, &b->row[i]));
    return json_pack("{s:i, s:o, s:i, s:o, s:o, s:O, s:O, s:o, s:o, s:o, s:o, s:o}", "tritune_receipt",
                     TRI_RECEIPT_VERSION, "options", options_json(argc, argv), "repetitions", b->repetitions, "model",
                     model_json(b, trits), "machine", tri_machine_json(""), "before", r->before, "after", r->after,
                     "others", share_json(tri_others_share(&r->measured, &r->end)), "stolen",
                     share_json(tri_stolen_share(&r->measured, &r->end)), "proof", proof_json(&r->proof), "reads",
                     reads_json(r), "rows", rows);
}

/* -- the file -------------------------------------------------------------- */

bool tri_receipt_checksum(const json_t *receipt, char text[17])
{
    json_t *copy = json_copy((json_t *)receipt);
    json_object_del(copy, "checksum");
    char *all = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    json_decref(copy);
    if (all)
        snprintf(text, 17, "%016" PRIx64, tri_checksum(0, all, strlen(all)));
    free(all);
    return all;
}

static enum tri_status write_text(const char *text, const char *path, struct tri_error *e)
{
    struct tri_output_file *f = tri_output_open(path, e);
    const size_t size = strlen(text);
    const bool good = f && tri_output_reserve(f, size, e) == TRI_OK &&
                      tri_output_write(f, 0, text, size, e) == TRI_OK && tri_output_commit(f, e) == TRI_OK;
    tri_output_close(f);
    return good ? TRI_OK : e->status;
}

enum tri_status tri_receipt_write(const struct tri_bench *b, int argc, char **argv, const char *path,
                                  struct tri_error *e)
{
    char trits[17], checksum[17];
    if (tri_receipt_trits(b, trits, e) != TRI_OK)
        return e->status;
    json_t *receipt = receipt_json(b, argc, argv, trits);
    const bool whole = receipt && tri_receipt_checksum(receipt, checksum) &&
                       json_object_set_new(receipt, "checksum", json_string(checksum)) == 0;
    char *text = whole ? json_dumps(receipt, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    const enum tri_status status =
        text ? write_text(text, path, e) : tri_fail(e, TRI_NO_MEMORY, "no memory for the receipt");
    free(text);
    json_decref(receipt);
    return status;
}
