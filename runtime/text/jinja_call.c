/* Owns: the filters, methods, functions and tests that templates have, each a line in a table. */
#define _GNU_SOURCE
#include "text/jinja_tree.h"

#include <string.h>
#include <time.h>

enum { RANGE = 1 << 20 }; /* elements of a range at most */

typedef bool named_fn(struct tri_jcall *c, struct tri_jvalue *out);

/* -- white space ------------------------------------------------------- */

/* Python's, beyond ASCII as UTF-8: U+0085 U+00A0 U+1680 U+2000 to U+200A U+2028 U+2029 U+202F U+205F U+3000. */
static const char *const wide_spaces[] = {
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
    "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",
    "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};

static bool narrow_space(char c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
}

/* Bytes of the space that text[0..size) begins or, at_end, ends with; 0: none. */
static size_t space(const char *at, size_t size, bool at_end)
{
    const char edge = size ? at_end ? at[size - 1] : at[0] : 'x';
    if ((unsigned char)edge < 0x80)
        return narrow_space(edge);
    for (size_t i = 0; i < sizeof wide_spaces / sizeof *wide_spaces; i++) {
        const size_t n = strlen(wide_spaces[i]);
        if (size >= n && memcmp(at_end ? at + size - n : at, wide_spaces[i], n) == 0)
            return n;
    }
    return 0;
}

/* The same of a character out of `set`, if there is one. */
static size_t stripped(struct tri_jtext t, const struct tri_jtext *set, bool at_end)
{
    if (!set)
        return space(t.at, t.size, at_end);
    return t.size && memchr(set->at, at_end ? t.at[t.size - 1] : *t.at, set->size) ? 1 : 0;
}

enum { LEFT = 1, RIGHT = 2 };

static bool strip(struct tri_jcall *c, int sides, struct tri_jvalue *out)
{
    const struct tri_jtext *set = c->count ? &c->argument[0].text : NULL;
    struct tri_jtext t = c->self.text;
    if (!tri_jrun_spend(c->run, t.size / 16 * (1 + (set ? set->size / 64 : 0))))
        return false;
    for (size_t n; sides & LEFT && (n = stripped(t, set, false));)
        t = tri_jtext_part(t, n, t.size);
    for (size_t n; sides & RIGHT && (n = stripped(t, set, true));)
        t = tri_jtext_part(t, 0, t.size - n);
    *out = tri_jstring(t);
    return true;
}

static bool strip_both(struct tri_jcall *c, struct tri_jvalue *out) { return strip(c, LEFT | RIGHT, out); }
static bool strip_left(struct tri_jcall *c, struct tri_jvalue *out) { return strip(c, LEFT, out); }
static bool strip_right(struct tri_jcall *c, struct tri_jvalue *out) { return strip(c, RIGHT, out); }

/* -- letters ----------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

enum letters { ALL, NONE, FIRST, WORDS }; /* which become capitals; the others small ones */

static bool change_case(struct tri_jcall *c, enum letters capitals, struct tri_jvalue *out)
{
    const struct tri_jtext t = c->self.text;
    char *at = tri_jrun_take(c->run, t.size);
    if (!at || !tri_jrun_spend(c->run, t.size / 16))
        return false;
    for (size_t i = 0; i < t.size; i++) {
        const bool begins = i == 0 || (capitals == WORDS && !is_letter(t.at[i - 1]));
        at[i] = capitals == ALL || (capitals != NONE && begins) ? upper(t.at[i]) : lower(t.at[i]);
    }
    *out = tri_jstring((struct tri_jtext){at, t.own, t.size});
    return true;
}

static bool to_upper(struct tri_jcall *c, struct tri_jvalue *out) { return change_case(c, ALL, out); }
static bool to_lower(struct tri_jcall *c, struct tri_jvalue *out) { return change_case(c, NONE, out); }
static bool capitalize(struct tri_jcall *c, struct tri_jvalue *out) { return change_case(c, FIRST, out); }
static bool title(struct tri_jcall *c, struct tri_jvalue *out) { return change_case(c, WORDS, out); }

/* -- strings ----------------------------------------------------------- */

/* Where `what`, not empty, is in t from `at` on; its size if nowhere. */
static size_t search(struct tri_jtext t, size_t at, struct tri_jtext what)
{
    const char *hit = memmem(t.at + at, t.size - at, what.at, what.size);
    return hit ? (size_t)(hit - t.at) : t.size;
}

static bool replace(struct tri_jcall *c, struct tri_jvalue *out)
{
    const struct tri_jtext t = c->self.text, old = c->argument[0].text, with = c->argument[1].text;
    struct tri_jbuilder b = {.run = c->run};
    if (!old.size)
        return tri_jrun_fail(c->run, "expected something to replace, found an empty string");
    if (!tri_jrun_spend(c->run, t.size / 16))
        return false;
    for (size_t at = 0, hit; at < t.size; at = hit + old.size) {
        hit = search(t, at, old);
        if (!tri_jrun_spend(c->run, 1) || !tri_jbuild(&b, tri_jtext_part(t, at, hit)))
            return false;
        if (hit == t.size)
            break;
        if (!tri_jbuild(&b, with))
            return false;
    }
    *out = tri_jstring(tri_jbuilt(&b));
    return true;
}

static bool affix(struct tri_jcall *c, bool at_end, struct tri_jvalue *out)
{
    const struct tri_jtext t = c->self.text, x = c->argument[0].text;
    const size_t from = at_end ? t.size - x.size : 0;
    *out = tri_jbool(x.size <= t.size && tri_jtext_equal(tri_jtext_part(t, from, from + x.size), x));
    return tri_jrun_spend(c->run, x.size / 64);
}

static bool starts_with(struct tri_jcall *c, struct tri_jvalue *out) { return affix(c, false, out); }
static bool ends_with(struct tri_jcall *c, struct tri_jvalue *out) { return affix(c, true, out); }

/* The next piece of *t, which is left with what comes behind; without a separator, between white space. */
static bool next_piece(struct tri_jtext *t, const struct tri_jtext *separator, bool *more, struct tri_jtext *piece)
{
    size_t end = 0, n = 0;
    if (separator) {
        end = search(*t, 0, *separator);
        n = separator->size;
    } else {
        while ((n = space(t->at, t->size, false)))
            *t = tri_jtext_part(*t, n, t->size);
        while (end < t->size && !(n = space(t->at + end, t->size - end, false)))
            end++;
    }
    const bool last = end == t->size;
    *piece = tri_jtext_part(*t, 0, end);
    *t = tri_jtext_part(*t, last ? end : end + n, t->size);
    const bool found = *more && (separator || piece->size);
    *more = *more && !last;
    return found;
}

static bool split(struct tri_jcall *c, struct tri_jvalue *out)
{
    const struct tri_jtext *separator = c->count && c->argument[0].kind == TRI_J_TEXT ? &c->argument[0].text : NULL;
    struct tri_jtext rest = c->self.text, piece;
    bool more = true;
    size_t count = 0;
    if (separator && !separator->size)
        return tri_jrun_fail(c->run, "expected a separator, found an empty string");
    if (!tri_jrun_spend(c->run, rest.size / 2))
        return false;
    while (next_piece(&rest, separator, &more, &piece))
        count++;
    if (!tri_jlist_new(c->run, count, out))
        return false;
    rest = c->self.text;
    more = true;
    for (size_t i = 0; i < count && next_piece(&rest, separator, &more, &piece); i++)
        out->list->at[i] = tri_jstring(piece);
    return true;
}

static bool to_json(struct tri_jcall *c, struct tri_jvalue *out)
{
    struct tri_jbuilder b = {.run = c->run};
    if (!tri_jdump(&b, &c->self, 0))
        return false;
    *out = tri_jstring(tri_jbuilt(&b));
    return true;
}

/* -- lists and dictionaries -------------------------------------------- */

static bool length(struct tri_jcall *c, struct tri_jvalue *out)
{
    const struct tri_jvalue *v = &c->self;
    *out = tri_jint((int64_t)(v->kind == TRI_J_TEXT   ? tri_jcharacters(v->text)
                              : v->kind == TRI_J_LIST ? v->list->count
                                                      : v->dict->count));
    return v->kind != TRI_J_TEXT || tri_jrun_spend(c->run, v->text.size / 16);
}

/* Its elements, characters or keys. */
static bool list(struct tri_jcall *c, struct tri_jvalue *out)
{
    const struct tri_jvalue *v = &c->self;
    if (v->kind == TRI_J_LIST) {
        *out = *v;
        return true;
    }
    if (!tri_jlist_new(c->run, v->kind == TRI_J_TEXT ? tri_jcharacters(v->text) : v->dict->count, out))
        return false;
    struct tri_jvalue *at = out->list->at;
    if (v->kind == TRI_J_DICT)
        for (const struct tri_jentry *x = v->dict->first; x; x = x->next)
            *at++ = tri_jstring(x->key);
    else
        for (struct tri_jtext t = v->text; t.size; t = tri_jtext_part(t, tri_jcharacter(t, 1), t.size))
            *at++ = tri_jstring(tri_jtext_part(t, 0, tri_jcharacter(t, 1)));
    return true;
}

static bool items(struct tri_jcall *c, struct tri_jvalue *out)
{
    struct tri_jvalue *at;
    if (!tri_jlist_new(c->run, c->self.dict->count, out))
        return false;
    at = out->list->at;
    for (const struct tri_jentry *x = c->self.dict->first; x; x = x->next, at++) {
        if (!tri_jlist_new(c->run, 2, at))
            return false;
        at->list->at[0] = tri_jstring(x->key);
        at->list->at[1] = x->value;
    }
    return true;
}

/* The element of a list or the character of a text that comes first or last. */
static bool end_of(struct tri_jcall *c, bool last, struct tri_jvalue *out)
{
    struct tri_jvalue all;
    *out = (struct tri_jvalue){.kind = TRI_J_UNDEFINED};
    if (!list(c, &all))
        return false;
    if (all.list->count)
        *out = all.list->at[last ? all.list->count - 1 : 0];
    return true;
}

static bool first(struct tri_jcall *c, struct tri_jvalue *out) { return end_of(c, false, out); }
static bool last(struct tri_jcall *c, struct tri_jvalue *out) { return end_of(c, true, out); }

static bool join(struct tri_jcall *c, struct tri_jvalue *out)
{
    struct tri_jbuilder b = {.run = c->run};
    struct tri_jvalue all;
    if (!list(c, &all))
        return false;
    for (size_t i = 0; i < all.list->count; i++)
        if (!tri_jrun_spend(c->run, 1) || (i && c->count && !tri_jbuild(&b, c->argument[0].text)) ||
            !tri_jprint(&b, &all.list->at[i]))
            return false;
    *out = tri_jstring(tri_jbuilt(&b));
    return true;
}

static bool get(struct tri_jcall *c, struct tri_jvalue *out)
{
    const struct tri_jvalue *found = tri_jdict_get(c->self.dict, c->argument[0].text);
    *out = found ? *found : c->count > 1 ? c->argument[1] : (struct tri_jvalue){.kind = TRI_J_NONE};
    return tri_jrun_spend(c->run, c->self.dict->count / 16 + c->argument[0].text.size / 64);
}

/* selectattr(name), (name, test), (name, test, value): dictionaries of which a member passes. */
static bool selected(struct tri_jcall *c, const struct tri_jvalue *item, bool *truth)
{
    struct tri_jcall test = {.run = c->run, .count = c->count > 2, .argument = {c->argument[2]}};
    const bool has = item->kind == TRI_J_DICT || item->kind == TRI_J_NAMESPACE;
    const struct tri_jvalue *found = has ? tri_jdict_get(item->dict, c->argument[0].text) : NULL;
    if (found)
        test.self = *found;
    *truth = tri_jtrue(&test.self);
    return c->count < 2 || tri_jtest(&test, c->argument[1].text, truth);
}

static bool select_by(struct tri_jcall *c, struct tri_jvalue *out)
{
    const struct tri_jlist *from = c->self.list;
    if (!tri_jlist_new(c->run, from->count, out))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < from->count; i++) {
        bool truth = false;
        if (!selected(c, &from->at[i], &truth))
            return false;
        if (truth)
            out->list->at[kept++] = from->at[i];
    }
    out->list->count = kept;
    return true;
}

