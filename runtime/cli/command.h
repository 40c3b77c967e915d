/* Subcommands and their options. One table of options feeds parsing, --help and the usage errors; one
 * file per subcommand. Data goes to stdout, everything else to stderr. */
#ifndef TRI_COMMAND_H
#define TRI_COMMAND_H

#include "base/error.h"

#include <stdbool.h>

enum tri_option_kind { TRI_FLAG, TRI_INT, TRI_FLOAT, TRI_TEXT, TRI_TEXTS };

/* Of an option that may be given several times: its values in order. */
enum { TRI_MOST_TEXTS = 64 };
struct tri_texts {
    const char *at[TRI_MOST_TEXTS];
    int count;
};

/* An option writes where `into` points: bool, int, float, const char * or struct tri_texts by kind. Ints and floats are
 * refused outside [least, most] (both 0: unlimited). `short_name` or `long_name` may be NULL; a long_name
 * may hold aliases separated by commas: "--predict,--n-predict". Names as llama.cpp spells them. Without `help`
 * --help leaves it out: another spelling of the one before in the command's own terms, or one that the command knows
 * only to say what there is instead. */
struct tri_option {
    const char *short_name, *long_name;
    enum tri_option_kind kind;
    const char *value_name, *help;
    void *into;
    double least, most;
};

struct tri_command {
    const char *name, *summary;
    const char *usage; /* what follows the name: "[-m FILE] -p TEXT" */
    enum tri_status (*run)(int argc, char **argv, struct tri_error *e);
};

extern const struct tri_command tri_command_run, tri_command_chat, tri_command_embed, tri_command_logits,
    tri_command_perplexity, tri_command_tokenize,
    tri_command_kernels, tri_command_selftest, tri_command_inspect, tri_command_bench, tri_command_roofline,
    tri_command_synth, tri_command_convert, tri_command_pull;

/* Parses argv[1..) into the table (ended by an entry without names). At most `*operands` words that are
 * no options are moved to argv[1..]; *operands becomes their number. On --help prints the command's
 * help to stdout and sets *helped: the command returns TRI_OK at once. Errors are TRI_USAGE and name the option. */
enum tri_status tri_parse(const struct tri_command *c, const struct tri_option *options, int argc, char **argv,
                          int *operands, bool *helped, struct tri_error *e);

#endif
