/* `tritune run`: continues a prompt, streaming the text as it comes. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/sampling.h"
#include "engine/generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    struct tri_load load;
    struct tri_sampling_options sampling;
    const char *prompt, *file;
    const char *cache; /* file of the prompt's keys and values */
    int predict, draft, keep;
    bool no_display, escape, no_escape, cache_all, cache_ro, shift, no_shift;
};

struct bytes {
    char *at;
    size_t count, room;
};

enum {
    FEED = 512, /* tokens between two looks at Ctrl-C */
    DRAFT = 7,
    TO_THE_END = -2, /* of the context, as -n */
};

/* -- prompt ------------------------------------------------------------ */

static enum tri_status add(struct bytes *b, const char *at, size_t count, struct tri_error *e)
{
    if (b->room - b->count < count) {
        size_t room = 2 * b->room + count;
        char *grown = realloc(b->at, room);
        if (!grown)
            return tri_fail(e, TRI_NO_MEMORY, "text: no memory for %zu bytes", room);
        b->at = grown;
        b->room = room;
    }
    if (count)
        memcpy(b->at + b->count, at, count);
    b->count += count;
    return TRI_OK;
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* What \x stands for at in[0..size), its length in *length; an unknown one stands for itself. */
static char unescape(const char *in, size_t size, size_t *length)
{
    static const char from[] = "nrt\"'\\", to[] = "\n\r\t\"'\\";
    *length = 2;
    if (in[1] == 'x' && size >= 4 && hex(in[2]) >= 0 && hex(in[3]) >= 0) {
        *length = 4;
        return (char)(16 * hex(in[2]) + hex(in[3]));
    }
    const char *found = in[1] ? strchr(from, in[1]) : NULL;
    if (found)
        return to[found - from];
    *length = 1;
    return in[0];
}

static void unescape_all(struct bytes *b)
{
    size_t out = 0, length;
    for (size_t in = 0; in < b->count; in += length) {
        bool escape = b->at[in] == '\\' && in + 1 < b->count;
        length = 1;
        b->at[out++] = escape ? unescape(b->at + in, b->count - in, &length) : b->at[in];
    }
    b->count = out;
}

/* A file's text loses one newline at its end: an editor put it there. */
static enum tri_status read_file(const char *path, struct bytes *text, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, path, e) != TRI_OK)
        return e->status;
    size_t size = map.size - (map.data[map.size - 1] == '\n');
    enum tri_status status = add(text, (const char *)map.data, size, e);
    tri_map_close(&map);
    return status;
}

static enum tri_status read_prompt(const struct options *o, struct bytes *text, struct tri_error *e)
{
    enum tri_status status =
        o->file ? read_file(o->file, text, e) : add(text, o->prompt, strlen(o->prompt), e);
    if (status == TRI_OK && !o->no_escape)
        unescape_all(text);
    return status;
}

static enum tri_status check_prompt(const struct options *o, const struct tri_ids *ids,
                                    struct tri_error *e)
{
    int context = tri_session_context(o->load.session);
    if (ids->count == 0)
        return tri_fail(e, TRI_USAGE,
                        "the prompt is empty, and this vocabulary puts nothing in front of it; "
                        "give some text (-p)");
    if (ids->count > (size_t)context)
        return tri_fail(e, TRI_FAILED,
                        "the prompt has %zu tokens, more than the context of %d; use a greater one "
                        "(-c) or less text",
                        ids->count, context);
    return TRI_OK;
}

/* -- prompt cache ------------------------------------------------------ */

/* What the prompt begins with is taken from the file; one that is not there yet will be. */
static enum tri_status load_cache(const struct options *o, const struct tri_ids *ids, struct tri_error *e)
{
    if (!o->cache || (access(o->cache, F_OK) != 0 && errno == ENOENT))
        return TRI_OK;
    return tri_session_load(o->load.session, o->cache, ids->at, (int)ids->count, e);
}

/* `found`: tokens that the file held. All but the last of the prompt is all that could be taken from it. */
static enum tri_status save_prompt(const struct options *o, int found, int prompt, struct tri_error *e)
{
    if (!o->cache || o->cache_ro || o->cache_all || found == prompt - 1)
        return TRI_OK;
    return tri_session_save(o->load.session, prompt, o->cache, e);
}

/* The text behind it, too, but not what was only drafted or was drawn last. Even when interrupted. */
static enum tri_status save_all(const struct options *o, int text, enum tri_status status, struct tri_error *e)
{
    const int held = tri_session_position(o->load.session);
    struct tri_error failed = {0};
    if (!o->cache_all || (status != TRI_OK && status != TRI_INTERRUPTED))
        return status;
    if (tri_session_save(o->load.session, held < text ? held : text, o->cache, &failed) == TRI_OK)
        return status;
    *e = failed;
    return failed.status;
}

/* -- streaming --------------------------------------------------------- */

/* Prints what is whole UTF-8 and keeps the rest for the next token; at the end everything. */
static void print(struct bytes *pending, bool end)
{
    size_t n = end ? pending->count : tri_utf8_whole(pending->at, pending->count);
    if (n) {
        fwrite(pending->at, 1, n, stdout);
        fflush(stdout);
        memmove(pending->at, pending->at + n, pending->count - n);
        pending->count -= n;
    }
}

