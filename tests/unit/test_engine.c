/* The forward pass: against a plain one in double, and against itself however the work is cut. */
#include "engine/forward.h"
#include "file/ternary.h"
#include "synthetic.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* -- a model and a session --------------------------------------------- */

struct engine {
    struct bytes bytes;
    struct tri_gguf *g;
    struct tri_pool *pool;
    struct tri_model *model;
    struct tri_session *s;
    enum tri_ffn ffn;
};

static void start(struct engine *n, int threads, struct tri_session_options o)
{
    struct tri_error e = {0};
    n->pool = tri_pool_new(threads, &e);
    n->model = tri_model_load(n->g, n->pool, &e);
    n->s = n->model && tri_model_skip(n->model, n->ffn, n->pool, &e) == TRI_OK
               ? tri_session_new(n->model, n->pool, &o, &e)
               : NULL;
    if (!n->s)
        fail_msg("%s", e.text);
}

static struct engine engine_of(const struct synthetic *m, int threads, struct tri_session_options o)
{
    struct tri_error e = {0};
    struct engine n = {.bytes = synthetic_file(m)};
    n.g = tri_gguf_read(n.bytes.at, n.bytes.count, "test.gguf", &e);
    assert_non_null(n.g);
    start(&n, threads, o);
    return n;
}

static struct engine tiny_tales(int threads, struct tri_session_options o)
{
    struct tri_error e = {0};
    struct engine n = {.g = tri_gguf_open("tests/model/tiny-tales-i2_s.gguf", &e)};
    if (!n.g)
        fail_msg("%s", e.text);
    start(&n, threads, o);
    return n;
}

static void stop(struct engine *n)
{
    tri_session_free(n->s);
    tri_model_free(n->model);
    tri_pool_free(n->pool);
    tri_gguf_close(n->g);
    free(n->bytes.at);
}

static void some_ids(int32_t *ids, int n, int vocab)
{
    uint64_t random = 5;
    for (int i = 0; i < n; i++)
        ids[i] = (int32_t)(any(&random) % (uint32_t)vocab);
}

/* Logits behind n tokens that are fed `cut` at a time. */
static const float *feed(struct engine *n, const int32_t *ids, int count, int cut)
{
    struct tri_error e = {0};
    const float *logits = NULL;
    for (int at = 0; at < count; at += cut)
        if (tri_session_feed(n->s, ids + at, count - at < cut ? count - at : cut, &logits, &e) !=
            TRI_OK)
            fail_msg("%s", e.text);
    return logits;
}

/* -- a plain forward pass in double, token by token -------------------- */

enum { PLAIN_MOST = 600, PLAIN_WIDE = 256 };

struct plain {
    const struct tri_config *c;
    const struct tri_gguf *g;
    double keys[4][PLAIN_MOST][PLAIN_WIDE], values[4][PLAIN_MOST][PLAIN_WIDE];
    int position;
};

static const struct tri_tensor *plain_tensor(const struct plain *p, int layer, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    return tri_gguf_tensor(p->g, full);
}

static void plain_norm(const struct plain *p, const struct tri_tensor *t, const double *x,
                       double *y)
{
    float w[PLAIN_WIDE];
    double squares = 0;
    t->encoding->floats(t, 0, w);
    for (int i = 0; i < t->ne[0]; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < t->ne[0]; i++)
        y[i] = x[i] / sqrt(squares / (double)t->ne[0] + (double)p->c->norm_eps) * (double)w[i];
}

static void plain_linear(const struct tri_tensor *t, const double *x, double *y)
{
    struct tri_error e;
    int8_t w[PLAIN_WIDE];
    double q[PLAIN_WIDE], most = 1e-5;
    struct tri_ternary ternary;
    for (int i = 0; i < t->ne[0]; i++)
        most = fmax(most, fabs(x[i]));
    for (int i = 0; i < t->ne[0]; i++)
        q[i] = nearbyint(x[i] * 127 / most);
    assert_int_equal(tri_ternary_read(&ternary, t, &e), TRI_OK);
    for (int r = 0; r < t->ne[1]; r++) {
        assert_int_equal(tri_ternary_row(&ternary, r, w, &e), TRI_OK);
        y[r] = 0;
        for (int i = 0; i < t->ne[0]; i++)
            y[r] += w[i] * q[i];
        y[r] *= (double)ternary.scale * most / 127;
    }
}

