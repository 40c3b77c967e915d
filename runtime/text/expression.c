/* Owns: where the dialects of regular expressions differ. Leaves out compiling (pretokenizer.c), which finds what is
 * wrong in both. */
#include "text/expression.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Inside brackets: Unicode white space. PCRE2's own \s has U+180E too, which is none. */
#define WHITE "\\t-\\r\\x{85}\\p{Z}"

enum { MOST_GROWTH = sizeof "[^" WHITE "]" };

struct translation {
    const char *expression, *at;
    char *out;
    size_t size;
    bool set; /* inside brackets */
};

static enum tri_status refuse(const struct translation *t, const char *what, struct tri_error *e)
{
    return tri_fail(e, TRI_UNSUPPORTED,
                    "pre-tokenizer: byte %zu of its expression: %s is not supported; choose a known pre-tokenizer "
                    "instead (--pre NAME)",
                    (size_t)(t->at - t->expression), what);
}

static void put(struct translation *t, const char *text, size_t size)
{
    memcpy(t->out + t->size, text, size);
    t->size += size;
}

/* Takes `size` bytes as they are. */
static enum tri_status take(struct translation *t, size_t size)
{
    put(t, t->at, size);
    t->at += size;
    return TRI_OK;
}

static bool among(char c, const char *list)
{
    return c && strchr(list, c);
}

static bool punctuation(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Of \p{Name} and \x{Hex}. */
static enum tri_status take_braced(struct translation *t, const char *inside, struct tri_error *e)
{
    const size_t size = t->at[2] == '{' ? strspn(t->at + 3, inside) : 0;
    return size && t->at[3 + size] == '}' ? take(t, size + 4) : refuse(t, "an escape without {...}", e);
}

static enum tri_status take_escape(struct translation *t, struct tri_error *e)
{
    const char c = t->at[1];
    if (c == 'p' || c == 'P')
        return take_braced(t, LETTERS DIGITS "_", e);
    if (c == 'x')
        return take_braced(t, DIGITS "ABCDEFabcdef", e);
    if (punctuation(c) || among(c, "rntfd"))
        return take(t, 2);
    if (c != 's' && (c != 'S' || t->set))
        return refuse(t, "this escape", e);
    if (!t->set)
        put(t, c == 's' ? "[" : "[^", c == 's' ? 1 : 2);
    put(t, WHITE, sizeof WHITE - 1);
    put(t, "]", !t->set);
    t->at += 2;
    return TRI_OK;
}

static enum tri_status take_in_set(struct translation *t, struct tri_error *e)
{
    if (*t->at == '\\')
        return take_escape(t, e);
    if (*t->at == '[')
        return refuse(t, "a set within a set", e);
    if (t->at[0] == '&' && t->at[1] == '&')
        return refuse(t, "an intersection of sets", e);
    t->set = *t->at != ']';
    return take(t, 1);
}

static enum tri_status open_set(struct translation *t, struct tri_error *e)
{
    const size_t head = t->at[1] == '^' ? 2 : 1;
    if (t->at[head] == ']')
        return refuse(t, "a set that begins with ]", e);
    t->set = true;
    return take(t, head);
}

static enum tri_status open_group(struct translation *t, struct tri_error *e)
{
    static const char *const heads[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (!strncmp(t->at, heads[i], strlen(heads[i])))
            return take(t, strlen(heads[i]));
    return among(t->at[1], "?*") ? refuse(t, "this kind of group", e) : take(t, 1);
}

/* {n}, {n,} and {n,m}; what a sign behind them means differs. */
static enum tri_status take_count(struct translation *t, struct tri_error *e)
{
    const size_t least = strspn(t->at + 1, DIGITS), comma = t->at[1 + least] == ',';
    const size_t size = 1 + least + comma + (comma ? strspn(t->at + 1 + least + comma, DIGITS) : 0);
    if (!least || t->at[size] != '}' || among(t->at[size + 1], "?+*{"))
        return refuse(t, "this use of {", e);
    return take(t, size + 1);
}

static enum tri_status take_outside(struct translation *t, struct tri_error *e)
{
    switch (*t->at) {
    case '\\':
        return take_escape(t, e);
    case '[':
        return open_set(t, e);
    case '(':
        return open_group(t, e);
    case '{':
        return take_count(t, e);
    case '^':
    case '$':
    case '.':
        return refuse(t, "an unescaped ^, $ or .", e);
    default:
        return take(t, 1);
    }
}

static enum tri_status translate(struct translation *t, struct tri_error *e)
{
    while (*t->at)
        if ((t->set ? take_in_set : take_outside)(t, e) != TRI_OK)
            return e->status;
    return t->set ? refuse(t, "an open set", e) : TRI_OK;
}

char *tri_expression_translate(const char *expression, struct tri_error *e)
{
    struct translation t = {.expression = expression, .at = expression};
    const size_t size = strlen(expression);
    if (size > TRI_LONGEST_EXPRESSION) {
        tri_fail(e, TRI_UNSUPPORTED, "pre-tokenizer: an expression of %zu bytes; the limit is %d", size,
                 TRI_LONGEST_EXPRESSION);
        return NULL;
    }
    if (!(t.out = malloc(size * MOST_GROWTH + 1))) {
        tri_fail(e, TRI_NO_MEMORY, "pre-tokenizer: no memory");
        return NULL;
    }
    if (translate(&t, e) != TRI_OK) {
        free(t.out);
        return NULL;
    }
    t.out[t.size] = 0;
    return t.out;
}