static bool or_default(struct tri_jcall *c, struct tri_jvalue *out)
{
    const bool falsy = c->count > 1 && tri_jtrue(&c->argument[1]) && !tri_jtrue(&c->self);
    *out = c->self.kind == TRI_J_UNDEFINED || falsy ? c->argument[0] : c->self;
    return true;
}

/* -- functions --------------------------------------------------------- */

static bool raise(struct tri_jcall *c, struct tri_jvalue *out)
{
    (void)out;
    return tri_jrun_refuse(c->run, c->argument[0].text);
}

static bool range(struct tri_jcall *c, struct tri_jvalue *out)
{
    const int64_t from = c->count > 1 ? c->argument[0].integer : 0;
    const int64_t to = c->argument[c->count > 1].integer, step = c->count > 2 ? c->argument[2].integer : 1;
    const __int128 way = step > 0 ? (__int128)to - from : (__int128)from - to;
    const __int128 stride = step > 0 ? step : -(__int128)step;
    if (step == 0)
        return tri_jrun_fail(c->run, "expected a step of a range, found 0");
    const __int128 count = way > 0 ? (way + stride - 1) / stride : 0;
    if (count > RANGE)
        return tri_jrun_fail(c->run, "expected a range of at most %d, found a longer one", RANGE);
    if (!tri_jlist_new(c->run, (size_t)count, out))
        return false;
    for (size_t i = 0; i < (size_t)count; i++)
        out->list->at[i] = tri_jint((int64_t)(from + (__int128)i * step));
    return true;
}

