/* Random models as files: the weights of those in memory, whatever the threads and types; a vocabulary that takes every
 * text; and what is refused or stopped leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "engine/session.h"
#include "file/gguf_write.h"
#include "file/ternary.h"
#include "model/synth.h"
#include "pool.h"
#include "text/filler.h"
#include "text/tokenizer.h"

enum { F16 = 1, Q8_0 = 8, Q6_K = 14, TQ2_0 = 35, I2_S = 36, Q2_0 = 42 };

static char path[] = "/tmp/tritune-synth-XXXXXX";

static int make_place(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_place(void **state)
{
    (void)state;
    return unlink(path);
}

static bool never(void)
{
    return false;
}

static bool always(void)
{
    return true;
}

/* Rows of 96 and 160 columns: groups of 128 lie across them. */
static struct tri_synth narrow(void)
{
    struct tri_synth s = {.config = {.family = tri_family_find("bitnet-b1.58"), .layers = 3, .hidden = 96, .ffn = 160,
                                     .heads = 4, .kv_heads = 2, .head_dim = 24, .vocab = 520, .context = 64,
                                     .rope_dims = 24, .rope_theta = 10000, .norm_eps = 1e-5f}};
    tri_synth_usual(&s);
    return s;
}

/* More rows than a period has, rows for every type of embedding. */
static struct tri_synth wide(void)
{
    struct tri_synth s = narrow();
    s.config.hidden = 256, s.config.ffn = 1280, s.config.head_dim = s.config.rope_dims = 64;
    return s;
}

static enum tri_filler filler = TRI_FILLER_BPE;

static enum tri_status write_file(const struct tri_synth *s, int type, int threads, bool (*stop)(void),
                                  struct tri_error *e)
{
    struct tri_pool *pool = pool_of(threads);
    struct tri_gguf_writer *w = tri_gguf_create(path, TRI_GGUF_ALIGNMENT, e);
    assert_non_null(w);
    enum tri_status status = tri_filler_add(w, filler, s->config.vocab, e);
    if (status == TRI_OK)
        status = tri_synth_write(s, tri_encoding_find((uint32_t)type), w, pool, stop, e);
    if (status == TRI_OK)
        status = tri_gguf_commit(w, e);
    tri_gguf_discard(w);
    tri_pool_free(pool);
    return status;
}

static struct tri_gguf *written(const struct tri_synth *s, int type, int threads)
{
    struct tri_error e;
    if (write_file(s, type, threads, never, &e) != TRI_OK)
        fail_msg("%s", e.text);
    struct tri_gguf *g = tri_gguf_open(path, &e);
    if (!g)
        fail_msg("%s", e.text);
    return g;
}

