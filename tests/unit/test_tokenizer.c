/* Tokenizing with real vocabularies: the embedded model's, and the public ones where they are
 * present. */
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "vectors.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TALES  "tests/model/tiny-tales-i2_s.gguf"
#define SHARED "../shared/"

/* -- tools ----------------------------------------------------------------- */

struct opened {
    struct tri_gguf *gguf;
    struct tri_tokenizer *tokenizer;
};

static struct opened open_tokenizer(const char *path)
{
    struct tri_error e = {0};
    struct opened o = {.gguf = tri_gguf_open(path, &e)};
    if (o.gguf)
        o.tokenizer = tri_tokenizer_new(o.gguf, &e);
    if (!o.tokenizer)
        fail_msg("%s", e.text);
    return o;
}

static void close_tokenizer(struct opened *o)
{
    tri_tokenizer_free(o->tokenizer);
    tri_gguf_close(o->gguf);
}

static struct tri_ids encode(const struct opened *o, const char *text, size_t size, int flags)
{
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    if (tri_tokenize(o->tokenizer, text, size, flags, &ids, &e) != TRI_OK)
        fail_msg("%s", e.text);
    return ids;
}

/* To be freed. */
static char *decode(const struct opened *o, const struct tri_ids *ids, bool special, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < ids->count; i++)
        *size += tri_token_bytes(o->tokenizer, ids->at[i], special).size;
    char *text = malloc(*size + 1), *at = text;
    assert_non_null(text);
    *size = 0;
    for (size_t i = 0; i < ids->count; i++) {
        const int32_t before = i ? ids->at[i - 1] : -1;
        struct tri_text t = tri_token_bytes_behind(o->tokenizer, before, ids->at[i], special);
        *size += t.size;
        memcpy(at, t.at, t.size);
        at += t.size;
    }
    return text;
}

static size_t round_trip(const struct opened *o, const char *text, size_t size, int flags)
{
    size_t back;
    struct tri_ids ids = encode(o, text, size, flags);
    char *again = decode(o, &ids, true, &back);
    assert_int_equal(back, size);
    if (size)
        assert_memory_equal(again, text, size);
    free(again);
    size_t count = ids.count;
    tri_ids_free(&ids);
    return count;
}

static void expect_ids(const struct opened *o, const char *text, size_t size, int flags,
                       const int32_t *want, size_t count)
{
    struct tri_ids ids = encode(o, text, size, flags);
    bool same = ids.count == count && (!count || !memcmp(ids.at, want, count * sizeof *want));
    if (!same)
        fail_msg("\"%.*s\": %zu ids, expected %zu", (int)(size < 80 ? size : 80), text, ids.count,
                 count);
    tri_ids_free(&ids);
}

#define EXPECT(o, text, flags, ...)                                                                \
    expect_ids(o, text, strlen(text), flags, (const int32_t[]){__VA_ARGS__},                       \
               sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void expect_json(const struct opened *o, const json_t *text, int flags, const json_t *list)
{
    size_t count = json_array_size(list);
    int32_t *want = calloc(count + 1, sizeof *want);
    assert_non_null(want);
    for (size_t i = 0; i < count; i++)
        want[i] = (int32_t)json_integer_value(json_array_get(list, i));
    expect_ids(o, json_string_value(text), json_string_length(text), flags, want, count);
    free(want);
}

static bool present(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f)
        fclose(f);
    else
        print_message("skipped: %s is not there\n", path);
    return f;
}

/* -- the embedded model's vocabulary ----------------------------------------------- */

static void reference_prompts(void **state)
{
    struct opened o = open_tokenizer(TALES);
    json_t *root = json_load_file("tests/model/reference.json", 0, NULL);
    json_t *prompts = json_object_get(root, "prompts");
    (void)state;
    assert_int_equal(json_array_size(prompts), 5);
    for (size_t i = 0; i < 5; i++) {
        json_t *p = json_array_get(prompts, i);
        expect_json(&o, json_object_get(p, "prompt"), TRI_ADD_SPECIAL, json_object_get(p, "ids"));
        expect_json(&o, json_object_get(p, "prompt"), TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL,
                    json_object_get(p, "ids"));
    }
    json_decref(root);
    close_tokenizer(&o);
}

