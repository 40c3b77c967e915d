/* tokenizer.json as keys: the same tokens as from a GGUF file, every step that is understood, and all that is refused.
 */
#include "text/tokenizer_json.h"

#include "text/tokenizer.h"
#include "text/vocabulary.h"
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

#define M "\xE2\x96\x81"

/* -- tools ----------------------------------------------------------------- */

struct opened {
    struct tri_gguf *gguf; /* NULL: `error` says why */
    struct tri_tokenizer *tokenizer;
    struct tri_error error;
};

static struct opened open_text(const char *json, size_t size, const char *config)
{
    struct opened o = {0};
    struct tri_gguf_writer *w = tri_gguf_compose(&o.error);
    assert_non_null(w);
    if (tri_tokenizer_json_keys(w, json, size, config, config ? strlen(config) : 0, "folder", &o.error) == TRI_OK &&
        tri_gguf_begin(w, &o.error) == TRI_OK)
        o.gguf = tri_gguf_composed(w, "folder", &o.error);
    tri_gguf_discard(w);
    if (o.gguf)
        o.tokenizer = tri_tokenizer_new(o.gguf, &o.error);
    return o;
}

/* Takes `root`. */
static struct opened open_json(json_t *root, const char *config)
{
    char *text = json_dumps(root, 0);
    assert_non_null(text);
    struct opened o = open_text(text, strlen(text), config);
    json_decref(root);
    free(text);
    return o;
}

static struct opened open_good(json_t *root, const char *config)
{
    struct opened o = open_json(root, config);
    if (!o.tokenizer)
        fail_msg("%s", o.error.text);
    return o;
}

static void close_all(struct opened *o)
{
    tri_tokenizer_free(o->tokenizer);
    tri_gguf_close(o->gguf);
}

static void refused(json_t *root, const char *config, const char *words)
{
    struct opened o = open_json(root, config);
    if (o.tokenizer)
        fail_msg("expected to be refused with \"%s\"", words);
    assert_true(o.error.status == TRI_BAD_FILE || o.error.status == TRI_UNSUPPORTED);
    if (!strstr(o.error.text, words) || strncmp(o.error.text, "folder: tokenizer", 17))
        fail_msg("expected \"%s\" in: %s", words, o.error.text);
    close_all(&o);
}

