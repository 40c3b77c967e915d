/* Owns: what statements and expressions mean, and scopes. Leaves out what has a name: filters, methods, functions and
 * tests (jinja_call.c). */
#include "text/jinja_tree.h"

#include <string.h>

struct binding {
    struct tri_jtext name;
    struct tri_jvalue value;
    struct binding *next;
};

struct tri_jscope {
    struct binding *first;
    struct tri_jscope *up;
};

static bool eval(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out);

/* -- scopes ------------------------------------------------------------ */

bool tri_jinja_enter(struct tri_jrun *r)
{
    struct tri_jscope *s = tri_jrun_take(r, sizeof *s);
    if (!s)
        return false;
    *s = (struct tri_jscope){.up = r->scope};
    r->scope = s;
    return true;
}

/* NULL if there is none; *seen grows by how many were looked at. */
static struct binding *find_in(const struct tri_jscope *s, struct tri_jtext name, size_t *seen)
{
    struct binding *b = s->first;
    for (; b && !tri_jtext_equal(b->name, name); ++*seen)
        b = b->next;
    return b;
}

bool tri_jinja_define(struct tri_jrun *r, struct tri_jtext name, struct tri_jvalue value)
{
    size_t seen = 0;
    struct binding *b = find_in(r->scope, name, &seen);
    if (!tri_jrun_spend(r, seen / 16))
        return false;
    if (!b) {
        if (!(b = tri_jrun_take(r, sizeof *b)))
            return false;
        *b = (struct binding){.name = name, .next = r->scope->first};
        r->scope->first = b;
    }
    b->value = value;
    return true;
}

static bool look_up(struct tri_jrun *r, struct tri_jtext name, struct tri_jvalue *out)
{
    const struct binding *b = NULL;
    size_t seen = 0;
    for (const struct tri_jscope *s = r->scope; s && !b; s = s->up)
        b = find_in(s, name, &seen);
    *out = b ? b->value : (struct tri_jvalue){.kind = TRI_J_UNDEFINED};
    return tri_jrun_spend(r, seen / 16 + name.size / 64);
}

/* -- parts of values --------------------------------------------------- */

static int shown(struct tri_jtext text)
{
    return text.size < 40 ? (int)text.size : 40;
}

static bool attribute(struct tri_jrun *r, const struct tri_jvalue *of, struct tri_jtext name, struct tri_jvalue *out)
{
    const struct tri_jvalue *found = NULL;
    if (of->kind == TRI_J_UNDEFINED || of->kind == TRI_J_NONE)
        return tri_jrun_fail(r, "expected a value that has \"%.*s\", found %s", shown(name), name.at,
                             tri_jkind_name(of));
    if (of->kind == TRI_J_DICT || of->kind == TRI_J_NAMESPACE) {
        if (!tri_jrun_spend(r, of->dict->count / 16 + name.size / 64))
            return false;
        found = tri_jdict_get(of->dict, name);
    }
    *out = found ? *found : (struct tri_jvalue){.kind = TRI_J_UNDEFINED};
    return true;
}

static struct tri_jtext characters_at(struct tri_jtext text, size_t i, size_t count)
{
    const size_t from = tri_jcharacter(text, i);
    return tri_jtext_part(text, from, from + tri_jcharacter(tri_jtext_part(text, from, text.size), count));
}

static bool element(struct tri_jrun *r, const struct tri_jvalue *of, int64_t i, struct tri_jvalue *out)
{
    const bool text = of->kind == TRI_J_TEXT;
    if (!text && of->kind != TRI_J_LIST)
        return tri_jrun_fail(r, "expected a list or a string before an index, found %s", tri_jkind_name(of));
    if (text && !tri_jrun_spend(r, of->text.size / 16))
        return false;
    const int64_t count = (int64_t)(text ? tri_jcharacters(of->text) : of->list->count);
    i += i < 0 ? count : 0;
    *out = (struct tri_jvalue){.kind = TRI_J_UNDEFINED};
    if (i >= 0 && i < count)
        *out = text ? tri_jstring(characters_at(of->text, (size_t)i, 1)) : of->list->at[i];
    return true;
}