static void facts(void **state)
{
    struct opened o = open_tokenizer(TALES);
    const struct tri_tokenizer *t = o.tokenizer;
    (void)state;
    assert_null(tri_tokenizer_notice(t));
    assert_int_equal(tri_vocabulary_size(t), 4096);
    assert_int_equal(tri_bos(t), 4094);
    assert_true(tri_adds_bos(t));
    for (int32_t id = -2; id < 4100; id++)
        assert_int_equal(tri_ends_generation(t, id), id == 4095);
    close_tokenizer(&o);
}

static void special_tokens(void **state)
{
    struct opened o = open_tokenizer(TALES);
    (void)state;
    EXPECT(&o, "<|end_of_text|>", TRI_PARSE_SPECIAL, 4095);
    EXPECT(&o, "<|begin_of_text|><|end_of_text|>", TRI_PARSE_SPECIAL | TRI_ADD_SPECIAL, 4094, 4094,
           4095);
    EXPECT(&o, "Once upon a time<|end_of_text|>", TRI_PARSE_SPECIAL, 594, 586, 258, 449, 4095);
    struct tri_ids plain = encode(&o, "<|end_of_text|>", 15, 0);
    assert_true(plain.count > 1);
    for (size_t i = 0; i < plain.count; i++)
        assert_true(plain.at[i] < 4094);
    tri_ids_free(&plain);
    close_tokenizer(&o);
}

static void token_bytes(void **state)
{
    struct opened o = open_tokenizer(TALES);
    const struct tri_tokenizer *t = o.tokenizer;
    (void)state;
    assert_int_equal(tri_token_bytes(t, 4094, false).size, 0);
    assert_int_equal(tri_token_bytes(t, 4094, true).size, strlen("<|begin_of_text|>"));
    assert_int_equal(tri_token_bytes(t, 594, false).size, 4);
    assert_memory_equal(tri_token_bytes(t, 594, false).at, "Once", 4);
    assert_int_equal(tri_token_bytes(t, 586, false).size, 5);
    assert_memory_equal(tri_token_bytes(t, 586, false).at, " upon", 5);
    assert_int_equal(tri_token_bytes(t, -1, true).size, 0);
    assert_int_equal(tri_token_bytes(t, 4096, true).size, 0);
    assert_int_equal(tri_token_bytes(t, INT32_MAX, true).size, 0);
    close_tokenizer(&o);
}

static void ids_are_appended(void **state)
{
    struct opened o = open_tokenizer(TALES);
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    (void)state;
    assert_int_equal(tri_tokenize(o.tokenizer, "Once", 4, TRI_ADD_SPECIAL, &ids, &e), TRI_OK);
    assert_int_equal(tri_tokenize(o.tokenizer, " upon", 5, 0, &ids, &e), TRI_OK);
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.at[0], 4094);
    assert_int_equal(ids.at[1], 594);
    assert_int_equal(ids.at[2], 586);
    tri_ids_free(&ids);
    assert_null(ids.at);
    close_tokenizer(&o);
}

static void texts_come_back(void **state)
{
    static const char *const paths[] = {"tests/text/story.txt", "tests/text/odd.txt"};
    struct opened o = open_tokenizer(TALES);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        char *text = read_file(paths[i], &size);
        assert_non_null(text);
        assert_true(round_trip(&o, text, size, 0) < size);
        round_trip(&o, text, size, TRI_PARSE_SPECIAL);
        free(text);
    }
    close_tokenizer(&o);
}

