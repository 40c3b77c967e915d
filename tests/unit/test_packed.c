/* Packed files: the same bits as from the file they were made from, wherever they were packed; what is wrong with them
 * is refused; what memory allows decides what is packed. */
#include "base/memory.h"
#include "engine/session.h"
#include "model/packed.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const source = "tests/model/tiny-tales-i2_s.gguf";
static char packed_path[64], other_path[64];

static bool never(void)
{
    return false;
}

static bool at_once(void)
{
    return true;
}

static struct tri_gguf *opened(const char *path)
{
    struct tri_error e = {0};
    struct tri_gguf *g = tri_gguf_open(path, &e);
    if (!g)
        fail_msg("%s", e.text);
    return g;
}

/* Logits of a few tokens. [vocab], to be freed with tri_free. */
static float *logits_of(const struct tri_gguf *g, const struct tri_budget *budget, char *notice)
{
    static const int32_t ids[] = {1, 5, 9, 400, 77, 3, 12};
    const struct tri_session_options o = {.context = 16, .ubatch = 4};
    struct tri_error e = {0};
    const float *logits = NULL;
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_model *m = tri_model_load_within(g, budget, pool, &e);
    struct tri_session *s = m ? tri_session_new(m, pool, &o, &e) : NULL;
    if (!s || tri_session_feed(s, ids, sizeof ids / sizeof ids[0], &logits, &e) != TRI_OK)
        fail_msg("%s", e.text);
    float *copy = tri_alloc((size_t)m->config.vocab, sizeof *copy, "logits", &e);
    memcpy(copy, logits, (size_t)m->config.vocab * sizeof *copy);
    strcpy(notice, m->notice);
    tri_session_free(s);
    tri_model_free(m);
    tri_pool_free(pool);
    return copy;
}

static void expect_bits(const char *path, const struct tri_budget *budget, const char *said)
{
    char notice[256];
    struct tri_gguf *a = opened(source), *b = opened(path);
    float *expected = logits_of(a, &(struct tri_budget){0}, notice), *found = logits_of(b, budget, notice);
    uint64_t vocab;
    assert_int_equal(tri_gguf_uint(a, "bitnet-b1.58.vocab_size", &vocab, &(struct tri_error){0}), TRI_OK);
    assert_memory_equal(expected, found, vocab * sizeof *found);
    if (said ? !strstr(notice, said) : *notice)
        fail_msg("expected the notice \"%s\", found \"%s\"", said ? said : "", notice);
    tri_free(expected);
    tri_free(found);
    tri_gguf_close(a);
    tri_gguf_close(b);
}

