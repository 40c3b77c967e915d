/* Attention over caches of random keys and values: against a plain one in double, and the same bits however queries are
 * put together, on every ISA, with any number of threads. */
#include "base/memory.h"
#include "engine/attend.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

enum { CONTEXT = 800, WIDEST = 128, HEADS = 8, MOST_TOKENS = 80, MOST_WIDE = 2048 };

static uint64_t seed = 11;

static float real(void)
{
    return (float)((double)any(&seed) * 0x1p-31 - 1);
}

static void fill(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = real();
}

static struct tri_cache cache_of(const struct tri_vec *v, enum tri_cache_type type, int heads, int dim)
{
    struct tri_error e;
    struct tri_cache c;
    float x[WIDEST];
    assert_int_equal(tri_cache_new(&c, "cache", type, 1, CONTEXT, heads, dim, &e), TRI_OK);
    for (int i = 0; i < CONTEXT * heads; i++) {
        fill(x, dim);
        tri_cache_put(&c, v, 0, i / heads, i % heads, x, dim);
    }
    return c;
}

/* -- one head, straight ------------------------------------------------ */

static void plain(const struct tri_attention *a, int position, const float *query, double *out)
{
    const struct tri_rows *keys = &a->v->rows[a->keys->rows], *values = &a->v->rows[a->values->rows];
    double sum = 0;
    memset(out, 0, (size_t)a->head_dim * sizeof *out);
    for (int i = 0; i <= position; i++) {
        float key[WIDEST], value[WIDEST];
        double dot = 0;
        keys->floats(tri_cache_head(a->keys, 0, a->head) + (size_t)i * a->keys->row, key, a->head_dim);
        values->floats(tri_cache_head(a->values, 0, a->head) + (size_t)i * a->values->row, value, a->head_dim);
        for (int d = 0; d < a->head_dim; d++)
            dot += (double)key[d] * (double)query[d];
        const double weight = exp(dot / sqrt(a->head_dim));
        for (int d = 0; d < a->head_dim; d++)
            out[d] += weight * (double)value[d];
        sum += weight;
    }
    for (int d = 0; d < a->head_dim; d++)
        out[d] /= sum;
}

/* Outputs [tokens][shared][head_dim] of tokens taken together. */
static void together(const struct tri_attention *a, float *out)
{
    float *part = tri_attend(a);
    for (int i = 0; i < a->tokens * a->shared; i++)
        assert_true(tri_attend_finish(a, part + (size_t)i * tri_part_floats(a->head_dim), out + i * a->head_dim));
}

/* The same, each token alone. */
static void apart(const struct tri_attention *a, float *out)
{
    for (int t = 0; t < a->tokens; t++) {
        struct tri_attention one = *a;
        one.position += t;
        one.tokens = 1;
        one.query += (size_t)t * a->ldq;
        together(&one, out + t * a->shared * a->head_dim);
    }
}

/* The same again, block by block. */
static void by_blocks(const struct tri_attention *a, float *out)
{
    const int queries = a->tokens * a->shared, blocks = tri_attention_blocks(a->position + a->tokens - 1);
    const size_t ld = tri_part_floats(a->head_dim);
    float *parts = malloc((size_t)(blocks * queries) * ld * sizeof *parts);
    for (int b = blocks - 1; b >= 0; b--)
        tri_attend_block(a, b, parts + (size_t)(b * queries) * ld);
    for (int i = 0; i < queries; i++) {
        float *part = parts + (size_t)i * ld;
        for (int b = 1; b < tri_attention_blocks(a->position + i / a->shared); b++)
            tri_attend_join(a, part, part + (size_t)(b * queries) * ld);
        assert_true(tri_attend_finish(a, part, out + i * a->head_dim));
    }
    free(parts);
}