static void plain_rope(const struct plain *p, double *x, int heads)
{
    int half = p->c->rope_dims / 2;
    for (int h = 0; h < heads; h++, x += p->c->head_dim)
        for (int i = 0; i < half; i++) {
            double angle = p->position * pow((double)p->c->rope_theta, -2.0 * i / p->c->rope_dims);
            double *a = p->c->family->neox ? x + i : x + 2 * i,
                   *b = p->c->family->neox ? a + half : a + 1;
            double turned = *a * cos(angle) - *b * sin(angle);
            *b = *a * sin(angle) + *b * cos(angle);
            *a = turned;
        }
}

static void plain_attention(const struct plain *p, int layer, const double *q, double *out)
{
    int dim = p->c->head_dim;
    for (int h = 0; h < p->c->heads; h++) {
        int column = h / (p->c->heads / p->c->kv_heads) * dim;
        double sum = 0, weight[PLAIN_MOST];
        memset(out + h * dim, 0, (size_t)dim * sizeof *out);
        for (int t = 0; t <= p->position; t++) {
            double dot = 0;
            for (int i = 0; i < dim; i++)
                dot += q[h * dim + i] * p->keys[layer][t][column + i];
            sum += weight[t] = exp(dot / sqrt(dim));
        }
        for (int t = 0; t <= p->position; t++)
            for (int i = 0; i < dim; i++)
                out[h * dim + i] += weight[t] / sum * p->values[layer][t][column + i];
    }
}

static double plain_act(const struct plain *p, double g)
{
    if (p->c->family->activation == TRI_SILU)
        return g / (1 + exp(-g));
    return g > 0 ? g * g : 0;
}

static void plain_layer(struct plain *p, int layer, double *x)
{
    double h[PLAIN_WIDE], q[PLAIN_WIDE], o[PLAIN_WIDE], g[PLAIN_WIDE], u[PLAIN_WIDE];
    double *k = p->keys[layer][p->position];
    plain_norm(p, plain_tensor(p, layer, "attn_norm"), x, h);
    plain_linear(plain_tensor(p, layer, "attn_q"), h, q);
    plain_linear(plain_tensor(p, layer, "attn_k"), h, k);
    plain_linear(plain_tensor(p, layer, "attn_v"), h, p->values[layer][p->position]);
    plain_rope(p, q, p->c->heads);
    plain_rope(p, k, p->c->kv_heads);
    plain_attention(p, layer, q, o);
    if (p->c->family->sub_norms)
        plain_norm(p, plain_tensor(p, layer, "attn_sub_norm"), o, o);
    plain_linear(plain_tensor(p, layer, "attn_output"), o, h);
    for (int i = 0; i < p->c->hidden; i++)
        x[i] += h[i];
    plain_norm(p, plain_tensor(p, layer, "ffn_norm"), x, h);
    plain_linear(plain_tensor(p, layer, "ffn_gate"), h, g);
    plain_linear(plain_tensor(p, layer, "ffn_up"), h, u);
    for (int i = 0; i < p->c->ffn; i++)
        g[i] = plain_act(p, g[i]) * u[i];
    if (p->c->family->sub_norms)
        plain_norm(p, plain_tensor(p, layer, "ffn_sub_norm"), g, g);
    plain_linear(plain_tensor(p, layer, "ffn_down"), g, h);
    for (int i = 0; i < p->c->hidden; i++)
        x[i] += h[i];
}

