/* Owns: vocabulary, merges, special tokens and templates of tokenizer.json as keys. Leaves out what happens to a text
 * before merges (pipeline.c) and checking what the keys say (tokenizer.c). */
#include "text/tokenizer_json.h"

#include "base/memory.h"
#include "file/json.h"
#include "text/pipeline.h"
#include "text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Gemma's, the largest vocabulary that is known, has 262144 tokens and twice as many merges. */
enum { MOST_TOKENS = 1 << 21 };
static const struct tri_json_limits limits = {32, 4 << 20}, config_limits = {32, 1 << 20};

enum { ADDED_SCORE = -1000, UNUSED_SCORE = -10000 }; /* as converters write them */
enum { UNMADE = 1 };                                 /* a score of tokens that no merge made yet */

#define KEY(name) "tokenizer.ggml." name

struct reader {
    struct tri_gguf_writer *writer;
    const char *name;
    json_t *root, *config; /* of the two files; NULL: there is none */
    const json_t *model, *vocab;
    struct tri_pipeline pipeline;
    int32_t count;
    const char **text; /* [count]; NULL: no token has the id */
    int32_t *kind;     /* [count] */
    float *score;      /* [count] */
};

static enum tri_status bad(const struct reader *r, const char *what, const char *found, struct tri_error *e)
{
    return tri_fail(e, TRI_BAD_FILE, "%s: tokenizer.json: %s \"%.60s\"; fetch the file again", r->name, what, found);
}

static enum tri_status unsupported(const struct reader *r, const char *what, const json_t *found, struct tri_error *e)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    tri_fail(e, TRI_UNSUPPORTED, "%s: tokenizer.json: expected %s, found %.160s; use a GGUF file of this model",
             r->name, what, text ? text : "none");
    free(text);
    return e->status;
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* -- tokens ---------------------------------------------------------------- */

/* -1: not an id. */
static int32_t id_from(const json_t *value)
{
    const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    return id >= 0 && id < MOST_TOKENS ? (int32_t)id : -1;
}

static enum tri_status count_ids(struct reader *r, struct tri_error *e)
{
    const json_t *added = json_object_get(r->root, "added_tokens");
    const size_t entries = json_object_size(r->vocab) + json_array_size(added);
    const char *text;
    json_t *value;
    int32_t last = -1;
    json_object_foreach((json_t *)r->vocab, text, value)
    {
        if (id_from(value) < 0)
            return bad(r, "expected ids from 0 to 2097151, found another for token", text, e);
        last = id_from(value) > last ? id_from(value) : last;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const int32_t id = id_from(json_object_get(token, "id"));
        if (id < 0 || !text_of(token, "content"))
            return unsupported(r, "\"added_tokens\" with id and content", token, e);
        last = id > last ? id : last;
    }
    if (last < 0 || (size_t)last > 2 * entries + 4096)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: tokenizer.json: expected ids without large gaps, found %zu tokens up to id "
                        "%d; fetch the file again",
                        r->name, entries, last);
    r->count = last + 1;
    return TRI_OK;
}

static enum tri_status allocate(struct reader *r, struct tri_error *e)
{
    const size_t n = (size_t)r->count;
    if (!(r->text = tri_alloc(n, sizeof *r->text, "tokens", e)) ||
        !(r->kind = tri_alloc(n, sizeof *r->kind, "token types", e)) ||
        !(r->score = tri_alloc(n, sizeof *r->score, "scores", e)))
        return e->status;
    for (size_t i = 0; i < n; i++) {
        r->kind[i] = TRI_TOKEN_UNUSED;
        r->score[i] = UNUSED_SCORE;
    }
    return TRI_OK;
}

static enum tri_status put_token(struct reader *r, int32_t id, const char *text, int32_t kind, float score,
                                 struct tri_error *e)
{
    if (r->text[id] && strcmp(r->text[id], text))
        return bad(r, "expected an id for each token, found one for two of them,", text, e);
    r->text[id] = text;
    r->kind[id] = kind;
    r->score[id] = score;
    return TRI_OK;
}

