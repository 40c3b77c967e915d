/* Owns: which tokens prove a session, and the session of plain C beside it. Leaves out sums of integers (oracle.c). */
#include "engine/proof.h"
#include "base/clock.h"
#include "base/memory.h"
#include "engine/forward.h"
#include "engine/oracle.h"
#include "model/build.h"

#include <math.h>
#include <string.h>

enum { SMALL = 50000000, /* weights */
       BATCH = 16,       /* tokens whose float work plain C does, too */
       FEW = 2 };        /* the same where that is all of a large model, as dense weights are multiplied by floats */

static const double most_work = 3e9; /* weights a thread unpacks and multiplies for it, one or two a nanosecond */

struct proving {
    struct tri_session *s, *plain;
    struct tri_model twin; /* the same weights; nothing is skipped or screened */
    struct tri_oracle *oracle;
    struct tri_proof *proof;
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* -- what it takes ------------------------------------------------------- */

static double weights_of(const struct tri_model *m)
{
    double sum = 0;
    for (int r = 0; r < TRI_ROLES; r++)
        sum += (double)m->layer[0].matrix[r].m * m->layer[0].matrix[r].k;
    return sum * m->config.layers;
}

/* Tokens of one call, at most, where n are fed: of the kernel that takes the most. */
static int widest_call(const struct tri_model *m, int n)
{
    int most = 0;
    for (int r = 0; r < TRI_ROLES; r++) {
        const struct tri_plan *plan = &m->layer[0].matrix[r].plan;
        const int tokens = plan->count ? tri_plan_next(plan, n)->tokens : 0; /* dense: any number */
        most = tokens > most ? tokens : most;
    }
    return least(most, n);
}

static void choose(struct proving *p, int batch)
{
    struct tri_proof *proof = p->proof;
    const struct tri_model *m = p->s->model;
    const double weights = weights_of(m);
    const int threads = tri_pool_threads(p->s->work->pool), room = least(p->s->context, p->s->work->ubatch);
    const int fed = least(batch, room), call = fed > 1 ? widest_call(m, fed) : 0;
    const bool small = weights < SMALL, dense = m->layer[0].matrix[0].dense; /* plain C computes all of dense ones */
    proof->tokens = least(small ? TRI_PROOF_TOKENS : dense ? 1 : FEW, p->s->context);
    proof->whole = small || dense || weights * proof->tokens / threads <= most_work;
    proof->batch = fed > 1 ? least(fed, dense && !small ? FEW : BATCH) : 0;
    proof->kernel = call > proof->batch ? call : 0;
    proof->seed = (uint64_t)(1e6 * tri_now()) | 1;
}

/* -- the session of plain C ------------------------------------------------ */

static enum tri_cache_type cache_type(const struct tri_cache *c)
{
    return c->rows == TRI_ROWS_F32 ? TRI_CACHE_F32 : c->rows == TRI_ROWS_F16 ? TRI_CACHE_F16 : TRI_CACHE_Q8_0;
}

static enum tri_status make_twin(struct proving *p, struct tri_error *e)
{
    const struct tri_model *m = p->s->model;
    const size_t layers = (size_t)m->config.layers;
    p->twin = *m;
    p->twin.screen = NULL;
    p->twin.layer = tri_alloc(layers, sizeof *p->twin.layer, "proof of kernels", e);
    if (!p->twin.layer)
        return e->status;
    memcpy(p->twin.layer, m->layer, layers * sizeof *m->layer);
    for (size_t i = 0; i < layers; i++)
        p->twin.layer[i].skip = NULL;
    return TRI_OK;
}

static enum tri_status make_plain(struct proving *p, struct tri_error *e)
{
    const int tokens = p->proof->tokens > p->proof->batch ? p->proof->tokens : p->proof->batch;
    struct tri_session_options o = {.context = tokens, .ubatch = tokens, .cache_k = cache_type(&p->s->keys),
                                    .cache_v = cache_type(&p->s->values)};
    memcpy(o.team, p->s->work->team, sizeof o.team);
    if (make_twin(p, e) != TRI_OK || !(p->plain = tri_session_new(&p->twin, p->s->work->pool, &o, e)))
        return e->status;
    p->plain->work->vec = tri_isas[0].vec; /* plain C */
    p->oracle = tri_oracle_new(p->s->model, tri_pool_threads(p->s->work->pool), e);
    return p->oracle ? TRI_OK : e->status;
}

/* -- comparing ------------------------------------------------------------- */

/* As the session is, watched. */
static enum tri_status feed_watched(struct proving *p, const int32_t *ids, int n, int rows, const float **logits,
                                    struct tri_error *e)
{
    struct tri_input *input = &p->s->work->input;
    const int before = tri_session_position(p->s);
    p->oracle->rows = rows;
    p->oracle->seed = p->proof->seed;
    input->watch = tri_oracle_see, input->watching = p->oracle;
    const enum tri_status status = tri_session_feed(p->s, ids, n, logits, e);
    input->watch = NULL;
    return tri_oracle_verdict(p->oracle, before, e) == TRI_OK ? status : e->status;
}

/* -infinity stands where a screen left out a logit that is not the greatest. */
static enum tri_status compare(struct proving *p, const float *found, const float *expected, int token, int *greatest,
                               struct tri_error *e)
{
    const int vocab = p->twin.config.vocab;
    int most = 0;
    for (int i = 1; i < vocab; i++)
        most = expected[i] > expected[most] ? i : most;
    for (int i = 0; i < vocab; i++) {
        if (memcmp(&found[i], &expected[i], sizeof *found) == 0 || (isinf(found[i]) && i != most))
            continue;
        return tri_fail(e, TRI_WRONG,
                        "logit %d behind token %d: expected %.9g, as plain C has it, found %.9g: every sum of "
                        "integers that was compared is right, so float work of %s is wrong, or rows that were not; run "
                        "tritune selftest, and until then use --isa c",
                        i, token, (double)expected[i], (double)found[i], p->s->work->vec->isa);
    }
    p->proof->logits += (uint64_t)vocab;
    *greatest = most;
    return TRI_OK;
}

/* n tokens through both. */
static enum tri_status feed_both(struct proving *p, const int32_t *ids, int n, int rows, int *greatest,
                                 struct tri_error *e)
{
    const float *found, *expected;
    if (feed_watched(p, ids, n, rows, &found, e) != TRI_OK ||
        tri_session_feed(p->plain, ids, n, &expected, e) != TRI_OK)
        return e->status;
    return compare(p, found, expected, tri_session_position(p->s) - 1, greatest, e);
}

static enum tri_status decode(struct proving *p, struct tri_error *e)
{
    int32_t id = 1 % p->twin.config.vocab;
    for (int i = 0; i < p->proof->tokens; i++)
        if (feed_both(p, &id, 1, p->proof->whole ? 0 : TRI_PROOF_ROWS, &id, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

static enum tri_status feed_batches(struct proving *p, struct tri_error *e)
{
    const struct tri_proof *proof = p->proof;
    const int most = proof->kernel > proof->batch ? proof->kernel : proof->batch;
    const float *unused;
    int greatest;
    int32_t *ids = most ? tri_alloc((size_t)most, sizeof *ids, "proof of kernels", e) : NULL;
    if (!ids)
        return most ? e->status : TRI_OK;
    for (int i = 0; i < most; i++)
        ids[i] = (int32_t)((uint64_t)i * 7919 % (uint64_t)p->twin.config.vocab);
    enum tri_status status = feed_both(p, ids, proof->batch, TRI_PROOF_ROWS, &greatest, e);
    if (status == TRI_OK && proof->kernel) {
        tri_session_rewind(p->s, 0);
        status = feed_watched(p, ids, proof->kernel, TRI_PROOF_ROWS, &unused, e);
    }
    tri_free(ids);
    return status;
}

static enum tri_status prove(struct proving *p, struct tri_error *e)
{
    tri_session_rewind(p->s, 0);
    if (make_plain(p, e) != TRI_OK || decode(p, e) != TRI_OK)
        return e->status;
    tri_session_rewind(p->s, 0);
    tri_session_rewind(p->plain, 0);
    return feed_batches(p, e);
}

enum tri_status tri_session_prove(struct tri_session *s, int batch, struct tri_proof *proof, struct tri_error *e)
{
    struct proving p = {.s = s, .proof = proof};
    const double begin = tri_now();
    *proof = (struct tri_proof){0};
    choose(&p, batch);
    enum tri_status status = prove(&p, e);
    proof->sums = p.oracle ? atomic_load(&p.oracle->sums) : 0;
    tri_session_rewind(s, 0);
    tri_session_free(p.plain);
    tri_free(p.twin.layer);
    tri_oracle_free(p.oracle);
    proof->seconds = tri_now() - begin;
    return status;
}
