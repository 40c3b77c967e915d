/* Proof of a session against plain C: what is right passes, and whatever is wrong is refused by its name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/forward.h"
#include "engine/proof.h"
#include "model/synth.h"
#include "pool.h"

enum { LAYERS = 3, HIDDEN = 256, FFN = 384, HEADS = 8, KV_HEADS = 2, HEAD_DIM = 32, VOCAB = 301, BATCH = 9 };

struct run {
    struct tri_pool *pool;
    struct tri_model *m;
    struct tri_session *s;
};

static struct run run_of(int group, enum tri_ffn ffn, enum tri_head head)
{
    struct tri_error e = {0};
    struct tri_synth synth = {.config = {.family = tri_family_find("bitnet-b1.58"), .layers = LAYERS, .hidden = HIDDEN,
                                         .ffn = FFN, .heads = HEADS, .kv_heads = KV_HEADS, .head_dim = HEAD_DIM,
                                         .vocab = VOCAB, .context = 64, .rope_dims = HEAD_DIM, .rope_theta = 10000,
                                         .norm_eps = 1e-5f}};
    const struct tri_session_options o = {.context = 40, .cache_k = TRI_CACHE_F16, .cache_v = TRI_CACHE_Q8_0};
    struct run r = {.pool = pool_of(2)};
    tri_synth_usual(&synth);
    synth.group = group;
    r.m = tri_model_synth(&synth, r.pool, &e);
    if (!r.m || tri_model_skip(r.m, ffn, r.pool, &e) != TRI_OK || tri_model_screen(r.m, head, r.pool, &e) != TRI_OK ||
        !(r.s = tri_session_new(r.m, r.pool, &o, &e)))
        fail_msg("%s", e.text);
    tri_session_want(r.s, 1);
    return r;
}

static void end(struct run *r)
{
    tri_session_free(r->s);
    tri_model_free(r->m);
    tri_pool_free(r->pool);
}

static void expect_proved(struct run r)
{
    struct tri_error e = {0};
    struct tri_proof proof;
    const uint64_t rows = LAYERS * ((HEADS + 2 * KV_HEADS) * HEAD_DIM + HIDDEN + 2 * FFN + HIDDEN);
    if (tri_session_prove(r.s, 0, &proof, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_true(proof.whole);
    assert_int_equal(proof.tokens, TRI_PROOF_TOKENS);
    assert_int_equal(proof.batch, 0);
    if (!r.m->layer[0].skip)
        assert_int_equal(proof.sums, rows * TRI_PROOF_TOKENS);
    assert_int_equal(proof.logits, (uint64_t)VOCAB * TRI_PROOF_TOKENS);
    assert_int_equal(tri_session_position(r.s), 0);
    if (tri_session_prove(r.s, BATCH, &proof, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_int_equal(proof.batch, BATCH);
    end(&r);
}

static void what_is_right_is_proved(void **state)
{
    (void)state;
    expect_proved(run_of(0, TRI_FFN_DENSE, TRI_HEAD_FULL));
    expect_proved(run_of(0, TRI_FFN_SPARSE, TRI_HEAD_SCREENED));
    expect_proved(run_of(64, TRI_FFN_DENSE, TRI_HEAD_FULL));
}

/* -- kernels that are wrong ---------------------------------------------------- */

static struct tri_kernel right, wrong;
static int wrong_row, wrong_token; /* of any matrix; < 0: all rows */

static void off_by_one(const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum,
                       int32_t *y, size_t ldy)
{
    right.matmul(w, m0, m1, k, x, ldx, xsum, y, ldy);
    for (int row = m0; row < m1; row++)
        if (row == wrong_row || wrong_row < 0)
            y[(size_t)wrong_token * ldy + (size_t)(row - m0)]++;
}

static void grouped_off(const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum,
                        const float *ws, const float *xs, float *y, size_t ldy)
{
    right.grouped(w, m0, m1, k, x, ldx, xsum, ws, xs, y, ldy);
    if (m0 <= wrong_row && wrong_row < m1)
        y[wrong_row - m0] = nextafterf(y[wrong_row - m0], INFINITY);
}

