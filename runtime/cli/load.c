/* Owns: opening a model with all that running it takes, and closing it again, whole or in part. */
#define _GNU_SOURCE
#include "cli/load.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "hub/hub.h"
#include "kernels/balance.h"
#include "model/checkpoint.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void notice(const char *text)
{
    if (text)
        fprintf(stderr, "tritune: %s\n", text);
}

/* Ctrl-C keeps what came of a download; behind it the signal is what it was. */
static enum tri_status pull(struct tri_load *l, struct tri_error *e)
{
    const struct tri_hub_request r = {
        .model = l->hub, .offline = l->offline, .stall = TRI_HUB_STALL, .stop = tri_interrupted};
    if (!l->hub)
        return TRI_OK;
    if (l->model)
        return tri_fail(e, TRI_USAGE, "expected one of -m FILE and -hf REPO, found both");
    struct sigaction before;
    sigaction(SIGINT, NULL, &before);
    tri_catch_interrupt();
    const enum tri_status status = tri_hub_pull(&r, &l->pulled, e);
    sigaction(SIGINT, &before, NULL);
    l->model = l->pulled;
    return status;
}

enum tri_status tri_load_file(struct tri_load *l, struct tri_error *e)
{
    size_t size = (size_t)(tri_embedded_model_end - tri_embedded_model);
    if (pull(l, e) != TRI_OK)
        return e->status;
    l->gguf = l->model ? tri_checkpoint_open(l->model, e)
                       : tri_gguf_read(tri_embedded_model, size, "the embedded model", e);
    if (!l->gguf)
        return e->status;
    return l->i2s_layout ? tri_gguf_set_i2s_layout(l->gguf, l->i2s_layout, e) : TRI_OK;
}

enum tri_status tri_load_text(struct tri_load *l, struct tri_error *e)
{
    if (tri_load_file(l, e) != TRI_OK)
        return e->status;
    l->tokenizer = tri_tokenizer_new_pre(l->gguf, l->pre, e);
    if (!l->tokenizer)
        return e->status;
    notice(tri_tokenizer_notice(l->tokenizer));
    return TRI_OK;
}

/* -- options ----------------------------------------------------------- */

/* What a word can be, in the order of the enumeration it stands for, then NULL; the first where none is given. */
static const char *const cache_names[4] = {[TRI_CACHE_F32] = "f32", [TRI_CACHE_F16] = "f16", [TRI_CACHE_Q8_0] = "q8_0"};
static const char *const ffn_names[4] = {
    [TRI_FFN_DENSE] = "dense", [TRI_FFN_SPARSE] = "sparse", [TRI_FFN_AUTO] = "auto"};
static const char *const head_names[4] = {
    [TRI_HEAD_AUTO] = "auto", [TRI_HEAD_FULL] = "full", [TRI_HEAD_SCREENED] = "screened"};
static const char *const bits_names[5] = {[TRI_BITS_AUTO] = "auto", [TRI_BITS_2] = "2", [TRI_BITS_1_6] = "1.6",
                                          [TRI_BITS_1_25] = "1.25"};

/* Which of them; -1 with an error. */
static int choice(const char *option, const char *word, const char *const names[], struct tri_error *e)
{
    char known[64] = "";
    for (int i = 0; names[i]; i++) {
        if (!word || strcmp(word, names[i]) == 0)
            return i;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    }
    tri_fail(e, TRI_USAGE, "option %s: expected %s, found \"%s\"", option, known, word);
    return -1;
}

/* "4096" MiB, "4G" */
static enum tri_status read_memory(const char *text, size_t *bytes, struct tri_error *e)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    const double number = text ? strtod(text, &end) : 0;
    const char *unit = text && *end ? strchr(units, *end & ~32) : units + 1;
    *bytes = 0;
    if (!text)
        return TRI_OK;
    const double all = unit ? number * (double)(1ull << 10 * (unit - units + 1)) : 0;
    if (end == text || !unit || (*end && end[1]) || !(all >= 1) || all >= 0x1p62)
        return tri_fail(e, TRI_USAGE, "option --memory: expected a number of MiB, or one with K, M, G or T behind it, "
                        "found \"%s\"", text);
    *bytes = (size_t)all;
    return TRI_OK;
}

