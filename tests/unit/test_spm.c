/* SentencePiece vocabularies written for the purpose: merges against the definition, applied to the whole text at once,
 * spaces, bytes, special tokens, and files that lie. */
#include "made_vocabulary.h"

#include <math.h>

#define M "\xE2\x96\x81"

struct scored {
    const char *text;
    float score;
    int type;
};

enum { FIRST_BYTE = 3, FIRST = FIRST_BYTE + BYTES }; /* unknown, bos, eos, bytes, then those of the test */

static void put_scored(struct file *f, const struct scored *more)
{
    static const char *const special[FIRST_BYTE] = {"<unk>", "<s>", "</s>"};
    uint64_t count = 0;
    while (more[count].text)
        count++;
    key_array(f, "tokens", TRI_STRING, FIRST + count);
    for (int i = 0; i < FIRST_BYTE; i++)
        put_text(f, special[i]);
    for (unsigned c = 0; c < BYTES; c++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", c);
        put_text(f, text);
    }
    for (uint64_t i = 0; i < count; i++)
        put_text(f, more[i].text);
    key_array(f, "token_type", TRI_I32, FIRST + count);
    for (uint64_t i = 0; i < FIRST + count; i++)
        put_u32(f, i == 0 ? 2 : i < FIRST_BYTE ? 3 : i < FIRST ? 6 : (uint32_t)more[i - FIRST].type);
    key_array(f, "scores", TRI_F32, FIRST + count);
    for (uint64_t i = 0; i < FIRST + count; i++) {
        const float score = i < FIRST ? 0 : more[i - FIRST].score;
        put(f, &score, sizeof score);
    }
}

static struct file scored_file(const struct scored *more, bool space)
{
    struct file f = new_file("llama");
    put_scored(&f, more);
    key_bool(&f, "add_space_prefix", space);
    return f;
}

/* -- merges -------------------------------------------------------------------- */

/* Equal scores, tokens that reach over spaces, a character that is no token by itself (c), one of two bytes. */
static const struct scored words[] = {
    {M, -9, 1},
    {"a", -9, 1},
    {"b", -9, 1},
    {"\u00e9", -9, 1},
    {M "a", -1, 1},
    {"ab", -2, 1},
    {"ba", -2, 1},
    {"aa", -2, 1},
    {M M, -0.5f, 1},
    {"b" M "a", 1, 1},
    {"b" M, -3, 1},
    {"abab", 0, 1},
    {"ac", 2.5f, 1},
    {"aca", 3, 1},
    {M M M M, -0.f, 1},
    {"\u00e9a", -2, 1},
    {M "ab", 0.f, 1},
    {"bb", -2, 1},
    {0},
};

static int32_t id_of(const char *text, size_t size)
{
    for (int32_t k = 0; words[k].text; k++)
        if (strlen(words[k].text) == size && !memcmp(words[k].text, text, size))
            return k;
    return -1;
}

struct piece {
    const char *at;
    size_t size;
};

static size_t characters(const char *text, struct piece *p)
{
    size_t count = 0;
    for (; *text; text += p[count++].size)
        p[count] = (struct piece){text, (unsigned char)*text < 0x80 ? 1 : (unsigned char)*text < 0xE0 ? 2 : 3};
    return count;
}

/* The definition, word for word. */
static size_t oracle(const char *marked, int32_t *ids)
{
    static struct piece p[1024];
    size_t count = characters(marked, p), n = 0;
    for (;;) {
        size_t best = count;
        float most = -INFINITY;
        for (size_t i = 0; i + 1 < count; i++) {
            int32_t id = id_of(p[i].at, p[i].size + p[i + 1].size);
            if (id >= 0 && words[id].score > most) {
                best = i;
                most = words[id].score;
            }
        }
        if (best == count)
            break;
        p[best].size += p[best + 1].size;
        memmove(p + best + 1, p + best + 2, (--count - best - 1) * sizeof *p);
    }
    for (size_t i = 0; i < count; i++) {
        int32_t id = id_of(p[i].at, p[i].size);
        for (size_t b = 0; id < 0 && b < p[i].size; b++)
            ids[n++] = FIRST_BYTE + (unsigned char)p[i].at[b];
        if (id >= 0)
            ids[n++] = FIRST + id;
    }
    return n;
}

