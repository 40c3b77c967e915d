/* Owns: reading the token arrays of a file, their bytes, and finding a token by its bytes.
 * Leaves out merges (bpe.c) and what the special ids mean (tokenizer.c). */
#include "text/vocabulary.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tri_slot {
    uint32_t tag; /* upper half of the hash: saves most looks at the text */
    uint32_t id1; /* id + 1; 0: free */
};

/* -- the alphabet ---------------------------------------------------------- */

/* Bytes that print as themselves. */
static bool plain(int c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
}

int tri_alphabet_point(int byte)
{
    int others = 0;
    for (int c = 0; c < byte && !plain(byte); c++)
        others += !plain(c);
    return plain(byte) ? byte : 256 + others;
}

static void make_alphabet(int16_t byte[TRI_ALPHABET])
{
    for (int i = 0; i < TRI_ALPHABET; i++)
        byte[i] = -1;
    for (int c = 0; c < 256; c++)
        byte[tri_alphabet_point(c)] = (int16_t)c;
}

size_t tri_alphabet_decode(const struct tri_vocabulary *v, struct tri_text text, char *bytes)
{
    const unsigned char *s = (const unsigned char *)text.at, *end = s + text.size;
    char *out = bytes;
    while (s < end) {
        bool two = end - s >= 2 && s[0] >= 0xC2 && s[0] <= 0xC5 && (s[1] & 0xC0) == 0x80;
        int c = two ? (s[0] & 0x1F) << 6 | (s[1] & 0x3F) : s[0];
        if (c < TRI_ALPHABET && (two || c < 0x80) && v->alphabet[c] >= 0) {
            *out++ = (char)v->alphabet[c];
            s += two ? 2 : 1;
        } else {
            *out++ = (char)*s++;
        }
    }
    return (size_t)(out - bytes);
}

/* -- finding --------------------------------------------------------------- */

static bool same(struct tri_text a, const char *bytes, size_t size)
{
    return a.size == size && !memcmp(a.at, bytes, size);
}

/* The slot that holds these bytes, or the free one where they belong. */
static struct tri_slot *look(const struct tri_vocabulary *v, uint64_t hash, const char *bytes,
                             size_t size)
{
    for (uint64_t i = hash;; i++) {
        struct tri_slot *s = &v->slot[i & v->mask];
        if (!s->id1 || (s->tag == hash >> 32 && same(v->text[s->id1 - 1], bytes, size)))
            return s;
    }
}

int32_t tri_vocabulary_find(const struct tri_vocabulary *v, const char *bytes, size_t size)
{
    return (int32_t)look(v, tri_hash(v->seed, bytes, size), bytes, size)->id1 - 1;
}

void tri_vocabulary_find_all(const struct tri_vocabulary *v, const struct tri_text *texts, int32_t *ids, size_t count)
{
    uint64_t hash[TRI_FIND];
    for (size_t i = 0; i < count; i++) {
        hash[i] = tri_hash(v->seed, texts[i].at, texts[i].size);
        __builtin_prefetch(&v->slot[hash[i] & v->mask]);
    }
    for (size_t i = 0; i < count; i++) {
        const struct tri_slot *s = &v->slot[hash[i] & v->mask];
        if (s->id1)
            __builtin_prefetch(&v->text[s->id1 - 1]);
    }
    for (size_t i = 0; i < count; i++) {
        const struct tri_slot *s = &v->slot[hash[i] & v->mask];
        if (s->id1)
            __builtin_prefetch(v->text[s->id1 - 1].at);
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)look(v, hash[i], texts[i].at, texts[i].size)->id1 - 1;
}

bool tri_token_hidden(const struct tri_vocabulary *v, int32_t id)
{
    return v->kind[id] == TRI_TOKEN_CONTROL || v->kind[id] == TRI_TOKEN_UNKNOWN;
}

bool tri_token_special(const struct tri_vocabulary *v, int32_t id)
{
    return tri_token_hidden(v, id) || v->kind[id] == TRI_TOKEN_USER;
}

static enum tri_status index_tokens(struct tri_vocabulary *v, struct tri_error *e)
{
    uint64_t slots = 2;
    while (slots < 2 * (uint64_t)v->count)
        slots *= 2;
    if (!(v->slot = tri_alloc(slots, sizeof *v->slot, "vocabulary", e)))
        return e->status;
    v->mask = slots - 1;
    v->seed = tri_hash_seed();
    for (int32_t id = 0; id < v->count; id++) {
        struct tri_text t = v->text[id];
        if (tri_token_hidden(v, id) || !t.size)
            continue;
        uint64_t hash = tri_hash(v->seed, t.at, t.size);
        struct tri_slot *s = look(v, hash, t.at, t.size);
        if (!s->id1)
            *s = (struct tri_slot){(uint32_t)(hash >> 32), (uint32_t)id + 1};
    }
    return TRI_OK;
}

static void find_bytes(struct tri_vocabulary *v)
{
    for (int c = 0; c < 256; c++) {
        char text[8] = {(char)c};
        const int size = v->spelling == TRI_BYTE_LEVEL ? 1 : snprintf(text, sizeof text, "<0x%02X>", (unsigned)c);
        v->byte[c] = tri_vocabulary_find(v, text, (size_t)size);
    }
}

/* -- reading --------------------------------------------------------------- */

#define TOKENS "tokenizer.ggml.tokens"