static void any_bytes_come_back(void **state)
{
    struct opened o = open_tokenizer(TALES);
    char text[512];
    uint32_t x = 7;
    (void)state;
    assert_int_equal(round_trip(&o, "", 0, 0), 0);
    assert_int_equal(round_trip(&o, NULL, 0, 0), 0);
    round_trip(&o, "\0", 1, 0);
    round_trip(&o, "a\0b\0\0c", 6, 0);
    round_trip(&o, "cut \xf0\x9f\x98", 7, 0);
    for (int c = 0; c < 256; c++)
        text[c] = (char)c;
    round_trip(&o, text, 256, 0);
    for (size_t round = 0; round < 2000; round++) {
        size_t size = round % sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
        round_trip(&o, text, size, TRI_PARSE_SPECIAL);
    }
    close_tokenizer(&o);
}

static void long_texts_of_one_letter(void **state)
{
    static const char letters[] = "a \n1\xff<";
    const size_t size = 2 << 20;
    struct opened o = open_tokenizer(TALES);
    char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i + 1 < sizeof letters; i++) {
        memset(text, letters[i], size);
        round_trip(&o, text, size, TRI_PARSE_SPECIAL);
    }
    free(text);
    close_tokenizer(&o);
}

static void held_out_text(void **state)
{
    size_t size;
    (void)state;
    if (!present(SHARED "model/heldout.txt"))
        skip();
    struct opened o = open_tokenizer(TALES);
    json_t *root = json_load_file("tests/model/reference.json", 0, NULL);
    json_t *first = json_object_get(root, "held_out_ids_first_64");
    char *text = read_file(SHARED "model/heldout.txt", &size);
    struct tri_ids ids = encode(&o, text, size, 0);
    assert_int_equal(ids.count, json_integer_value(json_object_get(root, "held_out_tokens")));
    assert_int_equal(json_array_size(first), 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(ids.at[i], json_integer_value(json_array_get(first, i)));
    tri_ids_free(&ids);
    free(text);
    json_decref(root);
    close_tokenizer(&o);
}

/* -- public vocabularies ------------------------------------------------------------- */

static const struct {
    const char *name, *file, *cases;
} vocabularies[] = {
    {"llama-bpe", SHARED "vocab/ggml-vocab-llama-bpe.gguf",
     SHARED "vocab/ggml-vocab-llama-bpe.gguf"},
    {"gpt-2", SHARED "vocab/ggml-vocab-gpt-2.gguf", SHARED "vocab/ggml-vocab-gpt-2.gguf"},
    {"falcon", SHARED "vocab/ggml-vocab-falcon.gguf", SHARED "vocab/ggml-vocab-falcon.gguf"},
    {"qwen2", SHARED "vocab/rebuilt-vocab-qwen2.gguf", SHARED "vocab/ggml-vocab-qwen2.gguf"},
    {"llama-spm", SHARED "vocab/ggml-vocab-llama-spm.gguf", SHARED "vocab/ggml-vocab-llama-spm.gguf"},
    {"llama-spm", SHARED "vocab/ggml-vocab-phi-3.gguf", SHARED "vocab/ggml-vocab-phi-3.gguf"},
};

enum { VOCABULARIES = sizeof vocabularies / sizeof *vocabularies };

static void public_vectors(void **state)
{
    (void)state;
    for (size_t v = 0; v < VOCABULARIES; v++) {
        if (!present(vocabularies[v].file))
            skip();
        struct opened o = open_tokenizer(vocabularies[v].file);
        json_t *root = json_load_file("tests/vectors/tokenizer.json", 0, NULL);
        json_t *cases = json_object_get(root, "cases");
        assert_int_equal(json_array_size(cases), 30);
        for (size_t i = 0; i < 30; i++) {
            json_t *c = json_array_get(cases, i), *text = json_object_get(c, "text");
            expect_json(&o, text, 0, json_object_get(c, vocabularies[v].name));
            round_trip(&o, json_string_value(text), json_string_length(text), 0);
        }
        json_decref(root);
        close_tokenizer(&o);
    }
}

static char *read_beside(const char *path, const char *suffix, size_t *size)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    char *text = read_file(name, size);
    if (!text)
        fail_msg("%s is missing beside its vocabulary", name);
    return text;
}

