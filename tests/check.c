/* check: every linked kernel this CPU can run, against plain C.
 *
 *     check [--isa NAME] [--kernel NAME] [--shape MxK] [--pattern N] [--seed N] [--bench] [--list]
 *
 * Each kernel runs in a child of its own, so that one that crashes or hangs is reported under its name and the
 * rest goes on. A failure ends with a line to paste. --bench times the same calls, and nothing that failed. */
#define _GNU_SOURCE
#include "base/memory.h"
#include "kernels/verify.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
    const char *isa, *kernel;
    int m, k, pattern; /* 0, 0, -1: all of them */
    uint64_t seed;
    bool bench, list;
};

enum { CHILD_SECONDS = 120, SKIPPED = 77 };

/* Rows and columns that hit every tail of a layout; long rows stand for overflow. */
static int shapes(const struct tri_kernel *kernel, const struct tri_layout *l, int pair[][2])
{
    const int rows[] = {1, l->rows - 1, l->rows, l->rows + 1, 2 * l->rows + 17};
    const int columns[] = {1, l->kstep - 1, l->kstep, l->kstep + 1, 5 * l->kstep + 3, 700};
    int n = 0;
    for (int r = 0; r < 5; r++)
        for (int c = 0; c < 6; c++)
            if (rows[r] > 0 && columns[c] > 0)
                pair[n][0] = rows[r], pair[n++][1] = columns[c];
    const int longest = kernel->kmax < 24000 ? kernel->kmax : 24000;
    pair[n][0] = 3, pair[n++][1] = longest - longest % l->kstep;
    if (kernel->kind == TRI_KIND_columns) { /* the tails of columns are rows */
        for (int i = 0; i < n; i++) {
            const int rows_of = pair[i][0];
            pair[i][0] = pair[i][1], pair[i][1] = rows_of;
        }
        pair[n][0] = 3, pair[n++][1] = longest;
    }
    return n;
}

static enum tri_status check_one(const struct options *o, const struct tri_kernel *kernel, int m, int k, int pattern)
{
    struct tri_error e;
    const struct tri_layout *l = tri_layout_find(kernel->layout);
    const struct tri_case c = {m, k, (enum tri_pattern)pattern, o->seed};
    alarm(CHILD_SECONDS);
    const enum tri_status status = tri_verify(kernel, l, &c, &e);
    if (status != TRI_OK && status != TRI_UNSUPPORTED)
        printf("FAIL %s\n     check --kernel %s --shape %dx%d --pattern %d --seed %llu\n", e.text, kernel->name, m, k,
               pattern, (unsigned long long)o->seed);
    return status == TRI_UNSUPPORTED ? TRI_OK : status;
}

static enum tri_status check_cases(const struct options *o, const struct tri_kernel *kernel)
{
    int pair[32][2] = {{o->m, o->k}};
    const int n = o->m ? 1 : shapes(kernel, tri_layout_find(kernel->layout), pair);
    enum tri_status worst = TRI_OK;
    for (int i = 0; i < n && worst == TRI_OK; i++)
        for (int p = 0; p < TRI_PATTERNS && worst == TRI_OK; p++)
            if (o->pattern < 0 || o->pattern == p)
                worst = check_one(o, kernel, pair[i][0], pair[i][1], p);
    return worst;
}

/* What such a kernel takes depends on its list, and is for the tuner to time. */
static bool takes_list(const struct tri_kernel *kernel)
{
    return kernel->kind == TRI_KIND_rows || kernel->kind == TRI_KIND_columns;
}

/* The same calls, timed: the best of some rounds over a matrix in cache. Says what it computes, not how fast a
 * model would be: the tuner times that. */
static void time_kernel(const struct tri_kernel *kernel)
{
    struct tri_error e;
    const struct tri_layout *l = tri_layout_find(kernel->layout);
    const int m = 4 * l->rows < 256 ? 256 : 4 * l->rows, k = 2560 / l->kstep * l->kstep;
    const size_t bytes = (size_t)(m / l->rows) * (size_t)(k / l->kstep) * (size_t)l->bytes;
    uint8_t *w = tri_alloc(bytes, 1, "weights", &e);
    int8_t *x = tri_alloc((size_t)kernel->tokens, (size_t)k, "activations", &e);
    uint8_t *table = tri_alloc((size_t)(k / l->kstep) + 1, (size_t)kernel->table_bytes + 1, "tables", &e);
    int32_t *y = tri_alloc((size_t)kernel->tokens * (size_t)m, sizeof *y, "sums", &e);
    int32_t *sums = tri_alloc((size_t)kernel->tokens, (size_t)k * sizeof *sums, "sums", &e);
    float *scales = tri_alloc((size_t)m, (size_t)k, "scales", &e);
    double best = 1e9;
    if (!w || !x || !table || !y || !sums || !scales)
        return;
    for (int round = 0; round < 50; round++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        const void *activations = kernel->prepare ? (void *)table : x;
        const size_t ldx = kernel->prepare ? 0 : (size_t)k;
        if (kernel->kind == TRI_KIND_grouped)
            kernel->grouped(w, 0, m, k, activations, ldx, sums, scales, scales, (float *)y, (size_t)m);
        else
            kernel->matmul(w, 0, m, k, activations, ldx, sums, y, (size_t)m);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        best = s < best ? s : best;
    }
    printf("%-48s %4dx%d x%-2d %8.2f us  %7.1f G weights/s  %6.1f GB/s\n", kernel->name, m, k, kernel->tokens, best * 1e6,
           1e-9 * m * k * kernel->tokens / best, 1e-9 * (double)bytes / best);
    tri_free(w), tri_free(x), tri_free(table), tri_free(y), tri_free(sums), tri_free(scales);
}

