/* Cutting of texts: the vectors of every expression, texts that are not UTF-8, and whole sequences.
 */
#include "text/expression.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- pieces ---------------------------------------------------------------- */

struct pieces {
    size_t count, bytes;
    struct tri_text at[256]; /* the first ones */
    const char *end;         /* of the last: the next begins here */
};

static enum tri_status collect(void *arg, const char *piece, size_t size, struct tri_error *e)
{
    struct pieces *p = arg;
    (void)e;
    assert_true(size > 0);
    if (p->end)
        assert_ptr_equal(piece, p->end);
    if (p->count < sizeof p->at / sizeof *p->at)
        p->at[p->count] = (struct tri_text){piece, size};
    p->count++;
    p->bytes += size;
    p->end = piece + size;
    return TRI_OK;
}

/* Pieces without gaps or overlaps that are the whole text. */
static struct pieces cut(const struct tri_splitter *s, const char *text, size_t size)
{
    struct tri_error e = {0};
    struct pieces p = {0};
    assert_int_equal(tri_split(s, text, size, collect, &p, &e), TRI_OK);
    assert_int_equal(p.bytes, size);
    if (size)
        assert_ptr_equal(p.end, text + size);
    return p;
}

static struct tri_splitter *splitter(const char *const *expressions)
{
    struct tri_error e = {0};
    struct tri_splitter *s = tri_splitter_new(expressions, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static struct tri_splitter *splitter_of(const char *name)
{
    const struct tri_pretokenizer *p = tri_pretokenizer_find((struct tri_text){name, strlen(name)});
    assert_non_null(p);
    return splitter(p->expressions);
}

static void expect(const struct tri_splitter *s, const char *text, const char *const *pieces)
{
    struct pieces p = cut(s, text, strlen(text));
    for (size_t i = 0; i < p.count; i++) {
        assert_non_null(pieces[i]);
        assert_int_equal(p.at[i].size, strlen(pieces[i]));
        assert_memory_equal(p.at[i].at, pieces[i], p.at[i].size);
    }
    assert_null(pieces[p.count]);
}

#define EXPECT(s, text, ...) expect(s, text, (const char *const[]){__VA_ARGS__, NULL})

/* -- the vectors ------------------------------------------------------------- */

static void check_case(const struct tri_splitter *s, const char *name, const json_t *c)
{
    const json_t *text = json_object_get(c, "text");
    const json_t *want = json_object_get(json_object_get(c, "pieces"), name);
    struct pieces p = cut(s, json_string_value(text), json_string_length(text));
    assert_int_equal(p.count, json_array_size(want));
    for (size_t i = 0; i < p.count; i++) {
        const json_t *piece = json_array_get(want, i);
        assert_int_equal(p.at[i].size, json_string_length(piece));
        assert_memory_equal(p.at[i].at, json_string_value(piece), p.at[i].size);
    }
}

static void check_cases(struct tri_splitter *s, const char *name, const json_t *cases)
{
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(s, name, json_array_get(cases, i));
    tri_splitter_free(s);
}

static struct tri_splitter *splitter_from(const json_t *list)
{
    const char *expressions[TRI_MAX_EXPRESSIONS + 1] = {0};
    assert_in_range(json_array_size(list), 1, TRI_MAX_EXPRESSIONS);
    for (size_t i = 0; i < json_array_size(list); i++)
        expressions[i] = json_string_value(json_array_get(list, i));
    return splitter(expressions);
}

static void named_by_its_expressions(const char *name)
{
    const struct tri_pretokenizer *p = tri_pretokenizer_find((struct tri_text){name, strlen(name)});
    assert_string_equal(tri_pretokenizer_name(p->expressions, p->ignore_merges), name);
    assert_null(tri_pretokenizer_name(p->expressions, !p->ignore_merges));
    assert_null(tri_pretokenizer_name(p->expressions + 1, p->ignore_merges));
}

/* Once by the expressions in the file, once by our table. */
static void vectors(void **state)
{
    const char *name;
    json_t *list, *root = json_load_file("tests/vectors/pretok.json", 0, NULL);
    size_t by_name = 0;
    (void)state;
    assert_non_null(root);
    const json_t *cases = json_object_get(root, "cases");
    assert_true(json_array_size(cases) >= 26);
    json_object_foreach(json_object_get(root, "expressions"), name, list)
    {
        check_cases(splitter_from(list), name, cases);
        const char *ours = strchr(name, '(') ? "falcon3-bitnet" : name;
        check_cases(splitter_of(ours), name, cases);
        named_by_its_expressions(ours);
        by_name++;
    }
    assert_int_equal(by_name, 7);
    json_decref(root);
}

static void names(void **state)
{
    static const char *const same[][2] = {
        {"llama-bpe", "llama3"},
        {"llama-bpe", "llama-v3"},
        {"llama-bpe", "falcon3"},
        {"falcon_e", "falcon-e"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const char *a = same[i][0], *b = same[i][1];
        assert_ptr_equal(tri_pretokenizer_find((struct tri_text){a, strlen(a)}),
                         tri_pretokenizer_find((struct tri_text){b, strlen(b)}));
    }
    assert_null(tri_pretokenizer_find((struct tri_text){"llama", 5}));
    assert_null(tri_pretokenizer_find((struct tri_text){"", 0}));
}

/* -- what the vectors lack ------------------------------------------------------- */

static void white_space_is_unicodes(void **state)
{
    struct tri_splitter *s = splitter_of("llama-bpe");
    (void)state;
    EXPECT(s, "a\u180E!b", "a", "\u180E!", "b"); /* a space for PCRE2, not for Unicode */
    EXPECT(s, "a\xc2\x85\xc2\x85!", "a", "\xc2\x85", "\xc2\x85", "!");
    EXPECT(s, "a\u3000 b", "a", "\u3000", " b");
    EXPECT(s, "don't DON'T", "don", "'t", " DON", "'T");
    tri_splitter_free(s);
    s = splitter((const char *const[]){"\\s", NULL});
    EXPECT(s, "a\u2003b", "a", "\u2003", "b");
    tri_splitter_free(s);
}

static void broken_bytes_are_pieces(void **state)
{
    struct tri_splitter *s = splitter_of("llama-bpe");
    (void)state;
    EXPECT(s, "ab\xff\xfe cd", "ab", "\xff\xfe", " cd");
    EXPECT(s, "\xc3", "\xc3");
    EXPECT(s, "x\xe2\x82", "x", "\xe2\x82");
    EXPECT(s, "\xed\xa0\x80y", "\xed\xa0\x80", "y");
    EXPECT(s, "\xc0\xaf/", "\xc0\xaf", "/");
    tri_splitter_free(s);
}

static void any_bytes_are_kept(void **state)
{
    static const char *const all[] = {"llama-bpe", "qwen2",   "gpt-2",
                                      "falcon",    "default", "falcon_e"};
    static const char alphabet[] =
        " \n\r\taZ09'sl.,$\x00\x80\xbf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff";
    char text[200];
    uint32_t x = 1;
    (void)state;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        struct tri_splitter *s = splitter_of(all[k]);
        for (int round = 0; round < 2000; round++) {
            size_t size = round % sizeof text;
            for (size_t i = 0; i < size; i++)
                text[i] = alphabet[(x = x * 1664525 + 1013904223) / 65536 % (sizeof alphabet - 1)];
            cut(s, text, size);
        }
        tri_splitter_free(s);
    }
}

/* Each of these makes a careless pattern back up over the whole run at every byte: that would be
 * hours. */
static void long_runs_end(void **state)
{
    static const char *const all[] = {"llama-bpe", "qwen2",   "gpt-2",
                                      "falcon",    "default", "falcon_e"};
    static const char *const units[] = {"a", " ",  "\n",     " \n",  "1",  "'",
                                        "A", "aA", "\u5b57", "\xff", "\r", "\t"};
    const size_t size = 200000;
    char *text = malloc(size + 1);
    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        struct tri_splitter *s = splitter_of(all[k]);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            for (size_t i = 0; i < size; i++)
                text[i] = units[u][i % strlen(units[u])];
            text[size] = 'x';
            cut(s, text, size + 1);
        }
        tri_splitter_free(s);
    }
    free(text);
}

