/* Damaged vocabularies, tokenizer.json files, expressions and texts through the tokenizers. Nothing may crash or hang;
 * what is refused must say why, and byte-level tokens must give back the text they were made of. An input is a GGUF
 * file, a tokenizer.json that begins with "{", or an expression with a text behind a zero byte. */
#include "fuzz.h"

#include "file/gguf_write.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *text)
{
    fprintf(stderr, "fuzz_tokenizer: %s: %s\n", what, text);
    abort();
}

/* What an error must be, whatever the input; a damaged expression may also take too many steps. */
static void expect_reason(const struct tri_error *e)
{
    if (e->status < TRI_FAILED || e->status == TRI_USAGE || e->status > TRI_NO_MEMORY || !e->text[0])
        fail("refused without a good reason", e->text);
}

/* -- tokenizers ------------------------------------------------------------ */

static const char text[] = "ab  abc 12345 It's caf\xc3\xa9 \xe2\x96\x81 \xff\xc3 <s>ab</s> <u>\n\n \r\n  end\0.";

static bool has_unknown(const struct tri_gguf *g)
{
    struct tri_text model;
    struct tri_error e;
    return tri_gguf_find(g, "tokenizer.ggml.unknown_token_id") ||
           tri_gguf_text(g, "tokenizer.ggml.model", &model, &e) != TRI_OK || model.size != 4;
}

static void compare(const struct tri_tokenizer *t, const struct tri_ids *ids)
{
    size_t at = 0;
    for (size_t i = 0; i < ids->count; i++) {
        struct tri_text bytes = tri_token_bytes(t, ids->at[i], true);
        if (bytes.size > sizeof text - at || memcmp(bytes.at, text + at, bytes.size))
            fail("tokens of another text", "");
        at += bytes.size;
    }
    if (at != sizeof text)
        fail("tokens of a part of the text", "");
}

static void encode(const struct tri_gguf *g, const struct tri_tokenizer *t, int flags)
{
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    if (tri_tokenize(t, text, sizeof text, flags, &ids, &e) != TRI_OK)
        expect_reason(&e);
    else if (!(flags & TRI_ADD_SPECIAL) && !has_unknown(g))
        compare(t, &ids);
    for (size_t i = 0; i < ids.count; i++)
        if (ids.at[i] < 0 || ids.at[i] >= tri_vocabulary_size(t))
            fail("an id that is no token", "");
    tri_ids_free(&ids);
}

static void try_gguf(struct tri_gguf *g, const struct tri_error *refused)
{
    struct tri_error e = {0};
    struct tri_tokenizer *t = g ? tri_tokenizer_new(g, &e) : NULL;
    if (!t)
        expect_reason(g ? &e : refused);
    for (int flags = 0; t && flags <= (TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL); flags++)
        encode(g, t, flags);
    tri_tokenizer_free(t);
    tri_gguf_close(g);
}

/* The keys of a tokenizer.json, read as from a file; NULL with an error. */
static struct tri_gguf *compose(const char *json, size_t size, struct tri_error *e)
{
    static const char config[] = "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"}}";
    struct tri_gguf *g = NULL;
    struct tri_gguf_writer *w = tri_gguf_compose(e);
    if (w && tri_tokenizer_json_keys(w, json, size, config, sizeof config - 1, "fuzz", e) == TRI_OK &&
        tri_gguf_begin(w, e) == TRI_OK)
        g = tri_gguf_composed(w, "fuzz", e);
    tri_gguf_discard(w);
    return g;
}

/* -- expressions ----------------------------------------------------------- */

static enum tri_status count_bytes(void *arg, const char *piece, size_t size, struct tri_error *e)
{
    (void)e;
    if (!size || !piece)
        fail("an empty piece", "");
    *(size_t *)arg += size;
    return TRI_OK;
}

static void try_expression(const char *expression, const char *behind, size_t size)
{
    struct tri_error e = {0};
    size_t bytes = 0;
    struct tri_splitter *s = tri_splitter_new((const char *const[]){expression, NULL}, &e);
    if (!s)
        expect_reason(&e);
    else if (tri_split(s, behind, size, count_bytes, &bytes, &e) != TRI_OK)
        expect_reason(&e);
    else if (bytes != size)
        fail("pieces that are not the text", expression);
    tri_splitter_free(s);
}

