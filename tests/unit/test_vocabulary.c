/* Vocabularies written for the purpose: what their keys decide, merges against a plain oracle,
 * special tokens that overlap, and files that lie. */
#define _GNU_SOURCE
#include "made_vocabulary.h"

/* -- merges -------------------------------------------------------------------- */

static const struct token ab_tokens[] = {
    {"aa", 1}, {"ab", 1},   {"aaaa", 1}, {"aba", 1},  {"ba", 1},
    {"bb", 1}, {"abab", 1}, {"bbb", 1},  {"aaab", 1}, {0},
};
static const char *const ab_merges[] = {
    "a b", "a a", "b a", "ab a", "aa aa", "b b", "ab ab", "bb b", "aa ab", "b bb", "a ba", NULL,
};

enum { RULES = sizeof ab_merges / sizeof *ab_merges - 1 };

static int32_t id_of(const char *text, size_t size)
{
    for (int32_t k = 0; ab_tokens[k].text; k++)
        if (strlen(ab_tokens[k].text) == size && !memcmp(ab_tokens[k].text, text, size))
            return BYTES + k;
    assert_int_equal(size, 1);
    return (unsigned char)text[0];
}

struct rule {
    int32_t left, right, result;
};

static struct rule rule_of(const char *merge)
{
    char whole[16];
    size_t left = strcspn(merge, " "), right = strlen(merge) - left - 1;
    snprintf(whole, sizeof whole, "%.*s%s", (int)left, merge, merge + left + 1);
    return (struct rule){id_of(merge, left), id_of(merge + left + 1, right),
                         id_of(whole, left + right)};
}

/* The definition, word for word: the lowest rank, the leftmost on ties, until none is left. */
static size_t oracle(const struct rule rules[RULES], int32_t *ids, size_t count)
{
    for (size_t r = 0; r < RULES;) {
        size_t i = 0;
        while (i + 1 < count && (ids[i] != rules[r].left || ids[i + 1] != rules[r].right))
            i++;
        if (i + 1 >= count) {
            r++;
            continue;
        }
        ids[i] = rules[r].result;
        memmove(ids + i + 1, ids + i + 2, (count - i - 2) * sizeof *ids);
        count--;
        r = 0; /* a merge may make a pair of lower rank */
    }
    return count;
}

static void merges_follow_the_definition(void **state)
{
    struct opened o = open_good(small_file(ab_tokens, ab_merges));
    char text[401];
    int32_t want[400];
    struct rule rules[RULES];
    uint32_t x = 3;
    (void)state;
    for (size_t r = 0; r < RULES; r++)
        rules[r] = rule_of(ab_merges[r]);
    for (size_t size = 1; size <= 400; size++)
        for (int round = 0; round < 4; round++) {
            for (size_t i = 0; i < size; i++)
                want[i] = text[i] =
                    "aabb"[(x = x * 1664525 + 1013904223) >> 30 & (round < 2 ? 3 : 2)];
            text[size] = 0;
            expect(&o, text, 0, want, oracle(rules, want, size));
        }
    close_file(&o);
}

static void merges_split_behind_their_first_byte(void **state)
{
    static const struct token more[] = {{"a\xc4\xa0", 1}, {"\xc4\xa0x", 1}, {0}};
    static const char *const merges[] = {"a \xc4\xa0", "\xc4\xa0 x", NULL};
    struct opened o = open_good(small_file(more, merges));
    (void)state;
    EXPECT(o, " x", 0, BYTES + 1);
    assert_true(notices(&o, "\"default\""));
    close_file(&o);
}

static void equal_tokens_and_merges(void **state)
{
    static const struct token more[] = {{"ab", 1},  {"ab", 1},  {"bc", 1},
                                        {"<x>", 3}, {"<x>", 3}, {0}};
    static const char *const merges[] = {"a b", "b c", "a b", NULL};
    struct opened o = open_good(small_file(more, merges));
    (void)state;
    EXPECT(o, "abc", 0, BYTES, 'c');
    EXPECT(o, "<x>", TRI_PARSE_SPECIAL, BYTES + 3);
    assert_memory_equal(tri_token_bytes(o.tokenizer, BYTES + 1, false).at, "ab", 2);
    close_file(&o);
}

