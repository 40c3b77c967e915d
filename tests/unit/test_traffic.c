/* What decoding a token reads: on shapes whose bytes can be counted by hand, with layouts made for it; and of outlines
 * the same as of models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model/build.h"
#include "model/screen.h"
#include "model/synth.h"
#include "model/traffic.h"

enum { LAYERS = 3, HIDDEN = 64, FFN = 96, HEADS = 4, KV_HEADS = 2, DIM = 16, VOCAB = 40 };

/* A byte holds four trits of one row, and rows and columns come in eights: half of what a row of HIDDEN takes. */
static const struct tri_layout even = {.name = "even", .rows = 8, .kstep = 8, .bytes = 16};
/* Steps of 40 columns, so that padding counts. */
static const struct tri_layout wide = {.name = "wide", .rows = 8, .kstep = 40, .bytes = 80};

static struct tri_model *shape(const struct tri_layout *layout, int group)
{
    struct tri_error e;
    const struct tri_config c = {.family = tri_family_find("llama"), .layers = LAYERS, .hidden = HIDDEN, .ffn = FFN,
                                 .heads = HEADS, .kv_heads = KV_HEADS, .head_dim = DIM, .vocab = VOCAB};
    static struct tri_tensor embedding = {.ne = {HIDDEN, VOCAB, 1, 1}, .dims = 2, .bytes = 2 * HIDDEN * VOCAB};
    struct tri_plan plans[TRI_ROLES];
    struct tri_model *m = tri_model_new(&c, &e);
    assert_non_null(m);
    for (int r = 0; r < TRI_ROLES; r++)
        plans[r] = (struct tri_plan){.layout = layout};
    for (int i = 0; i < LAYERS * TRI_ROLES; i++)
        m->layer[i / TRI_ROLES].matrix[i % TRI_ROLES].group = group;
    tri_model_plan(m, plans);
    m->embedding = m->head = &embedding;
    return m;
}

enum {
    ATTENTION = HIDDEN * (HEADS + 2 * KV_HEADS + HEADS) * DIM, /* trits of a layer */
    FEED_FORWARD = 3 * HIDDEN * FFN,
};

static void test_bytes(void **state)
{
    struct tri_model *m = shape(&even, 0);
    const struct tri_decoding d = {.candidates = -1, .position = 100, .depth = 10, .tokens = 4};
    const struct tri_traffic t = tri_traffic_of(m, &d);
    (void)state;
    assert_int_equal(t.attention, LAYERS * ATTENTION / 4);
    assert_int_equal(t.ffn, LAYERS * FEED_FORWARD / 4);
    assert_int_equal(t.head, 2 * HIDDEN * VOCAB);
    assert_int_equal(t.kv, 100 * (11 + 12 + 13 + 14) / 4);
    assert_int_equal(tri_traffic_sum(&t), t.attention + t.ffn + t.head + t.kv);
    tri_model_free(m);
}

/* K of 64 becomes 80, 96 becomes 120. */
static void test_padding(void **state)
{
    struct tri_model *m = shape(&wide, 0);
    const struct tri_traffic t = tri_traffic_of(m, &(struct tri_decoding){.candidates = -1});
    (void)state;
    assert_int_equal(t.attention, LAYERS * ATTENTION / 4 * 80 / 64);
    assert_int_equal(t.ffn, LAYERS * (2 * FFN * 80 + HIDDEN * 120) / 4);
    assert_int_equal(tri_model_ternary(m), LAYERS * (ATTENTION + FEED_FORWARD));
    tri_model_free(m);
}

/* A float for 32 columns each is a bit more for each weight. */
static void test_groups(void **state)
{
    struct tri_model *m = shape(&even, 32);
    const struct tri_traffic t = tri_traffic_of(m, &(struct tri_decoding){.candidates = -1});
    (void)state;
    assert_int_equal(t.attention, LAYERS * ATTENTION * 3 / 8);
    assert_int_equal(t.ffn, LAYERS * FEED_FORWARD * 3 / 8);
    tri_model_free(m);
}