/* The ids of one line; `*line` moves behind it. */
static size_t read_line(char **line, int32_t *ids, size_t most)
{
    size_t count = 0;
    char *end = strchr(*line, '\n');
    assert_non_null(end);
    for (char *at = *line; at < end;) {
        assert_true(count < most);
        ids[count++] = (int32_t)strtol(at, &at, 10);
        at += strspn(at, " ");
    }
    *line = end + 1;
    return count;
}

static size_t check_pairs(const struct opened *o, const char *path)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    int32_t want[1024];
    size_t size, cases = 0;
    char *in = read_beside(path, ".inp", &size), *out = read_beside(path, ".out", &size);
    char *line = out, *next;
    for (char *text = in; (next = strstr(text, separator)); text = next + sizeof separator - 1) {
        size_t count = read_line(&line, want, sizeof want / sizeof *want);
        expect_ids(o, text, (size_t)(next - text), 0, want, count);
        round_trip(o, text, (size_t)(next - text), 0);
        cases++;
    }
    free(in);
    free(out);
    return cases;
}

static void public_pairs(void **state)
{
    (void)state;
    for (size_t v = 0; v < VOCABULARIES; v++) {
        if (!present(vocabularies[v].file))
            skip();
        struct opened o = open_tokenizer(vocabularies[v].file);
        assert_int_equal(check_pairs(&o, vocabularies[v].cases), 30);
        close_tokenizer(&o);
    }
}

/* Falcon has no token for a vertical tab and other bytes that text hardly has. */
static void refuses_byte(const struct opened *o, const char *text, size_t size, const char *byte)
{
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    assert_int_equal(tri_tokenize(o->tokenizer, "kept", 4, 0, &ids, &e), TRI_OK);
    size_t before = ids.count;
    assert_int_equal(tri_tokenize(o->tokenizer, text, size, 0, &ids, &e), TRI_UNSUPPORTED);
    assert_non_null(strstr(e.text, byte));
    assert_int_equal(ids.count, before);
    tri_ids_free(&ids);
}

/* Token by token, as text is generated: what is printed is whole characters, and all of them in the end. */
static void stream(const struct opened *o, const char *text, size_t size)
{
    struct tri_ids ids = encode(o, text, size, 0);
    char pending[1024];
    size_t held = 0, printed = 0;
    for (size_t i = 0; i < ids.count; i++) {
        const int32_t before = i ? ids.at[i - 1] : -1;
        struct tri_text t = tri_token_bytes_behind(o->tokenizer, before, ids.at[i], false);
        assert_true(held + t.size <= sizeof pending);
        memcpy(pending + held, t.at, t.size);
        held += t.size;
        const size_t whole = tri_utf8_whole(pending, held);
        assert_int_equal(tri_utf8_valid(pending, whole), whole);
        assert_true(printed + whole <= size);
        assert_memory_equal(pending, text + printed, whole);
        printed += whole;
        held -= whole;
        memmove(pending, pending + whole, held);
    }
    assert_int_equal(held, 0);
    assert_int_equal(printed, size);
    tri_ids_free(&ids);
}

static void streams_of_whole_characters(void **state)
{
    (void)state;
    for (size_t v = 0; v < VOCABULARIES; v++) {
        if (!present(vocabularies[v].file))
            skip();
        struct opened o = open_tokenizer(vocabularies[v].file);
        json_t *root = json_load_file("tests/vectors/tokenizer.json", 0, NULL);
        json_t *cases = json_object_get(root, "cases"), *c;
        size_t i;
        json_array_foreach(cases, i, c) {
            const json_t *text = json_object_get(c, "text");
            stream(&o, json_string_value(text), json_string_length(text));
        }
        json_decref(root);
        close_tokenizer(&o);
    }
}