static void expect(const struct opened *o, const char *text, int flags, const int32_t *want, size_t count)
{
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    if (tri_tokenize(o->tokenizer, text, strlen(text), flags, &ids, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_int_equal(ids.count, count);
    if (count)
        assert_memory_equal(ids.at, want, count * sizeof *want);
    tri_ids_free(&ids);
}

#define EXPECT(o, text, flags, ...)                                                                                    \
    expect(&o, text, flags, (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static json_t *parse(const char *text)
{
    json_error_t problem;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &problem);
    if (!value)
        fail_msg("%s in %s", problem.text, text);
    return value;
}

/* "model.merges": a member of a member. */
static json_t *with(json_t *root, const char *path, const char *value)
{
    const char *dot = strchr(path, '.');
    json_t *object = dot ? json_object_get(root, "model") : root;
    assert_int_equal(json_object_set_new(object, dot ? dot + 1 : path, parse(value)), 0);
    return root;
}

/* -- byte-level ------------------------------------------------------------ */

enum { AB = 256, ABC, SPACE_A, ONES, BOS, EOS, USER };

#define BYTE_LEVEL(regex) "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":" regex "}"
#define SPLIT(regex)                                                                                                   \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}"

/* The bytes, four more, two special tokens and one of the user's; merges of both spellings. */
static json_t *bytes_json(void)
{
    json_t *vocab = json_object();
    for (int c = 0; c < 256; c++) {
        const int point = tri_alphabet_point(c);
        char text[3] = {(char)(point < 0x80 ? point : 0xC0 | point >> 6)};
        if (point >= 0x80)
            text[1] = (char)(0x80 | (point & 0x3F));
        json_object_set_new(vocab, text, json_integer(c));
    }
    static const char *const more[] = {"ab", "abc", "\u0120a", "11"};
    for (int i = 0; i < 4; i++)
        json_object_set_new(vocab, more[i], json_integer(AB + i));
    json_t *root =
        parse("{\"added_tokens\":[{\"id\":260,\"content\":\"<s>\",\"special\":true},"
              "{\"id\":261,\"content\":\"</s>\",\"special\":true},{\"id\":262,\"content\":\"<u>\",\"special\":false}],"
              "\"model\":{\"type\":\"BPE\",\"merges\":[\"a b\",[\"\xC4\xA0\",\"a\"],\"1 1\"]},\"normalizer\":null}");
    json_object_set_new(json_object_get(root, "model"), "vocab", vocab);
    return with(root, "pre_tokenizer", BYTE_LEVEL("true"));
}

static void bytes_and_merges(void **state)
{
    struct opened o = open_good(bytes_json(), NULL);
    (void)state;
    EXPECT(o, "abc a\xff", 0, AB, 'c', SPACE_A, 0xff);
    EXPECT(o, "<s><u>", 0, '<', 's', '>', USER);
    EXPECT(o, "<s><u>", TRI_PARSE_SPECIAL | TRI_ADD_SPECIAL, BOS, USER);
    struct tri_text pre;
    assert_int_equal(tri_gguf_text(o.gguf, "tokenizer.ggml.pre", &pre, &o.error), TRI_OK);
    assert_memory_equal(pre.at, "gpt-2", 5);
    assert_null(tri_tokenizer_notice(o.tokenizer));
    close_all(&o);
    o = open_good(with(bytes_json(), "model.ignore_merges", "true"), NULL);
    EXPECT(o, "abc", 0, ABC);
    assert_null(tri_gguf_find(o.gguf, "tokenizer.ggml.pre")); /* gpt-2's expression, but none of its kind */
    close_all(&o);
}

static void every_pretokenizer(void **state)
{
    static const struct {
        const char *pre;
        int32_t ids[8]; /* of " a11 +-" */
    } cases[] = {
        {BYTE_LEVEL("true"), {SPACE_A, ONES, ' ', '+', '-'}},
        {BYTE_LEVEL("false"), {SPACE_A, ONES, ' ', '+', '-'}},
        {SEQUENCE(SPLIT("a") "," BYTE_LEVEL("false")), {' ', 'a', ONES, ' ', '+', '-'}},
        {SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"String\":\" a1\"},\"behavior\":\"Isolated\"}"
                  "," BYTE_LEVEL("false")),
         {SPACE_A, '1', '1', ' ', '+', '-'}},
        {SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true}"
                  "," BYTE_LEVEL("true")),
         {SPACE_A, '1', '1', ' ', '+', '-'}},
        {SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":false}"
                  "," BYTE_LEVEL("true")),
         {SPACE_A, ONES, ' ', '+', '-'}},
        {SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}"
                  "," BYTE_LEVEL("true") "," SPLIT("[0-9]")),
         {SPACE_A, '1', '1', ' ', '+', '-'}},
        {SEQUENCE("{\"type\":\"Punctuation\"}"
                  "," BYTE_LEVEL("false")),
         {SPACE_A, ONES, ' ', '+', '-'}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opened o = open_good(with(bytes_json(), "pre_tokenizer", cases[i].pre), NULL);
        size_t count = 0;
        while (cases[i].ids[count])
            count++;
        expect(&o, " a11 +-", 0, cases[i].ids, count);
        close_all(&o);
    }
}

static void composed_characters(void **state)
{
    struct opened o = open_good(with(bytes_json(), "normalizer", "{\"type\":\"NFC\"}"), NULL);
    (void)state;
    assert_non_null(strstr(tri_tokenizer_notice(o.tokenizer), "NFC"));
    close_all(&o);
}

static void gaps_between_ids(void **state)
{
    json_t *root = bytes_json();
    (void)state;
    json_array_append_new(json_object_get(root, "added_tokens"),
                          parse("{\"id\":300,\"content\":\"<far>\",\"special\":true}"));
    struct opened o = open_good(root, NULL);
    assert_int_equal(tri_vocabulary_size(o.tokenizer), 301);
    EXPECT(o, "<far>", TRI_PARSE_SPECIAL, 300);
    close_all(&o);
}

/* -- SentencePiece ----------------------------------------------------------- */

enum { FIRST = 3 + 256 };

static json_t *marked_json(const char *normalizer)
{
    static const char *const more[] = {"<unk>", "<s>", "</s>"};
    static const char *const texts[] = {M, "a", "b", "ab", "\u2581a", "\u2581ab", "<l>"};
    json_t *vocab = json_object();
    for (int i = 0; i < 3; i++)
        json_object_set_new(vocab, more[i], json_integer(i));
    for (int c = 0; c < 256; c++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)c);
        json_object_set_new(vocab, text, json_integer(3 + c));
    }
    for (int i = 0; i < 7; i++)
        json_object_set_new(vocab, texts[i], json_integer(FIRST + i));
    json_t *root =
        parse("{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},"
              "{\"id\":1,\"content\":\"<s>\",\"special\":true},{\"id\":2,\"content\":\"</s>\",\"special\":true},"
              "{\"id\":265,\"content\":\"<l>\",\"special\":false}],"
              "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\","
              "\"merges\":[\"" M " a\",\"a b\",\"" M "a b\",\"" M " ab\"]},\"pre_tokenizer\":null}");
    json_object_set_new(json_object_get(root, "model"), "vocab", vocab);
    return with(root, "normalizer", normalizer);
}

