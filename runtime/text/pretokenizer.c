/* Owns: the table of pre-tokenizers (formats.md 5.3) and cutting text with PCRE2.
 * Leaves out merges (bpe.c) and special tokens, which are cut out before (special.c). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretokenizer.h"

#include "text/expression.h"
#include "text/utf8.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the table ------------------------------------------------------------- */

#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define LLAMA3(digits)                                                                                       \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                       \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES

#define GPT2 TRI_GPT2_EXPRESSION

#define FALCON_E                                                                                   \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"    \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"   \
    "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES

/* falcon3-bitnet is what BitNet's fork of llama.cpp of 2025 does with files that say falcon3; no file says so. */
static const struct tri_pretokenizer table[] = {
    {{"llama-bpe", "llama3", "llama-v3", "falcon3"}, true, true, {LLAMA3("\\p{N}{1,3}")}},
    {{"qwen2"}, false, false, {LLAMA3("\\p{N}")}},
    {{"gpt-2"}, false, false, {GPT2}},
    {{"falcon"}, false, false, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {{"falcon_e", "falcon-e"}, false, false, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", FALCON_E, "[0-9]"}},
    {{"falcon3-bitnet"}, false, false, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9]"}},
    {{"default"}, false, false, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

static bool goes_by(const struct tri_pretokenizer *p, struct tri_text name)
{
    for (const char *const *n = p->names; *n; n++)
        if (strlen(*n) == name.size && !memcmp(*n, name.at, name.size))
            return true;
    return false;
}

const struct tri_pretokenizer *tri_pretokenizer_find(struct tri_text name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (goes_by(&table[i], name))
            return &table[i];
    return NULL;
}

static bool same_list(const char *const *a, const char *const *b)
{
    while (*a && *b && !strcmp(*a, *b))
        a++, b++;
    return !*a && !*b;
}

const char *tri_pretokenizer_name(const char *const *expressions, bool ignore_merges)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].ignore_merges == ignore_merges && same_list(table[i].expressions, expressions))
            return table[i].names[0];
    return NULL;
}

void tri_pretokenizer_names(char *text, size_t room)
{
    size_t used = 0;
    *text = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table && used < room; i++)
        for (const char *const *n = table[i].names; *n && used < room; n++)
            used += (size_t)snprintf(text + used, room - used, "%s%s", used ? ", " : "", *n);
}

/* -- compiling ------------------------------------------------------------- */

struct tri_splitter {
    int count;
    pcre2_code *code[TRI_MAX_EXPRESSIONS];
};

static enum tri_status compile_translated(pcre2_code **code, const char *expression, struct tri_error *e)
{
    int error;
    PCRE2_SIZE offset;
    *code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                          &error, &offset, NULL);
    if (*code) {
        pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE); /* only speed depends on it */
        return TRI_OK;
    }
    char why[128] = "";
    pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
    return tri_fail(e, TRI_UNSUPPORTED, "pre-tokenizer: PCRE2 refuses the expression \"%.200s\" at its byte %zu: %s",
                    expression, (size_t)offset, why);
}

static enum tri_status compile(pcre2_code **code, const char *expression, struct tri_error *e)
{
    char *translated = tri_expression_translate(expression, e);
    enum tri_status status = translated ? compile_translated(code, translated, e) : e->status;
    free(translated);
    return status;
}

struct tri_splitter *tri_splitter_new(const char *const *expressions, struct tri_error *e)
{
    struct tri_splitter *s = calloc(1, sizeof *s);
    if (!s) {
        tri_fail(e, TRI_NO_MEMORY, "pre-tokenizer: no memory");
        return NULL;
    }
    for (; s->count < TRI_MAX_EXPRESSIONS && expressions[s->count]; s->count++)
        if (compile(&s->code[s->count], expressions[s->count], e) != TRI_OK) {
            tri_splitter_free(s);
            return NULL;
        }
    return s;
}

void tri_splitter_free(struct tri_splitter *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->count; i++)
        pcre2_code_free(s->code[i]);
    free(s);
}

/* -- cutting --------------------------------------------------------------- */

struct cutter {
    const struct tri_splitter *splitter;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    tri_piece_fn *each;
    void *arg;
};

static enum tri_status gave_up(int error, size_t at, size_t size, struct tri_error *e)
{
    char why[128] = "";
    pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
    return tri_fail(e, error == PCRE2_ERROR_NOMEMORY ? TRI_NO_MEMORY : TRI_FAILED,
                    "pre-tokenizer: PCRE2 gave up at byte %zu of a text of %zu bytes: %s; tokenize "
                    "it in parts",
                    at, size, why);
}

/* `text` is well-formed. Depth is at most TRI_MAX_EXPRESSIONS. */
static enum tri_status cut(struct cutter *c, int level, const char *text, size_t size,
                           struct tri_error *e)
{
    if (level == c->splitter->count)
        return c->each(c->arg, text, size, e);
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(c->match);
    for (size_t at = 0; at < size;) {
        int n = pcre2_match(c->splitter->code[level], (PCRE2_SPTR)text, size, at,
                            PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, c->match, c->limits);
        if (n < 0 && n != PCRE2_ERROR_NOMATCH)
            return gave_up(n, at, size, e);
        size_t from = n < 0 ? size : span[0], to = n < 0 ? size : span[1];
        if (from > at && cut(c, level + 1, text + at, from - at, e) != TRI_OK)
            return e->status;
        if (to > from && cut(c, level + 1, text + from, to - from, e) != TRI_OK)
            return e->status;
        at = to;
    }
    return TRI_OK;
}

static size_t invalid(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && tri_utf8_sequence(text + i, size - i) <= 0)
        i++;
    return i;
}

static enum tri_status cut_bytes(struct cutter *c, const char *text, size_t size,
                                 struct tri_error *e)
{
    while (size) {
        size_t good = tri_utf8_valid(text, size);
        if (good && cut(c, 0, text, good, e) != TRI_OK)
            return e->status;
        size_t bad = invalid(text + good, size - good);
        if (bad && c->each(c->arg, text + good, bad, e) != TRI_OK)
            return e->status;
        text += good + bad;
        size -= good + bad;
    }
    return TRI_OK;
}

/* One match of the table's expressions backs up over each byte a few times at most; one of a file's that goes far
 * beyond is not left to take hours. */
static uint32_t match_limit(size_t size)
{
    const size_t floor = 1 << 14;
    return size < (UINT32_MAX - floor) / 16 ? (uint32_t)(floor + 16 * size) : UINT32_MAX;
}

enum tri_status tri_split(const struct tri_splitter *s, const char *text, size_t size,
                          tri_piece_fn *each, void *arg, struct tri_error *e)
{
    struct cutter c = {s, pcre2_match_data_create(1, NULL), pcre2_match_context_create(NULL), each,
                       arg};
    enum tri_status status = TRI_OK;
    if (!c.match || !c.limits) {
        status = tri_fail(e, TRI_NO_MEMORY, "pre-tokenizer: no memory");
    } else {
        pcre2_set_match_limit(c.limits, match_limit(size));
        status = cut_bytes(&c, text, size, e);
    }
    pcre2_match_data_free(c.match);
    pcre2_match_context_free(c.limits);
    return status;
}