/* The texts of ours, too: whatever the vocabulary, nothing is lost. */
static void public_round_trips(void **state)
{
    size_t size;
    char *text = read_file("tests/text/odd.txt", &size);
    (void)state;
    assert_non_null(text);
    for (size_t v = 0; v < VOCABULARIES; v++) {
        if (!present(vocabularies[v].file)) {
            free(text);
            skip();
        }
        struct opened o = open_tokenizer(vocabularies[v].file);
        if (!strcmp(vocabularies[v].name, "falcon")) {
            refuses_byte(&o, text, size, "0x0B");
        } else {
            round_trip(&o, text, size, 0);
            round_trip(&o, text, size, TRI_PARSE_SPECIAL);
        }
        close_tokenizer(&o);
    }
    free(text);
}

static void llama_3_specials(void **state)
{
    (void)state;
    if (!present(vocabularies[0].file))
        skip();
    struct opened o = open_tokenizer(vocabularies[0].file);
    const struct tri_tokenizer *t = o.tokenizer;
    EXPECT(&o, "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>",
           TRI_PARSE_SPECIAL | TRI_ADD_SPECIAL, 128000, 128006, 882, 128007, 271, 9906, 128009);
    assert_true(tri_adds_bos(t));
    assert_int_equal(tri_bos(t), 128000);
    assert_true(tri_ends_generation(t, 128001));
    assert_true(tri_ends_generation(t, 128009));
    assert_false(tri_ends_generation(t, 128000));
    assert_false(tri_ends_generation(t, 11));
    close_tokenizer(&o);
}

static void sentencepiece_specials(void **state)
{
    (void)state;
    if (!present(SHARED "vocab/ggml-vocab-phi-3.gguf"))
        skip();
    struct opened o = open_tokenizer(SHARED "vocab/ggml-vocab-phi-3.gguf");
    assert_true(tri_adds_bos(o.tokenizer));
    assert_true(tri_ends_generation(o.tokenizer, 32007));
    EXPECT(&o, "<|user|>Hello<|end|>", TRI_PARSE_SPECIAL | TRI_ADD_SPECIAL, 1, 32010, 15043, 32007);
    EXPECT(&o, "</s>", 0, 2); /* in this file a token of the user's */
    struct tri_ids plain = encode(&o, "<|end|>", 7, 0);
    assert_true(plain.count > 1);
    tri_ids_free(&plain);
    assert_memory_equal(tri_token_bytes(o.tokenizer, 15043, false).at, " Hello", 6);
    assert_memory_equal(tri_token_bytes_behind(o.tokenizer, -1, 15043, false).at, "Hello", 5);
    assert_memory_equal(tri_token_bytes_behind(o.tokenizer, 32010, 15043, false).at, "Hello", 5);
    assert_memory_equal(tri_token_bytes_behind(o.tokenizer, 15043, 15043, false).at, " Hello", 6);
    assert_memory_equal(tri_token_bytes(o.tokenizer, 13, false).at, "\n", 1);
    close_tokenizer(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_prompts),   cmocka_unit_test(facts),
        cmocka_unit_test(special_tokens),      cmocka_unit_test(token_bytes),
        cmocka_unit_test(ids_are_appended),    cmocka_unit_test(texts_come_back),
        cmocka_unit_test(any_bytes_come_back), cmocka_unit_test(long_texts_of_one_letter),
        cmocka_unit_test(held_out_text),       cmocka_unit_test(public_vectors),
        cmocka_unit_test(public_pairs),        cmocka_unit_test(public_round_trips),
        cmocka_unit_test(llama_3_specials),    cmocka_unit_test(sentencepiece_specials),
        cmocka_unit_test(streams_of_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
