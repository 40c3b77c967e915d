/* Owns: gathering tokens of several sessions for one pass, and keeping the logits. Leaves out the pass, and what a
 * session refuses. */
#include "engine/batch.h"
#include "base/memory.h"
#include "engine/forward.h"

struct tri_batch {
    struct tri_workspace *work;
    int n, runs, wanted;
    int ran;               /* tokens of the last run, whose logits are here */
    int32_t *ids;          /* [ubatch] */
    struct tri_run *run;   /* [ubatch] */
    int *token;            /* [ubatch] wanted ones */
    int *row;              /* [ubatch] of a token's logits, or -1 */
    float *logits;         /* [room][vocab] */
    int room;
};

struct tri_batch *tri_batch_new(struct tri_workspace *w, struct tri_error *e)
{
    const size_t n = (size_t)w->ubatch;
    struct tri_batch *b = tri_alloc(1, sizeof *b, "batch", e);
    if (!b)
        return NULL;
    b->work = w;
    if ((b->ids = tri_alloc(n, sizeof *b->ids, "batch", e)) && (b->run = tri_alloc(n, sizeof *b->run, "batch", e)) &&
        (b->token = tri_alloc(n, sizeof *b->token, "batch", e)) && (b->row = tri_alloc(n, sizeof *b->row, "batch", e)))
        return b;
    tri_batch_free(b);
    return NULL;
}

void tri_batch_free(struct tri_batch *b)
{
    if (!b)
        return;
    void *const memory[] = {b->ids, b->run, b->token, b->row, b->logits, b};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        tri_free(memory[i]);
}

int tri_batch_room(const struct tri_batch *b)
{
    return b->work->ubatch - b->n;
}

/* -- adding ------------------------------------------------------------ */

/* Where a session will stand behind these runs. */
static int position_behind(const struct tri_run *run, int runs, const struct tri_session *s)
{
    while (--runs >= 0)
        if (run[runs].session == s)
            return run[runs].position + run[runs].count;
    return s->position;
}

static enum tri_status check(const struct tri_batch *b, const struct tri_session *s, const int32_t *ids, int count,
                             struct tri_error *e)
{
    if (s->model != b->work->model)
        return tri_fail(e, TRI_USAGE, "batch: expected sessions of one model, found one of another");
    if (count > tri_batch_room(b))
        return tri_fail(e, TRI_USAGE, "batch: %d tokens do not fit behind %d in a batch of at most %d; run it first",
                        count, b->n, b->work->ubatch);
    return tri_session_check(s, position_behind(b->run, b->runs, s), ids, count, e);
}

/* Room for logits of `rows` tokens; those of the run before may go. */
static enum tri_status make_room(struct tri_batch *b, int rows, struct tri_error *e)
{
    if (rows <= b->room)
        return TRI_OK;
    if (rows < 2 * b->room)
        rows = 2 * b->room;
    const size_t each = (size_t)b->work->model->config.vocab * sizeof(float);
    float *logits = tri_alloc((size_t)rows, each, "logits of a batch", e);
    if (!logits)
        return e->status;
    tri_free(b->logits);
    b->logits = logits;
    b->room = rows;
    return TRI_OK;
}

enum tri_status tri_batch_add(struct tri_batch *b, struct tri_session *s, const int32_t *ids, int count,
                              enum tri_logits wanted, struct tri_error *e)
{
    const int silent = wanted == TRI_LOGITS_ALL ? 0 : wanted == TRI_LOGITS_LAST ? count - 1 : count;
    if (check(b, s, ids, count, e) != TRI_OK || make_room(b, b->wanted + count - silent, e) != TRI_OK)
        return e->status;
    b->run[b->runs] = (struct tri_run){s, position_behind(b->run, b->runs, s), b->n, count};
    b->runs++;
    for (int i = 0; i < count; i++, b->n++) {
        b->ids[b->n] = ids[i];
        b->row[b->n] = i < silent ? -1 : b->wanted;
        if (i >= silent)
            b->token[b->wanted++] = b->n;
    }
    b->ran = 0;
    return TRI_OK;
}

/* -- running ----------------------------------------------------------- */

static enum tri_status check_positions(const struct tri_batch *b, struct tri_error *e)
{
    for (int r = 0; r < b->runs; r++) {
        const struct tri_run *run = &b->run[r];
        const int found = position_behind(b->run, r, run->session);
        if (found != run->position)
            return tri_fail(e, TRI_USAGE,
                            "batch: session of addition %d: expected it at position %d, as when its tokens were added, "
                            "found it at %d",
                            r, run->position, found);
    }
    return TRI_OK;
}

static enum tri_status check_overflow(const struct tri_batch *b, struct tri_error *e)
{
    const int token = tri_forward_overflow(b->work, b->n);
    int r = b->runs - 1;
    if (token < 0)
        return TRI_OK;
    while (b->run[r].first > token)
        r--;
    tri_fail_overflow(b->run[r].position + token - b->run[r].first, e);
    return tri_fail_in(e, "batch: session of addition %d", r);
}

/* The most that any of the sessions wants. */
static int top(const struct tri_batch *b)
{
    int most = 0;
    for (int r = 0; r < b->runs; r++) {
        const int wanted = b->run[r].session->top;
        if (wanted == 0)
            return 0;
        most = wanted > most ? wanted : most;
    }
    return most;
}

static enum tri_status pass(struct tri_batch *b, struct tri_error *e)
{
    const struct tri_ubatch ubatch = {.ids = b->ids, .n = b->n, .run = b->run, .runs = b->runs};
    const struct tri_wanted wanted = {.token = b->token, .n = b->wanted, .top = top(b), .logits = b->logits};
    if (!b->n)
        return tri_fail(e, TRI_USAGE, "batch: expected tokens, found none");
    if (check_positions(b, e) != TRI_OK)
        return e->status;
    tri_pool_lock(b->work->pool);
    tri_forward(b->work, &ubatch, &wanted);
    const enum tri_status status = check_overflow(b, e);
    tri_pool_unlock(b->work->pool);
    return status;
}

enum tri_status tri_batch_run(struct tri_batch *b, struct tri_error *e)
{
    const enum tri_status status = pass(b, e);
    for (int r = 0; r < b->runs && status == TRI_OK; r++)
        tri_session_advance(b->run[r].session, b->ids + b->run[r].first, b->run[r].count);
    b->ran = status == TRI_OK ? b->n : 0;
    b->n = b->runs = b->wanted = 0;
    return status;
}

const float *tri_batch_logits(const struct tri_batch *b, int token)
{
    if (token < 0 || token >= b->ran || b->row[token] < 0)
        return NULL;
    return b->logits + (size_t)b->row[token] * (size_t)b->work->model->config.vocab;
}
