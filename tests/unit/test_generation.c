/* Generation: with drafts and without come the same tokens, which are those of a loop of single feeds. */
#include "engine/generation.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MOST = 512, MOST_DRAFT = 7 };

struct engine {
    struct bytes bytes;
    struct tri_gguf *g;
    struct tri_pool *pool;
    struct tri_model *model;
};

static struct engine engine_of(struct engine n, int threads)
{
    struct tri_error e = {0};
    assert_non_null(n.g);
    n.pool = tri_pool_new(threads, &e);
    n.model = n.pool ? tri_model_load(n.g, n.pool, &e) : NULL;
    if (!n.model)
        fail_msg("%s", e.text);
    return n;
}

static struct engine synthetic(const struct synthetic *m)
{
    struct tri_error e = {0};
    struct engine n = {.bytes = synthetic_file(m)};
    n.g = tri_gguf_read(n.bytes.at, n.bytes.count, "test.gguf", &e);
    return engine_of(n, 2);
}

static struct engine tiny_tales(void)
{
    struct tri_error e = {0};
    return engine_of((struct engine){.g = tri_gguf_open("tests/model/tiny-tales-i2_s.gguf", &e)}, 2);
}

static void stop(struct engine *n)
{
    tri_model_free(n->model);
    tri_pool_free(n->pool);
    tri_gguf_close(n->g);
    free(n->bytes.at);
}

