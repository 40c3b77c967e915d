/* Chat templates: the part of Jinja that those of language models use (formats.md 6.4), blocks trimmed as Hugging Face
 * does (trim_blocks, lstrip_blocks).
 *
 *     struct tri_jinja *t = tri_jinja_new(text, size, "tokenizer.chat_template", &e);
 *     struct tri_marked out;
 *     if (tri_jinja_render(t, own, data, &out, &e) == TRI_OK) ...
 *     tri_marked_free(&out);
 *     tri_jinja_free(t);
 *
 * What a template may take is bounded: nesting, steps, memory and output, so that none hangs or exhausts anything.
 * Letters other than ASCII keep their case (capitalize, lower, title, upper). Floats are not known. */
#ifndef TRI_JINJA_H
#define TRI_JINJA_H

#include "base/error.h"

#include <jansson.h>

struct tri_jinja;

/* The text is copied; `name` stands in messages. TRI_BAD_FILE with line and column of what cannot be read. */
struct tri_jinja *tri_jinja_new(const char *text, size_t size, const char *name, struct tri_error *e);
void tri_jinja_free(struct tri_jinja *t);

/* Bytes, and of each whether the template wrote it, and nobody else. */
struct tri_marked {
    char *at;
    unsigned char *own; /* 1: the template did */
    size_t size;
};

/* Variables are the members of two objects: strings of `own` count as the template's, those of `data` as foreign,
 * through whatever the template does to them, but for members "role" that are system, user, assistant or tool. `out` is
 * to be freed after success. TRI_BAD_FILE with line and column, TRI_NO_MEMORY; TRI_UNSUPPORTED with the words of
 * raise_exception. Thread-safe. */
enum tri_status tri_jinja_render(const struct tri_jinja *t, const json_t *own, const json_t *data,
                                 struct tri_marked *out, struct tri_error *e);
void tri_marked_free(struct tri_marked *m);

#endif
