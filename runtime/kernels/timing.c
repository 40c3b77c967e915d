/* Owns: the memory that rotates, and the loops that are timed. Leaves out what the times mean. */
#define _GNU_SOURCE
#include "kernels/timing.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kernels/balance.h"
#include "kernels/product.h"
#include "kernels/sparse.h"
#include "kernels/stream.h"
#include "kernels/verify.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LINE = 64,
    MIB = 1 << 20,
    LEAST_MEMORY = 256 * MIB,
    MAX_SIZES = 24,
    LISTS = 8, /* of what is active: a matrix's is not the last one's */
};

struct tri_timing {
    struct tri_pool *pool;
    uint8_t *memory;
    size_t reserved, filled, cache, cursor;
    int8_t *q;          /* [tokens][kp] */
    uint8_t *table;     /* [tokens][ldt] */
    int32_t *sum, *out; /* [tokens][groups], [threads][block][tokens] */
    float *scale, *scales; /* [tokens][groups]; of the matrices that rotate, as many as weights */
    size_t q_bytes, table_bytes, sums, outs, scale_count, scales_count;
    int32_t *list; /* [LISTS][rows or inputs] */
    size_t listed;
    uint64_t seed; /* of the next lists */
};

/* -- reading ------------------------------------------------------------------------------------------ */

struct reading {
    const struct tri_timing *t;
    size_t span;
    int threads, passes;
    _Atomic uint64_t sink; /* keeps the loads */
};

static void read_share(void *arg, int thread, int threads)
{
    struct reading *r = arg;
    uint64_t sum = 0;
    (void)threads;
    if (thread >= r->threads)
        return;
    const size_t share = r->span / (size_t)r->threads / LINE * LINE;
    for (int pass = 0; pass < r->passes; pass++)
        sum ^= tri_stream_read(r->t->memory + (size_t)thread * share, share, TRI_STREAM_FOUR);
    atomic_fetch_xor_explicit(&r->sink, sum, memory_order_relaxed);
}

