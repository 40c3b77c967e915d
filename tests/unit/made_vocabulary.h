/* Files with a vocabulary only, written for a test: key by key, then opened.
 *
 *     struct file f = new_file("gpt2");
 *     put_tokens(&f, more); put_merges(&f, no_merges); key_text(&f, "pre", "gpt-2");
 *     struct opened o = open_good(f);
 *     EXPECT(o, "text", 0, 1, 2);
 *     close_file(&o); */
#ifndef MADE_VOCABULARY_H
#define MADE_VOCABULARY_H

#include "text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- a file being written ---------------------------------------------------- */

struct file {
    uint8_t *bytes;
    size_t size, room;
    uint64_t keys;
};

static inline void put(struct file *f, const void *bytes, size_t size)
{
    if (f->size + size > f->room) {
        f->room = 2 * (f->size + size);
        f->bytes = realloc(f->bytes, f->room);
        assert_non_null(f->bytes);
    }
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static inline void put_u32(struct file *f, uint32_t v)
{
    put(f, &v, sizeof v);
}

static inline void put_u64(struct file *f, uint64_t v)
{
    put(f, &v, sizeof v);
}

static inline void put_text(struct file *f, const char *text)
{
    put_u64(f, strlen(text));
    put(f, text, strlen(text));
}

static inline void whole_key(struct file *f, const char *name, enum tri_gguf_type type)
{
    put_text(f, name);
    put_u32(f, type);
    f->keys++;
}

/* The name follows "tokenizer.ggml." */
static inline void key(struct file *f, const char *name, enum tri_gguf_type type)
{
    char whole[128];
    snprintf(whole, sizeof whole, "tokenizer.ggml.%s", name);
    whole_key(f, whole, type);
}

static inline void key_text(struct file *f, const char *name, const char *text)
{
    key(f, name, TRI_STRING);
    put_text(f, text);
}

static inline void key_u32(struct file *f, const char *name, uint32_t v)
{
    key(f, name, TRI_U32);
    put_u32(f, v);
}

static inline void key_bool(struct file *f, const char *name, bool v)
{
    key(f, name, TRI_BOOL);
    put(f, &(uint8_t){v}, 1);
}

static inline void key_array(struct file *f, const char *name, enum tri_gguf_type element, uint64_t count)
{
    key(f, name, TRI_ARRAY);
    put_u32(f, element);
    put_u64(f, count);
}

static inline struct file new_file(const char *model)
{
    struct file f = {0};
    put(&f, "GGUF", 4);
    put_u32(&f, 3);
    put_u64(&f, 0);
    put_u64(&f, 0); /* keys: written when the file is read */
    if (model)
        key_text(&f, "model", model);
    return f;
}

/* -- a small vocabulary ------------------------------------------------------- */

enum { BYTES = 256 };

/* The printable character of a byte, by its definition. */
static const char *letter(int c, char text[4])
{
    int code = 256;
    if ((c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174)
        code = c;
    else
        for (int b = 0; b < c; b++)
            code += !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174);
    if (code < 0x80)
        snprintf(text, 4, "%c", code);
    else
        snprintf(text, 4, "%c%c", 0xC0 | code >> 6, 0x80 | (code & 0x3F));
    return text;
}

struct token {
    const char *text;
    int type;
};

/* Tokens 0 to 255 are the bytes; then come `more`, ended by NULL. */
static inline void put_tokens(struct file *f, const struct token *more)
{
    char text[4];
    uint64_t count = 0;
    while (more[count].text)
        count++;
    key_array(f, "tokens", TRI_STRING, BYTES + count);
    for (int c = 0; c < BYTES; c++)
        put_text(f, letter(c, text));
    for (uint64_t i = 0; i < count; i++)
        put_text(f, more[i].text);
    key_array(f, "token_type", TRI_I32, BYTES + count);
    for (uint64_t i = 0; i < BYTES + count; i++)
        put_u32(f, i < BYTES ? 1 : (uint32_t)more[i - BYTES].type);
}

static inline void put_merges(struct file *f, const char *const *merges)
{
    uint64_t count = 0;
    while (merges[count])
        count++;
    key_array(f, "merges", TRI_STRING, count);
    for (uint64_t i = 0; i < count; i++)
        put_text(f, merges[i]);
}

static const char *const no_merges[] = {NULL};

static inline struct file small_file(const struct token *more, const char *const *merges)
{
    struct file f = new_file("gpt2");
    put_tokens(&f, more);
    put_merges(&f, merges);
    return f;
}

struct opened {
    struct file file;
    struct tri_gguf *gguf;
    struct tri_tokenizer *tokenizer; /* NULL: `error` says why */
    struct tri_error error;
};

/* With a pre-tokenizer of this name; NULL: the file's. */
static inline struct opened open_file_pre(struct file f, const char *pre)
{
    struct opened o = {.file = f};
    memcpy(f.bytes + 16, &f.keys, sizeof f.keys);
    o.gguf = tri_gguf_read(f.bytes, f.size, "made.gguf", &o.error);
    if (!o.gguf)
        fail_msg("%s", o.error.text);
    o.tokenizer = tri_tokenizer_new_pre(o.gguf, pre, &o.error);
    return o;
}

static inline struct opened open_file(struct file f)
{
    return open_file_pre(f, NULL);
}

static inline struct opened open_good(struct file f)
{
    struct opened o = open_file(f);
    if (!o.tokenizer)
        fail_msg("%s", o.error.text);
    return o;
}

static inline void close_file(struct opened *o)
{
    tri_tokenizer_free(o->tokenizer);
    tri_gguf_close(o->gguf);
    free(o->file.bytes);
}

/* Refused, with an error that names the file and says `words`. */
static inline void refused(struct file f, enum tri_status status, const char *words)
{
    struct opened o = open_file(f);
    assert_null(o.tokenizer);
    assert_int_equal(o.error.status, status);
    if (!strstr(o.error.text, "made.gguf") || !strstr(o.error.text, words))
        fail_msg("expected \"%s\" in: %s", words, o.error.text);
    close_file(&o);
}

static inline void expect(const struct opened *o, const char *text, int flags, const int32_t *want,
                   size_t count)
{
    struct tri_error e = {0};
    struct tri_ids ids = {0};
    if (tri_tokenize(o->tokenizer, text, strlen(text), flags, &ids, &e) != TRI_OK)
        fail_msg("%s", e.text);
    assert_int_equal(ids.count, count);
    if (count)
        assert_memory_equal(ids.at, want, count * sizeof *want);
    tri_ids_free(&ids);
}

#define EXPECT(o, text, flags, ...)                                                                \
    expect(&o, text, flags, (const int32_t[]){__VA_ARGS__},                                        \
           sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static inline bool notices(const struct opened *o, const char *words)
{
    const char *notice = tri_tokenizer_notice(o->tokenizer);
    return notice && strstr(notice, words);
}

#endif
