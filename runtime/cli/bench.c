/* `tritune bench`: tokens per second of prompts and of decoding, as llama-bench counts them, beside what reading the
 * memory they need would allow. Owns the options; leaves out which rows they ask for (bench_tests.c), running those
 * (bench_run.c) and how they are shown (bench_report.c). */
#include "cli/bench.h"
#include "cli/bench_compare.h"
#include "cli/bench_like.h"
#include "cli/bench_llama.h"
#include "cli/interrupt.h"
#include "cli/receipt.h"
#include "cli/shape.h"

#include <string.h>

enum { DEFAULT_REPETITIONS = 5, DEFAULT_BATCH = 2048 };

struct options {
    struct tri_bench bench;
    struct tri_bench_tests tests;
    struct tri_shape shape;
    struct tri_llama_bench llama;
    struct tri_bench_like like;
    const char *output, *compare, *report, *replicate;
    struct tri_synth synth;
    int argc; /* as typed, for a report */
    char **argv;
    const json_t *receipt; /* what is run again, or NULL */
};

static const struct output {
    const char *name;
    tri_bench_print_fn *print;
    tri_bench_row_fn *row; /* shows one as soon as it is done; NULL: all at the end */
} outputs[] = {{"md", tri_bench_markdown, NULL},
               {"csv", tri_bench_csv, NULL},
               {"json", tri_bench_json, NULL},
               {"jsonl", tri_bench_jsonl, tri_bench_json_line}};
enum { OUTPUTS = sizeof outputs / sizeof outputs[0] };

static const struct output *find_output(const char *name)
{
    for (int i = 0; i < OUTPUTS; i++)
        if (strcmp(name, outputs[i].name) == 0)
            return &outputs[i];
    return NULL;
}

/* Of what has no other forms. */
static enum tri_status choose_form(const struct options *o, const char *what, bool *as_json, struct tri_error *e)
{
    *as_json = strcmp(o->output, "json") == 0;
    if (*as_json || strcmp(o->output, "md") == 0)
        return TRI_OK;
    return tri_fail(e, TRI_USAGE, "option -o: expected md or json %s, found \"%s\"", what, o->output);
}

static enum tri_status run_like(struct options *o, struct tri_error *e)
{
    bool as_json;
    if (choose_form(o, "with --like", &as_json, e) != TRI_OK)
        return e->status;
    return tri_bench_run_like(&o->like, &o->bench, &o->tests, &o->shape, as_json, e);
}

/* What a run that is done leaves behind. */
static enum tri_status show(const struct options *o, struct tri_error *e)
{
    const struct tri_bench *b = &o->bench;
    if (o->report && tri_receipt_write(b, o->argc, o->argv, o->report, e) != TRI_OK)
        return e->status;
    return o->receipt ? tri_receipt_compare(o->receipt, b, e) : find_output(o->output)->print(b, e);
}

/* What is done is shown when interrupted, too. */
static enum tri_status run_with(struct options *o, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    const struct output *output = find_output(o->output);
    tri_catch_interrupt();
    if (o->like.name)
        return run_like(o, e);
    b->done = output->row;
    enum tri_status status = tri_bench_make_rows(b, &o->tests, e);
    if (status == TRI_OK && o->receipt)
        status = tri_receipt_asks(o->receipt, b, e);
    if (status == TRI_OK)
        status = tri_bench_measure(b, e);
    if (status == TRI_OK)
        status = show(o, e);
    else if (status == TRI_INTERRUPTED)
        output->print(b, &(struct tri_error){0});
    tri_bench_close(b);
    return status;
}

static enum tri_status check(struct options *o, struct tri_error *e)
{
    struct tri_bench *b = &o->bench;
    if (!find_output(o->output))
        return tri_fail(e, TRI_USAGE, "option -o: expected md, csv, json or jsonl, found \"%s\"", o->output);
    if (tri_llama_bench_check(&o->llama, e) != TRI_OK)
        return e->status;
    if (o->report && o->like.name)
        return tri_fail(e, TRI_USAGE, "option --report: expected no --like, which runs many models");
    if (o->like.published.count && !o->like.name)
        return tri_fail(e, TRI_USAGE, "option --published: expected --like, too, found it alone");
    return tri_shape_choose(&o->shape, &b->load, &o->synth, &b->size, e);
}

static enum tri_status compare(const struct options *o, const char *other, struct tri_error *e)
{
    if (!o->compare)
        return tri_fail(e, TRI_USAGE, "unexpected word \"%s\"; to compare two results: --compare A.json B.json", other);
    if (!other)
        return tri_fail(e, TRI_USAGE, "option --compare: expected two files, found one");
    bool as_json;
    if (choose_form(o, "of a comparison", &as_json, e) != TRI_OK)
        return e->status;
    return tri_bench_compare(o->compare, other, as_json, e);
}