static enum tri_status read_tokens(struct tri_vocabulary *v, struct tri_error *e)
{
    size_t count;
    enum tri_status status = tri_gguf_texts(v->file, TOKENS, &v->token, &count, e);
    if (status != TRI_OK)
        return status;
    if (count == 0 || count >= INT32_MAX)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key " TOKENS
                        ": expected 1 to %d tokens, found %zu; the file is damaged or has "
                        "no vocabulary",
                        tri_gguf_name(v->file), INT32_MAX - 1, count);
    v->count = (int32_t)count;
    return TRI_OK;
}

/* NULL in *found: the key is absent. */
static enum tri_status numbers(const struct tri_vocabulary *v, const char *key,
                               const struct tri_gguf_key **found, struct tri_error *e)
{
    const struct tri_gguf_key *k = *found = tri_gguf_find(v->file, key);
    if (!k)
        return TRI_OK;
    if (k->type != TRI_ARRAY || k->element == TRI_STRING || k->element == TRI_ARRAY)
        return tri_fail(e, TRI_BAD_FILE, "%s: key %s: expected an array of numbers, found %s",
                        tri_gguf_name(v->file), key,
                        k->type == TRI_ARRAY ? "an array of something else" : "a single value");
    if (k->count != (uint64_t)v->count)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: key %s: expected one element for each of the %d tokens, found %llu",
                        tri_gguf_name(v->file), key, v->count, (unsigned long long)k->count);
    return TRI_OK;
}

static enum tri_status read_kinds(struct tri_vocabulary *v, struct tri_error *e)
{
    const struct tri_gguf_key *scores, *types;
    if (numbers(v, "tokenizer.ggml.scores", &scores, e) != TRI_OK ||
        numbers(v, "tokenizer.ggml.token_type", &types, e) != TRI_OK)
        return e->status;
    if (!(v->kind = tri_alloc((size_t)v->count, 1, "token types", e)))
        return e->status;
    for (int32_t id = 0; id < v->count; id++) {
        double type = types ? tri_gguf_element(types, (uint64_t)id) : TRI_TOKEN_NORMAL;
        bool known = type >= TRI_TOKEN_NORMAL && type <= TRI_TOKEN_BYTE;
        v->kind[id] = known ? (uint8_t)type : TRI_TOKEN_NORMAL;
    }
    return TRI_OK;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

int tri_named_byte(struct tri_text t)
{
    if (t.size != 6 || memcmp(t.at, "<0x", 3) || t.at[5] != '>')
        return -1;
    const int high = hex_digit(t.at[3]), low = hex_digit(t.at[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

static size_t decode_marks(struct tri_text text, char *bytes)
{
    const size_t mark = sizeof TRI_SPACE_MARK - 1;
    char *out = bytes;
    for (size_t i = 0; i < text.size;) {
        const bool space = text.size - i >= mark && !memcmp(text.at + i, TRI_SPACE_MARK, mark);
        *out++ = space ? ' ' : text.at[i];
        i += space ? mark : 1;
    }
    return (size_t)(out - bytes);
}

/* Returns the number of bytes, at most as many as the text has. */
static size_t decode_token(const struct tri_vocabulary *v, int32_t id, char *bytes)
{
    const int byte = v->kind[id] == TRI_TOKEN_BYTE ? tri_named_byte(v->token[id]) : -1;
    if (v->spelling == TRI_BYTE_LEVEL)
        return tri_alphabet_decode(v, v->token[id], bytes);
    if (byte < 0)
        return decode_marks(v->token[id], bytes);
    *bytes = (char)byte;
    return 1;
}

/* Where tokens are found as spelled, their texts stay. */
static enum tri_status keep_texts(struct tri_vocabulary *v, struct tri_error *e)
{
    v->text = v->token;
    if (v->spelling == TRI_BYTE_LEVEL)
        return TRI_OK;
    const size_t bytes = (size_t)v->count * sizeof *v->text; /* as many are in memory */
    if (!(v->token = malloc(bytes)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %d tokens", tri_gguf_name(v->file), v->count);
    memcpy(v->token, v->text, bytes);
    return TRI_OK;
}

static enum tri_status decode_tokens(struct tri_vocabulary *v, struct tri_error *e)
{
    if (keep_texts(v, e) != TRI_OK)
        return e->status;
    size_t bytes = 1; /* malloc(0) may be NULL */
    for (int32_t id = 0; id < v->count; id++)
        bytes += v->token[id].size; /* parts of the file: no overflow */
    char *at = v->decoded = malloc(bytes);
    if (!at)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu bytes of tokens",
                        tri_gguf_name(v->file), bytes);
    for (int32_t id = 0; id < v->count; id++) {
        if (tri_token_special(v, id))
            continue;
        size_t size = decode_token(v, id, at);
        v->token[id] = (struct tri_text){at, size};
        at += size;
    }
    return TRI_OK;
}

enum tri_status tri_vocabulary_read(struct tri_vocabulary *v, const struct tri_gguf *g, enum tri_spelling spelling,
                                    struct tri_error *e)
{
    *v = (struct tri_vocabulary){.file = g, .spelling = spelling};
    make_alphabet(v->alphabet);
    if (read_tokens(v, e) != TRI_OK || read_kinds(v, e) != TRI_OK ||
        decode_tokens(v, e) != TRI_OK || index_tokens(v, e) != TRI_OK)
        return e->status;
    find_bytes(v);
    return TRI_OK;
}

void tri_vocabulary_free(struct tri_vocabulary *v)
{
    if (v->text != v->token)
        free(v->text);
    free(v->token);
    free(v->decoded);
    tri_free(v->kind);
    tri_free(v->slot);
}
