/* Owns: messages, their file, and answers as they are printed. Leaves out how messages become a prompt (text/chat.h).
 */
#include "cli/conversation.h"
#include "base/memory.h"
#include "base/output.h"
#include "file/json.h"
#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tri_json_limits limits = {.depth = 8, .values = 1 << 20};

/* -- texts ------------------------------------------------------------- */

enum tri_status tri_answer_keep(struct tri_answer *a, const char *at, size_t size, struct tri_error *e)
{
    if (a->room - a->count <= size) {
        const size_t room = 2 * a->room + size + 64;
        char *grown = realloc(a->at, room);
        if (!grown)
            return tri_fail(e, TRI_NO_MEMORY, "text: no memory for %zu bytes", room);
        a->at = grown;
        a->room = room;
    }
    if (size)
        memcpy(a->at + a->count, at, size);
    a->count += size;
    a->at[a->count] = '\0';
    return TRI_OK;
}

static void print(struct tri_answer *a, size_t size)
{
    fwrite(a->at + a->printed, 1, size, stdout);
    fflush(stdout);
    a->printed += size;
}

enum tri_status tri_answer_add(struct tri_answer *a, struct tri_text text, struct tri_error *e)
{
    if (tri_answer_keep(a, text.at, text.size, e) != TRI_OK)
        return e->status;
    const size_t whole = tri_utf8_whole(a->at + a->printed, a->count - a->printed);
    if (whole)
        print(a, whole);
    return TRI_OK;
}

void tri_answer_end(struct tri_answer *a)
{
    if (a->count > a->printed)
        print(a, a->count - a->printed);
    if (a->at)
        putchar('\n');
    fflush(stdout);
}

static enum tri_status make_valid(const char *at, size_t size, struct tri_answer *out, struct tri_error *e)
{
    for (size_t i = 0, n; i < size; i += n) {
        n = tri_utf8_valid(at + i, size - i);
        const bool good = n > 0;
        if (tri_answer_keep(out, good ? at + i : "\xEF\xBF\xBD", good ? n : 3, e) != TRI_OK)
            return e->status;
        n += !good;
    }
    return tri_answer_keep(out, "", 0, e);
}

/* -- messages ---------------------------------------------------------- */

enum tri_status tri_conversation_begin(struct tri_conversation *c, const char *system, struct tri_error *e)
{
    tri_conversation_free(c);
    if (!(c->messages = json_array()))
        return tri_fail(e, TRI_NO_MEMORY, "conversation: no memory");
    return system ? tri_conversation_add(c, "system", system, strlen(system), e) : TRI_OK;
}

void tri_conversation_free(struct tri_conversation *c)
{
    json_decref(c->messages);
    c->messages = NULL;
}

enum tri_status tri_conversation_add(struct tri_conversation *c, const char *role, const char *content, size_t size,
                                     struct tri_error *e)
{
    struct tri_answer valid = {0};
    if (make_valid(content, size, &valid, e) == TRI_OK) {
        json_t *m = json_pack("{sssO}", "role", role, "content", json_null());
        if (!m || json_object_set_new(m, "content", json_stringn(valid.at, valid.count)) != 0 ||
            json_array_append(c->messages, m) != 0)
            tri_fail(e, TRI_NO_MEMORY, "conversation: no memory for a message of %zu bytes", size);
        else
            e->status = TRI_OK;
        json_decref(m);
    }
    free(valid.at);
    return e->status;
}

static bool said_by(const struct tri_conversation *c, size_t i, const char *role)
{
    return strcmp(json_string_value(json_object_get(json_array_get(c->messages, i), "role")), role) == 0;
}

void tri_conversation_take_back(struct tri_conversation *c)
{
    const size_t count = json_array_size(c->messages);
    if (count && said_by(c, count - 1, "user"))
        json_array_remove(c->messages, count - 1);
}

bool tri_conversation_forget(struct tri_conversation *c)
{
    const size_t first = json_array_size(c->messages) && said_by(c, 0, "system"), before = json_array_size(c->messages);
    do {
        if (first + 1 >= json_array_size(c->messages))
            break;
        json_array_remove(c->messages, first);
    } while (said_by(c, first, "assistant"));
    return json_array_size(c->messages) < before;
}

/* -- the file ---------------------------------------------------------- */

enum tri_status tri_conversation_save(const struct tri_conversation *c, const char *path, struct tri_error *e)
{
    json_t *root = json_pack("{sO}", "messages", c->messages);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    struct tri_output_file *f = NULL;
    json_decref(root);
    if (!text)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for the conversation", path);
    enum tri_status status = (f = tri_output_open(path, e)) ? TRI_OK : e->status;
    if (status == TRI_OK)
        status = tri_output_write(f, 0, text, strlen(text), e);
    if (status == TRI_OK)
        status = tri_output_commit(f, e);
    tri_output_close(f);
    free(text);
    return status;
}

static enum tri_status check(const json_t *messages, const char *path, struct tri_error *e)
{
    static const char *const roles[] = {"system", "user", "assistant"};
    size_t i;
    json_t *m;
    if (!json_is_array(messages))
        return tri_fail(e, TRI_BAD_FILE, "%s: expected an object with an array \"messages\", found none", path);
    json_array_foreach((json_t *)messages, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        bool known = false;
        for (size_t r = 0; role && r < sizeof roles / sizeof *roles; r++)
            known |= strcmp(role, roles[r]) == 0;
        if (!known || !json_is_string(json_object_get(m, "content")))
            return tri_fail(e, TRI_BAD_FILE,
                            "%s: message %zu: expected a role (system, user or assistant) and a text as "
                            "content, found something else",
                            path, i);
    }
    return TRI_OK;
}

enum tri_status tri_conversation_load(struct tri_conversation *c, const char *path, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, path, e) != TRI_OK)
        return e->status;
    json_t *root = tri_json_read((const char *)map.data, map.size, limits, path, e);
    tri_map_close(&map);
    json_t *messages = json_object_get(root, "messages");
    const enum tri_status status = root ? check(messages, path, e) : e->status;
    if (status == TRI_OK) {
        tri_conversation_free(c);
        c->messages = json_incref(messages);
    }
    json_decref(root);
    return status;
}