static bool format_now(struct tri_jcall *c, struct tri_jvalue *out)
{
    char format[128], text[256];
    const struct tri_jtext f = c->argument[0].text;
    const time_t now = time(NULL);
    struct tm parts;
    if (f.size >= sizeof format)
        return tri_jrun_fail(c->run, "expected a format of time of at most %zu bytes, found %zu", sizeof format - 1,
                             f.size);
    memcpy(format, f.at, f.size);
    format[f.size] = '\0';
    const size_t size = localtime_r(&now, &parts) ? strftime(text, sizeof text, format, &parts) : 0;
    struct tri_jbuilder b = {.run = c->run};
    for (size_t at = 0; at < size; at += 64)
        if (!tri_jbuild(&b, tri_jword(text + at, size - at)))
            return false;
    *out = tri_jstring(tri_jbuilt(&b));
    return true;
}

/* -- the tables -------------------------------------------------------- */

#define OF(kind) (1u << TRI_J_##kind)
enum {
    TEXTS = OF(TEXT), ROWS = OF(TEXT) | OF(LIST) | OF(DICT), ANY = 0xFF, INTS = OF(INT),
};

struct named {
    const char *name;
    unsigned self; /* kinds of what it is applied to */
    int least, most;
    unsigned argument[3]; /* kinds of its arguments */
    named_fn *run;
};

