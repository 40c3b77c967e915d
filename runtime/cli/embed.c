/* `tritune embed`: texts as vectors of length 1, one for each line of a file. */
#include "engine/embed.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/load.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct tri_load load;
    const char *prompt, *file, *pooling;
    bool json;
};

/* The ids of all texts, one behind the other; text i ends before end[i]. */
struct texts {
    struct tri_ids ids;
    size_t *end;
    int count, room, longest;
};

/* -- texts ------------------------------------------------------------- */

static enum tri_status add_text(const struct options *o, struct texts *t, const char *text, size_t size,
                                struct tri_error *e)
{
    const size_t before = t->ids.count;
    if (t->count == t->room) {
        const int room = t->room ? 2 * t->room : 64;
        size_t *end = realloc(t->end, (size_t)room * sizeof *end);
        if (!end)
            return tri_fail(e, TRI_NO_MEMORY, "no memory for %d texts", room);
        t->end = end, t->room = room;
    }
    if (tri_tokenize(o->load.tokenizer, text, size, TRI_ADD_SPECIAL, &t->ids, e) != TRI_OK)
        return e->status;
    const size_t tokens = t->ids.count - before;
    if (tokens < 1 || tokens > INT32_MAX)
        return tri_fail(e, TRI_USAGE, "text %d: expected 1 to %d tokens, found %zu", t->count + 1, INT32_MAX, tokens);
    t->longest = (int)tokens > t->longest ? (int)tokens : t->longest;
    t->end[t->count++] = t->ids.count;
    return TRI_OK;
}

static enum tri_status unreadable(const char *path, struct tri_error *e)
{
    return tri_fail(e, TRI_BAD_FILE, "%s: cannot be read: %s", path, strerror(errno));
}

/* Lines end with \n or \r\n, the last one perhaps with neither. */
static enum tri_status read_lines(const struct options *o, struct texts *t, struct tri_error *e)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    enum tri_status status = TRI_OK;
    FILE *f = fopen(o->file, "rb");
    if (!f)
        return unreadable(o->file, e);
    while (status == TRI_OK && (n = getline(&line, &room, f)) >= 0) {
        n -= n > 0 && line[n - 1] == '\n';
        n -= n > 0 && line[n - 1] == '\r';
        status = add_text(o, t, line, (size_t)n, e);
    }
    if (status == TRI_OK && (ferror(f) || t->count == 0))
        status = ferror(f) ? unreadable(o->file, e)
                           : tri_fail(e, TRI_USAGE, "%s: expected at least one line, found none", o->file);
    free(line);
    fclose(f);
    return status;
}

/* -- vectors ----------------------------------------------------------- */

static enum tri_status read_pooling(const struct options *o, enum tri_pooling *pooling, struct tri_error *e)
{
    *pooling = o->load.weights->config.pooling;
    if (!o->pooling)
        return TRI_OK;
    for (int i = 0; i < TRI_POOLINGS; i++)
        if (strcmp(o->pooling, tri_pooling_names[i]) == 0) {
            *pooling = (enum tri_pooling)i;
            return TRI_OK;
        }
    return tri_fail(e, TRI_USAGE, "option --pooling: expected mean, cls or last, found \"%s\"", o->pooling);
}

/* A session as long as the longest text. */
static enum tri_status open_session(struct options *o, int longest, struct tri_error *e)
{
    struct tri_load *l = &o->load;
    struct tri_session_options s = {.context = longest, .ubatch = l->ubatch};
    memcpy(s.team, l->setting.team, sizeof s.team);
    l->session = tri_session_new(l->weights, l->pool, &s, e);
    if (l->session && longest > l->weights->config.context)
        fprintf(stderr, "tritune: a text of %d tokens is more than the %d this model was made for\n", longest,
                l->weights->config.context);
    return l->session ? TRI_OK : e->status;
}

static void print_text(const float *x, int n)
{
    for (int i = 0; i < n; i++)
        printf("%s%.9g", i ? " " : "", (double)x[i]);
    putchar('\n');
}

