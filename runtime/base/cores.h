/* The cores of this machine: how many this process may use, and how fast the system says they are. */
#ifndef TRI_CORES_H
#define TRI_CORES_H

#include <stdbool.h>

enum { TRI_MAX_CORES = 512 };

struct tri_core {
    int cpu;   /* a hardware thread that this process may use */
    int speed; /* cpu_capacity or cpuinfo_max_freq of /sys; 0 if it has neither */
};

/* Physical cores this process may run on (affinity respected), the fastest first: how many there are, at
 * least 1, at most TRI_MAX_CORES. */
int tri_core_list(struct tri_core list[TRI_MAX_CORES]);

/* The same, and behind them the other hardware threads of these cores, likewise. */
int tri_cpu_list(struct tri_core list[TRI_MAX_CORES]);

/* The same, only counted. */
int tri_cores(void);
int tri_hardware_threads(void);

/* Whether the first `count` of the list are of different kinds: more than a tenth apart, since some cores of
 * one kind may clock a little higher than others. */
bool tri_cores_differ(const struct tri_core *list, int count);

#endif