static void plain_token(struct plain *p, int32_t id, double *logits)
{
    const struct tri_tensor *e = tri_gguf_tensor(p->g, "token_embd.weight"), *head = e;
    float row[PLAIN_WIDE];
    double x[PLAIN_WIDE];
    e->encoding->floats(e, id, row);
    for (int i = 0; i < p->c->hidden; i++)
        x[i] = (double)row[i];
    for (int layer = 0; layer < p->c->layers; layer++)
        plain_layer(p, layer, x);
    plain_norm(p, tri_gguf_tensor(p->g, "output_norm.weight"), x, x);
    if (tri_gguf_tensor(p->g, "output.weight"))
        head = tri_gguf_tensor(p->g, "output.weight");
    for (int v = 0; v < p->c->vocab; v++) {
        head->encoding->floats(head, v, row);
        logits[v] = 0;
        for (int i = 0; i < p->c->hidden; i++)
            logits[v] += x[i] * (double)row[i];
    }
    p->position++;
}

/* A last bit can flip an int8 rounding here and there, so most positions agree closely and all
 * roughly. */
static void agrees_with_plain(const struct synthetic *m)
{
    enum { TOKENS = 24 };
    struct tri_error e;
    struct engine n = engine_of(m, 2, (struct tri_session_options){0});
    struct plain *p = calloc(1, sizeof *p);
    int32_t ids[TOKENS];
    int close = 0;
    p->c = &n.model->config;
    p->g = n.g;
    some_ids(ids, TOKENS, m->vocab);
    for (int t = 0; t < TOKENS; t++) {
        double expected[PLAIN_WIDE], off = 0, greatest = 0;
        const float *logits;
        plain_token(p, ids[t], expected);
        assert_int_equal(tri_session_feed(n.s, &ids[t], 1, &logits, &e), TRI_OK);
        for (int v = 0; v < m->vocab; v++) {
            off = fmax(off, fabs((double)logits[v] - expected[v]));
            greatest = fmax(greatest, fabs(expected[v]));
        }
        assert_true(off < 0.05 * greatest);
        close += off < 1e-4 * greatest;
    }
    if (close < TOKENS / 2)
        fail_msg("%s: only %d of %d positions agree closely", m->arch, close, TOKENS);
    free(p);
    stop(&n);
}

static void families_agree_with_plain(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    agrees_with_plain(&m);
    m.arch = "bitnet";
    m.embedding = 0;
    m.rope_dims = 8;
    agrees_with_plain(&m);
    m.arch = "llama";
    m.sub_norms = false;
    m.own_head = true;
    agrees_with_plain(&m);
    m.heads = m.kv_heads = 4; /* heads * head_dim is not the hidden size */
    m.head_dim = m.rope_dims = 16;
    m.embedding = 1;
    agrees_with_plain(&m);
}

/* -- the same bits ----------------------------------------------------- */

static void bits_of(const struct synthetic *m, int threads, int ubatch, int cut, int count,
                    float *out)
{
    struct engine n = engine_of(m, threads, (struct tri_session_options){.ubatch = ubatch});
    int32_t ids[600];
    some_ids(ids, count, m->vocab);
    memcpy(out, feed(&n, ids, count, cut), (size_t)m->vocab * sizeof *out);
    stop(&n);
}

static void cuts_and_threads_change_nothing(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    float expected[70], found[70];
    static const int cases[][3] = {
        /* threads, ubatch, cut */
        {1, 0, 1}, {1, 0, 3}, {2, 0, 40}, {2, 0, 1}, {3, 7, 40}, {5, 1, 40}, {5, 16, 13}, {9, 0, 1},
    };
    bits_of(&m, 1, 0, 40, 40, expected);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bits_of(&m, cases[i][0], cases[i][1], cases[i][2], 40, found);
        assert_memory_equal(found, expected, sizeof found);
    }
}