#define REPLACE "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" M "\"}"
#define PREPEND "{\"type\":\"Prepend\",\"prepend\":\"" M "\"}"

static void marked_spaces(void **state)
{
    struct opened o = open_good(marked_json(REPLACE), NULL);
    (void)state;
    EXPECT(o, "ab ab\n<l>", 0, FIRST + 3, FIRST + 5, 3 + 10, FIRST + 6);
    static const float want[] = {0, 0, 0, -1, 0, -2, -1000}; /* the first merge of each, 0 without one */
    for (uint64_t i = 0; i < 7; i++)
        assert_true((float)tri_gguf_element(tri_gguf_find(o.gguf, "tokenizer.ggml.scores"), FIRST + i) == want[i]);
    close_all(&o);
    o = open_good(marked_json("{\"type\":\"Sequence\",\"normalizers\":[" PREPEND "," REPLACE "]}"), NULL);
    EXPECT(o, "ab", 0, FIRST + 5);
    close_all(&o);
    static const char split[] =
        "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\"}";
    o = open_good(with(marked_json(REPLACE), "pre_tokenizer", split), NULL);
    EXPECT(o, "ab", 0, FIRST + 3);
    close_all(&o);
    static const char space[] =
        "{\"type\":\"Metaspace\",\"replacement\":\"" M "\",\"prepend_scheme\":\"always\",\"split\":false}";
    o = open_good(with(marked_json("null"), "pre_tokenizer", space), NULL);
    EXPECT(o, "ab", 0, FIRST + 5);
    close_all(&o);
}

/* -- what is put around a text ------------------------------------------------- */

#define TOKEN(id)       "{\"SpecialToken\":{\"id\":\"" id "\",\"type_id\":0}}"
#define TEMPLATE(parts) "{\"type\":\"TemplateProcessing\",\"single\":[" parts "]}"
#define A               "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"

static void bos_and_eos(void **state)
{
    static const char config[] = "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"</s>\"}";
    static const char both[] = TEMPLATE(TOKEN("<s>") "," A "," TOKEN("</s>"));
    static const char list[] =
        "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"}," TEMPLATE(TOKEN("<s>") "," A) "]}";
    (void)state;
    struct opened o = open_good(bytes_json(), config);
    EXPECT(o, "a", TRI_ADD_SPECIAL, 'a');
    assert_int_equal(tri_bos(o.tokenizer), BOS);
    assert_true(tri_ends_generation(o.tokenizer, EOS));
    close_all(&o);
    o = open_good(with(bytes_json(), "post_processor", both), config);
    EXPECT(o, "a", TRI_ADD_SPECIAL, BOS, 'a', EOS);
    close_all(&o);
    o = open_good(with(bytes_json(), "post_processor", list), NULL);
    EXPECT(o, "a", TRI_ADD_SPECIAL, BOS, 'a');
    close_all(&o);
    o = open_good(with(bytes_json(), "post_processor", both),
                  "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"add_bos_token\":false,\"add_eos_token\":true}");
    EXPECT(o, "a", TRI_ADD_SPECIAL, 'a', EOS);
    close_all(&o);
}

static void expect_text(const struct opened *o, const char *key, const char *want)
{
    struct tri_error e;
    struct tri_text found;
    assert_int_equal(tri_gguf_text(o->gguf, key, &found, &e), TRI_OK);
    assert_int_equal(found.size, strlen(want));
    assert_memory_equal(found.at, want, found.size);
}

