/* Owns: which gauges a machine has, and their rounds. Leaves out the loops they time (timing.c). */
#include "kernels/ceiling.h"
#include "base/statistics.h"
#include "base/memory.h"
#include "kernels/dispatch.h"
#include "kernels/timing.h"

#include <string.h>
#include <unistd.h>

enum { MOST_LEVELS = 4 };

/* Levels that are read in huge pages; memory in small ones comes behind them. */
struct level {
    const char *name;
    size_t each, all; /* bytes of each thread, or of all together; both 0: the whole memory */
};

/* -- which gauges -------------------------------------------------------- */

/* Of a cache, half: the other half is other data's. The first level holds activations, and weights never come from it.
 * The last is sized by what was seen to be ours. */
static int list_levels(const struct tri_timing *t, const struct tri_ceiling_plan *plan, struct level level[MOST_LEVELS])
{
    const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    const size_t own = l2 > 0 ? (size_t)l2 : 0, shared = tri_timing_cache(t);
    const size_t all = own * (size_t)plan->threads[plan->count - 1];
    int n = 0;
    if (own)
        level[n++] = (struct level){.name = "L2", .each = own / 2};
    if (shared / 2 > all)
        level[n++] = (struct level){.name = "L3", .all = shared / 2};
    level[n++] = (struct level){.name = "memory"};
    if (plan->model)
        level[n++] = (struct level){.name = "model", .all = plan->model};
    return n;
}

static int count_peaks(void)
{
    int n = 0;
    for (const struct tri_peak *p = tri_peaks; p->isa; p++)
        n += tri_isa_find(p->isa)->present();
    return n;
}

static void add_readings(struct tri_ceiling *c, const struct level *level, size_t memory, bool huge, int threads)
{
    size_t bytes = level->all ? level->all : level->each * (size_t)threads;
    if (!bytes || bytes > memory)
        bytes = memory;
    c->gauge[c->gauges++] = (struct tri_gauge){
        .kind = TRI_GAUGE_READ, .threads = threads, .level = level->name, .bytes = bytes, .huge = huge};
}

static void add_peaks(struct tri_ceiling *c, int threads)
{
    for (const struct tri_peak *p = tri_peaks; p->isa; p++)
        if (tri_isa_find(p->isa)->present())
            c->gauge[c->gauges++] = (struct tri_gauge){.kind = TRI_GAUGE_MULTIPLY, .threads = threads, .peak = p};
}

static enum tri_status list_gauges(struct tri_ceiling *c, const struct tri_timing *t,
                                   const struct tri_ceiling_plan *plan, struct tri_error *e)
{
    struct level level[MOST_LEVELS];
    const int levels = list_levels(t, plan, level);
    c->gauge = tri_alloc((size_t)plan->count * (size_t)(levels + 2 + count_peaks()), sizeof *c->gauge, "gauges", e);
    if (!c->gauge)
        return e->status;
    for (int l = 0; l < levels; l++)
        for (int i = 0; i < plan->count; i++)
            add_readings(c, &level[l], tri_timing_memory(t), true, plan->threads[i]);
    for (int i = 0; i < plan->count; i++)
        add_readings(c, &(struct level){.name = "memory"}, tri_timing_memory(t), false, plan->threads[i]);
    for (int i = 0; i < plan->count; i++)
        add_peaks(c, plan->threads[i]);
    for (int i = 0; i < plan->count; i++)
        c->gauge[c->gauges++] = (struct tri_gauge){.kind = TRI_GAUGE_STEP, .threads = plan->threads[i]};
    return TRI_OK;
}

/* -- rounds -------------------------------------------------------------- */