static enum tri_status in_child(const struct options *o, const struct tri_kernel *kernel)
{
    int how;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const enum tri_status status = check_cases(o, kernel);
        fflush(stdout);
        _exit(status);
    }
    if (child < 0 || waitpid(child, &how, 0) != child) {
        printf("FAIL %s: no process could be made to check it\n", kernel->name);
        return TRI_FAILED;
    }
    if (WIFEXITED(how))
        return (enum tri_status)WEXITSTATUS(how);
    printf("FAIL %s: %s (signal %d)\n     check --kernel %s --seed %llu\n", kernel->name,
           WTERMSIG(how) == SIGALRM ? "still running after its time" : "crashed", WTERMSIG(how), kernel->name,
           (unsigned long long)o->seed);
    return TRI_WRONG;
}

static bool wanted(const struct options *o, const struct tri_kernel *kernel)
{
    return (!o->isa || !strcmp(o->isa, kernel->isa)) && (!o->kernel || !strcmp(o->kernel, kernel->name));
}

static int usage(const char *word)
{
    fprintf(stderr, "check: '%s' is not understood\nusage: check [--isa NAME] [--kernel NAME] [--shape MxK] "
                    "[--pattern 0..%d] [--seed N] [--bench] [--list]\n", word, TRI_PATTERNS - 1);
    return TRI_USAGE;
}

static bool parse(int argc, char **argv, struct options *o, const char **bad)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        *bad = word;
        if (!strcmp(word, "--bench") || !strcmp(word, "--list")) {
            *(word[2] == 'b' ? &o->bench : &o->list) = true;
            continue;
        }
        char end;
        i++;
        if (!strcmp(word, "--isa"))
            o->isa = value;
        else if (!strcmp(word, "--kernel"))
            o->kernel = value;
        else if (!strcmp(word, "--seed"))
            o->seed = strtoull(value, NULL, 10);
        else if (!strcmp(word, "--pattern"))
            o->pattern = atoi(value);
        else if (strcmp(word, "--shape") || sscanf(value, "%dx%d%c", &o->m, &o->k, &end) != 2 || o->m < 1 || o->k < 1 ||
                 o->m > 1 << 20 || o->k > 1 << 20)
            return false;
        if (i >= argc || o->pattern >= TRI_PATTERNS)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.pattern = -1, .seed = 1};
    const char *bad = "";
    int checked = 0, failed = 0, skipped = 0;
    if (!parse(argc, argv, &o, &bad))
        return usage(bad);
    if (o.isa && !tri_isa_find(o.isa))
        return usage(o.isa);
    if (!o.list)
        printf("seed %llu\n", (unsigned long long)o.seed);
    for (const struct tri_kernel *kernel = tri_kernels; kernel->name; kernel++) {
        if (!wanted(&o, kernel))
            continue;
        if (o.list)
            puts(kernel->name);
        else if (!tri_isa_find(kernel->isa)->present())
            skipped++;
        else
            checked++, failed += in_child(&o, kernel) != TRI_OK;
    }
    if (o.list)
        return TRI_OK;
    if (skipped)
        printf("skipped %d kernels: this CPU or its system lacks %s\n", skipped, o.isa ? o.isa : "their ISAs");
    printf("%d kernels checked, %d failed\n", checked, failed);
    if (o.bench && failed)
        fprintf(stderr, "check: nothing is timed while a kernel is wrong\n");
    for (const struct tri_kernel *kernel = tri_kernels; o.bench && !failed && kernel->name; kernel++)
        if (!takes_list(kernel) && wanted(&o, kernel) && tri_isa_find(kernel->isa)->present())
            time_kernel(kernel);
    return failed ? TRI_WRONG : checked ? TRI_OK : skipped ? SKIPPED : usage(o.kernel ? o.kernel : "");
}