static void chat_templates(void **state)
{
    struct opened o = open_good(bytes_json(), "{\"chat_template\":\"{{ x }}\"}");
    struct tri_text *names;
    size_t count;
    (void)state;
    expect_text(&o, "tokenizer.chat_template", "{{ x }}");
    close_all(&o);
    o = open_good(bytes_json(), "{\"chat_template\":[{\"name\":\"default\",\"template\":\"d\"},"
                                "{\"name\":\"tool_use\",\"template\":\"t\"}]}");
    expect_text(&o, "tokenizer.chat_template", "d");
    expect_text(&o, "tokenizer.chat_template.tool_use", "t");
    assert_int_equal(tri_gguf_texts(o.gguf, "tokenizer.chat_templates", &names, &count, &o.error), TRI_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(names->at, "tool_use", 8);
    free(names);
    close_all(&o);
}

/* -- what is refused ------------------------------------------------------------- */

static void what_is_not_understood(void **state)
{
    static const struct {
        const char *path, *value, *words;
    } cases[] = {
        {"model.type", "\"Unigram\"", "of type BPE"},
        {"model.type", "null", "of type BPE"},
        {"model.vocab", "[]", "\"vocab\""},
        {"model.vocab", "{\"a\":-1}", "\"a\""},
        {"model.vocab", "{\"a\":2097152}", "\"a\""},
        {"model.vocab", "{\"a\":\"1\"}", "\"a\""},
        {"model.vocab", "{\"a\":2000000}", "large gaps"},
        {"model.vocab", "{\"a\":1,\"b\":1}", "for two of them"},
        {"model.vocab", "{\"a\":260}", "for two of them"},
        {"model.dropout", "0.1", "\"dropout\""},
        {"model.continuing_subword_prefix", "\"##\"", "continuing_subword_prefix"},
        {"model.end_of_word_suffix", "\"</w>\"", "end_of_word_suffix"},
        {"model.byte_fallback", "true", "byte_fallback"},
        {"model.merges", "null", "\"merges\""},
        {"model.merges", "[\"ab\"]", "two texts"},
        {"model.merges", "[\"a b c\"]", "two texts"},
        {"model.merges", "[\" b\"]", "two texts"},
        {"model.merges", "[\"a \"]", "two texts"},
        {"model.merges", "[[\"a\"]]", "two texts"},
        {"model.merges", "[[\"a\",\"b\",\"c\"]]", "two texts"},
        {"model.merges", "[[\"a\",1]]", "two texts"},
        {"model.merges", "[[\"a b\",\"c\"]]", "without spaces"},
        {"model.merges", "[7]", "two texts"},
        {"added_tokens", "[{\"content\":\"x\"}]", "id and content"},
        {"added_tokens", "[{\"id\":1}]", "id and content"},
        {"added_tokens", "[{\"id\":300,\"content\":\"x\",\"lstrip\":true}]", "lstrip"},
        {"added_tokens", "[{\"id\":300,\"content\":\"x\",\"single_word\":true}]", "single_word"},
        {"added_tokens", "[7]", "id and content"},
        {"normalizer", "{\"type\":\"NFKC\"}", "NFKC"},
        {"normalizer", "{\"type\":\"Sequence\"}", "a list"},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":[]}]}",
         "within"},
        {"normalizer", REPLACE, "either ByteLevel or"},
        {"normalizer", "{\"type\":\"Prepend\",\"prepend\":\"x\"}", "prepends"},
        {"pre_tokenizer", "null", "either ByteLevel or"},
        {"pre_tokenizer", "7", "of type"},
        {"pre_tokenizer", "{\"type\":\"Whitespace\"}", "Whitespace"},
        {"pre_tokenizer", "{\"type\":\"ByteLevel\"}", "add_prefix_space"},
        {"pre_tokenizer", SEQUENCE(BYTE_LEVEL("true") "," BYTE_LEVEL("true")), "one ByteLevel"},
        {"pre_tokenizer", SEQUENCE(BYTE_LEVEL("true") "," SPLIT("x")), "nothing but digits"},
        {"pre_tokenizer",
         SEQUENCE(BYTE_LEVEL("true") ","
                                     "{\"type\":\"Digits\"}"),
         "nothing but digits"},
        {"pre_tokenizer", SEQUENCE(SEQUENCE(BYTE_LEVEL("true"))), "within"},
        {"pre_tokenizer", SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Removed\"}"),
         "Isolated"},
        {"pre_tokenizer",
         SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\"}"),
         "Isolated"},
        {"pre_tokenizer",
         SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Isolated\",\"invert\":true}"),
         "inverted"},
        {"pre_tokenizer", SEQUENCE("{\"type\":\"Split\",\"behavior\":\"Isolated\"}"), "Regex or String"},
        {"pre_tokenizer", SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\"}"),
         "short string"},
        {"pre_tokenizer",
         SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Removed\"}"
                  "," BYTE_LEVEL("true")),
         "Contiguous"},
        {"pre_tokenizer",
         SEQUENCE(SPLIT("a") "," SPLIT("a") "," SPLIT("a") "," SPLIT("a") "," SPLIT("a") "," SPLIT("a") "," SPLIT(
             "a") "," SPLIT("a") "," BYTE_LEVEL("true")),
         "fewer steps"},
        {"pre_tokenizer",
         "{\"type\":\"Metaspace\",\"replacement\":\"" M "\",\"prepend_scheme\":\"first\",\"split\":false}",
         "always or never"},
        {"post_processor", "{\"type\":\"RobertaProcessing\"}", "RobertaProcessing"},
        {"post_processor", "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"Sequence\"}]}", "one Sequence"},
        {"post_processor", TEMPLATE(TOKEN("<s>")), "one sequence"},
        {"post_processor", TEMPLATE(TOKEN("<s>") "," TOKEN("<s>") "," A), "at most one"},
        {"post_processor", TEMPLATE(A "," A), "one sequence"},
        {"post_processor", TEMPLATE(TOKEN("<none>") "," A), "<none>"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(with(bytes_json(), cases[i].path, cases[i].value), NULL, cases[i].words);
}

