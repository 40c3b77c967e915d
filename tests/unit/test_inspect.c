/* What inspect counts and finds fault with: files in memory with one thing odd, and the sentence each must bring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/threads.h"
#include "cli/inspect.h"
#include "synthetic.h"
#include "pool.h"

struct found {
    struct bytes file;
    struct tri_inspection f;
};

/* `oddity` changes the bytes before they are read. */
static void look(struct found *x, const struct synthetic *m, void (*oddity)(struct bytes *))
{
    struct tri_error e;
    *x = (struct found){.file = synthetic_file(m)};
    if (oddity)
        oddity(&x->file);
    x->f.g = tri_gguf_read(x->file.at, x->file.count, "odd.gguf", &e);
    assert_non_null(x->f.g);
    struct tri_pool *pool = pool_of(2);
    tri_config_read(x->f.g, &x->f.config, &x->f.config_error);
    assert_int_equal(tri_inspection_count(&x->f, pool, &e), TRI_OK);
    assert_int_equal(tri_inspection_check(&x->f, &e), TRI_OK);
    tri_pool_free(pool);
}

static void leave(struct found *x)
{
    tri_findings_free(&x->f.findings);
    tri_free(x->f.share);
    tri_gguf_close((struct tri_gguf *)x->f.g);
    free(x->file.at);
}

static bool says(const struct found *x, const char *sentence)
{
    for (size_t i = 0; i < x->f.findings.count; i++)
        if (strstr(x->f.findings.text[i], sentence))
            return true;
    return false;
}

static void expect_finding(const struct synthetic *m, void (*oddity)(struct bytes *), const char *sentence)
{
    struct found x;
    look(&x, m, oddity);
    if (!says(&x, sentence))
        fail_msg("expected a finding \"%s\" among %zu, the first: %s", sentence, x.f.findings.count,
                 x.f.findings.count ? x.f.findings.text[0] : "none");
    leave(&x);
}

/* The size of rows that all layouts of I2_S hold alike. */
static const struct synthetic even = {.arch = "bitnet-b1.58", .layers = 2, .hidden = 128, .ffn = 256, .heads = 8,
                                      .kv_heads = 4, .head_dim = 16, .rope_dims = 16, .vocab = 70, .context = 600,
                                      .sub_norms = true, .embedding = 1};

static void test_nothing(void **state)
{
    struct found x;
    (void)state;
    look(&x, &even, NULL);
    assert_int_equal(x.f.findings.count, 0);
    leave(&x);
}

static void test_counts(void **state)
{
    struct synthetic m = even;
    struct found x;
    (void)state;
    m.idle = 50;
    look(&x, &m, NULL);
    for (size_t i = 0; i < tri_gguf_tensor_count(x.f.g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(x.f.g, i);
        const struct tri_share *s = &x.f.share[i];
        struct tri_ternary w;
        struct tri_error e;
        uint64_t counts[3] = {0}, empty = 0;
        int8_t row[512];
        assert_int_equal(s->known, t->encoding->ternary);
        if (!s->known)
            continue;
        assert_int_equal(tri_ternary_read(&w, t, &e), TRI_OK);
        for (int64_t r = 0; r < t->ne[1]; r++) {
            uint64_t zeros = 0;
            assert_int_equal(tri_ternary_row(&w, r, row, &e), TRI_OK);
            for (int64_t k = 0; k < t->ne[0]; k++) {
                counts[row[k] + 1]++;
                zeros += row[k] == 0;
            }
            empty += zeros == (uint64_t)t->ne[0];
        }
        assert_int_equal(s->minus, counts[0]);
        assert_int_equal(s->zero, counts[1]);
        assert_int_equal(s->plus, counts[2]);
        assert_int_equal(s->empty, empty);
        assert_int_equal(empty > 0, strstr(t->name, "ffn_gate") != NULL);
    }
    assert_true(says(&x, "ffn_gate.weight: all weights are 0 in"));
    leave(&x);
}

static void test_entropy(void **state)
{
    (void)state;
    assert_true(tri_share_entropy(&(struct tri_share){.minus = 5, .plus = 5}) == 1);
    assert_true(tri_share_entropy(&(struct tri_share){.zero = 9}) == 0);
    assert_true(tri_share_entropy(&(struct tri_share){.minus = 1, .zero = 2, .plus = 1}) == 1.5);
}

/* -- one thing odd ---------------------------------------------------------- */

static void end_long(struct bytes *file)
{
    put(file, "behind all", 10);
}

static void test_places(void **state)
{
    struct synthetic m = even;
    (void)state;
    expect_finding(&even, end_long, "10 bytes behind the last tensor belong to nothing");
    m.hidden = 100; /* norms of 400 bytes: padded to 416 */
    struct found x;
    look(&x, &m, NULL);
    const struct tri_tensor *t = tri_gguf_tensor(x.f.g, "blk.0.attn_norm.weight");
    const size_t at = (size_t)(t->data - x.file.at) + t->bytes;
    assert_true(t->bytes % 32 != 0);
    assert_false(says(&x, "is not zero"));
    x.file.at[at] = 1;
    struct tri_error e;
    assert_int_equal(tri_inspection_check(&x.f, &e), TRI_OK);
    assert_true(says(&x, "the padding behind tensor blk.0.attn_norm.weight"));
    leave(&x);
}

static void test_unknown_tensor(void **state)
{
    struct synthetic m = even;
    (void)state;
    m.extra = "blk.0.attn_q.bias";
    expect_finding(&m, NULL, "tensor blk.0.attn_q.bias is none of a bitnet-b1.58 model");
    m.extra = "blk.7.attn_norm.weight";
    expect_finding(&m, NULL, "tensor blk.7.attn_norm.weight is none");
}

static void test_not_ternary(void **state)
{
    struct synthetic m = even;
    (void)state;
    m.retyped = "blk.1.ffn_up.weight";
    expect_finding(&m, NULL, "tensor blk.1.ffn_up.weight (F32) is not ternary");
}

static void test_straddling(void **state)
{
    struct synthetic m = SYNTHETIC;
    (void)state;
    expect_finding(&m, NULL, "no multiple of 128");
}

static void test_no_model(void **state)
{
    struct synthetic m = even;
    (void)state;
    m.drop = "block_count";
    expect_finding(&m, NULL, "not a model to run");
}

static void test_mislabelled(void **state)
{
    struct synthetic m = even;
    (void)state;
    m.layers = 24;
    expect_finding(&m, NULL, "taken for bitnet");
}

/* The scale of blk.0.attn_q.weight, a thousandth of what it was. */
static void shrink(struct bytes *file)
{
    struct tri_error e;
    struct tri_gguf *g = tri_gguf_read(file->at, file->count, "odd.gguf", &e);
    const struct tri_tensor *t = tri_gguf_tensor(g, "blk.0.attn_q.weight");
    uint8_t *at = file->at + t->offset + t->bytes - 32;
    float scale;
    memcpy(&scale, at, sizeof scale);
    scale /= 1000;
    memcpy(at, &scale, sizeof scale);
    tri_gguf_close(g);
}

static void test_scales(void **state)
{
    (void)state;
    expect_finding(&even, shrink, "tensor blk.0.attn_q.weight has the scale");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),      cmocka_unit_test(test_counts),     cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_unknown_tensor),
        cmocka_unit_test(test_not_ternary),  cmocka_unit_test(test_straddling), cmocka_unit_test(test_no_model),
        cmocka_unit_test(test_mislabelled),  cmocka_unit_test(test_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