double tri_timing_read(struct tri_timing *t, int threads, size_t span)
{
    struct reading r = {.t = t, .span = span && span < t->filled ? span : t->filled, .threads = threads};
    r.passes = r.span < 16 * MIB ? (int)(16 * MIB / (r.span + 1)) + 1 : 1;
    double best = 0;
    for (int round = 0; round < 4; round++) {
        const double begin = tri_now();
        tri_pool_run(t->pool, read_share, &r);
        const double rate = (double)r.passes * (double)r.span / (tri_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

struct registers {
    int threads;
    long steps;
    _Atomic uint64_t sink;
};

/* Eight chains of scalars, whatever the compiler would rather do with them. */
static void registers_share(void *arg, int thread, int threads)
{
    struct registers *r = arg;
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
    (void)threads;
    if (thread >= r->threads)
        return;
    for (long i = 0; i < r->steps; i++) {
        a += 77, b ^= 55, c += 33, d ^= 11, e += 77, f ^= 55, g += 33, h ^= 11;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h));
    }
    atomic_fetch_xor_explicit(&r->sink, a ^ b ^ c ^ d ^ e ^ f ^ g ^ h, memory_order_relaxed);
}

double tri_timing_registers(struct tri_timing *t, int threads)
{
    struct registers r = {.threads = threads, .steps = 1000000};
    double best = 0;
    for (int round = 0; round < 3; round++) {
        const double begin = tri_now();
        tri_pool_run(t->pool, registers_share, &r);
        const double rate = 8.0 * (double)r.steps * threads / (tri_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

enum { PEAK_TOKENS = 16, PEAK_ROWS = 64, PEAK_BYTES = 64 /* of a token */, PEAK_COLUMNS = 1 << 14, PEAK_CALLS = 16 };

struct multiplying {
    const struct tri_peak *peak;
    int threads, calls;
    _Atomic int32_t sink;
};

static void multiply_share(void *arg, int thread, int threads)
{
    _Alignas(64) static const int8_t x[PEAK_TOKENS * PEAK_BYTES];
    struct multiplying *m = arg;
    int32_t y[PEAK_ROWS];
    (void)threads;
    if (thread >= m->threads)
        return;
    for (int i = 0; i < m->calls; i++) {
        m->peak->matmul(NULL, 0, PEAK_ROWS, PEAK_COLUMNS, x, PEAK_BYTES, NULL, y, PEAK_ROWS);
        atomic_fetch_xor_explicit(&m->sink, y[0], memory_order_relaxed);
    }
}

double tri_timing_peak(struct tri_timing *t, const struct tri_peak *peak, int threads)
{
    struct multiplying m = {.peak = peak, .threads = threads, .calls = PEAK_CALLS * PEAK_TOKENS / peak->tokens};
    const double call = 2.0 * PEAK_ROWS * PEAK_COLUMNS * peak->tokens;
    double best = 0;
    for (int round = 0; round < 3; round++) {
        const double begin = tri_now();
        tri_pool_run(t->pool, multiply_share, &m);
        const double rate = call * m.calls * threads / (tri_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

/* -- the memory that rotates ---------------------------------------------------------------------------- */

struct filling {
    struct tri_timing *t;
    const uint8_t *pattern; /* MIB bytes */
    size_t from, to;        /* multiples of MIB */
};

/* A page is first touched by whoever will read it if matrices are large; where jobs of all sizes rotate through one
 * memory, that is as near as it gets to the engine, which packs each matrix by the shares it computes with. */
static void fill_share(void *arg, int thread, int threads)
{
    const struct filling *f = arg;
    int from, to;
    (void)threads;
    tri_pool_share(f->t->pool, (int)((f->to - f->from) / MIB), thread, &from, &to);
    for (int i = from; i < to; i++)
        memcpy(f->t->memory + f->from + (size_t)i * MIB, f->pattern, MIB);
}

/* Valid everywhere: two-bit codes 0..2, and nibbles 0..8 of them. */
static void make_pattern(uint8_t *pattern)
{
    static const uint8_t nibble[7] = {0, 1, 2, 4, 5, 6, 8};
    uint64_t seed = 1;
    for (size_t i = 0; i < MIB; i++) {
        const uint64_t r = tri_random(&seed);
        pattern[i] = (uint8_t)(nibble[r % 7] | nibble[r / 7 % 7] << 4);
    }
}

static void fill(struct tri_timing *t, const uint8_t *pattern, size_t to)
{
    to = to < t->reserved ? to : t->reserved;
    if (to <= t->filled)
        return;
    struct filling f = {.t = t, .pattern = pattern, .from = t->filled, .to = to};
    tri_pool_run(t->pool, fill_share, &f);
    t->filled = to;
}

static size_t ask(int name, size_t otherwise)
{
    const long value = sysconf(name);
    return value > 0 ? (size_t)value : otherwise;
}

/* Reads ever larger sizes, from beyond the second-level caches, until reading has become slow or the
 * advertised last-level cache is far exceeded; keeps four times what was still fast, and twice what is
 * advertised. */
static void size_memory(struct tri_timing *t, const uint8_t *pattern)
{
    const int threads = tri_pool_threads(t->pool);
    const size_t l2 = ask(_SC_LEVEL2_CACHE_SIZE, MIB) * (size_t)threads, l3 = ask(_SC_LEVEL3_CACHE_SIZE, 32 * MIB);
    size_t size[MAX_SIZES];
    double rate[MAX_SIZES], peak = 0;
    int n = 0;
    for (size_t s = 16 * MIB; n < MAX_SIZES; s *= 2) {
        if (s < 2 * l2)
            continue;
        fill(t, pattern, s);
        size[n] = t->filled < s ? t->filled : s;
        rate[n] = tri_timing_read(t, threads, size[n]);
        peak = rate[n] > peak ? rate[n] : peak;
        n++;
        if (s >= t->reserved || (s >= LEAST_MEMORY && (1.3 * rate[n - 1] < peak || s >= 2 * l3)))
            break;
    }
    for (int i = 0; i < n; i++)
        if (rate[i] > 1.3 * rate[n - 1])
            t->cache = size[i];
    const size_t most = 4 * t->cache > 2 * l3 ? 4 * t->cache : 2 * l3;
    fill(t, pattern, most > LEAST_MEMORY ? most : LEAST_MEMORY);
}

static size_t most_memory(void)
{
    const size_t pages = ask(_SC_PHYS_PAGES, 1 << 18), free_pages = ask(_SC_AVPHYS_PAGES, 1 << 18);
    const size_t quarter = pages / 4 < free_pages / 2 ? pages / 4 : free_pages / 2;
    const size_t mib = quarter * ask(_SC_PAGESIZE, 4096) / MIB;
    return (mib < 16 ? 16 : mib) * MIB;
}

static enum tri_status start(struct tri_timing *t, int threads, struct tri_error *e)
{
    t->pool = tri_pool_new(threads, e);
    if (!t->pool || tri_balance(t->pool, e) != TRI_OK)
        return e->status;
    const size_t most = most_memory();
    void *memory = mmap(NULL, most + MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return tri_fail(e, TRI_NO_MEMORY, "timing: no %zu MiB of address space for weights", most / MIB);
    madvise(memory, most + MIB, tri_huge_pages_wanted() ? MADV_HUGEPAGE : MADV_NOHUGEPAGE); /* as tri_alloc does */
    t->memory = memory, t->reserved = most;
    uint8_t *pattern = tri_alloc(MIB, 1, "timing", e);
    if (!pattern)
        return e->status;
    make_pattern(pattern);
    size_memory(t, pattern);
    tri_free(pattern);
    return TRI_OK;
}

struct tri_timing *tri_timing_new(int threads, struct tri_error *e)
{
    struct tri_timing *t = tri_alloc(1, sizeof *t, "timing", e);
    if (t && start(t, threads, e) != TRI_OK) {
        tri_timing_free(t);
        t = NULL;
    }
    return t;
}

void tri_timing_free(struct tri_timing *t)
{
    if (!t)
        return;
    tri_pool_free(t->pool);
    if (t->memory)
        munmap(t->memory, t->reserved + MIB);
    tri_free(t->q), tri_free(t->table), tri_free(t->sum), tri_free(t->out);
    tri_free(t->scale), tri_free(t->scales), tri_free(t->list);
    tri_free(t);
}

size_t tri_timing_memory(const struct tri_timing *t)
{
    return t->filled;
}

size_t tri_timing_cache(const struct tri_timing *t)
{
    return t->cache;
}

/* -- one job ----------------------------------------------------------------------------------------------- */

struct work {
    struct tri_timing *t;
    const struct tri_timing_job *job;
    int kp;
    int items, count[LISTS]; /* what lists choose from, and how many they hold; 0 where nothing is listed */
    size_t ldt, outs;     /* bytes of a token's table; int32s of a thread's output */
    size_t stride, first; /* bytes from matrix to matrix; which of them comes first */
    size_t matrices;      /* that fit into the span */
    size_t groups, scales; /* of a token, or 1; of a matrix, or 0 */
    int most;             /* matrices to run, or until `seconds` are over */
    double seconds, began, ended;
    atomic_int last; /* the last matrix; thread 0 says so before the barrier behind it */
};

/* A buffer of at least `count` things of `size` bytes; *have counts its things. */
static enum tri_status grow(void *buffer, size_t *have, size_t count, size_t size, struct tri_error *e)
{
    void **p = buffer;
    if (count <= *have)
        return TRI_OK;
    tri_free(*p);
    *have = 0;
    *p = tri_alloc(count, size, "timing", e);
    *have = *p ? count : 0;
    return *p ? TRI_OK : e->status;
}

static enum tri_status check_sparse(const struct tri_timing_job *job, struct tri_error *e)
{
    const struct tri_sparse *sparse = &job->plan.sparse;
    if (!(job->active > 0 && job->active <= 1) || job->tokens != 1 || !sparse->kernel)
        return tri_fail(e, TRI_USAGE, "timing: %g of a matrix for %d tokens cannot be timed", job->active, job->tokens);
    if (tri_round_up(job->k, sparse->layout->kstep) > sparse->kernel->kmax)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: K %d is beyond its limit of %d", sparse->kernel->name, job->k,
                        sparse->kernel->kmax);
    return TRI_OK;
}

static enum tri_status check(const struct tri_timing_job *job, struct tri_error *e)
{
    const int most = 1 << 30;
    if (job->m < 1 || job->k < 1 || job->m > most || job->k > most || job->tokens < 1 || job->tokens > 4096)
        return tri_fail(e, TRI_USAGE, "timing: %dx%d with %d tokens cannot be timed", job->m, job->k, job->tokens);
    if (job->active != 0)
        return check_sparse(job, e);
    if (job->tokens % job->plan.kernels[0]->tokens)
        return tri_fail(e, TRI_USAGE, "timing: %d tokens cannot be cut into calls of %s", job->tokens,
                        job->plan.kernels[0]->name);
    const int kp = tri_round_up(job->k, job->plan.layout->kstep);
    for (int i = 0; i < job->plan.count; i++) {
        const struct tri_kernel *kernel = job->plan.kernels[i];
        if (kernel->kind != job->plan.kernels[0]->kind || kernel->group != job->plan.kernels[0]->group)
            return tri_fail(e, TRI_USAGE, "timing: %s and %s are no kernels of one plan", job->plan.kernels[0]->name,
                            kernel->name);
        if (kp > kernel->kmax)
            return tri_fail(e, TRI_UNSUPPORTED, "%s: K %d is beyond its limit of %d", kernel->name, kp, kernel->kmax);
    }
    return TRI_OK;
}

/* One over and over: nobody reads the outcome, and no sum of them is slow as subnormal numbers are. */
static enum tri_status ones(float **buffer, size_t *have, size_t count, struct tri_error *e)
{
    const size_t had = *have;
    if (grow(buffer, have, count, sizeof **buffer, e) != TRI_OK)
        return e->status;
    for (size_t i = 0; *have > had && i < *have; i++)
        (*buffer)[i] = 1;
    return TRI_OK;
}

/* Lists of a random part of the items. */
static enum tri_status lists(struct work *w, struct tri_error *e)
{
    struct tri_timing *t = w->t;
    const double active = w->job->active;
    if (grow(&t->list, &t->listed, LISTS * (size_t)w->items, sizeof *t->list, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < LISTS; i++) {
        int32_t *list = t->list + (size_t)i * (size_t)w->items;
        w->count[i] = 0;
        for (int j = 0; j < w->items; j++)
            if ((double)(tri_random(&t->seed) >> 11) * 0x1p-53 < active)
                list[w->count[i]++] = j;
    }
    return TRI_OK;
}

/* Activations are any bytes but -128, and their sums any number: nobody reads the outcome. */
static enum tri_status activations(struct work *w, struct tri_error *e)
{
    struct tri_timing *t = w->t;
    const bool sparse = w->job->active > 0;
    const size_t threads = (size_t)tri_pool_threads(t->pool), had = t->q_bytes;
    const size_t n = (size_t)w->job->tokens + (sparse ? 0 : (size_t)tri_product_spare(&w->job->plan));
    const size_t row = (size_t)(w->kp > w->items ? w->kp : w->items);
    w->outs = sparse ? (size_t)w->job->m : tri_product_sums(&w->job->plan) + LINE;
    if (grow(&t->q, &t->q_bytes, n * row, 1, e) || grow(&t->sum, &t->sums, n * w->groups, sizeof *t->sum, e) ||
        grow(&t->table, &t->table_bytes, n * w->ldt, 1, e) ||
        grow(&t->out, &t->outs, threads * w->outs, sizeof *t->out, e) ||
        ones(&t->scale, &t->scale_count, n * w->groups, e) ||
        ones(&t->scales, &t->scales_count, w->scales * w->matrices, e))
        return e->status;
    uint64_t seed = 1;
    for (size_t i = 0; t->q_bytes > had && i < t->q_bytes; i++)
        t->q[i] = (int8_t)((int)(tri_random(&seed) % 255) - 127);
    return TRI_OK;
}

static enum tri_status prepare_work(struct work *w, struct tri_error *e)
{
    const struct tri_plan *plan = &w->job->plan;
    const bool sparse = w->job->active > 0;
    if (check(w->job, e) != TRI_OK)
        return e->status;
    const struct tri_layout *l = sparse ? plan->sparse.layout : plan->layout;
    const bool columns = sparse && plan->sparse.kernel->kind == TRI_KIND_columns; /* they are packed as rows */
    const int rows = columns ? w->job->k : w->job->m;
    w->items = sparse ? rows : 0;
    w->kp = tri_round_up(columns ? w->job->m : w->job->k, l->kstep);
    const size_t tile = (size_t)(w->kp / l->kstep) * (size_t)l->bytes;
    const size_t bytes = tile * (size_t)((rows + l->rows - 1) / l->rows);
    size_t span = w->job->span && w->job->span < w->t->filled ? w->job->span : w->t->filled;
    if (bytes > w->t->filled)
        return tri_fail(e, TRI_UNSUPPORTED, "timing: %dx%d packs to %zu MiB, the memory for weights has %zu",
                        w->job->m, w->job->k, bytes / MIB, w->t->filled / MIB);
    w->stride = (bytes + LINE - 1) / LINE * LINE;
    w->matrices = span / w->stride ? span / w->stride : 1;
    w->first = w->t->cursor / w->stride % w->matrices;
    w->ldt = sparse ? 0 : tri_table_bytes(plan, w->kp);
    const int group = sparse ? 0 : plan->kernels[0]->group;
    w->groups = group ? (size_t)tri_groups(w->kp, group) : 1;
    w->scales = group ? w->groups * (size_t)tri_round_up(rows, l->rows) : 0;
    atomic_init(&w->last, INT_MAX);
    return sparse && lists(w, e) != TRI_OK ? e->status : activations(w, e);
}

static void ignore(const void *arg, int t, int tokens, int m0, int m1, const void *y)
{
    (void)arg, (void)t, (void)tokens, (void)m0, (void)m1, (void)y;
}

static void sparse_matrix(const struct work *w, int i, const uint8_t *packed, int thread)
{
    const struct tri_timing *t = w->t;
    const struct tri_plan *plan = &w->job->plan;
    const int32_t *list = t->list + (size_t)(i % LISTS) * (size_t)w->items;
    const int count = w->count[i % LISTS];
    if (plan->sparse.kernel->kind == TRI_KIND_rows)
        tri_sparse_rows(plan, packed, w->kp, list, count, t->q, 0, t->pool, thread, t->out);
    else
        tri_sparse_columns(plan, packed, w->job->m, list, count, t->q, 0, t->pool, thread, t->out);
}

static void matrix(const struct work *w, int i, int thread)
{
    const struct tri_plan *plan = &w->job->plan;
    const size_t at = (w->first + (size_t)i) % w->matrices;
    const uint8_t *packed = w->t->memory + at * w->stride;
    if (w->job->active > 0) {
        sparse_matrix(w, i, packed, thread);
        return;
    }
    const struct tri_operand x = {.q = w->t->q, .ldq = (size_t)w->kp, .sum = w->t->sum, .table = w->t->table,
                                  .ldt = w->ldt, .scale = w->t->scale};
    if (plan->kernels[0]->prepare) {
        tri_prepare(plan, w->kp, &x, w->job->tokens, w->t->pool, thread);
        tri_pool_sync(w->t->pool);
    }
    tri_product(plan, packed, w->scales ? w->t->scales + at * w->scales : NULL, w->job->m, w->kp, &x, w->job->tokens,
                w->t->pool, thread, w->t->out + (size_t)thread * w->outs, ignore, NULL);
}

static void stream(void *arg, int thread, int threads)
{
    struct work *w = arg;
    (void)threads;
    tri_pool_sync(w->t->pool); /* all are awake */
    if (thread == 0)
        w->began = tri_now();
    for (int i = 0;; i++) {
        matrix(w, i, thread);
        if (thread == 0 && (i + 1 == w->most || tri_now() - w->began > w->seconds))
            atomic_store_explicit(&w->last, i, memory_order_relaxed);
        tri_pool_sync(w->t->pool);
        if (i >= atomic_load_explicit(&w->last, memory_order_relaxed))
            break;
    }
    if (thread == 0)
        w->ended = tri_now();
}

static void run(struct work *w)
{
    tri_pool_run(w->t->pool, stream, w);
    w->t->cursor = (w->first + (size_t)w->last + 1) % w->matrices * w->stride;
}

enum tri_status tri_timing_run(struct tri_timing *t, const struct tri_timing_job *job, double seconds, double *ns,
                               struct tri_error *e)
{
    struct work w = {.t = t, .job = job, .most = INT_MAX, .seconds = seconds};
    if (prepare_work(&w, e) != TRI_OK)
        return e->status;
    run(&w);
    *ns = (w.ended - w.began) * 1e9 / ((double)w.last + 1) / job->tokens;
    return TRI_OK;
}

enum tri_status tri_timing_count(struct tri_timing *t, const struct tri_timing_job *job, int matrices, double *seconds,
                                 struct tri_error *e)
{
    struct work w = {.t = t, .job = job, .most = matrices, .seconds = 1e9};
    if (matrices < 1)
        return tri_fail(e, TRI_USAGE, "timing: %d matrices cannot be timed", matrices);
    if (prepare_work(&w, e) != TRI_OK)
        return e->status;
    run(&w);
    *seconds = w.ended - w.began;
    return TRI_OK;
}

void tri_timing_use(struct tri_timing *t, int threads)
{
    tri_pool_use(t->pool, (struct tri_team){.threads = threads});
}