static void test_counted(void **state)
{
    struct tri_model *m = shape(&even, 0);
    const struct tri_screen screen = {.bytes = 1000};
    const struct tri_decoding d = {.ffn = 77, .candidates = 5, .depth = 0, .tokens = 1, .position = 8};
    m->screen = &screen;
    const struct tri_traffic t = tri_traffic_of(m, &d);
    (void)state;
    assert_int_equal(t.ffn, 77);
    assert_int_equal(t.head, 1000 + 5 * 2 * HIDDEN);
    assert_int_equal(t.kv, 8);
    tri_model_free(m);
}

/* Two norms in a layer and one behind the last; an output matrix of its own counts, a shared one does not. */
static void test_whole(void **state)
{
    struct tri_model *m = shape(&even, 0);
    const uint64_t ternary = LAYERS * (ATTENTION + FEED_FORWARD), norms = (2 * LAYERS + 1) * HIDDEN;
    const struct tri_tensor own = *m->embedding;
    (void)state;
    assert_int_equal(tri_model_ternary(m), ternary);
    assert_int_equal(tri_model_parameters(m), ternary + norms + HIDDEN * VOCAB);
    assert_int_equal(tri_model_bytes(m), m->packed_bytes + 2 * HIDDEN * VOCAB);
    m->head = &own;
    assert_int_equal(tri_model_parameters(m), ternary + norms + 2 * HIDDEN * VOCAB);
    assert_int_equal(tri_model_bytes(m), m->packed_bytes + 4 * HIDDEN * VOCAB);
    tri_model_free(m);
}

/* -- outlines: as the models they stand for -------------------------------- */

static void assert_alike(const struct tri_model *outline, const struct tri_model *m)
{
    const struct tri_decoding d = {.candidates = outline->screen ? 3 : -1, .position = 10, .depth = 1, .tokens = 1};
    const struct tri_traffic a = tri_traffic_of(outline, &d), b = tri_traffic_of(m, &d);
    assert_int_equal(a.attention, b.attention);
    assert_int_equal(a.ffn, b.ffn);
    assert_int_equal(a.head, b.head);
    assert_int_equal(tri_model_bytes(outline), tri_model_bytes(m));
    assert_int_equal(tri_model_parameters(outline), tri_model_parameters(m));
    assert_int_equal(tri_model_ternary(outline), tri_model_ternary(m));
}

static void check_synth(int group, enum tri_bits bits, enum tri_head head)
{
    struct tri_error e;
    struct tri_synth s;
    struct tri_pool *pool = tri_pool_new(1, &e);
    assert_true(tri_synth_size("125m", &s));
    s.config.layers = 2;
    s.group = group;
    s.budget.bits = bits;
    s.head = s.embedding;
    struct tri_model *outline = tri_model_synth_outline(&s, &e), *m = tri_model_synth(&s, pool, &e);
    assert_non_null(outline);
    assert_non_null(m);
    assert_null(outline->layer[0].matrix[0].packed);
    assert_int_equal(tri_model_screen_outline(outline, head, &e), TRI_OK);
    assert_int_equal(tri_model_screen(m, head, pool, &e), TRI_OK);
    assert_int_equal(outline->screen != NULL, m->screen != NULL);
    assert_int_equal(outline->screen != NULL, head != TRI_HEAD_FULL);
    assert_alike(outline, m);
    tri_model_free(outline);
    tri_model_free(m);
    tri_pool_free(pool);
}

static void test_synthetic(void **state)
{
    (void)state;
    check_synth(0, TRI_BITS_2, TRI_HEAD_FULL);
    check_synth(0, TRI_BITS_1_6, TRI_HEAD_AUTO);
    check_synth(64, TRI_BITS_AUTO, TRI_HEAD_SCREENED);
}

static void test_file(void **state)
{
    struct tri_error e;
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_gguf *g =
        tri_gguf_read(tri_embedded_model, (size_t)(tri_embedded_model_end - tri_embedded_model), "the model", &e);
    struct tri_model *outline = tri_model_load_outline(g, TRI_BITS_AUTO, pool, &e), *m = tri_model_load(g, pool, &e);
    (void)state;
    assert_non_null(outline);
    assert_non_null(m);
    assert_null(outline->layer[0].matrix[0].packed);
    assert_alike(outline, m);
    tri_model_free(outline);
    tri_model_free(m);
    tri_gguf_close(g);
    tri_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes), cmocka_unit_test(test_padding), cmocka_unit_test(test_groups),
        cmocka_unit_test(test_counted), cmocka_unit_test(test_whole),   cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