/* One matrix runs a wrong kernel in place of the plan's for so many tokens. */
static void spoil(struct tri_matrix *m, const struct tri_kernel *kernel)
{
    right = wrong = *kernel;
    if (m->group)
        wrong.grouped = grouped_off;
    else
        wrong.matmul = off_by_one;
    for (int i = 0; i < m->plan.count; i++)
        if (m->plan.kernels[i] == kernel)
            m->plan.kernels[i] = &wrong;
}

static void expect_refused(struct run r, int batch, const char *const words[])
{
    struct tri_error e = {0};
    struct tri_proof proof;
    assert_int_equal(tri_session_prove(r.s, batch, &proof, &e), TRI_WRONG);
    for (int i = 0; words[i]; i++)
        if (!strstr(e.text, words[i]))
            fail_msg("expected \"%s\" in: %s", words[i], e.text);
    assert_int_equal(tri_session_position(r.s), 0);
    end(&r);
}

static void one_wrong_row_is_refused(void **state)
{
    (void)state;
    static const struct {
        int group;
        enum tri_role role;
        int row; /* of the stack */
        const char *words[5];
    } cases[] = {
        {0, TRI_ROLE_DOWN, 201, {"blk.2.ffn_down.weight, row 201, token 0", "tritune selftest"}},
        {0, TRI_ROLE_GATE_UP, FFN + 77, {"blk.2.ffn_up.weight, row 77, token 0"}},
        {0, TRI_ROLE_QKV, (HEADS + KV_HEADS) * HEAD_DIM, {"blk.2.attn_v.weight, row 0, token 0"}},
        {64, TRI_ROLE_O, 255, {"blk.2.attn_output.weight, row 255, token 0"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run r = run_of(cases[i].group, TRI_FFN_DENSE, TRI_HEAD_FULL);
        struct tri_matrix *m = &r.m->layer[2].matrix[cases[i].role];
        wrong_row = cases[i].row, wrong_token = 0;
        spoil(m, tri_plan_next(&m->plan, 1));
        expect_refused(r, 0, cases[i].words);
    }
}

/* Of a batch random rows are compared, which a wrong token in all rows cannot slip through. */
static void wrong_batches_are_refused(void **state)
{
    (void)state;
    static const char *const words[] = {"blk.1.ffn_", ".weight, row ", ", token ", NULL};
    struct run r = run_of(0, TRI_FFN_DENSE, TRI_HEAD_FULL);
    struct tri_matrix *m = &r.m->layer[1].matrix[TRI_ROLE_GATE_UP];
    const struct tri_kernel *kernel = tri_plan_next(&m->plan, BATCH);
    if (kernel->tokens == 1)
        fail_msg("the plan has no kernel for %d tokens", BATCH);
    wrong_row = -1, wrong_token = 0;
    spoil(m, kernel);
    expect_refused(r, BATCH, words);
}

/* -- float work that is wrong -------------------------------------------------- */

static const struct tri_vec *right_vec;

static struct tri_measure norm_off(const float *x, float r, const float *w, float *y, int n)
{
    struct tri_measure m = right_vec->norm(x, r, w, y, n);
    y[n / 2] = nextafterf(y[n / 2], INFINITY);
    return m;
}

static void wrong_float_work_is_refused(void **state)
{
    (void)state;
    static const char *const words[] = {"logit ", "behind token 0", "float work", NULL};
    struct run r = run_of(0, TRI_FFN_DENSE, TRI_HEAD_FULL);
    struct tri_vec vec = *r.s->work->vec;
    right_vec = r.s->work->vec;
    vec.norm = norm_off;
    r.s->work->vec = &vec;
    expect_refused(r, 0, words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_proved),
        cmocka_unit_test(one_wrong_row_is_refused),
        cmocka_unit_test(wrong_batches_are_refused),
        cmocka_unit_test(wrong_float_work_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
