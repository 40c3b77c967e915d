/* Owns: what symbols of SentencePiece vocabularies are, their ranks, and where words end. Leaves out the order of
 * merges (merge.c) and what tokens stand for (vocabulary.c). */
#include "text/spm.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

/* U+2581, which stands for a space in the texts of tokens. */
#define MARK TRI_SPACE_MARK
enum { MARK_BYTES = sizeof MARK - 1, MARK_END = 0x81 };

static const struct tri_spm *spm_of(const struct tri_rules *r)
{
    return (const struct tri_spm *)r; /* its first member */
}

/* -- symbols --------------------------------------------------------------- */

/* Symbols begin as characters; id -1: it is no token. A byte that is not UTF-8 is a symbol of its own. */
static enum tri_status first_character(const struct tri_rules *r, const char *at, size_t size, int32_t *id,
                                       uint32_t *bytes, struct tri_error *e)
{
    const struct tri_vocabulary *v = spm_of(r)->vocabulary;
    const int n = tri_utf8_sequence(at, size);
    (void)e;
    *bytes = n > 0 ? (uint32_t)n : 1;
    *id = tri_vocabulary_find(v, at, *bytes);
    return TRI_OK;
}

static struct tri_pair find_pair(const struct tri_rules *r, const char *piece, const struct tri_symbol *left,
                                 const struct tri_symbol *right)
{
    const struct tri_spm *s = spm_of(r);
    const size_t size = (size_t)left->size + right->size;
    const int32_t id = size <= s->longest ? tri_vocabulary_find(s->vocabulary, piece + left->from, size) : -1;
    return id < 0 ? (struct tri_pair){TRI_NO_MERGE, -1} : (struct tri_pair){s->rank[id], id};
}

static enum tri_status emit_byte(const struct tri_spm *s, unsigned char c, struct tri_ids *ids, struct tri_error *e)
{
    const int32_t id = s->vocabulary->byte[c] >= 0 ? s->vocabulary->byte[c] : s->unknown;
    if (id >= 0)
        return tri_ids_add(ids, id, e);
    return tri_fail(e, TRI_UNSUPPORTED,
                    "%s: the text has a character of byte 0x%02X, for which this vocabulary has neither a token nor "
                    "<0x%02X>; leave it out, or use a file with all bytes",
                    tri_gguf_name(s->vocabulary->file), c, c);
}

static enum tri_status emit(const struct tri_rules *r, const char *piece, const struct tri_symbol *symbol,
                            struct tri_ids *ids, struct tri_error *e)
{
    if (symbol->id >= 0)
        return tri_ids_add(ids, symbol->id, e);
    for (uint32_t i = 0; i < symbol->size; i++)
        if (emit_byte(spm_of(r), (unsigned char)piece[symbol->from + i], ids, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* -- reading --------------------------------------------------------------- */

/* Integers in the opposite order of floats; -0 is 0. */
static uint32_t rank_of(float score)
{
    uint32_t bits;
    score += 0.0f;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7FFFFFFF;
}

static enum tri_status read_scores(struct tri_spm *s, struct tri_error *e)
{
    const struct tri_vocabulary *v = s->vocabulary;
    const struct tri_gguf_key *scores = tri_gguf_find(v->file, "tokenizer.ggml.scores");
    if (!scores) /* present, it was checked with the tokens */
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key tokenizer.ggml.scores is missing, and without scores a SentencePiece vocabulary "
                        "cannot be used; convert the file again",
                        tri_gguf_name(v->file));
    if (!(s->rank = tri_alloc((size_t)v->count, sizeof *s->rank, "scores", e)))
        return e->status;
    for (int32_t id = 0; id < v->count; id++) {
        const double score = tri_gguf_element(scores, (uint64_t)id);
        if (score != score)
            return tri_fail(e, TRI_BAD_FILE,
                            "%s: key tokenizer.ggml.scores: the score of token %d is not a number; the file is damaged",
                            tri_gguf_name(v->file), id);
        s->rank[id] = rank_of((float)score);
    }
    return TRI_OK;
}

static void mark_joins(struct tri_spm *s, struct tri_text t)
{
    for (size_t i = 1; i + MARK_BYTES <= t.size; i++)
        if (!memcmp(t.at + i, MARK, MARK_BYTES))
            s->joins[(unsigned char)t.at[i - 1]] = true;
}

enum tri_status tri_spm_read(struct tri_spm *s, const struct tri_vocabulary *v, struct tri_error *e)
{
    static const char prefix[] = "tokenizer.ggml.add_space_prefix";
    *s = (struct tri_spm){
        .rules = {first_character, find_pair, emit}, .vocabulary = v, .unknown = -1, .space_first = true};
    for (int32_t id = 0; id < v->count; id++) {
        s->longest = v->text[id].size > s->longest ? v->text[id].size : s->longest;
        mark_joins(s, v->text[id]);
    }
    if (tri_gguf_find(v->file, prefix) && tri_gguf_bool(v->file, prefix, &s->space_first, e) != TRI_OK)
        return e->status;
    return read_scores(s, e);
}

void tri_spm_free(struct tri_spm *s)
{
    tri_free(s->rank);
}

/* -- words ----------------------------------------------------------------- */

size_t tri_spm_word(const struct tri_spm *s, const char *at, size_t size)
{
    for (size_t i = 1; i < size; i++)
        if (at[i] == ' ' && !s->joins[at[i - 1] == ' ' ? MARK_END : (unsigned char)at[i - 1]])
            return i;
    return size;
}

static size_t put_mark(char *out)
{
    memcpy(out, MARK, MARK_BYTES);
    return MARK_BYTES;
}

/* Returns the bytes written, at most MARK_BYTES * (size + 1). */
static size_t mark_spaces(const char *word, size_t size, bool space, char *out)
{
    size_t n = space ? put_mark(out) : 0;
    for (size_t i = 0; i < size; i++)
        if (word[i] == ' ')
            n += put_mark(out + n);
        else
            out[n++] = word[i];
    return n;
}

enum tri_status tri_spm_encode(const struct tri_spm *s, const char *word, size_t size, bool space, struct tri_ids *ids,
                               struct tri_error *e)
{
    char local[256], *marked = local;
    if (size >= UINT32_MAX / MARK_BYTES)
        return tri_fail(e, TRI_UNSUPPORTED, "tokens: %zu bytes of text without a place to cut it; the limit is %u",
                        size, UINT32_MAX / MARK_BYTES - 1);
    if (MARK_BYTES * (size + 1) > sizeof local && !(marked = malloc(MARK_BYTES * (size + 1))))
        return tri_fail(e, TRI_NO_MEMORY, "tokens: no memory for a word of %zu bytes", size);
    enum tri_status status = tri_merge(&s->rules, marked, mark_spaces(word, size, space, marked), ids, e);
    if (marked != local)
        free(marked);
    return status;
}
