/* Owns: templates to trees: texts between tags and what is trimmed of them, tags, expressions. Leaves out what they
 * mean (jinja_eval.c). */
#define _GNU_SOURCE
#include "text/jinja_tree.h"

#include <string.h>

enum token { END_OF_TAG, NAME, STRING, INTEGER, SIGN };

struct parser {
    struct tri_jinja *t;
    const unsigned char *ones; /* marks of the template's own text */
    size_t at;                 /* behind the token */
    enum token token;
    size_t from;           /* where it begins */
    struct tri_jtext text; /* its characters; of a string, unescaped */
    int64_t integer;
    int braces;   /* open in the tag */
    char closing; /* of the tag: '}' or '%' */
    enum { TRIM_NOTHING, TRIM_NEWLINE, TRIM_ALL } trim; /* of the text behind it */
    int depth;
    struct tri_error *e;
};

/* -- tools ------------------------------------------------------------- */

static void *fail(struct parser *p, size_t offset, const char *expected, const char *found, size_t size)
{
    tri_jinja_fail(p->t, offset, p->e, "expected %s, found \"%.*s\"", expected, (int)(size < 40 ? size : 40), found);
    return NULL;
}

static void *unexpected(struct parser *p, const char *expected)
{
    if (p->token == END_OF_TAG) {
        tri_jinja_fail(p->t, p->from, p->e, "expected %s, found the end of the %s", expected,
                       p->from < p->t->size ? "tag" : "template");
        return NULL;
    }
    return fail(p, p->from, expected, p->t->text + p->from, p->at - p->from);
}

static void *take(struct parser *p, size_t size)
{
    void *at = tri_arena_take(&p->t->arena, size);
    if (!at)
        tri_fail(p->e, TRI_NO_MEMORY, "%s: no memory for a template of %zu bytes", p->t->name, p->t->size);
    return at;
}

static struct tri_jtext own(const struct parser *p, const char *at, size_t size)
{
    return (struct tri_jtext){at, p->ones, size};
}

static struct tri_jnode *new_node(struct parser *p, enum tri_jform form, size_t offset)
{
    struct tri_jnode *n = take(p, sizeof *n);
    if (n)
        *n = (struct tri_jnode){.form = form, .offset = offset};
    return n;
}

/* Bounds what is evaluated within each other, so that no template overflows the stack. */
static struct tri_jnode *measured(struct parser *p, struct tri_jnode *n)
{
    const struct tri_jnode *within[] = {n->a, n->b, n->c, n->d};
    for (int i = 0; i < 4; i++)
        if (within[i] && within[i]->depth >= n->depth)
            n->depth = within[i]->depth + 1;
    for (const struct tri_jnode *x = n->arguments; x; x = x->next)
        if (x->depth >= n->depth)
            n->depth = x->depth + 1;
    if (n->depth <= TRI_J_DEPTH)
        return n;
    tri_jinja_fail(p->t, n->offset, p->e, "expected an expression nested at most %d deep, found a deeper one",
                   TRI_J_DEPTH);
    return NULL;
}

static bool deeper(struct parser *p)
{
    if (++p->depth <= TRI_J_DEPTH)
        return true;
    tri_jinja_fail(p->t, p->at, p->e, "expected at most %d levels of nesting, found more", TRI_J_DEPTH);
    return false;
}

