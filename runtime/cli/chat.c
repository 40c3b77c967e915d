/* `tritune chat`: a conversation at the terminal, or one message a line from a pipe. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "cli/conversation.h"
#include "cli/interrupt.h"
#include "cli/line.h"
#include "cli/load.h"
#include "cli/quote.h"
#include "cli/sampling.h"
#include "engine/generation.h"
#include "text/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct tri_load load;
    struct tri_sampling_options sampling;
    const char *system, *template, *template_file;
    int predict, draft;
    bool stats;
};

enum {
    FEED = 512, /* tokens between two looks at Ctrl-C */
    DRAFT = 7,
    LEAST_ANSWER = 4, /* parts of the context that are left for an answer: one in so many */
};

struct talk {
    const struct options *o;
    struct tri_session *session;
    struct tri_chat *chat;
    struct tri_sampler *sampler;
    struct tri_lines *lines;
    struct tri_conversation conversation;
    int reused, fed, decoded; /* tokens of the last turn */
    double fed_seconds, decode_seconds;
    bool stats, failed; /* failed: a message had no answer */
};

/* -- answers ----------------------------------------------------------- */

/* What holds of the conversation, with as many of the oldest messages forgotten as it takes to fit. */
static enum tri_status fit(struct talk *t, struct tri_ids *ids, struct tri_error *e)
{
    const int context = tri_session_context(t->session), most = context - context / LEAST_ANSWER;
    const size_t before = json_array_size(t->conversation.messages);
    for (;;) {
        ids->count = 0;
        if (tri_chat_tokens(t->chat, t->conversation.messages, true, ids, e) != TRI_OK)
            return e->status;
        if (ids->count <= (size_t)most || !tri_conversation_forget(&t->conversation))
            break;
    }
    const size_t forgotten = before - json_array_size(t->conversation.messages);
    if (forgotten)
        fprintf(stderr, "tritune: the context of %d tokens is full: the oldest %zu messages are forgotten (-c makes it "
                "greater)\n", context, forgotten);
    if (ids->count == 0)
        return tri_fail(e, TRI_USAGE,
                        "the template makes nothing of this conversation; name another one (--chat-template)");
    if (ids->count <= (size_t)context)
        return TRI_OK;
    return tri_fail(e, TRI_FAILED,
                    "the message takes %zu tokens, more than the context of %d; use a greater one (-c) or less "
                    "text",
                    ids->count, context);
}

/* Of the tokens that the session has already, none is computed again. */
static enum tri_status feed(struct talk *t, struct tri_generation *g, const struct tri_ids *ids, struct tri_error *e)
{
    const double start = tri_now();
    t->reused = tri_session_position(t->session);
    for (int at = t->reused, n, count = (int)ids->count; at < count; at += n) {
        n = count - at < FEED ? count - at : FEED;
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_generation_feed(g, ids->at + at, n, e) != TRI_OK)
            return e->status;
    }
    t->fed = (int)ids->count - t->reused;
    t->fed_seconds = tri_now() - start;
    return TRI_OK;
}

/* Prints an answer as it comes, whole UTF-8 sequences only, and keeps all of it. */
static enum tri_status stream(struct talk *t, struct tri_generation *g, struct tri_answer *a, struct tri_error *e)
{
    const struct tri_tokenizer *tokenizer = t->o->load.tokenizer;
    const double start = tri_now();
    t->decoded = 0;
    for (int32_t id; !tri_generation_over(g) && !ferror(stdout); t->decoded++) {
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_generation_next(g, &id, e) != TRI_OK)
            return e->status;
        t->decode_seconds = tri_now() - start;
        if (tri_ends_generation(tokenizer, id))
            return TRI_OK;
        if (tri_answer_add(a, tri_token_bytes(tokenizer, id, false), e) != TRI_OK)
            return e->status;
    }
    if (t->decoded != t->o->predict)
        fprintf(stderr, "\ntritune: the context of %d tokens is full, so the answer ends here (-c makes it greater)\n",
                tri_session_context(t->session));
    return TRI_OK;
}

static enum tri_status generate(struct talk *t, const struct tri_ids *ids, struct tri_answer *a, struct tri_error *e)
{
    const struct tri_generation_options options = {.draft = t->o->draft, .tokens = t->o->predict};
    tri_session_rewind(t->session, tri_session_common(t->session, ids->at, (int)ids->count));
    struct tri_generation *g = tri_generation_new(t->session, t->sampler, &options, e);
    if (!g)
        return e->status;
    enum tri_status status = feed(t, g, ids, e);
    if (status == TRI_OK)
        status = stream(t, g, a, e);
    tri_generation_free(g);
    return status;
}

