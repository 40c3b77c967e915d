/* Owns: what the system says of itself, and what this binary was built from. Leaves out what is measured. */
#define _GNU_SOURCE
#include "cli/machine.h"
#include "base/checksum.h"
#include "base/cores.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "cli/build.h"
#include "cli/quote.h"
#include "kernels/dispatch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CACHES = 16 };

/* -- files of the system ------------------------------------------------- */

/* The first line of a file, without its end; empty if there is none. */
__attribute__((format(printf, 3, 4))) static const char *read_line(char *line, size_t room, const char *format, ...)
{
    char path[512];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    FILE *f = fopen(path, "re");
    line[0] = 0;
    if (f && !fgets(line, (int)room, f))
        line[0] = 0;
    if (f)
        fclose(f);
    line[strcspn(line, "\n")] = 0;
    return line;
}

static json_t *text_or_null(const char *text)
{
    return *text ? tri_json_string(text) : json_null();
}

static json_t *number_or_null(double number)
{
    return number > 0 ? json_real(number) : json_null();
}

/* -- the processor --------------------------------------------------------- */

/* "48K", "2048K", "1M" */
static int64_t bytes_of(const char *text)
{
    char *unit;
    const long long number = strtoll(text, &unit, 10);
    return number << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0);
}

static json_t *caches(const char *root)
{
    static const char folder[] = "/sys/devices/system/cpu/cpu0/cache/index";
    char level[32], type[32], size[32];
    json_t *list = json_array();
    for (int i = 0; i < MAX_CACHES && *read_line(level, sizeof level, "%s%s%d/level", root, folder, i); i++) {
        read_line(type, sizeof type, "%s%s%d/type", root, folder, i);
        read_line(size, sizeof size, "%s%s%d/size", root, folder, i);
        json_array_append_new(list, json_pack("{s:i, s:o, s:I}", "level", atoi(level), "type", text_or_null(type),
                                              "bytes", (json_int_t)bytes_of(size)));
    }
    return list;
}

static json_t *isas(void)
{
    json_t *list = json_array();
    for (const struct tri_isa *i = tri_isas; i->name; i++)
        if (i->present())
            json_array_append_new(list, json_string(i->name));
    return list;
}

/* kHz in a file of the first CPU, as MHz. */
static double khz_file(const char *root, const char *name)
{
    char line[32];
    return atof(read_line(line, sizeof line, "%s/sys/devices/system/cpu/cpu0/cpufreq/%s", root, name)) / 1e3;
}

/* The mean over the CPUs of /proc/cpuinfo; where it does not say, of the first CPU. */
static double mhz_now(const char *root)
{
    char path[512], line[256];
    double sum = 0, mhz;
    int count = 0;
    snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "cpu MHz : %lf", &mhz) == 1) {
            sum += mhz;
            count++;
        }
    if (f)
        fclose(f);
    return count ? sum / count : khz_file(root, "scaling_cur_freq");
}

/* -- what runs ------------------------------------------------------------- */

static uint64_t add_text(uint64_t hash, const char *text)
{
    return tri_checksum(hash, text, strlen(text) + 1);
}

static uint64_t dispatch_hash(void)
{
    uint64_t hash = add_text(0, tri_tuned_cpu);
    for (const struct tri_choice *c = tri_choices; c->role; c++) {
        const int shape[] = {c->m, c->k, c->group};
        hash = tri_checksum(add_text(hash, c->role), shape, sizeof shape);
        for (int i = 0; c->kernels[i]; i++)
            hash = add_text(hash, c->kernels[i]);
        hash = add_text(hash, c->sparse ? c->sparse : "");
    }
    for (const struct tri_kernel *k = tri_kernels; k->name; k++)
        hash = add_text(hash, k->name);
    return hash;
}

static json_t *dispatch(void)
{
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, dispatch_hash());
    return json_pack("{s:o, s:s}", "cpu", text_or_null(tri_tuned_cpu), "hash", hash);
}

