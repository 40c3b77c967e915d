/* Batches of sessions: whatever else is in them, each session's logits are those it has alone. */
#include "engine/batch.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SESSIONS = 5, LENGTH = 290, VOCAB = 70, UBATCH = 64 }; /* the texts reach into a second block of attention */

struct hall {
    struct bytes file;
    struct tri_gguf *gguf;
    struct tri_pool *pool;
    struct tri_model *model;
    struct tri_workspace *work;
    struct tri_batch *batch;
    struct tri_session *session[SESSIONS];
    int32_t text[SESSIONS][LENGTH];
};

static void need(bool good, const struct tri_error *e)
{
    if (!good)
        fail_msg("%s", e->text);
}

static struct tri_session *new_session(struct hall *h, enum tri_cache_type type, int context)
{
    struct tri_error e = {0};
    const struct tri_session_options o = {
        .context = context, .cache_k = type, .cache_v = type, .workspace = h->work};
    struct tri_session *s = tri_session_new(h->model, h->pool, &o, &e);
    need(s, &e);
    return s;
}

static struct hall *hall_of(const struct synthetic *m, int threads, enum tri_cache_type type)
{
    struct tri_error e = {0};
    struct hall *h = calloc(1, sizeof *h);
    uint64_t random = 3;
    h->file = synthetic_file(m);
    need((h->gguf = tri_gguf_read(h->file.at, h->file.count, "test.gguf", &e)), &e);
    need((h->pool = tri_pool_new(threads, &e)), &e);
    need((h->model = tri_model_load(h->gguf, h->pool, &e)), &e);
    need((h->work = tri_workspace_new(h->model, h->pool, &(struct tri_workspace_options){.ubatch = UBATCH}, &e)), &e);
    need((h->batch = tri_batch_new(h->work, &e)), &e);
    for (int i = 0; i < SESSIONS; i++) {
        h->session[i] = new_session(h, type, LENGTH + i);
        for (int t = 0; t < LENGTH; t++)
            h->text[i][t] = (int32_t)(any(&random) % (VOCAB - 1));
    }
    return h;
}

static void leave(struct hall *h)
{
    tri_batch_free(h->batch);
    for (int i = 0; i < SESSIONS; i++)
        tri_session_free(h->session[i]);
    tri_workspace_free(h->work);
    tri_model_free(h->model);
    tri_pool_free(h->pool);
    tri_gguf_close(h->gguf);
    free(h->file.at);
    free(h);
}

/* -- the same bits ----------------------------------------------------- */

typedef float scores[LENGTH][VOCAB];

static void keep(void *arg, int i, const float *logits)
{
    memcpy(((float(*)[VOCAB])arg)[i], logits, VOCAB * sizeof *logits);
}

/* Every session's logits at every position, each fed alone. */
static scores *alone(const struct synthetic *m, enum tri_cache_type type)
{
    struct tri_error e = {0};
    struct hall *h = hall_of(m, 1, type);
    scores *all = calloc(SESSIONS, sizeof *all);
    for (int i = 0; i < SESSIONS; i++)
        need(tri_session_score(h->session[i], h->text[i], LENGTH, keep, all[i], &e) == TRI_OK, &e);
    leave(h);
    return all;
}

struct addition {
    int session, from, count;
    enum tri_logits wanted;
};

/* Some of the next tokens of some sessions, one more than once; false when the texts are through. */
static bool add_some(struct hall *h, int at[SESSIONS], uint64_t *random, struct addition *a, int *count)
{
    struct tri_error e = {0};
    bool left = false;
    *count = 0;
    for (int tries = 0; tries < 2 * SESSIONS; tries++) {
        const int i = (int)(any(random) % SESSIONS), most = any(random) % 3 ? 1 : 40;
        int n = 1 + (int)(any(random) % (unsigned)most);
        n = n < LENGTH - at[i] ? n : LENGTH - at[i];
        if (n < 1 || n > tri_batch_room(h->batch))
            continue;
        a[*count] = (struct addition){i, at[i], n, (enum tri_logits)(any(random) % 3)};
        need(tri_batch_add(h->batch, h->session[i], h->text[i] + at[i], n, a[*count].wanted, &e) == TRI_OK, &e);
        (*count)++;
        at[i] += n;
    }
    for (int i = 0; i < SESSIONS; i++)
        left |= at[i] < LENGTH;
    return left;
}

static void compare(const struct hall *h, const struct addition *a, int count, scores *expected)
{
    for (int i = 0, token = 0; i < count; i++)
        for (int t = 0; t < a[i].count; t++, token++) {
            const float *logits = tri_batch_logits(h->batch, token);
            const bool last = t == a[i].count - 1, all = a[i].wanted == TRI_LOGITS_ALL;
            const bool wanted = all || (last && a[i].wanted == TRI_LOGITS_LAST);
            assert_int_equal(logits != NULL, wanted);
            if (wanted)
                assert_memory_equal(logits, expected[a[i].session][a[i].from + t], VOCAB * sizeof *logits);
        }
}

static void mix(const struct synthetic *m, int threads, enum tri_cache_type type, uint64_t seed, scores *expected)
{
    struct tri_error e = {0};
    struct hall *h = hall_of(m, threads, type);
    struct addition a[2 * SESSIONS];
    int at[SESSIONS] = {0}, count = 0;
    for (bool left = true; left;) {
        left = add_some(h, at, &seed, a, &count);
        if (count)
            need(tri_batch_run(h->batch, &e) == TRI_OK, &e);
        compare(h, a, count, expected);
        for (int i = 0; i < SESSIONS; i++)
            assert_int_equal(tri_session_position(h->session[i]), at[i]);
    }
    leave(h);
}

