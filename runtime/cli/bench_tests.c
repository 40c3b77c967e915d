/* Owns: the rows of `tritune bench` from the texts of its options. Leaves out running them (bench_run.c). */
#include "cli/bench.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { MOST_VALUES = 1024, MOST_ROWS = 4096, MOST_TOKENS = 1 << 24 };

struct list {
    int at[MOST_VALUES], count;
};

/* A row but for depth and threads; one of prompt and gen may be 0. */
struct test {
    int prompt, gen;
};

struct tests {
    struct test at[MOST_VALUES];
    int count;
    struct list depth, threads; /* threads: none for as tuned */
};

/* -- lists --------------------------------------------------------------- */

struct numbers {
    const char *option;
    int least, most;
};

static enum tri_status fail_numbers(const struct numbers *n, const char *found, struct tri_error *e)
{
    return tri_fail(e, TRI_USAGE, "option %s: expected numbers from %d to %d with commas, or ranges as 1-4, "
                    "128-512+128 and 128-1024*2, found \"%.40s\"", n->option, n->least, n->most, found);
}

/* One number, *at moved behind it. */
static bool read_number(const struct numbers *n, const char **at, int *value)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    const long found = strtol(*at, &end, 10);
    if (errno || found < n->least || found > n->most)
        return false;
    *at = end;
    *value = (int)found;
    return true;
}

struct range {
    int first, last, step;
    bool multiplies;
};

/* "512", "1-4", "128-512+128", "128-1024*2"; *at moved behind it. */
static bool read_range(const struct numbers *n, const char **at, struct range *r)
{
    const struct numbers steps = {n->option, 1, MOST_TOKENS};
    if (!read_number(n, at, &r->first))
        return false;
    *r = (struct range){r->first, r->first, 1, false};
    if (**at != '-')
        return true;
    ++*at;
    if (!read_number(n, at, &r->last) || r->last < r->first)
        return false;
    if (**at != '+' && **at != '*')
        return true;
    r->multiplies = *(*at)++ == '*';
    return read_number(&steps, at, &r->step) && !(r->multiplies && (r->step == 1 || r->first == 0));
}

static enum tri_status add_range(const struct numbers *n, const struct range *r, struct list *list, struct tri_error *e)
{
    for (long at = r->first; at <= r->last; at = r->multiplies ? at * r->step : at + r->step) {
        if (list->count == MOST_VALUES)
            return tri_fail(e, TRI_USAGE, "option %s: expected at most %d numbers, found more", n->option, MOST_VALUES);
        list->at[list->count++] = (int)at;
    }
    return TRI_OK;
}

static enum tri_status read_list(const struct numbers *n, const char *text, struct list *list, struct tri_error *e)
{
    struct range r;
    for (const char *at = text, *from = text;; from = ++at) {
        if (!read_range(n, &at, &r) || (*at && *at != ','))
            return fail_numbers(n, from, e);
        if (add_range(n, &r, list, e) != TRI_OK)
            return e->status;
        if (!*at)
            return TRI_OK;
    }
}

/* An option given several times goes on with its list; one not given has `otherwise`, which may be NULL for none. */
static enum tri_status read_lists(const struct numbers *n, const struct tri_texts *texts, const char *otherwise,
                                  struct list *list, struct tri_error *e)
{
    list->count = 0;
    for (int i = 0; i < texts->count; i++)
        if (read_list(n, texts->at[i], list, e) != TRI_OK)
            return e->status;
    return texts->count == 0 && otherwise ? read_list(n, otherwise, list, e) : TRI_OK;
}

/* -- tests ---------------------------------------------------------------- */

static enum tri_status add_test(struct tests *t, int prompt, int gen, struct tri_error *e)
{
    if (prompt + gen == 0)
        return TRI_OK;
    if (t->count == MOST_VALUES)
        return tri_fail(e, TRI_USAGE, "expected at most %d tests of -p, -n and -pg, found more", MOST_VALUES);
    t->at[t->count++] = (struct test){prompt, gen};
    return TRI_OK;
}

