/* `tritune perplexity`: how well a model foresees a text, as llama-perplexity counts it (the second
 * half of each chunk of a context), or as the reference value of the embedded model was counted. Leaves out the other
 * measures (quality.h), which share its options. */
#include "base/math.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/quality.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEFAULT_CONTEXT = 512,
    LEAST_CONTEXT = 4,
    REFERENCE_BLOCK = 511, /* tokens behind each bos, all of them scored */
    FORMATS = 3,
    HELLASWAG_TASKS = 400,
    MOST_TASKS = 1 << 24,
};

static const struct tri_task_format *const formats[FORMATS] = {&tri_hellaswag, &tri_winogrande, &tri_multiple_choice};

struct options {
    struct tri_load load;
    const char *file, *logits;
    int chunks;
    bool reference, json, divergence;
    bool chosen[FORMATS]; /* of formats */
    int tasks[FORMATS];
};

/* Sums over the tokens scored so far. */
struct tally {
    const int32_t *expected; /* of the positions being scored */
    int vocab;
    long scored;
    double nll, squares;
    struct tri_logits_writer *writer; /* NULL: none */
    struct tri_error error;           /* of it */
};

static void tally_one(void *arg, int i, const float *logits)
{
    struct tally *t = arg;
    const double nll = tri_quality_nll(logits, t->vocab, t->expected[i]);
    if (t->writer && t->error.status == TRI_OK)
        tri_logits_add(t->writer, logits, &t->error);
    t->nll += nll;
    t->squares += nll * nll;
    t->scored++;
}

/* Feeds ids[0..count) from an empty context and scores what positions [from, count) foresee. */
static enum tri_status score(const struct options *o, struct tally *t, const int32_t *ids, int from,
                             int count, const int32_t *expected, struct tri_error *e)
{
    t->expected = expected;
    if (tri_quality_feed(o->load.session, ids, 0, from, count, tally_one, t, e) != TRI_OK)
        return e->status;
    if (t->error.status != TRI_OK)
        *e = t->error;
    return t->error.status;
}

static void show_progress(const struct tally *t, long done, long all)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%ld of %ld chunks, perplexity %.4f%s", done, all,
                tri_exp(t->nll / (double)t->scored), done == all ? "\n" : "");
}

/* -- the two ways of counting ------------------------------------------ */

static enum tri_status score_chunks(const struct options *o, struct tally *t,
                                    const struct tri_ids *ids, struct tri_error *e)
{
    int context = tri_session_context(o->load.session), first = context / 2;
    long chunks = (long)(ids->count / (size_t)context);
    if (chunks < 2)
        return tri_fail(e, TRI_FAILED,
                        "%s: expected at least %d tokens, twice the context, found %zu; use a "
                        "longer text or a smaller context (-c)",
                        o->file, 2 * context, ids->count);
    chunks = o->chunks > 0 && o->chunks < chunks ? o->chunks : chunks;
    const struct tri_logits_header header = {context, t->vocab, (int32_t)chunks};
    if (o->logits && !(t->writer = tri_logits_create(o->logits, &header, ids->at, e)))
        return e->status;
    for (long i = 0; i < chunks; i++) {
        int32_t *chunk = ids->at + i * context;
        if (tri_adds_bos(o->load.tokenizer))
            chunk[0] = tri_bos(o->load.tokenizer);
        if (score(o, t, chunk, first, context - 1, chunk + first + 1, e) != TRI_OK)
            return e->status;
        show_progress(t, i + 1, chunks);
    }
    return t->writer ? tri_logits_commit(t->writer, e) : TRI_OK;
}

