/* Receipts: what a run writes is consistent, and whatever is changed in it is refused by what it contradicts, though
 * its checksum is made anew; what is no receipt is no crash. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/receipt.h"

static char path[] = "/tmp/tri_receipt_XXXXXX";
static json_t *made; /* by a run: a prompt, a decoding row */

static int make_receipt(void **state)
{
    char *argv[] = {"bench", "-p", "16", "-n", "8", "-d", "3", "-r", "3", "-t", "1", "--report", path, NULL};
    struct tri_error e = {0};
    (void)state;
    close(mkstemp(path));
    const int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
    fflush(stdout);
    dup2(null, STDOUT_FILENO);
    const enum tri_status status = tri_command_bench.run(13, argv, &e);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(null);
    made = status == TRI_OK ? tri_receipt_read(path, &e) : NULL;
    if (!made)
        print_error("%s\n", e.text);
    return made ? 0 : -1;
}

static int forget_receipt(void **state)
{
    (void)state;
    json_decref(made);
    return remove(path);
}

static void what_a_run_writes_is_consistent(void **state)
{
    (void)state;
    struct tri_error e = {0};
    if (tri_receipt_check(made, &e) != TRI_OK)
        fail_msg("%s", e.text);
}

/* -- forging --------------------------------------------------------------- */

/* What "rows/1/avg_ts" names, and in *key its last word. */
static json_t *holder_of(json_t *root, const char *where, const char **key)
{
    const char *slash;
    for (; (slash = strchr(where, '/')); where = slash + 1) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(slash - where), where);
        root = json_is_array(root) ? json_array_get(root, (size_t)atoi(word)) : json_object_get(root, word);
        assert_non_null(root);
    }
    *key = where;
    return root;
}

/* "*1.5" multiplies; "~" leaves out; else the value itself. */
static void change(json_t *root, const char *where, const char *to)
{
    const char *key;
    json_t *holder = holder_of(root, where, &key);
    json_t *old = json_is_array(holder) ? json_array_get(holder, (size_t)atoi(key)) : json_object_get(holder, key),
           *new;
    assert_non_null(old);
    if (*to == '*')
        new = json_is_integer(old) ? json_integer((json_int_t)((double)json_integer_value(old) * atof(to + 1)))
                                   : json_real(json_number_value(old) * atof(to + 1));
    else
        new = json_loads(to, JSON_DECODE_ANY, NULL);
    if (*to == '~' && json_is_array(holder))
        json_array_remove(holder, (size_t)atoi(key));
    else if (*to == '~')
        json_object_del(holder, key);
    else if (json_is_array(holder))
        json_array_set(holder, (size_t)atoi(key), new);
    else
        json_object_set(holder, key, new);
    json_decref(new);
}

/* Written and read again, with a checksum that is right. */
static enum tri_status judge(json_t *forged, struct tri_error *e)
{
    char checksum[17];
    assert_true(tri_receipt_checksum(forged, checksum));
    json_object_set_new(forged, "checksum", json_string(checksum));
    char *text = json_dumps(forged, JSON_REAL_PRECISION(17));
    json_t *read = tri_receipt_parse(text, strlen(text), "forged", e);
    const enum tri_status status = read ? tri_receipt_check(read, e) : e->status;
    free(text);
    json_decref(read);
    json_decref(forged);
    return status;
}

