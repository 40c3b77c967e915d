/* What was said: an array of messages as chat templates want it, and its file. */
#ifndef TRI_CONVERSATION_H
#define TRI_CONVERSATION_H

#include "base/error.h"

#include <jansson.h>

struct tri_conversation {
    json_t *messages; /* [{"role": ..., "content": ...}, ...] */
};

/* Begins anew, with a system's message unless that is NULL. To be freed. */
enum tri_status tri_conversation_begin(struct tri_conversation *c, const char *system, struct tri_error *e);
void tri_conversation_free(struct tri_conversation *c);

/* Bytes that are not UTF-8 become U+FFFD. */
enum tri_status tri_conversation_add(struct tri_conversation *c, const char *role, const char *content, size_t size,
                                     struct tri_error *e);
void tri_conversation_take_back(struct tri_conversation *c); /* the last message, if it is the user's */

/* Drops the oldest message that is not the system's, and the answer to it, but never the last; false: there is none. */
bool tri_conversation_forget(struct tri_conversation *c);

/* {"messages": [...]}. A file appears whole or not at all; reading one that is wrong leaves the conversation alone. */
enum tri_status tri_conversation_save(const struct tri_conversation *c, const char *path, struct tri_error *e);
enum tri_status tri_conversation_load(struct tri_conversation *c, const char *path, struct tri_error *e);

/* A text in the making, always terminated; freed by free(at). */
struct tri_answer {
    char *at;
    size_t count, room, printed;
};
enum tri_status tri_answer_keep(struct tri_answer *a, const char *at, size_t size, struct tri_error *e);
/* The same, printing what is whole UTF-8; at the end the rest, and a newline. */
enum tri_status tri_answer_add(struct tri_answer *a, struct tri_text text, struct tri_error *e);
void tri_answer_end(struct tri_answer *a);

#endif
