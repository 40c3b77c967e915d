/* Matrices of F16, Q8_0 and Q4_0: the kernels of every ISA here against what kernel.h and dense.h say of them, written
 * out once more; products cut among threads; and models of such weights. The reference knows rows, scales and codes,
 * and puts them where dense.h has them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/session.h"
#include "file/tensor.h"
#include "kernels/verify.h"
#include "model/synth.h"
#include "pool.h"

enum { ROWS = TRI_DENSE_ROWS, GROUP = TRI_DENSE_GROUP, MOST_K = 224, TOKENS = 7, LDX = MOST_K + 5 };

static const char *const names[] = {"f16", "q8_0", "q4_0"};
static uint64_t seed = 11;

static int between(int least, int most)
{
    return least + (int)(tri_random(&seed) % (uint64_t)(most - least + 1));
}

/* -- tiles ---------------------------------------------------------------- */

/* Codes and scales of 16 rows; every code there is, scales of either sign and of all sizes, none infinite. */
struct rows {
    int code[ROWS][MOST_K];
    uint16_t d[ROWS][MOST_K / GROUP];
};

static void fill_rows(struct rows *rows, enum tri_rows_kind kind, bool extreme)
{
    const int least = kind == TRI_ROWS_Q8_0 ? -128 : -8, most = -least - 1;
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < MOST_K; i++)
            rows->code[r][i] = !extreme ? between(least, most) : r % 2 ? least : most;
    for (int r = 0; r < ROWS; r++)
        for (int g = 0; g < MOST_K / GROUP; g++)
            rows->d[r][g] = (uint16_t)(tri_random(&seed) & 0xbbff);
}

static void put_tile(const struct rows *rows, enum tri_rows_kind kind, int k, uint8_t *tile)
{
    const int columns = kind == TRI_ROWS_Q8_0 ? 4 : 8, bytes = kind == TRI_ROWS_Q8_0 ? 544 : 288;
    memset(tile, 0, (size_t)(k / GROUP * bytes));
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < k; i++) {
            uint8_t *block = tile + i / GROUP * bytes;
            uint8_t *at = block + 32 + i % GROUP / columns * 64 + 4 * r + i % 4;
            memcpy(block + 2 * r, &rows->d[r][i / GROUP], 2);
            if (kind == TRI_ROWS_Q8_0)
                *at = (uint8_t)rows->code[r][i];
            else
                *at |= (uint8_t)((rows->code[r][i] + 8) << (i % 8 < 4 ? 0 : 4));
        }
}

static float product(const struct rows *rows, int r, int k, const int8_t *x)
{
    float y = 0;
    for (int g = 0; g < k / GROUP; g++) {
        int32_t dot = 0;
        for (int i = g * GROUP; i < (g + 1) * GROUP; i++)
            dot += rows->code[r][i] * x[i];
        y = fmaf((float)dot, tri_f16_to_f32(rows->d[r][g]), y);
    }
    return y;
}

static void check_tile(const struct tri_isa *isa, enum tri_rows_kind kind, int k, int tokens, bool extreme)
{
    static struct rows rows;
    static uint8_t tile[MOST_K / GROUP * 544];
    static int8_t x[TOKENS * LDX];
    int32_t sums[TOKENS * MOST_K / GROUP] = {0};
    float y[TOKENS * ROWS + 1];
    fill_rows(&rows, kind, extreme);
    put_tile(&rows, kind, k, tile);
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < k; i++)
            sums[t * (k / GROUP) + i / GROUP] += x[t * LDX + i] =
                (int8_t)(extreme ? (t % 2 ? 127 : -127) : between(-127, 127));
    y[tokens * ROWS] = 99;
    isa->vec->tile[kind](tile, k, x, LDX, sums, tokens, y);
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < ROWS; r++) {
            const float want = product(&rows, r, k, x + t * LDX);
            if (memcmp(&want, &y[t * ROWS + r], sizeof want))
                fail_msg("%s: %d columns, token %d of %d, row %d: expected %a, found %a", isa->name, k, t, tokens, r,
                         (double)want, (double)y[t * ROWS + r]);
        }
    assert_true(y[tokens * ROWS] == 99);
}