static struct tri_session *session(const struct engine *n, int context, int ubatch)
{
    struct tri_error e = {0};
    struct tri_session_options o = {.context = context, .ubatch = ubatch};
    struct tri_session *s = tri_session_new(n->model, n->pool, &o, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

/* -- stories ----------------------------------------------------------- */

struct story {
    struct tri_sampling sampling;
    int context, ubatch, tokens; /* < 0: until the context is full */
    int32_t text[MOST];          /* the prompt, then what was drawn */
    int prompt, count;
    struct tri_generation_counts counts;
};

static void seed_prompt(struct story *s, const int32_t *ids, int count, int times)
{
    s->prompt = count * times;
    for (int i = 0; i < s->prompt; i++)
        s->text[i] = ids[i % count];
    s->count = s->prompt;
}

static struct tri_sampler *sampler(const struct engine *n, const struct story *s)
{
    struct tri_error e = {0};
    struct tri_sampler *sampler = tri_sampler_new(&s->sampling, n->model->config.vocab, &e);
    assert_non_null(sampler);
    return sampler;
}

/* One token at a time, without the module. */
static void tell_plainly(const struct engine *n, struct story *s)
{
    struct tri_error e = {0};
    struct tri_session *of = session(n, s->context, s->ubatch);
    struct tri_sampler *chain = sampler(n, s);
    const float *logits;
    int drawn = 0;
    for (int i = 0; i < s->prompt; i++)
        tri_sampler_accept(chain, s->text[i]);
    assert_int_equal(tri_session_feed(of, s->text, s->prompt, &logits, &e), TRI_OK);
    while (drawn++ != s->tokens) {
        int32_t *id = &s->text[s->count++];
        *id = tri_sampler_next(chain, logits);
        tri_sampler_accept(chain, *id);
        if (tri_session_position(of) == tri_session_context(of))
            break;
        assert_int_equal(tri_session_feed(of, id, 1, &logits, &e), TRI_OK);
    }
    tri_sampler_free(chain);
    tri_session_free(of);
}

static void tell(const struct engine *n, struct story *s, int draft)
{
    struct tri_error e = {0};
    struct tri_session *of = session(n, s->context, s->ubatch);
    struct tri_sampler *chain = sampler(n, s);
    const struct tri_generation_options o = {.draft = draft, .tokens = s->tokens};
    struct tri_generation *g = tri_generation_new(of, chain, &o, &e);
    const int half = s->prompt / 2;
    assert_non_null(g);
    if (half)
        assert_int_equal(tri_generation_feed(g, s->text, half, &e), TRI_OK);
    assert_int_equal(tri_generation_feed(g, s->text + half, s->prompt - half, &e), TRI_OK);
    while (!tri_generation_over(g))
        if (tri_generation_next(g, &s->text[s->count++], &e) != TRI_OK)
            fail_msg("%s", e.text);
    s->counts = tri_generation_counts(g);
    tri_generation_free(g);
    tri_sampler_free(chain);
    tri_session_free(of);
}

/* The story under some drafts; returns how many tokens were accepted in all. */
static int same_with_drafts(const struct engine *n, const struct story *begun)
{
    static const int drafts[] = {0, 1, 3, MOST_DRAFT, 100};
    struct story expected = *begun;
    int accepted = 0;
    tell_plainly(n, &expected);
    for (size_t i = 0; i < sizeof drafts / sizeof drafts[0]; i++) {
        struct story found = *begun;
        tell(n, &found, drafts[i]);
        assert_int_equal(found.count, expected.count);
        assert_memory_equal(found.text, expected.text, (size_t)found.count * sizeof found.text[0]);
        assert_true(found.counts.accepted <= found.counts.drafted);
        assert_true(drafts[i] > 0 || found.counts.drafted == 0);
        accepted += found.counts.accepted;
    }
    return accepted;
}

/* "<|begin_of_text|>Once in a summer-time the bear and the wolf were walking in the forest" */
static const int32_t opening[] = {4094, 594, 306, 2592, 1770, 2753, 261, 1052, 270, 261, 2831, 406, 1726, 306, 261, 1369};
enum { OPENING = sizeof opening / sizeof opening[0] };

static void samplings_draw_the_same(void **unused)
{
    (void)unused;
    static const struct tri_sampling samplings[] = {
        {.seed = 1, .temperature = 0, .top_p = 1, .repeat_penalty = 1},
        {.seed = 1, .temperature = 0, .top_p = 1, .repeat_penalty = 1.3f, .repeat_last_n = 20},
        {.seed = 2, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .repeat_penalty = 1},
        {.seed = 3, .temperature = 0.3f, .top_k = 5, .top_p = 1, .repeat_penalty = 1},
        {.seed = 4, .temperature = 0.8f, .top_p = 0.9f, .repeat_penalty = 1},
        {.seed = 5, .temperature = 0.8f, .top_p = 1, .min_p = 0.1f, .repeat_penalty = 1.1f, .repeat_last_n = 64},
        {.seed = 6, .temperature = 1.2f, .top_k = 40, .top_p = 0.5f, .repeat_penalty = 1.5f, .repeat_last_n = 300},
    };
    struct engine n = tiny_tales();
    for (size_t i = 0; i < sizeof samplings / sizeof samplings[0]; i++)
        for (int times = 1; times < 6; times += 4) {
            struct story s = {.sampling = samplings[i], .context = 300, .tokens = 90};
            seed_prompt(&s, opening, OPENING, times);
            same_with_drafts(&n, &s);
        }
    stop(&n);
}

static void small_contexts_fill_up_the_same(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = synthetic(&m);
    static const int32_t ids[] = {7, 8, 9};
    for (int context = 3; context < 40; context++) {
        struct story s = {.sampling = TRI_SAMPLING_DEFAULTS, .context = context, .tokens = context % 3 ? -1 : 20};
        s.sampling.seed = (uint32_t)context;
        s.sampling.temperature = context % 2 ? 0 : 0.3f;
        seed_prompt(&s, ids, 3, context < 9 ? 1 : 3);
        same_with_drafts(&n, &s);
    }
    for (int ubatch = 1; ubatch < 5; ubatch++) {
        struct story s = {.sampling = TRI_SAMPLING_DEFAULTS, .context = 200, .ubatch = ubatch, .tokens = -1};
        s.sampling.temperature = 0;
        seed_prompt(&s, ids, 3, 20);
        same_with_drafts(&n, &s);
    }
    stop(&n);
}

/* A random model, greedy, soon goes round in circles. */
static void loops_are_drafted(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = synthetic(&m);
    static const int32_t ids[] = {3};
    struct story s = {.sampling = TRI_SAMPLING_DEFAULTS, .context = 400, .tokens = -1};
    s.sampling.temperature = 0;
    seed_prompt(&s, ids, 1, 1);
    assert_true(same_with_drafts(&n, &s) > 0);
    tell(&n, &s, MOST_DRAFT);
    assert_true(s.counts.accepted > 0);
    stop(&n);
}

static void limits_are_kept(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = synthetic(&m);
    static const int32_t ids[] = {3, 4};
    for (int tokens = 0; tokens < 5; tokens++) {
        struct story s = {.sampling = TRI_SAMPLING_DEFAULTS, .context = 100, .tokens = tokens};
        s.sampling.temperature = 0;
        seed_prompt(&s, ids, 2, 40);
        tell(&n, &s, MOST_DRAFT);
        assert_int_equal(s.count, s.prompt + tokens);
        assert_true(s.counts.drafted <= tokens);
    }
    stop(&n);
}

/* -- guesses of a session ---------------------------------------------- */

static void guesses_have_the_logits_of_single_tokens(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = synthetic(&m);
    struct tri_error e = {0};
    struct tri_session *one = session(&n, 60, 0), *many = session(&n, 60, 0);
    uint64_t random = 9;
    const float *single, *rows;
    int32_t ids[MOST_DRAFT + 1];
    int fed;
    while (tri_session_guesses(many) >= 0) {
        int guesses = tri_session_guesses(many), count = 1 + (int)(any(&random) % (uint32_t)(guesses + 1)),
            right = 1 + (int)(any(&random) % (uint32_t)count);
        for (int i = 0; i < count; i++)
            ids[i] = (int32_t)(any(&random) % 70);
        assert_int_equal(tri_session_guess(many, ids, count, &rows, &fed, &e), TRI_OK);
        assert_int_equal(fed, count);
        for (int i = 0; i < right; i++) {
            assert_int_equal(tri_session_feed(one, &ids[i], 1, &single, &e), TRI_OK);
            assert_memory_equal(rows + i * 70, single, 70 * sizeof *single);
        }
        tri_session_rewind(many, tri_session_position(one));
    }
    assert_int_equal(tri_session_position(many), 60);
    tri_session_free(one);
    tri_session_free(many);
    stop(&n);
}

/* The last id's embedding is infinite: as a guess it is left out with all behind it, as the first token an error. */
static void guesses_beyond_floats_are_left_out(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    m.spoilt = "token_embd.weight";
    m.own_head = true;
    struct engine n = synthetic(&m);
    struct tri_error e = {0};
    struct tri_session *s = session(&n, 60, 0);
    static const int32_t ids[] = {1, 2, 69, 3, 69};
    const float *logits;
    int fed;
    assert_int_equal(tri_session_guess(s, ids, 5, &logits, &fed, &e), TRI_OK);
    assert_int_equal(fed, 2);
    assert_int_equal(tri_session_position(s), 2);
    assert_int_equal(tri_session_guess(s, ids + 2, 3, &logits, &fed, &e), TRI_FAILED);
    assert_int_equal(tri_session_position(s), 2);
    assert_non_null(strstr(e.text, "position 2:"));
    assert_int_equal(tri_session_guess(s, ids, 2, &logits, &fed, &e), TRI_OK);
    assert_int_equal(fed, 2);
    tri_session_free(s);
    stop(&n);
}

static void too_many_guesses_are_refused(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = synthetic(&m);
    struct tri_error e = {0};
    static const int32_t ids[9] = {1};
    const float *logits;
    int fed;
    static const int cases[][3] = {/* context, ubatch, guesses */ {60, 0, 7}, {60, 3, 2}, {60, 1, 0}, {5, 0, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tri_session *s = session(&n, cases[i][0], cases[i][1]);
        int most = tri_session_guesses(s);
        assert_int_equal(most, cases[i][2]);
        assert_int_not_equal(tri_session_guess(s, ids, most + 2, &logits, &fed, &e), TRI_OK);
        assert_int_equal(tri_session_position(s), 0);
        assert_int_equal(tri_session_guess(s, ids, most + 1, &logits, &fed, &e), TRI_OK);
        assert_int_equal(fed, most + 1);
        tri_session_free(s);
    }
    stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samplings_draw_the_same),
        cmocka_unit_test(small_contexts_fill_up_the_same),
        cmocka_unit_test(loops_are_drafted),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(guesses_have_the_logits_of_single_tokens),
        cmocka_unit_test(guesses_beyond_floats_are_left_out),
        cmocka_unit_test(too_many_guesses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