struct story {
    const struct options *o;
    struct tri_sampler *sampler;
    struct tri_generation *generation;
    struct bytes pending;
    int32_t last; /* token of the text so far */
    int prompt, cached, decoded; /* tokens */
    bool ended; /* by itself */
    double prompt_seconds, decode_seconds;
};

static enum tri_status feed_prompt(struct story *s, const struct tri_ids *ids, struct tri_error *e)
{
    double start = tri_now();
    s->prompt = (int)ids->count;
    s->last = ids->at[ids->count - 1];
    for (int at = s->cached, n; at < s->prompt; at += n) {
        n = s->prompt - at < FEED ? s->prompt - at : FEED;
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_generation_feed(s->generation, ids->at + at, n, e) != TRI_OK)
            return e->status;
    }
    s->prompt_seconds = tri_now() - start;
    return save_prompt(s->o, s->cached, s->prompt, e);
}

static enum tri_status add_token(struct story *s, int32_t id, struct tri_error *e)
{
    struct tri_text t = tri_token_bytes_behind(s->o->load.tokenizer, s->last, id, false);
    s->last = id;
    s->decoded++;
    if (add(&s->pending, t.at, t.size, e) != TRI_OK)
        return e->status;
    print(&s->pending, false);
    return TRI_OK;
}

/* Until the end of generation, -n tokens, a full context, or Ctrl-C; not for nobody, when the output is gone. */
static enum tri_status continue_story(struct story *s, struct tri_error *e)
{
    double start = tri_now();
    enum tri_status status = TRI_OK;
    for (int32_t id; status == TRI_OK && !tri_generation_over(s->generation) && !ferror(stdout);) {
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        status = tri_generation_next(s->generation, &id, e);
        s->decode_seconds = tri_now() - start;
        s->ended = status == TRI_OK && tri_ends_generation(s->o->load.tokenizer, id);
        if (status != TRI_OK || s->ended)
            break;
        status = add_token(s, id, e);
    }
    return status;
}

/* A story that the context cut short is told of. */
static void tell_full(const struct story *s)
{
    if (!s->ended && tri_generation_over(s->generation) && s->decoded != s->o->predict && s->o->predict != TO_THE_END)
        fprintf(stderr,
                "tritune: the context of %d tokens is full, so the text ends here; -c makes it greater, "
                "--context-shift drops the oldest text\n",
                tri_session_context(s->o->load.session));
}

static double rate(int tokens, double time)
{
    return time > 0 ? tokens / time : 0;
}

/* The first token comes of the prompt's pass, so the time is that of one token less. */
static void report(const struct story *s)
{
    int timed = s->decoded > 1 ? s->decoded - 1 : 0;
    const struct tri_generation_counts counts = tri_generation_counts(s->generation);
    fprintf(stderr, "prompt %d tokens, ", s->prompt);
    if (s->o->cache)
        fprintf(stderr, "%d of them from %s, ", s->cached, s->o->cache);
    fprintf(stderr, "%.1f tokens/s; decoded %d tokens, %.1f tokens/s; ",
            rate(s->prompt - s->cached, s->prompt_seconds), s->decoded, rate(timed, s->decode_seconds));
    if (counts.dropped)
        fprintf(stderr, "context full, %d tokens dropped; ", counts.dropped);
    if (s->o->draft)
        fprintf(stderr, "drafted %d, accepted %d; ", counts.drafted, counts.accepted);
    fprintf(stderr, "seed %u\n", tri_sampler_seed(s->sampler));
}

static enum tri_status tell(struct story *s, const struct bytes *text, const struct tri_ids *ids,
                            struct tri_error *e)
{
    if (!s->o->no_display)
        fwrite(text->at, 1, text->count, stdout);
    fflush(stdout);
    enum tri_status status = feed_prompt(s, ids, e);
    if (status == TRI_OK)
        status = continue_story(s, e);
    print(&s->pending, true);
    putchar('\n');
    fflush(stdout);
    if (status == TRI_OK)
        tell_full(s);
    report(s);
    return save_all(s->o, s->prompt + s->decoded - tri_generation_counts(s->generation).dropped, status, e);
}

/* -- the command ------------------------------------------------------- */

/* Of a prompt, as llama.cpp counts: all, or so many and what begins every text. */
static int kept(const struct options *o, int prompt)
{
    return o->keep < 0 || o->keep > prompt ? prompt : o->keep + tri_adds_bos(o->load.tokenizer);
}

static enum tri_status open_generation(struct options *o, struct story *s, const struct tri_ids *ids,
                                       struct tri_error *e)
{
    const struct tri_generation_options options = {.draft = o->draft,
                                                   .tokens = o->predict,
                                                   .shift = o->shift && o->predict != TO_THE_END,
                                                   .keep = kept(o, (int)ids->count)};
    if (load_cache(o, ids, e) != TRI_OK)
        return e->status;
    s->cached = tri_session_position(o->load.session);
    s->sampler = tri_sampling_open(&o->sampling, &o->load, e);
    s->generation = s->sampler ? tri_generation_new(o->load.session, s->sampler, &options, e) : NULL;
    return s->generation ? TRI_OK : e->status;
}