static enum tri_status score_blocks(const struct options *o, struct tally *t,
                                    const struct tri_ids *ids, struct tri_error *e)
{
    int32_t fed[REFERENCE_BLOCK] = {tri_bos(o->load.tokenizer)};
    long blocks = (long)((ids->count + REFERENCE_BLOCK - 1) / REFERENCE_BLOCK);
    if (fed[0] < 0)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: --reference needs a vocabulary with a bos token",
                        tri_gguf_name(o->load.gguf));
    if (blocks == 0)
        return tri_fail(e, TRI_FAILED, "%s: expected at least one token, found none", o->file);
    for (long i = 0; i < blocks; i++) {
        size_t at = (size_t)i * REFERENCE_BLOCK, left = ids->count - at;
        int count = left < REFERENCE_BLOCK ? (int)left : REFERENCE_BLOCK;
        memcpy(fed + 1, ids->at + at, (size_t)(count - 1) * sizeof *fed);
        if (score(o, t, fed, 0, count, ids->at + at, e) != TRI_OK)
            return e->status;
        show_progress(t, i + 1, blocks);
    }
    return TRI_OK;
}

/* -- printing ---------------------------------------------------------- */

static enum tri_status print(const struct options *o, const struct tally *t, size_t tokens,
                             struct tri_error *e)
{
    double n = (double)t->scored, mean = t->nll / n, ppl = tri_exp(mean);
    double variance = n > 1 ? (t->squares / n - mean * mean) / (n - 1) : 0;
    if (!isfinite(ppl))
        return tri_fail(e, TRI_FAILED, "the mean loss is %g; the model must be damaged", mean);
    if (!o->json) {
        printf("Final estimate: PPL = %.4f +/- %.5f (loss %.6f over %ld of %zu tokens)\n", ppl,
               ppl * sqrt(variance > 0 ? variance : 0), mean, t->scored, tokens);
        return TRI_OK;
    }
    json_t *all = json_pack("{s:I, s:I, s:f, s:f}", "tokens", (json_int_t)tokens, "scored",
                            (json_int_t)t->scored, "nll", mean, "ppl", ppl);
    return tri_quality_json(all, e);
}

/* -- the command ------------------------------------------------------- */

/* The reference takes the text as it is; llama-perplexity drops a last newline and puts bos in
 * front. */
static enum tri_status read_ids(const struct options *o, struct tri_ids *ids, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, o->file, e) != TRI_OK)
        return e->status;
    size_t size = map.size - (!o->reference && map.data[map.size - 1] == '\n');
    enum tri_status status = tri_tokenize(o->load.tokenizer, (const char *)map.data, size,
                                          o->reference ? 0 : TRI_ADD_SPECIAL, ids, e);
    tri_map_close(&map);
    return status;
}

static enum tri_status measure_text(struct options *o, struct tri_error *e)
{
    struct tri_ids ids = {0};
    enum tri_status status = tri_load_open(&o->load, e);
    struct tally t = {.vocab = status == TRI_OK ? o->load.weights->config.vocab : 0};
    if (status == TRI_OK)
        status = read_ids(o, &ids, e);
    if (status == TRI_OK)
        status = (o->reference ? score_blocks : score_chunks)(o, &t, &ids, e);
    if (status == TRI_OK)
        status = print(o, &t, ids.count, e);
    tri_logits_close(t.writer);
    tri_ids_free(&ids);
    return status;
}

static enum tri_status measure_tasks(struct options *o, int format, struct tri_error *e)
{
    if (tri_load_open(&o->load, e) != TRI_OK)
        return e->status;
    return tri_quality_tasks(&o->load, formats[format], o->file, o->tasks[format], o->json, e);
}

static enum tri_status run_with(struct options *o, struct tri_error *e)
{
    int format = 0;
    enum tri_status status;
    tri_catch_interrupt();
    while (format < FORMATS && !o->chosen[format])
        format++;
    if (format < FORMATS)
        status = measure_tasks(o, format, e);
    else
        status = o->divergence ? tri_quality_divergence(&o->load, o->logits, o->json, e) : measure_text(o, e);
    tri_load_close(&o->load);
    return status;
}

