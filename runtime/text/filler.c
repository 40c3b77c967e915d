/* Owns: the words of the vocabulary of random models. Leaves out how a text is cut (tokenizer.c). */
#include "text/filler.h"

#include "base/memory.h"
#include "text/vocabulary.h"

#include <stdio.h>
#include <string.h>

/* Words form a tree: the roots are the letters and the space; a word's children are it and one more letter. Word i
 * >= ROOTS is child (i - ROOTS) % LETTERS of word (i - ROOTS) / LETTERS, and the merge that makes it has rank
 * i - ROOTS: so all words of n letters stand before those of n + 1. */
enum { LETTERS = 26, ROOTS = LETTERS + 1, LONGEST = 64, BYTES = 256, SPECIALS = 256 };

/* How a byte is spelled; returns the bytes that takes. */
typedef size_t spell_fn(int byte, char *out);

/* Of the special tokens, in the order of Llama 3's. */
static const struct {
    int place;
    const char *text, *key;
} specials[] = {
    {0, "<|begin_of_text|>", "tokenizer.ggml.bos_token_id"},
    {1, "<|end_of_text|>", "tokenizer.ggml.eos_token_id"},
    {9, "<|eot_id|>", "tokenizer.ggml.eot_token_id"},
};
enum { NAMED = sizeof specials / sizeof specials[0] };

/* -- words ---------------------------------------------------------------- */

/* In the printable alphabet of byte-level BPE. */
static size_t put_byte(int byte, char *out)
{
    const int point = tri_alphabet_point(byte);
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    out[0] = (char)(0xC0 | point >> 6);
    out[1] = (char)(0x80 | (point & 0x3F));
    return 2;
}

/* As SentencePiece has it, of letters and the space. */
static size_t put_marked(int byte, char *out)
{
    const char *text = byte == ' ' ? TRI_SPACE_MARK : (const char[2]){(char)byte};
    memcpy(out, text, strlen(text));
    return strlen(text);
}

/* LONGEST holds any word, as an int has few digits in base LETTERS. */
static size_t put_word(int i, spell_fn *spell, char *out)
{
    if (i < ROOTS)
        return spell(i < LETTERS ? 'a' + i : ' ', out);
    const size_t n = put_word((i - ROOTS) / LETTERS, spell, out);
    return n + spell('a' + (i - ROOTS) % LETTERS, out + n);
}

/* -- byte-level BPE: bytes, words, special tokens -------------------------- */

static void add_special(struct tri_gguf_writer *w, int place)
{
    char text[64];
    snprintf(text, sizeof text, "<|reserved_special_token_%d|>", place);
    for (int i = 0; i < NAMED; i++)
        if (specials[i].place == place)
            snprintf(text, sizeof text, "%s", specials[i].text);
    tri_gguf_add_element(w, (struct tri_text){text, strlen(text)});
}

static void add_tokens(struct tri_gguf_writer *w, int words)
{
    char text[LONGEST];
    tri_gguf_add_texts(w, "tokenizer.ggml.tokens", (uint64_t)(BYTES + words + SPECIALS));
    for (int i = 0; i < BYTES; i++)
        tri_gguf_add_element(w, (struct tri_text){text, put_byte(i, text)});
    for (int i = 0; i < words; i++)
        tri_gguf_add_element(w, (struct tri_text){text, put_word(ROOTS + i, put_byte, text)});
    for (int i = 0; i < SPECIALS; i++)
        add_special(w, i);
}

static void add_merges(struct tri_gguf_writer *w, int words)
{
    char text[LONGEST];
    tri_gguf_add_texts(w, "tokenizer.ggml.merges", (uint64_t)words);
    for (int i = 0; i < words; i++) {
        size_t n = put_word(i / LETTERS, put_byte, text);
        text[n++] = ' ';
        n += put_byte('a' + i % LETTERS, text + n);
        tri_gguf_add_element(w, (struct tri_text){text, n});
    }
}

static uint8_t bpe_kind(int id, int size)
{
    return id < size - SPECIALS ? TRI_TOKEN_NORMAL : TRI_TOKEN_CONTROL;
}

