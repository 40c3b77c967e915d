/* Lines from the terminal, with editing and a history where libedit was there at build time; else, and from a pipe or a
 * file, as they come.
 *
 *     struct tri_lines *l = tri_lines_open("tritune", &e);
 *     while (tri_lines_read(l, "> ", &line, &e) == TRI_OK && line) ...
 *     tri_lines_close(l); */
#ifndef TRI_LINE_H
#define TRI_LINE_H

#include "base/error.h"

struct tri_lines;

/* Of standard input. The history is kept in $XDG_STATE_HOME/tritune/NAME (~/.local/state), if it can be. */
struct tri_lines *tri_lines_open(const char *name, struct tri_error *e);
void tri_lines_close(struct tri_lines *l);

/* Whether somebody types. */
bool tri_lines_typed(const struct tri_lines *l);

/* The next line without its newline, valid until the next call; NULL at the end of input, as at Ctrl-D. A prompt is
 * shown to who types. TRI_FAILED if input cannot be read, or a line is longer than 1 MiB. */
enum tri_status tri_lines_read(struct tri_lines *l, const char *prompt, const char **line, struct tri_error *e);

#endif
