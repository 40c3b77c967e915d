/* `tritune tokenize`: text to ids and back. With the same options one undoes the other, byte for
 * byte. */
#include "cli/load.h"
#include "cli/quote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct tri_load load;
    const char *prompt, *file;
    bool no_bos, no_parse_special, json, decode;
};

struct bytes {
    char *at;
    size_t count, room;
};

/* -- bytes in and out ------------------------------------------------------ */

static enum tri_status add(struct bytes *b, const char *at, size_t count, struct tri_error *e)
{
    size_t least, room = b->room ? b->room : 4096;
    if (__builtin_add_overflow(b->count, count, &least) || least > SIZE_MAX / 4)
        return tri_fail(e, TRI_NO_MEMORY, "text: longer than an address space holds");
    while (room < least)
        room *= 2;
    char *grown = room == b->room ? b->at : realloc(b->at, room);
    if (!grown)
        return tri_fail(e, TRI_NO_MEMORY, "text: no memory for %zu bytes", room);
    b->at = grown;
    b->room = room;
    memcpy(b->at + b->count, at, count);
    b->count += count;
    return TRI_OK;
}

static enum tri_status unreadable(const char *path, struct tri_error *e)
{
    return tri_fail(e, TRI_BAD_FILE, "%s: cannot be read: %s", path, strerror(errno));
}

/* Pipes, too, and as they are: no newline is added or dropped. */
static enum tri_status read_file(struct bytes *b, const char *path, struct tri_error *e)
{
    char part[1 << 16];
    size_t n;
    enum tri_status status = TRI_OK;
    FILE *f = fopen(path, "rb");
    if (!f)
        return unreadable(path, e);
    while (status == TRI_OK && (n = fread(part, 1, sizeof part, f)) > 0)
        status = add(b, part, n, e);
    if (status == TRI_OK && ferror(f))
        status = unreadable(path, e);
    fclose(f);
    return status;
}

/* -- text to ids ----------------------------------------------------------- */

static void write_lines(const struct tri_tokenizer *t, const struct tri_ids *ids)
{
    for (size_t i = 0; i < ids->count; i++) {
        printf("%6d ", ids->at[i]);
        tri_print_quoted(tri_token_bytes(t, ids->at[i], true), SIZE_MAX);
        putchar('\n');
    }
}

/* A list of millions is not made in memory first. */
static void write_list(const struct tri_ids *ids)
{
    char text[12];
    fputs("{\"tokens\":[", stdout);
    for (size_t i = 0; i < ids->count; i++) {
        char *at = text + sizeof text;
        for (uint32_t id = (uint32_t)ids->at[i]; id || at == text + sizeof text; id /= 10)
            *--at = (char)('0' + id % 10);
        if (i)
            *--at = ',';
        fwrite(at, 1, (size_t)(text + sizeof text - at), stdout);
    }
    fputs("]}\n", stdout);
}

static int flags_of(const struct options *o)
{
    return (o->no_bos ? 0 : TRI_ADD_SPECIAL) | (o->no_parse_special ? 0 : TRI_PARSE_SPECIAL);
}

static enum tri_status encode(const struct options *o, const struct bytes *text,
                              struct tri_error *e)
{
    const struct tri_tokenizer *t = o->load.tokenizer;
    struct tri_ids ids = {0};
    enum tri_status status = tri_tokenize(t, text->at, text->count, flags_of(o), &ids, e);
    if (status == TRI_OK && o->json)
        write_list(&ids);
    else if (status == TRI_OK)
        write_lines(t, &ids);
    tri_ids_free(&ids);
    return status;
}

/* -- ids as written -------------------------------------------------------- */

struct list {
    const struct tri_tokenizer *tokenizer;
    int32_t *id; /* room for all that the text can hold */
    size_t count;
};

static enum tri_status add_id(struct list *l, long long id, struct tri_error *e)
{
    int32_t size = tri_vocabulary_size(l->tokenizer);
    if (id < 0 || id >= size)
        return tri_fail(e, TRI_USAGE,
                        "id %zu of the list: %lld is no token; the vocabulary has 0 to %d",
                        l->count, id, size - 1);
    l->id[l->count++] = (int32_t)id;
    return TRI_OK;
}

static enum tri_status bad_list(size_t at, struct tri_error *e)
{
    return tri_fail(
        e, TRI_USAGE,
        "byte %zu of the ids: expected numbers separated by spaces, commas or newlines, or JSON: "
        "[1,2] or {\"tokens\":[1,2]}",
        at);
}

static bool separates(char c)
{
    return c == ' ' || c == ',' || c == '\n' || c == '\r' || c == '\t';
}

static enum tri_status read_words(struct list *l, const struct bytes *text, struct tri_error *e)
{
    for (size_t i = 0; i < text->count;) {
        long long id = 0;
        size_t from = i;
        for (; i < text->count && text->at[i] >= '0' && text->at[i] <= '9'; i++)
            id = id <= INT32_MAX ? 10 * id + (text->at[i] - '0') : id;
        if (i < text->count && !separates(text->at[i]))
            return bad_list(i, e);
        if (i > from && add_id(l, id, e) != TRI_OK)
            return e->status;
        i++;
    }
    return TRI_OK;
}