/* timing: in small and in huge pages. */
static void take(struct tri_gauge *g, struct tri_timing *const timing[2])
{
    double *sample = &g->sample[g->samples++];
    switch (g->kind) {
    case TRI_GAUGE_READ:
        *sample = tri_timing_read(timing[g->huge], g->threads, g->bytes);
        break;
    case TRI_GAUGE_MULTIPLY:
        *sample = tri_timing_peak(timing[1], g->peak, g->threads);
        break;
    case TRI_GAUGE_STEP:
        *sample = tri_timing_registers(timing[1], g->threads);
        break;
    }
}

static enum tri_status run_rounds(struct tri_ceiling *c, struct tri_timing *const timing[2],
                                  const struct tri_ceiling_plan *plan, struct tri_error *e)
{
    for (int round = 0; round < TRI_GAUGE_ROUNDS; round++) {
        if (plan->round)
            plan->round(round + 1);
        for (int i = 0; i < c->gauges; i++) {
            if (plan->stop && plan->stop())
                return tri_fail(e, TRI_INTERRUPTED, "interrupted");
            take(&c->gauge[i], timing);
        }
    }
    return TRI_OK;
}

enum tri_status tri_ceiling_measure(struct tri_ceiling *c, const struct tri_ceiling_plan *plan, struct tri_error *e)
{
    struct tri_timing *timing[2] = {NULL, NULL};
    enum tri_status status = TRI_OK;
    *c = (struct tri_ceiling){0};
    for (int huge = 0; huge < 2 && status == TRI_OK; huge++) {
        tri_huge_pages(huge);
        timing[huge] = tri_timing_new(plan->threads[plan->count - 1], e);
        status = timing[huge] ? TRI_OK : e->status;
    }
    tri_huge_pages(true);
    if (status == TRI_OK && (status = list_gauges(c, timing[1], plan, e)) == TRI_OK) {
        c->cache = tri_timing_cache(timing[1]);
        status = run_rounds(c, timing, plan, e);
    }
    tri_timing_free(timing[0]);
    tri_timing_free(timing[1]);
    return status;
}

void tri_ceiling_free(struct tri_ceiling *c)
{
    tri_free(c->gauge);
}

/* -- what they say ------------------------------------------------------- */

double tri_gauge_best(const struct tri_gauge *g)
{
    double best = 0;
    for (int i = 0; i < g->samples; i++)
        best = g->sample[i] > best ? g->sample[i] : best;
    return best;
}

double tri_gauge_median(const struct tri_gauge *g)
{
    double sorted[TRI_GAUGE_ROUNDS];
    const int n = g->samples;
    if (n == 0)
        return 0;
    memcpy(sorted, g->sample, (size_t)n * sizeof *sorted);
    return tri_median(sorted, n);
}

const struct tri_gauge *tri_ceiling_reading(const struct tri_ceiling *c, const char *level, int threads)
{
    for (int i = 0; i < c->gauges; i++) {
        const struct tri_gauge *g = &c->gauge[i];
        if (g->kind == TRI_GAUGE_READ && g->huge && g->threads == threads && strcmp(g->level, level) == 0)
            return g;
    }
    return NULL;
}

const struct tri_gauge *tri_ceiling_multiplying(const struct tri_ceiling *c, int threads)
{
    const struct tri_gauge *most = NULL;
    for (int i = 0; i < c->gauges; i++) {
        const struct tri_gauge *g = &c->gauge[i];
        if (g->kind == TRI_GAUGE_MULTIPLY && g->threads == threads && tri_dispatch_allows(tri_isa_find(g->peak->isa)) &&
            (!most || tri_gauge_best(g) > tri_gauge_best(most)))
            most = g;
    }
    return most;
}

double tri_ceiling_own(const struct tri_ceiling *c)
{
    const struct tri_gauge *first = NULL, *last = NULL;
    for (int i = 0; i < c->gauges; i++)
        if (c->gauge[i].kind == TRI_GAUGE_STEP) {
            first = first ? first : &c->gauge[i];
            last = &c->gauge[i];
        }
    return first ? tri_gauge_median(last) / last->threads / (tri_gauge_median(first) / first->threads) : 0;
}
