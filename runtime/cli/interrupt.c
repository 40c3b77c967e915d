/* Owns: the handler of SIGINT. */
#define _GNU_SOURCE
#include "cli/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t interrupted;

static void note(int number)
{
    (void)number;
    interrupted = 1;
}

void tri_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &action, NULL);
}

void tri_release_interrupt(void)
{
    signal(SIGINT, SIG_DFL);
    interrupted = 0;
}

bool tri_interrupted(void)
{
    return interrupted;
}

enum tri_status tri_fail_interrupted(struct tri_error *e)
{
    return tri_fail(e, TRI_INTERRUPTED, "interrupted");
}
