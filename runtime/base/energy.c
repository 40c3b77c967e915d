/* Owns: which counters are a package's, and their turning over. */
#include "base/energy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool read_number(const char *path, uint64_t *number)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    const bool read = fscanf(f, "%" SCNu64, number) == 1;
    fclose(f);
    return read;
}

void tri_energy_open(struct tri_energy *e, const char *sys)
{
    char range[sizeof e->package[0].path];
    *e = (struct tri_energy){0};
    for (int i = 0; i < TRI_PACKAGES; i++) {
        struct tri_package *p = &e->package[e->packages];
        snprintf(range, sizeof range, "%s/class/powercap/intel-rapl:%d/max_energy_range_uj", sys, i);
        snprintf(p->path, sizeof p->path, "%s/class/powercap/intel-rapl:%d/energy_uj", sys, i);
        errno = 0;
        if (read_number(p->path, &p->last) && read_number(range, &p->most))
            e->packages++;
        else if (!e->why[0] && (i == 0 || errno != ENOENT))
            snprintf(e->why, sizeof e->why, "RAPL counters in /sys/class/powercap: %s", strerror(errno ? errno : EIO));
    }
    if (e->packages)
        e->why[0] = 0;
}

double tri_energy_read(struct tri_energy *e)
{
    double joules = 0;
    for (int i = 0; i < e->packages; i++) {
        struct tri_package *p = &e->package[i];
        uint64_t now;
        if (!read_number(p->path, &now)) {
            snprintf(e->why, sizeof e->why, "RAPL counters in /sys/class/powercap: %s", strerror(errno ? errno : EIO));
            e->packages = 0;
            break;
        }
        joules += 1e-6 * (double)(now >= p->last ? now - p->last : now + p->most - p->last);
        p->last = now;
    }
    return e->packages ? joules : -1;
}
