/* Owns: a receipt that is run again: its options, whether they ask for its rows, and how both runs compare. */
#include "base/memory.h"
#include "cli/compare.h"
#include "cli/receipt.h"
#include "file/json.h"

#include <stdio.h>
#include <string.h>

/* -- before the run ---------------------------------------------------------- */

/* Options that say what is measured and how: nothing else is taken from a file. */
static const char *const taken[] = {
    "--synth", "--hidden", "--layers", "--heads", "--kv-heads", "--head-dim", "--ffn-size", "--vocab", "--group",
    "--zeros", "--ffn-sparsity", "-s", "--seed", "--family", "--act", "--embedding", "--head-type", "--weights",
    "--three-of-four", "-p", "--n-prompt", "-n", "--n-gen", "-pg", "-d", "--n-depth", "-t", "--threads", "-b",
    "--batch-size", "-r", "--repetitions", "--delay", "--draft", "--draft-max", "--cpu-strict",
    "--cpu-strict-batch", "--huge-pages", "--core-weights", "-ub", "--ubatch-size", "-ctk", "--cache-type-k",
    "-ctv", "--cache-type-v", "--ffn", "--head", "--memory", "--bits", "--activation", "--isa", "--i2s-layout"};

static bool is_taken(const char *word)
{
    const size_t size = strcspn(word, "=");
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strlen(taken[i]) == size && strncmp(word, taken[i], size) == 0)
            return true;
    return false;
}

enum tri_status tri_receipt_options(const json_t *receipt, char *words[TRI_RECEIPT_WORDS], int *count,
                                    struct tri_error *e)
{
    const json_t *list = json_object_get(receipt, "options");
    const size_t n = json_array_size(list);
    if (n >= TRI_RECEIPT_WORDS)
        return tri_fail(e, TRI_BAD_FILE, "options of the receipt: expected fewer than %d words, found %zu",
                        TRI_RECEIPT_WORDS, n);
    for (size_t i = 0; i < n; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word || (word[0] == '-' && !is_taken(word)))
            return tri_fail(e, TRI_BAD_FILE, "options of the receipt: expected those that say what is measured, found "
                            "\"%.40s\"", word ? word : "no text");
        words[i] = (char *)word;
    }
    *count = (int)n;
    return TRI_OK;
}

bool tri_receipt_needs_file(const json_t *receipt)
{
    return strcmp(tri_string(json_object_get(receipt, "model"), "source"), "file") == 0;
}

static enum tri_status same_shape(const json_t *model, struct tri_config c, struct tri_error *e)
{
    for (int i = 0; i < TRI_RECEIPT_SIZES; i++) {
        const char *key = tri_receipt_sizes[i].key;
        const int own = *tri_receipt_size(&c, i);
        if (tri_integer(model, key) != own)
            return tri_fail(e, TRI_WRONG, "the receipt's model has %s %lld, the one it names %d", key,
                            (long long)tri_integer(model, key), own);
    }
    return TRI_OK;
}

enum tri_status tri_receipt_asks(const json_t *receipt, const struct tri_bench *b, struct tri_error *e)
{
    const json_t *rows = json_object_get(receipt, "rows");
    if (tri_integer(receipt, "repetitions") != b->repetitions || json_array_size(rows) != (size_t)b->rows)
        return tri_fail(e, TRI_WRONG, "the receipt has %zu rows of %lld repetitions, its options ask for %d of %d",
                        json_array_size(rows), (long long)tri_integer(receipt, "repetitions"), b->rows, b->repetitions);
    for (int i = 0; i < b->rows; i++) {
        const json_t *row = json_array_get(rows, (size_t)i);
        if (tri_integer(row, "n_prompt") != b->row[i].prompt || tri_integer(row, "n_gen") != b->row[i].gen ||
            tri_integer(row, "n_depth") != b->row[i].depth || tri_integer(row, "draft") != b->draft)
            return tri_fail(e, TRI_WRONG, "row %d of the receipt is of %lld tokens of a prompt and %lld decoded behind "
                            "%lld, its options ask for %d and %d behind %d", i + 1,
                            (long long)tri_integer(row, "n_prompt"),
                            (long long)tri_integer(row, "n_gen"), (long long)tri_integer(row, "n_depth"),
                            b->row[i].prompt,
                            b->row[i].gen, b->row[i].depth);
    }
    return b->load.synth ? same_shape(json_object_get(receipt, "model"), b->load.synth->config, e) : TRI_OK;
}

/* -- behind it --------------------------------------------------------------- */

static enum tri_status same_model(const json_t *receipt, const struct tri_bench *b, struct tri_error *e)
{
    const json_t *model = json_object_get(receipt, "model"), *claimed = json_object_get(model, "trits");
    const json_t *row = json_array_get(json_object_get(receipt, "rows"), 0);
    char trits[17];
    if (tri_receipt_trits(b, trits, e) != TRI_OK || same_shape(model, b->load.weights->config, e) != TRI_OK)
        return e->status;
    if (strcmp(trits, json_is_string(claimed) ? json_string_value(claimed) : "") != 0)
        return tri_fail(e, TRI_WRONG, "expected the model of trit hash %.32s, found one of %s; give the file that was "
                        "measured by -m", json_is_string(claimed) ? json_string_value(claimed) : "(none)",
                        *trits ? trits : "(none)");
    const json_int_t parameters = (json_int_t)tri_model_parameters(b->load.weights);
    if (parameters != tri_integer(row, "model_n_params"))
        return tri_fail(e, TRI_WRONG, "the receipt's model has %lld parameters, this one %lld",
                        (long long)tri_integer(row, "model_n_params"), (long long)parameters);
    return TRI_OK;
}

static enum tri_status compare_row(const json_t *then, const struct tri_bench_row *now, struct tri_error *e)
{
    int count;
    double *samples = tri_numbers(then, "samples_ts", &count, e);
    struct tri_ratio r;
    if (!samples)
        return e->status;
    const enum tri_status status = tri_ratio_of_medians(now->speed, now->samples, samples, count, &r, e);
    if (status == TRI_OK)
        printf("| %5d | %5d | %5d | %3lld, %3d | %10.2f | %10.2f | %.3f | %.3f .. %.3f | %-9s |\n", now->prompt,
               now->gen, now->depth, (long long)tri_integer(then, "n_threads"), now->threads,
               r.b, r.a, r.ratio, r.low, r.high,
               !r.bounded ? "unbounded" : tri_ratio_differs(&r) ? "differs" : "the same");
    tri_free(samples);
    return status;
}

enum tri_status tri_receipt_compare(const json_t *receipt, const struct tri_bench *b, struct tri_error *e)
{
    if (same_model(receipt, b, e) != TRI_OK)
        return e->status;
    printf("| prompt | gen | depth | threads then, now | t/s then | t/s now | ratio | 95 %% bounds | verdict |\n"
           "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for (int i = 0; i < b->rows; i++)
        if (compare_row(json_array_get(json_object_get(receipt, "rows"), (size_t)i), &b->row[i], e) != TRI_OK)
            return e->status;
    printf("\nconsistent: the same model, and bytes, speeds and reads of the receipt that agree with each other\n");
    tri_record_print(b, stdout);
    return TRI_OK;
}
