/* Owns: the order of steps from text to ids (formats.md 5.2), and what the keys of a file say about
 * them. Leaves out vocabularies that are neither byte-level BPE nor SentencePiece's: they are refused by name. */
#include "text/tokenizer.h"

#include "text/bpe.h"
#include "text/ids.h"
#include "text/pieces.h"
#include "text/pretokenizer.h"
#include "text/special.h"
#include "text/spm.h"
#include "text/vocabulary.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

struct tri_tokenizer {
    const struct tri_gguf *file;
    struct tri_vocabulary vocabulary; /* its spelling tells which of bpe and spm there is */
    struct tri_bpe bpe;
    struct tri_spm spm;
    struct tri_specials specials;
    struct tri_splitter *splitter; /* of bpe */
    bool ignore_merges;            /* likewise: a piece that is a token is that token */
    int32_t bos, eos; /* -1: none */
    bool add_bos, add_eos;
    bool *ends; /* [count]: ends generation */
    char notice[512];
};

__attribute__((format(printf, 2, 3))) static void notify(struct tri_tokenizer *t,
                                                         const char *format, ...)
{
    size_t used = strlen(t->notice);
    va_list args;
    if (used)
        used += (size_t)snprintf(t->notice + used, sizeof t->notice - used, "; ");
    if (used >= sizeof t->notice)
        return;
    va_start(args, format);
    vsnprintf(t->notice + used, sizeof t->notice - used, format, args);
    va_end(args);
}

static bool reads(struct tri_text text, const char *word)
{
    return text.size == strlen(word) && !memcmp(text.at, word, text.size);
}

static struct tri_text text_of(const char *word)
{
    return (struct tri_text){word, strlen(word)};
}

/* How much of a name from a file is shown, so that messages stay lines. */
static int shown(struct tri_text text)
{
    return text.size < 40 ? (int)text.size : 40;
}

/* -- special ids ----------------------------------------------------------- */

/* -1 where there is none. An id out of range is ignored, as llama.cpp does. */
static enum tri_status read_id(struct tri_tokenizer *t, const char *key, int32_t absent,
                               int32_t *id, struct tri_error *e)
{
    uint64_t value = (uint64_t)absent;
    *id = -1;
    bool present = tri_gguf_find(t->file, key);
    if (present && tri_gguf_uint(t->file, key, &value, e) != TRI_OK)
        return e->status;
    if (value < (uint64_t)t->vocabulary.count)
        *id = (int32_t)value;
    else if (present)
        notify(t, "key %s: token %llu is none of the %d tokens and is ignored", key,
               (unsigned long long)value, t->vocabulary.count);
    return TRI_OK;
}

static enum tri_status read_flag(struct tri_tokenizer *t, const char *key, bool absent, bool *flag,
                                 struct tri_error *e)
{
    *flag = absent;
    return tri_gguf_find(t->file, key) ? tri_gguf_bool(t->file, key, flag, e) : TRI_OK;
}

/* By their text these end generation, whichever one the file names as eos. */
static const char *const end_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>",     "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
    "<|eom_id|>", "<EOT>",      "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
};

static const char *const end_keys[] = {
    KEY("eot_token_id"),     KEY("eom_token_id"),     KEY("fim_pad_token_id"),
    KEY("fim_rep_token_id"), KEY("fim_sep_token_id"),
};

static void mark_ends_by_text(struct tri_tokenizer *t)
{
    for (int32_t id = 0; id < t->vocabulary.count; id++)
        for (size_t i = 0; i < sizeof end_texts / sizeof *end_texts; i++)
            t->ends[id] |= reads(t->vocabulary.token[id], end_texts[i]);
}

