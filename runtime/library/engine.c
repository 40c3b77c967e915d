/* Owns: what the public interface calls an engine: a model with its file, tokenizer, threads and workspace. Everything
 * else public is the engine's own modules (engine/, text/). */
#include "engine/batch.h"
#include "engine/sampler.h"
#include "kernels/balance.h"
#include "model/checkpoint.h"
#include "text/tokenizer.h"

#include "base/memory.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { MAX_CONTEXT = 1 << 24 };

struct tri_engine {
    struct tri_gguf *gguf;
    struct tri_tokenizer *tokenizer;
    struct tri_pool *pool;
    struct tri_model *model;
    struct tri_workspace *work;
    char notice[1024], longer[1152]; /* the same once a session is longer than the model was made for */
    atomic_bool is_longer;
};

/* Instruction set and huge pages are the program's while a model is opened. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

/* -- options ----------------------------------------------------------- */

static enum tri_status check_range(const char *what, int found, int most, struct tri_error *e)
{
    if (found >= 0 && found <= most)
        return TRI_OK;
    return tri_fail(e, TRI_USAGE, "%s: expected 0 to %d, found %d", what, most, found);
}

static enum tri_status check_options(const struct tri_engine_options *o, struct tri_error *e)
{
    const struct {
        const char *what;
        int found, most;
    } ranges[] = {{"threads", o->threads, TRI_MAX_THREADS},
                  {"threads_batch", o->threads_batch, TRI_MAX_THREADS},
                  {"ubatch", o->ubatch, TRI_MAX_UBATCH},
                  {"ffn", (int)o->ffn, TRI_FFN_AUTO},
                  {"head", (int)o->head, TRI_HEAD_SCREENED}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (check_range(ranges[i].what, ranges[i].found, ranges[i].most, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* As tuned where nothing is given; batches run as what is given for single tokens. */
static struct tri_setting setting_of(const struct tri_engine_options *o)
{
    struct tri_setting s = tri_dispatch_setting();
    const int given[TRI_PHASES] = {[TRI_DECODE] = o->threads,
                                   [TRI_PROMPT] = o->threads_batch ? o->threads_batch : o->threads};
    for (int phase = 0; phase < TRI_PHASES; phase++)
        if (given[phase])
            s.team[phase].threads = given[phase];
    return s;
}

/* -- opening ----------------------------------------------------------- */

static enum tri_status open_text(struct tri_engine *n, const char *path, struct tri_error *e)
{
    const size_t size = (size_t)(tri_embedded_model_end - tri_embedded_model);
    n->gguf = path ? tri_checkpoint_open(path, e) : tri_gguf_read(tri_embedded_model, size, "the embedded model", e);
    n->tokenizer = n->gguf ? tri_tokenizer_new(n->gguf, e) : NULL;
    return n->tokenizer ? TRI_OK : e->status;
}

static enum tri_status open_pool(struct tri_engine *n, const struct tri_setting *s, struct tri_error *e)
{
    const int decode = s->team[TRI_DECODE].threads, prompt = s->team[TRI_PROMPT].threads;
    n->pool = tri_pool_new(decode > prompt ? decode : prompt, e);
    if (!n->pool)
        return e->status;
    tri_pool_for_any(n->pool);
    return tri_balance(n->pool, e);
}

static enum tri_status open_weights(struct tri_engine *n, const struct tri_engine_options *o, struct tri_error *e)
{
    n->model = tri_model_load(n->gguf, n->pool, e);
    if (!n->model || tri_model_skip(n->model, o->ffn, n->pool, e) != TRI_OK ||
        tri_model_screen(n->model, o->head, n->pool, e) != TRI_OK)
        return e->status;
    return tri_tokenizer_fits(n->tokenizer, n->model->config.vocab, e);
}

static void take_notices(struct tri_engine *n)
{
    const char *const all[] = {tri_dispatch_notice(), tri_tokenizer_notice(n->tokenizer), n->model->notice};
    size_t used = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] && *all[i] && used < sizeof n->notice)
            used += (size_t)snprintf(n->notice + used, sizeof n->notice - used, "%s%s", used ? "; " : "", all[i]);
    snprintf(n->longer, sizeof n->longer,
             "%s%sa session's context is more than the %d positions this model was made for", n->notice,
             used ? "; " : "", n->model->config.context);
}

static enum tri_status open_all(struct tri_engine *n, const char *path, const struct tri_engine_options *o,
                                struct tri_error *e)
{
    const struct tri_setting setting = setting_of(o);
    struct tri_workspace_options w = {.ubatch = o->ubatch};
    for (int phase = 0; phase < TRI_PHASES; phase++)
        w.team[phase] = setting.team[phase];
    tri_huge_pages(setting.huge);
    if (open_text(n, path, e) != TRI_OK || open_pool(n, &setting, e) != TRI_OK || open_weights(n, o, e) != TRI_OK)
        return e->status;
    take_notices(n);
    n->work = tri_workspace_new(n->model, n->pool, &w, e);
    return n->work ? TRI_OK : e->status;
}

struct tri_engine *tri_engine_open(const char *path, const struct tri_engine_options *o, struct tri_error *e)
{
    static const struct tri_engine_options defaults;
    struct tri_engine *n = tri_alloc(1, sizeof *n, "engine", e);
    enum tri_status status = n ? check_options(o ? o : &defaults, e) : e->status;
    pthread_mutex_lock(&opening);
    if (status == TRI_OK)
        status = tri_dispatch_limit(o ? o->isa : NULL, e);
    if (status == TRI_OK)
        status = open_all(n, path, o ? o : &defaults, e);
    pthread_mutex_unlock(&opening);
    if (status == TRI_OK)
        return n;
    tri_engine_free(n);
    return NULL;
}

void tri_engine_free(struct tri_engine *n)
{
    if (!n)
        return;
    tri_workspace_free(n->work);
    tri_model_free(n->model);
    tri_pool_free(n->pool);
    tri_tokenizer_free(n->tokenizer);
    tri_gguf_close(n->gguf);
    tri_free(n);
}

/* -- what it is, and what is made of it -------------------------------- */

int tri_engine_context(const struct tri_engine *n)
{
    return n->model->config.context;
}

int tri_engine_vocabulary(const struct tri_engine *n)
{
    return n->model->config.vocab;
}

const char *tri_engine_notice(const struct tri_engine *n)
{
    const char *notice = atomic_load(&n->is_longer) ? n->longer : n->notice;
    return *notice ? notice : NULL;
}

const struct tri_tokenizer *tri_engine_tokenizer(const struct tri_engine *n)
{
    return n->tokenizer;
}

struct tri_session *tri_engine_session(struct tri_engine *n, int context, enum tri_cache_type keys,
                                       enum tri_cache_type values, struct tri_error *e)
{
    const struct tri_session_options o = {
        .context = context, .cache_k = keys, .cache_v = values, .workspace = n->work};
    if (check_range("context", context, MAX_CONTEXT, e) != TRI_OK ||
        check_range("type of keys", (int)keys, TRI_CACHE_Q8_0, e) != TRI_OK ||
        check_range("type of values", (int)values, TRI_CACHE_Q8_0, e) != TRI_OK)
        return NULL;
    struct tri_session *s = tri_session_new(n->model, n->pool, &o, e);
    if (s && context > n->model->config.context)
        atomic_store(&n->is_longer, true);
    return s;
}

struct tri_batch *tri_engine_batch(struct tri_engine *n, struct tri_error *e)
{
    return tri_batch_new(n->work, e);
}

struct tri_sampler *tri_engine_sampler(const struct tri_engine *n, const struct tri_sampling *o, struct tri_error *e)
{
    struct tri_sampling s = *o;
    if (!isfinite(s.temperature) || isnan(s.top_p) || isnan(s.min_p) || !(s.repeat_penalty >= 0)) {
        tri_fail(e, TRI_USAGE,
                 "sampling: expected numbers, and a penalty of at least 0, found temperature %g, top_p %g, min_p %g, "
                 "repeat_penalty %g",
                 (double)s.temperature, (double)s.top_p, (double)s.min_p, (double)s.repeat_penalty);
        return NULL;
    }
    if (s.repeat_penalty == 0)
        s.repeat_penalty = 1;
    return tri_sampler_new(&s, n->model->config.vocab, e);
}
