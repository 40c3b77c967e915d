/* Owns: values of templates: making, comparing, printing them, and what texts are made of piece by piece. */
#define _GNU_SOURCE
#include "text/jinja_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* -- texts ------------------------------------------------------------- */

struct tri_jtext tri_jword(const char *word, size_t size)
{
    static const unsigned char ones[] = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"
                                        "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";
    return (struct tri_jtext){word, ones, size < 64 ? size : 64};
}

bool tri_jtext_equal(struct tri_jtext a, struct tri_jtext b)
{
    return a.size == b.size && (!a.size || memcmp(a.at, b.at, a.size) == 0);
}

bool tri_jtext_is(struct tri_jtext text, const char *word)
{
    return tri_jtext_equal(text, (struct tri_jtext){.at = word, .size = strlen(word)});
}

struct tri_jtext tri_jtext_part(struct tri_jtext text, size_t from, size_t to)
{
    return (struct tri_jtext){text.at + from, text.own + from, to - from};
}

size_t tri_jcharacter(struct tri_jtext text, size_t i)
{
    size_t at = 0;
    for (; at < text.size && i; i--)
        do
            at++;
        while (at < text.size && ((unsigned char)text.at[at] & 0xC0) == 0x80);
    return at;
}

size_t tri_jcharacters(struct tri_jtext text)
{
    size_t n = 0;
    for (size_t at = 0; at < text.size; n++)
        at += tri_jcharacter(tri_jtext_part(text, at, text.size), 1);
    return n;
}

static bool grow(struct tri_jbuilder *b, size_t size)
{
    const size_t room = 2 * (b->size + size) + 32;
    char *at = tri_jrun_take(b->run, 2 * room); /* bytes, then their marks */
    if (!at)
        return false;
    if (b->size) {
        memcpy(at, b->at, b->size);
        memcpy(at + room, b->own, b->size);
    }
    b->at = at;
    b->own = (unsigned char *)at + room;
    b->room = room;
    return true;
}

bool tri_jbuild(struct tri_jbuilder *b, struct tri_jtext piece)
{
    if (!piece.size)
        return true;
    if (!tri_jrun_spend(b->run, piece.size / 64) || (b->room - b->size < piece.size && !grow(b, piece.size)))
        return false;
    memcpy(b->at + b->size, piece.at, piece.size);
    memcpy(b->own + b->size, piece.own, piece.size);
    b->size += piece.size;
    return true;
}

struct tri_jtext tri_jbuilt(const struct tri_jbuilder *b)
{
    return b->size ? (struct tri_jtext){b->at, b->own, b->size} : tri_jword("", 0);
}

/* -- values ------------------------------------------------------------ */

const char *tri_jkind_name(const struct tri_jvalue *v)
{
    static const char *const names[] = {"nothing defined", "none",   "a boolean",    "an integer",
                                        "a string",        "a list", "a dictionary", "a namespace"};
    return names[v->kind];
}

bool tri_jtrue(const struct tri_jvalue *v)
{
    switch (v->kind) {
    case TRI_J_BOOL: return v->truth;
    case TRI_J_INT: return v->integer != 0;
    case TRI_J_TEXT: return v->text.size != 0;
    case TRI_J_LIST: return v->list->count != 0;
    case TRI_J_DICT: return v->dict->count != 0;
    default: return v->kind == TRI_J_NAMESPACE;
    }
}

struct tri_jvalue tri_jbool(bool truth)
{
    return (struct tri_jvalue){.kind = TRI_J_BOOL, .truth = truth};
}

struct tri_jvalue tri_jint(int64_t integer)
{
    return (struct tri_jvalue){.kind = TRI_J_INT, .integer = integer};
}

struct tri_jvalue tri_jstring(struct tri_jtext text)
{
    return (struct tri_jvalue){.kind = TRI_J_TEXT, .text = text};
}

bool tri_jlist_new(struct tri_jrun *r, size_t count, struct tri_jvalue *out)
{
    struct tri_jlist *list;
    if (!tri_jrun_spend(r, count) || !(list = tri_jrun_take(r, sizeof *list + count * sizeof *list->at)))
        return false;
    list->count = count;
    for (size_t i = 0; i < count; i++)
        list->at[i] = (struct tri_jvalue){.kind = TRI_J_NONE};
    *out = (struct tri_jvalue){.kind = TRI_J_LIST, .list = list};
    return true;
}

bool tri_jdict_new(struct tri_jrun *r, struct tri_jvalue *out)
{
    struct tri_jdict *d = tri_jrun_take(r, sizeof *d);
    if (d)
        *d = (struct tri_jdict){0};
    *out = (struct tri_jvalue){.kind = TRI_J_DICT, .dict = d};
    return d;
}

static struct tri_jentry *find(const struct tri_jdict *d, struct tri_jtext key)
{
    struct tri_jentry *x = d->first;
    while (x && !tri_jtext_equal(x->key, key))
        x = x->next;
    return x;
}

