/* Screened heads against full ones: of every encoding on every ISA, the greatest logits have the bits of the full dots,
 * ties included, and nothing else pretends to be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "engine/screen.h"
#include "kernels/verify.h"
#include "model/build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 3, VOCAB = 700, MOST_HIDDEN = 512 };

static struct tri_pool *pool;
static uint64_t seed = 11;

static const struct {
    uint32_t id;
    int hidden;
} encodings[] = {{0, 300}, {1, 300}, {30, 256}, {8, 320}, {2, 320}, {12, 512}, {14, 512}};

static double uniform(void)
{
    return (double)(tri_random(&seed) >> 11) * 0x1p-53 * 2 - 1;
}

static float normal(void)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return (float)(sum / 2);
}

/* -- matrices ------------------------------------------------------------ */

/* What rows are like: w[hidden] of row r. */
typedef void row_fn(int r, float *w, int hidden);

static void ordinary(int r, float *w, int hidden)
{
    (void)r;
    const double spread = exp(0.3 * (double)normal());
    for (int i = 0; i < hidden; i++)
        w[i] = (float)(spread * (double)normal() / 30);
}

/* Only a few different rows, and zero ones. */
static void equal(int r, float *w, int hidden)
{
    const uint64_t kept = seed;
    seed = (uint64_t)(r % 7);
    for (int i = 0; i < hidden; i++)
        w[i] = r % 7 == 3 ? 0 : normal() / 30;
    seed = kept;
}

/* One row over and over, each time with one number a little changed. */
static void near(int r, float *w, int hidden)
{
    const uint64_t kept = seed;
    seed = 5;
    for (int i = 0; i < hidden; i++)
        w[i] = normal() / 30;
    seed = kept;
    w[r % hidden] *= 1 + 0x1p-10f;
}

/* Rows of all lengths, the greatest few far beyond the others, and some too small for halves. */
static void wild(int r, float *w, int hidden)
{
    const int spread = r % 100 == 99 ? 12 : r % 41 - 36;
    for (int i = 0; i < hidden; i++)
        w[i] = (float)ldexp(uniform(), spread);
}

static void set_half(uint8_t *at, float f)
{
    const uint16_t h = tri_f32_to_f16(f);
    memcpy(at, &h, 2);
}

/* Blocks hold random codes with a scale by the row's size: what is stored need not be w. */
static void store(uint32_t id, const float *w, int n, uint8_t *row)
{
    const struct tri_encoding *e = tri_encoding_find(id);
    float most = 0;
    for (int i = 0; i < n; i++) {
        const uint16_t h = id == 1 ? tri_f32_to_f16(w[i]) : tri_f32_to_bf16(w[i]);
        if (e->block == 1)
            memcpy(row + i * e->block_bytes, id == 0 ? (const void *)&w[i] : &h, (size_t)e->block_bytes);
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    }
    for (int b = 0; e->block > 1 && b < n / e->block; b++) {
        uint8_t *block = row + b * e->block_bytes;
        for (int i = 0; i < e->block_bytes; i++)
            block[i] = (uint8_t)tri_random(&seed);
        set_half(id == 14 ? block + 208 : block, most / (id == 2 ? 8 : 2000));
        if (id == 12)
            set_half(block + 2, most / 2000);
    }
}

static struct tri_model *model(uint32_t id, int hidden, int vocab, row_fn *fill)
{
    struct tri_error e;
    struct tri_model *m = tri_alloc(1, sizeof *m, "model", &e);
    const struct tri_encoding *encoding = tri_encoding_find(id);
    const size_t ld = (size_t)(hidden / encoding->block * encoding->block_bytes);
    m->spare = SIZE_MAX; /* of memory nobody limits */
    struct tri_tensor *t = tri_model_own(m, 1, sizeof *t, "head", &e);
    uint8_t *data = tri_model_own(m, (size_t)vocab, ld, "head", &e);
    float w[MOST_HIDDEN];
    for (int r = 0; r < vocab; r++) {
        fill(r, w, hidden);
        store(id, w, hidden, data + (size_t)r * ld);
    }
    *t = (struct tri_tensor){.encoding = encoding, .dims = 2, .ne = {hidden, vocab, 1, 1}, .data = data,
                             .bytes = ld * (size_t)vocab};
    m->config.hidden = hidden, m->config.vocab = vocab;
    m->head = t;
    return m;
}

/* -- both heads ---------------------------------------------------------- */

struct run {
    struct tri_screened common;
    const struct tri_model *m;
    bool held;
};