/* Beyond 512 positions, three blocks of attention are joined. */
static void long_contexts_neither(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    float expected[70], found[70];
    bits_of(&m, 2, 0, 530, 530, expected);
    bits_of(&m, 1, 100, 530, 530, found);
    assert_memory_equal(found, expected, sizeof found);
    bits_of(&m, 3, 0, 257, 530, found);
    assert_memory_equal(found, expected, sizeof found);
    bits_of(&m, 2, 0, 1, 530, found);
    assert_memory_equal(found, expected, sizeof found);
}

static void blocks_join_right(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    m.layers = 1;
    struct engine n = engine_of(&m, 2, (struct tri_session_options){0});
    struct plain *p = calloc(1, sizeof *p);
    p->c = &n.model->config;
    p->g = n.g;
    int32_t ids[530];
    double expected[PLAIN_WIDE], off = 0;
    const float *logits;
    some_ids(ids, 530, m.vocab);
    for (int t = 0; t < 530; t++)
        plain_token(p, ids[t], expected);
    assert_int_equal(tri_session_feed(n.s, ids, 530, &logits, &e), TRI_OK);
    for (int v = 0; v < m.vocab; v++)
        off = fmax(off, fabs((double)logits[v] - expected[v]));
    assert_true(off < 0.3); /* of logits up to 15 */
    free(p);
    stop(&n);
}

/* These very bits come out of every build: other compilers, ISAs and architectures must not change
 * them. */
static void bits_are_those_of_every_machine(void **unused)
{
    (void)unused;
    struct tri_error e;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        if (!isa->present())
            continue;
        assert_int_equal(tri_dispatch_limit(isa->name, &e), TRI_OK);
        struct engine n = tiny_tales(2, (struct tri_session_options){.context = 64});
        int32_t ids[40];
        some_ids(ids, 40, 4096);
        const float *logits = feed(&n, ids, 40, 40);
        uint64_t hash = 14695981039346656037u;
        for (size_t i = 0; i < 4096 * sizeof *logits; i++)
            hash = (hash ^ ((const uint8_t *)logits)[i]) * 1099511628211u;
        if (hash != 0x5e9676cb3d680038u)
            fail_msg("%s: logits of hash %016llx", isa->name, (unsigned long long)hash);
        stop(&n);
    }
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
}

/* Logits of 40 tokens that are fed `cut` at a time, on one ISA (NULL: the best). */
static void bits_on(const struct synthetic *m, const char *isa, int threads, struct tri_session_options o, int cut,
                    float *out)
{
    struct tri_error e;
    int32_t ids[40];
    assert_int_equal(tri_dispatch_limit(isa, &e), TRI_OK);
    struct engine n = engine_of(m, threads, o);
    some_ids(ids, 40, m->vocab);
    memcpy(out, feed(&n, ids, 40, cut), (size_t)m->vocab * sizeof *out);
    stop(&n);
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
}

static double apart(const float *a, const float *b, int n)
{
    double off = 0;
    for (int i = 0; i < n; i++)
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
    return off;
}

static void q8_0_caches_are_near_and_the_same(void **unused)
{
    (void)unused;
    static const int shapes[][3] = {{8, 4, 12}, {2, 2, 64}, {2, 1, 80}, {2, 1, 100}}; /* heads, kv heads, head dim */
    const struct tri_session_options o = {.cache_k = TRI_CACHE_Q8_0, .cache_v = TRI_CACHE_Q8_0, .ubatch = 16};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.heads = shapes[i][0], m.kv_heads = shapes[i][1], m.head_dim = m.rope_dims = shapes[i][2];
        m.arch = i % 2 ? "llama" : m.arch; /* the other pairing of rotary values */
        m.sub_norms = i % 2 == 0;
        float exact[70], expected[70], found[70];
        bits_on(&m, NULL, 1, (struct tri_session_options){0}, 40, exact);
        bits_on(&m, "c", 1, o, 40, expected);
        assert_true(apart(expected, exact, 70) > 0 && apart(expected, exact, 70) < 2);
        for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
            for (int threads = 1; isa->present() && threads <= 3; threads++) {
                bits_on(&m, isa->name, threads, o, threads == 2 ? 40 : 7 - threads, found);
                assert_memory_equal(found, expected, sizeof found);
            }
    }
}