static void check_group(struct tri_attention a, const float *query)
{
    const size_t outputs = (size_t)(a.tokens * a.shared * a.head_dim);
    float *expected = malloc(outputs * sizeof *expected), *found = malloc(outputs * sizeof *found);
    double out[WIDEST];
    a.v = tri_isa_find("c")->vec;
    apart(&a, expected);
    for (int i = 0; i < a.tokens * a.shared; i += 7) {
        plain(&a, a.position + i / a.shared, query + (size_t)(i / a.shared) * a.ldq + i % a.shared * a.head_dim, out);
        for (int d = 0; d < a.head_dim; d++)
            assert_true(fabs(out[d] - (double)expected[i * a.head_dim + d]) < 3e-6);
    }
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        void (*const ways[])(const struct tri_attention *, float *) = {together, apart, by_blocks};
        a.v = isa->vec;
        for (size_t i = 0; isa->present() && i < sizeof ways / sizeof ways[0]; i++) {
            memset(found, 0, outputs * sizeof *found);
            ways[i](&a, found);
            assert_memory_equal(found, expected, outputs * sizeof *found);
        }
    }
    free(expected);
    free(found);
}

static void one_head(int dim, int shared, enum tri_cache_type k, enum tri_cache_type v)
{
    static const int stretches[][2] = {{0, 1}, {0, 64}, {3, 5}, {255, 1}, {250, 20}, {500, 64}, {767, 2}}; /* tokens */
    const struct tri_vec *c = tri_isa_find("c")->vec;
    const struct tri_cache keys = cache_of(c, k, 2, dim), values = cache_of(c, v, 2, dim);
    const size_t ldq = (size_t)(shared * dim + 3);
    float *query = malloc(MOST_TOKENS * ldq * sizeof *query);
    float *scratch = malloc(tri_attention_floats(shared, dim) * sizeof *scratch);
    fill(query, (int)(MOST_TOKENS * ldq));
    fill(scratch, (int)tri_attention_floats(shared, dim));
    for (size_t i = 0; i < sizeof stretches / sizeof stretches[0]; i++) {
        const int most = tri_attention_tokens(shared), tokens = stretches[i][1] < most ? stretches[i][1] : most;
        check_group((struct tri_attention){.keys = &keys, .values = &values, .head = (int)i % 2, .head_dim = dim,
                                           .position = stretches[i][0], .tokens = tokens, .shared = shared,
                                           .query = query, .ldq = ldq, .scratch = scratch},
                    query);
    }
    tri_free(keys.data);
    tri_free(values.data);
    free(query);
    free(scratch);
}

static void groups_are_their_tokens(void **unused)
{
    (void)unused;
    one_head(64, 1, TRI_CACHE_F32, TRI_CACHE_F16);
    one_head(96, 4, TRI_CACHE_F16, TRI_CACHE_F16);
    one_head(100, 3, TRI_CACHE_Q8_0, TRI_CACHE_Q8_0);
    one_head(128, 4, TRI_CACHE_Q8_0, TRI_CACHE_F32);
    one_head(12, 5, TRI_CACHE_F16, TRI_CACHE_Q8_0);
    one_head(36, 70, TRI_CACHE_F32, TRI_CACHE_F32); /* more queries than are taken together otherwise */
}

static void scores_beyond_floats_are_told(void **unused)
{
    (void)unused;
    const struct tri_vec *c = tri_isa_find("c")->vec;
    const struct tri_cache keys = cache_of(c, TRI_CACHE_F32, 1, 16), values = cache_of(c, TRI_CACHE_F32, 1, 16);
    float query[3][16], scratch[1 << 16], x[16] = {3e38f}, out[16];
    assert_true(tri_attention_floats(1, 16) <= sizeof scratch / sizeof scratch[0]);
    fill(query[0], 48);
    query[0][0] = query[1][0] = query[2][0] = 4;
    tri_cache_put(&keys, c, 0, 299, 0, x, 16); /* of the second token, in its second block */
    const struct tri_attention a = {.v = c, .keys = &keys, .values = &values, .head_dim = 16, .position = 298,
                                    .tokens = 3, .shared = 1, .query = query[0], .ldq = 16, .scratch = scratch};
    float *part = tri_attend(&a);
    for (int t = 0; t < 3; t++)
        assert_int_equal(tri_attend_finish(&a, part + (size_t)t * tri_part_floats(16), out), t == 0);
    tri_free(keys.data);
    tri_free(values.data);
}

/* -- a pass ------------------------------------------------------------ */

struct pass {
    struct tri_workspace *w;
    struct tri_ubatch u;
};

static void attend(void *arg, int thread, int threads)
{
    const struct pass *p = arg;
    tri_attend_pass(p->w, &p->u, 0, thread, threads);
}