static enum tri_status find_ends(struct tri_tokenizer *t, struct tri_error *e)
{
    if (!(t->ends = calloc((size_t)t->vocabulary.count, sizeof *t->ends)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %d tokens", tri_gguf_name(t->file),
                        t->vocabulary.count);
    mark_ends_by_text(t);
    if (t->eos >= 0)
        t->ends[t->eos] = true;
    for (size_t i = 0; i < sizeof end_keys / sizeof *end_keys; i++) {
        int32_t id;
        if (read_id(t, end_keys[i], -1, &id, e) != TRI_OK)
            return e->status;
        if (id >= 0)
            t->ends[id] = true;
    }
    return TRI_OK;
}

/* What llama.cpp takes where the file says nothing; 11 is Falcon's. */
static const struct {
    int32_t bos, eos, unknown;
} absent_ids[] = {[TRI_BYTE_LEVEL] = {11, 11, -1}, [TRI_MARKED] = {1, 2, 0}};

static enum tri_status read_specials(struct tri_tokenizer *t, struct tri_error *e)
{
    const enum tri_spelling s = t->vocabulary.spelling;
    int32_t *unknown = s == TRI_BYTE_LEVEL ? &t->bpe.unknown : &t->spm.unknown;
    if (read_id(t, KEY("bos_token_id"), absent_ids[s].bos, &t->bos, e) != TRI_OK ||
        read_id(t, KEY("eos_token_id"), absent_ids[s].eos, &t->eos, e) != TRI_OK ||
        read_id(t, KEY("unknown_token_id"), absent_ids[s].unknown, unknown, e) != TRI_OK)
        return e->status;
    return find_ends(t, e);
}

/* -- the pre-tokenizer ----------------------------------------------------- */

/* BitNet-b1.58-2B-4T's file lacks the name, and "default" would cut digits as the model never saw
 * them. */
static bool is_llama3(const struct tri_tokenizer *t)
{
    const struct tri_vocabulary *v = &t->vocabulary;
    return v->count == 128256 && t->bos == 128000 && reads(v->token[128000], "<|begin_of_text|>");
}

static const char *assumed_name(struct tri_tokenizer *t)
{
    const char *name = is_llama3(t) ? "llama-bpe" : "default";
    notify(t, "key " KEY("pre") " is absent: %s: text is cut as for \"%s\"",
           is_llama3(t) ? "this is Llama 3's vocabulary" : "the vocabulary is not a known one",
           name);
    return name;
}

static enum tri_status take_pretokenizer(struct tri_tokenizer *t, const struct tri_pretokenizer *p, struct tri_error *e)
{
    t->add_bos = p->add_bos;
    t->ignore_merges = p->ignore_merges;
    t->splitter = tri_splitter_new(p->expressions, e);
    return t->splitter ? TRI_OK : e->status;
}

static enum tri_status take_named(struct tri_tokenizer *t, const char *name, struct tri_error *e)
{
    const struct tri_pretokenizer *p = tri_pretokenizer_find(text_of(name));
    char known[256];
    if (p)
        return take_pretokenizer(t, p, e);
    tri_pretokenizer_names(known, sizeof known);
    return tri_fail(e, TRI_USAGE, "pre-tokenizer \"%.40s\" is not known; expected one of %s", name, known);
}

static enum tri_status take_file_s(struct tri_tokenizer *t, struct tri_error *e)
{
    struct tri_text name;
    if (!tri_gguf_find(t->file, KEY("pre")))
        name = text_of(assumed_name(t));
    else if (tri_gguf_text(t->file, KEY("pre"), &name, e) != TRI_OK)
        return e->status;
    const struct tri_pretokenizer *p = tri_pretokenizer_find(name);
    if (!p)
        notify(
            t,
            "pre-tokenizer \"%.*s\" is not known: text is cut as for \"default\", which may differ "
            "from what the model was trained on",
            shown(name), name.at);
    return take_pretokenizer(t, p ? p : tri_pretokenizer_find(text_of("default")), e);
}

/* NULL with an error; to be freed. */
static char *copy_text(struct tri_text text, struct tri_error *e)
{
    char *copy = memchr(text.at, 0, text.size) ? NULL : strndup(text.at, text.size);
    if (!copy && memchr(text.at, 0, text.size))
        tri_fail(e, TRI_BAD_FILE, "expected expressions without a zero byte, found one in \"%s\"", text.at);
    else if (!copy)
        tri_fail(e, TRI_NO_MEMORY, "no memory for an expression of %zu bytes", text.size);
    return copy;
}

static enum tri_status compile_texts(struct tri_tokenizer *t, const struct tri_text *texts, size_t count,
                                     struct tri_error *e)
{
    char *copy[TRI_MAX_EXPRESSIONS + 1] = {NULL};
    enum tri_status status = TRI_OK;
    for (size_t i = 0; i < count && status == TRI_OK; i++)
        if (!(copy[i] = copy_text(texts[i], e)))
            status = e->status;
    if (status == TRI_OK && !(t->splitter = tri_splitter_new((const char *const *)copy, e)))
        status = e->status;
    for (size_t i = 0; i < count; i++)
        free(copy[i]);
    return status == TRI_OK ? TRI_OK : tri_fail_in(e, "%s: key " TRI_KEY_EXPRESSIONS, tri_gguf_name(t->file));
}

static enum tri_status take_expressions(struct tri_tokenizer *t, struct tri_error *e)
{
    struct tri_text *texts;
    size_t count;
    if (read_flag(t, TRI_KEY_IGNORE_MERGES, false, &t->ignore_merges, e) != TRI_OK ||
        tri_gguf_texts(t->file, TRI_KEY_EXPRESSIONS, &texts, &count, e) != TRI_OK)
        return e->status;
    enum tri_status status =
        count <= TRI_MAX_EXPRESSIONS
            ? compile_texts(t, texts, count, e)
            : tri_fail(e, TRI_UNSUPPORTED, "%s: key " TRI_KEY_EXPRESSIONS ": %zu expressions; the limit is %d",
                       tri_gguf_name(t->file), count, TRI_MAX_EXPRESSIONS);
    free(texts);
    return status;
}

/* What the caller names wins over what the file spells out, and that over what the file names. */
static enum tri_status choose_pretokenizer(struct tri_tokenizer *t, const char *pre, struct tri_error *e)
{
    if (pre)
        return take_named(t, pre, e);
    return (tri_gguf_find(t->file, TRI_KEY_EXPRESSIONS) ? take_expressions : take_file_s)(t, e);
}

/* -- making ---------------------------------------------------------------- */

static enum tri_status read_model(const struct tri_gguf *g, enum tri_spelling *spelling, struct tri_error *e)
{
    struct tri_text name;
    if (tri_gguf_text(g, KEY("model"), &name, e) != TRI_OK)
        return e->status;
    *spelling = reads(name, "llama") ? TRI_MARKED : TRI_BYTE_LEVEL;
    if (reads(name, "llama") || reads(name, "gpt2"))
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED,
                    "%s: key " KEY("model") ": tokenizer \"%.*s\" is not supported; expected \"gpt2\" (byte-level "
                                            "BPE) or \"llama\" (SentencePiece)",
                    tri_gguf_name(g), shown(name), name.at);
}