static const struct forgery {
    const char *where, *to, *says;
} forgeries[] = {
    {"rows/1/avg_ts", "*1.01", "avg_ts"},
    {"rows/0/median_ts", "*1.01", "median_ts"},
    {"rows/0/stddev_ts", "*3", "stddev_ts"},
    {"rows/1/min_ts", "*0.5", "min_ts"},
    {"rows/1/max_ts", "*2", "max_ts"},
    {"rows/1/samples_ts/2", "*1.5", "are not 8 tokens"},
    {"rows/1/samples_ts/2", "~", "2 samples"},
    {"rows/1/seconds/0", "*-1", "are not 8 tokens"},
    {"rows/1/seconds/0", "0", "are not 8 tokens"},
    {"rows/1/n_gen", "16", "are not 16 tokens"},
    {"rows/1/at/1", "*0.01", "begins"},
    {"rows/0/at/0", "-1", "begins"},
    {"rows/1/bytes_per_token/weights", "*0.5", "bytes of weights"},
    {"rows/1/bytes_per_token/head", "*2", "output matrix"},
    {"rows/1/bytes_per_token/kv", "*1.5", "keys and values"},
    {"rows/1/bytes_per_token", "null", "bytes per token"},
    {"rows/1/read_gbps", "*1.5", "read_gbps"},
    {"rows/1/share", "*0.9", "share"},
    {"rows/1/n_depth", "9", "keys and values"},
    {"rows/1/n_threads", "7", "no reads by 7"},
    {"rows/1/noise", "\"Z\"", "noise"},
    {"rows/1/j_per_token", "0.25", "j_per_token"},
    {"reads/0/gbps/1", "1e6", "which no"},
    {"reads/0/gbps/1", "-3", "above 0"},
    {"reads/0/gbps/0", "~", "reads by 1 threads"},
    {"reads/0/at/2", "*0", "order of time"},
    {"reads/0/threads", "100000", "reads by 100000"},
    {"repetitions", "4", "of 4 repetitions"},
    {"model/layers", "*2", "bytes of weights"},
    {"model/hidden", "*2", "contradicts itself"},
    {"model/ffn", "*2", "bytes of weights"},
    {"model/vocab", "*2", "contradicts itself"},
    {"model/heads", "0", "heads are 0"},
    {"model/layers", "1000000000000", "layers are"},
    {"model/group", "7", "scales of 7"},
    {"after/time", "5", "before it began"},
    {"proof/tokens", "0", "proof of 0 tokens"},
    {"proof/logits", "5", "by 5 logits"},
    {"rows", "[]", "no rows"},
};

static void forgeries_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        struct tri_error e = {0};
        json_t *forged = json_deep_copy(made);
        change(forged, forgeries[i].where, forgeries[i].to);
        const enum tri_status status = judge(forged, &e);
        if (status != TRI_WRONG || !strstr(e.text, forgeries[i].says))
            fail_msg("%s = %s: expected status 6 and \"%s\", found %d: %s", forgeries[i].where, forgeries[i].to,
                     forgeries[i].says, (int)status, e.text);
    }
}

/* A decoding row so many times as fast, with all that follows from it but the reads. */
static void speed_up(json_t *forged, double factor)
{
    static const char *const faster[] = {"avg_ts", "median_ts",    "stddev_ts",    "min_ts",      "max_ts",
                                         "share",  "samples_ts/0", "samples_ts/1", "samples_ts/2"};
    static const char *const shorter[] = {"seconds/0", "seconds/1", "seconds/2"};
    char where[64], to[32];
    for (int i = 0; i < 9; i++) {
        snprintf(where, sizeof where, "rows/1/%s", faster[i]), snprintf(to, sizeof to, "*%.17g", factor);
        change(forged, where, to);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(where, sizeof where, "rows/1/%s", shorter[i]), snprintf(to, sizeof to, "*%.17g", 1 / factor);
        change(forged, where, to);
    }
}

/* Speeds beyond the reads; and reads raised with them, beyond any cache. */
static void consistent_speeds_meet_the_ceiling(void **state)
{
    (void)state;
    struct tri_error e = {0};
    json_t *forged = json_deep_copy(made);
    speed_up(forged, 64);
    assert_int_equal(judge(forged, &e), TRI_WRONG);
    assert_non_null(strstr(e.text, "where reading alone reached"));
    forged = json_deep_copy(made);
    speed_up(forged, 64);
    for (size_t i = 0;
         i < json_array_size(json_object_get(json_array_get(json_object_get(forged, "reads"), 0), "gbps")); i++) {
        char where[64];
        snprintf(where, sizeof where, "reads/0/gbps/%zu", i);
        change(forged, where, "*64");
    }
    assert_int_equal(judge(forged, &e), TRI_WRONG);
    assert_non_null(strstr(e.text, "which no"));
}

