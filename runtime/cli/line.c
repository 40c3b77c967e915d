/* Owns: reading lines, and where their history lies. */
#define _GNU_SOURCE
#include "cli/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef TRI_LIBEDIT
#include <histedit.h>
#endif

enum { LONGEST = 1 << 20, REMEMBERED = 1000 /* lines of history */ };

struct tri_lines {
    char *line;
    size_t room;
    bool typed;
    const char *prompt;
#ifdef TRI_LIBEDIT
    EditLine *editor; /* NULL: lines come as they are */
    History *history;
    char *path; /* of the history, NULL: nowhere */
#endif
};

/* -- with an editor ---------------------------------------------------- */

#ifdef TRI_LIBEDIT

/* Every folder above the file, for its owner alone. */
static bool make_folders(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        const bool there = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!there)
            return false;
    }
    return true;
}

/* NULL: nowhere. */
static char *history_path(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const bool own = state && *state == '/';
    char *path = NULL;
    if (!own && !(home && *home == '/'))
        return NULL;
    if (asprintf(&path, "%s%s/tritune/%s", own ? state : home, own ? "" : "/.local/state", name) < 0)
        return NULL;
    if (make_folders(path))
        return path;
    free(path);
    return NULL;
}

static char *show_prompt(EditLine *editor)
{
    struct tri_lines *l;
    el_get(editor, EL_CLIENTDATA, &l);
    return (char *)l->prompt;
}

static void open_history(struct tri_lines *l, const char *name)
{
    HistEvent event;
    l->history = history_init();
    l->path = history_path(name);
    if (!l->history)
        return;
    history(l->history, &event, H_SETSIZE, REMEMBERED);
    history(l->history, &event, H_SETUNIQUE, 1);
    if (l->path)
        history(l->history, &event, H_LOAD, l->path);
    el_set(l->editor, EL_HIST, history, l->history);
}

static void open_editor(struct tri_lines *l, const char *name)
{
    l->editor = el_init("tritune", stdin, stdout, stderr);
    if (!l->editor)
        return;
    el_set(l->editor, EL_CLIENTDATA, l);
    el_set(l->editor, EL_PROMPT, show_prompt);
    el_set(l->editor, EL_EDITOR, "emacs");
    el_set(l->editor, EL_SIGNAL, 1); /* leaves the terminal as it was, whatever ends the program */
    open_history(l, name);
    el_source(l->editor, NULL); /* the user's ~/.editrc */
}

static void close_editor(struct tri_lines *l)
{
    if (l->history)
        history_end(l->history);
    if (l->editor)
        el_end(l->editor);
    free(l->path);
}

static void remember(struct tri_lines *l, const char *line)
{
    HistEvent event;
    if (!l->history || !line[strspn(line, " \t\n")])
        return;
    history(l->history, &event, H_ENTER, line);
    if (l->path && history(l->history, &event, H_SAVE, l->path) >= 0)
        chmod(l->path, 0600);
}

/* The line with its newline, its length in *size; NULL at the end. */
static const char *edit(struct tri_lines *l, size_t *size)
{
    int count = 0;
    const char *line = el_gets(l->editor, &count);
    if (!line || count <= 0) {
        putchar('\n');
        return NULL;
    }
    *size = (size_t)count;
    remember(l, line);
    return line;
}

#endif

/* -- lines ------------------------------------------------------------- */

struct tri_lines *tri_lines_open(const char *name, struct tri_error *e)
{
    struct tri_lines *l = calloc(1, sizeof *l);
    if (!l) {
        tri_fail(e, TRI_NO_MEMORY, "input: no memory");
        return NULL;
    }
    l->typed = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
#ifdef TRI_LIBEDIT
    if (l->typed)
        open_editor(l, name);
#else
    (void)name;
    if (l->typed)
        fprintf(stderr,
                "tritune: built without libedit (libedit-dev): lines cannot be edited, and there is no history\n");
#endif
    return l;
}

void tri_lines_close(struct tri_lines *l)
{
    if (!l)
        return;
#ifdef TRI_LIBEDIT
    close_editor(l);
#endif
    free(l->line);
    free(l);
}

bool tri_lines_typed(const struct tri_lines *l)
{
    return l->typed;
}

/* For a line of `size` bytes and its end. */
static enum tri_status make_room(struct tri_lines *l, size_t size, struct tri_error *e)
{
    if (size >= LONGEST)
        return tri_fail(e, TRI_FAILED, "standard input: expected lines below %d bytes, found a longer one", LONGEST);
    if (size < l->room)
        return TRI_OK;
    char *grown = realloc(l->line, 2 * size + 64);
    if (!grown)
        return tri_fail(e, TRI_NO_MEMORY, "standard input: no memory for a line of %zu bytes", size);
    l->line = grown;
    l->room = 2 * size + 64;
    return TRI_OK;
}

static void end_line(struct tri_lines *l, size_t size)
{
    l->line[size] = '\0';
    l->line[strcspn(l->line, "\r\n")] = '\0';
}

/* Not by getline, which takes all memory for a line without an end. */
static enum tri_status read_plain(struct tri_lines *l, const char **line, struct tri_error *e)
{
    size_t size = 0;
    if (l->typed) {
        fputs(l->prompt, stdout);
        fflush(stdout);
    }
    errno = 0;
    for (int c = 0; c != '\n' && (c = getc(stdin)) != EOF;) {
        if (make_room(l, size, e) != TRI_OK)
            return e->status;
        l->line[size++] = (char)c;
    }
    if (ferror(stdin))
        return tri_fail(e, TRI_FAILED, "standard input cannot be read: %s", strerror(errno));
    if (size == 0)
        return TRI_OK;
    if (make_room(l, size, e) != TRI_OK)
        return e->status;
    end_line(l, size);
    *line = l->line;
    return TRI_OK;
}

enum tri_status tri_lines_read(struct tri_lines *l, const char *prompt, const char **line, struct tri_error *e)
{
    *line = NULL;
    l->prompt = prompt;
#ifdef TRI_LIBEDIT
    size_t size = 0;
    const char *edited = l->editor ? edit(l, &size) : NULL;
    if (l->editor) {
        if (!edited)
            return TRI_OK;
        if (make_room(l, size, e) != TRI_OK)
            return e->status;
        memcpy(l->line, edited, size); /* which is the editor's own */
        end_line(l, size);
        *line = l->line;
        return TRI_OK;
    }
#endif
    return read_plain(l, line, e);
}