/* -- feed forward that skips ------------------------------------------- */

/* Of the model in tests/, or a synthetic one. */
static struct engine skipping_engine(const struct synthetic *m, enum tri_ffn ffn, int threads)
{
    struct tri_error e = {0};
    struct engine n = {.ffn = ffn};
    if (m) {
        n.bytes = synthetic_file(m);
        n.g = tri_gguf_read(n.bytes.at, n.bytes.count, "test.gguf", &e);
    } else {
        n.g = tri_gguf_open("tests/model/tiny-tales-i2_s.gguf", &e);
    }
    assert_non_null(n.g);
    start(&n, threads, (struct tri_session_options){.context = 64});
    return n;
}

/* The dense matrices of up and down as zeros: whoever reads them gets other logits. */
static void wipe_dense(struct engine *n)
{
    for (int i = 0; i < n->model->config.layers; i++) {
        struct tri_layer *l = &n->model->layer[i];
        struct tri_matrix *down = &l->matrix[TRI_ROLE_DOWN];
        memset(l->skip->up.packed, 0, l->skip->up.bytes);
        memset(down->packed, 0, down->bytes);
    }
}

static void compare_skipping(const struct synthetic *m, const char *isa, enum tri_ffn ffn, int threads,
                             const float *expected)
{
    struct tri_error e;
    int32_t ids[24];
    const int vocab = m ? m->vocab : 4096;
    assert_int_equal(tri_dispatch_limit(isa, &e), TRI_OK);
    struct engine n = skipping_engine(m, ffn, threads);
    assert_true((n.model->layer[0].skip != NULL) == (ffn != TRI_FFN_DENSE));
    some_ids(ids, 24, vocab);
    if (ffn == TRI_FFN_SPARSE)
        wipe_dense(&n);
    else
        assert_memory_equal(feed(&n, ids, 24, 5), expected, (size_t)vocab * sizeof *expected);
    tri_session_rewind(n.s, 0);
    assert_memory_equal(feed(&n, ids, 24, 1), expected, (size_t)vocab * sizeof *expected);
    stop(&n);
    assert_int_equal(tri_dispatch_limit(NULL, &e), TRI_OK);
}

/* Dense, always skipping and by density, on every ISA: of dense matrices that are wiped nothing is missed. */
static void skips_like_dense(const struct synthetic *m)
{
    static const enum tri_ffn ways[] = {TRI_FFN_DENSE, TRI_FFN_SPARSE, TRI_FFN_AUTO};
    int32_t ids[24];
    static float expected[4096];
    struct engine n = skipping_engine(m, TRI_FFN_DENSE, 1);
    const int vocab = m ? m->vocab : 4096;
    some_ids(ids, 24, vocab);
    memcpy(expected, feed(&n, ids, 24, 24), (size_t)vocab * sizeof *expected);
    stop(&n);
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++)
        for (int i = 0; isa->present() && i < 12; i++)
            compare_skipping(m, isa->name, ways[i % 3], 1 + i / 3, expected);
}

static void skipping_changes_nothing(void **unused)
{
    (void)unused;
    static const int idle[] = {0, 60, 95, 100};
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++) {
        struct synthetic m = SYNTHETIC;
        m.hidden = 384; /* the copies pad it, and share it, in several steps */
        m.ffn = 420;
        m.idle = idle[i];
        skips_like_dense(&m);
    }
    skips_like_dense(NULL);
}

static void nothing_to_skip_is_told(void **unused)
{
    (void)unused;
    struct tri_error e = {0};
    struct synthetic m = SYNTHETIC;
    m.arch = "llama";
    m.sub_norms = false;
    struct engine n = skipping_engine(&m, TRI_FFN_AUTO, 1);
    assert_null(n.model->layer[0].skip);
    assert_int_equal(tri_model_skip(n.model, TRI_FFN_SPARSE, n.pool, &e), TRI_UNSUPPORTED);
    assert_non_null(strstr(e.text, "squared ReLU"));
    stop(&n);
}

