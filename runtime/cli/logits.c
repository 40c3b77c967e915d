/* `tritune logits`: what a model says behind a prompt, number by number, for comparing engines. */
#include "cli/interrupt.h"
#include "cli/load.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct tri_load load;
    const char *prompt, *tokens;
    int greedy;
    bool json;
};

struct result {
    struct tri_ids ids;
    float *logits; /* [vocab] of the last position of the prompt */
    int32_t *greedy;
    int vocab, greedy_count;
};

/* -- ids --------------------------------------------------------------- */

/* "1,2,3"; their range is checked where they are fed. */
static enum tri_status read_tokens(const char *text, struct tri_ids *ids, struct tri_error *e)
{
    size_t room = strlen(text) / 2 + 1;
    if (!(ids->at = malloc(room * sizeof *ids->at)))
        return tri_fail(e, TRI_NO_MEMORY, "no memory for %zu tokens", room);
    ids->room = room;
    for (const char *at = text;; at++) {
        char *end;
        errno = 0;
        long long id = strtoll(at, &end, 10);
        if (end == at || errno || id < 0 || id > INT32_MAX || (*end && *end != ','))
            return tri_fail(e, TRI_USAGE,
                            "option --tokens: expected ids like 1,2,3, found \"%.40s\"", at);
        ids->at[ids->count++] = (int32_t)id;
        at = end;
        if (!*at)
            return TRI_OK;
    }
}

static enum tri_status read_ids(const struct options *o, struct tri_ids *ids, struct tri_error *e)
{
    const int flags = TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL;
    if (o->tokens)
        return read_tokens(o->tokens, ids, e);
    return tri_tokenize(o->load.tokenizer, o->prompt, strlen(o->prompt), flags, ids, e);
}

static enum tri_status check_ids(const struct options *o, const struct tri_ids *ids,
                                 struct tri_error *e)
{
    int context = tri_session_context(o->load.session);
    size_t behind = o->greedy > 1 ? (size_t)o->greedy - 1 : 0;
    if (ids->count == 0)
        return tri_fail(e, TRI_USAGE,
                        "the prompt is empty, and this vocabulary puts nothing in "
                        "front of it; give some text (-p)");
    if (ids->count + behind > (size_t)context)
        return tri_fail(e, TRI_FAILED,
                        "%zu tokens and %d greedy ones do not fit a context of %d; use a greater "
                        "one (-c)",
                        ids->count, o->greedy, context);
    return TRI_OK;
}

/* -- computing --------------------------------------------------------- */

static int32_t greatest(const float *logits, int vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static enum tri_status check_finite(const float *logits, int vocab, struct tri_error *e)
{
    for (int i = 0; i < vocab; i++)
        if (!isfinite(logits[i]))
            return tri_fail(e, TRI_FAILED,
                            "the logit of token %d is %g; the model's head must be damaged", i,
                            logits[i]);
    return TRI_OK;
}

static enum tri_status go_on(const struct options *o, struct result *r, const float *logits,
                             struct tri_error *e)
{
    for (;;) {
        int32_t id = r->greedy[r->greedy_count++] = greatest(logits, r->vocab);
        if (r->greedy_count == o->greedy)
            return TRI_OK;
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_session_feed(o->load.session, &id, 1, &logits, e) != TRI_OK)
            return e->status;
    }
}

enum { FEED = 512 }; /* tokens between two looks for Ctrl-C */

