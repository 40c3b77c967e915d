/* Owns: which steps of tokenizer.json are understood. Leaves out vocabulary, merges and special tokens
 * (tokenizer_json.c), and the dialect of expressions (expression.c). */
#include "text/pipeline.h"

#include "text/vocabulary.h"

#include <stdlib.h>
#include <string.h>

struct reading {
    struct tri_pipeline *pipeline;
    const char *name;
};

struct step {
    const char *type;
    enum tri_status (*read)(struct reading *r, const json_t *step, struct tri_error *e);
};

/* -- members --------------------------------------------------------------- */

static enum tri_status refuse(const struct reading *r, const json_t *found, const char *expected, struct tri_error *e)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    tri_fail(e, TRI_UNSUPPORTED, "%s: tokenizer.json: expected %s, found %.160s; use a GGUF file of this model",
             r->name, expected, text ? text : "none");
    free(text);
    return e->status;
}

static bool says(const json_t *object, const char *member, const char *text)
{
    const char *found = json_string_value(json_object_get(object, member));
    return found && !strcmp(found, text);
}

static bool flag(const json_t *object, const char *member, bool absent)
{
    const json_t *value = json_object_get(object, member);
    return json_is_boolean(value) ? json_is_true(value) : absent;
}

/* A step is an object that says its type; null does nothing. */
static enum tri_status read_step(struct reading *r, const json_t *step, const struct step *known, const char *expected,
                                 struct tri_error *e)
{
    if (!step || json_is_null(step))
        return TRI_OK;
    for (; known->type; known++)
        if (says(step, "type", known->type))
            return known->read(r, step, e);
    return refuse(r, step, expected, e);
}

