/* The sampling chain: random numbers and draws against libstdc++'s, selections against cases done
 * by hand. */
#include "base/math.h"
#include "engine/sampler.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Everything off: the draw alone. */
#define PLAIN                                                                                      \
    .temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .repeat_last_n = 64

static struct tri_sampler *sampler(struct tri_sampling o, int vocab)
{
    struct tri_error e;
    struct tri_sampler *s = tri_sampler_new(&o, vocab, &e);
    assert_non_null(s);
    return s;
}

static json_t *vectors(void)
{
    json_error_t error;
    json_t *all = json_load_file("tests/vectors/rng.json", 0, &error);
    assert_non_null(all);
    return all;
}

/* Draws over the probabilities of the vectors, which already stand in descending order. */
static void draws_are_libstdcpps(void **unused)
{
    (void)unused;
    json_t *all = vectors(), *p = json_object_get(all, "p"), *item, *draw;
    float logits[8];
    size_t n = json_array_size(p), i, j;
    for (i = 0; i < n; i++)
        logits[i] = (float)log(json_number_value(json_array_get(p, i)));
    json_array_foreach(json_object_get(all, "cases"), i, item)
    {
        uint32_t seed = (uint32_t)json_integer_value(json_object_get(item, "seed"));
        struct tri_sampler *s = sampler((struct tri_sampling){.seed = seed, PLAIN}, (int)n);
        assert_int_equal(tri_sampler_seed(s), seed);
        json_array_foreach(json_object_get(item, "draws"), j, draw)
            assert_int_equal(tri_sampler_next(s, logits), json_integer_value(draw));
        tri_sampler_free(s);
    }
    json_decref(all);
}

/* The first two outputs a, b make the first unit number u = (a + b * 2^32) / 2^64; token i of 2^16
 * equally likely ones is drawn where i / 2^16 < u <= (i + 1) / 2^16, which shows 16 bits of it. The
 * vectors list b before a: seed 1 is known to begin with 1791095845. */
static void first_outputs_are_mt19937s(void **unused)
{
    (void)unused;
    enum { N = 1 << 16 };
    static const float logits[N];
    json_t *all = vectors(), *item;
    size_t i;
    json_array_foreach(json_object_get(all, "cases"), i, item)
    {
        json_t *first = json_object_get(item, "first");
        double u = ((double)json_integer_value(json_array_get(first, 1)) +
                    (double)json_integer_value(json_array_get(first, 0)) * 0x1p32) *
                   0x1p-64;
        uint32_t seed = (uint32_t)json_integer_value(json_object_get(item, "seed"));
        struct tri_sampler *s = sampler((struct tri_sampling){.seed = seed, PLAIN}, N);
        assert_int_equal(tri_sampler_next(s, logits), (int)ceil(u * N) - 1);
        tri_sampler_free(s);
    }
    json_decref(all);
}

/* Which tokens can come out at all: drawn often enough that every kept one of these few shows up.
 */
static unsigned kept(struct tri_sampling o, const float *logits, int n, const int *accepted,
                     int count)
{
    unsigned seen = 0;
    o.seed = 7;
    struct tri_sampler *s = sampler(o, n);
    for (int i = 0; i < count; i++)
        tri_sampler_accept(s, accepted[i]);
    for (int i = 0; i < 3000; i++)
        seen |= 1u << tri_sampler_next(s, logits);
    tri_sampler_free(s);
    return seen;
}

static void selections_by_hand(void **unused)
{
    (void)unused;
    /* probabilities 0.1 0.4 0.2 0.2 0.1 */
    const float logits[] = {logf(1), logf(4), logf(2), logf(2), logf(1)};
    struct tri_sampling o = {PLAIN};
    assert_int_equal(kept(o, logits, 5, NULL, 0), 0x1F);
    o.top_k = 1;
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1);
    o.top_k = 2; /* 2 and 3 tie: the lower id stays */
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1 | 1 << 2);
    o.top_k = 4;
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1 | 1 << 2 | 1 << 3 | 1 << 0);
    o.top_k = 99;
    assert_int_equal(kept(o, logits, 5, NULL, 0), 0x1F);

    o.top_k = 0;
    o.top_p = 0.3f; /* 0.4 reaches it alone */
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1);
    o.top_p = 0.5f; /* 0.4 + 0.2 */
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1 | 1 << 2);
    o.top_p = 0.75f; /* 0.4 + 0.2 + 0.2 */
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1 | 1 << 2 | 1 << 3);
    o.top_k = 2; /* of the two left, 2/3 and 1/3, the first reaches 0.6 */
    o.top_p = 0.6f;
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1);

    o.top_k = 0;
    o.top_p = 1;
    o.min_p = 0.4f; /* of the greatest, 0.4: 0.16 */
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1 | 1 << 2 | 1 << 3);
    o.min_p = 0.6f;
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1);
    o.min_p = 0.4f; /* temperature comes last: it does not change what is kept */
    o.temperature = 50;
    assert_int_equal(kept(o, logits, 5, NULL, 0), 1 << 1 | 1 << 2 | 1 << 3);
}