static enum tri_status stop(void *arg, const char *piece, size_t size, struct tri_error *e)
{
    (void)piece;
    (void)size;
    ++*(int *)arg;
    return tri_fail(e, TRI_INTERRUPTED, "enough");
}

static void the_reader_may_stop(void **state)
{
    struct tri_splitter *s = splitter_of("default");
    struct tri_error e = {0};
    int calls = 0;
    (void)state;
    assert_int_equal(tri_split(s, "one two", 7, stop, &calls, &e), TRI_INTERRUPTED);
    assert_int_equal(tri_split(s, "\xff\xff", 2, stop, &calls, &e), TRI_INTERRUPTED);
    assert_int_equal(calls, 2);
    tri_splitter_free(s);
}

static void refuses(const char *expression, const char *words)
{
    struct tri_error e = {0};
    const char *const list[] = {"a+", expression, NULL};
    assert_null(tri_splitter_new(list, &e));
    assert_int_equal(e.status, TRI_UNSUPPORTED);
    if (!strstr(e.text, words))
        fail_msg("expected \"%s\" in: %s", words, e.text);
}

/* What PCRE2 would read otherwise than Oniguruma, or not at all. */
static void other_dialects_are_refused(void **state)
{
    static const char *const expressions[] = {
        "^a", "a$",    ".",     "\\bx",  "\\w+",   "[\\w]", "\\h",     "\\v",    "\\R",         "\\1",
        "\\", "\\p",   "\\pL",  "\\p{",  "\\p{^L}", "\\x41", "\\x{}",   "[[:a:]]", "[a[b]]",      "[a&&b]",
        "[]", "[^]",   "[]a]",  "[a",    "[\\S]",  "(?i)a", "(?<n>a)", "(?#x)",  "(*LIMIT_MATCH=1)", "(?m:a)",
        "a{", "a{,2}", "a{1}+", "a{1}?", "a{1}{2}", "{",    "a{1",     "a\\",    "\\u0041",        "\\Qa\\E",
    };
    (void)state;
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
        refuses(expressions[i], "is not supported");
    refuses("(b", "byte 2");
    refuses("a{5,2}", "PCRE2 refuses");
    refuses("\\p{Nonsense}", "PCRE2 refuses");
    char endless[TRI_LONGEST_EXPRESSION + 2];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    refuses(endless, "4097 bytes");
}

