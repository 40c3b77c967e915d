/* Packed files: the same bits as from the file they were made from, wherever they were packed; what is wrong with them
 * is refused; what memory allows decides what is packed. */
#include "base/memory.h"
#include "engine/session.h"
#include "file/gguf_write.h"
#include "model/synth.h"
#include "model/trits.h"
#include "synthetic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const source = "tests/model/tiny-tales-i2_s.gguf";
static char packed_path[64], other_path[64];
static char mixed_path[64], mixed_packed_path[64]; /* scales of matrices, rows and groups */

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

static void expect_bits(const char *from, const char *path, const struct tri_budget *budget, const char *said)
{
    char notice[256];
    struct tri_gguf *a = opened(from), *b = opened(path);
    float *expected = logits_of(a, &(struct tri_budget){0}, notice), *found = logits_of(b, budget, notice);
    assert_memory_equal(expected, found, (size_t)tri_gguf_tensor(a, "token_embd.weight")->ne[1] * sizeof *found);
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

/* -- scales of every kind, in one model -------------------------------- */

/* Scales of a row's groups become those of its first, of all rows those of row 0. */
static void make_equal(const struct tri_tensor *t, uint8_t *data, bool all_rows)
{
    for (int64_t row = 0; row < t->ne[1]; row++) {
        const uint8_t *first = data + t->encoding->scale_byte(t, all_rows ? 0 : row, 0);
        for (int64_t group = 0; group < t->ne[0] / t->encoding->block; group++)
            memmove(data + t->encoding->scale_byte(t, row, group), first, sizeof(uint16_t));
    }
}

/* Groups in q, gate and down of the second layer; rows in k, o and down of the first; one in v. */
static void mix(const char *path)
{
    static const struct {
        const char *name;
        bool all_rows;
    } equal[] = {{"blk.0.attn_k.weight", false}, {"blk.1.attn_k.weight", false}, {"blk.0.attn_v.weight", true},
                 {"blk.1.attn_v.weight", true}, {"blk.0.attn_output.weight", false}, {"blk.1.attn_output.weight", true},
                 {"blk.0.ffn_down.weight", false}};
    struct bytes b = contents(path);
    struct tri_gguf *g = opened(path);
    for (size_t i = 0; i < sizeof equal / sizeof equal[0]; i++) {
        const struct tri_tensor *t = tri_gguf_tensor(g, equal[i].name);
        make_equal(t, b.at + t->offset, equal[i].all_rows);
    }
    tri_gguf_close(g);
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(b.at, 1, b.count, f) == b.count && fclose(f) == 0);
    free(b.at);
}

static void write_mixed(const char *path)
{
    struct tri_error e = {0};
    struct tri_synth s = {.config = {.family = tri_family_find("qwen3"), .layers = 2, .hidden = 256, .ffn = 320,
                                     .heads = 4, .kv_heads = 2, .head_dim = 64, .vocab = 500, .context = 64,
                                     .rope_dims = 64, .rope_theta = 10000, .norm_eps = 1e-6f}};
    tri_synth_usual(&s);
    s.group = 64;
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_gguf_writer *w = tri_gguf_create(path, TRI_GGUF_ALIGNMENT, &e);
    const struct tri_encoding *q2_0 = tri_encoding_find(42);
    if (!w || tri_synth_write(&s, q2_0, w, pool, never, &e) != TRI_OK || tri_gguf_commit(w, &e) != TRI_OK)
        fail_msg("%s", e.text);
    tri_gguf_discard(w);
    tri_pool_free(pool);
    mix(path);
}

static int make_files(void **unused)
{
    (void)unused;
    snprintf(packed_path, sizeof packed_path, "/tmp/tri_packed_%d.gguf", (int)getpid());
    snprintf(other_path, sizeof other_path, "/tmp/tri_packed_%d_other.gguf", (int)getpid());
    write_packed(source, packed_path, NULL, TRI_BITS_AUTO);
    write_packed(packed_path, other_path, "c", TRI_BITS_1_6);
    snprintf(mixed_path, sizeof mixed_path, "/tmp/tri_packed_%d_mixed.gguf", (int)getpid());
    snprintf(mixed_packed_path, sizeof mixed_packed_path, "/tmp/tri_packed_%d_mixed_packed.gguf", (int)getpid());
    write_mixed(mixed_path);
    write_packed(mixed_path, mixed_packed_path, NULL, TRI_BITS_AUTO);
    return 0;
}

static int remove_files(void **unused)
{
    (void)unused;
    unlink(packed_path);
    unlink(other_path);
    unlink(mixed_path);
    unlink(mixed_packed_path);
    return 0;
}

/* What is said of another file: whether all layouts here are those that plain C has for such bits and groups. */
static const char *said_of_other(enum tri_bits bits, enum tri_bits others, int group)
{
    struct tri_error e;
    const char *said = NULL;
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        struct tri_plan here, there;
        tri_dispatch_plan_of(bits, r, 256, 256, group, &here);
        assert_int_equal(tri_dispatch_limit("c", &e), TRI_OK);
        tri_dispatch_plan_of(others, r, 256, 256, group, &there);
        assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
        if (here.layout != there.layout)
            said = "packed anew";
    }
    return said;
}