bool tri_jdict_set(struct tri_jrun *r, struct tri_jdict *d, struct tri_jtext key, struct tri_jvalue value)
{
    struct tri_jentry *x = find(d, key);
    if (!tri_jrun_spend(r, 1 + d->count / 16 + key.size / 64))
        return false;
    if (!x) {
        if (!(x = tri_jrun_take(r, sizeof *x)))
            return false;
        *(d->last ? &d->last->next : &d->first) = x;
        d->last = x;
        d->count++;
    }
    *x = (struct tri_jentry){key, value, x == d->last ? NULL : x->next};
    return true;
}

const struct tri_jvalue *tri_jdict_get(const struct tri_jdict *d, struct tri_jtext key)
{
    const struct tri_jentry *x = find(d, key);
    return x ? &x->value : NULL;
}

/* -- comparing --------------------------------------------------------- */

static bool too_deep(struct tri_jrun *r, int depth)
{
    return depth > TRI_J_DEPTH &&
           !tri_jrun_fail(r, "expected values nested at most %d deep, found deeper ones", TRI_J_DEPTH);
}

static bool equal_lists(struct tri_jrun *r, const struct tri_jlist *a, const struct tri_jlist *b, int depth,
                        bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; i < a->count && *equal; i++)
        if (!tri_jequal(r, &a->at[i], &b->at[i], depth + 1, equal))
            return false;
    return true;
}

static bool equal_dicts(struct tri_jrun *r, const struct tri_jdict *a, const struct tri_jdict *b, int depth,
                        bool *equal)
{
    *equal = a->count == b->count;
    for (const struct tri_jentry *x = a->first; x && *equal; x = x->next) {
        const struct tri_jvalue *other = tri_jdict_get(b, x->key);
        *equal = other;
        if (!tri_jrun_spend(r, 1 + b->count / 16) || (other && !tri_jequal(r, &x->value, other, depth + 1, equal)))
            return false;
    }
    return true;
}

bool tri_jequal(struct tri_jrun *r, const struct tri_jvalue *a, const struct tri_jvalue *b, int depth, bool *equal)
{
    if (too_deep(r, depth) || !tri_jrun_spend(r, 1))
        return false;
    *equal = a->kind == b->kind;
    if (!*equal)
        return true;
    switch (a->kind) {
    case TRI_J_BOOL: *equal = a->truth == b->truth; return true;
    case TRI_J_INT: *equal = a->integer == b->integer; return true;
    case TRI_J_TEXT: *equal = tri_jtext_equal(a->text, b->text); return tri_jrun_spend(r, a->text.size / 64);
    case TRI_J_LIST: return equal_lists(r, a->list, b->list, depth, equal);
    case TRI_J_DICT: return equal_dicts(r, a->dict, b->dict, depth, equal);
    case TRI_J_NAMESPACE: *equal = a->dict == b->dict; return true;
    default: return true;
    }
}

bool tri_jcontains(struct tri_jrun *r, const struct tri_jvalue *in, const struct tri_jvalue *what, bool *found)
{
    *found = false;
    if (in->kind == TRI_J_TEXT && what->kind == TRI_J_TEXT) {
        *found = !what->text.size || memmem(in->text.at, in->text.size, what->text.at, what->text.size);
        return tri_jrun_spend(r, (in->text.size + what->text.size) / 16);
    }
    if (in->kind == TRI_J_DICT && what->kind == TRI_J_TEXT) {
        *found = tri_jdict_get(in->dict, what->text);
        return tri_jrun_spend(r, in->dict->count / 16 + what->text.size / 64);
    }
    if (in->kind != TRI_J_LIST)
        return tri_jrun_fail(r, "expected a list, a string or a dictionary that %s may be in, found %s",
                             tri_jkind_name(what), tri_jkind_name(in));
    for (size_t i = 0; i < in->list->count && !*found; i++)
        if (!tri_jequal(r, &in->list->at[i], what, 0, found))
            return false;
    return true;
}

/* -- printing ---------------------------------------------------------- */

static bool build_word(struct tri_jbuilder *b, const char *word)
{
    return tri_jbuild(b, tri_jword(word, strlen(word)));
}

static bool build_integer(struct tri_jbuilder *b, int64_t integer)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, integer);
    return build_word(b, digits);
}

bool tri_jprint(struct tri_jbuilder *b, const struct tri_jvalue *v)
{
    switch (v->kind) {
    case TRI_J_UNDEFINED: return true;
    case TRI_J_NONE: return build_word(b, "None");
    case TRI_J_BOOL: return build_word(b, v->truth ? "True" : "False");
    case TRI_J_INT: return build_integer(b, v->integer);
    case TRI_J_TEXT: return tri_jbuild(b, v->text);
    default:
        return tri_jrun_fail(b->run, "expected a string or an integer to print, found %s; the filter tojson prints it",
                             tri_jkind_name(v));
    }
}