static bool index_of(struct tri_jrun *r, const struct tri_jvalue *of, const struct tri_jvalue *i,
                     struct tri_jvalue *out)
{
    if (i->kind == TRI_J_TEXT)
        return attribute(r, of, i->text, out);
    return i->kind == TRI_J_INT
               ? element(r, of, i->integer, out)
               : tri_jrun_fail(r, "expected an integer or a string as index, found %s", tri_jkind_name(i));
}

/* One bound of a slice, `absent` where there is none. */
static bool bound(struct tri_jrun *r, const struct tri_jnode *n, int64_t absent, int64_t *out)
{
    struct tri_jvalue v;
    *out = absent;
    if (!n)
        return true;
    if (!eval(r, n, &v))
        return false;
    if (v.kind == TRI_J_INT)
        *out = v.integer;
    return v.kind == TRI_J_INT || v.kind == TRI_J_NONE ||
           tri_jrun_fail(r, "expected an integer in a slice, found %s", tri_jkind_name(&v));
}

static int64_t within(int64_t i, int64_t count, int64_t least, int64_t most)
{
    i += i < 0 ? count : 0;
    return i < least ? least : i > most ? most : i;
}

/* Steps of 1 and -1. */
static bool slice(struct tri_jrun *r, const struct tri_jnode *n, const struct tri_jvalue *of, struct tri_jvalue *out)
{
    const bool text = of->kind == TRI_J_TEXT;
    if (!text && of->kind != TRI_J_LIST)
        return tri_jrun_fail(r, "expected a list or a string before a slice, found %s", tri_jkind_name(of));
    const int64_t count = (int64_t)(text ? tri_jcharacters(of->text) : of->list->count);
    int64_t step, from, to;
    if (!bound(r, n->d, 1, &step) || !bound(r, n->b, step > 0 ? 0 : INT64_MAX, &from) ||
        !bound(r, n->c, step > 0 ? INT64_MAX : -1 - count, &to) || !tri_jrun_spend(r, (size_t)count / 16))
        return false;
    if (step != 1 && (step != -1 || text))
        return tri_jrun_fail(r, "expected a step of 1, or of -1 through a list, found another one");
    from = within(from, count, step > 0 ? 0 : -1, step > 0 ? count : count - 1);
    to = within(to, count, step > 0 ? 0 : -1, step > 0 ? count : count - 1);
    const int64_t size = step > 0 ? to - from : from - to;
    if (text) {
        *out = tri_jstring(characters_at(of->text, (size_t)from, size > 0 ? (size_t)size : 0));
        return true;
    }
    if (!tri_jlist_new(r, size > 0 ? (size_t)size : 0, out))
        return false;
    for (size_t i = 0; i < out->list->count; i++)
        out->list->at[i] = of->list->at[from + step * (int64_t)i];
    return true;
}

/* -- operators --------------------------------------------------------- */

static bool mismatch(struct tri_jrun *r, const char *what, const struct tri_jvalue *a, const struct tri_jvalue *b)
{
    return tri_jrun_fail(r, "expected %s, found %s and %s", what, tri_jkind_name(a), tri_jkind_name(b));
}

static bool join(struct tri_jrun *r, const struct tri_jvalue *a, const struct tri_jvalue *b, struct tri_jvalue *out)
{
    struct tri_jbuilder text = {.run = r};
    if (!tri_jprint(&text, a) || !tri_jprint(&text, b))
        return false;
    *out = tri_jstring(tri_jbuilt(&text));
    return true;
}

static bool chain(struct tri_jrun *r, const struct tri_jlist *a, const struct tri_jlist *b, struct tri_jvalue *out)
{
    if (!tri_jlist_new(r, a->count + b->count, out))
        return false;
    memcpy(out->list->at, a->at, a->count * sizeof *a->at);
    memcpy(out->list->at + a->count, b->at, b->count * sizeof *b->at);
    return true;
}