/* "512,128" */
static enum tri_status read_pair(const char *text, struct tests *t, struct tri_error *e)
{
    const struct numbers n = {"-pg", 1, MOST_TOKENS};
    const char *at = text;
    int prompt, gen;
    if (!read_number(&n, &at, &prompt) || *at++ != ',' || !read_number(&n, &at, &gen) || *at)
        return tri_fail(e, TRI_USAGE, "option -pg: expected two numbers from 1 to %d with a comma, tokens of a prompt "
                        "and tokens decoded behind it, found \"%.40s\"", MOST_TOKENS, text);
    return add_test(t, prompt, gen, e);
}

/* Prompts first, as llama-bench has them. */
static enum tri_status read_phases(const struct tri_bench_tests *o, struct tests *t, struct tri_error *e)
{
    struct list list;
    if (read_lists(&(struct numbers){"-p", 0, MOST_TOKENS}, &o->prompt, "512", &list, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < list.count; i++)
        if (add_test(t, list.at[i], 0, e) != TRI_OK)
            return e->status;
    if (read_lists(&(struct numbers){"-n", 0, MOST_TOKENS}, &o->gen, "128", &list, e) != TRI_OK)
        return e->status;
    for (int i = 0; i < list.count; i++)
        if (add_test(t, 0, list.at[i], e) != TRI_OK)
            return e->status;
    for (int i = 0; i < o->pairs.count; i++)
        if (read_pair(o->pairs.at[i], t, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

static enum tri_status read_tests(const struct tri_bench_tests *o, struct tests *t, struct tri_error *e)
{
    t->count = 0;
    if (read_phases(o, t, e) != TRI_OK ||
        read_lists(&(struct numbers){"-d", 0, MOST_TOKENS}, &o->depth, "0", &t->depth, e) != TRI_OK)
        return e->status;
    return read_lists(&(struct numbers){"-t", 1, TRI_MAX_THREADS}, &o->threads, NULL, &t->threads, e);
}

/* -- rows ---------------------------------------------------------------- */

static int greater(int a, int b)
{
    return a > b ? a : b;
}

/* The rows of one depth and number of threads (0: as tuned, for decoding where a row has both phases). */
static void add_rows(struct tri_bench *b, const struct tests *t, int depth, int threads)
{
    const struct tri_setting tuned = tri_dispatch_setting();
    for (int i = 0; i < t->count; i++) {
        const struct test *test = &t->at[i];
        struct tri_bench_row *row = &b->row[b->rows++];
        row->prompt = test->prompt;
        row->gen = test->gen;
        row->depth = depth;
        row->threads = threads ? threads : tuned.team[test->gen ? TRI_DECODE : TRI_PROMPT].threads;
        b->load.context = greater(b->load.context, depth + test->prompt + test->gen);
        b->load.threads[TRI_DECODE] = greater(b->load.threads[TRI_DECODE], row->threads);
    }
}

/* Depths, threads and tokens crossed; threads of the pool and the context are the most that a row needs. */
static enum tri_status make_rows(struct tri_bench *b, const struct tests *t, struct tri_error *e)
{
    const int teams = greater(t->threads.count, 1);
    const int64_t rows = (int64_t)t->depth.count * teams * t->count;
    if (rows == 0)
        return tri_fail(e, TRI_USAGE, "expected something to run, found -p 0 and -n 0");
    if (rows > MOST_ROWS)
        return tri_fail(e, TRI_USAGE, "expected at most %d tests, found %lld: %d of -p, -n and -pg at %d depths with "
                        "%d numbers of threads", MOST_ROWS, (long long)rows, t->count, t->depth.count, teams);
    if (!(b->row = tri_alloc((size_t)rows, sizeof *b->row, "rows", e)))
        return e->status;
    for (int d = 0; d < t->depth.count; d++)
        for (int i = 0; i < teams; i++)
            add_rows(b, t, t->depth.at[d], t->threads.count ? t->threads.at[i] : 0);
    for (int i = 0; i < b->rows; i++)
        if (!(b->row[i].speed = tri_alloc((size_t)b->repetitions, sizeof(double), "samples", e)))
            return e->status;
    return TRI_OK;
}

enum tri_status tri_bench_make_rows(struct tri_bench *b, const struct tri_bench_tests *texts, struct tri_error *e)
{
    struct tests *t = tri_alloc(1, sizeof *t, "tests", e);
    enum tri_status status = t ? read_tests(texts, t, e) : e->status;
    if (status == TRI_OK)
        status = make_rows(b, t, e);
    tri_free(t);
    return status;
}