static const struct named filters[] = {
    {"trim", TEXTS, 0, 1, {TEXTS}, strip_both},
    {"capitalize", TEXTS, 0, 0, {0}, capitalize},
    {"upper", TEXTS, 0, 0, {0}, to_upper},
    {"lower", TEXTS, 0, 0, {0}, to_lower},
    {"title", TEXTS, 0, 0, {0}, title},
    {"length", ROWS, 0, 0, {0}, length},
    {"count", ROWS, 0, 0, {0}, length},
    {"tojson", ANY, 0, 0, {0}, to_json},
    {"join", ROWS, 0, 1, {TEXTS}, join},
    {"replace", TEXTS, 2, 2, {TEXTS, TEXTS}, replace},
    {"default", ANY, 1, 2, {ANY, ANY}, or_default},
    {"first", ROWS, 0, 0, {0}, first},
    {"last", ROWS, 0, 0, {0}, last},
    {"selectattr", OF(LIST), 1, 3, {TEXTS, TEXTS, ANY}, select_by},
    {"list", ROWS, 0, 0, {0}, list},
    {"items", OF(DICT), 0, 0, {0}, items},
    {NULL, 0, 0, 0, {0}, NULL},
};

static const struct named methods[] = {
    {"strip", TEXTS, 0, 1, {TEXTS}, strip_both},
    {"lstrip", TEXTS, 0, 1, {TEXTS}, strip_left},
    {"rstrip", TEXTS, 0, 1, {TEXTS}, strip_right},
    {"split", TEXTS, 0, 1, {TEXTS | OF(NONE)}, split},
    {"startswith", TEXTS, 1, 1, {TEXTS}, starts_with},
    {"endswith", TEXTS, 1, 1, {TEXTS}, ends_with},
    {"replace", TEXTS, 2, 2, {TEXTS, TEXTS}, replace},
    {"upper", TEXTS, 0, 0, {0}, to_upper},
    {"lower", TEXTS, 0, 0, {0}, to_lower},
    {"capitalize", TEXTS, 0, 0, {0}, capitalize},
    {"title", TEXTS, 0, 0, {0}, title},
    {"items", OF(DICT), 0, 0, {0}, items},
    {"keys", OF(DICT), 0, 0, {0}, list},
    {"get", OF(DICT), 1, 2, {TEXTS, ANY}, get},
    {NULL, 0, 0, 0, {0}, NULL},
};