/* A whole piece that is a token needs no merges that lead to it, where the pre-tokenizer says so.
 */
static void whole_pieces(void **state)
{
    static const struct token more[] = {{"abc", 1}, {"ab", 1}, {0}};
    static const char *const merges[] = {"a b", NULL};
    (void)state;
    for (int ignore = 0; ignore < 2; ignore++) {
        struct file f = small_file(more, merges);
        key_text(&f, "pre", ignore ? "llama-bpe" : "qwen2");
        struct opened o = open_good(f);
        if (ignore)
            EXPECT(o, "abc", 0, BYTES);
        else
            EXPECT(o, "abc", 0, BYTES + 1, 'c');
        EXPECT(o, "abcc", 0, BYTES + 1, 'c', 'c');
        close_file(&o);
    }
}

static void useless_merges_are_told(void **state)
{
    static const struct token more[] = {{"ab", 1}, {0}};
    static const char *const merges[] = {"a b", "x y", "a ", "ab \xe2\x82\xac", NULL};
    struct opened o = open_good(small_file(more, merges));
    (void)state;
    EXPECT(o, "abxy", 0, BYTES, 'x', 'y');
    assert_true(notices(&o, "3 of 4 merges"));
    close_file(&o);
}

static void a_byte_without_a_token(void **state)
{
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    (void)state;
    for (int unknown = 0; unknown < 2; unknown++) {
        struct file f = new_file("gpt2");
        key_array(&f, "tokens", TRI_STRING, 2);
        put_text(&f, "a");
        put_text(&f, "<unk>");
        put_merges(&f, no_merges);
        if (unknown)
            key_u32(&f, "unknown_token_id", 1);
        struct opened o = open_good(f);
        if (unknown)
            EXPECT(o, "aba", 0, 0, 1, 0);
        else
            assert_int_equal(tri_tokenize(o.tokenizer, "aba", 3, 0, &ids, &e), TRI_UNSUPPORTED);
        close_file(&o);
    }
    assert_non_null(strstr(e.text, "0x62"));
    assert_int_equal(ids.count, 0);
    tri_ids_free(&ids);
}

/* -- special tokens ------------------------------------------------------------- */

static void the_longest_token_comes_first(void **state)
{
    static const struct token more[] = {{"<abcd>", 3}, {"x<a", 3}, {"<a", 4},
                                        {"<", 3},      {"", 3},    {0}};
    struct opened o = open_good(small_file(more, no_merges));
    const int all = TRI_PARSE_SPECIAL;
    (void)state;
    EXPECT(o, "x<abcd>", all, 'x', BYTES); /* though x<a begins before it */
    EXPECT(o, "x<ab", all, BYTES + 1, 'b');
    EXPECT(o, "<<a", all, BYTES + 3, BYTES + 2);
    EXPECT(o, "<abcd><abcd", all, BYTES, BYTES + 2, 'b', 'c', 'd');
    EXPECT(o, "<<a", 0, '<', BYTES + 2); /* only the user's own */
    EXPECT(o, "<abcd>", 0, BYTES + 2, 'b', 'c', 'd', '>');
    expect(&o, "", all, NULL, 0);
    close_file(&o);
}

/* Longer than what is compared at every byte. */
static void very_long_special_tokens(void **state)
{
    char a[301], b[302], text[1000];
    struct token more[] = {{a, 3}, {b, 3}, {0}};
    (void)state;
    memset(a, 'a', 300);
    a[300] = 0;
    snprintf(b, sizeof b, "%sb", a);
    struct opened o = open_good(small_file(more, no_merges));
    snprintf(text, sizeof text, "%s%sx", a, b);
    EXPECT(o, text, TRI_PARSE_SPECIAL, BYTES, BYTES + 1, 'x');
    text[290] = '.';
    struct tri_ids ids = {0};
    assert_int_equal(
        tri_tokenize(o.tokenizer, text, strlen(text), TRI_PARSE_SPECIAL, &ids, &o.error), TRI_OK);
    assert_int_equal(ids.at[ids.count - 2], BYTES + 1);
    tri_ids_free(&ids);
    close_file(&o);
}