/* w->mixed of runs over caches that are there, with some threads. */
static void mixed(const struct tri_model *m, const struct pass *shape, int threads, const float *wide, float *out)
{
    struct tri_error e;
    struct tri_pool *pool = tri_pool_new(threads, &e);
    struct tri_workspace *w = tri_workspace_new(m, pool, &(struct tri_workspace_options){.ubatch = MOST_TOKENS}, &e);
    const size_t each = (size_t)(m->config.heads * m->config.head_dim);
    struct pass p = {w, shape->u};
    assert_non_null(w);
    assert_true(w->ldw <= MOST_WIDE);
    memcpy(w->wide, wide, MOST_TOKENS * w->ldw * sizeof *wide);
    tri_pool_run(pool, attend, &p);
    memcpy(out, w->mixed, (size_t)p.u.n * each * sizeof *out);
    assert_int_equal(tri_forward_overflow(w, p.u.n), -1);
    tri_workspace_free(w);
    tri_pool_free(pool);
}

static void check_runs(const struct tri_model *m, const struct tri_run *run, int runs)
{
    const size_t each = (size_t)(m->config.heads * m->config.head_dim);
    static float wide[MOST_TOKENS * MOST_WIDE];
    static float expected[MOST_TOKENS * HEADS * WIDEST], found[MOST_TOKENS * HEADS * WIDEST];
    struct pass all = {.u = {.run = run, .runs = runs}};
    fill(wide, sizeof wide / sizeof wide[0]);
    for (int r = 0; r < runs; r++)
        for (int t = 0; t < run[r].count; t++, all.u.n++) {
            const struct tri_run one = {run[r].session, run[r].position + t, all.u.n, 1};
            const struct pass p = {.u = {.n = all.u.n + 1, .run = &one, .runs = 1}};
            mixed(m, &p, 1, wide, found);
            memcpy(expected + (size_t)all.u.n * each, found + (size_t)all.u.n * each, each * sizeof *found);
        }
    for (int threads = 1; threads <= 5; threads++) {
        mixed(m, &all, threads, wide, found);
        assert_memory_equal(found, expected, (size_t)all.u.n * each * sizeof *found);
    }
}

static void passes_of_model(int heads, int kv_heads, int dim, enum tri_cache_type type)
{
    struct tri_error e = {0};
    struct synthetic shape = SYNTHETIC;
    shape.layers = 1, shape.heads = heads, shape.kv_heads = kv_heads, shape.head_dim = shape.rope_dims = dim;
    shape.arch = "llama", shape.sub_norms = false;
    struct bytes file = synthetic_file(&shape);
    struct tri_gguf *g = tri_gguf_read(file.at, file.count, "test.gguf", &e);
    struct tri_pool *pool = tri_pool_new(1, &e);
    struct tri_model *m = tri_model_load(g, pool, &e);
    struct tri_session s[2] = {{.model = m}, {.model = m}};
    for (int i = 0; i < 2; i++) {
        s[i].keys = cache_of(tri_dispatch_isa()->vec, type, kv_heads, dim);
        s[i].values = cache_of(tri_dispatch_isa()->vec, type, kv_heads, dim);
    }
    check_runs(m, (const struct tri_run[]){{&s[0], 700, 0, 1}}, 1);
    check_runs(m, (const struct tri_run[]){{&s[0], 766, 0, 5}}, 1);
    check_runs(m, (const struct tri_run[]){{&s[0], 513, 0, 1}, {&s[1], 20, 1, 2}, {&s[0], 514, 3, 1}}, 3);
    check_runs(m, (const struct tri_run[]){{&s[1], 230, 0, 70}, {&s[0], 600, 70, 1}}, 2);
    for (int i = 0; i < 2; i++) {
        tri_free(s[i].keys.data);
        tri_free(s[i].values.data);
    }
    tri_model_free(m);
    tri_pool_free(pool);
    tri_gguf_close(g);
    free(file.at);
}

static void threads_change_nothing(void **unused)
{
    (void)unused;
    passes_of_model(8, 2, 128, TRI_CACHE_F16);
    passes_of_model(3, 3, 100, TRI_CACHE_Q8_0);
    passes_of_model(4, 1, 64, TRI_CACHE_F32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_their_tokens),
        cmocka_unit_test(scores_beyond_floats_are_told),
        cmocka_unit_test(threads_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