static enum tri_status read_bpe(struct tri_tokenizer *t, const char *pre, struct tri_error *e)
{
    if (tri_bpe_read(&t->bpe, &t->vocabulary, e) != TRI_OK || read_specials(t, e) != TRI_OK ||
        choose_pretokenizer(t, pre, e) != TRI_OK)
        return e->status;
    if (tri_gguf_find(t->file, TRI_KEY_NORMALIZER))
        notify(t, "the vocabulary expects composed characters (NFC); text is taken as it is, which differs where an "
                  "accent is a character of its own");
    if (t->bpe.skipped)
        notify(t, "%zu of %zu merges are of texts that are no tokens and are ignored",
               t->bpe.skipped, t->bpe.merges);
    return read_flag(t, KEY("add_bos_token"), t->add_bos, &t->add_bos, e);
}

static enum tri_status read_spm(struct tri_tokenizer *t, const char *pre, struct tri_error *e)
{
    if (pre)
        return tri_fail(e, TRI_USAGE, "pre-tokenizer \"%.40s\": %s has a SentencePiece vocabulary, which has none",
                        pre, tri_gguf_name(t->file));
    if (tri_spm_read(&t->spm, &t->vocabulary, e) != TRI_OK || read_specials(t, e) != TRI_OK)
        return e->status;
    return read_flag(t, KEY("add_bos_token"), true, &t->add_bos, e);
}