/* libFuzzer's entry; true work whatever drives it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    if (size > 4 && !memcmp(data, "GGUF", 4))
        try_gguf(tri_gguf_read(data, size, "fuzz", &e), &e);
    else if (size && *data == '{')
        try_gguf(compose((const char *)data, size, &e), &e);
    else if (end)
        try_expression((const char *)data, (const char *)end + 1, size - 1 - (size_t)(end - data));
    return 0;
}

/* -- good inputs ----------------------------------------------------------- */

#define SPECIAL                                                                                                        \
    "\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},{\"id\":1,\"content\":\"</s>\",\"special\":" \
    "true},{\"id\":2,\"content\":\"<u>\",\"special\":false}],"
#define MODEL(members) "\"model\":{\"type\":\"BPE\"," members "}}"

/* One of each kind of vocabulary. */
static const char *const files[] = {
    "{" SPECIAL "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\"},"
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[^\\\\s\\\\p{L}]+|\\\\p{L}+|\\\\s+(?!\\\\S)\"},"
    "\"behavior\":\"Isolated\"},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},\"post_processor\":{\"type\":"
    "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}]}," MODEL(
        "\"unk_token\":\"?\",\"ignore_merges\":true,\"vocab\":{\"a\":3,\"b\":4,\"ab\":5,\"\u0120\":6,\"\u0120ab\":7,"
        "\"c\":8,\"?\":9,\"1\":10,\"11\":11},\"merges\":[\"a b\",[\"\u0120\",\"ab\"],\"1 1\"]"),
    "{" SPECIAL "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}]},\"pre_tokenizer\":null," MODEL(
        "\"unk_token\":\"?\",\"byte_fallback\":true,\"vocab\":{\"a\":3,\"b\":4,\"ab\":5,\"\u2581\":6,\"\u2581ab\":7,"
        "\"c\":8,\"?\":9,\"<0xFF>\":10,\"<0x0A>\":11,\"b\u2581a\":12},"
        "\"merges\":[\"a b\",\"\u2581 ab\",\"b \u2581a\"]"),
};

enum { HEAD = 256 }; /* where counts and expressions stand */

/* A kind of vocabulary as tokenizer.json, and the GGUF file made of it, without which there would be none to damage. */
static void add_vocabulary(const char *json)
{
    struct tri_error e;
    struct tri_gguf *g = compose(json, strlen(json), &e);
    if (!g)
        fuzz_die(e.text, "not a good file to begin with");
    fuzz_add(json, strlen(json), strlen(json));
    fuzz_add(tri_gguf_end(g, NULL) - tri_gguf_bytes(g), (size_t)tri_gguf_bytes(g), HEAD);
    tri_gguf_close(g);
}

static void add_expression(const char *expression, const char *behind, size_t size)
{
    const size_t first = strlen(expression) + 1;
    char *bytes = malloc(first + size);
    memcpy(bytes, expression, first);
    memcpy(bytes + first, behind, size);
    fuzz_add(bytes, first + size, HEAD);
    free(bytes);
}

static void add_expressions(const char *path)
{
    json_t *list, *root = fuzz_vectors(path);
    const char *name;
    json_object_foreach(json_object_get(root, "expressions"), name, list)
        for (size_t i = 0; i < json_array_size(list); i++)
            add_expression(json_string_value(json_array_get(list, i)), text, sizeof text);
    json_decref(root);
}

static void add_text(const char *path)
{
    static char bytes[1 << 16];
    FILE *f = fopen(path, "rb");
    if (!f)
        fuzz_die("cannot be read", path);
    const size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    add_expression("\\s+|a|[0-9]", bytes, size);
}

void fuzz_seeds(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        add_vocabulary(files[i]);
    add_expressions("tests/vectors/pretok.json");
    add_text("tests/text/odd.txt");
}