/* Rows of random halves, none infinite; sums in 16 lanes, then a tree. */
static void check_f16(const struct tri_isa *isa, int k, int tokens)
{
    static uint16_t row[ROWS][MOST_K], tile[ROWS * MOST_K];
    float x[TOKENS * LDX], y[TOKENS * ROWS + 1];
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < k; i++)
            tile[r / 4 * 4 * k + i / 16 * 64 + r % 4 * 16 + i % 16] = row[r][i] =
                (uint16_t)(tri_random(&seed) & 0xbbff);
    for (int i = 0; i < TOKENS * LDX; i++)
        x[i] = (float)between(-99999, 99999) / 1024;
    y[tokens * ROWS] = 99;
    isa->vec->tile_f16(tile, k, x, LDX, tokens, y);
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < ROWS; r++) {
            float lane[16] = {0};
            for (int i = 0; i < k; i++)
                lane[i % 16] = fmaf(tri_f16_to_f32(row[r][i]), x[t * LDX + i], lane[i % 16]);
            for (int half = 8; half; half /= 2)
                for (int i = 0; i < half; i++)
                    lane[i] += lane[i + half];
            if (memcmp(&lane[0], &y[t * ROWS + r], sizeof lane[0]))
                fail_msg("%s: F16, %d columns, token %d of %d, row %d: expected %a, found %a", isa->name, k, t, tokens,
                         r, (double)lane[0], (double)y[t * ROWS + r]);
        }
    assert_true(y[tokens * ROWS] == 99);
}

static void tiles_are_as_said(void **state)
{
    (void)state;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
        for (int k = 0; k <= MOST_K && isa->present(); k += GROUP)
            for (int tokens = 0; tokens <= TOKENS; tokens++) {
                check_f16(isa, k, tokens);
                for (int extreme = 0; extreme < 2; extreme++) {
                    check_tile(isa, TRI_ROWS_Q8_0, k, tokens, extreme);
                    check_tile(isa, TRI_ROWS_Q4_0, k, tokens, extreme);
                }
            }
}

/* -- products ------------------------------------------------------------- */

/* Rows that are no multiple of a tile, columns of no group, and more tokens than one call takes. */
enum { M = 53, K = 75, KP = 96, MANY = 70, THREADS = 3 };

struct made {
    int8_t weight[M * K], q[MANY * KP];
    int32_t sum[MANY * KP / GROUP];
    float f[MANY * KP];
    uint8_t *packed;
};

static void make(struct made *w, const struct tri_dense *dense)
{
    const int most = dense->kind == TRI_ROWS_Q4_0 ? 7 : 127;
    const size_t tile = (size_t)(KP / GROUP * dense->layout.bytes);
    *w = (struct made){.packed = malloc((M + ROWS - 1) / ROWS * tile)};
    assert_non_null(w->packed);
    for (int i = 0; i < M * K; i++)
        w->weight[i] = (int8_t)between(-most, most);
    for (int t = 0; t < MANY; t++)
        for (int i = 0; i < K; i++) {
            w->sum[(t * KP + i) / GROUP] += w->q[t * KP + i] = (int8_t)between(-127, 127);
            w->f[t * KP + i] = (float)between(-1000, 1000) / 64;
        }
    for (int r = 0; r < M; r += ROWS)
        dense->layout.pack(w->weight + r * K, K, M - r < ROWS ? M - r : ROWS, K, KP,
                           w->packed + (size_t)(r / ROWS) * tile);
}

static void keep(const void *arg, int t, int tokens, int m0, int m1, const void *y)
{
    float *out = *(float *const *)arg;
    for (int i = 0; i < tokens; i++)
        for (int m = m0; m < m1 && m < M; m++)
            out[(t + i) * M + m] = ((const float *)y)[i * (m1 - m0) + m - m0];
}

/* Weights and inputs have so few bits that their sums are exact in floats, too. */
static void check_product(const struct made *w, const struct tri_dense *dense, const float *found, int n)
{
    for (int t = 0; t < n; t++)
        for (int m = 0; m < M; m++) {
            double want = 0;
            for (int i = 0; i < K; i++)
                want += w->weight[m * K + i] *
                        (dense->kind == TRI_ROWS_F16 ? (double)w->f[t * KP + i] : w->q[t * KP + i]);
            if ((double)found[t * M + m] != want)
                fail_msg("%s, token %d of %d, row %d: expected %g, found %g", dense->layout.name, t, n, m, want,
                         (double)found[t * M + m]);
        }
}

static void products_are_exact(void **state)
{
    static struct made w;
    static float found[MANY * M];
    struct tri_pool *pool = pool_of(THREADS);
    float *scratch = malloc(tri_dense_sums() * sizeof *scratch), *out = found;
    (void)state;
    assert_non_null(scratch);
    for (int i = 0; i < 3; i++) {
        const struct tri_dense *dense = tri_dense_find(names[i]);
        make(&w, dense);
        const struct tri_operand x = {.q = w.q, .ldq = KP, .sum = w.sum, .f = w.f, .ldf = KP};
        for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
            for (int n = 1; n <= MANY && isa->present(); n += n < 6 ? 1 : 32) {
                memset(found, 0x5a, sizeof found);
                for (int thread = 0; thread < THREADS; thread++)
                    tri_dense_product(isa->vec, dense, w.packed, M, KP, &x, n, pool, thread, scratch, keep, &out);
                check_product(&w, dense, found, n);
            }
        free(w.packed);
    }
    free(scratch);
    tri_pool_free(pool);
}