static enum tri_status read_all(struct tri_tokenizer *t, const char *pre, struct tri_error *e)
{
    enum tri_spelling spelling;
    if (read_model(t->file, &spelling, e) != TRI_OK ||
        tri_vocabulary_read(&t->vocabulary, t->file, spelling, e) != TRI_OK ||
        tri_specials_find(&t->specials, &t->vocabulary, e) != TRI_OK ||
        (spelling == TRI_BYTE_LEVEL ? read_bpe : read_spm)(t, pre, e) != TRI_OK)
        return e->status;
    return read_flag(t, KEY("add_eos_token"), false, &t->add_eos, e);
}

struct tri_tokenizer *tri_tokenizer_new(const struct tri_gguf *g, struct tri_error *e)
{
    return tri_tokenizer_new_pre(g, NULL, e);
}

struct tri_tokenizer *tri_tokenizer_new_pre(const struct tri_gguf *g, const char *pre, struct tri_error *e)
{
    struct tri_tokenizer *t = calloc(1, sizeof *t);
    if (!t) {
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory for a tokenizer", tri_gguf_name(g));
        return NULL;
    }
    t->file = g;
    if (read_all(t, pre, e) == TRI_OK)
        return t;
    tri_tokenizer_free(t);
    return NULL;
}

void tri_tokenizer_free(struct tri_tokenizer *t)
{
    if (!t)
        return;
    tri_splitter_free(t->splitter);
    tri_specials_free(&t->specials);
    tri_bpe_free(&t->bpe);
    tri_spm_free(&t->spm);
    tri_vocabulary_free(&t->vocabulary);
    free(t->ends);
    free(t);
}

const char *tri_tokenizer_notice(const struct tri_tokenizer *t)
{
    return *t->notice ? t->notice : NULL;
}

enum tri_status tri_tokenizer_fits(const struct tri_tokenizer *t, int rows, struct tri_error *e)
{
    if (t->vocabulary.count <= rows)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: expected an embedding for each of the %d tokens, found %d rows",
                    tri_gguf_name(t->file), t->vocabulary.count, rows);
}

/* -- text to ids ----------------------------------------------------------- */

struct encoding {
    const struct tri_tokenizer *tokenizer;
    struct tri_ids *ids;
    struct tri_pieces pieces;
};

/* `first`: of a text, or behind a special token. */
static enum tri_status encode_new(struct encoding *x, const char *piece, size_t size, bool first, struct tri_error *e)
{
    const struct tri_tokenizer *t = x->tokenizer;
    if (!t->splitter)
        return tri_spm_encode(&t->spm, piece, size, first && t->spm.space_first, x->ids, e);
    int32_t id = t->ignore_merges ? tri_vocabulary_find(&t->vocabulary, piece, size) : -1;
    return id >= 0 ? tri_ids_add(x->ids, id, e) : tri_merge(&t->bpe.rules, piece, size, x->ids, e);
}

/* A piece that is not the first. */
static enum tri_status encode_piece(void *arg, const char *piece, size_t size, struct tri_error *e)
{
    struct encoding *x = arg;
    struct tri_piece *kept = tri_pieces_slot(&x->pieces, piece, size);
    const size_t before = x->ids->count;
    if (kept && tri_piece_is(kept, piece, size))
        return tri_ids_repeat(x->ids, kept->first, kept->count, e);
    enum tri_status status = encode_new(x, piece, size, false, e);
    if (kept && status == TRI_OK)
        *kept = (struct tri_piece){piece, (uint32_t)size, (uint32_t)(x->ids->count - before), before};
    return status;
}

static enum tri_status encode_words(struct encoding *x, struct tri_text text, struct tri_error *e)
{
    enum tri_status status = TRI_OK;
    for (size_t at = 0, n; at < text.size && status == TRI_OK; at += n) {
        n = tri_spm_word(&x->tokenizer->spm, text.at + at, text.size - at);
        status = at ? encode_piece(x, text.at + at, n, e) : encode_new(x, text.at, n, true, e);
    }
    return status;
}

