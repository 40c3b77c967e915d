/* Owns: the loop of passes and draws, and how much of a draft is verified. Leaves out where drafts come from (draft.c)
 * and what passes cost (cost.c). */
#include "engine/generation.h"
#include "base/clock.h"
#include "base/memory.h"
#include "engine/cost.h"
#include "engine/draft.h"
#include "engine/forward.h"

enum { DRAFT = TRI_COST_TOKENS - 1, HISTORY = 1 << 16 }; /* tokens of the text that drafts are made of, 3 MiB */

/* What the tokens of a pass must be expected to gain over single ones: below it, it is not worth being wrong. */
static const double gain = 1.05;

struct tri_generation {
    struct tri_session *session;
    struct tri_sampler *sampler;
    struct tri_draft *draft; /* NULL: none are made */
    struct tri_cost cost;
    int most, left; /* tokens of a draft; yet to be drawn, < 0: nobody knows */
    bool shift;
    int keep;
    size_t vocab;

    const float *logits; /* [rows][vocab] of the last pass */
    int rows, row;       /* the next draw is from row `row`; from none of them, if that is `rows` */
    int32_t ids[DRAFT + 1]; /* the token before the next draw, and what was drafted behind it: ids[row] */
    struct tri_generation_counts counts;
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* A token of the text is known. */
static void accept(struct tri_generation *g, int32_t id)
{
    if (g->sampler)
        tri_sampler_accept(g->sampler, id);
    if (g->draft)
        tri_draft_add(g->draft, id);
}

struct tri_generation *tri_generation_new(struct tri_session *s, struct tri_sampler *sampler,
                                          const struct tri_generation_options *o, struct tri_error *e)
{
    struct tri_generation *g = tri_alloc(1, sizeof *g, "generation", e);
    if (!g)
        return NULL;
    g->session = s;
    g->sampler = sampler;
    g->most = least(o->draft, DRAFT);
    g->left = o->tokens;
    g->vocab = (size_t)s->model->config.vocab;
    g->shift = o->shift;
    g->keep = o->keep;
    tri_cost_begin(&g->cost, s->model);
    if (sampler)
        tri_session_want(s, tri_sampler_wants(sampler));
    if (g->most > 0 && !(g->draft = tri_draft_new(least(tri_session_context(s), HISTORY), e))) {
        tri_generation_free(g);
        return NULL;
    }
    for (int i = 0; i < s->position; i++)
        accept(g, s->ids[i]);
    return g;
}

void tri_generation_free(struct tri_generation *g)
{
    if (!g)
        return;
    if (g->sampler)
        tri_session_want(g->session, 0);
    tri_draft_free(g->draft);
    tri_free(g);
}

struct tri_generation_counts tri_generation_counts(const struct tri_generation *g)
{
    return g->counts;
}

enum tri_status tri_generation_feed(struct tri_generation *g, const int32_t *ids, int count, struct tri_error *e)
{
    if (tri_session_feed(g->session, ids, count, &g->logits, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < count; i++)
        accept(g, ids[i]);
    g->rows = 1;
    g->row = 0;
    return TRI_OK;
}

/* -- passes ------------------------------------------------------------ */

/* How many of n drafted tokens make the pass that draws the most per second: the token before them is drawn from
 * whatever happens, the one behind draft i if all up to there are right. */
static int worthwhile(const struct tri_generation *g, const double *chance, int n)
{
    double drawn = 1, best = gain / g->cost.of[1];
    int best_n = 0;
    for (int i = 1; i <= n; i++) {
        drawn += chance[i - 1];
        if (drawn > best * g->cost.of[i + 1]) {
            best = drawn / g->cost.of[i + 1];
            best_n = i;
        }
    }
    return best_n;
}

static int propose(struct tri_generation *g, int32_t *ids)
{
    double chance[DRAFT];
    int most = least(g->most, tri_session_guesses(g->session));
    if (g->left >= 0)
        most = least(most, g->left - 1);
    return g->draft ? worthwhile(g, chance, tri_draft_propose(g->draft, most, ids, chance)) : 0;
}

static bool full(const struct tri_generation *g)
{
    return tri_session_guesses(g->session) < 0;
}

static enum tri_status make_room(struct tri_generation *g, struct tri_error *e)
{
    const int before = g->session->position;
    if (tri_session_shift(g->session, g->keep, e) != TRI_OK)
        return e->status;
    g->counts.dropped += before - g->session->position;
    return TRI_OK;
}

/* Feeds the last token drawn, ids[0], and a draft behind it. */
static enum tri_status pass(struct tri_generation *g, struct tri_error *e)
{
    if (full(g) && g->shift && make_room(g, e) != TRI_OK)
        return e->status;
    const int drafted = propose(g, g->ids + 1);
    const double begin = tri_now();
    if (tri_session_guess(g->session, g->ids, 1 + drafted, &g->logits, &g->rows, e) != TRI_OK)
        return e->status;
    tri_cost_timed(&g->cost, 1 + drafted, tri_now() - begin);
    g->counts.drafted += drafted;
    g->row = 0;
    return TRI_OK;
}

bool tri_generation_over(const struct tri_generation *g)
{
    return g->left == 0 || (g->row == g->rows && full(g) && !g->shift);
}

enum tri_status tri_generation_logits(struct tri_generation *g, const float **logits, struct tri_error *e)
{
    if (g->row == g->rows && pass(g, e) != TRI_OK)
        return e->status;
    *logits = g->logits + (size_t)g->row * g->vocab;
    return TRI_OK;
}

void tri_generation_take(struct tri_generation *g, int32_t id)
{
    accept(g, id);
    if (g->left > 0)
        g->left--;
    if (++g->row < g->rows && id == g->ids[g->row]) {
        g->counts.accepted++;
        return;
    }
    tri_session_rewind(g->session, tri_session_position(g->session) - (g->rows - g->row));
    g->rows = g->row;
    g->ids[0] = id;
}

enum tri_status tri_generation_next(struct tri_generation *g, int32_t *id, struct tri_error *e)
{
    const float *logits = NULL;
    if (tri_generation_logits(g, &logits, e) != TRI_OK)
        return e->status;
    *id = tri_sampler_next(g->sampler, logits);
    tri_generation_take(g, *id);
    return TRI_OK;
}