#define LLAMA_OPTION(id, short_name, long_name, accepted, instead)                                              \
    {short_name, long_name, TRI_TEXTS, "VALUE", NULL, &o->llama.given[TRI_LLAMA_##id], 0, 0},

static void begin(struct options *o)
{
    *o = (struct options){.bench = {.load = {.cache_k = "f16", .cache_v = "f16", .ffn = "dense"},
                                    .repetitions = DEFAULT_REPETITIONS, .batch = DEFAULT_BATCH},
                          .shape = TRI_SHAPE_START, .output = "md"};
}

/* *operands: 0 or 1, a word that is no option, in argv[1]. */
static enum tri_status parse(int argc, char **argv, struct options *o, int *operands, bool *helped, struct tri_error *e)
{
    begin(o);
    const struct tri_option options[] = {
        TRI_MODEL_OPTION(o->bench.load),
        {NULL, "--synth", TRI_TEXT, "SIZE", "random weights of one of these shapes instead: " TRI_SYNTH_SIZES,
         &o->shape.size, 0, 0},
        TRI_SHAPE_OPTIONS(o->shape),
        TRI_WEIGHTS_OPTION(o->shape),
        {"-p", "--n-prompt", TRI_TEXTS, "N,...", "tokens of a prompt, fed in batches; 0: no such test; ranges as 1-4, "
         "128-512+128, 128-1024*2 (default: 512)", &o->tests.prompt, 0, 0},
        {"-n", "--n-gen", TRI_TEXTS, "N,...", "tokens fed one by one; 0: no such test (default: 128)", &o->tests.gen, 0,
         0},
        {"-pg", NULL, TRI_TEXTS, "PP,TG", "a prompt and tokens one by one behind it, timed as one; several times for "
         "several", &o->tests.pairs, 0, 0},
        {"-d", "--n-depth", TRI_TEXTS, "N,...", "tokens in the cache before (default: 0)", &o->tests.depth, 0, 0},
        {"-t", "--threads", TRI_TEXTS, "N", "threads, several as of -p (default: as tuned, else cores)",
         &o->tests.threads, 0, 0},
        {"-b", "--batch-size", TRI_INT, "N", "tokens of a prompt handed over at once (default: 2048)",
         &o->bench.batch, 1, 1 << 24},
        {"-r", "--repetitions", TRI_INT, "N", "of each test, which take turns, after a warm-up (default: 5)",
         &o->bench.repetitions, 1, 10000},
        {NULL, "--delay", TRI_FLOAT, "SECONDS", "rest before each repetition of each test (default: 0)",
         &o->bench.delay, 0, 3600},
        {"-o", "--output", TRI_TEXT, "FORMAT", "md, csv, json, or jsonl, a line as soon as a test is done, with "
         "llama-bench's keys (default: md)", &o->output, 0, 0},
        {NULL, "--like", TRI_TEXT, "PROGRAM", "what the tables of others have, and what they published beside it: "
         TRI_BENCH_LIKES, &o->like.name, 0, 0},
        {NULL, "--published", TRI_TEXTS, "FILE", "with --like: a table to show beside, as bench/schema/published.json "
         "says", &o->like.published, 0, 0},
        {NULL, "--compare", TRI_TEXT, "FILE", "run nothing: ratios of the tests of another FILE, named behind it, to "
         "those of this one, both of -o json or jsonl", &o->compare, 0, 0},
        {NULL, "--draft,--draft-max", TRI_INT, "N", "guess so many decoded tokens, which seldom repeat (default: 0)",
         &o->bench.draft, 0, 64},
        {NULL, "--report", TRI_TEXT, "FILE", "write a receipt: all samples and reads, machine, model and proof",
         &o->report, 0, 0},
        {NULL, "--replicate", TRI_TEXT, "FILE", "run a receipt again (-m, if its model's file has moved) and show the "
         "ratios; exit 6 if it contradicts itself", &o->replicate, 0, 0},
        TRI_RUN_OPTIONS(o->bench.load),
        TRI_LLAMA_BENCH(LLAMA_OPTION)
        {NULL, "--no-warmup", TRI_FLAG, NULL, NULL, &o->llama.no_warmup, 0, 0},
        {"-v", "--verbose,--progress", TRI_FLAG, NULL, NULL, &o->llama.ignored, 0, 0},
        {0},
    };
    return tri_parse(&tri_command_bench, options, argc, argv, operands, helped, e);
}

/* The receipt's options, and of the command's own only where the model is now. */
static enum tri_status run_again(const struct options *own, const json_t *receipt, struct tri_error *e)
{
    struct options o;
    char *words[TRI_RECEIPT_WORDS + 1] = {own->argv[0]};
    int count = 0, operands = 0;
    bool helped = false;
    if (tri_receipt_options(receipt, words + 1, &count, e) != TRI_OK)
        return e->status;
    if (parse(count + 1, words, &o, &operands, &helped, e) != TRI_OK) {
        e->status = TRI_BAD_FILE;
        return tri_fail_in(e, "options of the receipt");
    }
    o.bench.load.model = own->bench.load.model, o.bench.load.hub = own->bench.load.hub;
    o.bench.load.offline = own->bench.load.offline;
    o.receipt = receipt;
    if (tri_receipt_needs_file(receipt) && !o.bench.load.model && !o.bench.load.hub)
        return tri_fail(e, TRI_USAGE, "expected -m FILE, since the receipt is of a model's file");
    return check(&o, e) == TRI_OK ? run_with(&o, e) : e->status;
}

static enum tri_status replicate(const struct options *o, struct tri_error *e)
{
    json_t *receipt = tri_receipt_read(o->replicate, e);
    if (!receipt)
        return e->status;
    enum tri_status status = tri_receipt_check(receipt, e);
    if (status == TRI_OK)
        status = run_again(o, receipt, e);
    json_decref(receipt);
    return status == TRI_OK || status == TRI_INTERRUPTED ? status : tri_fail_in(e, "%s", o->replicate);
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o;
    bool helped = false;
    int operands = 1;
    const enum tri_status status = parse(argc, argv, &o, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    o.argc = argc, o.argv = argv;
    if (o.compare || operands)
        return compare(&o, operands ? argv[1] : NULL, e);
    if (o.replicate)
        return replicate(&o, e);
    return check(&o, e) == TRI_OK ? run_with(&o, e) : e->status;
}

const struct tri_command tri_command_bench = {
    .name = "bench",
    .summary = "tokens per second, and the share of the memory's speed that they use",
    .usage = "[-m FILE | --synth SIZE] [-p N,...] [-n N,...] [-d N,...] [-t N,...] [-r N] [-o md|csv|json|jsonl]",
    .run = run,
};