static void print_stats(const struct talk *t)
{
    const int timed = t->decoded > 1 ? t->decoded - 1 : 0;
    fprintf(stderr, "prompt %d tokens, %d of them known already, %.1f tokens/s; answer %d tokens, %.1f tokens/s\n",
            t->reused + t->fed, t->reused, t->fed_seconds > 0 ? t->fed / t->fed_seconds : 0, t->decoded,
            t->decode_seconds > 0 ? timed / t->decode_seconds : 0);
}

/* What was said before Ctrl-C stays in the conversation. */
static enum tri_status answer(struct talk *t, struct tri_error *e)
{
    struct tri_answer a = {0};
    struct tri_ids ids = {0};
    enum tri_status status = fit(t, &ids, e);
    tri_catch_interrupt();
    if (status == TRI_OK)
        status = generate(t, &ids, &a, e);
    tri_release_interrupt();
    tri_answer_end(&a);
    const bool stopped = status == TRI_INTERRUPTED;
    if (status == TRI_OK || stopped)
        status = tri_conversation_add(&t->conversation, "assistant", a.at ? a.at : "", a.count, e);
    if (stopped)
        fputs("tritune: stopped; the conversation goes on\n", stderr);
    if (status == TRI_OK && t->stats)
        print_stats(t);
    tri_ids_free(&ids);
    free(a.at);
    return status;
}

/* A message that cannot be answered is taken back, so that the conversation stays as it was. */
static void say(struct talk *t, const char *text, size_t size)
{
    struct tri_error e = {0};
    if (tri_conversation_add(&t->conversation, "user", text, size, &e) == TRI_OK && answer(t, &e) == TRI_OK)
        return;
    tri_conversation_take_back(&t->conversation);
    tri_print_failure("chat", e.text);
    t->failed = true;
}

/* -- commands ---------------------------------------------------------- */

static enum tri_status help(struct talk *t, const char *argument, struct tri_error *e);

static enum tri_status reset(struct talk *t, const char *argument, struct tri_error *e)
{
    (void)argument;
    return tri_conversation_begin(&t->conversation, t->o->system, e);
}

static enum tri_status save(struct talk *t, const char *argument, struct tri_error *e)
{
    return tri_conversation_save(&t->conversation, argument, e);
}

static enum tri_status load(struct talk *t, const char *argument, struct tri_error *e)
{
    return tri_conversation_load(&t->conversation, argument, e);
}

static enum tri_status stats(struct talk *t, const char *argument, struct tri_error *e)
{
    (void)argument;
    (void)e;
    t->stats = !t->stats;
    print_stats(t);
    return TRI_OK;
}

static const struct {
    const char *name, *argument, *help; /* argument NULL: none */
    enum tri_status (*run)(struct talk *t, const char *argument, struct tri_error *e);
} commands[] = {
    {"/help", NULL, "this text", help},
    {"/reset", NULL, "forget the conversation and begin anew", reset},
    {"/save", "FILE", "write the conversation to a file, as JSON", save},
    {"/load", "FILE", "go on with the conversation in a file", load},
    {"/stats", NULL, "tokens per second of the last answer, and from here on of each; once more: no longer", stats},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static enum tri_status help(struct talk *t, const char *argument, struct tri_error *e)
{
    (void)t;
    (void)argument;
    (void)e;
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stderr, "  %-7s %-5s %s\n", commands[i].name, commands[i].argument ? commands[i].argument : "",
                commands[i].help);
    fputs("  A backslash at the end of a line goes on with the message on the next. Ctrl-C stops an answer;\n"
          "  at the prompt it leaves, as Ctrl-D does.\n", stderr);
    return TRI_OK;
}

static enum tri_status run_command(struct talk *t, const char *line, struct tri_error *e)
{
    const size_t size = strcspn(line, " \t");
    const char *argument = line + size + strspn(line + size, " \t");
    for (int i = 0; i < COMMANDS; i++) {
        if (strlen(commands[i].name) != size || memcmp(line, commands[i].name, size) != 0)
            continue;
        if (!*argument == !commands[i].argument)
            return commands[i].run(t, argument, e);
        return tri_fail(e, TRI_USAGE, "%s: expected %s behind it, found \"%.80s\"", commands[i].name,
                        commands[i].argument ? commands[i].argument : "nothing", argument);
    }
    return tri_fail(e, TRI_USAGE, "unknown command %.*s; /help lists those there are", (int)(size < 40 ? size : 40),
                    line);
}

static void obey(struct talk *t, const char *line)
{
    struct tri_error e = {0};
    if (run_command(t, line, &e) == TRI_OK)
        return;
    tri_print_failure("chat", e.text);
    t->failed = true;
}

/* -- the conversation -------------------------------------------------- */