static enum tri_status run_with(struct options *o, struct tri_error *e)
{
    struct bytes text = {0};
    struct tri_ids ids = {0};
    struct story s = {.o = o};
    const int flags = TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL;
    enum tri_status status = read_prompt(o, &text, e);
    if (status == TRI_OK)
        status = tri_load_open(&o->load, e);
    if (status == TRI_OK)
        status = tri_tokenize(o->load.tokenizer, text.at, text.count, flags, &ids, e);
    if (status == TRI_OK)
        status = check_prompt(o, &ids, e);
    if (status == TRI_OK)
        status = open_generation(o, &s, &ids, e);
    tri_catch_interrupt();
    if (status == TRI_OK)
        status = tell(&s, &text, &ids, e);
    tri_generation_free(s.generation);
    tri_sampler_free(s.sampler);
    tri_ids_free(&ids);
    tri_load_close(&o->load);
    free(s.pending.at);
    free(text.at);
    return status;
}

static enum tri_status check_options(const struct options *o, struct tri_error *e)
{
    const struct {
        bool both;
        const char *one, *other;
    } pairs[] = {{o->escape && o->no_escape, "--escape", "--no-escape"},
                 {o->shift && o->no_shift, "--context-shift", "--no-context-shift"},
                 {o->cache_all && o->cache_ro, "--prompt-cache-all", "--prompt-cache-ro"}};
    if (!o->prompt == !o->file)
        return tri_fail(e, TRI_USAGE, "expected one of -p TEXT and -f FILE, found %s", o->file ? "both" : "neither");
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i].both)
            return tri_fail(e, TRI_USAGE, "expected one of %s and %s, found both", pairs[i].one, pairs[i].other);
    if (!o->cache && (o->cache_all || o->cache_ro))
        return tri_fail(e, TRI_USAGE, "option %s: expected --prompt-cache FILE with it, found none",
                        o->cache_all ? "--prompt-cache-all" : "--prompt-cache-ro");
    if (o->keep && !o->shift)
        return tri_fail(e, TRI_USAGE, "option --keep: expected --context-shift with it, found none");
    return TRI_OK;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.load = {.cache_k = "f16", .cache_v = "f16"},
                        .sampling = {.values = TRI_SAMPLING_DEFAULTS},
                        .predict = -1,
                        .draft = DRAFT};
    const struct tri_option options[] = {
        TRI_LOAD_OPTIONS(o.load),
        {"-p", "--prompt", TRI_TEXT, "TEXT", "text to continue", &o.prompt, 0, 0},
        {"-f", "--file", TRI_TEXT, "FILE", "the same from a file", &o.file, 0, 0},
        {"-e", "--escape", TRI_FLAG, NULL, "process \\n, \\t, \\x41 ... in the prompt (default)",
         &o.escape, 0, 0},
        {NULL, "--no-escape", TRI_FLAG, NULL, "do not", &o.no_escape, 0, 0},
        {NULL, "--no-display-prompt", TRI_FLAG, NULL, "print only what follows the prompt",
         &o.no_display, 0, 0},
        {"-n", "--predict,--n-predict", TRI_INT, "N",
         "tokens at most (default: -1, until the story or the context ends)", &o.predict, -2,
         1 << 24},
        {NULL, "--prompt-cache", TRI_TEXT, "FILE", "take from it what the prompt begins with, save the prompt",
         &o.cache, 0, 0},
        {NULL, "--prompt-cache-all", TRI_FLAG, NULL, "save what follows the prompt, too", &o.cache_all, 0, 0},
        {NULL, "--prompt-cache-ro", TRI_FLAG, NULL, "save nothing", &o.cache_ro, 0, 0},
        {NULL, "--context-shift", TRI_FLAG, NULL, "when the context is full, drop the older half and go on", &o.shift,
         0, 0},
        {NULL, "--no-context-shift", TRI_FLAG, NULL, "end there, and say so (default)", &o.no_shift, 0, 0},
        {NULL, "--keep", TRI_INT, "N", "tokens of the prompt that no shift drops, -1: all (default: 0)", &o.keep, -1,
         1 << 24},
        {NULL, "--draft,--draft-max", TRI_INT, "N",
         "tokens guessed from the text for a pass at most, 7 or fewer; 0: none (default: 7)", &o.draft, 0, 1 << 24},
        TRI_SAMPLING_OPTIONS(o.sampling),
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status =
        tri_parse(&tri_command_run, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    return check_options(&o, e) == TRI_OK && tri_sampling_read(&o.sampling, e) == TRI_OK ? run_with(&o, e) : e->status;
}

const struct tri_command tri_command_run = {
    .name = "run",
    .summary = "continues a prompt",
    .usage = "[-m FILE] (-p TEXT | -f FILE) [-n N] [-s SEED] [options]",
    .run = run,
};
