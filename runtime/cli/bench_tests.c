/* Owns: the rows of `tritune bench` from the texts of its options. Leaves out running them (bench_run.c). */
#include "cli/bench.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { MOST_VALUES = 32, MOST_TOKENS = 1 << 24 };

struct list {
    int at[MOST_VALUES], count;
};

struct tests {
    struct list prompt, gen, depth, threads; /* threads: none for as tuned */
};

/* -- lists --------------------------------------------------------------- */

/* "0,512": whole numbers in [least, most]. */
static enum tri_status read_list(const char *option, const char *text, int least, int most, struct list *list,
                                 struct tri_error *e)
{
    const char *at = text;
    for (char *end;; at = end + 1) {
        errno = 0;
        const long value = strtol(at, &end, 10);
        if (end == at || errno || value < least || value > most || (*end && *end != ','))
            return tri_fail(e, TRI_USAGE, "option %s: expected numbers from %d to %d with commas, found \"%.40s\"",
                            option, least, most, at);
        if (list->count == MOST_VALUES)
            return tri_fail(e, TRI_USAGE, "option %s: expected at most %d numbers, found more", option, MOST_VALUES);
        list->at[list->count++] = (int)value;
        if (!*end)
            return TRI_OK;
    }
}

static enum tri_status read_tests(const struct tri_bench_tests *o, struct tests *t, struct tri_error *e)
{
    if (read_list("-p", o->prompt, 0, MOST_TOKENS, &t->prompt, e) != TRI_OK ||
        read_list("-n", o->gen, 0, MOST_TOKENS, &t->gen, e) != TRI_OK ||
        read_list("-d", o->depth, 0, MOST_TOKENS, &t->depth, e) != TRI_OK)
        return e->status;
    return o->threads ? read_list("-t", o->threads, 1, TRI_MAX_THREADS, &t->threads, e) : TRI_OK;
}

/* -- rows ---------------------------------------------------------------- */

static int greater(int a, int b)
{
    return a > b ? a : b;
}

/* The rows of one depth and number of threads (0: as tuned). */
static void add_rows(struct tri_bench *b, const struct tests *t, int depth, int threads)
{
    const struct tri_setting tuned = tri_dispatch_setting();
    for (int phase = TRI_PHASES - 1; phase >= 0; phase--) { /* prompts first, as llama-bench does */
        const struct list *tokens = phase == TRI_PROMPT ? &t->prompt : &t->gen;
        for (int i = 0; i < tokens->count; i++) {
            struct tri_bench_row *row = &b->row[b->rows];
            if (tokens->at[i] == 0)
                continue;
            *(phase == TRI_PROMPT ? &row->prompt : &row->gen) = tokens->at[i];
            row->depth = depth;
            row->threads = threads ? threads : tuned.team[phase].threads;
            b->load.context = greater(b->load.context, depth + tokens->at[i]);
            b->load.threads[TRI_DECODE] = greater(b->load.threads[TRI_DECODE], row->threads);
            b->rows++;
        }
    }
}

/* Depths, threads and tokens crossed; threads of the pool and the context are the most that a row needs. */
static enum tri_status make_rows(struct tri_bench *b, const struct tests *t, struct tri_error *e)
{
    const int teams = greater(t->threads.count, 1), each = t->prompt.count + t->gen.count;
    b->row = tri_alloc((size_t)(t->depth.count * teams * each), sizeof *b->row, "rows", e);
    if (!b->row)
        return e->status;
    for (int d = 0; d < t->depth.count; d++)
        for (int i = 0; i < teams; i++)
            add_rows(b, t, t->depth.at[d], t->threads.count ? t->threads.at[i] : 0);
    if (b->rows == 0)
        return tri_fail(e, TRI_USAGE, "expected something to run, found -p 0 and -n 0");
    for (int i = 0; i < b->rows; i++)
        if (!(b->row[i].speed = tri_alloc((size_t)b->repetitions, sizeof(double), "samples", e)))
            return e->status;
    return TRI_OK;
}

enum tri_status tri_bench_make_rows(struct tri_bench *b, const struct tri_bench_tests *texts, struct tri_error *e)
{
    struct tests t = {0};
    return read_tests(texts, &t, e) == TRI_OK ? make_rows(b, &t, e) : e->status;
}

void tri_bench_free_rows(struct tri_bench *b)
{
    for (int i = 0; i < b->rows; i++)
        tri_free(b->row[i].speed);
    tri_free(b->row);
}