/* -- tokens of tags ---------------------------------------------------- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char peek(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->t->size ? p->t->text[p->at + ahead] : '\0';
}

static bool closes(const struct parser *p, size_t at)
{
    return p->braces == 0 && peek(p, at) == p->closing && peek(p, at + 1) == '}';
}

static char unescaped(char c)
{
    static const char from[] = "ntrbf0", to[] = "\n\t\r\b\f\0";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : c;
}

static bool read_string(struct parser *p)
{
    const char quote = peek(p, 0);
    size_t end = p->at + 1, size = 0;
    while (end < p->t->size && p->t->text[end] != quote)
        end += p->t->text[end] == '\\' ? 2 : 1;
    if (end >= p->t->size)
        return fail(p, p->from, "the end of the string", "the end of the template", 23);
    char *out = take(p, end - p->at);
    for (size_t i = p->at + 1; out && i < end; i++) {
        const char *s = p->t->text + i;
        const bool known = *s == '\\' && s[1] && strchr("ntrbf0\\'\"", s[1]);
        out[size++] = known ? unescaped(s[1]) : *s;
        i += known;
    }
    p->at = end + 1;
    p->text = own(p, out, size);
    p->token = STRING;
    return out;
}

static bool read_integer(struct parser *p)
{
    p->token = INTEGER;
    p->integer = 0;
    for (; digit(peek(p, 0)); p->at++)
        if (__builtin_mul_overflow(p->integer, 10, &p->integer) ||
            __builtin_add_overflow(p->integer, peek(p, 0) - '0', &p->integer))
            return fail(p, p->from, "an integer below 2^63", p->t->text + p->from, p->at - p->from);
    return !(peek(p, 0) == '.' && digit(peek(p, 1))) || fail(p, p->from, "an integer", "a float", 7);
}

static bool read_sign(struct parser *p)
{
    static const char *const twos[] = {"==", "!=", "<=", ">=", "//", "**"};
    const char c = peek(p, 0);
    size_t size = 1;
    p->token = SIGN;
    if (!c || !strchr("+-*/%~<>=!()[]{},:.|", c))
        return fail(p, p->at, "an expression or the end of the tag",
                    p->at < p->t->size ? p->t->text + p->at : "the end", p->at < p->t->size ? 1 : 7);
    for (size_t i = 0; i < sizeof twos / sizeof *twos; i++)
        if (c == twos[i][0] && peek(p, 1) == twos[i][1])
            size = 2;
    p->braces += (c == '{') - (c == '}');
    p->at += size;
    return true;
}

/* The end of a tag, and what it trims of the text behind it. */
static bool read_end(struct parser *p)
{
    const char c = peek(p, 0);
    const bool control = (c == '-' || c == '+') && closes(p, 1);
    if (!control && !closes(p, 0))
        return false;
    p->token = END_OF_TAG;
    p->at += control ? 3 : 2;
    p->trim = control && c == '-' ? TRIM_ALL : p->closing == '%' && !control ? TRIM_NEWLINE : TRIM_NOTHING;
    return true;
}

static bool next(struct parser *p)
{
    while (blank(peek(p, 0)))
        p->at++;
    p->from = p->at;
    if (read_end(p))
        return true;
    const char c = peek(p, 0);
    if (c == '"' || c == '\'')
        return read_string(p);
    if (digit(c))
        return read_integer(p);
    if (!letter(c)) {
        const bool good = read_sign(p);
        p->text = own(p, p->t->text + p->from, p->at - p->from);
        return good;
    }
    while (letter(peek(p, 0)) || digit(peek(p, 0)))
        p->at++;
    p->token = NAME;
    p->text = own(p, p->t->text + p->from, p->at - p->from);
    return true;
}

static bool is(const struct parser *p, const char *word)
{
    return (p->token == NAME || p->token == SIGN) && tri_jtext_is(p->text, word);
}

/* Goes on behind the word; false with an error if something else stands there. */
static bool expect(struct parser *p, const char *word)
{
    char quoted[16] = "\"";
    if (is(p, word))
        return next(p);
    strcat(strcat(quoted, word), "\"");
    return unexpected(p, quoted);
}

static bool reserved(const struct parser *p)
{
    static const char *const words[] = {"if", "else", "and", "or", "not", "in", "is", "for"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is(p, words[i]))
            return true;
    return false;
}

static bool take_name(struct parser *p, struct tri_jtext *name)
{
    if (p->token != NAME || reserved(p))
        return unexpected(p, "a name");
    *name = p->text;
    return next(p);
}

/* -- expressions ------------------------------------------------------- */

static struct tri_jnode *expression(struct parser *p);

/* `word` decides what closes the list; of a call, arguments may have names. */
static bool arguments(struct parser *p, const char *end, bool named, struct tri_jnode **first)
{
    for (struct tri_jnode **to = first; !is(p, end); to = &(*to)->next) {
        struct tri_jnode *x = *to = new_node(p, TRI_J_ARGUMENT, p->from);
        if (!x || !(x->a = expression(p)))
            return false;
        if (named && is(p, "=") && x->a->form == TRI_J_NAME) {
            x->name = x->a->name;
            if (!next(p) || !(x->a = expression(p)))
                return false;
        }
        if (!measured(p, x) || (!is(p, end) && !expect(p, ",")))
            return false;
    }
    return next(p);
}