static enum tri_status read_array(struct list *l, const json_t *value, struct tri_error *e)
{
    const json_t *tokens = json_is_object(value) ? json_object_get(value, "tokens") : value;
    if (!json_is_array(tokens))
        return tri_fail(e, TRI_USAGE, "the ids: expected {\"tokens\":[1,2]}, found no such list");
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *id = json_array_get(tokens, i);
        if (!json_is_integer(id))
            return tri_fail(e, TRI_USAGE, "id %zu of the list: expected an integer", i);
        if (add_id(l, json_integer_value(id), e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status read_json(struct list *l, const struct bytes *text, struct tri_error *e)
{
    json_error_t error;
    json_t *value = json_loadb(text->at, text->count, 0, &error);
    if (!value)
        return tri_fail(e, TRI_USAGE, "the ids, line %d, column %d: broken JSON: %s", error.line,
                        error.column, error.text);
    enum tri_status status = read_array(l, value, e);
    json_decref(value);
    return status;
}

static bool looks_like_json(const struct bytes *text)
{
    size_t i = 0;
    while (i < text->count && separates(text->at[i]))
        i++;
    return i < text->count && (text->at[i] == '[' || text->at[i] == '{');
}

/* -- ids to text ----------------------------------------------------------- */

/* Cuts off what encoding put around the text: bos and eos where the vocabulary asks for them. */
static enum tri_status unframe(struct list *l, struct tri_error *e)
{
    struct tri_ids frame = {0};
    enum tri_status status = tri_tokenize(l->tokenizer, "", 0, TRI_ADD_SPECIAL, &frame, e);
    size_t before = status == TRI_OK && tri_adds_bos(l->tokenizer), after = frame.count - before;
    if (before && l->count && l->id[0] == frame.at[0])
        memmove(l->id, l->id + 1, --l->count * sizeof *l->id);
    if (after && l->count && l->id[l->count - 1] == frame.at[before])
        l->count--;
    tri_ids_free(&frame);
    return status;
}

static enum tri_status read_list(const struct options *o, const struct bytes *text, struct list *l,
                                 struct tri_error *e)
{
    if (!(l->id = malloc((text->count / 2 + 1) * sizeof *l->id)))
        return tri_fail(e, TRI_NO_MEMORY, "no memory for the ids of %zu bytes", text->count);
    enum tri_status status = looks_like_json(text) ? read_json(l, text, e) : read_words(l, text, e);
    return status == TRI_OK && !o->no_bos ? unframe(l, e) : status;
}

/* In JSON, which has no way to write them, bytes that are not UTF-8 become U+FFFD. That all was written is main's to
 * check. */
static enum tri_status write_text(const struct options *o, const struct bytes *text,
                                  struct tri_error *e)
{
    if (!o->json) {
        fwrite(text->at, 1, text->count, stdout);
        return TRI_OK;
    }
    json_t *object = json_pack("{s:o}", "text", tri_json_text((struct tri_text){text->at, text->count}));
    bool whole = object && json_dumpf(object, stdout, JSON_COMPACT) == 0;
    json_decref(object);
    putchar('\n');
    return whole || ferror(stdout) ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
}

static enum tri_status decode(const struct options *o, const struct bytes *text,
                              struct tri_error *e)
{
    struct list l = {.tokenizer = o->load.tokenizer};
    struct bytes out = {0};
    enum tri_status status = read_list(o, text, &l, e);
    if (status == TRI_OK)
        status = add(&out, "", 0, e);
    for (size_t i = 0; i < l.count && status == TRI_OK; i++) {
        const int32_t before = i ? l.id[i - 1] : -1;
        struct tri_text t = tri_token_bytes_behind(l.tokenizer, before, l.id[i], !o->no_parse_special);
        status = add(&out, t.at, t.size, e);
    }
    if (status == TRI_OK)
        status = write_text(o, &out, e);
    free(out.at);
    free(l.id);
    return status;
}

/* -- the command ----------------------------------------------------------- */

static enum tri_status tokenize(struct options *o, struct tri_error *e)
{
    struct bytes text = {0};
    enum tri_status status =
        o->file ? read_file(&text, o->file, e) : add(&text, o->prompt, strlen(o->prompt), e);
    if (status == TRI_OK)
        status = tri_load_text(&o->load, e);
    if (status == TRI_OK)
        status = o->decode ? decode(o, &text, e) : encode(o, &text, e);
    tri_load_close(&o->load);
    free(text.at);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {0};
    const struct tri_option options[] = {
        TRI_MODEL_OPTION(o.load),
        TRI_PRE_OPTION(o.load),
        {"-p", "--prompt", TRI_TEXT, "TEXT", "text to tokenize", &o.prompt, 0, 0},
        {"-f", "--file", TRI_TEXT, "FILE", "the same from a file, its bytes as they are", &o.file,
         0, 0},
        {NULL, "--no-bos", TRI_FLAG, NULL, "add no bos or eos (decoding: drop none)", &o.no_bos, 0,
         0},
        {NULL, "--no-parse-special", TRI_FLAG, NULL,
         "control tokens in the text are plain text (decoding: write none)", &o.no_parse_special, 0,
         0},
        {NULL, "--decode", TRI_FLAG, NULL, "the text holds ids; write the bytes they stand for",
         &o.decode, 0, 0},
        {NULL, "--json", TRI_FLAG, NULL,
         "write {\"tokens\":[...]}, or {\"text\":...} when decoding", &o.json, 0, 0},
        {0},
    };
    bool helped = false;
    int operands = 0;
    enum tri_status status =
        tri_parse(&tri_command_tokenize, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (!o.prompt == !o.file)
        return tri_fail(e, TRI_USAGE, "expected one of -p TEXT and -f FILE, found %s",
                        o.file ? "both" : "neither");
    return tokenize(&o, e);
}

const struct tri_command tri_command_tokenize = {
    .name = "tokenize",
    .summary = "text to token ids, and back",
    .usage = "[-m FILE] (-p TEXT | -f FILE) [--no-bos] [--no-parse-special] [--json] [--decode]",
    .run = run,
};