static enum tri_status read_steps(struct reading *r, const json_t *list, const struct step *known, const char *expected,
                                  struct tri_error *e)
{
    if (!json_is_array(list))
        return refuse(r, list, "a list of steps", e);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_step(r, json_array_get(list, i), known, expected, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* -- the normalizer -------------------------------------------------------- */

static enum tri_status read_replace(struct reading *r, const json_t *step, struct tri_error *e)
{
    if (!says(json_object_get(step, "pattern"), "String", " ") || !says(step, "content", TRI_SPACE_MARK))
        return refuse(r, step, "a normalizer that replaces spaces by U+2581", e);
    r->pipeline->marked = true;
    return TRI_OK;
}

static enum tri_status read_prepend(struct reading *r, const json_t *step, struct tri_error *e)
{
    if (!says(step, "prepend", TRI_SPACE_MARK))
        return refuse(r, step, "a normalizer that prepends U+2581", e);
    r->pipeline->space_first = true;
    return TRI_OK;
}

static enum tri_status read_nfc(struct reading *r, const json_t *step, struct tri_error *e)
{
    (void)step;
    (void)e;
    r->pipeline->composed = true;
    return TRI_OK;
}

#define NORMALIZERS "a normalizer of type Replace, Prepend, NFC or Sequence"

static enum tri_status read_normalizers(struct reading *r, const json_t *step, struct tri_error *e)
{
    static const struct step known[] = {{"Replace", read_replace}, {"Prepend", read_prepend}, {"NFC", read_nfc}, {0}};
    return read_steps(r, json_object_get(step, "normalizers"), known, NORMALIZERS " without one within", e);
}

static const struct step normalizers[] = {
    {"Replace", read_replace}, {"Prepend", read_prepend}, {"NFC", read_nfc}, {"Sequence", read_normalizers}, {0}};

/* -- the pre-tokenizer ----------------------------------------------------- */

/* Behind ByteLevel a text is in that alphabet, in which digits are still themselves. */
static enum tri_status add_expression(struct reading *r, const json_t *step, const char *expression,
                                      struct tri_error *e)
{
    struct tri_pipeline *p = r->pipeline;
    if (p->byte_level && expression[strspn(expression, "[]{},-0123456789")])
        return refuse(r, step, "nothing but digits to be split behind ByteLevel", e);
    if (p->count == TRI_MAX_EXPRESSIONS)
        return refuse(r, step, "fewer steps before it", e);
    p->expression[p->count++] = expression;
    return TRI_OK;
}

static bool alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A string as an expression that matches just it. */
static enum tri_status add_literal(struct reading *r, const json_t *step, const char *text, struct tri_error *e)
{
    struct tri_pipeline *p = r->pipeline;
    char *literal = p->literal[p->count < TRI_MAX_EXPRESSIONS ? p->count : 0];
    size_t used = 0;
    if (!*text || strlen(text) >= sizeof p->literal[0] / 2)
        return refuse(r, step, "a short string to be split at", e);
    for (; *text; text++) {
        const bool plain = alphanumeric(*text) || *text == ' ' || (unsigned char)*text >= 0x80;
        if (!plain && (*text < '!' || *text > '~'))
            return refuse(r, step, "a string of printable characters to be split at", e);
        if (!plain)
            literal[used++] = '\\';
        literal[used++] = *text;
    }
    literal[used] = 0;
    return add_expression(r, step, literal, e);
}

static enum tri_status read_split(struct reading *r, const json_t *step, struct tri_error *e)
{
    const json_t *pattern = json_object_get(step, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *text = json_string_value(json_object_get(pattern, "String"));
    if (text && !strcmp(text, " ") && r->pipeline->marked && says(step, "behavior", "MergedWithPrevious"))
        return TRI_OK; /* the normalizer left no spaces */
    if ((!regex && !text) || !says(step, "behavior", "Isolated") || flag(step, "invert", false))
        return refuse(r, step, "a Split by Regex or String, Isolated and not inverted", e);
    return regex ? add_expression(r, step, regex, e) : add_literal(r, step, text, e);
}

static enum tri_status read_byte_level(struct reading *r, const json_t *step, struct tri_error *e)
{
    if (flag(step, "add_prefix_space", true) || r->pipeline->byte_level)
        return refuse(r, step, "one ByteLevel without add_prefix_space", e);
    if (flag(step, "use_regex", true) && add_expression(r, step, TRI_GPT2_EXPRESSION, e) != TRI_OK)
        return e->status;
    r->pipeline->byte_level = true;
    return TRI_OK;
}

static enum tri_status read_digits(struct reading *r, const json_t *step, struct tri_error *e)
{
    return add_expression(r, step, flag(step, "individual_digits", false) ? "\\p{N}" : "\\p{N}+", e);
}

/* ASCII's signs that are no \p{P} count, too. */
static enum tri_status read_punctuation(struct reading *r, const json_t *step, struct tri_error *e)
{
    if (says(step, "behavior", "Contiguous"))
        return add_expression(r, step, "[\\p{P}\\$\\+<=>\\^~\\|`]+", e);
    if (!json_object_get(step, "behavior") || says(step, "behavior", "Isolated"))
        return add_expression(r, step, "[\\p{P}\\$\\+<=>\\^~\\|`]", e);
    return refuse(r, step, "Punctuation that is Isolated or Contiguous", e);
}

static enum tri_status read_metaspace(struct reading *r, const json_t *step, struct tri_error *e)
{
    const bool always = says(step, "prepend_scheme", "always");
    if (!says(step, "replacement", TRI_SPACE_MARK) || flag(step, "split", true) ||
        (!always && !says(step, "prepend_scheme", "never")))
        return refuse(r, step, "Metaspace of U+2581 that prepends always or never and does not split", e);
    r->pipeline->marked = true;
    r->pipeline->space_first |= always;
    return TRI_OK;
}

#define STEPS {"Split", read_split}, {"ByteLevel", read_byte_level}, {"Digits", read_digits}, \
              {"Punctuation", read_punctuation}, {"Metaspace", read_metaspace}
#define PRETOKENIZERS "a pre-tokenizer of type Split, ByteLevel, Digits, Punctuation, Metaspace or Sequence"

static enum tri_status read_pretokenizers(struct reading *r, const json_t *step, struct tri_error *e)
{
    static const struct step known[] = {STEPS, {0}};
    return read_steps(r, json_object_get(step, "pretokenizers"), known, PRETOKENIZERS " without one within", e);
}

static const struct step pretokenizers[] = {STEPS, {"Sequence", read_pretokenizers}, {0}};

enum tri_status tri_pipeline_read(struct tri_pipeline *p, const json_t *root, const char *name, struct tri_error *e)
{
    struct reading r = {p, name};
    const json_t *pre = json_object_get(root, "pre_tokenizer");
    *p = (struct tri_pipeline){0};
    if (read_step(&r, json_object_get(root, "normalizer"), normalizers, NORMALIZERS, e) != TRI_OK ||
        read_step(&r, pre, pretokenizers, PRETOKENIZERS, e) != TRI_OK)
        return e->status;
    if (p->marked == p->byte_level || (p->marked && (p->count || p->composed)))
        return refuse(&r, pre, "either ByteLevel or spaces that become U+2581", e);
    return TRI_OK;
}
