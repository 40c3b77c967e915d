/* Text of unknown origin, made fit for a terminal or for JSON. */
#ifndef TRI_QUOTE_H
#define TRI_QUOTE_H

#include "file/gguf.h"

#include <jansson.h>

/* Prints to stdout in double quotes, at most about `most` bytes of it (then "..."): whole printable
 * UTF-8 as it is, everything else as \n, \t, \xNN. Returns the columns taken, roughly. */
int tri_print_quoted(struct tri_text text, size_t most);
/* The same without quotes and dots. */
int tri_print_escaped(struct tri_text text, size_t most);
/* At most 400 bytes of it, likewise. */
void tri_print_text(const char *text);

/* Prints "tritune COMMAND: TEXT" and a newline to stderr, where what no terminal should be sent is \n, \t, \xNN: errors
 * quote files, which may hold anything. */
void tri_print_failure(const char *command, const char *text);

/* The whole text as a JSON string; a byte that is no UTF-8 becomes U+FFFD. NULL: no memory. */
json_t *tri_json_text(struct tri_text text);
json_t *tri_json_string(const char *text);

#endif
