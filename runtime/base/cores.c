/* Owns: what /sys says of cores. Leaves out measuring (kernels/balance.c) and pinning (base/threads.c). */
#define _GNU_SOURCE
#include "base/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_CPUS = 8192 };

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

/* Not both at once: a system that knows capacities has them for all CPUs. */
static int speed_of(int cpu)
{
    static const char *const files[] = {"cpu_capacity", "cpufreq/cpuinfo_max_freq"};
    int speed = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && speed <= 0; i++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", cpu, files[i]);
        FILE *f = fopen(path, "re");
        if (!f)
            continue;
        if (fscanf(f, "%d", &speed) != 1)
            speed = 0;
        fclose(f);
    }
    return speed;
}

static int faster(const void *a, const void *b)
{
    const struct tri_core *x = a, *y = b;
    return x->speed != y->speed ? (x->speed < y->speed) - (x->speed > y->speed) : x->cpu - y->cpu;
}

/* Appends to list[count ..) the CPUs of the mask that are the first of their core, or those that are not. */
static int append(struct tri_core list[TRI_MAX_CORES], int count, bool first)
{
    unsigned long mask[MAX_CPUS / (8 * sizeof(unsigned long))] = {0};
    const cpu_set_t *set = (const cpu_set_t *)mask;
    int n = count;
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask) != 0)
        return count;
    for (int cpu = 0; cpu < MAX_CPUS && n < TRI_MAX_CORES; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof mask, set) && first_of_core(cpu, set, sizeof mask) == first)
            list[n++] = (struct tri_core){cpu, speed_of(cpu)};
    qsort(list + count, (size_t)(n - count), sizeof *list, faster);
    return n;
}

int tri_core_list(struct tri_core list[TRI_MAX_CORES])
{
    list[0] = (struct tri_core){0};
    const int count = append(list, 0, true);
    return count > 0 ? count : 1;
}

int tri_cpu_list(struct tri_core list[TRI_MAX_CORES])
{
    return append(list, tri_core_list(list), false);
}

int tri_cores(void)
{
    struct tri_core list[TRI_MAX_CORES];
    return tri_core_list(list);
}

int tri_hardware_threads(void)
{
    struct tri_core list[TRI_MAX_CORES];
    return tri_cpu_list(list);
}

bool tri_cores_differ(const struct tri_core *list, int count)
{
    return list[0].speed - list[count - 1].speed > list[0].speed / 10;
}