/* -- sessions ---------------------------------------------------------- */

static void f16_caches_are_near(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    float exact[70];
    double off = 0;
    bits_of(&m, 1, 0, 40, 40, exact);
    struct engine n = engine_of(
        &m, 2, (struct tri_session_options){.cache_k = TRI_CACHE_F16, .cache_v = TRI_CACHE_F16});
    int32_t ids[40];
    some_ids(ids, 40, m.vocab);
    const float *logits = feed(&n, ids, 40, 40);
    for (int v = 0; v < m.vocab; v++)
        off = fmax(off, fabs((double)(logits[v] - exact[v])));
    assert_true(off > 0 && off < 2);
    stop(&n);
}

static void rewinding_forgets(void **unused)
{
    (void)unused;
    struct synthetic m = SYNTHETIC;
    struct engine n = engine_of(&m, 2, (struct tri_session_options){0});
    int32_t ids[40], others[40];
    float expected[70];
    some_ids(ids, 40, m.vocab);
    for (int i = 0; i < 40; i++)
        others[i] = ids[39 - i];
    memcpy(expected, feed(&n, ids, 40, 40), sizeof expected);
    tri_session_rewind(n.s, 10);
    assert_int_equal(tri_session_position(n.s), 10);
    feed(&n, others, 30, 30);
    tri_session_rewind(n.s, 10);
    assert_memory_equal(feed(&n, ids + 10, 30, 7), expected, sizeof expected);
    tri_session_rewind(n.s, 99);
    assert_int_equal(tri_session_position(n.s), 40);
    stop(&n);
}

/* As if only the tokens that stay had ever been fed. */
static void shifting_drops_the_older_half(void **unused)
{
    (void)unused;
    static const int cases[][3] = {/* keep, fed, left */ {0, 40, 20}, {4, 40, 22}, {5, 40, 23},
                                   {38, 40, 39},        {0, 2, 1}};
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    struct engine n = engine_of(&m, 2, (struct tri_session_options){.context = 40, .ubatch = 7});
    int32_t ids[40], kept[40];
    float found[70];
    some_ids(ids, 40, m.vocab);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int keep = cases[i][0], fed = cases[i][1], left = cases[i][2];
        tri_session_rewind(n.s, 0);
        feed(&n, ids, fed, fed);
        assert_int_equal(tri_session_shift(n.s, keep, &e), TRI_OK);
        assert_int_equal(tri_session_position(n.s), left);
        memcpy(found, feed(&n, ids, 1, 1), sizeof found);
        memcpy(kept, ids, (size_t)keep * sizeof *ids);
        memcpy(kept + keep, ids + fed - (left - keep), (size_t)(left - keep) * sizeof *ids);
        tri_session_rewind(n.s, 0);
        feed(&n, kept, left, left);
        assert_memory_equal(feed(&n, ids, 1, 1), found, sizeof found);
    }
    tri_session_rewind(n.s, 2);
    assert_int_equal(tri_session_shift(n.s, 1, &e), TRI_USAGE);
    assert_int_equal(tri_session_shift(n.s, -1, &e), TRI_USAGE);
    assert_int_equal(tri_session_shift(n.s, 41, &e), TRI_USAGE);
    assert_int_equal(tri_session_position(n.s), 2);
    stop(&n);
}

struct scores {
    int count;
    float logits[40][70];
};

static void keep(void *arg, int i, const float *logits)
{
    struct scores *s = arg;
    assert_int_equal(i, s->count++);
    memcpy(s->logits[i], logits, sizeof s->logits[i]);
}