static enum tri_status put_vocab(struct reader *r, struct tri_error *e)
{
    const char *unknown = text_of(r->model, "unk_token"), *text;
    json_t *value;
    json_object_foreach((json_t *)r->vocab, text, value)
    {
        int32_t kind = TRI_TOKEN_NORMAL;
        if (r->pipeline.marked && tri_named_byte((struct tri_text){text, strlen(text)}) >= 0)
            kind = TRI_TOKEN_BYTE;
        if (r->pipeline.marked && unknown && !strcmp(text, unknown))
            kind = TRI_TOKEN_UNKNOWN;
        if (put_token(r, id_from(value), text, kind, UNMADE, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status put_added(struct reader *r, struct tri_error *e)
{
    static const char *const strange[] = {"single_word", "lstrip", "rstrip"};
    const json_t *added = json_object_get(r->root, "added_tokens");
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const int32_t id = id_from(json_object_get(token, "id"));
        for (size_t k = 0; k < sizeof strange / sizeof *strange; k++)
            if (json_is_true(json_object_get(token, strange[k])))
                return unsupported(r, "an added token without single_word, lstrip and rstrip", token, e);
        const bool special = json_is_true(json_object_get(token, "special")),
                   unknown = r->kind[id] == TRI_TOKEN_UNKNOWN;
        const int32_t kind = unknown ? TRI_TOKEN_UNKNOWN : special ? TRI_TOKEN_CONTROL : TRI_TOKEN_USER;
        if (put_token(r, id, text_of(token, "content"), kind, ADDED_SCORE, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static void add_tokens(const struct reader *r)
{
    tri_gguf_add_texts(r->writer, KEY("tokens"), (uint64_t)r->count);
    for (int32_t id = 0; id < r->count; id++) {
        char gap[24];
        snprintf(gap, sizeof gap, "[PAD%d]", id);
        const char *text = r->text[id] ? r->text[id] : gap;
        tri_gguf_add_element(r->writer, (struct tri_text){text, strlen(text)});
    }
    tri_gguf_add_array(r->writer, KEY("token_type"), TRI_I32, (uint64_t)r->count, r->kind);
}

/* -- merges ---------------------------------------------------------------- */

struct merge {
    struct tri_text left, right;
};

static struct tri_text text_in(const json_t *string)
{
    return (struct tri_text){json_string_value(string), json_string_length(string)};
}

/* "a b" or ["a", "b"] */
static bool read_merge(const json_t *value, struct merge *m)
{
    if (json_is_array(value)) {
        const json_t *left = json_array_get(value, 0), *right = json_array_get(value, 1);
        *m = (struct merge){text_in(left), text_in(right)};
        return json_array_size(value) == 2 && m->left.size && m->right.size;
    }
    const struct tri_text whole = text_in(value);
    const char *space = whole.size ? memchr(whole.at, ' ', whole.size) : NULL;
    if (!space)
        return false;
    m->left = (struct tri_text){whole.at, (size_t)(space - whole.at)};
    m->right = (struct tri_text){space + 1, whole.size - m->left.size - 1};
    return m->left.size && m->right.size && !memchr(m->right.at, ' ', m->right.size);
}

/* What a merge becomes: as GGUF writes it with a space between the parts, as a token without. */
static size_t join(const struct merge *m, bool space, char *out)
{
    memcpy(out, m->left.at, m->left.size);
    out[m->left.size] = ' ';
    memcpy(out + m->left.size + space, m->right.at, m->right.size);
    out[m->left.size + space + m->right.size] = 0;
    return m->left.size + space + m->right.size;
}

/* The first merge that makes a token tells its score. */
static void score_merge(struct reader *r, size_t rank, const char *result)
{
    const json_t *value = json_object_get(r->vocab, result);
    const int32_t id = value ? id_from(value) : -1;
    if (id >= 0 && r->score[id] == UNMADE)
        r->score[id] = -(float)rank;
}

static void add_scores(struct reader *r)
{
    for (int32_t id = 0; id < r->count; id++)
        r->score[id] = r->score[id] == UNMADE ? 0 : r->score[id];
    tri_gguf_add_array(r->writer, KEY("scores"), TRI_F32, (uint64_t)r->count, r->score);
}

static bool has_space(struct tri_text t)
{
    return memchr(t.at, ' ', t.size);
}

static enum tri_status take_merge(struct reader *r, size_t rank, const json_t *value, struct tri_error *e)
{
    char local[512], *text = local;
    struct merge m;
    if (!read_merge(value, &m))
        return unsupported(r, "\"merges\" of two texts", value, e);
    if (r->pipeline.byte_level && (has_space(m.left) || has_space(m.right)))
        return unsupported(r, "\"merges\" of texts without spaces", value, e);
    const size_t room = m.left.size + m.right.size + 2; /* parts of the file: no overflow */
    if (room > sizeof local && !(text = malloc(room)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: tokenizer.json: no memory for a merge of %zu bytes", r->name, room);
    const size_t size = join(&m, r->pipeline.byte_level, text);
    if (r->pipeline.byte_level)
        tri_gguf_add_element(r->writer, (struct tri_text){text, size});
    else
        score_merge(r, rank, text);
    if (text != local)
        free(text);
    return TRI_OK;
}

/* SentencePiece vocabularies have no merges in GGUF, but scores. */
static enum tri_status add_merges(struct reader *r, struct tri_error *e)
{
    const json_t *merges = json_object_get(r->model, "merges");
    if (!json_is_array(merges))
        return unsupported(r, "a list of \"merges\"", merges, e);
    if (r->pipeline.byte_level)
        tri_gguf_add_texts(r->writer, KEY("merges"), json_array_size(merges));
    for (size_t i = 0; i < json_array_size(merges); i++)
        if (take_merge(r, i, json_array_get(merges, i), e) != TRI_OK)
            return e->status;
    if (r->pipeline.marked)
        add_scores(r);
    return TRI_OK;
}

/* -- what is put around a text --------------------------------------------- */

static int32_t find_token(const struct reader *r, const char *text)
{
    const json_t *in_vocab = json_object_get(r->vocab, text);
    const json_t *added = json_object_get(r->root, "added_tokens");
    for (size_t i = 0; i < json_array_size(added); i++)
        if (!strcmp(text_of(json_array_get(added, i), "content"), text))
            return id_from(json_object_get(json_array_get(added, i), "id"));
    return in_vocab ? id_from(in_vocab) : -1;
}

struct frame { /* tokens before and behind a text; -1: none */
    int32_t bos, eos;
};

static enum tri_status read_template(const struct reader *r, const json_t *step, struct frame *f, struct tri_error *e)
{
    static const char expected[] = "a template of one sequence with at most one token before and behind it";
    const json_t *parts = json_object_get(step, "single");
    bool sequence = false;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        const char *token = text_of(json_object_get(part, "SpecialToken"), "id");
        int32_t *id = sequence ? &f->eos : &f->bos;
        if (token ? *id >= 0 || (*id = find_token(r, token)) < 0 : sequence || !json_object_get(part, "Sequence"))
            return unsupported(r, expected, step, e);
        sequence |= !token;
    }
    return sequence ? TRI_OK : unsupported(r, expected, step, e);
}

static enum tri_status read_processor(const struct reader *r, const json_t *step, struct frame *f, struct tri_error *e)
{
    const char *type = text_of(step, "type");
    if (!step || json_is_null(step) || (type && !strcmp(type, "ByteLevel")))
        return TRI_OK;
    if (type && !strcmp(type, "TemplateProcessing"))
        return read_template(r, step, f, e);
    return unsupported(r, "a post-processor of type TemplateProcessing, ByteLevel or one Sequence of them", step, e);
}

static enum tri_status read_frame(const struct reader *r, struct frame *f, struct tri_error *e)
{
    const json_t *step = json_object_get(r->root, "post_processor");
    const char *type = text_of(step, "type");
    *f = (struct frame){-1, -1};
    if (!type || strcmp(type, "Sequence"))
        return read_processor(r, step, f, e);
    const json_t *list = json_object_get(step, "processors");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_processor(r, json_array_get(list, i), f, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* Of tokenizer_config.json: a text, or an object with the text as its content. -1: it says none. */
static enum tri_status configured(const struct reader *r, const char *member, int32_t *id, struct tri_error *e)
{
    const json_t *value = json_object_get(r->config, member);
    const char *text = json_is_object(value) ? text_of(value, "content") : json_string_value(value);
    *id = text ? find_token(r, text) : -1;
    if (!text || *id >= 0)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: tokenizer_config.json: \"%s\": expected one of the tokens, found \"%.60s\"",
                    r->name, member, text);
}

/* tokenizer_config.json wins over the template, as with converters. */
static enum tri_status add_end(const struct reader *r, const char *end, int32_t framed, struct tri_error *e)
{
    char name[32], flag_name[32], key[64];
    int32_t id;
    snprintf(name, sizeof name, "%s_token", end);
    snprintf(flag_name, sizeof flag_name, "add_%s_token", end);
    if (configured(r, name, &id, e) != TRI_OK)
        return e->status;
    const json_t *flag = json_object_get(r->config, flag_name);
    const bool adds = json_is_boolean(flag) ? json_is_true(flag) : framed >= 0;
    id = id >= 0 ? id : framed;
    if (adds && (id < 0 || (framed >= 0 && framed != id)))
        return tri_fail(e, TRI_UNSUPPORTED,
                        "%s: tokenizer.json: expected the token it adds to a text to be the \"%s\" of "
                        "tokenizer_config.json, found another; use a GGUF file of this model",
                        r->name, name);
    snprintf(key, sizeof key, KEY("%s_token_id"), end);
    if (id >= 0)
        tri_gguf_add_uint(r->writer, key, (uint32_t)id);
    snprintf(key, sizeof key, KEY("%s"), flag_name);
    tri_gguf_add_bool(r->writer, key, adds);
    return TRI_OK;
}

static enum tri_status add_ends(const struct reader *r, struct tri_error *e)
{
    const char *unknown = text_of(r->model, "unk_token");
    const int32_t id = unknown ? find_token(r, unknown) : -1;
    struct frame f;
    if (read_frame(r, &f, e) != TRI_OK || add_end(r, "bos", f.bos, e) != TRI_OK ||
        add_end(r, "eos", f.eos, e) != TRI_OK)
        return e->status;
    if (id >= 0)
        tri_gguf_add_uint(r->writer, KEY("unknown_token_id"), (uint32_t)id);
    return TRI_OK;
}

/* -- chat templates -------------------------------------------------------- */

#define TEMPLATE "tokenizer.chat_template"

static bool is_default(const char *name)
{
    return !strcmp(name, "default");
}

/* [{"name": ..., "template": ...}, ...]: the default one, and others by name. */
static enum tri_status add_templates(const struct reader *r, const json_t *list, struct tri_error *e)
{
    uint64_t others = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = text_of(entry, "name"), *template = text_of(entry, "template");
        char key[128] = TEMPLATE;
        if (!name || !template || !*name || strlen(name) > 64)
            return tri_fail(e, TRI_BAD_FILE,
                            "%s: tokenizer_config.json: chat_template %zu: expected a name and a template", r->name, i);
        if (!is_default(name))
            snprintf(key, sizeof key, TEMPLATE ".%s", name);
        tri_gguf_add_text(r->writer, key, template);
        others += !is_default(name);
    }
    tri_gguf_add_texts(r->writer, TEMPLATE "s", others);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = text_of(json_array_get(list, i), "name");
        if (!is_default(name))
            tri_gguf_add_element(r->writer, (struct tri_text){name, strlen(name)});
    }
    return TRI_OK;
}

static enum tri_status add_chat(const struct reader *r, struct tri_error *e)
{
    const json_t *chat = json_object_get(r->config, "chat_template");
    if (json_is_array(chat))
        return add_templates(r, chat, e);
    if (json_is_string(chat))
        tri_gguf_add_text(r->writer, TEMPLATE, json_string_value(chat));
    return TRI_OK;
}

/* -- the whole ------------------------------------------------------------- */

static bool empty(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_string(value) && !json_string_length(value)) ||
           (json_is_number(value) && json_number_value(value) == 0);
}

static enum tri_status read_model(struct reader *r, struct tri_error *e)
{
    static const char *const strange[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
    r->model = json_object_get(r->root, "model");
    r->vocab = json_object_get(r->model, "vocab");
    const char *type = text_of(r->model, "type");
    if (!type || strcmp(type, "BPE") || !json_is_object(r->vocab))
        return unsupported(r, "a \"model\" of type BPE with a \"vocab\"", json_object_get(r->model, "type"), e);
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        if (!empty(json_object_get(r->model, strange[i])))
            return tri_fail(e, TRI_UNSUPPORTED,
                            "%s: tokenizer.json: \"%s\" is not supported; use a GGUF file of this model", r->name,
                            strange[i]);
    if (tri_pipeline_read(&r->pipeline, r->root, r->name, e) != TRI_OK)
        return e->status;
    if (json_is_true(json_object_get(r->model, "byte_fallback")) != r->pipeline.marked)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "%s: tokenizer.json: expected \"byte_fallback\" just where spaces become U+2581, "
                        "found otherwise; use a GGUF file of this model",
                        r->name);
    return TRI_OK;
}

static void add_pipeline(const struct reader *r)
{
    const struct tri_pipeline *p = &r->pipeline;
    const bool ignore_merges = json_is_true(json_object_get(r->model, "ignore_merges"));
    const char *name = tri_pretokenizer_name(p->expression, ignore_merges);
    tri_gguf_add_text(r->writer, KEY("model"), p->marked ? "llama" : "gpt2");
    if (p->marked) {
        tri_gguf_add_bool(r->writer, KEY("add_space_prefix"), p->space_first);
        return;
    }
    if (name) /* for other programs; the expressions win */
        tri_gguf_add_text(r->writer, KEY("pre"), name);
    tri_gguf_add_texts(r->writer, TRI_KEY_EXPRESSIONS, (uint64_t)p->count);
    for (int i = 0; i < p->count; i++)
        tri_gguf_add_element(r->writer, (struct tri_text){p->expression[i], strlen(p->expression[i])});
    tri_gguf_add_bool(r->writer, TRI_KEY_IGNORE_MERGES, ignore_merges);
    if (p->composed)
        tri_gguf_add_text(r->writer, TRI_KEY_NORMALIZER, "NFC");
}

static enum tri_status add_all(struct reader *r, struct tri_error *e)
{
    if (read_model(r, e) != TRI_OK || count_ids(r, e) != TRI_OK || allocate(r, e) != TRI_OK ||
        put_vocab(r, e) != TRI_OK || put_added(r, e) != TRI_OK)
        return e->status;
    add_pipeline(r);
    add_tokens(r);
    if (add_merges(r, e) != TRI_OK || add_ends(r, e) != TRI_OK)
        return e->status;
    return add_chat(r, e);
}

static enum tri_status parse(struct reader *r, const char *json, size_t size, const char *config, size_t config_size,
                             struct tri_error *e)
{
    char name[512];
    snprintf(name, sizeof name, "%.480s: tokenizer.json", r->name);
    if (!(r->root = tri_json_read(json, size, limits, name, e)))
        return e->status;
    snprintf(name, sizeof name, "%.480s: tokenizer_config.json", r->name);
    if (config && !(r->config = tri_json_read(config, config_size, config_limits, name, e)))
        return e->status;
    return TRI_OK;
}

enum tri_status tri_tokenizer_json_keys(struct tri_gguf_writer *w, const char *json, size_t size, const char *config,
                                        size_t config_size, const char *name, struct tri_error *e)
{
    struct reader r = {.writer = w, .name = name};
    enum tri_status status = parse(&r, json, size, config, config_size, e);
    if (status == TRI_OK)
        status = add_all(&r, e);
    json_decref(r.root);
    json_decref(r.config);
    tri_free(r.text);
    tri_free(r.kind);
    tri_free(r.score);
    return status;
}