static struct tri_jnode *pairs(struct parser *p)
{
    struct tri_jnode *n = new_node(p, TRI_J_PAIRS, p->from);
    if (!n || !next(p))
        return NULL;
    for (struct tri_jnode **to = &n->arguments; !is(p, "}"); to = &(*to)->next) {
        struct tri_jnode *x = *to = new_node(p, TRI_J_ARGUMENT, p->from);
        if (!x || !(x->b = expression(p)) || !expect(p, ":") || !(x->a = expression(p)) || !measured(p, x) ||
            (!is(p, "}") && !expect(p, ",")))
            return NULL;
    }
    return next(p) ? measured(p, n) : NULL;
}

/* A group, or with a comma in it a tuple, which is a list here. */
static struct tri_jnode *group(struct parser *p)
{
    struct tri_jnode *n = new_node(p, TRI_J_LISTED, p->from), *first;
    if (!n || !next(p))
        return NULL;
    if (is(p, ")"))
        return next(p) ? n : NULL;
    if (!(first = expression(p)))
        return NULL;
    if (is(p, ")"))
        return next(p) ? first : NULL;
    if (!(n->arguments = new_node(p, TRI_J_ARGUMENT, first->offset)) || !expect(p, ","))
        return NULL;
    n->arguments->a = first;
    return measured(p, n->arguments) && arguments(p, ")", false, &n->arguments->next) ? measured(p, n) : NULL;
}

static struct tri_jnode *literal(struct parser *p, struct tri_jvalue value)
{
    struct tri_jnode *n = new_node(p, TRI_J_LITERAL, p->from);
    if (n)
        n->literal = value;
    return n && next(p) ? n : NULL;
}

