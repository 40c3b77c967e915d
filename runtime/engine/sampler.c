/* Owns: the chain from logits to a token and its random numbers. Leaves out what the chain does not
 * have yet: logit bias, dry, typical, xtc, mirostat and grammars. */
#define _GNU_SOURCE
#include "engine/sampler.h"
#include "base/math.h"
#include "base/memory.h"
#include "base/twister.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct candidate {
    float logit, p;
    int32_t id;
};

struct tri_sampler {
    struct tri_sampling o;
    int vocab;
    struct tri_twister random;
    struct candidate *candidate; /* [vocab] */
    bool *penalised;             /* [vocab], all false between calls */
    int32_t *window;             /* ring of the last repeat_last_n ids */
    int accepted;                /* in the ring, at most repeat_last_n */
    int next;                    /* where the next one goes */
};

static uint32_t system_seed(void)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint32_t)time(NULL) * 2654435761u;
    return seed;
}

struct tri_sampling tri_sampling_defaults(void)
{
    return (struct tri_sampling)TRI_SAMPLING_DEFAULTS;
}

struct tri_sampler *tri_sampler_new(const struct tri_sampling *o, int vocab, struct tri_error *e)
{
    struct tri_sampler *s = tri_alloc(1, sizeof *s, "sampler", e);
    if (!s)
        return NULL;
    s->o = *o;
    s->vocab = vocab;
    if (s->o.seed == 0xFFFFFFFFu)
        s->o.seed = system_seed();
    if (s->o.repeat_penalty == 1 || s->o.repeat_last_n < 0)
        s->o.repeat_last_n = 0;
    tri_twister_seed(&s->random, s->o.seed);
    s->candidate = tri_alloc((size_t)vocab, sizeof s->candidate[0], "sampler", e);
    s->penalised =
        s->candidate ? tri_alloc((size_t)vocab, sizeof s->penalised[0], "sampler", e) : NULL;
    s->window = s->penalised ? tri_alloc((size_t)s->o.repeat_last_n, sizeof s->window[0],
                                         "penalty window", e)
                             : NULL;
    if (!s->window) {
        tri_sampler_free(s);
        return NULL;
    }
    return s;
}

void tri_sampler_free(struct tri_sampler *s)
{
    if (!s)
        return;
    tri_free(s->window);
    tri_free(s->penalised);
    tri_free(s->candidate);
    tri_free(s);
}

uint32_t tri_sampler_seed(const struct tri_sampler *s)
{
    return s->o.seed;
}

void tri_sampler_accept(struct tri_sampler *s, int32_t id)
{
    if (s->o.repeat_last_n == 0 || id < 0 || id >= s->vocab)
        return;
    s->window[s->next] = id;
    s->next = (s->next + 1) % s->o.repeat_last_n;
    if (s->accepted < s->o.repeat_last_n)
        s->accepted++;
}

/* -- the chain
 * -------------------------------------------------------------------------------------- */

/* With a penalty of more than 1, what is in the window can only give way to what follows; one of less could raise
 * anything. Logits of -INFINITY, as those may be that are not among the greatest, are not drawn. */
int tri_sampler_wants(const struct tri_sampler *s)
{
    const int kept = s->o.temperature <= 0 ? 1 : s->o.top_k > 0 ? s->o.top_k : 0;
    if (kept == 0 || (s->o.repeat_last_n > 0 && s->o.repeat_penalty < 1) || s->o.repeat_last_n > s->vocab - kept)
        return 0;
    return kept + s->o.repeat_last_n;
}

static float penalise(const struct tri_sampler *s, float logit)
{
    return logit > 0 ? logit / s->o.repeat_penalty : logit * s->o.repeat_penalty;
}

/* Marks what is in the window, or takes the marks back. */
static void mark(struct tri_sampler *s, bool penalised)
{
    for (int i = 0; i < s->accepted; i++)
        s->penalised[s->window[i]] = penalised;
}

/* Whatever can be drawn, penalised; returns how many. If nothing can, the first token is. */
static int gather(struct tri_sampler *s, const float *logits)
{
    int n = 0;
    mark(s, true);
    for (int i = 0; i < s->vocab; i++)
        if (logits[i] != -INFINITY)
            s->candidate[n++] =
                (struct candidate){.logit = s->penalised[i] ? penalise(s, logits[i]) : logits[i], .id = i};
    mark(s, false);
    if (n == 0)
        s->candidate[n++] = (struct candidate){.id = 0};
    return n;
}

/* The order of candidates: a total one, so that equal logits are no matter of luck. */
static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

/* Heap with the last in order at its root. */
static void sink(struct candidate *heap, int n, int at)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&heap[at], &heap[child]))
            return;
        swap(&heap[at], &heap[child]);
    }
}

/* The first k of n candidates in order, at c[0..k): one pass over n with a heap of k. */
static void select_first(struct candidate *c, int n, int k)
{
    for (int i = k / 2 - 1; i >= 0; i--)
        sink(c, k, i);
    for (int i = k; i < n; i++)
        if (before(&c[i], &c[0])) {
            swap(&c[i], &c[0]);
            sink(c, k, 0);
        }
    for (int i = k - 1; i > 0; i--) {
        swap(&c[0], &c[i]);
        sink(c, i, 0);
    }
}

/* Probabilities of n candidates in order. */
static void softmax(struct candidate *c, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++) {
        c[i].p = (float)tri_exp((double)(c[i].logit - c[0].logit));
        sum += c[i].p;
    }
    for (int i = 0; i < n; i++)
        c[i].p /= sum;
}

static int keep_top_p(struct candidate *c, int n, float p)
{
    float sum = 0;
    softmax(c, n);
    for (int i = 0; i < n; i++) {
        sum += c[i].p;
        if (sum >= p)
            return i + 1;
    }
    return n;
}

static int keep_min_p(const struct candidate *c, int n, float p)
{
    float least = c[0].logit + (float)tri_log(p);
    int kept = 1;
    while (kept < n && c[kept].logit >= least)
        kept++;
    return kept;
}

/* libstdc++'s discrete_distribution: one candidate costs no random number. */
static int draw(struct tri_sampler *s, const struct candidate *c, int n)
{
    double sum = 0, below = 0;
    if (n == 1)
        return 0;
    for (int i = 0; i < n; i++)
        sum += c[i].p;
    double u = tri_twister_unit(&s->random);
    for (int i = 0; i < n - 1; i++) {
        below += c[i].p / sum;
        if (below >= u)
            return i;
    }
    return n - 1;
}

static int32_t greatest(const struct candidate *c, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (before(&c[i], &c[best]))
            best = i;
    return c[best].id;
}

int32_t tri_sampler_next(struct tri_sampler *s, const float *logits)
{
    struct candidate *c = s->candidate;
    const int n = gather(s, logits);
    if (s->o.temperature <= 0)
        return greatest(c, n);
    int kept = s->o.top_k > 0 && s->o.top_k < n ? s->o.top_k : n;
    select_first(c, n, kept);
    if (s->o.top_p < 1)
        kept = keep_top_p(c, kept, s->o.top_p);
    if (s->o.min_p > 0)
        kept = keep_min_p(c, kept, s->o.min_p);
    for (int i = 0; i < kept; i++)
        c[i].logit /= s->o.temperature;
    softmax(c, kept);
    return c[draw(s, c, kept)].id;
}