static uint64_t fnv(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

/* Of the bits of all logits of a few tokens. */
static uint64_t logits_of(const struct tri_model *m, struct tri_pool *pool)
{
    struct tri_error e;
    struct tri_session *session = tri_session_new(m, pool, &(struct tri_session_options){0}, &e);
    uint64_t hash = 0;
    assert_non_null(session);
    for (int32_t id = 1; id < 500; id += 99) {
        const float *logits;
        assert_int_equal(tri_session_feed(session, &id, 1, &logits, &e), TRI_OK);
        hash = fnv(hash, logits, (size_t)m->config.vocab * sizeof *logits);
    }
    tri_session_free(session);
    return hash;
}

static uint64_t logits_in_memory(const struct tri_synth *s, int threads)
{
    struct tri_error e;
    struct tri_pool *pool = pool_of(threads);
    struct tri_model *m = tri_model_synth(s, pool, &e);
    if (!m)
        fail_msg("%s", e.text);
    const uint64_t hash = logits_of(m, pool);
    tri_model_free(m);
    tri_pool_free(pool);
    return hash;
}

static uint64_t logits_of_file(const struct tri_synth *s, int type)
{
    struct tri_error e;
    struct tri_pool *pool = pool_of(1);
    struct tri_gguf *g = written(s, type, 2);
    struct tri_model *m = tri_model_load(g, pool, &e);
    if (!m)
        fail_msg("%s", e.text);
    assert_ptr_equal(m->config.family, s->config.family);
    const uint64_t hash = logits_of(m, pool);
    tri_model_free(m);
    tri_gguf_close(g);
    tri_pool_free(pool);
    return hash;
}

static void expect_same(const struct tri_synth *s)
{
    const uint64_t expected = logits_in_memory(s, 1);
    assert_true(logits_in_memory(s, 3) == expected);
    assert_true(logits_of_file(s, s->group == 256 ? TQ2_0 : s->group ? Q2_0 : I2_S) == expected);
}

static void file_and_memory_are_the_same_model(void **state)
{
    (void)state;
    static const char *const families[] = {"bitnet-b1.58", "bitnet", "llama", "qwen3", "gemma3"};
    static const int types[] = {F16, Q8_0, Q6_K};
    for (int i = 0; i < 5; i++) {
        struct tri_synth s = narrow();
        s.config.family = tri_family_find(families[i]);
        s.config.norms_in = s.config.family->norms_in;
        s.seed = 5;
        expect_same(&s);
        s = wide();
        s.embedding = tri_encoding_find((uint32_t)types[i % 3]);
        s.head = i % 3 ? tri_encoding_find((uint32_t)types[2 - i % 3]) : NULL;
        s.ffn_sparsity = 0.8f, s.zeros = 0.3f;
        expect_same(&s);
    }
}

/* In every layer others. */
static void groups_of_columns_have_scales(void **state)
{
    (void)state;
    struct tri_synth s = wide();
    s.config.hidden = 512, s.config.head_dim = s.config.rope_dims = 128;
    const uint64_t one = logits_in_memory(&s, 1);
    for (s.group = 64; s.group <= 256; s.group *= 4) {
        assert_true(logits_in_memory(&s, 1) != one);
        expect_same(&s);
    }
}

/* Heads that are not the hidden size together have keys of their own. */
static void heads_of_any_size_are_written(void **state)
{
    (void)state;
    struct tri_synth s = narrow();
    s.config.head_dim = s.config.rope_dims = 32;
    expect_same(&s);
}

static uint64_t hash_of_file(const struct tri_synth *s, int type, int threads)
{
    struct tri_gguf *g = written(s, type, threads);
    uint64_t hash = 0;
    for (size_t i = 0; i < tri_gguf_tensor_count(g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(g, i);
        hash = fnv(hash, t->data, t->bytes);
    }
    tri_gguf_close(g);
    return hash;
}

static void threads_do_not_matter_and_seeds_do(void **state)
{
    (void)state;
    for (int type = F16; type <= I2_S; type += I2_S - F16) {
        struct tri_synth s = wide();
        const uint64_t expected = hash_of_file(&s, type, 1);
        assert_true(hash_of_file(&s, type, 3) == expected);
        s.seed++;
        assert_true(hash_of_file(&s, type, 1) != expected);
    }
}

/* The same weights in both types. */
static void halves_are_the_trits_times_their_scale(void **state)
{
    (void)state;
    static const char name[] = "blk.2.ffn_up.weight";
    struct tri_error e;
    struct tri_synth s = narrow();
    struct tri_gguf *g = written(&s, I2_S, 1);
    const struct tri_tensor *t = tri_gguf_tensor(g, name);
    struct tri_ternary w;
    int8_t trits[160], halves[160];
    assert_int_equal(tri_ternary_read(&w, t, &e), TRI_OK);
    const float scale = w.scale;
    assert_true(tri_f16_to_f32(tri_f32_to_f16(scale)) == scale);
    assert_int_equal(tri_ternary_row(&w, 77, trits, &e), TRI_OK);
    tri_gguf_close(g);
    g = written(&s, F16, 1);
    t = tri_gguf_tensor(g, name);
    assert_int_equal(tri_ternary_read(&w, t, &e), TRI_OK);
    assert_true(w.scale == scale);
    assert_int_equal(tri_ternary_row(&w, 77, halves, &e), TRI_OK);
    assert_memory_equal(halves, trits, (size_t)s.config.hidden);
    tri_gguf_close(g);
}

static void zeros_are_as_many_as_asked(void **state)
{
    (void)state;
    static const float shares[] = {0, 0.42f, 0.9f};
    for (int i = 0; i < 3; i++) {
        struct tri_error e;
        struct tri_synth s = wide();
        s.zeros = shares[i];
        struct tri_gguf *g = written(&s, I2_S, 1);
        const struct tri_tensor *t = tri_gguf_tensor(g, "blk.1.ffn_down.weight");
        struct tri_ternary w;
        int zeros = 0, sum = 0;
        int8_t trits[1280];
        assert_int_equal(tri_ternary_read(&w, t, &e), TRI_OK);
        for (int row = 0; row < s.config.hidden; row++) {
            assert_int_equal(tri_ternary_row(&w, row, trits, &e), TRI_OK);
            for (int j = 0; j < s.config.ffn; j++)
                zeros += trits[j] == 0, sum += trits[j];
        }
        const int all = s.config.hidden * s.config.ffn;
        assert_true(abs(zeros - (int)(shares[i] * (float)all)) < all / 100);
        assert_true(abs(sum) < all / 100);
        tri_gguf_close(g);
    }
}

/* Any bytes come back, behind the space that SentencePiece puts in front, and letters become words. */
static void check_vocabulary(enum tri_filler of)
{
    struct tri_error e;
    struct tri_synth s = narrow();
    s.config.vocab = 4000;
    filler = of;
    struct tri_gguf *g = written(&s, I2_S, 1);
    filler = TRI_FILLER_BPE;
    struct tri_tokenizer *t = tri_tokenizer_new(g, &e);
    if (!t)
        fail_msg("%s", e.text);
    assert_null(tri_tokenizer_notice(t));
    assert_int_equal(tri_vocabulary_size(t), 4000);
    char all[1 + 256 + 8] = " abc the ", *text = all + 1;
    for (int i = 0; i < 256; i++)
        text[8 + i] = (char)i;
    const char *back = of == TRI_FILLER_SPM ? all : text;
    const size_t size = sizeof all - 1, back_size = (size_t)(all + sizeof all - back);
    struct tri_ids ids = {0};
    size_t at = 0;
    assert_int_equal(tri_tokenize(t, text, size, 0, &ids, &e), TRI_OK);
    assert_true(ids.count < size);
    for (size_t i = 0; i < ids.count; i++) {
        const struct tri_text piece = tri_token_bytes(t, ids.at[i], false);
        assert_true(at + piece.size <= back_size && memcmp(back + at, piece.at, piece.size) == 0);
        at += piece.size;
    }
    assert_int_equal(at, back_size);
    tri_ids_free(&ids);
    tri_tokenizer_free(t);
    tri_gguf_close(g);
}

static void the_vocabulary_takes_every_text(void **state)
{
    (void)state;
    check_vocabulary(TRI_FILLER_BPE);
    check_vocabulary(TRI_FILLER_SPM);
}

static void expect_refused(const struct tri_synth *s, bool (*stop)(void), enum tri_status status, const char *words)
{
    struct tri_error e;
    assert_int_equal(write_file(s, I2_S, 2, stop, &e), status);
    if (!strstr(e.text, words))
        fail_msg("expected \"%s\" in: %s", words, e.text);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct tri_synth s = narrow();
    expect_refused(&s, always, TRI_INTERRUPTED, "interrupted");
    s.config.vocab = 511;
    expect_refused(&s, never, TRI_USAGE, "at least 512 tokens");
    s = narrow();
    s.config.ffn = 161;
    expect_refused(&s, never, TRI_USAGE, "ffn_gate: I2_S stores groups of 128");
    s = narrow();
    s.config.layers = 0;
    expect_refused(&s, never, TRI_USAGE, "layers");
    s = wide();
    s.group = 64;
    expect_refused(&s, never, TRI_USAGE, "expected a type that holds a scale for each 64 columns");
    s.group = 48;
    expect_refused(&s, never, TRI_USAGE, "attn_q: expected a scale for 32, 64, 128 or 256 columns");
    s = narrow();
    s.config.hidden = 1 << 18, s.config.ffn = 1 << 18, s.config.layers = 1024; /* 2^46 bytes */
    expect_refused(&s, never, TRI_FAILED, "expected room for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_and_memory_are_the_same_model),
        cmocka_unit_test(groups_of_columns_have_scales),
        cmocka_unit_test(heads_of_any_size_are_written),
        cmocka_unit_test(threads_do_not_matter_and_seeds_do),
        cmocka_unit_test(halves_are_the_trits_times_their_scale),
        cmocka_unit_test(zeros_are_as_many_as_asked),
        cmocka_unit_test(the_vocabulary_takes_every_text),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