static bool repeat(struct tri_jrun *r, struct tri_jtext text, int64_t times, struct tri_jvalue *out)
{
    struct tri_jbuilder b = {.run = r};
    for (; text.size && times > 0; times--)
        if (!tri_jrun_spend(r, 1) || !tri_jbuild(&b, text))
            return false;
    *out = tri_jstring(tri_jbuilt(&b));
    return true;
}

/* As Python rounds: towards minus infinity. */
static bool divide(struct tri_jrun *r, int64_t a, int64_t b, bool rest, int64_t *out)
{
    if (b == 0 || b == -1) { /* -1: the quotient of the least integer is none */
        *out = rest ? 0 : a;
        return (b && (rest || !__builtin_sub_overflow((int64_t)0, a, out))) ||
               tri_jrun_fail(r, "expected a divisor with a quotient in 64 bits, found %d", (int)b);
    }
    const int64_t q = a / b, m = a % b, off = m && (m < 0) != (b < 0);
    *out = rest ? m + off * b : q - off;
    return true;
}

static bool calculate(struct tri_jrun *r, enum tri_joperator operator, int64_t a, int64_t b, struct tri_jvalue *out)
{
    int64_t x = 0;
    bool over = false;
    switch (operator) {
    case TRI_J_ADD: over = __builtin_add_overflow(a, b, &x); break;
    case TRI_J_SUBTRACT: over = __builtin_sub_overflow(a, b, &x); break;
    case TRI_J_MULTIPLY: over = __builtin_mul_overflow(a, b, &x); break;
    default:
        if (!divide(r, a, b, operator == TRI_J_MODULO, &x))
            return false;
    }
    *out = tri_jint(x);
    return !over || tri_jrun_fail(r, "expected an integer of 64 bits as result, found a greater one");
}

static bool arithmetic(struct tri_jrun *r, enum tri_joperator operator, const struct tri_jvalue *a,
                       const struct tri_jvalue *b, struct tri_jvalue *out)
{
    const bool same = a->kind == b->kind;
    if (operator == TRI_J_ADD && same && a->kind == TRI_J_TEXT)
        return join(r, a, b, out);
    if (operator == TRI_J_ADD && same && a->kind == TRI_J_LIST)
        return chain(r, a->list, b->list, out);
    if (operator == TRI_J_MULTIPLY && a->kind == TRI_J_TEXT && b->kind == TRI_J_INT)
        return repeat(r, a->text, b->integer, out);
    if (same && a->kind == TRI_J_INT)
        return calculate(r, operator, a->integer, b->integer, out);
    return mismatch(r, operator == TRI_J_ADD ? "two integers, strings or lists to add" : "two integers", a, b);
}

static bool order(struct tri_jrun *r, enum tri_joperator operator, const struct tri_jvalue *a,
                  const struct tri_jvalue *b, struct tri_jvalue *out)
{
    int c;
    if (a->kind == TRI_J_INT && b->kind == TRI_J_INT) {
        c = (a->integer > b->integer) - (a->integer < b->integer);
    } else if (a->kind == TRI_J_TEXT && b->kind == TRI_J_TEXT) {
        const size_t x = a->text.size, y = b->text.size, least = x < y ? x : y;
        if (!tri_jrun_spend(r, least / 64))
            return false;
        c = least ? memcmp(a->text.at, b->text.at, least) : 0;
        c = c ? c : (x > y) - (x < y);
    } else {
        return mismatch(r, "two integers or two strings to compare", a, b);
    }
    switch (operator) {
    case TRI_J_LESS: *out = tri_jbool(c < 0); return true;
    case TRI_J_LESS_EQUAL: *out = tri_jbool(c <= 0); return true;
    case TRI_J_GREATER: *out = tri_jbool(c > 0); return true;
    default: *out = tri_jbool(c >= 0); return true;
    }
}

