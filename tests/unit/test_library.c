/* The public interface, as a program sees it: one engine, many threads, and mistakes. */
#include "include/tritune.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXTS = 6, LENGTH = 30, CONTEXT = 40 };
static const char *const model = "tests/model/tiny-tales-i2_s.gguf";

static struct tri_engine *open_engine(const struct tri_engine_options *o)
{
    struct tri_error e = {0};
    struct tri_engine *engine = tri_engine_open(model, o, &e);
    if (!engine)
        fail_msg("%s", e.text);
    return engine;
}

static struct tri_session *new_session(struct tri_engine *engine)
{
    struct tri_error e = {0};
    struct tri_session *s = tri_engine_session(engine, CONTEXT, TRI_CACHE_F16, TRI_CACHE_Q8_0, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static int32_t token(int text, int i)
{
    return (int32_t)((unsigned)(text * 7919 + i * 104729 + i * i) % 4096u);
}

/* -- threads ----------------------------------------------------------- */

struct reader {
    struct tri_engine *engine;
    const float *expected; /* [TEXTS][vocabulary] behind the texts */
    int text, count;       /* texts from `text` on, in one batch if several */
    bool failed;           /* cmocka's assertions are not for other threads */
};

/* One text alone, fed a few tokens at a time. */
static bool read_alone(const struct reader *r)
{
    struct tri_error e;
    struct tri_session *s = tri_engine_session(r->engine, CONTEXT, TRI_CACHE_F16, TRI_CACHE_Q8_0, &e);
    const size_t vocab = (size_t)tri_engine_vocabulary(r->engine);
    const float *logits = NULL;
    bool good = s != NULL;
    for (int at = 0, n; good && at < LENGTH; at += n) {
        int32_t ids[3];
        n = 1 + (at + r->text) % 3;
        n = n < LENGTH - at ? n : LENGTH - at;
        for (int i = 0; i < n; i++)
            ids[i] = token(r->text, at + i);
        good = tri_session_feed(s, ids, n, &logits, &e) == TRI_OK;
    }
    good = good && memcmp(logits, r->expected + (size_t)r->text * vocab, vocab * sizeof *logits) == 0;
    tri_session_free(s);
    return good;
}

static bool read_batched(const struct reader *r)
{
    struct tri_error e;
    struct tri_batch *b = tri_engine_batch(r->engine, &e);
    struct tri_session *s[TEXTS] = {0};
    const size_t vocab = (size_t)tri_engine_vocabulary(r->engine);
    bool good = b != NULL;
    for (int i = 0; i < r->count; i++)
        good = (s[i] = tri_engine_session(r->engine, CONTEXT, TRI_CACHE_F16, TRI_CACHE_Q8_0, &e)) && good;
    for (int at = 0; good && at < LENGTH; at++) {
        for (int i = 0; i < r->count; i++)
            good = tri_batch_add(b, s[i], &(int32_t){token(r->text + i, at)}, 1, TRI_LOGITS_LAST, &e) == TRI_OK && good;
        good = good && tri_batch_run(b, &e) == TRI_OK;
    }
    for (int i = 0; good && i < r->count; i++)
        good = memcmp(tri_batch_logits(b, i), r->expected + (size_t)(r->text + i) * vocab, vocab * sizeof(float)) == 0;
    for (int i = 0; i < r->count; i++)
        tri_session_free(s[i]);
    tri_batch_free(b);
    return good;
}

static void *read_text(void *arg)
{
    struct reader *r = arg;
    struct tri_error e;
    struct tri_ids ids = {0};
    const struct tri_tokenizer *t = tri_engine_tokenizer(r->engine);
    r->failed = !(r->count > 1 ? read_batched(r) : read_alone(r)) ||
                tri_tokenize(t, "The dog ran home.", 17, TRI_ADD_SPECIAL, &ids, &e) != TRI_OK || ids.count < 5;
    tri_ids_free(&ids);
    return NULL;
}

static float *expected_of(struct tri_engine *engine)
{
    struct tri_error e;
    const size_t vocab = (size_t)tri_engine_vocabulary(engine);
    float *all = calloc(TEXTS * vocab, sizeof *all);
    for (int text = 0; text < TEXTS; text++) {
        struct tri_session *s = new_session(engine);
        int32_t ids[LENGTH];
        const float *logits;
        for (int i = 0; i < LENGTH; i++)
            ids[i] = token(text, i);
        assert_int_equal(tri_session_feed(s, ids, LENGTH, &logits, &e), TRI_OK);
        memcpy(all + (size_t)text * vocab, logits, vocab * sizeof *all);
        tri_session_free(s);
    }
    return all;
}

static void threads_do_not_meet(void **unused)
{
    (void)unused;
    struct tri_engine *engine = open_engine(&(struct tri_engine_options){.threads = 2, .ubatch = 8});
    float *expected = expected_of(engine);
    pthread_t thread[4];
    struct reader reader[4] = {{engine, expected, 0, 1, false},
                               {engine, expected, 1, 1, false},
                               {engine, expected, 2, 3, false},
                               {engine, expected, 5, 1, false}};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_text, &reader[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_false(reader[i].failed);
    free(expected);
    tri_engine_free(engine);
}

/* -- engines beside each other ----------------------------------------- */

static void *open_and_read(void *arg)
{
    struct reader *r = arg;
    struct tri_error e;
    const struct tri_engine_options o = {.isa = r->text % 2 ? "c" : NULL, .threads = 1 + r->text % 3};
    r->engine = tri_engine_open(model, &o, &e);
    r->failed = !r->engine || !read_alone(r);
    tri_engine_free(r->engine);
    return NULL;
}

static void engines_do_not_meet(void **unused)
{
    (void)unused;
    struct tri_engine *engine = open_engine(NULL);
    float *expected = expected_of(engine);
    pthread_t thread[3];
    struct reader reader[3];
    for (int i = 0; i < 3; i++) {
        reader[i] = (struct reader){.expected = expected, .text = i, .count = 1};
        assert_int_equal(pthread_create(&thread[i], NULL, open_and_read, &reader[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 3; i++)
        assert_false(reader[i].failed);
    free(expected);
    tri_engine_free(engine);
}

/* -- a text ------------------------------------------------------------ */

static void what_is_saved_goes_on(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_engine *engine = open_engine(NULL);
    struct tri_session *s = new_session(engine);
    const size_t bytes = (size_t)tri_engine_vocabulary(engine) * sizeof(float);
    const float *logits;
    float *expected = malloc(bytes);
    int32_t ids[LENGTH];
    char path[64];
    snprintf(path, sizeof path, "/tmp/tri-library-%d.bin", (int)getpid());
    for (int i = 0; i < LENGTH; i++)
        ids[i] = token(1, i);
    assert_int_equal(tri_session_feed(s, ids, LENGTH, &logits, &e), TRI_OK);
    memcpy(expected, logits, bytes);
    assert_int_equal(tri_session_save(s, tri_session_position(s), path, &e), TRI_OK);
    tri_session_rewind(s, 0);
    assert_int_equal(tri_session_load(s, path, ids, LENGTH, &e), TRI_OK);
    assert_int_equal(tri_session_position(s), LENGTH - 1);
    assert_int_equal(tri_session_feed(s, ids + LENGTH - 1, 1, &logits, &e), TRI_OK);
    assert_memory_equal(logits, expected, bytes);
    free(expected);
    unlink(path);
    tri_session_free(s);
    tri_engine_free(engine);
}

static void texts_come_back(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_engine *engine = open_engine(NULL);
    const struct tri_tokenizer *t = tri_engine_tokenizer(engine);
    const char *text = "Lily saw a caf\xc3\xa9.";
    char back[64] = "";
    struct tri_ids ids = {0};
    assert_int_equal(tri_tokenize(t, text, strlen(text), TRI_ADD_SPECIAL, &ids, &e), TRI_OK);
    assert_int_equal(ids.at[0] == tri_bos(t), tri_adds_bos(t));
    for (size_t i = 0; i < ids.count; i++) {
        const struct tri_text piece = tri_token_bytes(t, ids.at[i], false);
        strncat(back, piece.at, piece.size);
    }
    assert_string_equal(back, text);
    assert_int_equal(tri_utf8_whole("caf\xc3", 4), 3);
    assert_true(tri_vocabulary_size(t) <= tri_engine_vocabulary(engine));
    assert_false(tri_ends_generation(t, -1));
    tri_ids_free(&ids);
    tri_engine_free(engine);
}

static void samplers_are_of_their_seed(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_engine *engine = open_engine(NULL);
    struct tri_session *s = new_session(engine);
    struct tri_sampling o = tri_sampling_defaults();
    const float *logits;
    int32_t drawn[2][8];
    assert_int_equal(tri_session_feed(s, &(int32_t){1}, 1, &logits, &e), TRI_OK);
    o.seed = 7;
    o.repeat_penalty = 0;
    for (int i = 0; i < 2; i++) {
        struct tri_sampler *sampler = tri_engine_sampler(engine, &o, &e);
        assert_non_null(sampler);
        assert_int_equal(tri_sampler_seed(sampler), 7);
        for (int j = 0; j < 8; j++)
            tri_sampler_accept(sampler, drawn[i][j] = tri_sampler_next(sampler, logits));
        tri_sampler_free(sampler);
    }
    assert_memory_equal(drawn[0], drawn[1], sizeof drawn[0]);
    o.repeat_penalty = -1;
    assert_null(tri_engine_sampler(engine, &o, &e));
    assert_int_equal(e.status, TRI_USAGE);
    tri_session_free(s);
    tri_engine_free(engine);
}

/* With drafts, what is drawn is what a loop by hand draws. */
static void generations_draw_what_loops_draw(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_engine *engine = open_engine(NULL);
    struct tri_session *by_hand = new_session(engine), *s = new_session(engine);
    const struct tri_sampling greedy = {.temperature = 0};
    struct tri_sampler *sampler = tri_engine_sampler(engine, &greedy, &e);
    struct tri_generation *g = tri_generation_new(
        s, sampler, &(struct tri_generation_options){.draft = 7, .tokens = 50, .shift = true, .keep = 1}, &e);
    int32_t ids[3] = {token(0, 0), token(0, 1), token(0, 2)}, found;
    const float *logits;
    int drawn = 0;
    assert_non_null(g);
    assert_int_equal(tri_generation_feed(g, ids, 3, &e), TRI_OK);
    assert_int_equal(tri_session_feed(by_hand, ids, 3, &logits, &e), TRI_OK);
    for (; !tri_generation_over(g); drawn++) {
        const int32_t expected = tri_sampler_next(sampler, logits);
        assert_int_equal(tri_generation_next(g, &found, &e), TRI_OK);
        assert_int_equal(found, expected);
        if (tri_session_position(by_hand) == CONTEXT)
            assert_int_equal(tri_session_shift(by_hand, 1, &e), TRI_OK);
        assert_int_equal(tri_session_feed(by_hand, &expected, 1, &logits, &e), TRI_OK);
    }
    assert_int_equal(drawn, 50);
    assert_int_equal(tri_generation_counts(g).dropped, (CONTEXT - 1) / 2);
    tri_generation_free(g), tri_sampler_free(sampler);
    tri_session_free(s), tri_session_free(by_hand);
    tri_engine_free(engine);
}

/* A session that wants few logits gets those of one that wants all, and these again when it asks. */
static void wanted_logits_are_exact(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct tri_engine *full = open_engine(&(struct tri_engine_options){.head = TRI_HEAD_FULL});
    struct tri_engine *screened = open_engine(&(struct tri_engine_options){.head = TRI_HEAD_SCREENED});
    struct tri_session *a = new_session(full), *b = new_session(screened);
    const int vocab = tri_engine_vocabulary(full);
    const float *all, *some;
    int left_out = 0;
    for (int i = 0; i < 20; i++) {
        tri_session_want(b, i < 10 ? 5 : 0);
        assert_int_equal(tri_session_feed(a, &(int32_t){token(1, i)}, 1, &all, &e), TRI_OK);
        assert_int_equal(tri_session_feed(b, &(int32_t){token(1, i)}, 1, &some, &e), TRI_OK);
        for (int v = 0, greater; v < vocab; v++) {
            if (some[v] == all[v])
                continue;
            greater = 0;
            for (int w = 0; w < vocab; w++)
                greater += all[w] > all[v];
            assert_true(i < 10 && some[v] == -INFINITY && greater >= 5);
            left_out++;
            v += 97; /* not all of so many */
        }
    }
    assert_true(left_out > 0);
    tri_session_free(a), tri_session_free(b);
    tri_engine_free(full), tri_engine_free(screened);
}

/* -- mistakes ---------------------------------------------------------- */

static void wrong_options_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *path;
        struct tri_engine_options o;
        enum tri_status status;
        const char *words;
    } cases[] = {
        {NULL, {.threads = -1}, TRI_USAGE, "threads: expected 0 to 512, found -1"},
        {NULL, {.threads_batch = 513}, TRI_USAGE, "threads_batch: expected 0 to 512"},
        {NULL, {.ubatch = 1 << 30}, TRI_USAGE, "ubatch: expected 0 to 65536"},
        {NULL, {.ffn = (enum tri_ffn)3}, TRI_USAGE, "ffn"},
        {NULL, {.head = (enum tri_head)3}, TRI_USAGE, "head"},
        {NULL, {.isa = "mmx"}, TRI_USAGE, "'mmx' is not linked"},
        {"nowhere.gguf", {0}, TRI_BAD_FILE, "nowhere.gguf"},
        {"README.md", {0}, TRI_BAD_FILE, "README.md"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tri_error e = {0};
        assert_null(tri_engine_open(cases[i].path, &cases[i].o, &e));
        assert_int_equal(e.status, cases[i].status);
        if (!strstr(e.text, cases[i].words))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].words, e.text);
    }
}

static void longer_sessions_are_noticed(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct tri_engine *engine = open_engine(NULL);
    const int context = tri_engine_context(engine);
    struct tri_session *s = tri_engine_session(engine, context, TRI_CACHE_F16, TRI_CACHE_F16, &e);
    assert_non_null(s);
    tri_session_free(s);
    const char *notice = tri_engine_notice(engine);
    assert_true(!notice || !strstr(notice, "more than"));
    s = tri_engine_session(engine, context + 1, TRI_CACHE_F16, TRI_CACHE_F16, &e);
    assert_non_null(s);
    tri_session_free(s);
    notice = tri_engine_notice(engine);
    assert_true(notice && strstr(notice, "more than"));
    tri_engine_free(engine);
}

static void wrong_sessions_are_refused(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_engine *engine = open_engine(NULL), *other = open_engine(&(struct tri_engine_options){.isa = "c"});
    struct tri_session *foreign = new_session(other);
    struct tri_batch *b = tri_engine_batch(engine, &e);
    assert_null(tri_engine_session(engine, -1, TRI_CACHE_F16, TRI_CACHE_F16, &e));
    assert_int_equal(e.status, TRI_USAGE);
    assert_null(tri_engine_session(engine, 8, (enum tri_cache_type)3, TRI_CACHE_F16, &e));
    assert_null(tri_engine_session(engine, 8, TRI_CACHE_F16, (enum tri_cache_type)-1, &e));
    assert_int_equal(tri_batch_add(b, foreign, &(int32_t){1}, 1, TRI_LOGITS_LAST, &e), TRI_USAGE);
    struct tri_session *whole = tri_engine_session(engine, 0, TRI_CACHE_F16, TRI_CACHE_F16, &e);
    assert_int_equal(tri_session_context(whole), tri_engine_context(engine));
    tri_session_free(whole);
    tri_session_free(NULL), tri_batch_free(NULL), tri_sampler_free(NULL), tri_engine_free(NULL);
    tri_batch_free(b);
    tri_session_free(foreign);
    tri_engine_free(other);
    tri_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_meet),
        cmocka_unit_test(engines_do_not_meet),
        cmocka_unit_test(what_is_saved_goes_on),
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(samplers_are_of_their_seed),
        cmocka_unit_test(generations_draw_what_loops_draw),
        cmocka_unit_test(wanted_logits_are_exact),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(longer_sessions_are_noticed),
        cmocka_unit_test(wrong_sessions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