static void scores_are_the_logits_of_feeds(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    struct engine n = engine_of(&m, 3, (struct tri_session_options){.ubatch = 21});
    struct scores *s = calloc(1, sizeof *s);
    int32_t ids[40];
    some_ids(ids, 40, m.vocab);
    assert_int_equal(tri_session_score(n.s, ids, 40, keep, s, &e), TRI_OK);
    assert_int_equal(s->count, 40);
    tri_session_rewind(n.s, 0);
    for (int i = 0; i < 40; i++)
        assert_memory_equal(feed(&n, ids + i, 1, 1), s->logits[i], sizeof s->logits[i]);
    free(s);
    stop(&n);
}

/* Embedding and head in every encoding: near the plain pass, the same bits everywhere and for several tokens. */
static void heads_of_every_encoding(void **unused)
{
    (void)unused;
    static const uint32_t types[] = {0, 1, 30, 8, 2, 12, 14};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct tri_error e;
        struct synthetic m = SYNTHETIC;
        m.layers = 1;
        m.hidden = 256;
        m.embedding = types[i];
        m.own_head = i % 2;
        agrees_with_plain(&m);
        float expected[70], found[70];
        bits_on(&m, "c", 1, (struct tri_session_options){0}, 40, expected);
        for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
            if (!isa->present())
                continue;
            bits_on(&m, isa->name, 3, (struct tri_session_options){0}, 9, found);
            assert_memory_equal(found, expected, sizeof found);
        }
        struct engine n = engine_of(&m, 2, (struct tri_session_options){0});
        struct scores *s = calloc(1, sizeof *s);
        int32_t ids[40];
        some_ids(ids, 40, m.vocab);
        assert_int_equal(tri_session_score(n.s, ids, 40, keep, s, &e), TRI_OK);
        assert_memory_equal(s->logits[39], expected, sizeof expected);
        free(s);
        stop(&n);
    }
}

static void wrong_feeds_are_refused(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    struct engine n = engine_of(&m, 1, (struct tri_session_options){.context = 16});
    int32_t ids[17] = {0}, beyond = 70, negative = -1;
    const float *logits;
    assert_int_equal(tri_session_context(n.s), 16);
    assert_int_equal(tri_session_feed(n.s, ids, 17, &logits, &e), TRI_FAILED);
    assert_non_null(strstr(e.text, "context of 16"));
    assert_int_equal(tri_session_feed(n.s, &beyond, 1, &logits, &e), TRI_USAGE);
    assert_int_equal(tri_session_feed(n.s, &negative, 1, &logits, &e), TRI_USAGE);
    assert_int_equal(tri_session_feed(n.s, ids, 0, &logits, &e), TRI_USAGE);
    assert_int_equal(tri_session_position(n.s), 0);
    assert_int_equal(tri_session_feed(n.s, ids, 16, &logits, &e), TRI_OK);
    assert_int_equal(tri_session_feed(n.s, ids, 1, &logits, &e), TRI_FAILED);
    stop(&n);
}

/* Scales that no file can have: products overflow, and every way they can go is noticed. */
static void overflow_inside_is_told(void **unused)
{
    (void)unused;
    static const struct {
        enum tri_role role;
        int part;
    } matrices[] = {{TRI_ROLE_QKV, 0},     {TRI_ROLE_QKV, 1},     {TRI_ROLE_QKV, 2}, {TRI_ROLE_O, 0},
                    {TRI_ROLE_GATE_UP, 0}, {TRI_ROLE_GATE_UP, 1}, {TRI_ROLE_DOWN, 0}};
    for (size_t i = 0; i < 2 * sizeof matrices / sizeof matrices[0]; i++) {
        struct tri_error e;
        struct synthetic m = SYNTHETIC;
        m.arch = i % 2 ? "llama" : "bitnet";
        m.sub_norms = !(i % 2);
        struct engine n = engine_of(&m, 2, (struct tri_session_options){0});
        n.model->layer[0].matrix[matrices[i / 2].role].part[matrices[i / 2].part].scale = 3e38f;
        int32_t ids[3] = {1, 2, 3};
        const float *logits;
        assert_int_equal(tri_session_feed(n.s, ids, 3, &logits, &e), TRI_FAILED);
        stop(&n);
    }
}