static void company_changes_nothing(void **unused)
{
    (void)unused;
    static const enum tri_cache_type types[] = {TRI_CACHE_F32, TRI_CACHE_F16, TRI_CACHE_Q8_0};
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    for (int i = 0; i < 3; i++) {
        m.arch = i == 2 ? "llama" : m.arch;
        m.sub_norms = i != 2;
        scores *expected = alone(&m, types[i]);
        for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
            const int threads = 1 + (i + (int)(isa - tri_isas)) % 3;
            if (!isa->present())
                continue;
            assert_int_equal(tri_dispatch_limit(isa->name, &e), TRI_OK);
            mix(&m, threads, types[i], (uint64_t)(isa - tri_isas), expected);
        }
        assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
        free(expected);
    }
}

/* -- mistakes ---------------------------------------------------------- */

static void expect(enum tri_status found, enum tri_status expected, const struct tri_error *e, const char *words)
{
    assert_int_equal(found, expected);
    if (!strstr(e->text, words))
        fail_msg("expected \"%s\" in \"%s\"", words, e->text);
}

static void wrong_additions_are_refused(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    struct hall *h = hall_of(&m, 2, TRI_CACHE_F32), *foreign = hall_of(&m, 1, TRI_CACHE_F32);
    struct tri_session *s = h->session[0], *small = new_session(h, TRI_CACHE_F32, 10);
    const int32_t wrong[2] = {1, VOCAB};
    expect(tri_batch_run(h->batch, &e), TRI_USAGE, &e, "expected tokens, found none");
    expect(tri_batch_add(h->batch, foreign->session[0], h->text[0], 1, TRI_LOGITS_LAST, &e), TRI_USAGE, &e, "another");
    expect(tri_batch_add(h->batch, s, h->text[0], UBATCH + 1, TRI_LOGITS_LAST, &e), TRI_USAGE, &e, "at most 64");
    expect(tri_batch_add(h->batch, s, h->text[0], 0, TRI_LOGITS_LAST, &e), TRI_USAGE, &e, "at least one");
    expect(tri_batch_add(h->batch, s, wrong, 2, TRI_LOGITS_LAST, &e), TRI_USAGE, &e, "token 1: expected an id");
    expect(tri_batch_add(h->batch, small, h->text[0], 11, TRI_LOGITS_LAST, &e), TRI_FAILED, &e, "11 tokens do not fit");
    assert_int_equal(tri_batch_add(h->batch, small, h->text[0], 6, TRI_LOGITS_LAST, &e), TRI_OK);
    assert_int_equal(tri_batch_add(h->batch, s, h->text[0], 1, TRI_LOGITS_LAST, &e), TRI_OK);
    expect(tri_batch_add(h->batch, small, h->text[0], 5, TRI_LOGITS_LAST, &e), TRI_FAILED, &e, "behind the 6 already");
    assert_int_equal(tri_batch_room(h->batch), UBATCH - 7);
    assert_null(tri_batch_logits(h->batch, 5)); /* not before it ran */
    assert_int_equal(tri_batch_run(h->batch, &e), TRI_OK);
    assert_null(tri_batch_logits(h->batch, -1));
    assert_null(tri_batch_logits(h->batch, 4));
    assert_non_null(tri_batch_logits(h->batch, 5));
    assert_non_null(tri_batch_logits(h->batch, 6));
    assert_null(tri_batch_logits(h->batch, 7));
    tri_session_free(small);
    leave(foreign);
    leave(h);
}

static void moved_sessions_are_refused(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    struct hall *h = hall_of(&m, 2, TRI_CACHE_F32);
    const float *logits;
    for (int i = 0; i < 2; i++)
        need(tri_batch_add(h->batch, h->session[i], h->text[i], 4, TRI_LOGITS_LAST, &e) == TRI_OK, &e);
    need(tri_session_feed(h->session[1], h->text[1], 3, &logits, &e) == TRI_OK, &e);
    expect(tri_batch_run(h->batch, &e), TRI_USAGE, &e, "addition 1: expected it at position 0");
    assert_int_equal(tri_session_position(h->session[0]), 0);
    assert_int_equal(tri_batch_room(h->batch), UBATCH);
    leave(h);
}

/* One session meets an infinite embedding: it is named, nobody moves, and without it the others go on. */
static void overflow_is_told_of_whom(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    m.embedding = 0;
    m.spoilt = "token_embd.weight";
    struct hall *h = hall_of(&m, 2, TRI_CACHE_F32);
    const float *logits;
    float expected[VOCAB];
    h->text[1][2] = VOCAB - 1;
    for (int i = 0; i < 3; i++)
        need(tri_batch_add(h->batch, h->session[i], h->text[i], 4, TRI_LOGITS_LAST, &e) == TRI_OK, &e);
    expect(tri_batch_run(h->batch, &e), TRI_FAILED, &e, "addition 1: position 2: activations");
    assert_null(tri_batch_logits(h->batch, 3));
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(tri_session_position(h->session[i]), 0);
        need(tri_batch_add(h->batch, h->session[i], h->text[i], 4, TRI_LOGITS_LAST, &e) == TRI_OK, &e);
    }
    need(tri_batch_run(h->batch, &e) == TRI_OK, &e);
    memcpy(expected, tri_batch_logits(h->batch, 7), sizeof expected);
    tri_session_rewind(h->session[2], 0);
    need(tri_session_feed(h->session[2], h->text[2], 4, &logits, &e) == TRI_OK, &e);
    assert_memory_equal(logits, expected, sizeof expected);
    leave(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(company_changes_nothing),
        cmocka_unit_test(wrong_additions_are_refused),
        cmocka_unit_test(moved_sessions_are_refused),
        cmocka_unit_test(overflow_is_told_of_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