/* "always [madvise] never" -> "madvise" */
static json_t *huge_pages(const char *root)
{
    char line[128], *from, *to;
    read_line(line, sizeof line, "%s/sys/kernel/mm/transparent_hugepage/enabled", root);
    if (!(from = strchr(line, '[')) || !(to = strchr(from, ']')))
        return json_null();
    *to = 0;
    return text_or_null(from + 1);
}

json_t *tri_machine_json(const char *root)
{
    struct utsname system;
    char governor[64];
    if (uname(&system) != 0)
        memset(&system, 0, sizeof system);
    read_line(governor, sizeof governor, "%s/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", root);
    return json_pack("{s:o, s:s, s:o, s:s, s:i, s:i, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o}",
                     "cpu", text_or_null(tri_cpu_name()), "arch", tri_arch(), "isas", isas(), "isa",
                     tri_dispatch_isa()->name, "cores", tri_cores(), "threads", tri_hardware_threads(), "caches",
                     caches(root), "mhz_max", number_or_null(khz_file(root, "cpuinfo_max_freq")), "governor",
                     text_or_null(governor), "memory_bytes",
                     (json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE), "huge_pages",
                     huge_pages(root), "system", text_or_null(system.sysname), "kernel", text_or_null(system.release),
                     "compiler", tri_build.compiler, "flags", tri_build.flags, "commit", tri_build.commit, "version",
                     tri_build.version, "dispatch", dispatch());
}

json_t *tri_state_json(const char *root)
{
    char line[128];
    double load[3];
    read_line(line, sizeof line, "%s/proc/loadavg", root);
    const bool known = sscanf(line, "%lf %lf %lf", &load[0], &load[1], &load[2]) == 3;
    json_t *loads = known ? json_pack("[f, f, f]", load[0], load[1], load[2]) : json_null();
    return json_pack("{s:I, s:o, s:o, s:I}", "time", (json_int_t)time(NULL), "mhz", number_or_null(mhz_now(root)),
                     "load", loads, "memory_available_bytes", (json_int_t)tri_memory_available());
}

/* -- others ---------------------------------------------------------------- */

enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COLUMNS };

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

struct tri_cpu_time tri_cpu_time(const char *root)
{
    char line[512];
    double ticks[COLUMNS] = {0};
    struct tri_cpu_time t = {0};
    struct rusage own;
    const char *at = read_line(line, sizeof line, "%s/proc/stat", root);
    const double tick = (double)sysconf(_SC_CLK_TCK);
    int n = 0;
    for (char *end; strncmp(line, "cpu ", 4) == 0 && n < COLUMNS; n++, at = end) {
        ticks[n] = strtod(n ? at : at + 4, &end);
        if (end == at)
            break;
    }
    if (n <= IDLE || getrusage(RUSAGE_SELF, &own) != 0)
        return t;
    for (int i = 0; i < n; i++) {
        t.all += ticks[i] / tick;
        t.busy += i == IDLE || i == IOWAIT ? 0 : ticks[i] / tick;
    }
    t.stolen = ticks[STEAL] / tick;
    t.own = seconds_of(own.ru_utime) + seconds_of(own.ru_stime);
    t.known = true;
    return t;
}

static double share(const struct tri_cpu_time *from, const struct tri_cpu_time *to, double taken)
{
    const double all = to->all - from->all;
    if (!from->known || !to->known || !(all > 0))
        return -1;
    return taken < 0 ? 0 : taken > all ? 1 : taken / all;
}

double tri_others_share(const struct tri_cpu_time *from, const struct tri_cpu_time *to)
{
    return share(from, to, to->busy - from->busy - (to->own - from->own));
}

double tri_stolen_share(const struct tri_cpu_time *from, const struct tri_cpu_time *to)
{
    return share(from, to, to->stolen - from->stolen);
}
