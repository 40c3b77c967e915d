/* Energy of the whole machine's packages, by what Linux shows of RAPL counters.
 *
 *     struct tri_energy e;
 *     tri_energy_open(&e, "/sys");
 *     tri_energy_read(&e);                            from here on
 *     ...
 *     double joules = tri_energy_read(&e);            since the last reading; below 0: unknown, and e.why says why
 */
#ifndef TRI_ENERGY_H
#define TRI_ENERGY_H

#include <stdint.h>

enum { TRI_PACKAGES = 16 };

struct tri_energy {
    struct tri_package {
        char path[256];    /* its energy_uj, in millionths of a joule */
        uint64_t last, most; /* after which it begins at 0 again */
    } package[TRI_PACKAGES];
    int packages;
    char why[96]; /* there are none to read; else empty */
};

/* Finds the packages below `sys`/class/powercap: intel-rapl:0, intel-rapl:1, ..., whose zones within (cores, memory)
 * are part of them. AMD's processors have the same names. */
void tri_energy_open(struct tri_energy *e, const char *sys);

/* Joules since the last reading, or since opening; a counter that began anew once meanwhile is taken for that. Below 0
 * if nothing can be read. */
double tri_energy_read(struct tri_energy *e);

#endif