/* What is no special token; `text` is not empty. */
static enum tri_status encode_text(struct encoding *x, struct tri_text text, struct tri_error *e)
{
    const struct tri_splitter *s = x->tokenizer->splitter;
    return s ? tri_split(s, text.at, text.size, encode_piece, x, e) : encode_words(x, text, e);
}

static enum tri_status encode_fragments(struct encoding *x, const struct tri_fragments *f, struct tri_error *e)
{
    enum tri_status status = TRI_OK;
    for (size_t i = 0; i < f->count && status == TRI_OK; i++) {
        const struct tri_fragment *fragment = &f->at[i];
        status = fragment->id >= 0 ? tri_ids_add(x->ids, fragment->id, e) : encode_text(x, fragment->text, e);
    }
    return status;
}

static enum tri_status encode(const struct tri_tokenizer *t, struct tri_text text, const unsigned char *own, int flags,
                              struct tri_ids *ids, struct tri_error *e)
{
    struct tri_fragments fragments;
    bool frame = flags & TRI_ADD_SPECIAL;
    if (frame && tri_adds_bos(t) && tri_ids_add(ids, t->bos, e) != TRI_OK)
        return e->status;
    enum tri_status status =
        tri_partition(&t->specials, text, flags & TRI_PARSE_SPECIAL, own, &fragments, e);
    struct encoding x = {t, ids, {0}};
    tri_pieces_begin(&x.pieces, text.size, t->vocabulary.seed);
    if (status == TRI_OK)
        status = encode_fragments(&x, &fragments, e);
    tri_pieces_end(&x.pieces);
    tri_fragments_free(&fragments);
    if (status == TRI_OK && frame && t->add_eos && t->eos >= 0)
        status = tri_ids_add(ids, t->eos, e);
    return status;
}

enum tri_status tri_tokenize(const struct tri_tokenizer *t, const char *text, size_t size,
                             int flags, struct tri_ids *ids, struct tri_error *e)
{
    return tri_tokenize_marked(t, text, NULL, size, flags, ids, e);
}

enum tri_status tri_tokenize_marked(const struct tri_tokenizer *t, const char *text, const unsigned char *own,
                                    size_t size, int flags, struct tri_ids *ids, struct tri_error *e)
{
    size_t before = ids->count;
    enum tri_status status = encode(t, (struct tri_text){size ? text : "", size}, own, flags, ids, e);
    if (status != TRI_OK)
        ids->count = before;
    return status;
}

/* -- ids to text, and facts ------------------------------------------------ */

static bool within(const struct tri_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocabulary.count;
}

struct tri_text tri_token_bytes(const struct tri_tokenizer *t, int32_t id, bool special)
{
    if (!within(t, id) || (!special && tri_token_hidden(&t->vocabulary, id)))
        return (struct tri_text){"", 0};
    return t->vocabulary.token[id];
}

/* Whether tokenizing puts a space in front of text behind this token. */
static bool adds_space_behind(const struct tri_tokenizer *t, int32_t id)
{
    return t->spm.space_first && (!within(t, id) || tri_token_special(&t->vocabulary, id));
}

struct tri_text tri_token_bytes_behind(const struct tri_tokenizer *t, int32_t before, int32_t id, bool special)
{
    struct tri_text text = tri_token_bytes(t, id, special);
    if (!adds_space_behind(t, before) || adds_space_behind(t, id) || !text.size || *text.at != ' ')
        return text;
    return (struct tri_text){text.at + 1, text.size - 1};
}

int32_t tri_vocabulary_size(const struct tri_tokenizer *t)
{
    return t->vocabulary.count;
}

int32_t tri_bos(const struct tri_tokenizer *t)
{
    return t->bos;
}

int32_t tri_eos(const struct tri_tokenizer *t)
{
    return t->eos;
}

bool tri_adds_bos(const struct tri_tokenizer *t)
{
    return t->add_bos && t->bos >= 0;
}

bool tri_ends_generation(const struct tri_tokenizer *t, int32_t id)
{
    return within(t, id) && t->ends[id];
}