static struct tri_jnode *named(struct parser *p)
{
    static const struct {
        const char *word;
        struct tri_jvalue value;
    } constants[] = {
        {"true", {.kind = TRI_J_BOOL, .truth = true}}, {"True", {.kind = TRI_J_BOOL, .truth = true}},
        {"false", {.kind = TRI_J_BOOL}},               {"False", {.kind = TRI_J_BOOL}},
        {"none", {.kind = TRI_J_NONE}},                {"None", {.kind = TRI_J_NONE}},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (is(p, constants[i].word))
            return literal(p, constants[i].value);
    struct tri_jnode *n = new_node(p, TRI_J_NAME, p->from);
    return n && take_name(p, &n->name) ? n : NULL;
}

static struct tri_jnode *primary(struct parser *p)
{
    if (p->token == STRING)
        return literal(p, tri_jstring(p->text));
    if (p->token == INTEGER)
        return literal(p, tri_jint(p->integer));
    if (is(p, "("))
        return group(p);
    if (is(p, "{"))
        return pairs(p);
    if (is(p, "[")) {
        struct tri_jnode *n = new_node(p, TRI_J_LISTED, p->from);
        return n && next(p) && arguments(p, "]", false, &n->arguments) ? measured(p, n) : NULL;
    }
    return p->token == NAME && !reserved(p) ? named(p) : unexpected(p, "an expression");
}

static struct tri_jnode *subscript(struct parser *p, struct tri_jnode *a)
{
    struct tri_jnode *n = new_node(p, TRI_J_INDEX, p->from);
    if (!n || !next(p))
        return NULL;
    n->a = a;
    struct tri_jnode **part[] = {&n->b, &n->c, &n->d};
    for (int i = 0; i < 3; i++) {
        if (!is(p, ":") && !is(p, "]") && !(*part[i] = expression(p)))
            return NULL;
        if (!is(p, ":") || i == 2)
            break;
        n->form = TRI_J_SLICE;
        if (!next(p))
            return NULL;
    }
    if (n->form == TRI_J_INDEX && !n->b)
        return unexpected(p, "an index");
    return expect(p, "]") ? measured(p, n) : NULL;
}

static struct tri_jnode *attribute(struct parser *p, struct tri_jnode *a)
{
    struct tri_jnode *n = new_node(p, TRI_J_ATTRIBUTE, p->from);
    if (!n || !next(p) || p->token != NAME)
        return n ? unexpected(p, "a name") : NULL;
    n->a = a;
    n->name = p->text; /* reserved words, too */
    return next(p) ? measured(p, n) : NULL;
}

static struct tri_jnode *call(struct parser *p, struct tri_jnode *a)
{
    struct tri_jnode *n = new_node(p, TRI_J_CALL, a->offset);
    if (!n)
        return NULL;
    if (a->form != TRI_J_NAME && a->form != TRI_J_ATTRIBUTE)
        return unexpected(p, "a name before the arguments");
    n->a = a->form == TRI_J_NAME ? NULL : a->a;
    n->name = a->name;
    return next(p) && arguments(p, ")", true, &n->arguments) ? measured(p, n) : NULL;
}

static struct tri_jnode *filter(struct parser *p, struct tri_jnode *a)
{
    struct tri_jnode *n = new_node(p, TRI_J_FILTER, p->from);
    if (!n || !next(p) || !take_name(p, &n->name))
        return NULL;
    n->a = a;
    if (is(p, "(") && (!next(p) || !arguments(p, ")", true, &n->arguments)))
        return NULL;
    return measured(p, n);
}

static struct tri_jnode *test(struct parser *p, struct tri_jnode *a)
{
    struct tri_jnode *n = new_node(p, TRI_J_TEST, p->from);
    if (!n || !next(p))
        return NULL;
    n->negated = is(p, "not");
    if ((n->negated && !next(p)) || p->token != NAME)
        return p->token == NAME ? NULL : unexpected(p, "the name of a test");
    n->a = a;
    n->name = p->text;
    if (!next(p) || (is(p, "(") && (!next(p) || !arguments(p, ")", true, &n->arguments))))
        return NULL;
    return measured(p, n);
}

/* A primary and what stands behind it, which binds tightest: .name [index] (arguments) |filter, is test. */
static struct tri_jnode *postfix(struct parser *p)
{
    static const struct {
        const char *word;
        struct tri_jnode *(*parse)(struct parser *p, struct tri_jnode *a);
    } forms[] = {{".", attribute}, {"[", subscript}, {"(", call}, {"|", filter}, {"is", test}};
    enum { FORMS = sizeof forms / sizeof *forms };
    struct tri_jnode *n = primary(p);
    for (int i = 0; n && i < FORMS;) {
        i = 0;
        while (i < FORMS && !is(p, forms[i].word))
            i++;
        if (i < FORMS)
            n = forms[i].parse(p, n);
    }
    return n;
}

static struct tri_jnode *unary(struct parser *p, const char *word, enum tri_jform form,
                               struct tri_jnode *(*operand)(struct parser *p))
{
    if (!is(p, word))
        return operand(p);
    struct tri_jnode *n = new_node(p, form, p->from);
    if (!n || !deeper(p) || !next(p) || !(n->a = unary(p, word, form, operand)))
        return NULL;
    p->depth--;
    return measured(p, n);
}

static struct tri_jnode *negation(struct parser *p)
{
    return unary(p, "-", TRI_J_NEGATE, postfix);
}

/* Binary operators, the loosest first. */
static const struct {
    const char *word;
    enum tri_jform form;
    enum tri_joperator operator;
    int level;
} operators[] = {
    {"or", TRI_J_OR, 0, 0},
    {"and", TRI_J_AND, 0, 1},
    {"==", TRI_J_BINARY, TRI_J_EQUAL, 2},
    {"!=", TRI_J_BINARY, TRI_J_UNEQUAL, 2},
    {"<", TRI_J_BINARY, TRI_J_LESS, 2},
    {"<=", TRI_J_BINARY, TRI_J_LESS_EQUAL, 2},
    {">", TRI_J_BINARY, TRI_J_GREATER, 2},
    {">=", TRI_J_BINARY, TRI_J_GREATER_EQUAL, 2},
    {"in", TRI_J_BINARY, TRI_J_IN, 2},
    {"not", TRI_J_BINARY, TRI_J_NOT_IN, 2},
    {"+", TRI_J_BINARY, TRI_J_ADD, 3},
    {"-", TRI_J_BINARY, TRI_J_SUBTRACT, 3},
    {"~", TRI_J_BINARY, TRI_J_JOIN, 4},
    {"*", TRI_J_BINARY, TRI_J_MULTIPLY, 5},
    {"%", TRI_J_BINARY, TRI_J_MODULO, 5},
    {"//", TRI_J_BINARY, TRI_J_DIVIDE, 5},
};
enum { OPERATORS = sizeof operators / sizeof *operators, COMPARISONS = 2, LEVELS = 6 };

static int operator_of(const struct parser *p, int level)
{
    for (int i = 0; i < OPERATORS; i++)
        if (operators[i].level == level && is(p, operators[i].word))
            return i;
    return -1;
}

static struct tri_jnode *binary(struct parser *p, int level);

static struct tri_jnode *comparison(struct parser *p)
{
    return binary(p, COMPARISONS);
}

static struct tri_jnode *operand(struct parser *p, int level)
{
    if (level == LEVELS)
        return negation(p);
    return level == COMPARISONS ? unary(p, "not", TRI_J_NOT, comparison) : binary(p, level);
}

static struct tri_jnode *binary(struct parser *p, int level)
{
    struct tri_jnode *a = operand(p, level + 1);
    for (int i, before = -1; a && (i = operator_of(p, level)) >= 0; before = i) {
        struct tri_jnode *n = new_node(p, operators[i].form, p->from);
        if (before >= 0 && level == COMPARISONS)
            return unexpected(p, "one comparison (join two by \"and\")");
        if (!n || !next(p) || (operators[i].operator == TRI_J_NOT_IN && !expect(p, "in")))
            return NULL;
        n->operator = operators[i].operator;
        n->a = a;
        a = (n->b = operand(p, level + 1)) ? measured(p, n) : NULL;
    }
    return a;
}

/* a if b else c */
static struct tri_jnode *expression(struct parser *p)
{
    struct tri_jnode *a = deeper(p) ? binary(p, 0) : NULL;
    if (a && is(p, "if")) {
        struct tri_jnode *n = new_node(p, TRI_J_CHOICE, p->from);
        if (!n || !next(p) || !(n->b = binary(p, 0)))
            return NULL;
        n->a = a;
        if (is(p, "else") && (!next(p) || !(n->c = expression(p))))
            return NULL;
        a = measured(p, n);
    }
    p->depth--;
    return a;
}

/* -- statements -------------------------------------------------------- */

static bool body(struct parser *p, struct tri_jnode **first);

static bool tag_ends(struct parser *p)
{
    return p->token == END_OF_TAG || unexpected(p, "the end of the tag");
}

/* `body` stopped at a tag's name; this one is expected there. */
static bool block_ends(struct parser *p, const char *word)
{
    return expect(p, word) && tag_ends(p);
}

static bool parse_if(struct parser *p, struct tri_jnode *n)
{
    for (;;) {
        if (!next(p) || !(n->a = expression(p)) || !measured(p, n->a) || !tag_ends(p) || !body(p, &n->b))
            return false;
        if (!is(p, "elif"))
            break;
        if (!(n->c = new_node(p, TRI_J_IF, p->from)))
            return false;
        n = n->c;
    }
    if (is(p, "else") && (!next(p) || !tag_ends(p) || !body(p, &n->c)))
        return false;
    return block_ends(p, "endif");
}

static bool parse_for(struct parser *p, struct tri_jnode *n)
{
    if (!next(p) || !take_name(p, &n->name))
        return false;
    if (is(p, ",") && (!next(p) || !take_name(p, &n->second)))
        return false;
    if (!expect(p, "in") || !(n->a = binary(p, 0)))
        return false;
    if (is(p, "if") && (!next(p) || !(n->d = binary(p, 0))))
        return false;
    if (!tag_ends(p) || !body(p, &n->b))
        return false;
    if (is(p, "else") && (!next(p) || !tag_ends(p) || !body(p, &n->c)))
        return false;
    return block_ends(p, "endfor");
}

static bool parse_set(struct parser *p, struct tri_jnode *n)
{
    if (!next(p) || !take_name(p, &n->name))
        return false;
    if (is(p, ".") && (!next(p) || !take_name(p, &n->second)))
        return false;
    return expect(p, "=") && (n->a = expression(p)) && tag_ends(p);
}

static const struct {
    const char *word;
    enum tri_jform form;
    bool (*parse)(struct parser *p, struct tri_jnode *n);
} statements[] = {{"if", TRI_J_IF, parse_if}, {"for", TRI_J_FOR, parse_for}, {"set", TRI_J_SET, parse_set}};

static bool block_word(const struct parser *p)
{
    return is(p, "elif") || is(p, "else") || is(p, "endif") || is(p, "endfor");
}

/* -- texts ------------------------------------------------------------- */

static bool print_node(struct parser *p, struct tri_jnode ***to, struct tri_jnode *of, size_t offset)
{
    struct tri_jnode *n = of ? new_node(p, TRI_J_PRINT, offset) : NULL;
    if (!n)
        return false;
    n->a = of;
    **to = n;
    *to = &n->next;
    return true;
}

static size_t trimmed_from(const struct parser *p)
{
    const char *s = p->t->text;
    size_t at = p->at;
    if (p->trim == TRIM_ALL)
        while (at < p->t->size && blank(s[at]))
            at++;
    else if (p->trim == TRIM_NEWLINE)
        at += peek(p, 0) == '\n' ? 1 : peek(p, 0) == '\r' && peek(p, 1) == '\n' ? 2 : 0;
    return at;
}

/* Of [from, to) before a tag: blanks are dropped where its sign says so, or it stands on its line behind nothing else.
 */
static size_t trimmed_to(const struct parser *p, size_t from, size_t to)
{
    const char *s = p->t->text, kind = s[to + 1], sign = to + 2 < p->t->size ? s[to + 2] : '\0';
    size_t at = to;
    if (sign == '-') {
        while (at > from && blank(s[at - 1]))
            at--;
        return at;
    }
    if (kind == '{' || sign == '+')
        return to;
    while (at > from && (s[at - 1] == ' ' || s[at - 1] == '\t'))
        at--;
    return at == 0 || s[at - 1] == '\n' ? at : to;
}

static size_t find_tag(const struct parser *p, size_t at)
{
    for (; at + 1 < p->t->size; at++)
        if (p->t->text[at] == '{' && strchr("{%#", p->t->text[at + 1]) && p->t->text[at + 1])
            return at;
    return p->t->size;
}

/* The text up to the next tag; p->at is then there. */
static bool text(struct parser *p, struct tri_jnode ***to)
{
    const size_t from = trimmed_from(p), tag = find_tag(p, from);
    const size_t end = tag < p->t->size ? trimmed_to(p, from, tag) : tag;
    p->at = tag;
    p->trim = TRIM_NOTHING;
    if (end == from)
        return true;
    struct tri_jnode *n = new_node(p, TRI_J_LITERAL, from);
    if (n)
        n->literal = tri_jstring(own(p, p->t->text + from, end - from));
    return print_node(p, to, n, from);
}

static bool comment(struct parser *p)
{
    const char *from = p->t->text + p->at, *end = memmem(from + 2, p->t->size - p->at - 2, "#}", 2);
    if (!end)
        return fail(p, p->at, "the end of the comment, \"#}\"", "the end of the template", 23);
    p->trim = end[-1] == '-' && end > from + 2 ? TRIM_ALL : TRIM_NEWLINE;
    p->at = (size_t)(end - p->t->text) + 2;
    return true;
}

static bool print_tag(struct parser *p, struct tri_jnode ***to)
{
    const size_t offset = p->at - 2;
    return next(p) && print_node(p, to, expression(p), offset) && tag_ends(p);
}

static bool statement(struct parser *p, struct tri_jnode ***to)
{
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!is(p, statements[i].word))
            continue;
        struct tri_jnode *n = new_node(p, statements[i].form, p->from);
        if (!n || !statements[i].parse(p, n))
            return false;
        **to = n;
        *to = &n->next;
        return true;
    }
    return unexpected(p, "if, for, set, or the end of one of these");
}

