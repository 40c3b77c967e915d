/* Owns: which template a conversation is written by, and what it is given. Leaves out templates' meaning (jinja.c). */
#define _GNU_SOURCE
#include "text/chat.h"

#include "text/ids.h"
#include "text/jinja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tri_chat {
    const struct tri_tokenizer *tokenizer;
    struct tri_jinja *template;
    json_t *own; /* variables that are the template's: bos_token, eos_token */
    const char *notice;
};

/* -- built in ---------------------------------------------------------- */

/* formats.md 6.1 to 6.3. */
static const struct {
    const char *name, *text;
} builtin[] = {
    {"bitnet",
     "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] | trim + '<|eot_id|>' }}"
     "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"},
    {"llama3", "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
               "'<|end_header_id|>\\n\\n' + "
               "message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"},
    {"falcon3", "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + "
                "message['content'] + '\\n' }}"
                "{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '\\n' }}"
                "{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\\n' + message['content'] + eos_token }}"
                "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endif %}"
                "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}"},
};
enum { BUILTIN = sizeof builtin / sizeof *builtin, BITNET = 0 };

const char *tri_chat_names(void)
{
    return "bitnet, llama3, falcon3";
}

/* -- choosing ---------------------------------------------------------- */

struct source {
    struct tri_text text;
    const char *name, *notice;
};

static struct tri_text text_of(const char *word)
{
    return (struct tri_text){word, strlen(word)};
}

static bool holds(struct tri_text text, const char *word)
{
    return memmem(text.at, text.size, word, strlen(word));
}

static enum tri_status choose_given(const char *template, const char *name, struct source *s, struct tri_error *e)
{
    *s = (struct source){text_of(template), name, NULL};
    for (int i = 0; i < BUILTIN; i++)
        if (strcmp(template, builtin[i].name) == 0)
            *s = (struct source){text_of(builtin[i].text), builtin[i].name, NULL};
    if (holds(s->text, "{{") || holds(s->text, "{%"))
        return TRI_OK;
    return tri_fail(e, TRI_USAGE, "chat template: expected %s or a text in Jinja, found \"%.40s\"", tri_chat_names(),
                    template);
}

/* One that Microsoft's converter puts into every file of the architecture drops the system's messages and ends the
 * prompt before the answer. */
static enum tri_status choose_file_s(const struct tri_gguf *g, struct source *s, struct tri_error *e)
{
    *s = (struct source){.name = "tokenizer.chat_template"};
    if (!tri_gguf_find(g, s->name))
        return tri_fail(e, TRI_UNSUPPORTED,
                        "%s: expected a chat template (key %s), found none; name one by --chat-template: %s, or Jinja",
                        tri_gguf_name(g), s->name, tri_chat_names());
    if (tri_gguf_text(g, s->name, &s->text, e) != TRI_OK)
        return e->status;
    if (holds(s->text, "BITNETAssistant"))
        *s = (struct source){text_of(builtin[BITNET].text), builtin[BITNET].name,
                             "the file's chat template is one that its model was not trained on (BITNETAssistant); the "
                             "built-in \"bitnet\" takes its place (--chat-template)"};
    return TRI_OK;
}

/* -- making ------------------------------------------------------------ */

/* A token's text as a variable, empty where there is no such token. */
static bool set_token(struct tri_chat *c, const char *name, int32_t id)
{
    const struct tri_text text = tri_token_bytes(c->tokenizer, id, true);
    return json_object_set_new(c->own, name, json_stringn_nocheck(text.at, text.size)) == 0;
}

static enum tri_status fill(struct tri_chat *c, const struct source *s, struct tri_error *e)
{
    c->notice = s->notice;
    c->template = tri_jinja_new(s->text.at, s->text.size, s->name, e);
    if (!c->template)
        return e->status;
    c->own = json_object();
    if (!c->own || !set_token(c, "bos_token", tri_bos(c->tokenizer)) ||
        !set_token(c, "eos_token", tri_eos(c->tokenizer)))
        return tri_fail(e, TRI_NO_MEMORY, "chat template: no memory");
    return TRI_OK;
}

struct tri_chat *tri_chat_new(const struct tri_gguf *g, const struct tri_tokenizer *t, const char *template,
                              const char *name, struct tri_error *e)
{
    struct source s;
    if ((template ? choose_given(template, name, &s, e) : choose_file_s(g, &s, e)) != TRI_OK)
        return NULL;
    struct tri_chat *c = calloc(1, sizeof *c);
    if (!c) {
        tri_fail(e, TRI_NO_MEMORY, "chat template: no memory");
        return NULL;
    }
    c->tokenizer = t;
    if (fill(c, &s, e) == TRI_OK)
        return c;
    tri_chat_free(c);
    return NULL;
}

void tri_chat_free(struct tri_chat *c)
{
    if (!c)
        return;
    tri_jinja_free(c->template);
    json_decref(c->own);
    free(c);
}

const char *tri_chat_notice(const struct tri_chat *c)
{
    return c->notice;
}

/* -- tokens ------------------------------------------------------------ */

static enum tri_status check(const json_t *messages, struct tri_error *e)
{
    size_t i;
    json_t *m;
    if (!json_is_array(messages))
        return tri_fail(e, TRI_USAGE, "messages: expected an array, found something else");
    json_array_foreach((json_t *)messages, i, m)
        if (!json_is_string(json_object_get(m, "role")) || !json_is_string(json_object_get(m, "content")))
            return tri_fail(e, TRI_USAGE,
                            "message %zu: expected an object with strings \"role\" and \"content\", found none", i);
    return TRI_OK;
}

/* bos comes of the template or of the tokenizer, not of both. */
static bool writes_bos(const struct tri_chat *c, const struct tri_marked *text)
{
    const struct tri_text bos = tri_token_bytes(c->tokenizer, tri_bos(c->tokenizer), true);
    return bos.size && bos.size <= text->size && memcmp(text->at, bos.at, bos.size) == 0 &&
           !memchr(text->own, 0, bos.size);
}

static enum tri_status tokenize(const struct tri_chat *c, const struct tri_marked *text, struct tri_ids *ids,
                                struct tri_error *e)
{
    if (tri_adds_bos(c->tokenizer) && !writes_bos(c, text) && tri_ids_add(ids, tri_bos(c->tokenizer), e) != TRI_OK)
        return e->status;
    return tri_tokenize_marked(c->tokenizer, text->at, text->own, text->size, TRI_PARSE_SPECIAL, ids, e);
}

enum tri_status tri_chat_tokens(const struct tri_chat *c, const json_t *messages, bool prompt, struct tri_ids *ids,
                                struct tri_error *e)
{
    struct tri_marked text;
    if (check(messages, e) != TRI_OK)
        return e->status;
    json_t *data = json_pack("{sOsb}", "messages", messages, "add_generation_prompt", prompt);
    if (!data)
        return tri_fail(e, TRI_NO_MEMORY, "conversation: no memory");
    enum tri_status status = tri_jinja_render(c->template, c->own, data, &text, e);
    json_decref(data);
    if (status != TRI_OK)
        return status;
    const size_t before = ids->count;
    status = tokenize(c, &text, ids, e);
    if (status != TRI_OK)
        ids->count = before;
    tri_marked_free(&text);
    return status;
}
