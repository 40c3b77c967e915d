/* Owns: the worker threads, the barriers that start, separate and end their work, what part of it is whose, and
 * where they run. Unless asked, or weighed, the operating system places them. */
#define _GNU_SOURCE
#include "base/threads.h"
#include "base/cores.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE = 64, MAX_CPUS = 8192, OFFERS = 50, CROWD = 2 /* threads a CPU */ };

/* Looks at a barrier before a thread sleeps: first about 5 microseconds of spinning (`pause` takes
 * up to 140 cycles, `yield` none), then with the core offered to others each time. The system may
 * put two threads on one core; there, spinning on would only keep the other from arriving: with 800
 * pauses and no offers, a barrier took 30 microseconds beside a busy compiler. */
#if defined(__x86_64__)
enum { SPINS = 100 };
static inline void relax(void)
{
    __builtin_ia32_pause();
}
#else
enum { SPINS = 2000 };
static inline void relax(void)
{
#if defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
#endif

struct worker {
    struct tri_pool *pool;
    pthread_t id;
    int thread, cpu; /* cpu: where it runs if it is pinned */
    long long until; /* the weights of the threads up to this one, added up */
};

/* A barrier is passed when `phase` changes; the last to arrive changes it. Each word that several
 * threads write has a cache line of its own. */
struct barrier {
    _Alignas(LINE) atomic_int arrived;
    _Alignas(LINE) atomic_uint phase;
    _Alignas(LINE) atomic_int sleepers;
    _Alignas(LINE) atomic_int threads; /* that pass together */
};

typedef unsigned long cpu_mask[MAX_CPUS / (8 * sizeof(unsigned long))];

struct tri_pool {
    struct barrier gate;   /* of all threads: a region begins and ends */
    struct barrier region; /* of those that take part in it */
    int looks, region_looks; /* at the gate; at the region's barriers */
    int cpus;        /* usable by this process when the pool was made */
    bool stop, pinned, weighed;
    bool chosen; /* the CPUs of workers are known */
    bool for_any; /* threads may run regions */
    pthread_mutex_t lock;
    cpu_mask usable; /* which */
    tri_task_fn *task;
    void *arg;
    struct worker worker[]; /* [threads], the caller first */
};

/* -- barrier
 * ---------------------------------------------------------------------------------------- */

static void sleep_while(struct barrier *b, unsigned phase)
{
    atomic_fetch_add(&b->sleepers, 1);
    while (atomic_load(&b->phase) == phase)
        syscall(SYS_futex, &b->phase, FUTEX_WAIT_PRIVATE, phase, NULL, NULL, 0);
    atomic_fetch_sub(&b->sleepers, 1);
}

static void release(struct barrier *b, unsigned phase)
{
    atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
    atomic_store(&b->phase, phase + 1);
    if (atomic_load(&b->sleepers)) /* whoever counts itself later finds the phase changed */
        syscall(SYS_futex, &b->phase, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static int members(const struct barrier *b)
{
    return atomic_load_explicit(&b->threads, memory_order_relaxed);
}

static void pass(struct barrier *b, int looks)
{
    unsigned phase = atomic_load_explicit(&b->phase, memory_order_relaxed);
    if (atomic_fetch_add(&b->arrived, 1) + 1 == members(b)) {
        release(b, phase);
        return;
    }
    for (int i = 0; i < looks; i++) {
        if (atomic_load_explicit(&b->phase, memory_order_acquire) != phase)
            return;
        if (i < SPINS)
            relax();
        else
            sched_yield();
    }
    sleep_while(b, phase);
}

void tri_pool_sync(struct tri_pool *p)
{
    pass(&p->region, p->region_looks);
}

/* -- where threads run -------------------------------------------------- */

static void place(pthread_t id, const cpu_mask mask)
{
    pthread_setaffinity_np(id, sizeof(cpu_mask), (const cpu_set_t *)mask); /* a wish: refusal changes nothing */
}

/* Asked when the first threads are pinned, since it takes a look at several files for every CPU. */
static void choose_cpus(struct tri_pool *p)
{
    struct tri_core list[TRI_MAX_CORES];
    const int cpus = tri_cpu_list(list);
    for (int i = 0; i < tri_pool_threads(p); i++)
        p->worker[i].cpu = list[i % cpus].cpu;
    p->chosen = true;
}

static void pin(struct tri_pool *p, bool pinned)
{
    if (pinned == p->pinned)
        return;
    if (!p->chosen)
        choose_cpus(p);
    p->pinned = pinned;
    for (int i = p->for_any; i < tri_pool_threads(p); i++) {
        cpu_mask one = {0};
        CPU_SET_S((size_t)p->worker[i].cpu, sizeof one, (cpu_set_t *)one);
        place(p->worker[i].id, pinned ? one : p->usable);
    }
}

/* -- pool
 * ------------------------------------------------------------------------------------------- */

static void *work(void *arg)
{
    struct worker *w = arg;
    struct tri_pool *p = w->pool;
    for (;;) {
        pass(&p->gate, p->looks);
        if (p->stop)
            return NULL;
        if (w->thread < members(&p->region))
            p->task(p->arg, w->thread, members(&p->region));
        pass(&p->gate, p->looks);
    }
}

void tri_pool_run(struct tri_pool *p, tri_task_fn *task, void *arg)
{
    p->task = task;
    p->arg = arg;
    pass(&p->gate, p->looks);
    task(arg, 0, members(&p->region));
    pass(&p->gate, p->looks);
}

static int usable_cpus(cpu_mask mask)
{
    memset(mask, 0, sizeof(cpu_mask));
    if (sched_getaffinity(0, sizeof(cpu_mask), (cpu_set_t *)mask) != 0)
        return 1;
    return CPU_COUNT_S(sizeof(cpu_mask), (cpu_set_t *)mask);
}

/* with more threads than cores, a thread that looks on holds up the one awaited */
static int looks_for(const struct tri_pool *p, int threads)
{
    return threads <= p->cpus ? SPINS + OFFERS : 0;
}

static void introduce(struct tri_pool *p, int threads)
{
    for (int i = 0; i < threads; i++)
        p->worker[i] = (struct worker){.pool = p, .thread = i, .until = i + 1};
    p->worker[0].id = pthread_self();
}

struct tri_pool *tri_pool_new(int threads, struct tri_error *e)
{
    if (threads < 1 || threads > TRI_MAX_THREADS) {
        tri_fail(e, TRI_USAGE, "threads: expected 1 to %d, found %d", TRI_MAX_THREADS, threads);
        return NULL;
    }
    struct tri_pool *p =
        tri_alloc(1, sizeof *p + (size_t)threads * sizeof p->worker[0], "threads", e);
    if (!p)
        return NULL;
    p->cpus = usable_cpus(p->usable);
    p->looks = p->region_looks = looks_for(p, threads);
    atomic_init(&p->gate.threads, threads);
    atomic_init(&p->region.threads, threads);
    introduce(p, threads);
    pthread_mutex_init(&p->lock, NULL);
    for (int i = 1; i < threads; i++) {
        int failed = pthread_create(&p->worker[i].id, NULL, work, &p->worker[i]);
        if (failed) {
            atomic_store(&p->gate.threads, i); /* so that those which run can be told to stop */
            tri_pool_free(p);
            tri_fail(e, TRI_FAILED,
                     "threads: %d asked for, only %d could be started (%s); use fewer", threads, i,
                     strerror(failed));
            return NULL;
        }
    }
    return p;
}

void tri_pool_free(struct tri_pool *p)
{
    if (!p)
        return;
    p->stop = true;
    pin(p, false); /* the caller goes on living */
    pass(&p->gate, p->looks);
    for (int i = 1; i < tri_pool_threads(p); i++)
        pthread_join(p->worker[i].id, NULL);
    pthread_mutex_destroy(&p->lock);
    tri_free(p);
}

int tri_pool_threads(const struct tri_pool *p)
{
    return members(&p->gate);
}

/* -- several callers ---------------------------------------------------- */

void tri_pool_for_any(struct tri_pool *p)
{
    p->for_any = true;
}

void tri_pool_lock(struct tri_pool *p)
{
    pthread_mutex_lock(&p->lock);
}

void tri_pool_unlock(struct tri_pool *p)
{
    pthread_mutex_unlock(&p->lock);
}

/* -- shares ------------------------------------------------------------ */

void tri_pool_share(const struct tri_pool *p, int items, int thread, int *from, int *to)
{
    const struct worker *w = p->worker;
    const long long all = w[members(&p->region) - 1].until;
    *from = thread ? (int)(items * w[thread - 1].until / all) : 0;
    *to = (int)(items * w[thread].until / all);
}

void tri_pool_use(struct tri_pool *p, struct tri_team team)
{
    int all = tri_pool_threads(p), threads = team.threads > 0 && team.threads < all ? team.threads : all;
    if (threads > CROWD * p->cpus)
        threads = p->cpus;
    p->region_looks = looks_for(p, threads);
    atomic_store_explicit(&p->region.threads, threads, memory_order_relaxed);
    pin(p, team.pinned || p->weighed);
}

void tri_pool_weigh(struct tri_pool *p, const int *weights)
{
    long long until = 0;
    for (int i = 0; i < tri_pool_threads(p); i++)
        p->worker[i].until = until += weights[i];
    p->weighed = true;
    pin(p, true);
}