static int32_t greedy(struct tri_sampling o, const float *logits, int n, const int *accepted,
                      int count)
{
    o.temperature = 0;
    struct tri_sampler *s = sampler(o, n);
    for (int i = 0; i < count; i++)
        tri_sampler_accept(s, accepted[i]);
    int32_t id = tri_sampler_next(s, logits);
    assert_int_equal(id, tri_sampler_next(s, logits)); /* the marks were taken back */
    tri_sampler_free(s);
    return id;
}

static void penalties_by_hand(void **unused)
{
    (void)unused;
    const float logits[] = {3, 4, 4, -1};
    const float negative[] = {-4, -3, -3.5f};
    struct tri_sampling o = {PLAIN};
    assert_int_equal(greedy(o, logits, 4, NULL, 0), 1); /* lowest id of a tie */
    o.repeat_penalty = 2;
    assert_int_equal(greedy(o, logits, 4, (int[]){1}, 1), 2);
    assert_int_equal(greedy(o, logits, 4, (int[]){1, 2}, 2), 0);    /* 4 / 2 < 3 */
    assert_int_equal(greedy(o, logits, 4, (int[]){1, 2, 0}, 3), 1); /* 1.5, 2, 2 */
    assert_int_equal(greedy(o, logits, 4, (int[]){1, 1, 1, 2}, 4),
                     0); /* once, however often seen */
    assert_int_equal(greedy(o, negative, 3, (int[]){1}, 1),
                     2); /* below zero the penalty multiplies */
    o.repeat_last_n = 2;
    assert_int_equal(greedy(o, logits, 4, (int[]){1, 2, 3, 3}, 4),
                     1); /* 1 and 2 have left the window */
    o.repeat_last_n = 0;
    assert_int_equal(greedy(o, logits, 4, (int[]){1, 2}, 2), 1);
}

static void seeds_repeat(void **unused)
{
    (void)unused;
    float logits[100];
    for (int i = 0; i < 100; i++)
        logits[i] = (float)(i * 37 % 100) / 50;
    struct tri_sampling o = TRI_SAMPLING_DEFAULTS;
    struct tri_sampler *a = sampler(o, 100);
    o.seed = tri_sampler_seed(a);
    assert_int_not_equal(o.seed, 0xFFFFFFFFu);
    struct tri_sampler *b = sampler(o, 100);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(tri_sampler_next(a, logits), tri_sampler_next(b, logits));
    tri_sampler_free(a);
    tri_sampler_free(b);
}

static int descending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Of n logits only those that tri_sampler_wants asks for, with whatever equals the least of them. */
static void leave_out(float *logits, int n, int wanted)
{
    float sorted[300];
    memcpy(sorted, logits, (size_t)n * sizeof *logits);
    qsort(sorted, (size_t)n, sizeof *sorted, descending);
    for (int i = 0; wanted && i < n; i++)
        logits[i] = logits[i] >= sorted[wanted - 1] ? logits[i] : -INFINITY;
}

static void the_greatest_logits_suffice(void **unused)
{
    (void)unused;
    enum { N = 300 };
    static const struct {
        struct tri_sampling o;
        int wants;
    } cases[] = {
        {{.seed = 1, .temperature = 0, .top_k = 40, .repeat_penalty = 1, .repeat_last_n = 64}, 1},
        {{.seed = 2, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .repeat_penalty = 1}, 40},
        {{.seed = 3, .temperature = 0, .repeat_penalty = 2, .repeat_last_n = 30}, 31},
        {{.seed = 4, .temperature = 1.5f, .top_k = 9, .top_p = 1, .repeat_penalty = 3, .repeat_last_n = 20}, 29},
        {{.seed = 5, .temperature = 1, .top_k = 9, .top_p = 1, .repeat_penalty = 0.5f, .repeat_last_n = 20}, 0},
        {{.seed = 6, .temperature = 1, .top_k = 9, .top_p = 1, .repeat_penalty = 2, .repeat_last_n = 299}, 0},
        {{.seed = 7, .temperature = 1, .top_k = 0, .top_p = 0.5f, .repeat_penalty = 1}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tri_sampler *all = sampler(cases[i].o, N), *few = sampler(cases[i].o, N);
        assert_int_equal(tri_sampler_wants(few), cases[i].wants);
        for (int step = 0; step < 300; step++) {
            float logits[N];
            for (int j = 0; j < N; j++)
                logits[j] = (float)((j * 7919 + step * 104729) % 211 - 180) / 16; /* with ties, below 0 and above */
            const int32_t id = tri_sampler_next(all, logits);
            leave_out(logits, N, cases[i].wants);
            assert_int_equal(tri_sampler_next(few, logits), id);
            tri_sampler_accept(all, id), tri_sampler_accept(few, id);
        }
        tri_sampler_free(all), tri_sampler_free(few);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_libstdcpps), cmocka_unit_test(first_outputs_are_mt19937s),
        cmocka_unit_test(selections_by_hand),   cmocka_unit_test(penalties_by_hand),
        cmocka_unit_test(seeds_repeat),         cmocka_unit_test(the_greatest_logits_suffice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
