/* Owns: what `tritune bench` says on stderr while it runs, and how long that will take. */
#include "cli/bench.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* "12 s", "3 min", "2.5 h" */
static void name_time(double seconds, char *out, size_t room)
{
    if (seconds < 99.5)
        snprintf(out, room, "%.0f s", fmax(seconds, 1));
    else if (seconds < 99.5 * 60)
        snprintf(out, room, "%.0f min", seconds / 60);
    else
        snprintf(out, room, "%.1f h", seconds / 3600);
}

/* From this row of this round on, which is not the warm-up. */
static double seconds_left(const struct tri_bench *b, int round, int row)
{
    double sum = 0;
    for (int i = 0; i < b->rows; i++)
        sum += b->row[i].seconds * (b->repetitions - round + (i >= row));
    return sum;
}

void tri_bench_say_estimate(const struct tri_bench *b)
{
    char time[32];
    name_time(seconds_left(b, 1, 0), time, sizeof time);
    fprintf(stderr, "%s%d test%s, %d repetition%s each: about %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", b->rows,
            b->rows == 1 ? "" : "s", b->repetitions, b->repetitions == 1 ? "" : "s", time);
}

void tri_bench_say_progress(const struct tri_bench *b, int round, int row)
{
    char time[32];
    if (!isatty(STDERR_FILENO))
        return;
    if (round == 0) {
        fprintf(stderr, "\rwarming up, test %d of %d\033[K", row + 1, b->rows);
        return;
    }
    name_time(seconds_left(b, round, row), time, sizeof time);
    fprintf(stderr, "\rrepetition %d of %d, test %d of %d, about %s left\033[K", round, b->repetitions, row + 1,
            b->rows, time);
}

void tri_bench_end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}