static bool dump_character(struct tri_jbuilder *b, struct tri_jtext c)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const unsigned char byte = (unsigned char)*c.at;
    const char *found = byte ? strchr(from, byte) : NULL;
    char escape[8];
    if (found)
        snprintf(escape, sizeof escape, "\\%c", to[found - from]);
    else if (byte < 0x20)
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)byte);
    else
        return tri_jbuild(b, c);
    return build_word(b, escape);
}

static bool dump_text(struct tri_jbuilder *b, struct tri_jtext text)
{
    if (!build_word(b, "\"") || !tri_jrun_spend(b->run, text.size))
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (!dump_character(b, tri_jtext_part(text, i, i + 1)))
            return false;
    return build_word(b, "\"");
}

static bool dump_list(struct tri_jbuilder *b, const struct tri_jlist *list, int depth)
{
    if (!build_word(b, "["))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if ((i && !build_word(b, ", ")) || !tri_jdump(b, &list->at[i], depth + 1))
            return false;
    return build_word(b, "]");
}

static bool dump_dict(struct tri_jbuilder *b, const struct tri_jdict *d, int depth)
{
    if (!build_word(b, "{"))
        return false;
    for (const struct tri_jentry *x = d->first; x; x = x->next)
        if ((x != d->first && !build_word(b, ", ")) || !dump_text(b, x->key) || !build_word(b, ": ") ||
            !tri_jdump(b, &x->value, depth + 1))
            return false;
    return build_word(b, "}");
}

bool tri_jdump(struct tri_jbuilder *b, const struct tri_jvalue *v, int depth)
{
    if (too_deep(b->run, depth) || !tri_jrun_spend(b->run, 1))
        return false;
    switch (v->kind) {
    case TRI_J_NONE: return build_word(b, "null");
    case TRI_J_BOOL: return build_word(b, v->truth ? "true" : "false");
    case TRI_J_INT: return build_integer(b, v->integer);
    case TRI_J_TEXT: return dump_text(b, v->text);
    case TRI_J_LIST: return dump_list(b, v->list, depth);
    case TRI_J_DICT: return dump_dict(b, v->dict, depth);
    default: return tri_jrun_fail(b->run, "expected a value that JSON has, found %s", tri_jkind_name(v));
    }
}

/* -- from JSON --------------------------------------------------------- */

static bool from_string(struct tri_jrun *r, const char *at, size_t size, bool own, struct tri_jtext *out)
{
    unsigned char *marks = tri_jrun_take(r, size);
    if (!marks || !tri_jrun_spend(r, size / 64))
        return false;
    memset(marks, own, size);
    *out = (struct tri_jtext){at, marks, size};
    return true;
}

static bool from_array(struct tri_jrun *r, const json_t *json, bool own, int depth, struct tri_jvalue *out)
{
    if (!tri_jlist_new(r, json_array_size(json), out))
        return false;
    for (size_t i = 0; i < out->list->count; i++)
        if (!tri_jfrom_json(r, json_array_get(json, i), own, depth + 1, &out->list->at[i]))
            return false;
    return true;
}

/* Members called so, whose words are the template's business: it may make a control token of one. */
static bool is_role(const char *key, const json_t *value)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    const char *word = strcmp(key, "role") == 0 ? json_string_value(value) : NULL;
    for (size_t i = 0; word && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(word, roles[i]) == 0 && json_string_length(value) == strlen(word))
            return true;
    return false;
}

static bool from_object(struct tri_jrun *r, const json_t *json, bool own, int depth, struct tri_jvalue *out)
{
    const char *key;
    json_t *member;
    if (!tri_jdict_new(r, out))
        return false;
    json_object_foreach((json_t *)json, key, member) {
        struct tri_jtext name;
        struct tri_jvalue value;
        if (!from_string(r, key, strlen(key), own, &name) ||
            !tri_jfrom_json(r, member, own || is_role(key, member), depth + 1, &value) ||
            !tri_jdict_set(r, out->dict, name, value))
            return false;
    }
    return true;
}

bool tri_jfrom_json(struct tri_jrun *r, const json_t *json, bool own, int depth, struct tri_jvalue *out)
{
    if (too_deep(r, depth) || !tri_jrun_spend(r, 1))
        return false;
    switch (json_typeof(json)) {
    case JSON_OBJECT: return from_object(r, json, own, depth, out);
    case JSON_ARRAY: return from_array(r, json, own, depth, out);
    case JSON_STRING:
        out->kind = TRI_J_TEXT;
        return from_string(r, json_string_value(json), json_string_length(json), own, &out->text);
    case JSON_INTEGER: *out = tri_jint(json_integer_value(json)); return true;
    case JSON_REAL: return tri_jrun_fail(r, "expected integers in what is rendered, found a float");
    case JSON_NULL: *out = (struct tri_jvalue){.kind = TRI_J_NONE}; return true;
    default: *out = tri_jbool(json_is_true(json)); return true;
    }
}