static void screen(void *arg, int thread, int threads)
{
    struct run *run = arg;
    struct tri_screened j = run->common;
    j.thread = thread, j.threads = threads;
    const int hidden = run->m->config.hidden;
    for (int t = 0; t < j.n; t++)
        if (j.n == 1 || t % threads == thread)
            tri_screen_take(&j, t, j.v->measure(j.h + t * hidden, hidden));
    tri_pool_sync(pool);
    if (thread == 0)
        run->held = tri_screen_holds(&j);
    if (!tri_screen_holds(&j))
        return;
    tri_screen_bound(&j);
    tri_pool_sync(pool);
    tri_screen_decide(&j);
}

static int descending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* One token's logits against the full head's: all from the k-th greatest on, and none of the others but as it is. */
static void compare(const struct tri_model *m, const float *x, int k, const float *found)
{
    static float full[VOCAB], sorted[VOCAB];
    const int vocab = m->config.vocab;
    const struct tri_rows *rows = &tri_isas[0].vec->rows[m->head->encoding->rows];
    rows->dots(m->head->data, m->head->bytes / (size_t)vocab, vocab, x, m->config.hidden, full);
    memcpy(sorted, full, sizeof(float) * (size_t)vocab);
    qsort(sorted, (size_t)vocab, sizeof(float), descending);
    for (int r = 0; r < vocab; r++) {
        const bool same = memcmp(&found[r], &full[r], sizeof(float)) == 0;
        if (!same && (found[r] != -INFINITY || full[r] >= sorted[k - 1]))
            print_error("%s: row %d of the first %d: expected %.9g, found %.9g\n", m->head->encoding->name, r, k, full[r],
                        found[r]);
        assert_true(same || (found[r] == -INFINITY && full[r] < sorted[k - 1]));
    }
}

/* Outputs of all kinds: ordinary ones, one-hot ones, ones with great outliers, tiny and huge ones. */
static void fill_outputs(float *h, int n, int hidden)
{
    for (int t = 0; t < n; t++) {
        const int kind = (int)(tri_random(&seed) % 6);
        for (int i = 0; i < hidden; i++)
            h[t * hidden + i] = kind == 1 ? (float)(i == t) : normal() * (kind == 2 && i % 50 == 0 ? 100 : 1);
        for (int i = 0; kind >= 4 && i < hidden; i++)
            h[t * hidden + i] = ldexpf(h[t * hidden + i], kind == 4 ? -90 : 50);
        if (kind == 3)
            h[t * hidden] = 0x1p-140f, h[t * hidden + 1] = 3000;
    }
}

static void check(struct tri_screening *s, const struct tri_model *m, const struct tri_vec *v, int n, int k)
{
    static float h[TRI_HEAD_TOKENS * MOST_HIDDEN], logits[TRI_HEAD_TOKENS * VOCAB];
    fill_outputs(h, n, m->config.hidden);
    struct run run = {.common = {.s = s, .v = v, .pool = pool, .h = h, .n = n, .top = k, .logits = logits}, .m = m};
    tri_pool_run(pool, screen, &run);
    assert_true(run.held);
    for (int t = 0; t < n; t++)
        compare(m, h + t * m->config.hidden, k, logits + (size_t)t * (size_t)m->config.vocab);
}

static void check_model(const struct tri_vec *v, uint32_t id, int hidden, row_fn *fill)
{
    static const int tops[] = {1, 40, 500};
    struct tri_error e;
    struct tri_model *m = model(id, hidden, VOCAB, fill);
    assert_int_equal(tri_model_screen(m, TRI_HEAD_SCREENED, pool, &e), TRI_OK);
    assert_int_equal(m->screen->bytes, tri_screen_bytes(&m->config));
    struct tri_screening *s = tri_screening_new(m, THREADS, &e);
    assert_non_null(s);
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++)
        for (int n = 1; n <= TRI_HEAD_TOKENS; n += 1 + (int)(tri_random(&seed) % 3)) {
            tri_pool_use(pool, (struct tri_team){.threads = 1 + (int)(tri_random(&seed) % THREADS)});
            check(s, m, v, n, tops[i]);
        }
    tri_screening_free(s);
    tri_model_free(m);
}

static void greatest_logits_are_the_full_heads(void **unused)
{
    static row_fn *const kinds[] = {ordinary, equal, near, wild};
    struct tri_error e;
    (void)unused;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        if (!isa->present())
            continue;
        assert_int_equal(tri_dispatch_limit(isa->name, &e), TRI_OK);
        for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++)
            for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
                check_model(isa->vec, encodings[i].id, encodings[i].hidden, kinds[kind]);
    }
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
}

