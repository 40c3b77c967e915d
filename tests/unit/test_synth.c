/* Models made in memory, and trials: the same weights from the same seed under every plan, so the same bits; finite;
 * and refused with a reason where they cannot be. How long anything takes is not tested. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "engine/trial.h"
#include "pool.h"

/* Rows and columns that are no multiple of any tile. */
static struct tri_synth shape(const char *family)
{
    const struct tri_config c = {.family = tri_family_find(family), .layers = 3, .hidden = 200, .ffn = 328, .heads = 6,
                                 .kv_heads = 2, .head_dim = 40, .vocab = 301, .context = 64, .rope_dims = 40,
                                 .rope_theta = 10000, .norm_eps = 1e-5f};
    assert_non_null(c.family);
    struct tri_synth s = {.config = c};
    tri_synth_usual(&s);
    return s;
}

static uint64_t bits(const struct tri_synth *s, int threads, enum tri_phase phase)
{
    struct tri_error e = {0};
    double ns = 0;
    struct tri_pool *pool = pool_of(threads);
    struct tri_trial *t = tri_trial_new(s, 9, pool, &e);
    if (!t)
        fail_msg("%s", e.text);
    assert_int_equal(tri_trial_bits(t, phase), 0);
    assert_int_equal(tri_trial_run(t, phase, (struct tri_team){0}, 0, &ns, &e), TRI_OK);
    uint64_t first = tri_trial_bits(t, phase);
    assert_int_equal(tri_trial_run(t, phase, (struct tri_team){.threads = 1}, 0, &ns, &e), TRI_OK);
    assert_int_equal(tri_trial_bits(t, phase), first);
    assert_true(isfinite(ns) && ns > 0);
    tri_trial_free(t);
    tri_pool_free(pool);
    return first;
}

/* With weights that every layout holds, and such as layouts of three of four want. */
static struct tri_synth shape_for(const struct tri_layout *layout)
{
    struct tri_synth s = shape("bitnet-b1.58");
    s.three_of_four = layout->three_of_four;
    return s;
}

/* Every linked kernel for one token that this CPU can run, alone, in all roles. */
static void every_plan_gives_the_same_bits(void **state)
{
    (void)state;
    uint64_t decode[2], prompt[2];
    int plans[2] = {0};
    for (int i = 0; i < 2; i++) {
        const struct tri_synth s = shape_for(&(struct tri_layout){.three_of_four = i});
        decode[i] = bits(&s, 2, TRI_DECODE), prompt[i] = bits(&s, 1, TRI_PROMPT);
        assert_int_not_equal(decode[i], prompt[i]);
    }
    assert_int_not_equal(decode[0], decode[1]);
    for (const struct tri_kernel *k = tri_kernels; k->name; k++) {
        if (k->tokens > 1 || k->kind != TRI_KIND_matmul || !tri_isa_find(k->isa)->present())
            continue;
        const struct tri_layout *layout = tri_layout_find(k->layout);
        const int i = layout->three_of_four;
        struct tri_synth s = shape_for(layout);
        for (int r = 0; r < TRI_ROLES; r++)
            s.plan[r] = (struct tri_plan){.layout = layout, .kernels = {k}, .count = 1};
        if (bits(&s, 1 + plans[i] % 3, TRI_DECODE) != decode[i] || bits(&s, 2, TRI_PROMPT) != prompt[i])
            fail_msg("%s: other bits", k->name);
        plans[i]++;
    }
    assert_true(plans[0] > 0 && plans[1] > 0);
}