static bool binary(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    struct tri_jvalue a, b;
    bool truth = false;
    if (!eval(r, n->a, &a) || !eval(r, n->b, &b))
        return false;
    r->offset = n->offset;
    switch (n->operator) {
    case TRI_J_JOIN: return join(r, &a, &b, out);
    case TRI_J_EQUAL:
    case TRI_J_UNEQUAL:
        if (!tri_jequal(r, &a, &b, 0, &truth))
            return false;
        *out = tri_jbool(truth == (n->operator == TRI_J_EQUAL));
        return true;
    case TRI_J_IN:
    case TRI_J_NOT_IN:
        if (!tri_jcontains(r, &b, &a, &truth))
            return false;
        *out = tri_jbool(truth == (n->operator == TRI_J_IN));
        return true;
    case TRI_J_LESS:
    case TRI_J_LESS_EQUAL:
    case TRI_J_GREATER:
    case TRI_J_GREATER_EQUAL: return order(r, n->operator, &a, &b, out);
    default: return arithmetic(r, n->operator, &a, &b, out);
    }
}

/* -- expressions ------------------------------------------------------- */

static bool listed(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    size_t count = 0;
    for (const struct tri_jnode *x = n->arguments; x; x = x->next)
        count++;
    if (!tri_jlist_new(r, count, out))
        return false;
    struct tri_jvalue *at = out->list->at;
    for (const struct tri_jnode *x = n->arguments; x; x = x->next)
        if (!eval(r, x->a, at++))
            return false;
    return true;
}

static bool paired(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    if (!tri_jdict_new(r, out))
        return false;
    for (const struct tri_jnode *x = n->arguments; x; x = x->next) {
        struct tri_jvalue key, value;
        if (!eval(r, x->b, &key) || !eval(r, x->a, &value))
            return false;
        if (key.kind != TRI_J_TEXT)
            return tri_jrun_fail(r, "expected a string as key, found %s", tri_jkind_name(&key));
        if (!tri_jdict_set(r, out->dict, key.text, value))
            return false;
    }
    return true;
}

/* namespace(name = value, ...) */
static bool new_namespace(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    if (!tri_jdict_new(r, out))
        return false;
    out->kind = TRI_J_NAMESPACE;
    for (const struct tri_jnode *x = n->arguments; x; x = x->next) {
        struct tri_jvalue value;
        if (!x->name.size)
            return tri_jrun_fail(r, "expected name = value in a namespace, found a value without a name");
        if (!eval(r, x->a, &value) || !tri_jdict_set(r, out->dict, x->name, value))
            return false;
    }
    return true;
}

static bool read_arguments(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jcall *c)
{
    for (const struct tri_jnode *x = n->arguments; x; x = x->next) {
        r->offset = x->offset;
        if (x->name.size)
            return tri_jrun_fail(r, "expected arguments without names, found one named \"%.*s\"", shown(x->name),
                                 x->name.at);
        if (c->count == TRI_J_ARGUMENTS)
            return tri_jrun_fail(r, "expected at most %d arguments, found more", TRI_J_ARGUMENTS);
        if (!eval(r, x->a, &c->argument[c->count++]))
            return false;
    }
    r->offset = n->offset;
    return true;
}

static bool call(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    struct tri_jcall c = {.run = r};
    if (n->form == TRI_J_CALL && !n->a && tri_jtext_is(n->name, "namespace"))
        return new_namespace(r, n, out);
    if ((n->a && !eval(r, n->a, &c.self)) || !read_arguments(r, n, &c))
        return false;
    if (n->form == TRI_J_FILTER)
        return tri_jfilter(&c, n->name, out);
    return n->a ? tri_jmethod(&c, n->name, out) : tri_jfunction(&c, n->name, out);
}

static bool test(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    struct tri_jcall c = {.run = r};
    bool truth = false;
    if (!eval(r, n->a, &c.self) || !read_arguments(r, n, &c) || !tri_jtest(&c, n->name, &truth))
        return false;
    *out = tri_jbool(truth != n->negated);
    return true;
}