static void files_give_the_same_bits_wherever_they_were_packed(void **unused)
{
    (void)unused;
    const char *said = said_of_other(TRI_BITS_AUTO, TRI_BITS_1_6, 0);
    expect_bits(source, packed_path, &(struct tri_budget){0}, NULL);
    expect_bits(source, other_path, &(struct tri_budget){0}, said);
    said = said_of_other(TRI_BITS_1_6, TRI_BITS_1_6, 0);
    expect_bits(source, other_path, &(struct tri_budget){.bits = TRI_BITS_1_6}, said);
    expect_bits(source, source, &(struct tri_budget){.bits = TRI_BITS_1_6}, NULL);
    expect_bits(source, source, &(struct tri_budget){.bits = TRI_BITS_2}, NULL);
}

static struct tri_trits_hash hash_of(const char *path, enum tri_scaling scaling[TRI_PARTS])
{
    struct tri_error e = {0};
    struct tri_config c;
    struct tri_trits_hash hash;
    struct tri_gguf *g = opened(path);
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_trits *s = tri_config_read(g, &c, &e) == TRI_OK ? tri_trits_open(g, &c, pool, &e) : NULL;
    if (!s || tri_trits_hash(s, pool, never, &hash, &e) != TRI_OK)
        fail_msg("%s", e.text);
    for (int i = 0; i < TRI_PARTS; i++)
        scaling[i] = tri_trits_scaling(&s->matrix[i]);
    tri_trits_free(s);
    tri_pool_free(pool);
    tri_gguf_close(g);
    return hash;
}

static void expect_weights(const char *path)
{
    static const enum tri_scaling expected[TRI_PARTS] = {TRI_PER_GROUP, TRI_PER_ROW, TRI_PER_TENSOR, TRI_PER_ROW,
                                                         TRI_PER_GROUP, TRI_PER_GROUP, TRI_PER_ROW};
    enum tri_scaling found[2][TRI_PARTS];
    const struct tri_trits_hash a = hash_of(mixed_path, found[0]), b = hash_of(path, found[1]);
    assert_memory_equal(found[0], expected, sizeof expected);
    assert_memory_equal(found[1], expected, sizeof expected);
    assert_true(a.trits == b.trits && a.scales == b.scales);
}

static void scales_of_rows_and_groups_go_along(void **unused)
{
    (void)unused;
    char plain[80], again[80];
    const char *by_groups = said_of_other(TRI_BITS_AUTO, TRI_BITS_AUTO, 64);
    const char *said = by_groups ? by_groups : said_of_other(TRI_BITS_AUTO, TRI_BITS_AUTO, 0);
    snprintf(plain, sizeof plain, "%s.plain", mixed_packed_path);
    snprintf(again, sizeof again, "%s.again", mixed_packed_path);
    write_packed(mixed_packed_path, plain, "c", TRI_BITS_AUTO);
    write_packed(plain, again, NULL, TRI_BITS_AUTO);
    const char *const paths[] = {mixed_packed_path, plain, again};
    for (int i = 0; i < 3; i++) {
        expect_bits(mixed_path, paths[i], &(struct tri_budget){0}, i == 1 ? said : NULL);
        expect_weights(paths[i]);
    }
    struct bytes a = contents(mixed_packed_path), b = contents(again);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.at, b.at, a.count);
    free(a.at), free(b.at);
    unlink(plain), unlink(again);
}

static void scales_stay_where_they_are(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct tri_gguf *g = opened(mixed_packed_path);
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_model *m = tri_model_load(g, pool, &e);
    assert_non_null(m);
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        char name[64];
        snprintf(name, sizeof name, "blk.0.%s.scales", tri_role_names[r]);
        const struct tri_tensor *t = tri_gguf_tensor(g, name);
        assert_non_null(t);
        assert_ptr_equal(m->layer[0].matrix[r].scales, t->data);
        assert_int_equal(m->layer[0].matrix[r].group, r == TRI_ROLE_O ? 0 : 64);
    }
    assert_null(tri_gguf_tensor(g, "blk.1.o.scales"));
    assert_null(m->layer[1].matrix[TRI_ROLE_O].scales);
    tri_model_free(m);
    tri_pool_free(pool);
    tri_gguf_close(g);
}

/* -- damage ------------------------------------------------------------ */

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

struct change {
    const char *key;
    size_t skip; /* from the key's name to the byte that is changed; RENAME: it gets another name */
    uint8_t value;
    enum tri_status status;
    const char *needle;
};

static void refuse_changed(const char *path, const struct change *c)
{
    struct bytes b = contents(path);
    uint8_t *at = found_in(&b, c->key);
    if (c->skip == RENAME)
        *at = 'X';
    else
        at[strlen(c->key) + c->skip] = c->value;
    refuse(&b, c->status, c->needle);
}