static void add_bpe(struct tri_gguf_writer *w, int size)
{
    const int words = size - BYTES - SPECIALS;
    tri_gguf_add_text(w, "tokenizer.ggml.model", "gpt2");
    tri_gguf_add_text(w, "tokenizer.ggml.pre", "llama-bpe");
    add_tokens(w, words);
    add_merges(w, words);
    for (int i = 0; i < NAMED; i++)
        tri_gguf_add_uint(w, specials[i].key, (uint32_t)(BYTES + words + specials[i].place));
    tri_gguf_add_bool(w, "tokenizer.ggml.add_bos_token", true);
}

/* -- SentencePiece: special tokens, bytes, roots, words; scores fall, so that words merge in their order --------- */

static const char *const spm_specials[] = {"<unk>", "<s>", "</s>"};
enum { SPM_SPECIALS = sizeof spm_specials / sizeof spm_specials[0] };

static uint8_t spm_kind(int id, int size)
{
    (void)size;
    if (id < SPM_SPECIALS)
        return id == 0 ? TRI_TOKEN_UNKNOWN : TRI_TOKEN_CONTROL;
    return id < SPM_SPECIALS + BYTES ? TRI_TOKEN_BYTE : TRI_TOKEN_NORMAL;
}

static void add_spm(struct tri_gguf_writer *w, int size)
{
    char text[LONGEST];
    tri_gguf_add_text(w, "tokenizer.ggml.model", "llama");
    tri_gguf_add_texts(w, "tokenizer.ggml.tokens", (uint64_t)size);
    for (int i = 0; i < SPM_SPECIALS; i++)
        tri_gguf_add_element(w, (struct tri_text){spm_specials[i], strlen(spm_specials[i])});
    for (int i = 0; i < BYTES; i++)
        tri_gguf_add_element(w, (struct tri_text){text, (size_t)snprintf(text, sizeof text, "<0x%02X>", i)});
    for (int i = 0; i < size - SPM_SPECIALS - BYTES; i++)
        tri_gguf_add_element(w, (struct tri_text){text, put_word(i, put_marked, text)});
    tri_gguf_add_uint(w, "tokenizer.ggml.unknown_token_id", 0);
    tri_gguf_add_uint(w, "tokenizer.ggml.bos_token_id", 1);
    tri_gguf_add_uint(w, "tokenizer.ggml.eos_token_id", 2);
}

static enum tri_status add_scores(struct tri_gguf_writer *w, int size, struct tri_error *e)
{
    float *scores = tri_alloc((size_t)size, sizeof *scores, "token scores", e);
    if (!scores)
        return e->status;
    for (int i = SPM_SPECIALS + BYTES; i < size; i++)
        scores[i] = (float)(SPM_SPECIALS + BYTES - i);
    tri_gguf_add_array(w, "tokenizer.ggml.scores", TRI_F32, (uint64_t)size, scores);
    tri_free(scores);
    return TRI_OK;
}

/* -- the whole ------------------------------------------------------------- */

static enum tri_status add_kinds(struct tri_gguf_writer *w, int size, uint8_t (*kind)(int id, int size),
                                 struct tri_error *e)
{
    int32_t *kinds = tri_alloc((size_t)size, sizeof *kinds, "token types", e);
    if (!kinds)
        return e->status;
    for (int i = 0; i < size; i++)
        kinds[i] = kind(i, size);
    tri_gguf_add_array(w, "tokenizer.ggml.token_type", TRI_I32, (uint64_t)size, kinds);
    tri_free(kinds);
    return TRI_OK;
}

enum tri_status tri_filler_add(struct tri_gguf_writer *w, enum tri_filler filler, int size, struct tri_error *e)
{
    if (size < TRI_FILLER_LEAST)
        return tri_fail(e, TRI_USAGE, "a vocabulary: expected at least %d tokens, bytes and special ones, found %d",
                        TRI_FILLER_LEAST, size);
    if (filler == TRI_FILLER_BPE) {
        add_bpe(w, size);
        return add_kinds(w, size, bpe_kind, e);
    }
    add_spm(w, size);
    return add_scores(w, size, e) == TRI_OK ? add_kinds(w, size, spm_kind, e) : e->status;
}