static void bad_configs(void **state)
{
    static const char *const cases[][2] = {
        {"{\"bos_token\":\"<none>\"}", "<none>"},
        {"{\"add_bos_token\":true}", "bos_token"},
        {"[]", "tokenizer_config.json"},
        {"{", "tokenizer_config.json"},
        {"{\"chat_template\":[{\"name\":\"x\"}]}", "chat_template 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(bytes_json(), cases[i][0], cases[i][1]);
    refused(with(bytes_json(), "post_processor", TEMPLATE(TOKEN("<s>") "," A)), "{\"bos_token\":\"</s>\"}",
            "found another");
}

static void expressions_that_differ(void **state)
{
    struct opened o =
        open_json(with(bytes_json(), "pre_tokenizer", SEQUENCE(SPLIT("\\\\w+") "," BYTE_LEVEL("false"))), NULL);
    (void)state;
    assert_null(o.tokenizer);
    assert_int_equal(o.error.status, TRI_UNSUPPORTED);
    assert_non_null(strstr(o.error.text, "this escape"));
    close_all(&o);
}

static void broken_json(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "null", "{\"a\":1,\"a\":2}", "{\"model\":\"\\ud800\"}", "{}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct opened o = open_text(texts[i], strlen(texts[i]), NULL);
        assert_null(o.gguf);
        assert_non_null(strstr(o.error.text, "folder: tokenizer.json"));
    }
    char deep[200];
    memset(deep, '[', sizeof deep);
    struct opened o = open_text(deep, sizeof deep, NULL);
    assert_null(o.gguf);
    assert_non_null(strstr(o.error.text, "nested"));
}

/* -- a real one ---------------------------------------------------------------------- */

static void the_same_as_from_gguf(void **state)
{
    size_t size, config_size, odd_size;
    char *json = read_file("../shared/model/hf/tokenizer.json", &size);
    (void)state;
    if (!json) {
        print_message("skipped: ../shared/model/hf is not there\n");
        skip();
    }
    char *config = read_file("../shared/model/hf/tokenizer_config.json", &config_size);
    char *odd = read_file("tests/text/odd.txt", &odd_size);
    struct tri_error e;
    struct tri_gguf *g = tri_gguf_open("tests/model/tiny-tales-i2_s.gguf", &e);
    struct tri_tokenizer *t = tri_tokenizer_new(g, &e);
    struct opened o = open_text(json, size, config);
    if (!o.tokenizer)
        fail_msg("%s", o.error.text);
    struct tri_ids ids = {0};
    assert_int_equal(tri_tokenize(t, odd, odd_size, TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL, &ids, &e), TRI_OK);
    expect(&o, "", TRI_ADD_SPECIAL, (int32_t[]){4094}, 1);
    struct tri_ids again = {0};
    assert_int_equal(tri_tokenize(o.tokenizer, odd, odd_size, TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL, &again, &e), TRI_OK);
    assert_int_equal(ids.count, again.count);
    assert_memory_equal(ids.at, again.at, ids.count * sizeof *ids.at);
    expect_text(&o, "tokenizer.ggml.pre", "llama-bpe");
    tri_ids_free(&ids);
    tri_ids_free(&again);
    tri_tokenizer_free(t);
    tri_gguf_close(g);
    close_all(&o);
    free(json);
    free(config);
    free(odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_merges),    cmocka_unit_test(every_pretokenizer),
        cmocka_unit_test(composed_characters), cmocka_unit_test(gaps_between_ids),
        cmocka_unit_test(marked_spaces),       cmocka_unit_test(bos_and_eos),
        cmocka_unit_test(chat_templates),      cmocka_unit_test(what_is_not_understood),
        cmocka_unit_test(bad_configs),         cmocka_unit_test(expressions_that_differ),
        cmocka_unit_test(broken_json),         cmocka_unit_test(the_same_as_from_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