static void merges_follow_the_definition(void **state)
{
    static const char *const units[] = {"a", "b", " ", " ", "\u00e9", "c", "ab", "a"};
    struct opened o[2] = {open_good(scored_file(words, false)), open_good(scored_file(words, true))};
    uint32_t x = 5;
    (void)state;
    for (int round = 0; round < 4000; round++) {
        char text[600] = "", marked[1800] = "";
        int32_t want[1800];
        const bool space = round & 1;
        if (space)
            strcat(marked, M);
        for (int i = 0; i <= round % 120; i++) {
            const char *unit = units[(x = x * 1664525 + 1013904223) >> 29];
            strcat(text, unit);
            strcat(marked, *unit == ' ' ? M : unit);
        }
        expect(&o[space], text, 0, want, oracle(marked, want));
    }
    close_file(&o[0]);
    close_file(&o[1]);
}

/* Cut nowhere: each would take hours if a merge cost time for every symbol. */
static void long_words_end(void **state)
{
    static const char *const units[] = {"a", "ab", " ", "b a", "c", "\xff", "\u00e9a"};
    struct opened o = open_good(scored_file(words, true));
    const size_t size = 1 << 19;
    char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        struct tri_ids ids = {0};
        for (size_t i = 0; i < size; i++)
            text[i] = units[u][i % strlen(units[u])];
        assert_int_equal(tri_tokenize(o.tokenizer, text, size, 0, &ids, &o.error), TRI_OK);
        size_t bytes = 0;
        for (size_t i = 0; i < ids.count; i++)
            bytes += tri_token_bytes(o.tokenizer, ids.at[i], true).size;
        assert_int_equal(bytes, size + 1);
        tri_ids_free(&ids);
    }
    free(text);
    close_file(&o);
}

/* -- spaces, bytes, special tokens ------------------------------------------------ */

static void spaces_in_front(void **state)
{
    static const struct scored more[] = {{M, -1, 1}, {"a", -1, 1}, {"<x>", -1000, 4}, {M "a", 0, 1}, {0}};
    (void)state;
    struct opened o = open_good(scored_file(more, true));
    EXPECT(o, "a", 0, FIRST + 3);
    assert_int_equal(tri_token_bytes_behind(o.tokenizer, -1, FIRST + 3, false).size, 1);
    assert_int_equal(tri_token_bytes_behind(o.tokenizer, FIRST + 2, FIRST + 3, false).size, 1);
    assert_int_equal(tri_token_bytes_behind(o.tokenizer, FIRST + 1, FIRST + 3, false).size, 2);
    EXPECT(o, "a<x>a", 0, FIRST + 3, FIRST + 2, FIRST + 3);
    EXPECT(o, "<s>a a", TRI_PARSE_SPECIAL, 1, FIRST + 3, FIRST + 3);
    EXPECT(o, " ", 0, FIRST, FIRST);
    expect(&o, "", 0, NULL, 0);
    close_file(&o);
    o = open_good(scored_file(more, false));
    assert_int_equal(tri_token_bytes_behind(o.tokenizer, -1, FIRST + 3, false).size, 2);
    EXPECT(o, "a a", 0, FIRST + 1, FIRST + 3);
    EXPECT(o, "a<x>a", 0, FIRST + 1, FIRST + 2, FIRST + 1);
    close_file(&o);
    struct file f = new_file("llama");
    put_scored(&f, more);
    o = open_good(f);
    EXPECT(o, "a", 0, FIRST + 3); /* unless the file says otherwise */
    close_file(&o);
}

