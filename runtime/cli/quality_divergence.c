/* Owns: comparing a model's probabilities with those in a file, and the statistics of it. */
#include "cli/quality.h"

#include "base/math.h"
#include "cli/interrupt.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What llama-perplexity adds up over tokens: of this model, of the file's ("base"), and between them. */
struct sums {
    double nll, nll2, base, base2, both; /* -log p of the token that came; both: products */
    double kld, kld2;                    /* sum over the vocabulary of p_base log(p_base / p) */
    double change, change2, change4;     /* p - p_base of the token that came */
    size_t same, count;                  /* tokens whose likeliest is the base's; all */
};

struct comparison {
    struct tri_map map;
    struct tri_logits_header header;
    const char *path;
    int vocab, chunk;
    struct sums sums;
    float *kld, *change; /* of each token */
    struct tri_error error;
};

static const int32_t *chunk_tokens(const struct comparison *c)
{
    return tri_logits_tokens(&c->map) + (size_t)c->chunk * (size_t)c->header.context;
}

/* -- one token ------------------------------------------------------------------------ */

struct greatest {
    int at;
    float value;
};

static struct greatest greatest(const float *logits, int count)
{
    struct greatest g = {0, logits[0]};
    for (int i = 1; i < count; i++)
        if (logits[i] > g.value)
            g = (struct greatest){i, logits[i]};
    return g;
}

/* `level`: log of the sum of exp of logits. Tokens below e^-16 in the base are not told apart there, and left out. */
static double diverge(const float *logits, float level, const uint16_t *steps, float scale, float least, int vocab,
                      int *top)
{
    double sum = 0;
    *top = 0;
    for (int i = 0; i < vocab; i++) {
        const float base = scale * (float)steps[i] + least;
        *top = steps[i] > steps[*top] ? i : *top;
        if (base > -16)
            sum += tri_exp((double)base) * (double)(base - logits[i] + level);
    }
    return sum;
}

static void add_token(struct comparison *c, double nll, double base, double kld, bool same)
{
    struct sums *s = &c->sums;
    const double change = tri_exp(-nll) - tri_exp(-base), change2 = change * change;
    c->kld[s->count] = (float)kld;
    c->change[s->count] = (float)change;
    s->nll += nll, s->nll2 += nll * nll;
    s->base += base, s->base2 += base * base;
    s->both += nll * base;
    s->kld += kld, s->kld2 += kld * kld;
    s->change += change, s->change2 += change2, s->change4 += change2 * change2;
    s->same += same;
    s->count++;
}

static void compare(void *arg, int i, const float *logits)
{
    struct comparison *c = arg;
    const uint16_t *steps;
    float scale, least;
    double sum = 0;
    int top;
    const int32_t expected = chunk_tokens(c)[c->header.context / 2 + i + 1];
    if (c->error.status != TRI_OK ||
        tri_logits_row(&c->map, &c->header, c->path, c->chunk, i, &steps, &scale, &least, &c->error) != TRI_OK)
        return;
    const struct greatest most = greatest(logits, c->vocab);
    for (int j = 0; j < c->vocab; j++)
        sum += tri_exp((double)(logits[j] - most.value));
    const float level = most.value + (float)tri_log(sum);
    const double kld = diverge(logits, level, steps, scale, least, c->vocab, &top);
    add_token(c, (double)(level - logits[expected]), -(double)(scale * (float)steps[expected] + least), kld,
              top == most.at);
}

/* -- statistics ------------------------------------------------------------------------ */

struct estimate {
    double mean, error; /* of the mean */
};

static struct estimate mean(double sum, double squares, size_t count)
{
    const double m = sum / (double)count, v = squares / (double)count - m * m;
    return (struct estimate){m, v > 0 && count > 10 ? sqrt(v / (double)(count - 1)) : 0};
}

static double covariance(const struct sums *s)
{
    const double n = (double)s->count;
    return s->count < 10 ? 0 : (s->both / n - s->nll / n * (s->base / n)) / (n - 1);
}

static double root(double x)
{
    return x > 0 ? sqrt(x) : 0;
}

struct statistics {
    struct estimate log, log_base, ppl, base, ratio_log, ratio, difference, kld, change, rms, same;
    double correlation;
};

static struct estimate scaled(struct estimate e, double value)
{
    return (struct estimate){value, value * e.error};
}