static void overflow_is_told(void **unused)
{
    (void)unused;
    struct tri_error e;
    struct synthetic m = SYNTHETIC;
    m.embedding = 0;
    m.spoilt = "token_embd.weight";
    struct engine n = engine_of(&m, 2, (struct tri_session_options){0});
    int32_t last = 69, other = 3;
    const float *logits;
    assert_int_equal(tri_session_feed(n.s, &last, 1, &logits, &e), TRI_FAILED);
    assert_non_null(strstr(e.text, "range of floats"));
    assert_int_equal(tri_session_position(n.s), 0);
    assert_int_equal(tri_session_feed(n.s, &other, 1, &logits, &e), TRI_OK);
    stop(&n);
}

/* -- vectors ----------------------------------------------------------- */

static json_t *vectors(void)
{
    json_error_t error;
    json_t *all = json_load_file("tests/vectors/rope_norm.json", 0, &error);
    assert_non_null(all);
    return all;
}

static int numbers(const json_t *list, float *out)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (float)json_number_value(json_array_get(list, i));
    return (int)json_array_size(list);
}

static void check_near(const float *found, const float *expected, int n)
{
    for (int i = 0; i < n; i++)
        assert_true(fabsf(found[i] - expected[i]) <= 4e-7f * (1 + fabsf(expected[i])));
}

static void rope_vectors(void **unused)
{
    (void)unused;
    json_t *all = vectors(), *item;
    size_t i;
    json_array_foreach(json_object_get(all, "rope"), i, item)
    {
        float x[64], expected[64], cosine[64], sine[64];
        double frequency[32];
        for (int neox = 0; neox < 2; neox++) {
            int n = numbers(json_object_get(item, "x"), x);
            const struct tri_family family = {.neox = neox};
            const struct tri_config c = {.family = &family, .rope_dims = n,
                                         .rope_theta = (float)json_number_value(json_object_get(item, "theta"))};
            numbers(json_object_get(item, neox ? "neox" : "norm"), expected);
            tri_rope_frequencies(&c, NULL, frequency);
            tri_rope_angles(&c, frequency, (int)json_integer_value(json_object_get(item, "pos")),
                            cosine, sine);
            tri_rope(tri_dispatch_isa()->vec, &c, cosine, sine, x);
            check_near(x, expected, n);
        }
    }
    json_decref(all);
}

static void norm_vectors(void **unused)
{
    (void)unused;
    json_t *all = vectors(), *v = json_object_get(all, "rmsnorm");
    float x[64], w[64], y[64], expected[64];
    int n = numbers(json_object_get(v, "x"), x);
    numbers(json_object_get(v, "w"), w);
    numbers(json_object_get(v, "y"), expected);
    float eps = (float)json_number_value(json_object_get(v, "eps"));
    const struct tri_vec *vec = tri_dispatch_isa()->vec;
    tri_rms_norm(vec, x, vec->measure(x, n).squares, w, eps, n, y);
    check_near(y, expected, n);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_agree_with_plain),
        cmocka_unit_test(blocks_join_right),
        cmocka_unit_test(cuts_and_threads_change_nothing),
        cmocka_unit_test(long_contexts_neither),
        cmocka_unit_test(bits_are_those_of_every_machine),
        cmocka_unit_test(f16_caches_are_near),
        cmocka_unit_test(q8_0_caches_are_near_and_the_same),
        cmocka_unit_test(heads_of_every_encoding),
        cmocka_unit_test(skipping_changes_nothing),
        cmocka_unit_test(nothing_to_skip_is_told),
        cmocka_unit_test(rewinding_forgets),
        cmocka_unit_test(shifting_drops_the_older_half),
        cmocka_unit_test(scores_are_the_logits_of_feeds),
        cmocka_unit_test(wrong_feeds_are_refused),
        cmocka_unit_test(overflow_is_told),
        cmocka_unit_test(overflow_inside_is_told),
        cmocka_unit_test(rope_vectors),
        cmocka_unit_test(norm_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