/* Comparing all of it at every byte of such a text would take minutes. */
static void a_huge_special_token(void **state)
{
    const size_t size = 1 << 18;
    char *text = malloc(2 * size + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', 2 * size);
    text[size] = 0;
    struct token more[] = {{text, 3}, {0}};
    struct opened o = open_good(small_file(more, no_merges));
    text[size] = 'a';
    text[2 * size - 2] = 'b';
    text[2 * size] = 0;
    struct tri_ids ids = {0};
    assert_int_equal(tri_tokenize(o.tokenizer, text, 2 * size, TRI_PARSE_SPECIAL, &ids, &o.error),
                     TRI_OK);
    assert_int_equal(ids.count, 1 + size);
    assert_int_equal(ids.at[0], BYTES);
    tri_ids_free(&ids);
    close_file(&o);
    free(text);
}

/* Text can only become a control token where that was asked for. */
static void control_tokens_are_not_text(void **state)
{
    static const struct token more[] = {{"ab", 3}, {"cd", 2}, {"ef", 4}, {0}};
    static const char *const merges[] = {"a b", "c d", "e f", NULL};
    struct file f = small_file(more, merges);
    key_text(&f, "pre", "llama-bpe"); /* ignore_merges: whole pieces are looked up */
    struct opened o = open_good(f);
    (void)state;
    EXPECT(o, "ab", 0, 'a', 'b');
    EXPECT(o, "cd", 0, 'c', 'd');
    EXPECT(o, "ef", 0, BYTES + 2);
    EXPECT(o, "abcdef", TRI_PARSE_SPECIAL, BYTES, BYTES + 1, BYTES + 2);
    assert_int_equal(tri_token_bytes(o.tokenizer, BYTES, false).size, 0);
    assert_int_equal(tri_token_bytes(o.tokenizer, BYTES, true).size, 2);
    assert_int_equal(tri_token_bytes(o.tokenizer, BYTES + 1, false).size, 0);
    assert_int_equal(tri_token_bytes(o.tokenizer, BYTES + 2, false).size, 2);
    close_file(&o);
}

static void user_tokens_are_as_they_are(void **state)
{
    static const struct token more[] = {
        {"\xc4\xa0x y", 4}, {"\xc4\xa0z", 1}, {"\xe2\x82\xac", 1}, {0}};
    struct opened o = open_good(small_file(more, no_merges));
    (void)state;
    assert_int_equal(tri_token_bytes(o.tokenizer, BYTES, false).size, 5);
    EXPECT(o, "\xc4\xa0x y", 0, BYTES);
    assert_memory_equal(tri_token_bytes(o.tokenizer, BYTES + 1, false).at, " z", 2);
    assert_memory_equal(tri_token_bytes(o.tokenizer, BYTES + 2, false).at, "\xe2\x82\xac",
                        3); /* none of the alphabet */
    close_file(&o);
}

/* -- what keys decide ------------------------------------------------------------- */

static const struct token special[] = {{"<s>", 3},   {"</s>", 3},  {"<|eot_id|>", 3},
                                       {"<eom>", 3}, {"<fim>", 3}, {0}};

static void bos_and_eos(void **state)
{
    const int all = TRI_ADD_SPECIAL;
    struct file f = small_file(special, no_merges);
    (void)state;
    key_u32(&f, "bos_token_id", BYTES);
    key_u32(&f, "eos_token_id", BYTES + 1);
    key_u32(&f, "eom_token_id", BYTES + 3);
    key_u32(&f, "fim_pad_token_id", BYTES + 4);
    key_bool(&f, "add_bos_token", true);
    key_bool(&f, "add_eos_token", true);
    key_text(&f, "pre", "gpt-2");
    struct opened o = open_good(f);
    EXPECT(o, "a", all, BYTES, 'a', BYTES + 1);
    EXPECT(o, "", all, BYTES, BYTES + 1);
    EXPECT(o, "a", 0, 'a');
    for (int32_t id = 0; id < BYTES + 5; id++)
        assert_int_equal(tri_ends_generation(o.tokenizer, id), id > BYTES);
    assert_null(tri_tokenizer_notice(o.tokenizer));
    close_file(&o);
}

static void defaults(void **state)
{
    static const struct {
        const char *pre;
        bool bos;
    } cases[] = {{"llama-bpe", true},
                 {"falcon3", true},
                 {"qwen2", false},
                 {"gpt-2", false},
                 {"default", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int said = -1; said <= 1; said++) {
            struct file f = small_file(special, no_merges);
            key_text(&f, "pre", cases[i].pre);
            if (said >= 0)
                key_bool(&f, "add_bos_token", said);
            struct opened o = open_good(f);
            assert_int_equal(tri_bos(o.tokenizer), 11);
            assert_int_equal(tri_adds_bos(o.tokenizer), said >= 0 ? said : cases[i].bos);
            assert_true(tri_ends_generation(o.tokenizer, 11));
            assert_null(tri_tokenizer_notice(o.tokenizer));
            close_file(&o);
        }
}

static void ids_out_of_range_are_ignored(void **state)
{
    struct file f = small_file(special, no_merges);
    (void)state;
    key_text(&f, "pre", "llama-bpe");
    key_u32(&f, "bos_token_id", BYTES + 5);
    key_u32(&f, "eos_token_id", 0xFFFFFFFFu);
    struct opened o = open_good(f);
    assert_int_equal(tri_bos(o.tokenizer), -1);
    assert_false(tri_adds_bos(o.tokenizer));
    EXPECT(o, "a", TRI_ADD_SPECIAL, 'a');
    assert_true(notices(&o, "bos_token_id"));
    assert_true(notices(&o, "4294967295"));
    close_file(&o);
}

static void unknown_pretokenizer(void **state)
{
    struct file f = small_file(special, no_merges);
    (void)state;
    key_text(&f, "pre", "some-new-thing");
    struct opened o = open_good(f);
    assert_true(notices(&o, "some-new-thing"));
    close_file(&o);
}

/* A file like BitNet-b1.58-2B-4T's: Llama 3's vocabulary, no name of a pre-tokenizer. */
static struct file big_file(uint32_t bos, const char *text)
{
    struct file f = new_file("gpt2");
    char name[16];
    key_array(&f, "tokens", TRI_STRING, 128256);
    for (int i = 0; i < 128256; i++) {
        snprintf(name, sizeof name, "t%d", i);
        put_text(&f, i < BYTES ? letter(i, name) : i == 128000 ? text : name);
    }
    put_merges(&f, no_merges);
    key_u32(&f, "bos_token_id", bos);
    return f;
}

static void missing_pretokenizer(void **state)
{
    (void)state;
    struct opened o = open_good(big_file(128000, "<|begin_of_text|>"));
    assert_true(notices(&o, "\"llama-bpe\""));
    assert_true(tri_adds_bos(o.tokenizer));
    EXPECT(o, "t999t", 0, 't', '9', '9', '9', 't');
    close_file(&o);
    o = open_good(big_file(128001, "<|begin_of_text|>"));
    assert_true(notices(&o, "\"default\""));
    assert_false(tri_adds_bos(o.tokenizer));
    close_file(&o);
    o = open_good(big_file(128000, "<s>"));
    assert_true(notices(&o, "\"default\""));
    close_file(&o);
}

/* -- what the caller and tokenizer.json's keys decide ------------------------------- */

static struct file expressions_file(const char *const *expressions, uint64_t count, int ignore_merges)
{
    static const struct token more[] = {{"11", 1}, {"111", 1}, {0}};
    static const char *const merges[] = {"1 1", NULL};
    struct file f = small_file(more, merges);
    key_text(&f, "pre", "llama-bpe");
    whole_key(&f, "tritune.tokenizer.patterns", TRI_ARRAY);
    put_u32(&f, TRI_STRING);
    put_u64(&f, count);
    for (uint64_t i = 0; i < count; i++)
        put_text(&f, expressions[i]);
    if (ignore_merges >= 0) {
        whole_key(&f, "tritune.tokenizer.ignore_merges", TRI_BOOL);
        put(&f, &(uint8_t){(uint8_t)ignore_merges}, 1);
    }
    return f;
}

static void expressions_win_over_names(void **state)
{
    static const char *const digits[] = {"[0-9]{3}", "x"};
    (void)state;
    struct opened o = open_good(expressions_file(digits, 2, 1));
    assert_null(tri_tokenizer_notice(o.tokenizer));
    assert_false(tri_adds_bos(o.tokenizer));
    EXPECT(o, "1111", 0, BYTES + 1, '1');
    close_file(&o);
    o = open_good(expressions_file(digits, 2, -1));
    EXPECT(o, "1111", 0, BYTES, '1', '1');
    close_file(&o);
    o = open_good(expressions_file(digits, 0, 0));
    EXPECT(o, "1111", 0, BYTES, BYTES);
    close_file(&o);
}

static void the_caller_wins_over_all(void **state)
{
    static const char *const digits[] = {"[0-9]{3}"};
    struct opened o = open_file_pre(expressions_file(digits, 1, 1), "qwen2");
    (void)state;
    assert_non_null(o.tokenizer);
    EXPECT(o, "1111", 0, '1', '1', '1', '1');
    close_file(&o);
    o = open_file_pre(expressions_file(digits, 1, 1), "qwen");
    assert_null(o.tokenizer);
    assert_int_equal(o.error.status, TRI_USAGE);
    assert_non_null(strstr(o.error.text, "qwen2, gpt-2"));
    close_file(&o);
}

static void bad_expressions(void **state)
{
    static const char *const list[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    static const char *const bad[] = {"a", "(b"};
    (void)state;
    refused(expressions_file(list, 9, 0), TRI_UNSUPPORTED, "9 expressions");
    refused(expressions_file(bad, 2, 0), TRI_UNSUPPORTED, "tritune.tokenizer.patterns");
    struct file f = expressions_file(list, 1, -1);
    whole_key(&f, "tritune.tokenizer.ignore_merges", TRI_U32);
    put_u32(&f, 1);
    refused(f, TRI_BAD_FILE, "ignore_merges");
    f = expressions_file(list, 1, -1);
    memset(memmem(f.bytes, f.size, "patterns", 8) + 8 + 4 + 4 + 8 + 8, 0, 1); /* type, element, count, size */
    refused(f, TRI_BAD_FILE, "zero byte");
}

/* -- files that lie ------------------------------------------------------------------ */

static void other_models(void **state)
{
    static const char *const models[] = {
        "bert",
        "t5",
        "rwkv",
        "none",
        "",
        "a name that is much longer than any name of a tokenizer ought to be"};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char shown[64];
        snprintf(shown, sizeof shown, "\"%.40s\"", models[i]);
        refused(new_file(models[i]), TRI_UNSUPPORTED, shown);
    }
    refused(new_file(NULL), TRI_BAD_FILE, "tokenizer.ggml.model");
}

static void arrays_that_disagree(void **state)
{
    static const char *const arrays[] = {"token_type", "scores"};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int count = 1; count <= 3; count++) {
            struct file f = new_file("gpt2");
            key_array(&f, "tokens", TRI_STRING, 2);
            put_text(&f, "a");
            put_text(&f, "b");
            put_merges(&f, no_merges);
            key_array(&f, arrays[i], i ? TRI_F32 : TRI_I32, (uint64_t)count);
            for (int k = 0; k < count; k++)
                put_u32(&f, 1);
            if (count == 2) {
                struct opened o = open_good(f);
                close_file(&o);
            } else {
                refused(f, TRI_BAD_FILE, arrays[i]);
            }
        }
}

static void keys_of_the_wrong_type(void **state)
{
    static const char *const arrays[] = {"token_type", "scores"};
    static const char *const values[] = {"bos_token_id", "add_bos_token", "add_eos_token",
                                         "eot_token_id"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct file f = new_file("gpt2");
        key_array(&f, "tokens", TRI_STRING, 1);
        put_text(&f, "a");
        key_array(&f, arrays[i], TRI_STRING, 1);
        put_text(&f, "b");
        refused(f, TRI_BAD_FILE, arrays[i]);
    }
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct file f = small_file(special, no_merges);
        key_text(&f, values[i], "yes");
        refused(f, TRI_BAD_FILE, values[i]);
    }
    struct file f = small_file(special, no_merges);
    key_u32(&f, "pre", 1);
    refused(f, TRI_BAD_FILE, "tokenizer.ggml.pre");
}

