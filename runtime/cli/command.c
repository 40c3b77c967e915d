/* Owns: the parsing of options from a command's table, its help, and what is said about mistakes.
 */
#include "cli/command.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 34, LONGEST_NAME = 64 };

static bool ends(const struct tri_option *o)
{
    return !o->short_name && !o->long_name;
}

/* -- names ------------------------------------------------------------- */

/* The first of comma-separated names, its length in *size; NULL when there are none left. */
static const char *next_name(const char **names, size_t *size)
{
    const char *at = *names;
    if (!at || !*at)
        return NULL;
    *size = strcspn(at, ",");
    *names = at + *size + (at[*size] == ',');
    return at;
}

static bool among(const char *names, const char *word, size_t word_size)
{
    size_t size;
    for (const char *at; (at = next_name(&names, &size));)
        if (size == word_size && memcmp(at, word, size) == 0)
            return true;
    return false;
}

static const struct tri_option *find(const struct tri_option *options, const char *word,
                                     size_t size)
{
    for (const struct tri_option *o = options; !ends(o); o++)
        if (among(o->short_name, word, size) || among(o->long_name, word, size))
            return o;
    return NULL;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Letters to insert, drop, change, or swap with the next, to make one name of the other. */
static int distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int d[LONGEST_NAME + 1][LONGEST_NAME + 1] = {{0}}; /* between the first i letters of a and j of b */
    if (a_size > LONGEST_NAME || b_size > LONGEST_NAME)
        return INT_MAX;
    for (size_t i = 0; i <= a_size; i++)
        for (size_t j = 0; j <= b_size; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a_size][b_size];
}

static enum tri_status unknown(const struct tri_command *c, const struct tri_option *options,
                               const char *word, size_t word_size, struct tri_error *e)
{
    const char *nearest = NULL;
    size_t nearest_size = 0, size;
    int best = word_size < 6 ? 2 : 4; /* farther off, a guess would only puzzle */
    for (const struct tri_option *o = options; !ends(o); o++)
        for (int which = 0; which < 2; which++) {
            const char *names = which ? o->long_name : o->short_name;
            for (const char *at; (at = next_name(&names, &size));) {
                int d = distance(word, word_size, at, size);
                if (d < best) {
                    best = d;
                    nearest = at;
                    nearest_size = size;
                }
            }
        }
    if (nearest)
        return tri_fail(e, TRI_USAGE, "unknown option %.*s; did you mean %.*s?", (int)word_size,
                        word, (int)nearest_size, nearest);
    return tri_fail(e, TRI_USAGE, "unknown option %.*s; `tritune %s --help` lists those there are",
                    (int)word_size, word, c->name);
}

/* -- values ------------------------------------------------------------ */

static enum tri_status read_number(const struct tri_option *o, const char *word, const char *text,
                                   struct tri_error *e)
{
    char *end;
    errno = 0;
    double value = o->kind == TRI_INT ? (double)strtoll(text, &end, 10) : strtod(text, &end);
    bool whole = o->kind == TRI_INT;
    if (end == text || *end || !isfinite(value))
        return tri_fail(e, TRI_USAGE, "option %s: expected %s, found \"%s\"", word,
                        whole ? "a whole number" : "a number", text);
    bool limited = o->least != 0 || o->most != 0;
    double least = limited ? o->least : whole ? INT_MIN : -HUGE_VALF;
    double most = limited ? o->most : whole ? INT_MAX : HUGE_VALF;
    if (errno || value < least || value > most)
        return tri_fail(e, TRI_USAGE, "option %s: expected %.9g to %.9g, found %s", word, least,
                        most, text);
    if (whole)
        *(int *)o->into = (int)value;
    else
        *(float *)o->into = (float)value;
    return TRI_OK;
}

static enum tri_status add_text(struct tri_texts *texts, const char *word, const char *text, struct tri_error *e)
{
    if (texts->count == TRI_MOST_TEXTS)
        return tri_fail(e, TRI_USAGE, "option %s: expected it at most %d times, found more", word, TRI_MOST_TEXTS);
    texts->at[texts->count++] = text;
    return TRI_OK;
}