static enum tri_status limit_kernels(const struct tri_load *l, struct tri_error *e)
{
    const char *variable = getenv("TRI_ISA");
    bool option = l->isa != NULL;
    if (tri_dispatch_limit(option ? l->isa : variable, e) != TRI_OK)
        return tri_fail_in(e, option ? "option --isa" : "variable TRI_ISA");
    return TRI_OK;
}

static enum tri_status read_switch(const char *option, const char *text, bool *on, struct tri_error *e)
{
    if (!text)
        return TRI_OK;
    *on = strcmp(text, "1") == 0;
    return *on || strcmp(text, "0") == 0
               ? TRI_OK
               : tri_fail(e, TRI_USAGE, "option %s: expected 0 or 1, found \"%s\"", option, text);
}

/* As tuned where nothing is given; prompts run as what is given for decoding. */
static enum tri_status read_setting(const struct tri_load *l, struct tri_setting *s, struct tri_error *e)
{
    static const char *const strict[TRI_PHASES] = {"--cpu-strict", "--cpu-strict-batch"};
    *s = tri_dispatch_setting();
    for (int i = 0; i < TRI_PHASES; i++) {
        int from = l->threads[i] ? i : TRI_DECODE;
        if (l->threads[from])
            s->team[i].threads = l->threads[from];
        from = l->strict[i] ? i : TRI_DECODE;
        if (read_switch(strict[from], l->strict[from], &s->team[i].pinned, e) != TRI_OK)
            return e->status;
    }
    return read_switch("--huge-pages", l->huge, &s->huge, e);
}

/* -- opening ----------------------------------------------------------- */

/* "2,1" for two threads, the first of which is twice as fast. */
static enum tri_status read_weights(const char *text, struct tri_pool *pool, struct tri_error *e)
{
    int weights[TRI_MAX_THREADS], threads = tri_pool_threads(pool), n = 0;
    for (char *end = NULL; n < threads; n++, text = end + 1) {
        const long weight = strtol(text, &end, 10);
        if (end == text || weight < 1 || weight > 1000 || *end != (n + 1 < threads ? ',' : '\0'))
            return tri_fail(e, TRI_USAGE,
                            "option --core-weights: expected %d numbers from 1 to 1000 with commas, one for each "
                            "thread, found \"%s\" as number %d",
                            threads, text, n + 1);
        weights[n] = (int)weight;
    }
    tri_pool_weigh(pool, weights);
    return TRI_OK;
}

static enum tri_status open_pool(struct tri_load *l, const struct tri_setting *s, struct tri_error *e)
{
    int decode = s->team[TRI_DECODE].threads, prompt = s->team[TRI_PROMPT].threads;
    tri_huge_pages(s->huge);
    l->pool = tri_pool_new(decode > prompt ? decode : prompt, e);
    if (!l->pool)
        return e->status;
    return l->core_weights ? read_weights(l->core_weights, l->pool, e) : tri_balance(l->pool, e);
}

static enum tri_status read_session(const struct tri_load *l, struct tri_session_options *o, struct tri_error *e)
{
    const int keys = choice("-ctk", l->cache_k, cache_names, e);
    const int values = keys < 0 ? -1 : choice("-ctv", l->cache_v, cache_names, e);
    if (values < 0)
        return e->status;
    *o = (struct tri_session_options){.context = l->context, .ubatch = l->ubatch,
                                      .cache_k = (enum tri_cache_type)keys, .cache_v = (enum tri_cache_type)values};
    memcpy(o->team, l->setting.team, sizeof o->team);
    return TRI_OK;
}

enum { PROGRAM = 64 << 20 }; /* bytes: tokenizer, small buffers, what packing needs meanwhile */

static enum tri_status read_budget(const struct tri_load *l, const struct tri_session_options *o,
                                   struct tri_budget *budget, struct tri_error *e)
{
    struct tri_config c;
    int bits;
    if (read_memory(l->memory, &budget->memory, e) != TRI_OK || (bits = choice("--bits", l->bits, bits_names, e)) < 0)
        return e->status;
    budget->bits = (enum tri_bits)bits;
    if (l->synth)
        c = l->synth->config;
    else if (tri_config_read(l->gguf, &c, e) != TRI_OK)
        return e->status;
    budget->reserve = PROGRAM + (o ? tri_session_bytes(&c, o) : 0);
    return TRI_OK;
}

