/* Owns: what is run and timed. Leaves out who is compared with whom. */
#include "engine/trial.h"
#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

struct tri_trial {
    struct tri_model *model;
    struct tri_session *session;
    int32_t *ids; /* [prompt + 1] */
    int prompt;
    uint64_t bits[TRI_PHASES];
};

static enum tri_status start(struct tri_trial *t, const struct tri_synth *s, struct tri_pool *pool,
                             struct tri_error *e)
{
    const struct tri_session_options o = {.context = t->prompt + 1, .ubatch = t->prompt, .cache_k = TRI_CACHE_F16,
                                          .cache_v = TRI_CACHE_F16};
    const float *logits;
    t->ids = tri_alloc((size_t)t->prompt + 1, sizeof *t->ids, "prompt", e);
    t->model = t->ids ? tri_model_synth(s, pool, e) : NULL;
    t->session = t->model ? tri_session_new(t->model, pool, &o, e) : NULL;
    if (!t->session)
        return e->status;
    for (int i = 0; i <= t->prompt; i++)
        t->ids[i] = (int32_t)((int64_t)i * 7919 % s->config.vocab);
    return tri_session_feed(t->session, t->ids, t->prompt, &logits, e);
}

struct tri_trial *tri_trial_new(const struct tri_synth *s, int prompt, struct tri_pool *pool, struct tri_error *e)
{
    if (prompt < 2 || prompt >= 1 << 16) {
        tri_fail(e, TRI_USAGE, "a trial's prompt: expected 2 to 65535 tokens, found %d", prompt);
        return NULL;
    }
    struct tri_trial *t = tri_alloc(1, sizeof *t, "trial", e);
    if (!t)
        return NULL;
    t->prompt = prompt;
    if (start(t, s, pool, e) == TRI_OK)
        return t;
    tri_trial_free(t);
    return NULL;
}

void tri_trial_free(struct tri_trial *t)
{
    if (!t)
        return;
    tri_session_free(t->session);
    tri_model_free(t->model);
    tri_free(t->ids);
    tri_free(t);
}

/* FNV-1a over words; never 0. */
static uint64_t hash(const float *logits, int n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (int i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, &logits[i], sizeof word);
        h = (h ^ word) * 0x100000001B3u;
    }
    return h ? h : 1;
}

enum tri_status tri_trial_run(struct tri_trial *t, enum tri_phase phase, struct tri_team team, double seconds,
                              double *ns, struct tri_error *e)
{
    int from = phase == TRI_DECODE ? t->prompt : 0, n = phase == TRI_DECODE ? 1 : t->prompt, steps = 0;
    const float *logits;
    double begin = tri_now(), spent;
    tri_session_use(t->session, phase, team);
    do {
        tri_session_rewind(t->session, from);
        if (tri_session_feed(t->session, t->ids + from, n, &logits, e) != TRI_OK)
            return e->status;
        steps++;
        spent = tri_now() - begin;
    } while (spent < seconds);
    *ns = spent * 1e9 / ((double)steps * n);
    t->bits[phase] = hash(logits, t->model->config.vocab);
    return TRI_OK;
}

uint64_t tri_trial_bits(const struct tri_trial *t, enum tri_phase phase)
{
    return t->bits[phase];
}