static void write_packed(const char *from, const char *to, const char *isa, enum tri_bits bits)
{
    struct tri_error e = {0};
    struct tri_gguf *g = opened(from);
    struct tri_pool *pool = tri_pool_new(2, &e);
    assert_int_equal(tri_dispatch_limit(isa, &e), TRI_OK);
    struct tri_model *m = tri_model_load_within(g, &(struct tri_budget){.bits = bits}, pool, &e);
    if (!m || tri_packed_write(m, g, to, pool, never, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
    tri_model_free(m);
    tri_pool_free(pool);
    tri_gguf_close(g);
}

static int make_files(void **unused)
{
    (void)unused;
    snprintf(packed_path, sizeof packed_path, "/tmp/tri_packed_%d.gguf", (int)getpid());
    snprintf(other_path, sizeof other_path, "/tmp/tri_packed_%d_other.gguf", (int)getpid());
    write_packed(source, packed_path, NULL, TRI_BITS_AUTO);
    write_packed(packed_path, other_path, "c", TRI_BITS_1_6);
    return 0;
}

static int remove_files(void **unused)
{
    (void)unused;
    unlink(packed_path);
    unlink(other_path);
    return 0;
}

/* What is said of the other file: whether all layouts here are those that plain C has for 1.6 bits. */
static const char *said_of_other(enum tri_bits bits)
{
    struct tri_error e;
    const char *said = NULL;
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        struct tri_plan here, there;
        tri_dispatch_plan_of(bits, r, 256, 256, 0, &here);
        assert_int_equal(tri_dispatch_limit("c", &e), TRI_OK);
        tri_dispatch_plan_of(TRI_BITS_1_6, r, 256, 256, 0, &there);
        assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
        if (here.layout != there.layout)
            said = "packed anew";
    }
    return said;
}

static void files_give_the_same_bits_wherever_they_were_packed(void **unused)
{
    (void)unused;
    expect_bits(packed_path, &(struct tri_budget){0}, NULL);
    expect_bits(other_path, &(struct tri_budget){0}, said_of_other(TRI_BITS_AUTO));
    expect_bits(other_path, &(struct tri_budget){.bits = TRI_BITS_1_6}, said_of_other(TRI_BITS_1_6));
    expect_bits(source, &(struct tri_budget){.bits = TRI_BITS_1_6}, NULL);
    expect_bits(source, &(struct tri_budget){.bits = TRI_BITS_2}, NULL);
}

/* -- damage ------------------------------------------------------------ */

static struct bytes contents(const char *path)
{
    struct tri_error e = {0};
    struct tri_map map;
    struct bytes b = {0};
    assert_int_equal(tri_map_open(&map, path, &e), TRI_OK);
    b.at = aligned_alloc(64, (map.size + 63) / 64 * 64); /* so that stacks can stay where they are */
    b.count = map.size;
    memcpy(b.at, map.data, map.size);
    tri_map_close(&map);
    return b;
}

static uint8_t *found_in(const struct bytes *b, const char *text)
{
    for (size_t i = 0; i + strlen(text) < b->count; i++)
        if (memcmp(b->at + i, text, strlen(text)) == 0)
            return b->at + i;
    fail_msg("no %s", text);
    return NULL;
}

static void refuse(const struct bytes *b, enum tri_status status, const char *needle)
{
    struct tri_error e = {0};
    struct tri_gguf *g = tri_gguf_read(b->at, b->count, "test.gguf", &e);
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_model *m = g ? tri_model_load(g, pool, &e) : NULL;
    if (m || e.status != status || !strstr(e.text, needle))
        fail_msg("expected %d with \"%s\", found %d: %s", status, needle, e.status, m ? "loaded" : e.text);
    tri_pool_free(pool);
    tri_gguf_close(g);
    free(b->at);
}

enum { RENAME = 1000000 };

static void what_keys_say_is_checked(void **unused)
{
    (void)unused;
    static const struct {
        const char *key;
        size_t skip; /* from the key's name to the byte that is changed; RENAME: it gets another name */
        uint8_t value;
        enum tri_status status;
        const char *needle;
    } cases[] = {
        {"tritune.packed.version", 4, 7, TRI_UNSUPPORTED, "expected version 1"},
        {"tritune.packed.o.layout", 12, 'z', TRI_UNSUPPORTED, "does not know"},
        {"tritune.packed.down.tile", 16, 5, TRI_UNSUPPORTED, "does not know"},
        {"tritune.packed.qkv.scales", RENAME, 0, TRI_BAD_FILE, "tritune.packed.qkv.scales"},
        {"tritune.packed.qkv.scales", 19, 0xff, TRI_BAD_FILE, "above 0"},
        {"tritune.packed.gate_up.checksums", RENAME, 0, TRI_BAD_FILE, "checksums"},
        {"tritune.packed.o.tile", RENAME, 0, TRI_BAD_FILE, "tritune.packed.o.tile"},
        {"blk.0.qkv.packed", RENAME, 0, TRI_BAD_FILE, "blk.0.qkv.packed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes b = contents(packed_path);
        uint8_t *at = found_in(&b, cases[i].key);
        if (cases[i].skip == RENAME)
            *at = 'X';
        else
            at[strlen(cases[i].key) + cases[i].skip] = cases[i].value;
        refuse(&b, cases[i].status, cases[i].needle);
    }
}

static void damage_is_harmless_and_found(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct bytes b = contents(packed_path);
    struct tri_gguf *g = tri_gguf_read(b.at, b.count, "test.gguf", &e);
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_packed p;
    struct tri_model *m = tri_model_load(g, pool, &e);
    assert_non_null(m);
    assert_int_equal(tri_packed_read(&p, g, &m->config, &e), TRI_OK);
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        struct tri_matrix stack = m->layer[1].matrix[r];
        assert_int_equal(tri_packed_stack(&p, 1, &stack, &e), TRI_OK);
        assert_int_equal(tri_packed_verify(&p, 1, &stack, &e), TRI_OK);
        b.at[(size_t)(stack.packed - b.at) + stack.bytes / 2] ^= 1;
        assert_int_equal(tri_packed_verify(&p, 1, &stack, &e), TRI_BAD_FILE);
        assert_non_null(strstr(e.text, "damaged"));
        for (size_t i = 0; i < stack.bytes; i++)
            b.at[(size_t)(stack.packed - b.at) + i] = (uint8_t)(i * 2654435761u >> 11);
    }
    char notice[256];
    tri_free(logits_of(g, &(struct tri_budget){.bits = TRI_BITS_2}, notice));
    tri_model_free(m);
    assert_null(tri_model_load_within(g, &(struct tri_budget){.bits = TRI_BITS_1_6}, pool, &e));
    assert_int_equal(e.status, TRI_BAD_FILE);
    assert_non_null(strstr(e.text, "weights of -1, 0 and 1"));
    tri_pool_free(pool);
    tri_gguf_close(g);
    free(b.at);
}

static void an_interrupted_file_is_none(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_gguf *g = opened(source);
    struct tri_pool *pool = tri_pool_new(1, &e);
    struct tri_model *m = tri_model_load(g, pool, &e);
    char path[80];
    snprintf(path, sizeof path, "%s.none", packed_path);
    assert_int_equal(tri_packed_write(m, g, path, pool, at_once, &e), TRI_INTERRUPTED);
    assert_int_equal(access(path, F_OK), -1);
    tri_model_free(m);
    tri_pool_free(pool);
    tri_gguf_close(g);
}

/* -- memory ------------------------------------------------------------ */

static size_t packed_bytes(const struct tri_budget *budget, char *notice, struct tri_error *e)
{
    struct tri_gguf *g = opened(source);
    struct tri_pool *pool = tri_pool_new(2, e);
    struct tri_model *m = tri_model_load_within(g, budget, pool, e);
    const size_t bytes = m ? m->packed_bytes : 0;
    strcpy(notice, m ? m->notice : "");
    tri_model_free(m);
    tri_pool_free(pool);
    tri_gguf_close(g);
    return bytes;
}

static void memory_decides_how_weights_are_packed(void **unused)
{
    (void)unused;
    char notice[256];
    struct tri_error e = {0};
    struct tri_gguf *g = opened(source);
    const size_t rest = tri_gguf_tensor(g, "token_embd.weight")->bytes, reserve = 12345;
    const size_t two = packed_bytes(&(struct tri_budget){.bits = TRI_BITS_2}, notice, &e);
    const size_t small = packed_bytes(&(struct tri_budget){.bits = TRI_BITS_1_6}, notice, &e);
    assert_null(tri_gguf_tensor(g, "output.weight"));
    tri_gguf_close(g);
    assert_true(small < two && 5 * small > 4 * two);
    struct tri_budget b = {.memory = two + rest + reserve, .reserve = reserve};
    assert_int_equal(packed_bytes(&b, notice, &e), packed_bytes(&(struct tri_budget){0}, notice, &e));
    b.memory = small + rest + reserve;
    assert_int_equal(packed_bytes(&b, notice, &e), small);
    b.bits = TRI_BITS_2;
    assert_int_equal(packed_bytes(&b, notice, &e), 0);
    assert_int_equal(e.status, TRI_NO_MEMORY);
    assert_non_null(strstr(e.text, "--bits 1.6"));
    b.bits = TRI_BITS_AUTO;
    b.memory--;
    assert_int_equal(packed_bytes(&b, notice, &e), 0);
    assert_int_equal(e.status, TRI_NO_MEMORY);
    assert_non_null(strstr(e.text, "--memory"));
}

static void plans_have_the_bits_asked_for(void **unused)
{
    (void)unused;
    struct tri_plan plan;
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        tri_dispatch_plan_of(TRI_BITS_1_6, r, 2560, 6912, 0, &plan);
        assert_int_equal(40 * plan.layout->bytes, 8 * plan.layout->rows * plan.layout->kstep);
        tri_dispatch_plan_of(TRI_BITS_2, r, 2560, 6912, 0, &plan);
        assert_int_equal(8 * plan.layout->bytes, 2 * plan.layout->rows * plan.layout->kstep);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_give_the_same_bits_wherever_they_were_packed),
        cmocka_unit_test(what_keys_say_is_checked),
        cmocka_unit_test(damage_is_harmless_and_found),
        cmocka_unit_test(an_interrupted_file_is_none),
        cmocka_unit_test(memory_decides_how_weights_are_packed),
        cmocka_unit_test(plans_have_the_bits_asked_for),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