static struct tri_model *make_model(const struct tri_load *l, const struct tri_budget *budget, struct tri_error *e)
{
    if (!l->synth)
        return tri_model_load_within(l->gguf, budget, l->pool, e);
    struct tri_synth synth = *l->synth;
    synth.budget = *budget;
    return tri_model_synth(&synth, l->pool, e);
}

/* o: of the session to come; NULL: none will. */
static enum tri_status open_weights(struct tri_load *l, const struct tri_session_options *o, struct tri_error *e)
{
    struct tri_budget budget;
    const int ffn = choice("--ffn", l->ffn, ffn_names, e);
    const int head = ffn < 0 ? -1 : choice("--head", l->head, head_names, e);
    if (head < 0 || read_budget(l, o, &budget, e) != TRI_OK || open_pool(l, &l->setting, e) != TRI_OK ||
        !(l->weights = make_model(l, &budget, e)))
        return e->status;
    notice(l->weights->notice[0] ? l->weights->notice : NULL);
    if ((l->activation && tri_model_activation(l->weights, l->activation, e) != TRI_OK) ||
        tri_model_skip(l->weights, (enum tri_ffn)ffn, l->pool, e) != TRI_OK ||
        tri_model_screen(l->weights, (enum tri_head)head, l->pool, e) != TRI_OK)
        return e->status;
    return l->synth ? TRI_OK : tri_tokenizer_fits(l->tokenizer, l->weights->config.vocab, e);
}

static enum tri_status open_session(struct tri_load *l, const struct tri_session_options *o, struct tri_error *e)
{
    l->session = tri_session_new(l->weights, l->pool, o, e);
    if (!l->session)
        return e->status;
    if (l->context > l->weights->config.context)
        fprintf(stderr, "tritune: a context of %d is more than the %d this model was made for\n",
                l->context, l->weights->config.context);
    return TRI_OK;
}

static enum tri_status open_text(struct tri_load *l, struct tri_error *e)
{
    if (read_setting(l, &l->setting, e) != TRI_OK || limit_kernels(l, e) != TRI_OK)
        return e->status;
    notice(tri_dispatch_notice());
    return l->synth ? TRI_OK : tri_load_text(l, e);
}

enum tri_status tri_load_weights(struct tri_load *l, struct tri_error *e)
{
    return open_text(l, e) == TRI_OK ? open_weights(l, NULL, e) : e->status;
}

enum tri_status tri_load_open(struct tri_load *l, struct tri_error *e)
{
    struct tri_session_options o;
    if (open_text(l, e) != TRI_OK || read_session(l, &o, e) != TRI_OK || open_weights(l, &o, e) != TRI_OK)
        return e->status;
    return open_session(l, &o, e);
}

static struct tri_model *make_outline(struct tri_load *l, enum tri_bits bits, struct tri_error *e)
{
    if (l->synth) {
        struct tri_synth synth = *l->synth;
        synth.budget.bits = bits;
        return tri_model_synth_outline(&synth, e);
    }
    if (tri_load_file(l, e) != TRI_OK || open_pool(l, &l->setting, e) != TRI_OK)
        return NULL;
    return tri_model_load_outline(l->gguf, bits, l->pool, e);
}

enum tri_status tri_load_outline(struct tri_load *l, size_t *position, struct tri_error *e)
{
    struct tri_session_options o;
    const int bits = choice("--bits", l->bits, bits_names, e);
    const int head = bits < 0 ? -1 : choice("--head", l->head, head_names, e);
    if (head < 0 || read_session(l, &o, e) != TRI_OK || read_setting(l, &l->setting, e) != TRI_OK ||
        limit_kernels(l, e) != TRI_OK || !(l->weights = make_outline(l, (enum tri_bits)bits, e)))
        return e->status;
    *position = tri_session_cached(&l->weights->config, &o);
    return tri_model_screen_outline(l->weights, (enum tri_head)head, e);
}

void tri_load_close(struct tri_load *l)
{
    tri_session_free(l->session);
    tri_model_free(l->weights);
    tri_pool_free(l->pool);
    tri_tokenizer_free(l->tokenizer);
    tri_gguf_close(l->gguf);
    free(l->pulled);
}