/* A message of one line or, by backslashes at their ends, of several; *end: the input ended. */
static enum tri_status read_message(struct talk *t, struct tri_answer *m, bool *end, struct tri_error *e)
{
    const char *line, *prompt = "> ";
    m->count = 0;
    for (bool more = true; more; prompt = "... ") {
        if (tri_lines_read(t->lines, prompt, &line, e) != TRI_OK)
            return e->status;
        if ((*end = !line))
            return TRI_OK;
        const size_t size = strlen(line);
        more = size && line[size - 1] == '\\';
        if (tri_answer_keep(m, line, size - more, e) != TRI_OK || (more && tri_answer_keep(m, "\n", 1, e) != TRI_OK))
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status converse(struct talk *t, struct tri_error *e)
{
    struct tri_answer m = {0};
    bool end = false;
    while (!end && !ferror(stdout) && read_message(t, &m, &end, e) == TRI_OK) {
        if (m.count && m.at[0] == '/' && !memchr(m.at, '\n', m.count))
            obey(t, m.at);
        else if (m.count)
            say(t, m.at, m.count);
    }
    free(m.at);
    return e->status;
}

static enum tri_status open_template(const struct options *o, struct tri_chat **chat, struct tri_error *e)
{
    struct tri_map map = {0};
    char *text = NULL;
    if (o->template_file && tri_map_open(&map, o->template_file, e) != TRI_OK)
        return e->status;
    if (o->template_file && !(text = strndup((const char *)map.data, map.size)))
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu bytes", o->template_file, map.size);
    else
        *chat = tri_chat_new(o->load.gguf, o->load.tokenizer, text ? text : o->template,
                             text ? o->template_file : "--chat-template", e);
    free(text);
    if (o->template_file)
        tri_map_close(&map);
    if (*chat && tri_chat_notice(*chat))
        fprintf(stderr, "tritune: %s\n", tri_chat_notice(*chat));
    return *chat ? TRI_OK : e->status;
}

static enum tri_status open_talk(struct options *o, struct talk *t, struct tri_error *e)
{
    if (tri_load_open(&o->load, e) != TRI_OK || open_template(o, &t->chat, e) != TRI_OK)
        return e->status;
    t->session = o->load.session;
    if (!(t->sampler = tri_sampling_open(&o->sampling, &o->load, e)) ||
        !(t->lines = tri_lines_open("chat_history", e)))
        return e->status;
    if (tri_lines_typed(t->lines))
        fputs("tritune chat: /help tells what there is; Ctrl-D leaves\n", stderr);
    return tri_conversation_begin(&t->conversation, o->system, e);
}

static enum tri_status chat_with(struct options *o, struct tri_error *e)
{
    struct talk t = {.o = o, .stats = o->stats};
    e->status = TRI_OK;
    enum tri_status status = open_talk(o, &t, e);
    if (status == TRI_OK)
        status = converse(&t, e);
    if (status == TRI_OK && t.failed && !tri_lines_typed(t.lines))
        status = tri_fail(e, TRI_FAILED, "not every line could be answered; what went wrong is told above");
    tri_lines_close(t.lines);
    tri_conversation_free(&t.conversation);
    tri_sampler_free(t.sampler);
    tri_chat_free(t.chat);
    tri_load_close(&o->load);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.load = {.cache_k = "f16", .cache_v = "f16"},
                        .sampling = {.values = TRI_SAMPLING_DEFAULTS},
                        .predict = -1,
                        .draft = DRAFT};
    const struct tri_option options[] = {
        TRI_LOAD_OPTIONS(o.load),
        {"-sys", "--system-prompt", TRI_TEXT, "TEXT", "what the model is told before all else", &o.system, 0, 0},
        {NULL, "--chat-template", TRI_TEXT, "TEXT", "bitnet, llama3, falcon3, or Jinja (default: the file's)",
         &o.template, 0, 0},
        {NULL, "--chat-template-file", TRI_TEXT, "FILE", "the same from a file", &o.template_file, 0, 0},
        {NULL, "--stats", TRI_FLAG, NULL, "tokens per second behind each answer", &o.stats, 0, 0},
        {"-n", "--predict,--n-predict", TRI_INT, "N", "tokens of an answer at most (default: -1, until it ends)",
         &o.predict, -1, 1 << 24},
        {NULL, "--draft,--draft-max", TRI_INT, "N",
         "tokens guessed from the text for a pass at most, 7 or fewer; 0: none (default: 7)", &o.draft, 0, 1 << 24},
        TRI_SAMPLING_OPTIONS(o.sampling),
        {0},
    };
    bool helped = false;
    int operands = 0;
    if (tri_parse(&tri_command_chat, options, argc, argv, &operands, &helped, e) != TRI_OK)
        return e->status;
    if (helped)
        return TRI_OK;
    if (o.template && o.template_file)
        return tri_fail(e, TRI_USAGE, "expected one of --chat-template and --chat-template-file, found both");
    return tri_sampling_read(&o.sampling, e) == TRI_OK ? chat_with(&o, e) : e->status;
}

const struct tri_command tri_command_chat = {
    .name = "chat",
    .summary = "talks with you, remembering what was said",
    .usage = "[-m FILE] [-sys TEXT] [--chat-template NAME] [options]",
    .run = run,
};
