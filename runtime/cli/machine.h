/* What a measurement ran on, for whoever reads it elsewhere: no name of host or user, and no path.
 *
 *     struct tri_cpu_time begin = tri_cpu_time("");
 *     ...
 *     json_t *machine = tri_machine_json(""), *state = tri_state_json("");
 *     struct tri_cpu_time end = tri_cpu_time("");
 *     double others = tri_others_share(&begin, &end);
 *
 * `root` goes in front of /proc and /sys; tests have their own. */
#ifndef TRI_MACHINE_H
#define TRI_MACHINE_H

#include <jansson.h>
#include <stdbool.h>

/* What does not change while the program runs: cpu, arch, isas (those this CPU has of those linked), isa (in force),
 * cores, threads, caches (of the first CPU: level, type, bytes), mhz_max, governor, memory_bytes, huge_pages, system,
 * kernel, compiler, flags, commit, version, dispatch (cpu it was tuned for, or null; hash of its choices and of the
 * kernels linked). null: the system does not say. NULL: no memory; likewise below. */
json_t *tri_machine_json(const char *root);

/* What does: time (seconds since 1970), mhz (the mean of what CPUs run at), load (1, 5 and 15 minutes),
 * memory_available_bytes. */
json_t *tri_state_json(const char *root);

/* Seconds of all CPUs together. */
struct tri_cpu_time {
    bool known;
    double all, busy, stolen; /* busy: whoever it was for; stolen: the hypervisor's, part of it */
    double own;               /* this process's */
};
struct tri_cpu_time tri_cpu_time(const char *root);

/* Of all CPU time between two readings the share that other processes and the hypervisor took, and that the latter
 * did alone: 0 to 1; below 0: unknown. */
double tri_others_share(const struct tri_cpu_time *from, const struct tri_cpu_time *to);
double tri_stolen_share(const struct tri_cpu_time *from, const struct tri_cpu_time *to);

#endif