static void bytes_stand_for_themselves(void **state)
{
    static const struct scored more[] = {{"a", -1, 1}, {"<0xg0>", -1, 6}, {"<0x0a>", -1, 6}, {0}};
    struct opened o = open_good(scored_file(more, false));
    (void)state;
    EXPECT(o, "a\n\xff\u20ac", 0, FIRST, FIRST_BYTE + 10, FIRST_BYTE + 0xff, FIRST_BYTE + 0xe2, FIRST_BYTE + 0x82,
           FIRST_BYTE + 0xac);
    assert_memory_equal(tri_token_bytes(o.tokenizer, FIRST_BYTE + 0xe2, false).at, "\xe2", 1);
    for (int c = 0; c < BYTES; c++)
        assert_int_equal(tri_token_bytes(o.tokenizer, FIRST_BYTE + c, false).size, 1);
    for (int i = 1; i <= 2; i++) /* of another spelling: a text like others */
        assert_int_equal(tri_token_bytes(o.tokenizer, FIRST + i, false).size, 6);
    close_file(&o);
}

/* Neither does text become a control token, nor the text of one in pieces. */
static void control_tokens_are_not_text(void **state)
{
    static const struct scored more[] = {{"<", -1, 1}, {"s", -1, 1}, {">", -1, 1}, {"<s", 5, 1}, {0}};
    struct opened o = open_good(scored_file(more, false));
    (void)state;
    EXPECT(o, "<s>", 0, FIRST + 3, FIRST + 2);
    EXPECT(o, "<s>", TRI_PARSE_SPECIAL, 1);
    assert_int_equal(tri_token_bytes(o.tokenizer, 1, false).size, 0);
    close_file(&o);
}

static void what_llama_cpp_assumes(void **state)
{
    static const struct scored more[] = {{"a", -1, 1}, {0}};
    struct opened o = open_good(scored_file(more, false));
    (void)state;
    assert_int_equal(tri_bos(o.tokenizer), 1);
    assert_true(tri_adds_bos(o.tokenizer));
    assert_true(tri_ends_generation(o.tokenizer, 2));
    EXPECT(o, "a", TRI_ADD_SPECIAL, 1, FIRST);
    close_file(&o);
}

/* -- files that lie --------------------------------------------------------------- */

static struct file two_tokens(float score)
{
    struct file f = new_file("llama");
    key_array(&f, "tokens", TRI_STRING, 2);
    put_text(&f, "a");
    put_text(&f, "\xff\xe2\x96");
    key_array(&f, "scores", TRI_F32, 2);
    put(&f, &(float){1}, sizeof(float));
    put(&f, &score, sizeof score);
    return f;
}

static void bad_scores(void **state)
{
    (void)state;
    refused(two_tokens(NAN), TRI_BAD_FILE, "score of token 1");
    struct opened o = open_good(two_tokens(-INFINITY));
    EXPECT(o, "a", 0, 0, 0, 0, 0); /* the space has no token: the unknown one is 0 */
    close_file(&o);
    struct file f = new_file("llama");
    key_array(&f, "tokens", TRI_STRING, 1);
    put_text(&f, "a");
    refused(f, TRI_BAD_FILE, "tokenizer.ggml.scores");
    f = two_tokens(0);
    key_text(&f, "add_space_prefix", "yes");
    refused(f, TRI_BAD_FILE, "add_space_prefix");
}

static void a_byte_without_a_token(void **state)
{
    struct file f = two_tokens(0);
    struct tri_ids ids = {0};
    (void)state;
    key_u32(&f, "unknown_token_id", 7); /* out of range: there is none */
    struct opened o = open_good(f);
    assert_int_equal(tri_tokenize(o.tokenizer, "ab", 2, 0, &ids, &o.error), TRI_UNSUPPORTED);
    assert_non_null(strstr(o.error.text, "0xE2"));
    assert_int_equal(ids.count, 0);
    close_file(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_follow_the_definition),
        cmocka_unit_test(long_words_end),
        cmocka_unit_test(spaces_in_front),
        cmocka_unit_test(bytes_stand_for_themselves),
        cmocka_unit_test(control_tokens_are_not_text),
        cmocka_unit_test(what_llama_cpp_assumes),
        cmocka_unit_test(bad_scores),
        cmocka_unit_test(a_byte_without_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