static void what_keys_say_is_checked(void **unused)
{
    (void)unused;
    static const struct change changes[] = {
        {"tritune.packed.version", 4, 7, TRI_UNSUPPORTED, "expected version 1 or 2"},
        {"tritune.packed.o.layout", 12, 'z', TRI_UNSUPPORTED, "does not know"},
        {"tritune.packed.down.tile", 16, 5, TRI_UNSUPPORTED, "does not know"},
        {"tritune.packed.qkv.scales", RENAME, 0, TRI_BAD_FILE, "tritune.packed.qkv.scales"},
        {"tritune.packed.qkv.scales", 19, 0xff, TRI_BAD_FILE, "above 0"},
        {"tritune.packed.gate_up.checksums", RENAME, 0, TRI_BAD_FILE, "checksums"},
        {"tritune.packed.o.tile", RENAME, 0, TRI_BAD_FILE, "tritune.packed.o.tile"},
        {"blk.0.qkv.packed", RENAME, 0, TRI_BAD_FILE, "blk.0.qkv.packed"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        refuse_changed(packed_path, &changes[i]);
}

static void what_is_said_of_scales_is_checked(void **unused)
{
    (void)unused;
    static const struct change changes[] = {
        {"tritune.packed.version", 4, 1, TRI_BAD_FILE, "expected no tensor blk.0.qkv.scales"},
        {"tritune.packed.qkv.groups", RENAME, 0, TRI_BAD_FILE, "expected no tensor blk.0.qkv.scales"},
        {"tritune.packed.qkv.groups", 16, 96, TRI_BAD_FILE, "expected 0, 256, or 32, 64, 128 or 256"},
        {"tritune.packed.qkv.groups", 19, 0xff, TRI_BAD_FILE, "expected 0, 256, or 32, 64, 128 or 256"},
        {"tritune.packed.down.groups", 20, 128, TRI_BAD_FILE, "expected 0, 320, or"}, /* 320 is no multiple of it */
        {"tritune.packed.qkv.groups", 16, 32, TRI_BAD_FILE, "expected a tensor blk.0.qkv.scales"},
        {"tritune.packed.o.scales_checksums", RENAME, 0, TRI_BAD_FILE, "tritune.packed.o.scales_checksums"},
        {"blk.0.o.scales", RENAME, 0, TRI_BAD_FILE, "expected a tensor blk.0.o.scales"},
        {"blk.0.o.scales", 12, 24 /* I8 */, TRI_BAD_FILE, "expected a tensor blk.0.o.scales"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        refuse_changed(mixed_packed_path, &changes[i]);
}

static void scales_are_checked(void **unused)
{
    (void)unused;
    static const float impossible[] = {INFINITY, NAN, -1};
    struct tri_gguf *g = opened(mixed_packed_path);
    const uint64_t at = tri_gguf_tensor(g, "blk.1.gate_up.scales")->offset + 44 * sizeof(float);
    tri_gguf_close(g);
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        struct bytes b = contents(mixed_packed_path);
        memcpy(b.at + at, &impossible[i], sizeof impossible[i]);
        refuse(&b, TRI_BAD_FILE, "blk.1.gate_up.scales: expected finite numbers from 0 on");
    }
}

static void damaged_scales_are_found(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct bytes b = contents(mixed_packed_path);
    struct tri_gguf *g = tri_gguf_read(b.at, b.count, "test.gguf", &e);
    struct tri_pool *pool = tri_pool_new(2, &e);
    struct tri_model *m = tri_model_load(g, pool, &e);
    struct tri_packed p;
    assert_non_null(m);
    assert_int_equal(tri_packed_read(&p, g, &m->config, &e), TRI_OK);
    struct tri_matrix stack = m->layer[1].matrix[TRI_ROLE_DOWN];
    assert_int_equal(tri_packed_stack(&p, 1, &stack, &e), TRI_OK);
    assert_int_equal(tri_packed_verify(&p, 1, &stack, &e), TRI_OK);
    b.at[(size_t)((const uint8_t *)stack.scales - b.at) + 8] ^= 1;
    assert_int_equal(tri_packed_verify(&p, 1, &stack, &e), TRI_BAD_FILE);
    assert_non_null(strstr(e.text, "blk.1.down.scales"));
    tri_model_free(m);
    tri_pool_free(pool);
    tri_gguf_close(g);
    free(b.at);
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
        cmocka_unit_test(scales_of_rows_and_groups_go_along),
        cmocka_unit_test(scales_stay_where_they_are),
        cmocka_unit_test(what_is_said_of_scales_is_checked),
        cmocka_unit_test(scales_are_checked),
        cmocka_unit_test(damaged_scales_are_found),
        cmocka_unit_test(damage_is_harmless_and_found),
        cmocka_unit_test(an_interrupted_file_is_none),
        cmocka_unit_test(memory_decides_how_weights_are_packed),
        cmocka_unit_test(plans_have_the_bits_asked_for),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