static const struct named functions[] = {
    {"raise_exception", ANY, 1, 1, {TEXTS}, raise},
    {"range", ANY, 1, 3, {INTS, INTS, INTS}, range},
    {"strftime_now", ANY, 1, 1, {TEXTS}, format_now},
    {NULL, 0, 0, 0, {0}, NULL},
};

static bool run(struct tri_jcall *c, const struct named *of, const char *what, struct tri_jtext name,
                struct tri_jvalue *out)
{
    while (of->name && !tri_jtext_is(name, of->name))
        of++;
    if (!of->name)
        return tri_jrun_fail(c->run, "expected a %s that is known, found \"%.*s\"", what,
                             (int)(name.size < 40 ? name.size : 40), name.at);
    if (!(of->self >> c->self.kind & 1))
        return tri_jrun_fail(c->run, "%s: expected something it can be applied to, found %s", of->name,
                             tri_jkind_name(&c->self));
    if (c->count < of->least || c->count > of->most)
        return tri_jrun_fail(c->run, "%s: expected %d to %d arguments, found %d", of->name, of->least, of->most,
                             c->count);
    for (int i = 0; i < c->count; i++)
        if (!(of->argument[i] >> c->argument[i].kind & 1))
            return tri_jrun_fail(c->run, "%s: expected another kind of value as argument %d, found %s", of->name, i + 1,
                                 tri_jkind_name(&c->argument[i]));
    return of->run(c, out);
}

bool tri_jfilter(struct tri_jcall *c, struct tri_jtext name, struct tri_jvalue *out)
{
    return run(c, filters, "filter", name, out);
}

bool tri_jmethod(struct tri_jcall *c, struct tri_jtext name, struct tri_jvalue *out)
{
    return run(c, methods, "method", name, out);
}

bool tri_jfunction(struct tri_jcall *c, struct tri_jtext name, struct tri_jvalue *out)
{
    return run(c, functions, "function", name, out);
}

bool tri_jtest(struct tri_jcall *c, struct tri_jtext name, bool *truth)
{
    static const struct {
        const char *name;
        unsigned kinds;
    } tests[] = {
        {"defined", ANY & ~OF(UNDEFINED)}, {"undefined", OF(UNDEFINED)}, {"none", OF(NONE)},
        {"string", OF(TEXT)},              {"mapping", OF(DICT)},        {"boolean", OF(BOOL)},
        {"integer", OF(INT)},              {"number", OF(INT)},          {"sequence", ROWS},
        {"iterable", ROWS},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (tri_jtext_is(name, tests[i].name)) {
            *truth = tests[i].kinds >> c->self.kind & 1;
            return true;
        }
    const bool value = tri_jtext_is(name, "true");
    if (value || tri_jtext_is(name, "false")) {
        *truth = c->self.kind == TRI_J_BOOL && c->self.truth == value;
        return true;
    }
    if (c->count == 1 && (tri_jtext_is(name, "equalto") || tri_jtext_is(name, "eq")))
        return tri_jequal(c->run, &c->self, &c->argument[0], 0, truth);
    return tri_jrun_fail(c->run, "expected a test that is known, found \"%.*s\"",
                         (int)(name.size < 40 ? name.size : 40), name.at);
}
