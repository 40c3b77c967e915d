/* Products whose columns share scales, as an engine computes them: the default plan of every ISA here, cut among
 * threads and into kernel calls, against the oracle, bit for bit. Kernels alone are proven in tests/check.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/threads.h"
#include "kernels/product.h"
#include "kernels/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { M = 77, K = 704, TOKENS = 7, THREADS = 3 };

static uint64_t seed = 3;

static void *memory(size_t count, size_t size)
{
    void *p = calloc(count, size);
    assert_non_null(p);
    return p;
}

static float *scales(size_t count)
{
    float *s = memory(count, sizeof *s);
    for (size_t i = 0; i < count; i++)
        s[i] = ldexpf((float)(tri_random(&seed) % 2001) - 1000, (int)(tri_random(&seed) % 20) - 25);
    return s;
}

struct matrix {
    int8_t *trits;
    float *by_row, *packed_scales;
    uint8_t *packed;
};

static struct matrix matrix(const struct tri_layout *l, int kp, int groups)
{
    const int tiles = (M + l->rows - 1) / l->rows;
    const size_t tile = (size_t)(kp / l->kstep) * (size_t)l->bytes;
    struct matrix w = {memory(M, K), scales((size_t)M * (size_t)groups),
                       memory((size_t)tiles * (size_t)l->rows * (size_t)groups, sizeof(float)),
                       memory((size_t)tiles * tile + 64, 1)};
    for (int i = 0; i < M * K; i++)
        w.trits[i] = (int8_t)((int)(tri_random(&seed) % 3) - 1);
    for (int t = 0; t < tiles; t++)
        l->pack(w.trits + (size_t)t * (size_t)l->rows * K, K, M - t * l->rows < l->rows ? M - t * l->rows : l->rows, K,
                kp, w.packed + (size_t)t * tile);
    for (int m = 0; m < M; m++)
        for (int g = 0; g < groups; g++)
            w.packed_scales[(m / l->rows * groups + g) * l->rows + m % l->rows] = w.by_row[m * groups + g];
    return w;
}

static struct tri_operand operand(int kp, int group, int groups, int spare)
{
    const size_t tokens = TOKENS + (size_t)spare;
    struct tri_operand x = {.q = memory(tokens, (size_t)kp), .ldq = (size_t)kp,
                            .sum = memory(tokens, (size_t)groups * sizeof(int32_t)),
                            .scale = scales(tokens * (size_t)groups)};
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < K; i++)
            x.sum[t * groups + i / group] += x.q[t * kp + i] = (int8_t)((int)(tri_random(&seed) % 255) - 127);
    return x;
}

static void keep(const void *arg, int t, int tokens, int m0, int m1, const void *y)
{
    float *out = *(float *const *)arg;
    for (int i = 0; i < tokens; i++)
        for (int m = m0; m < m1 && m < M; m++)
            out[(t + i) * M + m] = ((const float *)y)[i * (m1 - m0) + m - m0];
}

static void test_plan(const struct tri_pool *pool, const struct tri_plan *plan, int group)
{
    const int kp = tri_round_up(K, plan->layout->kstep), groups = tri_groups(K, group);
    struct matrix w = matrix(plan->layout, kp, groups);
    struct tri_operand x = operand(kp, group, groups, tri_product_spare(plan));
    float want[TOKENS * M], found[TOKENS * M], *out = found;
    float *scratch = memory(tri_product_sums(plan), sizeof *scratch);
    tri_ref_grouped(w.trits, 0, M, K, group, x.q, x.ldq, TOKENS, w.by_row, x.scale, want, M);
    for (int n = 1; n <= TOKENS; n++) {
        memset(found, 0x5a, sizeof found);
        for (int thread = 0; thread < THREADS; thread++)
            tri_product(plan, w.packed, w.packed_scales, M, kp, &x, n, pool, thread, scratch, keep, &out);
        assert_memory_equal(found, want, (size_t)n * M * sizeof(float));
    }
    free(w.trits), free(w.by_row), free(w.packed_scales), free(w.packed);
    free(x.q), free(x.sum), free(x.scale), free(scratch);
}

static void test_products(void **state)
{
    static const int group[] = {32, 64, 128, 256};
    struct tri_error e;
    struct tri_pool *pool = tri_pool_new(THREADS, &e);
    (void)state;
    assert_non_null(pool);
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
        for (int g = 0; isa->present() && g < 4; g++) {
            struct tri_plan plan;
            assert_int_equal(tri_dispatch_limit(isa->name, NULL), TRI_OK);
            tri_dispatch_plan(TRI_ROLE_O, M, K, group[g], &plan);
            assert_true(plan.count > 1);
            for (int i = 0; i < plan.count; i++) {
                assert_int_equal(plan.kernels[i]->kind, TRI_KIND_grouped);
                assert_int_equal(plan.kernels[i]->group, group[g]);
            }
            test_plan(pool, &plan, group[g]);
        }
    tri_dispatch_limit(NULL, NULL);
    tri_pool_free(pool);
}

static void test_other_groups(void **state)
{
    struct tri_plan plan;
    (void)state;
    tri_dispatch_plan(TRI_ROLE_O, M, K, 48, &plan);
    assert_int_equal(plan.count, 0);
    tri_dispatch_plan(TRI_ROLE_O, M, K, 0, &plan);
    assert_int_equal(plan.kernels[0]->kind, TRI_KIND_matmul);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_other_groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