/* As OpenAI's interface answers: an object of the list. Nine digits bring back every float. */
static enum tri_status print_json(int index, const float *x, int n, struct tri_error *e)
{
    json_t *values = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(values, json_real((double)x[i]));
    json_t *one = json_pack("{s:s, s:i, s:o}", "object", "embedding", "index", index, "embedding", values);
    const bool whole = one && json_array_size(values) == (size_t)n &&
                       json_dumpf(one, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
    json_decref(one);
    return whole || ferror(stdout) ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
}

static enum tri_status embed_all(struct options *o, const struct texts *t, enum tri_pooling pooling, float *x,
                                 struct tri_error *e)
{
    const int hidden = o->load.weights->config.hidden;
    size_t from = 0;
    for (int i = 0; i < t->count; from = t->end[i++]) {
        const int n = (int)(t->end[i] - from);
        if (tri_session_embed(o->load.session, t->ids.at + from, n, pooling, tri_interrupted, x, e) != TRI_OK)
            return tri_fail_in(e, "text %d", i + 1);
        if (o->json && i)
            putchar(',');
        if (!o->json)
            print_text(x, hidden);
        else if (print_json(i, x, hidden, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status write_all(struct options *o, const struct texts *t, struct tri_error *e)
{
    enum tri_pooling pooling;
    if (read_pooling(o, &pooling, e) != TRI_OK || open_session(o, t->longest, e) != TRI_OK)
        return e->status;
    float *x = tri_alloc((size_t)o->load.weights->config.hidden, sizeof *x, "embedding", e);
    if (!x)
        return e->status;
    if (o->json)
        printf("{\"object\":\"list\",\"data\":[");
    const enum tri_status status = embed_all(o, t, pooling, x, e);
    if (o->json)
        printf("]}\n");
    tri_free(x);
    return status;
}

/* -- the command ------------------------------------------------------- */

static enum tri_status run_with(struct options *o, struct tri_error *e)
{
    struct texts t = {0};
    tri_catch_interrupt();
    enum tri_status status = tri_load_weights(&o->load, e);
    if (status == TRI_OK)
        status = o->file ? read_lines(o, &t, e) : add_text(o, &t, o->prompt, strlen(o->prompt), e);
    if (status == TRI_OK)
        status = write_all(o, &t, e);
    free(t.end);
    tri_ids_free(&t.ids);
    tri_load_close(&o->load);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.load = {.head = "full"}};
    const struct tri_option options[] = {
        TRI_MODEL_OPTION(o.load),
        TRI_PRE_OPTION(o.load),
        {"-p", "--prompt", TRI_TEXT, "TEXT", "the text", &o.prompt, 0, 0},
        {"-f", "--file", TRI_TEXT, "FILE", "a file with a text in each line", &o.file, 0, 0},
        {NULL, "--pooling", TRI_TEXT, "TYPE", "tokens that count: mean, cls (the first) or last (default: the model's)",
         &o.pooling, 0, 0},
        {NULL, "--json", TRI_FLAG, NULL,
         "write {\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[...]},...]}",
         &o.json, 0, 0},
        {"-t", "--threads", TRI_INT, "N", "threads (default: as tuned, else cores)", &o.load.threads[TRI_DECODE], 1,
         512},
        {"-tb", "--threads-batch", TRI_INT, "N", "threads for several tokens at once (default: as -t, if given)",
         &o.load.threads[TRI_PROMPT], 1, 512},
        {"-ub", "--ubatch-size", TRI_INT, "N", "tokens per pass (default: 512)", &o.load.ubatch, 1, TRI_MAX_UBATCH},
        TRI_MEMORY_OPTIONS(o.load),
        {NULL, "--isa", TRI_TEXT, "NAME", "use no kernels beyond this ISA (also: TRI_ISA)", &o.load.isa, 0, 0},
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status = tri_parse(&tri_command_embed, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (!o.prompt == !o.file)
        return tri_fail(e, TRI_USAGE, "expected one of -p TEXT and -f FILE, found %s", o.file ? "both" : "neither");
    return run_with(&o, e);
}

const struct tri_command tri_command_embed = {
    .name = "embed",
    .summary = "texts as vectors of length 1",
    .usage = "[-m FILE] (-p TEXT | -f FILE) [--json] [options]",
    .run = run,
};