static void what_both_dialects_share(void **state)
{
    static const char *const list[] = {"(?:a|b){2}|[^\\s\\d]++(?=\\S)|\\x{20AC}?+|\\$\\.|(?<!x)\\S", NULL};
    struct tri_splitter *s = splitter(list);
    (void)state;
    EXPECT(s, "abxyz 1", "ab", "x", "y", "z", " ", "1");
    tri_splitter_free(s);
    s = splitter((const char *const[]){NULL});
    EXPECT(s, "not cut", "not cut");
    tri_splitter_free(s);
}

/* Expressions of a file that would take years. */
static void endless_matching_is_given_up(void **state)
{
    static const char *const lists[][2] = {{"(?:a+)+[bc]", NULL}, {"(?:a|a)*[bc]", NULL}, {"(?:a?){40}[bc]", NULL}};
    char text[5000];
    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct tri_splitter *s = splitter(lists[i]);
        struct tri_error e = {0};
        struct pieces p = {0};
        assert_int_equal(tri_split(s, text, sizeof text, collect, &p, &e), TRI_FAILED);
        assert_non_null(strstr(e.text, "gave up"));
        tri_splitter_free(s);
    }
}

/* -- UTF-8 ---------------------------------------------------------------------------- */

static void sequences(void **state)
{
    static const struct {
        const char *text;
        int length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xc3"
         "a",
         0},
        {"\xe2\x82"
         "a",
         0},
        {"\xc3", -1},
        {"\xe2", -1},
        {"\xe2\x82", -1},
        {"\xf0", -1},
        {"\xf0\x9f", -1},
        {"\xf0\x9f\x98", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(tri_utf8_sequence(cases[i].text, strlen(cases[i].text)), cases[i].length);
}

static void valid_beginnings(void **state)
{
    static const char text[] =
        "plain text first, \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and more than eight";
    char broken[sizeof text];
    size_t size = sizeof text - 1;
    (void)state;
    assert_int_equal(tri_utf8_valid(text, size), size);
    for (size_t i = 0; i < 18; i++) {
        memcpy(broken, text, sizeof text);
        broken[i] = '\xff';
        assert_int_equal(tri_utf8_valid(broken, size), i);
    }
}

/* What may be printed of the first `cut` bytes ends where the last whole character does. */
static void whole_at_every_cut(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z\xf0\x9d\x92\xaf";
    static const size_t ends[] = {0, 1, 3, 6, 10, 11, 15};
    (void)state;
    for (size_t cut = 0, k = 0; cut < sizeof text; cut++) {
        while (k + 1 < sizeof ends / sizeof *ends && ends[k + 1] <= cut)
            k++;
        assert_int_equal(tri_utf8_whole(text, cut), ends[k]);
    }
}

static void broken_bytes_are_not_held_back(void **state)
{
    static const char *const texts[] = {"a\xff", "a\x80",        "\xed\xa0",        "\xf5\x80\x80",
                                        "\xc0",  "\xe2\x82\xff", "\xa9\xa9\xa9\xa9"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(tri_utf8_whole(texts[i], strlen(texts[i])), strlen(texts[i]));
    assert_int_equal(tri_utf8_whole("\xff\xe2\x82", 3), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(names),
        cmocka_unit_test(white_space_is_unicodes),
        cmocka_unit_test(broken_bytes_are_pieces),
        cmocka_unit_test(any_bytes_are_kept),
        cmocka_unit_test(long_runs_end),
        cmocka_unit_test(the_reader_may_stop),
        cmocka_unit_test(other_dialects_are_refused),
        cmocka_unit_test(what_both_dialects_share),
        cmocka_unit_test(endless_matching_is_given_up),
        cmocka_unit_test(sequences),
        cmocka_unit_test(valid_beginnings),
        cmocka_unit_test(whole_at_every_cut),
        cmocka_unit_test(broken_bytes_are_not_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