/* Behind the two characters that open a tag. */
static void enter_tag(struct parser *p, char closing)
{
    p->closing = closing;
    p->braces = 0;
    p->at += 2;
    if (peek(p, 0) == '-' || peek(p, 0) == '+')
        p->at++;
}

/* Up to the end, or to a word that ends a block, which is then the token. */
static bool body(struct parser *p, struct tri_jnode **first)
{
    struct tri_jnode **to = first;
    if (!deeper(p))
        return false;
    while (text(p, &to)) {
        const char kind = peek(p, 1);
        bool good = true;
        if (p->at >= p->t->size) {
            p->token = END_OF_TAG;
            p->from = p->at;
            p->depth--;
            return true;
        }
        if (kind != '#')
            enter_tag(p, kind == '{' ? '}' : '%');
        if (kind == '%' && (good = next(p)) && block_word(p)) {
            p->depth--;
            return true;
        }
        good = good && (kind == '#' ? comment(p) : kind == '{' ? print_tag(p, &to) : statement(p, &to));
        if (!good)
            return false;
    }
    return false;
}

enum tri_status tri_jinja_parse(struct tri_jinja *t, struct tri_error *e)
{
    struct parser p = {.t = t, .e = e};
    unsigned char *ones = take(&p, t->size + 1);
    if (!ones)
        return e->status;
    memset(ones, 1, t->size + 1);
    p.ones = ones;
    if (!body(&p, &t->body))
        return e->status;
    return p.at >= t->size && p.token == END_OF_TAG ? TRI_OK
                                                    : (unexpected(&p, "text, or the beginning of a block"), e->status);
}