/* More than there are rows is all of them, and an encoding of few bits is no obstacle. */
static void whole_vocabularies(void **unused)
{
    struct tri_error e;
    (void)unused;
    struct tri_model *m = model(1, 64, 20, equal);
    assert_int_equal(tri_model_screen(m, TRI_HEAD_SCREENED, pool, &e), TRI_OK);
    struct tri_screening *s = tri_screening_new(m, THREADS, &e);
    check(s, m, tri_dispatch_isa()->vec, 1, 20);
    check(s, m, tri_dispatch_isa()->vec, 3, 19);
    tri_screening_free(s);
    tri_model_free(m);
}

/* Bounds that keep everything would pass all of the above. */
static void few_rows_are_multiplied(void **unused)
{
    struct tri_error e;
    (void)unused;
    struct tri_model *m = model(1, 512, VOCAB, ordinary);
    assert_int_equal(tri_model_screen(m, TRI_HEAD_SCREENED, pool, &e), TRI_OK);
    struct tri_screening *s = tri_screening_new(m, THREADS, &e);
    static float h[512], logits[VOCAB];
    for (int i = 0; i < 512; i++)
        h[i] = normal();
    struct run run = {.common = {.s = s, .v = tri_dispatch_isa()->vec, .pool = pool, .h = h, .n = 1, .top = 1,
                                 .logits = logits}, .m = m};
    for (int again = 0; again < 4; again++)
        tri_pool_run(pool, screen, &run);
    assert_int_equal(tri_screening_counts(s).tokens, 4);
    assert_in_range(tri_screening_counts(s).rows, 4, 4 * VOCAB / 20);
    tri_screening_free(s);
    tri_model_free(m);
}

static void set_value(struct tri_model *m, float f)
{
    memcpy((uint8_t *)m->head->data + 4 * 64 * 7, &f, 4);
}

/* Rows and outputs beyond the range of floats are left to the full head. */
static void what_bounds_cannot_hold(void **unused)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f};
    struct tri_error e;
    (void)unused;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct tri_model *m = model(0, 64, 20, ordinary);
        set_value(m, odd[i]);
        assert_int_equal(tri_model_screen(m, TRI_HEAD_SCREENED, pool, &e), TRI_UNSUPPORTED);
        assert_null(m->screen);
        tri_model_free(m);
    }
    static const float outputs[] = {NAN, INFINITY, 3e38f, 1e37f, 0, 1e-40f};
    struct tri_model *m = model(0, 64, 20, ordinary);
    set_value(m, 1e10f);
    assert_int_equal(tri_model_screen(m, TRI_HEAD_SCREENED, pool, &e), TRI_OK);
    struct tri_screening *s = tri_screening_new(m, THREADS, &e);
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
        for (int n = 1; n <= 2; n++) {
            float h[2 * 64] = {0}, logits[40];
            h[5] = 1;
            h[64 * (n - 1) + 5] = outputs[i];
            struct run run = {.common = {.s = s, .v = tri_dispatch_isa()->vec, .pool = pool, .h = h, .n = n, .top = 1,
                                         .logits = logits}, .m = m};
            tri_pool_run(pool, screen, &run);
            assert_false(run.held);
        }
    tri_screening_free(s);
    tri_model_free(m);
}

static void when_it_pays(void **unused)
{
    const struct tri_config large = {.vocab = 128256, .hidden = 2560}, small = {.vocab = 2048, .hidden = 256};
    (void)unused;
    assert_true(tri_screen_pays(tri_encoding_find(0), &large));
    assert_true(tri_screen_pays(tri_encoding_find(1), &large));
    assert_true(tri_screen_pays(tri_encoding_find(30), &large));
    assert_false(tri_screen_pays(tri_encoding_find(8), &large));
    assert_false(tri_screen_pays(tri_encoding_find(14), &large));
    assert_false(tri_screen_pays(tri_encoding_find(1), &small));
    struct tri_error e;
    struct tri_model *m = model(1, 64, 20, ordinary);
    assert_int_equal(tri_model_screen(m, TRI_HEAD_AUTO, pool, &e), TRI_OK);
    assert_null(m->screen);
    assert_int_equal(tri_model_screen(m, TRI_HEAD_FULL, pool, &e), TRI_OK);
    assert_null(m->screen);
    tri_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greatest_logits_are_the_full_heads), cmocka_unit_test(whole_vocabularies),
        cmocka_unit_test(few_rows_are_multiplied),            cmocka_unit_test(what_bounds_cannot_hold),
        cmocka_unit_test(when_it_pays),
    };
    struct tri_error e;
    pool = tri_pool_new(THREADS, &e);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tri_pool_free(pool);
    return failed;
}