static void a_damaged_one_is_noticed(void **state)
{
    (void)state;
    struct tri_error e = {0};
    json_t *damaged = json_deep_copy(made);
    change(damaged, "machine/kernel", "\"another\"");
    assert_int_equal(tri_receipt_check(damaged, &e), TRI_WRONG);
    assert_non_null(strstr(e.text, "checksum"));
    json_decref(damaged);
}

/* -- what is no receipt ------------------------------------------------------ */

static void refuse_text(const char *text, enum tri_status expected)
{
    struct tri_error e = {0};
    json_t *read = tri_receipt_parse(text, strlen(text), "text", &e);
    if (read || e.status != expected || !e.text[0])
        fail_msg("%.60s: expected status %d with a reason, found %d: %s", text, (int)expected, (int)e.status, e.text);
}

static void what_is_no_receipt_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "7",
                                        "{}",
                                        "{\"tritune_receipt\": \"1\"}",
                                        "{\"tritune_receipt\": NaN}",
                                        "{\"tritune_receipt\": 1e999}",
                                        "{\"tritune_receipt\": 99999999999999999999}",
                                        "{\"tritune_receipt\": 1}",
                                        "{\"tritune_receipt\": 1, \"options\": {}}",
                                        "{\"tritune_receipt\": 1, \"tritune_receipt\": 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refuse_text(texts[i], TRI_BAD_FILE);
    refuse_text("{\"tritune_receipt\": 2}", TRI_UNSUPPORTED);
    char *deep = malloc(200002);
    memset(deep, '[', 200000);
    strcpy(deep + 200000, "]");
    refuse_text(deep, TRI_BAD_FILE);
    free(deep);
}

/* Every key away, and every value of another type: no crash, and never taken for right. */
static void spoil(json_t *root, json_t *at, int depth)
{
    static const char *const values[] = {"null", "[]", "{}", "\"x\"", "-1", "true", "1e300"};
    const char *key;
    json_t *old, *all = json_deep_copy(at); /* which does not change while its keys come and go */
    json_object_foreach(all, key, old) {
        for (size_t i = 0; i <= sizeof values / sizeof values[0]; i++) {
            struct tri_error e = {0};
            if (i == 0)
                json_object_del(at, key);
            else
                json_object_set_new(at, key, json_loads(values[i - 1], JSON_DECODE_ANY, NULL));
            json_t *copy = json_deep_copy(root);
            if (judge(copy, &e) != TRI_OK && !e.text[0])
                fail_msg("\"%s\" was refused without a reason", key);
        }
        json_object_set(at, key, old);
        if (depth < 2 && json_is_object(old))
            spoil(root, json_object_get(at, key), depth + 1);
    }
    json_decref(all);
}

static void nothing_in_it_crashes(void **state)
{
    (void)state;
    json_t *root = json_deep_copy(made);
    spoil(root, root, 0);
    spoil(root, json_array_get(json_object_get(root, "rows"), 1), 1);
    spoil(root, json_array_get(json_object_get(root, "reads"), 0), 1);
    json_decref(root);
}

static void options_are_those_of_measuring(void **state)
{
    (void)state;
    static const char *const foreign[] = {"[\"--report\", \"x\"]", "[\"-m\", \"/etc/passwd\"]", "[\"-hf=a/b\"]", "[7]",
                                          "[\"--help\"]"};
    char *words[TRI_RECEIPT_WORDS];
    int count = 0;
    struct tri_error e = {0};
    assert_int_equal(tri_receipt_options(made, words, &count, &e), TRI_OK);
    assert_int_equal(count, 10);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        json_t *forged = json_deep_copy(made);
        change(forged, "options", foreign[i]);
        assert_int_equal(tri_receipt_options(forged, words, &count, &e), TRI_BAD_FILE);
        json_decref(forged);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_run_writes_is_consistent),
        cmocka_unit_test(forgeries_are_refused),
        cmocka_unit_test(consistent_speeds_meet_the_ceiling),
        cmocka_unit_test(a_damaged_one_is_noticed),
        cmocka_unit_test(what_is_no_receipt_is_refused),
        cmocka_unit_test(nothing_in_it_crashes),
        cmocka_unit_test(options_are_those_of_measuring),
    };
    return cmocka_run_group_tests(tests, make_receipt, forget_receipt);
}