static bool negate(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    if (!eval(r, n->a, out))
        return false;
    if (out->kind != TRI_J_INT)
        return tri_jrun_fail(r, "expected an integer behind \"-\", found %s", tri_jkind_name(out));
    return calculate(r, TRI_J_SUBTRACT, 0, out->integer, out);
}

/* and, or: the operand that decides, as in Python. */
static bool decide(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    return eval(r, n->a, out) && (tri_jtrue(out) == (n->form == TRI_J_OR) || eval(r, n->b, out));
}

static bool choose(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    struct tri_jvalue condition;
    if (!eval(r, n->b, &condition))
        return false;
    const struct tri_jnode *chosen = tri_jtrue(&condition) ? n->a : n->c;
    *out = (struct tri_jvalue){.kind = TRI_J_UNDEFINED};
    return !chosen || eval(r, chosen, out);
}

static bool part(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    struct tri_jvalue of, i;
    if (!eval(r, n->a, &of))
        return false;
    r->offset = n->offset;
    if (n->form == TRI_J_ATTRIBUTE)
        return attribute(r, &of, n->name, out);
    if (n->form == TRI_J_SLICE)
        return slice(r, n, &of, out);
    return eval(r, n->b, &i) && index_of(r, &of, &i, out);
}

static bool eval(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *out)
{
    if (!tri_jrun_spend(r, 1))
        return false;
    r->offset = n->offset;
    switch (n->form) {
    case TRI_J_LITERAL: *out = n->literal; return true;
    case TRI_J_NAME: return look_up(r, n->name, out);
    case TRI_J_LISTED: return listed(r, n, out);
    case TRI_J_PAIRS: return paired(r, n, out);
    case TRI_J_CALL:
    case TRI_J_FILTER: return call(r, n, out);
    case TRI_J_TEST: return test(r, n, out);
    case TRI_J_NEGATE: return negate(r, n, out);
    case TRI_J_BINARY: return binary(r, n, out);
    case TRI_J_AND:
    case TRI_J_OR: return decide(r, n, out);
    case TRI_J_CHOICE: return choose(r, n, out);
    case TRI_J_NOT:
        if (!eval(r, n->a, out))
            return false;
        *out = tri_jbool(!tri_jtrue(out));
        return true;
    default: return part(r, n, out);
    }
}

/* -- statements -------------------------------------------------------- */

static bool print(struct tri_jbuilder *out, const struct tri_jnode *n)
{
    struct tri_jvalue v;
    return eval(out->run, n->a, &v) && (out->run->offset = n->offset, tri_jprint(out, &v));
}

static bool set(struct tri_jbuilder *out, const struct tri_jnode *n)
{
    struct tri_jrun *r = out->run;
    struct tri_jvalue value, of;
    if (!eval(r, n->a, &value))
        return false;
    if (!n->second.size)
        return tri_jinja_define(r, n->name, value);
    r->offset = n->offset;
    if (!look_up(r, n->name, &of))
        return false;
    if (of.kind != TRI_J_NAMESPACE)
        return tri_jrun_fail(r, "expected a namespace as \"%.*s\", found %s", shown(n->name), n->name.at,
                             tri_jkind_name(&of));
    return tri_jdict_set(r, of.dict, n->second, value);
}

/* From elif to elif without a call in a call, since nothing bounds how many there are. */
static bool run_if(struct tri_jbuilder *out, const struct tri_jnode *n)
{
    struct tri_jvalue condition;
    for (;; n = n->c) {
        if (!eval(out->run, n->a, &condition))
            return false;
        if (tri_jtrue(&condition))
            return tri_jinja_run(out, n->b);
        if (!n->c || n->c->form != TRI_J_IF || n->c->next)
            return tri_jinja_run(out, n->c);
    }
}