static enum tri_status check(const struct options *o, struct tri_error *e)
{
    int measures = o->divergence + o->reference;
    for (int i = 0; i < FORMATS; i++)
        measures += o->chosen[i];
    if (measures > 1)
        return tri_fail(e, TRI_USAGE, "expected one of --hellaswag, --winogrande, --multiple-choice, --kl-divergence "
                        "and --reference, found %d", measures);
    if (o->divergence && !o->logits)
        return tri_fail(e, TRI_USAGE, "option --kl-divergence: expected --kl-divergence-base FILE with it, found none");
    if (!o->divergence && o->logits && measures)
        return tri_fail(e, TRI_USAGE, "option --save-all-logits: expected a text without another measure, found one");
    if (!o->divergence && !o->file)
        return tri_fail(e, TRI_USAGE, "expected -f FILE, found nothing to score");
    if (o->load.context && o->load.context < LEAST_CONTEXT)
        return tri_fail(e, TRI_USAGE, "option -c: expected at least %d, found %d", LEAST_CONTEXT, o->load.context);
    return TRI_OK;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {
        .load = {.context = DEFAULT_CONTEXT, .head = "full"}, .chunks = -1, .tasks = {HELLASWAG_TASKS}};
    const struct tri_option options[] = {
        TRI_LOAD_OPTIONS(o.load),
        {"-f", "--file", TRI_TEXT, "FILE", "the text, or the tasks", &o.file, 0, 0},
        {NULL, "--chunks", TRI_INT, "N", "chunks of the text at most, -1 or 0: all (default: -1)", &o.chunks, -1,
         MOST_TASKS},
        {NULL, "--save-all-logits,--kl-divergence-base", TRI_TEXT, "FILE",
         "write the probabilities of all tokens there; with --kl-divergence read them", &o.logits, 0, 0},
        {NULL, "--kl-divergence", TRI_FLAG, NULL, "how far probabilities are from those of that file", &o.divergence, 0,
         0},
        {NULL, "--hellaswag", TRI_FLAG, NULL, "tasks of six lines: context, number of the right ending, four endings",
         &o.chosen[0], 0, 0},
        {NULL, "--hellaswag-tasks", TRI_INT, "N", "of them, at random; 0: all (default: 400)", &o.tasks[0], 0,
         MOST_TASKS},
        {NULL, "--winogrande", TRI_FLAG, NULL, "tasks as CSV: index, sentence with _, two answers, 1 or 2",
         &o.chosen[1], 0, 0},
        {NULL, "--winogrande-tasks", TRI_INT, "N", "of them, at random; 0: all (default: 0)", &o.tasks[1], 0,
         MOST_TASKS},
        {NULL, "--multiple-choice", TRI_FLAG, NULL, "tasks in llama-perplexity's binary form", &o.chosen[2], 0, 0},
        {NULL, "--multiple-choice-tasks", TRI_INT, "N", "of them, at random; 0: all (default: 0)", &o.tasks[2], 0,
         MOST_TASKS},
        {NULL, "--reference", TRI_FLAG, NULL,
         "score every token, in blocks of 511 each behind a bos, as the model's reference value",
         &o.reference, 0, 0},
        {NULL, "--json", TRI_FLAG, NULL,
         "write one object: of a text {\"tokens\":N,\"scored\":N,\"nll\":MEAN,\"ppl\":X}", &o.json, 0, 0},
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status =
        tri_parse(&tri_command_perplexity, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (o.reference)
        o.load.context = REFERENCE_BLOCK;
    return check(&o, e) == TRI_OK ? run_with(&o, e) : e->status;
}

const struct tri_command tri_command_perplexity = {
    .name = "perplexity",
    .summary = "how well a model foresees a text, or answers",
    .usage = "[-m FILE] -f FILE [-c N] [--hellaswag | --winogrande | --multiple-choice | --kl-divergence | --reference] "
             "[--json] [options]",
    .run = run,
};