static void no_tokens(void **state)
{
    struct file f = new_file("gpt2");
    (void)state;
    key_array(&f, "tokens", TRI_STRING, 0);
    refused(f, TRI_BAD_FILE, "tokenizer.ggml.tokens");
    refused(new_file("gpt2"), TRI_BAD_FILE, "tokenizer.ggml.tokens");
    f = new_file("gpt2");
    key_array(&f, "tokens", TRI_U32, 1);
    put_u32(&f, 1);
    refused(f, TRI_BAD_FILE, "tokenizer.ggml.tokens");
}

static void merges_without_a_space(void **state)
{
    static const char *const bad[] = {"ab", " b", "a", "", " "};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const merges[] = {"a b", bad[i], NULL};
        refused(small_file(ab_tokens, merges), TRI_BAD_FILE, "merge 1");
    }
    struct file f = new_file("gpt2");
    put_tokens(&f, special);
    refused(f, TRI_BAD_FILE, "tokenizer.ggml.merges");
}

/* Neither UTF-8 nor short: bytes like others. */
static void strange_texts(void **state)
{
    const size_t size = 1 << 20;
    char *huge = malloc(size + 3);
    (void)state;
    assert_non_null(huge);
    memset(huge, 'a', size);
    memcpy(huge + size, " b", 3);
    const struct token more[] = {{"\xff\xc4", 1}, {"\xc4", 1}, {"", 1}, {"\xff\xc4", 3}, {0}};
    const char *const merges[] = {"\xff \xc4", huge, "\xc3\xbf \xc4", NULL};
    struct opened o = open_good(small_file(more, merges));
    EXPECT(o, "\xff\xc4\xff", 0, BYTES, 0xff);
    EXPECT(o, "\xff\xc4", TRI_PARSE_SPECIAL, BYTES + 3);
    assert_true(notices(&o, "1 of 3 merges"));
    assert_int_equal(tri_token_bytes(o.tokenizer, BYTES + 2, true).size, 0);
    close_file(&o);
    free(huge);
}

