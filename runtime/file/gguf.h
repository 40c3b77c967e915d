/* GGUF files, version 2 and 3, mapped and read in place (formats.md 1 in the project's documentation).
 *
 *     struct tri_gguf *g = tri_gguf_open("model.gguf", &e);
 *     const struct tri_tensor *t = tri_gguf_tensor(g, "token_embd.weight");
 *     uint64_t layers;
 *     if (tri_gguf_uint(g, "llama.block_count", &layers, &e) != TRI_OK) ...
 *     tri_gguf_close(g);
 *
 * Every size is checked before it is used; a file that lies is refused with the byte offset. Strings
 * and tensors point into the mapping and live until tri_gguf_close. */
#ifndef TRI_GGUF_H
#define TRI_GGUF_H

#include "base/error.h"
#include "base/memory.h"
#include "file/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tri_gguf;

enum tri_gguf_type {
    TRI_U8, TRI_I8, TRI_U16, TRI_I16, TRI_U32, TRI_I32, TRI_F32, TRI_BOOL, TRI_STRING, TRI_ARRAY,
    TRI_U64, TRI_I64, TRI_F64, TRI_GGUF_TYPES
};

struct tri_gguf_key {
    struct tri_text name;
    enum tri_gguf_type type;
    enum tri_gguf_type element; /* of an array; else the same as `type` */
    uint64_t count;             /* of an array's elements; else 1 */
    const uint8_t *at; /* the value, or the first element */
};

const char *tri_gguf_type_name(enum tri_gguf_type type); /* "u8" */
size_t tri_gguf_type_bytes(enum tri_gguf_type type);     /* 0: no fixed size */

enum { TRI_GGUF_ALIGNMENT = 32 }; /* of tensors, where general.alignment says nothing else */

struct tri_gguf *tri_gguf_open(const char *path, struct tri_error *e);
/* The same from memory that outlives the result; `name` stands in messages. */
struct tri_gguf *tri_gguf_read(const uint8_t *data, size_t size, const char *name, struct tri_error *e);
/* The same from memory of tri_alloc, which is the result's from here on: freed with it, or on error at once. */
struct tri_gguf *tri_gguf_read_own(void *memory, size_t size, const char *name, struct tri_error *e);
void tri_gguf_close(struct tri_gguf *g);

/* Tensors that lie elsewhere: `count` of them, sized and within their memory, under names that nobody has yet. The
 * mappings are g's from here on, on error, too. Strings and tensors of `g` that were found before may have moved. */
enum tri_status tri_gguf_adopt(struct tri_gguf *g, const struct tri_map *maps, size_t map_count,
                               const struct tri_tensor *tensors, size_t count, struct tri_error *e);
/* The tensors of another part of the same model (file/gguf_split.h), whose keys are not needed. Closes `part`. */
enum tri_status tri_gguf_join(struct tri_gguf *g, struct tri_gguf *part, struct tri_error *e);
/* Forgets the keys whose names begin so. */
void tri_gguf_drop(struct tri_gguf *g, const char *prefix);

/* Reads every I2_S tensor in the layout of this name (tri_i2s_layout_find); files do not say which they have. Before
 * anything is read of them. TRI_USAGE: there is no such layout; TRI_UNSUPPORTED: a tensor cannot have it. */
enum tri_status tri_gguf_set_i2s_layout(struct tri_gguf *g, const char *layout, struct tri_error *e);

/* Bytes of a tensor that nobody will read again: their pages need not stay in memory. Nothing, if `g` was read from
 * the caller's. */
void tri_gguf_release(const struct tri_gguf *g, const uint8_t *from, size_t bytes);

const char *tri_gguf_name(const struct tri_gguf *g); /* the path, for messages */
uint32_t tri_gguf_version(const struct tri_gguf *g);
uint64_t tri_gguf_bytes(const struct tri_gguf *g); /* of all its files */
const uint8_t *tri_gguf_end(const struct tri_gguf *g, const uint8_t *at); /* of the file that `at` lies in */
size_t tri_gguf_key_count(const struct tri_gguf *g);
const struct tri_gguf_key *tri_gguf_key_at(const struct tri_gguf *g, size_t i);
const struct tri_gguf_key *tri_gguf_find(const struct tri_gguf *g, const char *key); /* or NULL */
size_t tri_gguf_tensor_count(const struct tri_gguf *g);
const struct tri_tensor *tri_gguf_tensor_at(const struct tri_gguf *g, size_t i);
const struct tri_tensor *tri_gguf_tensor(const struct tri_gguf *g, const char *name); /* or NULL */

/* A value by key. Absent: TRI_BAD_FILE naming the key; the wrong type or range likewise, saying what
 * is there. Integers of every width are accepted where the value fits. Test absence with
 * tri_gguf_find first where a key is optional. */
enum tri_status tri_gguf_uint(const struct tri_gguf *g, const char *key, uint64_t *value, struct tri_error *e);
enum tri_status tri_gguf_float(const struct tri_gguf *g, const char *key, float *value, struct tri_error *e);
enum tri_status tri_gguf_bool(const struct tri_gguf *g, const char *key, bool *value, struct tri_error *e);
enum tri_status tri_gguf_text(const struct tri_gguf *g, const char *key, struct tri_text *value, struct tri_error *e);
/* An array of strings: `*texts` gets `*count` of them, to be freed with free(). */
enum tri_status tri_gguf_texts(const struct tri_gguf *g, const char *key, struct tri_text **texts, size_t *count,
                               struct tri_error *e);
/* The first strings of a key, a string or an array of them, at most `most`; returns how many. */
size_t tri_gguf_first_texts(const struct tri_gguf_key *key, struct tri_text *texts, size_t most);
/* Element i < count of numbers or bools, as a double: exact for every type but large 64-bit ones. */
double tri_gguf_element(const struct tri_gguf_key *key, uint64_t i);

#endif
