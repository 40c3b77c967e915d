/* Sessions in files: what is taken over has the bits of what is computed, and whatever else is there is refused. */
#include "base/checksum.h"
#include "engine/session.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT = 40, VOCAB = 70 };

struct engine {
    struct bytes file;
    struct tri_gguf *gguf;
    struct tri_pool *pool;
    struct tri_model *model;
    struct tri_session *s;
};

static char path[64];

static void need(bool good, const struct tri_error *e)
{
    if (!good)
        fail_msg("%s", e->text);
}

static struct engine engine_of(const struct synthetic *m, int threads, struct tri_session_options o)
{
    struct tri_error e = {0};
    struct engine n = {.file = synthetic_file(m)};
    need((n.gguf = tri_gguf_read(n.file.at, n.file.count, "test.gguf", &e)), &e);
    need((n.pool = tri_pool_new(threads, &e)), &e);
    need((n.model = tri_model_load(n.gguf, n.pool, &e)), &e);
    need((n.s = tri_session_new(n.model, n.pool, &o, &e)), &e);
    return n;
}

static void stop(struct engine *n)
{
    tri_session_free(n->s);
    tri_model_free(n->model);
    tri_pool_free(n->pool);
    tri_gguf_close(n->gguf);
    free(n->file.at);
}

static struct tri_session_options caches(enum tri_cache_type k, enum tri_cache_type v, int context)
{
    return (struct tri_session_options){.context = context, .cache_k = k, .cache_v = v};
}

static void some_ids(int32_t *ids)
{
    uint64_t random = 5;
    for (int i = 0; i < TEXT; i++)
        ids[i] = (int32_t)(any(&random) % VOCAB);
}

static const float *feed(struct engine *n, const int32_t *ids, int count)
{
    struct tri_error e = {0};
    const float *logits = NULL;
    need(tri_session_feed(n->s, ids, count, &logits, &e) == TRI_OK, &e);
    return logits;
}

static void save(struct engine *n, int count)
{
    struct tri_error e = {0};
    need(tri_session_save(n->s, count, path, &e) == TRI_OK, &e);
}

static int load(struct engine *n, const int32_t *ids, int count)
{
    struct tri_error e = {0};
    need(tri_session_load(n->s, path, ids, count, &e) == TRI_OK, &e);
    return tri_session_position(n->s);
}

/* -- the same bits ----------------------------------------------------- */

/* Written by one instruction set and read by another, into another context. */
static void compare(const struct synthetic *m, enum tri_cache_type k, enum tri_cache_type v, const char *isa)
{
    struct tri_error e;
    int32_t ids[TEXT];
    float expected[VOCAB];
    some_ids(ids);
    struct engine whole = engine_of(m, 2, caches(k, v, 0));
    memcpy(expected, feed(&whole, ids, TEXT), sizeof expected);
    save(&whole, 25);
    stop(&whole);
    assert_int_equal(tri_dispatch_limit(isa, &e), TRI_OK);
    struct engine rest = engine_of(m, 3, caches(k, v, TEXT));
    assert_int_equal(load(&rest, ids, TEXT), 25);
    assert_memory_equal(feed(&rest, ids + 25, TEXT - 25), expected, sizeof expected);
    stop(&rest);
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
}

static void what_is_loaded_has_the_bits_of_what_is_computed(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        if (!isa->present())
            continue;
        compare(&m, TRI_CACHE_F32, TRI_CACHE_F32, isa->name);
        compare(&m, TRI_CACHE_F16, TRI_CACHE_Q8_0, isa->name);
    }
    m.arch = "llama";
    m.sub_norms = false;
    m.own_head = true;
    compare(&m, TRI_CACHE_Q8_0, TRI_CACHE_F16, NULL);
}

static void what_is_shared_is_taken(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    int32_t ids[TEXT], other[TEXT];
    float expected[VOCAB];
    some_ids(ids);
    struct engine n = engine_of(&m, 2, caches(TRI_CACHE_F16, TRI_CACHE_F16, TEXT));
    memcpy(other, ids, sizeof ids);
    other[17] = (ids[17] + 1) % VOCAB;
    memcpy(expected, feed(&n, other, TEXT), sizeof expected);
    tri_session_rewind(n.s, 0);
    feed(&n, ids, TEXT);
    save(&n, TEXT);
    assert_int_equal(load(&n, ids, TEXT), TEXT - 1); /* the last is to be fed */
    assert_int_equal(load(&n, ids, 9), 8);
    assert_int_equal(load(&n, ids, 1), 0);
    assert_int_equal(load(&n, ids + 1, 9), ids[0] == ids[1]);
    assert_int_equal(load(&n, other, TEXT), 17);
    assert_memory_equal(feed(&n, other + 17, TEXT - 17), expected, sizeof expected);
    assert_int_equal(tri_session_save(n.s, 0, path, &e), TRI_USAGE);
    assert_int_equal(tri_session_save(n.s, TEXT + 1, path, &e), TRI_USAGE);
    save(&n, TEXT); /* in place of the one there */
    assert_int_equal(load(&n, other, TEXT), TEXT - 1);
    stop(&n);
}

/* -- files that are refused -------------------------------------------- */

struct forgery {
    struct bytes good, bad;
    struct engine *n;
    int32_t ids[TEXT];
};

static struct forgery start(struct engine *n)
{
    struct forgery f = {.n = n};
    uint8_t block[4096];
    some_ids(f.ids);
    feed(n, f.ids, 3);
    save(n, 3);
    FILE *file = fopen(path, "rb");
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        put(&f.good, block, got);
    fclose(file);
    put(&f.bad, f.good.at, f.good.count);
    return f;
}

static void finish(struct forgery *f)
{
    free(f->good.at);
    free(f->bad.at);
}

