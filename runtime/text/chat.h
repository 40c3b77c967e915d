/* Conversations to token ids, by a chat template (formats.md 6).
 *
 *     struct tri_chat *c = tri_chat_new(gguf, tokenizer, NULL, "the file", &e);
 *     struct tri_ids ids = {0};
 *     json_t *messages = ...;                       [{"role": "user", "content": "Hello"}, ...]
 *     if (tri_chat_tokens(c, messages, true, &ids, &e) == TRI_OK) ...
 *     tri_ids_free(&ids);
 *     tri_chat_free(c);
 *
 * What stands in messages never becomes a control token, whatever it spells: the template carries along who wrote each
 * byte, and only what the template wrote is looked at for them (tri_tokenize_marked). */
#ifndef TRI_CHAT_H
#define TRI_CHAT_H

#include "text/tokenizer.h"

#include <jansson.h>

struct tri_chat;

/* `template`: the name of one built in (tri_chat_names), or Jinja, recognised by its tags, which `name` calls in
 * messages; NULL: the file's tokenizer.chat_template, or where it is known to be wrong for the model, the right one.
 * tri_chat_notice then says so. The tokenizer and the file outlive the result. TRI_USAGE for an unknown name,
 * TRI_UNSUPPORTED if the file has none, TRI_BAD_FILE if it cannot be read. */
struct tri_chat *tri_chat_new(const struct tri_gguf *g, const struct tri_tokenizer *t, const char *template,
                              const char *name, struct tri_error *e);
void tri_chat_free(struct tri_chat *c);
const char *tri_chat_notice(const struct tri_chat *c); /* NULL: nothing to tell */
const char *tri_chat_names(void);                      /* "bitnet, llama3, falcon3" */

/* Appends the ids of a conversation, an array of objects with strings "role" and "content"; `prompt`: and what begins
 * the assistant's next answer. bos stands in front once, whoever writes it. Errors as of tri_jinja_render and
 * tri_tokenize. */
enum tri_status tri_chat_tokens(const struct tri_chat *c, const json_t *messages, bool prompt, struct tri_ids *ids,
                                struct tri_error *e);

#endif