static enum tri_status feed_prompt(const struct options *o, const struct tri_ids *ids, const float **logits,
                                   struct tri_error *e)
{
    for (int at = 0, n, count = (int)ids->count; at < count; at += n) {
        n = count - at < FEED ? count - at : FEED;
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_session_feed(o->load.session, ids->at + at, n, logits, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status compute(const struct options *o, struct result *r, struct tri_error *e)
{
    const float *logits;
    r->vocab = o->load.weights->config.vocab;
    r->logits = malloc((size_t)r->vocab * sizeof *r->logits);
    r->greedy = malloc((size_t)(o->greedy + 1) * sizeof *r->greedy);
    if (!r->logits || !r->greedy)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for %d logits", r->vocab);
    if (feed_prompt(o, &r->ids, &logits, e) != TRI_OK || check_finite(logits, r->vocab, e) != TRI_OK)
        return e->status;
    memcpy(r->logits, logits, (size_t)r->vocab * sizeof *r->logits);
    return o->greedy ? go_on(o, r, logits, e) : TRI_OK;
}

/* -- printing ---------------------------------------------------------- */

static json_t *id_list(const int32_t *ids, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static enum tri_status print_json(const struct result *r, struct tri_error *e)
{
    json_t *logits = json_array();
    for (int i = 0; i < r->vocab; i++)
        json_array_append_new(logits, json_real((double)r->logits[i]));
    json_t *all = json_pack("{s:o, s:o, s:i, s:o}", "tokens", id_list(r->ids.at, r->ids.count),
                            "logits", logits, "argmax", (int)greatest(r->logits, r->vocab),
                            "greedy", id_list(r->greedy, (size_t)r->greedy_count));
    /* nine digits bring back every float */
    bool whole = all && json_array_size(logits) == (size_t)r->vocab &&
                 json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
    json_decref(all);
    putchar('\n');
    return whole || ferror(stdout) ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
}

static void print_ids(const char *what, const int32_t *ids, size_t count)
{
    printf("%s", what);
    for (size_t i = 0; i < count; i++)
        printf(" %d", ids[i]);
    putchar('\n');
}

static enum tri_status print_text(const struct result *r)
{
    print_ids("tokens", r->ids.at, r->ids.count);
    for (int i = 0; i < r->vocab; i++)
        printf("%d %.9g\n", i, (double)r->logits[i]);
    printf("argmax %d\n", greatest(r->logits, r->vocab));
    if (r->greedy_count)
        print_ids("greedy", r->greedy, (size_t)r->greedy_count);
    return TRI_OK;
}

/* -- the command ------------------------------------------------------- */

static enum tri_status run_with(struct options *o, struct tri_error *e)
{
    struct result r = {0};
    tri_catch_interrupt();
    enum tri_status status = tri_load_open(&o->load, e);
    if (status == TRI_OK)
        status = read_ids(o, &r.ids, e);
    if (status == TRI_OK)
        status = check_ids(o, &r.ids, e);
    if (status == TRI_OK)
        status = compute(o, &r, e);
    if (status == TRI_OK)
        status = o->json ? print_json(&r, e) : print_text(&r);
    free(r.greedy);
    free(r.logits);
    tri_ids_free(&r.ids);
    tri_load_close(&o->load);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.load = {.head = "full"}};
    const struct tri_option options[] = {
        TRI_LOAD_OPTIONS(o.load),
        {"-p", "--prompt", TRI_TEXT, "TEXT", "text in front of the position in question", &o.prompt,
         0, 0},
        {NULL, "--tokens", TRI_TEXT, "IDS", "the same as ids: 1,2,3", &o.tokens, 0, 0},
        {NULL, "--greedy", TRI_INT, "N", "also the next N likeliest tokens", &o.greedy, 0, 1 << 24},
        {NULL, "--json", TRI_FLAG, NULL,
         "write {\"tokens\":[...],\"logits\":[...],\"argmax\":N,\"greedy\":[...]}", &o.json, 0, 0},
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status =
        tri_parse(&tri_command_logits, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (!o.prompt == !o.tokens)
        return tri_fail(e, TRI_USAGE, "expected one of -p TEXT and --tokens IDS, found %s",
                        o.tokens ? "both" : "neither");
    return run_with(&o, e);
}

const struct tri_command tri_command_logits = {
    .name = "logits",
    .summary = "the logits behind a prompt",
    .usage = "[-m FILE] (-p TEXT | --tokens IDS) [--greedy N] [--json] [options]",
    .run = run,
};