/* Says no, whatever the bytes, and leaves the session alone. */
static void refuse(struct forgery *f, size_t size, enum tri_status expected, const char *words)
{
    struct tri_error e = {0};
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(f->bad.at, 1, size, file), size);
    fclose(file);
    const enum tri_status status = tri_session_load(f->n->s, path, f->ids, 3, &e);
    if (status == TRI_OK || (expected && status != expected) || !strstr(e.text, words))
        fail_msg("%zu bytes: status %d: %s", size, status, e.text);
    assert_int_equal(tri_session_position(f->n->s), 3);
}

static void damaged_files_are_refused(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = engine_of(&m, 1, caches(TRI_CACHE_Q8_0, TRI_CACHE_F16, 8));
    struct forgery f = start(&n);
    for (size_t size = 0; size < f.good.count; size += size < 80 ? 1 : 13)
        refuse(&f, size, TRI_BAD_FILE, size ? "prompt cache" : "non-empty");
    for (size_t i = 0; i < f.good.count; i += i < 80 ? 1 : 7) {
        f.bad.at[i] ^= (uint8_t)(1 << i % 8);
        refuse(&f, f.good.count, TRI_OK, "prompt cache");
        f.bad.at[i] = f.good.at[i];
    }
    put(&f.bad, "12345678", 8);
    refuse(&f, f.bad.count, TRI_BAD_FILE, "damaged");
    finish(&f);
    stop(&n);
}

/* Headers that lie, under a checksum that is right. */
static void lying_files_are_refused(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = engine_of(&m, 1, caches(TRI_CACHE_Q8_0, TRI_CACHE_F16, 8));
    struct forgery f = start(&n);
    static const uint32_t lies[] = {0, 1, 2, 4, 5, 8, 1u << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    const size_t body = f.good.count - sizeof(uint64_t);
    for (size_t at = 8; at < 40; at += sizeof lies[0])
        for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
            if (memcmp(f.good.at + at, &lies[i], sizeof lies[i]) == 0)
                continue;
            memcpy(f.bad.at + at, &lies[i], sizeof lies[i]);
            const uint64_t checksum = tri_checksum(0, f.bad.at, body);
            memcpy(f.bad.at + body, &checksum, sizeof checksum);
            refuse(&f, f.good.count, TRI_OK, "prompt cache");
            memcpy(f.bad.at + at, f.good.at + at, sizeof lies[i]);
        }
    finish(&f);
    stop(&n);
}

static void expect_refusal(struct engine *n, enum tri_status expected, const char *words)
{
    struct tri_error e = {0};
    int32_t ids[TEXT];
    some_ids(ids);
    assert_int_equal(tri_session_load(n->s, path, ids, TEXT, &e), expected);
    if (!strstr(e.text, words))
        fail_msg("expected \"%s\" in \"%s\"", words, e.text);
    stop(n);
}

/* Of the same shape, but other in one thing. */
static void foreign_files_are_refused(void **unused)
{
    (void)unused;
    const struct tri_session_options f16 = caches(TRI_CACHE_F16, TRI_CACHE_F16, 0);
    struct synthetic m = SYNTHETIC, other = SYNTHETIC;
    int32_t ids[TEXT];
    some_ids(ids);
    struct engine n = engine_of(&m, 1, f16);
    feed(&n, ids, TEXT);
    save(&n, TEXT);
    stop(&n);
    n = engine_of(&m, 1, caches(TRI_CACHE_Q8_0, TRI_CACHE_F16, 0));
    expect_refusal(&n, TRI_UNSUPPORTED, "expected keys in q8_0, found f16 in the prompt cache; use -ctk");
    n = engine_of(&m, 1, caches(TRI_CACHE_F16, TRI_CACHE_F32, 0));
    expect_refusal(&n, TRI_UNSUPPORTED, "expected values in f32");
    n = engine_of(&m, 1, caches(TRI_CACHE_F16, TRI_CACHE_F16, TEXT - 1));
    expect_refusal(&n, TRI_FAILED, "do not fit");
    other.own_head = true;
    n = engine_of(&other, 1, f16);
    expect_refusal(&n, TRI_BAD_FILE, "one of another");
    other = m;
    other.key = "rope.freq_base";
    other.value = 20000;
    n = engine_of(&other, 1, f16);
    expect_refusal(&n, TRI_BAD_FILE, "one of another");
    other = m;
    other.idle = 50; /* only trits of the gate differ */
    n = engine_of(&other, 1, f16);
    expect_refusal(&n, TRI_BAD_FILE, "one of another");
}

static void impossible_places_are_refused(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    int32_t ids[TEXT];
    some_ids(ids);
    struct engine n = engine_of(&m, 1, caches(TRI_CACHE_F16, TRI_CACHE_F16, 0));
    feed(&n, ids, TEXT);
    assert_int_equal(tri_session_save(n.s, 1, "/nowhere/at/all.bin", &e), TRI_FAILED);
    assert_int_equal(tri_session_save(n.s, 1, "/tmp", &e), TRI_USAGE);
    assert_int_equal(tri_session_load(n.s, "/tmp", ids, TEXT, &e), TRI_BAD_FILE);
    assert_int_equal(tri_session_load(n.s, "/nowhere/at/all.bin", ids, TEXT, &e), TRI_BAD_FILE);
    ids[3] = VOCAB;
    assert_int_equal(tri_session_load(n.s, path, ids, TEXT, &e), TRI_USAGE);
    stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_loaded_has_the_bits_of_what_is_computed),
        cmocka_unit_test(what_is_shared_is_taken),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(lying_files_are_refused),
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(impossible_places_are_refused),
    };
    snprintf(path, sizeof path, "/tmp/tri-session-%d.bin", (int)getpid());
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
