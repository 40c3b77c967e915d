/* Lists of what is active, and products cut by them: shares of all threads together are the whole, for every sparse
 * kernel linked; and plans name one where there is something to skip. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/sparse.h"
#include "kernels/verify.h"

enum { M = 700, K = 900, KP = 1024, MP = 768 };

static void test_lists(void **state)
{
    const float g[] = {-1, 0, 2, NAN, 1e-40f, -0.0f, INFINITY, -INFINITY, 3};
    int8_t q[100] = {0}, x[100];
    int32_t list[100];
    (void)state;
    assert_int_equal(tri_list_positive(g, 0, 9, list), 4);
    assert_true(list[0] == 2 && list[1] == 4 && list[2] == 6 && list[3] == 8);
    assert_int_equal(tri_list_positive(g, 3, 7, list), 2);
    assert_true(list[0] == 4 && list[1] == 6);
    assert_int_equal(tri_list_positive(g, 5, 5, list), 0);

    q[0] = -127, q[7] = 1, q[40] = 127, q[98] = -1, q[99] = 5;
    assert_int_equal(tri_list_nonzero(q, 0, 99, list, x), 4);
    assert_true(list[0] == 0 && list[1] == 7 && list[2] == 40 && list[3] == 98);
    assert_true(x[0] == -127 && x[1] == 1 && x[2] == 127 && x[3] == -1);
    assert_int_equal(tri_list_nonzero(q, 1, 100, list, x), 4);
    assert_int_equal(tri_list_nonzero(q, 41, 90, list, x), 0);
    memset(q, 3, sizeof q);
    assert_int_equal(tri_list_nonzero(q, 0, 100, list, x), 100);
    for (int i = 0; i < 100; i++)
        assert_true(list[i] == i && x[i] == 3);
}

/* `rows` rows of `k` trits at random, and as packed. */
static int8_t *matrix(const struct tri_layout *l, int rows, int k, int kp, uint8_t **packed)
{
    int8_t *w = malloc((size_t)rows * (size_t)k);
    const size_t tile = (size_t)(kp / l->kstep) * (size_t)l->bytes;
    *packed = calloc((size_t)rows * tile + 64, 1);
    uint64_t seed = 7;
    for (int i = 0; i < rows * k; i++)
        w[i] = (int8_t)((int)(tri_random(&seed) % 3) - 1);
    assert_int_equal(l->rows, 1);
    for (int r = 0; r < rows; r++)
        l->pack(w + (size_t)r * (size_t)k, (size_t)k, 1, k, kp, *packed + (size_t)r * tile);
    return w;
}

static void shares(const struct tri_kernel *kernel, const struct tri_layout *l, int threads)
{
    const bool rows = kernel->kind == TRI_KIND_rows;
    const struct tri_plan plan = {.sparse = {kernel, l, 0.5}};
    uint8_t *packed;
    int8_t *w = matrix(l, rows ? M : K, rows ? K : M, rows ? KP : MP, &packed), q[KP] = {0}, x[KP] = {0};
    int32_t list[KP], y[MP], want[MP], sum = 0;
    uint64_t seed = 9;
    for (int i = 0; i < K; i++) {
        q[i] = tri_random(&seed) % 4 ? 0 : (int8_t)((int)(tri_random(&seed) % 255) - 127);
        sum += q[i];
    }
    struct tri_error e;
    struct tri_pool *pool = tri_pool_new(threads, &e);
    assert_non_null(pool);
    memset(y, 0x77, sizeof y);
    const int n = tri_list_nonzero(q, 0, rows ? M : K, list, x);
    if (rows)
        tri_ref_rows(w, list, n, K, q, want);
    else
        tri_ref_columns(w, M, list, n, x, want);
    for (int t = 0; t < threads; t++)
        if (rows)
            tri_sparse_rows(&plan, packed, KP, list, n, q, sum, pool, t, y);
        else
            tri_sparse_columns(&plan, packed, M, list, n, x, sum, pool, t, y);
    for (int i = 0; i < (rows ? n : M); i++)
        assert_int_equal(y[i], want[i]);
    assert_int_equal(y[rows ? n : M], 0x77777777);
    tri_pool_free(pool);
    free(w), free(packed);
}

static void test_shares(void **state)
{
    (void)state;
    for (const struct tri_kernel *k = tri_kernels; k->name; k++)
        if ((k->kind == TRI_KIND_rows || k->kind == TRI_KIND_columns) && tri_isa_find(k->isa)->present())
            for (int threads = 1; threads <= 5; threads += 2)
                shares(k, tri_layout_find(k->layout), threads);
}

static void test_plans(void **state)
{
    struct tri_plan plan;
    (void)state;
    for (int limited = 0; limited < 2; limited++) {
        assert_int_equal(tri_dispatch_limit(limited ? "c" : NULL, NULL), TRI_OK);
        tri_dispatch_plan(TRI_ROLE_GATE_UP, 13824, 2560, 0, &plan);
        assert_int_equal(plan.sparse.kernel->kind, TRI_KIND_rows);
        assert_string_equal(plan.sparse.layout->name, plan.sparse.kernel->layout);
        tri_dispatch_plan(TRI_ROLE_DOWN, 2560, 6912, 0, &plan);
        assert_int_equal(plan.sparse.kernel->kind, TRI_KIND_columns);
        assert_true(!limited || !strcmp(plan.sparse.kernel->isa, "c"));
        assert_true(plan.sparse.break_even >= 0 && plan.sparse.break_even <= 1);
        assert_false(tri_sparse_pays(&plan, 6912, 6912));
        plan.sparse.break_even = 0.25;
        assert_true(tri_sparse_pays(&plan, 24, 100));
        assert_false(tri_sparse_pays(&plan, 25, 100));
        tri_dispatch_plan(TRI_ROLE_O, 2560, 2560, 0, &plan);
        assert_null(plan.sparse.kernel);
        assert_false(tri_sparse_pays(&plan, 0, 100));
    }
    tri_dispatch_limit(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists), cmocka_unit_test(test_shares), cmocka_unit_test(test_plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