/* What `for` goes through: a list, the keys of a dictionary, or the characters of a string. */
static bool items(struct tri_jrun *r, const struct tri_jvalue *of, struct tri_jvalue *list)
{
    struct tri_jcall c = {.run = r, .self = *of};
    return tri_jfilter(&c, tri_jword("list", 4), list);
}

/* The variables of one iteration; of pairs, both. */
static bool bind(struct tri_jrun *r, const struct tri_jnode *n, const struct tri_jvalue *item)
{
    if (!n->second.size)
        return tri_jinja_define(r, n->name, *item);
    if (item->kind != TRI_J_LIST || item->list->count != 2)
        return tri_jrun_fail(r, "expected pairs to go through, found %s", tri_jkind_name(item));
    return tri_jinja_define(r, n->name, item->list->at[0]) && tri_jinja_define(r, n->second, item->list->at[1]);
}

/* Those items for which the condition of the for holds. */
static bool select_items(struct tri_jrun *r, const struct tri_jnode *n, struct tri_jvalue *list)
{
    struct tri_jvalue all = *list, truth;
    if (!n->d)
        return true;
    if (!tri_jlist_new(r, all.list->count, list))
        return false;
    list->list->count = 0;
    for (size_t i = 0; i < all.list->count; i++) {
        if (!bind(r, n, &all.list->at[i]) || !eval(r, n->d, &truth))
            return false;
        if (tri_jtrue(&truth))
            list->list->at[list->list->count++] = all.list->at[i];
    }
    return true;
}

static bool define_loop(struct tri_jrun *r, const struct tri_jlist *list, size_t i)
{
    const struct tri_jvalue none = {.kind = TRI_J_UNDEFINED};
    const bool last = i + 1 == list->count;
    const struct {
        const char *name;
        struct tri_jvalue value;
    } members[] = {
        {"index0", tri_jint((int64_t)i)},
        {"index", tri_jint((int64_t)i + 1)},
        {"first", tri_jbool(i == 0)},
        {"last", tri_jbool(last)},
        {"length", tri_jint((int64_t)list->count)},
        {"previtem", i ? list->at[i - 1] : none},
        {"nextitem", last ? none : list->at[i + 1]},
    };
    struct tri_jvalue loop;
    if (!tri_jdict_new(r, &loop))
        return false;
    for (size_t m = 0; m < sizeof members / sizeof *members; m++)
        if (!tri_jdict_set(r, loop.dict, tri_jword(members[m].name, strlen(members[m].name)), members[m].value))
            return false;
    return tri_jinja_define(r, tri_jword("loop", 4), loop);
}

/* Each iteration has a scope of its own: what it sets does not outlive it. */
static bool run_for(struct tri_jbuilder *out, const struct tri_jnode *n)
{
    struct tri_jrun *r = out->run;
    struct tri_jscope *outside = r->scope;
    struct tri_jvalue of, list;
    if (!eval(r, n->a, &of))
        return false;
    r->offset = n->offset;
    bool good = items(r, &of, &list) && tri_jinja_enter(r) && select_items(r, n, &list);
    for (size_t i = 0; good && i < list.list->count; i++) {
        r->scope = outside;
        r->offset = n->offset;
        good = tri_jinja_enter(r) && bind(r, n, &list.list->at[i]) && define_loop(r, list.list, i) &&
               tri_jinja_run(out, n->b);
    }
    r->scope = outside;
    return good && (list.list->count || tri_jinja_run(out, n->c));
}

bool tri_jinja_run(struct tri_jbuilder *out, const struct tri_jnode *n)
{
    for (bool good; n; n = n->next) {
        out->run->offset = n->offset;
        if (!tri_jrun_spend(out->run, 1))
            return false;
        switch (n->form) {
        case TRI_J_PRINT: good = print(out, n); break;
        case TRI_J_SET: good = set(out, n); break;
        case TRI_J_FOR: good = run_for(out, n); break;
        default: good = run_if(out, n);
        }
        if (!good)
            return false;
    }
    return true;
}
