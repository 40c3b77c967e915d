/* Owns: the worker threads, the one barrier that starts, separates and ends their work, and the
 * count of cores. Leaves out pinning and NUMA: the operating system places the threads. */
#define _GNU_SOURCE
#include "base/threads.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE = 64, MAX_CPUS = 8192, OFFERS = 50 };

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
    int thread;
};

/* A barrier is passed when `phase` changes; the last to arrive changes it. Each word that several
 * threads write has a cache line of its own. */
struct tri_pool {
    _Alignas(LINE) atomic_int arrived;
    _Alignas(LINE) atomic_uint phase;
    _Alignas(LINE) atomic_int sleepers;
    _Alignas(LINE) atomic_int threads;
    int looks;
    bool stop;
    tri_task_fn *task;
    void *arg;
    struct worker worker[];
};

/* -- barrier
 * ---------------------------------------------------------------------------------------- */

static void sleep_while(struct tri_pool *p, unsigned phase)
{
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->phase) == phase)
        syscall(SYS_futex, &p->phase, FUTEX_WAIT_PRIVATE, phase, NULL, NULL, 0);
    atomic_fetch_sub(&p->sleepers, 1);
}

static void release(struct tri_pool *p, unsigned phase)
{
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
    atomic_store(&p->phase, phase + 1);
    if (atomic_load(&p->sleepers)) /* whoever counts itself later finds the phase changed */
        syscall(SYS_futex, &p->phase, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void tri_pool_sync(struct tri_pool *p)
{
    unsigned phase = atomic_load_explicit(&p->phase, memory_order_relaxed);
    if (atomic_fetch_add(&p->arrived, 1) + 1 ==
        atomic_load_explicit(&p->threads, memory_order_relaxed)) {
        release(p, phase);
        return;
    }
    for (int i = 0; i < p->looks; i++) {
        if (atomic_load_explicit(&p->phase, memory_order_acquire) != phase)
            return;
        if (i < SPINS)
            relax();
        else
            sched_yield();
    }
    sleep_while(p, phase);
}

/* -- pool
 * ------------------------------------------------------------------------------------------- */

static void *work(void *arg)
{
    struct worker *w = arg;
    struct tri_pool *p = w->pool;
    for (;;) {
        tri_pool_sync(p);
        if (p->stop)
            return NULL;
        p->task(p->arg, w->thread, atomic_load_explicit(&p->threads, memory_order_relaxed));
        tri_pool_sync(p);
    }
}

void tri_pool_run(struct tri_pool *p, tri_task_fn *task, void *arg)
{
    p->task = task;
    p->arg = arg;
    tri_pool_sync(p);
    task(arg, 0, tri_pool_threads(p));
    tri_pool_sync(p);
}

static int usable_cpus(void)
{
    unsigned long mask[MAX_CPUS / (8 * sizeof(unsigned long))] = {0};
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask) != 0)
        return 1;
    return CPU_COUNT_S(sizeof mask, (cpu_set_t *)mask);
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
    /* with more threads than cores, a thread that looks on holds up the one awaited */
    p->looks = threads <= usable_cpus() ? SPINS + OFFERS : 0;
    atomic_init(&p->threads, threads);
    for (int i = 1; i < threads; i++) {
        p->worker[i] = (struct worker){.pool = p, .thread = i};
        int failed = pthread_create(&p->worker[i].id, NULL, work, &p->worker[i]);
        if (failed) {
            atomic_store(&p->threads, i); /* so that those which run can be told to stop */
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
    tri_pool_sync(p);
    for (int i = 1; i < tri_pool_threads(p); i++)
        pthread_join(p->worker[i].id, NULL);
    tri_free(p);
}

int tri_pool_threads(const struct tri_pool *p)
{
    return atomic_load_explicit(&p->threads, memory_order_relaxed);
}

void tri_share(int items, int thread, int threads, int *from, int *to)
{
    *from = (int)((long long)items * thread / threads);
    *to = (int)((long long)items * (thread + 1) / threads);
}

/* -- cores
 * ------------------------------------------------------------------------------------------ */

/* Whether `cpu` is the first of its core's hardware threads that this process may use. A list reads
 * "0-1,64". */
static bool first_of_core(int cpu, const cpu_set_t *mask, size_t size)
{
    char path[80], list[256];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (!f)
        return true;
    size_t n = fread(list, 1, sizeof list - 1, f);
    fclose(f);
    list[n] = 0;
    for (char *at = list; *at >= '0' && *at <= '9'; at += *at == ',') {
        long from = strtol(at, &at, 10), to = *at == '-' ? strtol(at + 1, &at, 10) : from;
        for (long i = from; i <= to && i < cpu; i++)
            if (CPU_ISSET_S((size_t)i, size, mask))
                return false;
    }
    return true;
}

int tri_cores(void)
{
    unsigned long mask[MAX_CPUS / (8 * sizeof(unsigned long))] = {0};
    const cpu_set_t *set = (const cpu_set_t *)mask;
    int cores = 0;
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask) != 0)
        return 1;
    for (int cpu = 0; cpu < MAX_CPUS; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof mask, set) && first_of_core(cpu, set, sizeof mask))
            cores++;
    return cores > 0 ? cores < TRI_MAX_THREADS ? cores : TRI_MAX_THREADS : 1;
}
