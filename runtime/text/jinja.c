/* Owns: templates: opening them, rendering with limits, and where errors are. */
#define _GNU_SOURCE
#include "text/jinja_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far above what templates of models take, far below what would be felt. */
enum {
    TEMPLATE = 1 << 20,      /* bytes */
    TREE = 64 << 20,         /* bytes */
    MEMORY = 256 << 20,      /* bytes of one rendering */
    OUTPUT = 16 << 20,       /* bytes */
    STEPS = 10 * 1000 * 1000 /* nodes evaluated, values looked at, or 64 bytes copied */
};

/* -- errors and limits ------------------------------------------------- */

static enum tri_status fail_at(const struct tri_jinja *t, size_t offset, enum tri_status status, const char *text,
                               struct tri_error *e)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < t->size; i++, column++)
        if (t->text[i] == '\n') {
            line++;
            column = 0;
        }
    return tri_fail(e, status, "%s:%zu:%zu: %s", t->name, line, column, text);
}

enum tri_status tri_jinja_fail(const struct tri_jinja *t, size_t offset, struct tri_error *e, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail_at(t, offset, TRI_BAD_FILE, text, e);
}

bool tri_jrun_fail(struct tri_jrun *r, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_at(r->template, r->offset, TRI_BAD_FILE, text, r->e);
    return false;
}

bool tri_jrun_refuse(struct tri_jrun *r, struct tri_jtext words)
{
    char text[512];
    snprintf(text, sizeof text, "the template refuses the conversation: %.*s",
             (int)(words.size < 400 ? words.size : 400), words.at);
    fail_at(r->template, r->offset, TRI_UNSUPPORTED, text, r->e);
    return false;
}

bool tri_jrun_spend(struct tri_jrun *r, size_t steps)
{
    if (steps > r->steps)
        return tri_jrun_fail(r, "expected a template of at most %d steps, found one that takes more", STEPS);
    r->steps -= steps;
    return true;
}

void *tri_jrun_take(struct tri_jrun *r, size_t size)
{
    void *at = tri_arena_take(&r->arena, size);
    if (!at)
        tri_jrun_fail(r, "expected a template that takes at most %d MiB, found one that takes more", MEMORY >> 20);
    return at;
}

/* -- templates --------------------------------------------------------- */

/* One newline at the end is no part of a template. */
static enum tri_status copy_text(struct tri_jinja *t, const char *text, size_t size, struct tri_error *e)
{
    size -= size && text[size - 1] == '\n';
    t->text = malloc(size + 1);
    if (!t->name || !t->text)
        return tri_fail(e, TRI_NO_MEMORY, "template: no memory for %zu bytes", size);
    memcpy(t->text, text, size);
    t->text[size] = '\0';
    t->size = size;
    return TRI_OK;
}

struct tri_jinja *tri_jinja_new(const char *text, size_t size, const char *name, struct tri_error *e)
{
    if (size > TEMPLATE) {
        tri_fail(e, TRI_BAD_FILE, "%s: expected a template of at most %d bytes, found %zu", name, TEMPLATE, size);
        return NULL;
    }
    struct tri_jinja *t = calloc(1, sizeof *t);
    if (!t) {
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory for a template", name);
        return NULL;
    }
    t->arena.limit = TREE;
    t->name = strdup(name);
    if (copy_text(t, text, size, e) == TRI_OK && tri_jinja_parse(t, e) == TRI_OK)
        return t;
    tri_jinja_free(t);
    return NULL;
}

void tri_jinja_free(struct tri_jinja *t)
{
    if (!t)
        return;
    tri_arena_free(&t->arena);
    free(t->name);
    free(t->text);
    free(t);
}

/* -- rendering --------------------------------------------------------- */

static bool define(struct tri_jrun *r, const json_t *variables, bool own)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)variables, key, value) {
        struct tri_jvalue v;
        if (!tri_jfrom_json(r, value, own, 0, &v) ||
            !tri_jinja_define(r, (struct tri_jtext){.at = key, .size = strlen(key)}, v))
            return false;
    }
    return true;
}

static enum tri_status hand_over(struct tri_jrun *r, const struct tri_jbuilder *b, struct tri_marked *out)
{
    if (b->size > OUTPUT) {
        tri_jrun_fail(r, "expected at most %d MiB of text, found more", OUTPUT >> 20);
        return r->e->status;
    }
    *out = (struct tri_marked){malloc(b->size + 1), malloc(b->size + 1), b->size};
    if (!out->at || !out->own) {
        tri_marked_free(out);
        return tri_fail(r->e, TRI_NO_MEMORY, "%s: no memory for %zu bytes", r->template->name, b->size);
    }
    if (b->size) {
        memcpy(out->at, b->at, b->size);
        memcpy(out->own, b->own, b->size);
    }
    out->at[b->size] = '\0';
    return TRI_OK;
}

enum tri_status tri_jinja_render(const struct tri_jinja *t, const json_t *own, const json_t *data,
                                 struct tri_marked *out, struct tri_error *e)
{
    struct tri_jrun r = {.template = t, .arena = {.limit = MEMORY}, .steps = STEPS, .e = e};
    struct tri_jbuilder b = {.run = &r};
    *out = (struct tri_marked){0};
    const bool good = tri_jinja_enter(&r) && define(&r, own, true) && define(&r, data, false) &&
                      tri_jinja_run(&b, t->body);
    const enum tri_status status = good ? hand_over(&r, &b, out) : e->status;
    tri_arena_free(&r.arena);
    return status;
}

void tri_marked_free(struct tri_marked *m)
{
    free(m->at);
    free(m->own);
    *m = (struct tri_marked){0};
}