static enum tri_status set(const struct tri_option *o, const char *word, const char *text,
                           struct tri_error *e)
{
    switch (o->kind) {
    case TRI_FLAG:
        *(bool *)o->into = true;
        return TRI_OK;
    case TRI_TEXT:
        *(const char **)o->into = text;
        return TRI_OK;
    case TRI_TEXTS:
        return add_text(o->into, word, text, e);
    default:
        return read_number(o, word, text, e);
    }
}

/* -- help -------------------------------------------------------------- */

static void print_names(const struct tri_option *o, char *out, size_t room)
{
    const char *lists[] = {o->short_name, o->long_name};
    size_t size, n = 0;
    out[0] = 0;
    for (int i = 0; i < 2; i++)
        for (const char *at; (at = next_name(&lists[i], &size)) && n < room;)
            n += (size_t)snprintf(out + n, room - n, "%s%.*s", n ? ", " : "", (int)size, at);
    if (o->value_name && n < room)
        snprintf(out + n, room - n, " %s", o->value_name);
}

static void print_help(const struct tri_command *c, const struct tri_option *options)
{
    char names[160];
    printf("tritune %s: %s\n\nusage: tritune %s %s\n\n", c->name, c->summary, c->name, c->usage);
    for (const struct tri_option *o = options; !ends(o); o++) {
        if (!o->help)
            continue;
        print_names(o, names, sizeof names);
        if (strlen(names) + 2 < HELP_COLUMN)
            printf("  %-*s%s\n", HELP_COLUMN - 2, names, o->help);
        else
            printf("  %s\n%*s%s\n", names, HELP_COLUMN, "", o->help);
    }
    printf("  %-*s%s\n", HELP_COLUMN - 2, "-h, --help", "this text");
}

/* -- parsing ----------------------------------------------------------- */

struct parser {
    const struct tri_command *c;
    const struct tri_option *options;
    int argc;
    char **argv;
    int at; /* the next word */
};

/* One option, its value behind it or after `=` in the same word. */
static enum tri_status take_option(struct parser *p, const char *word, struct tri_error *e)
{
    size_t size = word[1] == '-' ? strcspn(word, "=") : strlen(word);
    const struct tri_option *o = find(p->options, word, size);
    const char *value = word[size] ? word + size + 1 : NULL;
    if (!o)
        return unknown(p->c, p->options, word, size, e);
    if (o->kind == TRI_FLAG && value)
        return tri_fail(e, TRI_USAGE, "option %.*s: expected no value, found \"%s\"", (int)size,
                        word, value);
    if (o->kind != TRI_FLAG && !value) {
        if (p->at == p->argc)
            return tri_fail(e, TRI_USAGE, "option %s: expected %s behind it, found nothing", word,
                            o->value_name);
        value = p->argv[p->at++];
    }
    return set(o, word, value, e);
}

static bool asks_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

enum tri_status tri_parse(const struct tri_command *c, const struct tri_option *options, int argc,
                          char **argv, int *operands, bool *helped, struct tri_error *e)
{
    struct parser p = {.c = c, .options = options, .argc = argc, .argv = argv, .at = 1};
    int most = *operands, kept = 0;
    bool words_only = false;
    *helped = false;
    while (p.at < argc) {
        char *word = argv[p.at++];
        if (!words_only && strcmp(word, "--") == 0) {
            words_only = true;
        } else if (!words_only && asks_help(word)) {
            print_help(c, options);
            *helped = true;
            return TRI_OK;
        } else if (!words_only && word[0] == '-' && word[1]) {
            if (take_option(&p, word, e) != TRI_OK)
                return e->status;
        } else if (kept == most) {
            return tri_fail(e, TRI_USAGE, "unexpected word \"%s\"; usage: tritune %s %s", word,
                            c->name, c->usage);
        } else {
            argv[++kept] = word;
        }
    }
    *operands = kept;
    return TRI_OK;
}