/* -- models --------------------------------------------------------------- */

enum { VOCAB = 301, LENGTH = 6 };

static struct tri_synth shape(const char *weights)
{
    struct tri_synth s = {.config = {.family = tri_family_find("bitnet-b1.58"), .layers = 3, .hidden = 200, .ffn = 328,
                                     .heads = 6, .kv_heads = 2, .head_dim = 40, .vocab = VOCAB, .context = 64,
                                     .rope_dims = 40, .rope_theta = 10000, .norm_eps = 1e-5f}};
    tri_synth_usual(&s);
    s.weights = weights ? tri_dense_find(weights) : NULL;
    return s;
}

/* Of the last of a few tokens that are fed `step` at a time. */
static void run(const char *weights, int threads, int step, float *last)
{
    static const int32_t ids[LENGTH] = {5, 300, 17, 44, 5, 9};
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(threads);
    const struct tri_synth s = shape(weights);
    struct tri_model *m = tri_model_synth(&s, pool, &e);
    if (!m)
        fail_msg("%s", e.text);
    struct tri_session *session = tri_session_new(m, pool, &(struct tri_session_options){0}, &e);
    const float *logits = NULL;
    assert_non_null(session);
    for (int i = 0; i < LENGTH; i += step)
        assert_int_equal(tri_session_feed(session, ids + i, step, &logits, &e), TRI_OK);
    memcpy(last, logits, VOCAB * sizeof *last);
    tri_session_free(session);
    tri_model_free(m);
    tri_pool_free(pool);
}

static void models_have_the_same_bits(void **state)
{
    float expected[VOCAB], found[VOCAB];
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tri_dispatch_limit("c", NULL), TRI_OK);
        run(names[i], 1, 1, expected);
        for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
            for (int threads = 1; threads <= 3 && isa->present(); threads++) {
                assert_int_equal(tri_dispatch_limit(isa->name, NULL), TRI_OK);
                run(names[i], threads, threads == 3 ? LENGTH : threads, found);
                if (memcmp(found, expected, sizeof found))
                    fail_msg("%s on %s with %d threads: other bits", names[i], isa->name, threads);
            }
        tri_dispatch_limit(NULL, NULL);
    }
}

/* The weights are those of the ternary model; blocks are multiplied by the same int8 activations, F16 by what these
 * were made of. */
static void models_are_the_ternary_one(void **state)
{
    float ternary[VOCAB], dense[VOCAB];
    (void)state;
    run(NULL, 2, LENGTH, ternary);
    for (int i = 0; i < 3; i++) {
        double lost = 0, whole = 0;
        run(names[i], 2, LENGTH, dense);
        for (int j = 0; j < VOCAB; j++) {
            lost += pow((double)dense[j] - (double)ternary[j], 2);
            whole += pow((double)ternary[j], 2);
        }
        if (sqrt(lost / whole) > (i == 0 ? 0.05 : 0.01))
            fail_msg("%s: logits are off by %g of their length", names[i], sqrt(lost / whole));
    }
}

static void others_are_refused(void **state)
{
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(1);
    (void)state;
    assert_null(tri_dense_find("q6_k"));
    struct tri_synth s = shape("q4_0");
    s.config.hidden = 256, s.config.ffn = 512;
    s.group = 64;
    assert_null(tri_model_synth(&s, pool, &e));
    assert_int_equal(e.status, TRI_USAGE);
    s.group = 0;
    s.budget.bits = TRI_BITS_1_6;
    assert_null(tri_model_synth(&s, pool, &e));
    assert_int_equal(e.status, TRI_USAGE);
    s.budget.bits = TRI_BITS_AUTO;
    struct tri_model *m = tri_model_synth(&s, pool, &e);
    assert_non_null(m);
    assert_int_equal(tri_model_skip(m, TRI_FFN_SPARSE, pool, &e), TRI_UNSUPPORTED);
    tri_model_free(m);
    tri_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_are_as_said),          cmocka_unit_test(products_are_exact),
        cmocka_unit_test(models_have_the_same_bits),  cmocka_unit_test(models_are_the_ternary_one),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