/* Logits of a few tokens, one after the other. */
static uint64_t decode_bits(const struct tri_synth *s, enum tri_ffn ffn, int threads)
{
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(threads);
    struct tri_model *m = tri_model_synth(s, pool, &e);
    if (!m || tri_model_skip(m, ffn, pool, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_true((m->layer[0].skip != NULL) == (ffn != TRI_FFN_DENSE));
    struct tri_session *session = tri_session_new(m, pool, &(struct tri_session_options){0}, &e);
    uint64_t hash = 0;
    for (int32_t id = 1; id < 6; id++) {
        const float *logits;
        assert_int_equal(tri_session_feed(session, &id, 1, &logits, &e), TRI_OK);
        for (int i = 0; i < s->config.vocab; i++) {
            uint32_t word;
            memcpy(&word, &logits[i], sizeof word);
            hash = (hash ^ word) * 0x100000001B3u;
        }
    }
    tri_session_free(session);
    tri_model_free(m);
    tri_pool_free(pool);
    return hash;
}

/* Whatever layout the copies are made of, and whatever computes gate and what does not pay. */
static void skipping_follows_every_plan(void **state)
{
    (void)state;
    uint64_t expected[2];
    int plans = 0;
    for (int i = 0; i < 2; i++) {
        const struct tri_synth s = shape_for(&(struct tri_layout){.three_of_four = i});
        expected[i] = decode_bits(&s, TRI_FFN_DENSE, 1);
    }
    for (const struct tri_kernel *k = tri_kernels; k->name; k++) {
        if (k->tokens > 1 || k->kind != TRI_KIND_matmul || !tri_isa_find(k->isa)->present())
            continue;
        const struct tri_layout *layout = tri_layout_find(k->layout);
        struct tri_synth s = shape_for(layout);
        for (int r = 0; r < TRI_ROLES; r++) {
            struct tri_plan usual;
            tri_dispatch_plan((enum tri_role)r, s.config.hidden, s.config.ffn, 0, &usual);
            s.plan[r] = (struct tri_plan){
                .layout = layout, .kernels = {k}, .count = 1, .sparse = usual.sparse};
            s.plan[r].sparse.break_even = 0.4;
        }
        if (decode_bits(&s, TRI_FFN_SPARSE, 1 + plans % 3) != expected[layout->three_of_four] ||
            decode_bits(&s, TRI_FFN_AUTO, 1 + plans % 2) != expected[layout->three_of_four])
            fail_msg("%s: other bits", k->name);
        plans++;
    }
    assert_true(plans > 0);
}

static void seeds_and_families_differ(void **state)
{
    (void)state;
    static const char *const families[] = {"bitnet-b1.58", "bitnet", "llama"};
    uint64_t seen[6];
    for (int i = 0; i < 6; i++) {
        struct tri_synth s = shape(families[i / 2]);
        s.seed = 1 + (uint64_t)(i % 2);
        seen[i] = bits(&s, 1, TRI_DECODE);
        assert_int_equal(seen[i], bits(&s, 2, TRI_DECODE));
        for (int j = 0; j < i; j++)
            assert_int_not_equal(seen[i], seen[j]);
    }
}

/* Weights are about as many of each kind as they should be, and layers are not copies of each other. */
static void weights_are_random(void **state)
{
    (void)state;
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(2);
    struct tri_synth s = shape("bitnet-b1.58");
    struct tri_model *m = tri_model_synth(&s, pool, &e);
    assert_non_null(m);
    const struct tri_matrix *q = &m->layer[0].matrix[TRI_ROLE_GATE_UP];
    const struct tri_layout *layout = q->plan.layout;
    int8_t trits[16384];
    int count[3] = {0}, ld = q->kp;
    assert_true(layout->rows * ld <= (int)sizeof trits);
    layout->unpack(q->packed, q->kp, trits, (size_t)ld);
    for (int i = 0; i < layout->rows; i++)
        for (int j = 0; j < q->kp; j++) {
            assert_in_range(trits[i * ld + j] + 1, 0, 2);
            assert_true(j < q->k || trits[i * ld + j] == 0);
            count[trits[i * ld + j] + 1] += j < q->k;
        }
    int all = count[0] + count[1] + count[2];
    assert_true(abs(count[0] * 100 / all - 29) < 5 && abs(count[1] * 100 / all - 42) < 5);
    int alike = 0;
    for (int i = 1; i < s.config.layers; i++)
        alike += memcmp(m->layer[i].matrix[TRI_ROLE_GATE_UP].packed, q->packed, q->bytes) == 0;
    assert_true(alike < s.config.layers - 1);
    tri_model_free(m);
    tri_pool_free(pool);
}

enum { COUNTED = 24 };

/* Counts of COUNTED tokens, by layer. */
static void count(const struct tri_synth *s, enum tri_ffn ffn, int threads, struct tri_ffn_count counts[])
{
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(threads);
    struct tri_model *m = tri_model_synth(s, pool, &e);
    if (!m || tri_model_skip(m, ffn, pool, &e) != TRI_OK)
        fail_msg("%s", e.text);
    struct tri_session *session = tri_session_new(m, pool, &(struct tri_session_options){0}, &e);
    memset(counts, 0, (size_t)s->config.layers * sizeof *counts);
    tri_session_count(session, counts);
    for (int32_t i = 0; i < COUNTED; i++) {
        const int32_t id = i * 37 % s->config.vocab;
        const float *logits;
        assert_int_equal(tri_session_feed(session, &id, 1, &logits, &e), TRI_OK);
    }
    tri_session_free(session);
    tri_model_free(m);
    tri_pool_free(pool);
}

/* On every layer, whatever the share of zero weights. */
static void sparsity_is_as_asked(void **state)
{
    (void)state;
    static const float shares[] = {0, 0.3f, 0.5f, 0.8f, 0.95f};
    for (int i = 0; i < 10; i++) {
        struct tri_ffn_count counts[8];
        struct tri_synth s = shape("bitnet-b1.58");
        s.config.layers = 8, s.config.hidden = 512, s.config.ffn = 2048;
        s.ffn_sparsity = shares[i / 2];
        s.zeros = i % 2 ? 0.2f : 0.6f;
        count(&s, TRI_FFN_DENSE, 2, counts);
        for (int layer = 0; layer < s.config.layers; layer++) {
            assert_int_equal(counts[layer].tokens, COUNTED);
            const double idle = (double)counts[layer].idle / (COUNTED * (double)s.config.ffn);
            if (fabs(idle - (double)s.ffn_sparsity) > 0.04)
                fail_msg("layer %d: %.3f where %.2f was asked for", layer, idle, (double)s.ffn_sparsity);
            assert_true(counts[layer].zeros >= counts[layer].idle);
        }
    }
}

/* Skipping or not, the same are zero; and what is read is gate and the rows and columns that count. */
static void what_is_skipped_is_not_read(void **state)
{
    (void)state;
    struct tri_ffn_count dense[3], sparse[3];
    struct tri_error e = {0};
    struct tri_synth s = shape("bitnet-b1.58");
    s.ffn_sparsity = 0.8f;
    count(&s, TRI_FFN_DENSE, 1, dense);
    count(&s, TRI_FFN_SPARSE, 2, sparse);
    struct tri_pool *pool = pool_of(1);
    struct tri_model *m = tri_model_synth(&s, pool, &e);
    assert_int_equal(tri_model_skip(m, TRI_FFN_SPARSE, pool, &e), TRI_OK);
    for (int i = 0; i < s.config.layers; i++) {
        const struct tri_matrix *matrix = m->layer[i].matrix;
        const struct tri_skip *skip = m->layer[i].skip;
        const uint64_t all = COUNTED * (uint64_t)s.config.ffn;
        assert_int_equal(dense[i].idle, sparse[i].idle);
        assert_int_equal(dense[i].zeros, sparse[i].zeros);
        assert_int_equal(dense[i].bytes,
                         COUNTED * (matrix[TRI_ROLE_GATE_UP].bytes + matrix[TRI_ROLE_DOWN].bytes));
        assert_int_equal(sparse[i].bytes, COUNTED * skip->gate.bytes + (all - sparse[i].idle) * skip->row_bytes +
                                              (all - sparse[i].zeros) * skip->column_bytes);
    }
    tri_model_free(m);
    tri_pool_free(pool);
}

static void expect_refused(const struct tri_synth *s, enum tri_status status, const char *words)
{
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(1);
    assert_null(tri_model_synth(s, pool, &e));
    assert_int_equal(e.status, status);
    assert_non_null(strstr(e.text, words));
    tri_pool_free(pool);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct tri_synth s = shape("bitnet-b1.58");
    s.config.layers = 0;
    expect_refused(&s, TRI_USAGE, "layers");
    s = shape("bitnet-b1.58");
    s.zeros = 1;
    expect_refused(&s, TRI_USAGE, "zeros");
    s = shape("bitnet-b1.58");
    s.ffn_sparsity = -0.1f;
    expect_refused(&s, TRI_USAGE, "ffn sparsity");
    s = shape("bitnet-b1.58");
    s.embedding = tri_encoding_find(14); /* Q6_K */
    expect_refused(&s, TRI_USAGE, "multiple");
    s = shape("bitnet-b1.58");
    s.head = tri_encoding_find(0); /* F32 */
    expect_refused(&s, TRI_UNSUPPORTED, "head: expected F16");
    s = shape("bitnet-b1.58");
    s.config.kv_heads = 4;
    expect_refused(&s, TRI_USAGE, "kv_heads");
    s = shape("bitnet-b1.58");
    s.plan[TRI_ROLE_O] = (struct tri_plan){.layout = tri_layouts};
    expect_refused(&s, TRI_USAGE, "plan of o");
    s = shape("bitnet-b1.58");
    s.config.hidden = 1 << 18, s.config.ffn = 1 << 18, s.config.layers = 1024; /* 2^48 weights */
    expect_refused(&s, TRI_NO_MEMORY, "this model takes");
}

static const struct tri_layout *structured_layout(void)
{
    const struct tri_layout *l = tri_layouts;
    while (!l->three_of_four)
        l++;
    return l;
}

/* 1.25 bits are for weights with one zero in four, whole rows that share a scale, and where asked or needed. */
static void fewest_bits_are_for_three_of_four(void **state)
{
    (void)state;
    struct tri_error e = {0};
    struct tri_pool *pool = pool_of(2);
    struct tri_synth s = shape("bitnet-b1.58");
    const struct tri_kernel *k = tri_kernels;
    while (strcmp(k->layout, structured_layout()->name) != 0 && (k + 1)->name)
        k++;
    for (int r = 0; r < TRI_ROLES; r++)
        s.plan[r] = (struct tri_plan){.layout = structured_layout(), .kernels = {k}, .count = 1};
    expect_refused(&s, TRI_USAGE, "holds any weights");
    s = shape("bitnet-b1.58");
    s.budget.bits = TRI_BITS_1_25;
    expect_refused(&s, TRI_UNSUPPORTED, "one zero in every four");
    s.three_of_four = true;
    s.config.hidden = s.config.ffn = 256, s.config.head_dim = s.config.rope_dims = 64, s.group = 64;
    expect_refused(&s, TRI_UNSUPPORTED, "a scale for each matrix or row");
    for (enum tri_bits bits = TRI_BITS_AUTO; bits <= TRI_BITS_1_25; bits++) {
        s = shape("bitnet-b1.58");
        s.three_of_four = true, s.budget.bits = bits;
        struct tri_model *m = tri_model_synth(&s, pool, &e);
        assert_non_null(m);
        assert_int_equal(m->layer[0].matrix[TRI_ROLE_DOWN].plan.layout->three_of_four, bits == TRI_BITS_1_25);
        tri_model_free(m);
    }
    tri_pool_free(pool);
}

static void a_trial_wants_a_prompt(void **state)
{
    (void)state;
    struct tri_error e;
    struct tri_pool *pool = pool_of(1);
    struct tri_synth s = shape("bitnet-b1.58");
    assert_null(tri_trial_new(&s, 1, pool, &e));
    assert_int_equal(e.status, TRI_USAGE);
    tri_pool_free(pool);
}

/* Pages are a wish: with and without, memory is there, zeroed, and the available part is known. */
static void pages_are_a_choice(void **state)
{
    (void)state;
    struct tri_error e;
    for (int huge = 0; huge < 2; huge++) {
        tri_huge_pages(huge);
        char *memory = tri_alloc(5, 1 << 20, "test", &e);
        assert_non_null(memory);
        for (int i = 0; i < 5 << 20; i += 4096)
            assert_int_equal(memory[i], 0);
        tri_free(memory);
    }
    assert_true(tri_memory_available() > 1 << 20);
}

/* A line for each model that the tuner knows; run from the project's root. */
static const char shapes_in_lua[] =
    "luajit -e 'package.path = \"tune/?.lua\" local shapes = require \"shapes\" "
    "for _, set in ipairs(shapes.named((shapes.known():gsub(\" \", \"\")))) do local m = set.model "
    "print(set.name, m.arch or \"bitnet-b1.58\", m.hidden, m.layers, m.heads, m.kv, m.head, m.ffn, m.vocab) end'";

/* The tuner's other model is the embedded one. */
static void sizes_are_those_of_the_tuner(void **state)
{
    (void)state;
    char line[256];
    int same = 0;
    FILE *lua = system("command -v luajit > /dev/null") == 0 ? popen(shapes_in_lua, "r") : NULL;
    if (!lua)
        skip();
    while (fgets(line, sizeof line, lua)) {
        char name[32], arch[32];
        struct tri_config c;
        struct tri_synth found;
        assert_int_equal(sscanf(line, "%31s %31s %d %d %d %d %d %d %d", name, arch, &c.hidden, &c.layers, &c.heads,
                                &c.kv_heads, &c.head_dim, &c.ffn, &c.vocab), 9);
        if (strcmp(name, "tiny") == 0)
            continue;
        assert_non_null(strstr(TRI_SYNTH_SIZES, name));
        assert_true(tri_synth_size(name, &found));
        assert_string_equal(found.config.family->arch, arch);
        const int expected[] = {c.hidden, c.layers, c.heads, c.kv_heads, c.head_dim, c.ffn, c.vocab};
        const int is[] = {found.config.hidden,   found.config.layers, found.config.heads, found.config.kv_heads,
                          found.config.head_dim, found.config.ffn,    found.config.vocab};
        assert_memory_equal(is, expected, sizeof is);
        same++;
    }
    pclose(lua);
    assert_true(same >= 4);
}

/* Ternary weights and those of the embedding, as counted from published shapes. */
static void sizes_have_their_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t trits, embedding;
    } known[] = {{"2b4t", 2084044800, 328335360},       {"3b", 3221504000, 102406400},
                 {"large", 679477248, 49155072},        {"xl", 1207762944, 65540096},
                 {"llama3-8b", 6979321856, 525336576},  {"falcon3-1b", 1132462080, 268435456},
                 {"falcon3-3b", 2422210560, 402653184}, {"falcon3-7b", 6650068992, 402653184},
                 {"falcon3-10b", 9500098560, 402653184}, {"falcon-e-1b", 1585446912, 67108864},
                 {"falcon-e-3b", 2919235584, 67108864}, {"embedding-0.6b", 440401920, 155582464},
                 {"embedding-270m", 100270080, 167772160},
                 {"7b", 6878658560, 131080192},         {"13b", 12687769600, 163850240},
                 {"30b", 30261903360, 213005312},       {"70b", 69793218560, 262160384},
                 {"100b", 99958652928, 262160384}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct tri_synth s;
        assert_true(tri_synth_size(known[i].name, &s));
        const struct tri_config *c = &s.config;
        const int64_t hidden = c->hidden, heads = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
        assert_int_equal(c->layers * hidden * (2 * heads + 2 * kv + 3 * c->ffn), known[i].trits);
        assert_int_equal(c->vocab * hidden, known[i].embedding);
    }
    assert_false(tri_synth_size("6b", &(struct tri_synth){0}));
}

/* Every name of the list, so that none is promised in vain. */
static void every_size_is_a_model(void **state)
{
    (void)state;
    char names[] = TRI_SYNTH_SIZES;
    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", ")) {
        struct tri_synth s;
        struct tri_error e = {0};
        if (!tri_synth_size(name, &s) || tri_config_check(&s.config, &e) != TRI_OK)
            fail_msg("%s: %s", name, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_plan_gives_the_same_bits),
        cmocka_unit_test(skipping_follows_every_plan), cmocka_unit_test(seeds_and_families_differ),
        cmocka_unit_test(sparsity_is_as_asked),           cmocka_unit_test(what_is_skipped_is_not_read),
        cmocka_unit_test(weights_are_random),             cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(fewest_bits_are_for_three_of_four),
        cmocka_unit_test(a_trial_wants_a_prompt),         cmocka_unit_test(pages_are_a_choice),
        cmocka_unit_test(sizes_are_those_of_the_tuner),   cmocka_unit_test(sizes_have_their_weights),
        cmocka_unit_test(every_size_is_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