static struct statistics summarise(const struct sums *s)
{
    struct statistics t;
    const double both = covariance(s), share = (double)s->same / (double)s->count;
    t.log = mean(s->nll, s->nll2, s->count);
    t.log_base = mean(s->base, s->base2, s->count);
    t.ppl = scaled(t.log, tri_exp(t.log.mean));
    t.base = scaled(t.log_base, tri_exp(t.log_base.mean));
    const double errors = t.log.error * t.log_base.error;
    t.correlation = errors > 0 ? both / errors : 0;
    t.ratio_log.mean = t.log.mean - t.log_base.mean;
    t.ratio_log.error = root(t.log.error * t.log.error + t.log_base.error * t.log_base.error - 2 * both);
    t.ratio = scaled(t.ratio_log, tri_exp(t.ratio_log.mean));
    t.difference.mean = t.ppl.mean - t.base.mean;
    t.difference.error = root(t.ppl.error * t.ppl.error + t.base.error * t.base.error -
                              2 * t.ppl.mean * t.base.mean * both);
    t.kld = mean(s->kld, s->kld2, s->count);
    t.change = mean(s->change, s->change2, s->count);
    const struct estimate square = mean(s->change2, s->change4, s->count);
    t.rms.mean = root(square.mean);
    t.rms.error = t.rms.mean > 0 ? 0.5 / t.rms.mean * square.error : 0;
    t.same = (struct estimate){share, s->count > 1 ? sqrt(share * (1 - share) / (double)(s->count - 1)) : 0};
    return t;
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of sorted values; between two of them in proportion. */
static double percentile(const float *sorted, size_t count, double share)
{
    const double at = share * (double)(count - 1);
    const size_t i = (size_t)at, next = i + 1 < count ? i + 1 : i;
    return (1 - (at - (double)i)) * (double)sorted[i] + (at - (double)i) * (double)sorted[next];
}

/* -- printing --------------------------------------------------------------------------- */

static void print_row(const struct comparison *c)
{
    const struct statistics t = summarise(&c->sums);
    if (c->chunk == 0)
        printf("\nchunk             PPL               ln(PPL(Q)/PPL(base))          KL Divergence              "
               "\u0394p RMS            Same top p\n");
    printf("%4d    %9.4f \u00b1 %9.4f    %10.5f \u00b1 %10.5f    %10.5f \u00b1 %10.5f    %6.3f \u00b1 %6.3f %%    "
           "%6.3f \u00b1 %6.3f %%\n", c->chunk + 1, t.ppl.mean, t.ppl.error, t.ratio_log.mean, t.ratio_log.error,
           t.kld.mean, t.kld.error, 100 * t.rms.mean, 100 * t.rms.error, 100 * t.same.mean, 100 * t.same.error);
    fflush(stdout);
}

static void print_estimate(const char *label, struct estimate v)
{
    printf("%s: %10.6f \u00b1 %10.6f\n", label, v.mean, v.error);
}

static const struct {
    const char *label;
    double share;
    bool kld, change; /* whether it is told of them */
} percentiles[] = {
    {"Maximum", 1, true, true},      {"99.9%  ", 0.999, true, true}, {"99.0%  ", 0.99, true, true},
    {"95.0%  ", 0.95, false, true},  {"90.0%  ", 0.9, false, true},  {"75.0%  ", 0.75, false, true},
    {"Median ", 0.5, true, true},    {"25.0%  ", 0.25, false, true}, {"10.0%  ", 0.1, true, true},
    {" 5.0%  ", 0.05, true, true},   {" 1.0%  ", 0.01, true, true},  {" 0.1%  ", 0.001, false, true},
    {"Minimum", 0, true, true},
};
enum { PERCENTILES = sizeof percentiles / sizeof percentiles[0] };

static void print_text(const struct comparison *c, const struct statistics *t)
{
    const size_t n = c->sums.count;
    puts("\n====== Perplexity statistics ======");
    print_estimate("Mean PPL(Q)                   ", t->ppl);
    print_estimate("Mean PPL(base)                ", t->base);
    printf("Cor(ln(PPL(Q)), ln(PPL(base))): %6.2f%%\n", 100 * t->correlation);
    print_estimate("Mean ln(PPL(Q)/PPL(base))     ", t->ratio_log);
    print_estimate("Mean PPL(Q)/PPL(base)         ", t->ratio);
    print_estimate("Mean PPL(Q)-PPL(base)         ", t->difference);
    puts("\n====== KL divergence statistics ======");
    print_estimate("Mean    KLD", t->kld);
    for (int i = 0; i < PERCENTILES; i++)
        if (percentiles[i].kld)
            printf("%s KLD: %10.6f\n", percentiles[i].label, percentile(c->kld, n, percentiles[i].share));
    puts("\n====== Token probability statistics ======");
    printf("Mean    \u0394p: %6.3f \u00b1 %5.3f %%\n", 100 * t->change.mean, 100 * t->change.error);
    for (int i = 0; i < PERCENTILES; i++)
        if (percentiles[i].change)
            printf("%s \u0394p: %6.3f%%\n", percentiles[i].label,
                   100 * percentile(c->change, n, percentiles[i].share));
    printf("RMS \u0394p    : %6.3f \u00b1 %5.3f %%\n", 100 * t->rms.mean, 100 * t->rms.error);
    printf("Same top p: %6.3f \u00b1 %5.3f %%\n", 100 * t->same.mean, 100 * t->same.error);
}

static enum tri_status print_json(const struct comparison *c, const struct statistics *t, struct tri_error *e)
{
    const size_t n = c->sums.count;
    json_t *all = json_pack("{s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "chunks", c->header.chunks, "scored",
                            (json_int_t)n, "ppl", t->ppl.mean, "ppl_base", t->base.mean, "kld", t->kld.mean,
                            "kld_error", t->kld.error, "kld_median", percentile(c->kld, n, 0.5), "kld_max",
                            (double)c->kld[n - 1], "rms_change", t->rms.mean, "same_top", t->same.mean);
    return tri_quality_json(all, e);
}

/* -- all of it ---------------------------------------------------------------------------- */

static enum tri_status compare_chunk(struct comparison *c, struct tri_load *l, int32_t *ids, struct tri_error *e)
{
    const int context = c->header.context;
    memcpy(ids, chunk_tokens(c), (size_t)context * sizeof *ids);
    if (tri_adds_bos(l->tokenizer))
        ids[0] = tri_bos(l->tokenizer);
    if (tri_quality_feed(l->session, ids, 0, context / 2, context - 1, compare, c, e) != TRI_OK)
        return e->status;
    if (c->error.status != TRI_OK)
        *e = c->error;
    return c->error.status;
}

static enum tri_status compare_all(struct comparison *c, struct tri_load *l, bool json, struct tri_error *e)
{
    const size_t tokens = (size_t)c->header.chunks * (size_t)c->header.context;
    int32_t *ids = tri_alloc((size_t)c->header.context, sizeof *ids, "a chunk", e);
    c->kld = ids ? tri_alloc(tokens, sizeof *c->kld, "divergences", e) : NULL;
    c->change = c->kld ? tri_alloc(tokens, sizeof *c->change, "divergences", e) : NULL;
    enum tri_status status = c->change ? TRI_OK : e->status;
    for (; status == TRI_OK && c->chunk < c->header.chunks; c->chunk++) {
        status = compare_chunk(c, l, ids, e);
        if (status == TRI_OK && !json)
            print_row(c);
    }
    tri_free(ids);
    return status;
}

static enum tri_status show(struct comparison *c, bool json, struct tri_error *e)
{
    const struct statistics t = summarise(&c->sums);
    qsort(c->kld, c->sums.count, sizeof *c->kld, ascending);
    qsort(c->change, c->sums.count, sizeof *c->change, ascending);
    if (json)
        return print_json(c, &t, e);
    print_text(c, &t);
    return TRI_OK;
}

enum tri_status tri_quality_divergence(struct tri_load *l, const char *path, bool json, struct tri_error *e)
{
    struct comparison c = {.path = path};
    if (tri_logits_open(path, &c.map, &c.header, e) != TRI_OK)
        return e->status;
    l->context = c.header.context;
    enum tri_status status = tri_load_open(l, e);
    c.vocab = status == TRI_OK ? l->weights->config.vocab : 0;
    if (status == TRI_OK && c.vocab != c.header.vocab)
        status = tri_fail(e, TRI_FAILED, "%s: expected probabilities of the model's %d tokens, found %d; it is of a "
                          "model with another vocabulary", path, c.vocab, c.header.vocab);
    if (status == TRI_OK)
        status = compare_all(&c, l, json, e);
    if (status == TRI_OK)
        status = show(&c, json, e);
    tri_free(c.kld);
    tri_free(c.change);
    tri_map_close(&c.map);
    return status;
}
