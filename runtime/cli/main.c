/* Owns: the table of subcommands, and how a failure is told. */
#include "cli/command.h"
#include "cli/quote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct tri_command *const commands[] = {
    &tri_command_run,     &tri_command_chat,     &tri_command_embed,   &tri_command_logits,   &tri_command_perplexity,
    &tri_command_tokenize,
    &tri_command_kernels, &tri_command_selftest, &tri_command_inspect, &tri_command_bench,   &tri_command_roofline,
    &tri_command_synth,   &tri_command_convert, &tri_command_pull,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to)
{
    fprintf(to, "tritune: ternary language models on this CPU\n\n"
                "usage: tritune SUBCOMMAND [options]\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\n`tritune SUBCOMMAND --help` lists its options. Exit codes: 0 done, 1 failed, "
                "2 usage,\n3 bad file, 4 unsupported, 5 out of memory, 6 verification failed, "
                "130 interrupted.\n");
}

static const struct tri_command *named(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* A full disk behind stdout must not look like success. */
static enum tri_status written(enum tri_status status, struct tri_error *e)
{
    bool good = fflush(stdout) == 0 && !ferror(stdout);
    if (good || status != TRI_OK)
        return status;
    return tri_fail(e, TRI_FAILED, "standard output cannot be written: %s", strerror(errno));
}

static int run(const struct tri_command *c, int argc, char **argv)
{
    struct tri_error e;
    enum tri_status status = written(c->run(argc, argv, &e), &e);
    if (status != TRI_OK)
        tri_print_failure(c->name, e.text);
    return (int)status;
}

/* What was asked about the program itself. */
static int tell(const char *word)
{
    struct tri_error e = {0};
    if (strcmp(word, "--version") == 0)
        printf("tritune %s\n", TRI_VERSION);
    else
        print_usage(stdout);
    if (written(TRI_OK, &e) != TRI_OK)
        tri_print_failure(word, e.text);
    return (int)e.status;
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the system's limit is an error with a name, not the end */
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        print_usage(stderr);
        return TRI_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "--version") == 0)
        return tell(word);
    const struct tri_command *c = named(word);
    if (c)
        return run(c, argc - 1, argv + 1);
    fprintf(stderr, "tritune: unknown subcommand \"%s\"\n\n", word);
    print_usage(stderr);
    return TRI_USAGE;
}
