/* What the system says of itself, from files of our own: states, load of others, energy with its turning over; and that
 * nothing of it names this host. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/energy.h"
#include "cli/machine.h"

static char root[] = "/tmp/tri_machine_XXXXXX";

/* A file below the root, and the folders it lies in. */
static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = 0;
        mkdir(whole, 0700);
    }
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void the_machine_is_told(void **state)
{
    (void)state;
    put("/sys/devices/system/cpu/cpu0/cache/index0/level", "1\n");
    put("/sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n");
    put("/sys/devices/system/cpu/cpu0/cache/index0/size", "48K\n");
    put("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3400000\n");
    put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    json_t *m = tri_machine_json(root), *cache = json_array_get(json_object_get(m, "caches"), 0);
    assert_non_null(m);
    assert_int_equal(json_array_size(json_object_get(m, "caches")), 1);
    assert_int_equal(json_integer_value(json_object_get(cache, "bytes")), 48 << 10);
    assert_string_equal(json_string_value(json_object_get(cache, "type")), "Data");
    assert_true(json_real_value(json_object_get(m, "mhz_max")) == 3400);
    assert_string_equal(json_string_value(json_object_get(m, "governor")), "performance");
    assert_string_equal(json_string_value(json_object_get(m, "huge_pages")), "madvise");
    assert_true(json_is_string(json_object_get(m, "commit")));
    json_decref(m);
}

static void what_nobody_says_is_null(void **state)
{
    (void)state;
    json_t *m = tri_machine_json("/nowhere"), *s = tri_state_json("/nowhere");
    assert_true(json_is_null(json_object_get(m, "governor")) && json_is_null(json_object_get(m, "huge_pages")));
    assert_int_equal(json_array_size(json_object_get(m, "caches")), 0);
    assert_true(json_is_null(json_object_get(s, "mhz")) && json_is_null(json_object_get(s, "load")));
    json_decref(m);
    json_decref(s);
    struct tri_cpu_time none = tri_cpu_time("/nowhere");
    assert_false(none.known);
    assert_true(tri_others_share(&none, &none) < 0);
}

static void no_name_of_host_or_user(void **state)
{
    (void)state;
    char host[256] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    json_t *m = tri_machine_json("");
    const char *key;
    json_t *value;
    json_object_foreach(m, key, value) {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        if (strcmp(text, host) == 0 || strstr(text, "/home/") || strstr(text, "/root/"))
            fail_msg("%s tells \"%s\"", key, text);
    }
    json_decref(m);
}

static void the_state_is_told(void **state)
{
    (void)state;
    put("/proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2000.5\nprocessor : 1\ncpu MHz\t\t: 3000.5\n");
    put("/proc/loadavg", "0.50 1.25 2.00 1/100 1234\n");
    json_t *s = tri_state_json(root), *load = json_object_get(s, "load");
    assert_true(json_real_value(json_object_get(s, "mhz")) == 2500.5);
    assert_true(json_real_value(json_array_get(load, 1)) == 1.25);
    assert_true(json_integer_value(json_object_get(s, "time")) > 1500000000);
    json_decref(s);
}

/* Of 400 ticks 300 were busy, 50 of them stolen; ours are some fractions of a second. */
static void others_are_what_is_not_ours(void **state)
{
    (void)state;
    put("/proc/stat", "cpu  100 0 50 1000 20 0 0 10 0 0\ncpu0 1 2 3\n");
    struct tri_cpu_time from = tri_cpu_time(root);
    put("/proc/stat", "cpu  300 0 100 1100 20 0 0 60 0 0\ncpu0 1 2 3\n");
    struct tri_cpu_time to = tri_cpu_time(root);
    assert_true(from.known && to.known);
    from.own = 0, to.own = (double)100 / (double)sysconf(_SC_CLK_TCK);
    assert_true(fabs(tri_others_share(&from, &to) - 0.5) < 1e-9);
    assert_true(fabs(tri_stolen_share(&from, &to) - 0.125) < 1e-9);
    to.own = 1e6; /* more than there was: nobody else's */
    assert_true(tri_others_share(&from, &to) == 0);
    put("/proc/stat", "cpu what\n");
    assert_false(tri_cpu_time(root).known);
}

static void energy_turns_over(void **state)
{
    (void)state;
    struct tri_energy e;
    tri_energy_open(&e, "/nowhere");
    assert_int_equal(e.packages, 0);
    assert_true(tri_energy_read(&e) < 0 && strstr(e.why, "No such file"));
    put("/class/powercap/intel-rapl:0/max_energy_range_uj", "10000000\n");
    put("/class/powercap/intel-rapl:1/max_energy_range_uj", "10000000\n");
    put("/class/powercap/intel-rapl:0/energy_uj", "9000000\n");
    put("/class/powercap/intel-rapl:1/energy_uj", "1000000\n");
    tri_energy_open(&e, root);
    assert_int_equal(e.packages, 2);
    put("/class/powercap/intel-rapl:0/energy_uj", "500000\n"); /* 1.5 J, over the end */
    put("/class/powercap/intel-rapl:1/energy_uj", "3000000\n");
    assert_true(fabs(tri_energy_read(&e) - 3.5) < 1e-9);
    put("/class/powercap/intel-rapl:1/energy_uj", "3250000\n");
    assert_true(fabs(tri_energy_read(&e) - 0.25) < 1e-9);
    put("/class/powercap/intel-rapl:1/energy_uj", "nothing\n");
    assert_true(tri_energy_read(&e) < 0 && e.why[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_is_told),         cmocka_unit_test(what_nobody_says_is_null),
        cmocka_unit_test(no_name_of_host_or_user),     cmocka_unit_test(the_state_is_told),
        cmocka_unit_test(others_are_what_is_not_ours), cmocka_unit_test(energy_turns_over),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