static void strange_token_types(void **state)
{
    static const struct token more[] = {{"ab", 0}, {"cd", -1}, {"ef", 7}, {"gh", 2147483647},
                                        {"ij", 5}, {"kl", 6},  {0}};
    static const char *const merges[] = {"a b", "c d", "e f", "g h", "i j", "k l", NULL};
    struct opened o = open_good(small_file(more, merges));
    (void)state;
    EXPECT(o, "abcdefghijkl", TRI_PARSE_SPECIAL, BYTES, BYTES + 1, BYTES + 2, BYTES + 3, BYTES + 4,
           BYTES + 5);
    close_file(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_follow_the_definition),
        cmocka_unit_test(merges_split_behind_their_first_byte),
        cmocka_unit_test(equal_tokens_and_merges),
        cmocka_unit_test(whole_pieces),
        cmocka_unit_test(useless_merges_are_told),
        cmocka_unit_test(a_byte_without_a_token),
        cmocka_unit_test(the_longest_token_comes_first),
        cmocka_unit_test(very_long_special_tokens),
        cmocka_unit_test(a_huge_special_token),
        cmocka_unit_test(control_tokens_are_not_text),
        cmocka_unit_test(user_tokens_are_as_they_are),
        cmocka_unit_test(bos_and_eos),
        cmocka_unit_test(defaults),
        cmocka_unit_test(ids_out_of_range_are_ignored),
        cmocka_unit_test(unknown_pretokenizer),
        cmocka_unit_test(missing_pretokenizer),
        cmocka_unit_test(expressions_win_over_names),
        cmocka_unit_test(the_caller_wins_over_all),
        cmocka_unit_test(bad_expressions),
        cmocka_unit_test(other_models),
        cmocka_unit_test(arrays_that_disagree),
        cmocka_unit_test(keys_of_the_wrong_type),
        cmocka_unit_test(no_tokens),
        cmocka_unit_test(merges_without_a_space),
        cmocka_unit_test(strange_texts),
        cmocka_unit_test(strange_token_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
