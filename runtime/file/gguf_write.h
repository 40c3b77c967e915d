/* Writing GGUF files, version 3 (formats.md 1 in the project's documentation): first keys and tensors by name, then
 * the tensors' bytes in any order. The file appears whole or not at all (base/output.h).
 *
 *     struct tri_gguf_writer *w = tri_gguf_create("model.gguf", 32, &e);
 *     tri_gguf_add_text(w, "general.architecture", "llama");
 *     tri_gguf_add_uint(w, "llama.block_count", 32);
 *     struct tri_tensor t = {.name = "output_norm.weight", .encoding = ..., .dims = 1, .ne = {4096, 1, 1, 1}};
 *     const int norm = tri_gguf_add_tensor(w, &t);
 *     if (tri_gguf_begin(w, &e) != TRI_OK || tri_gguf_write(w, norm, 0, floats, bytes, &e) != TRI_OK || ... ||
 *         tri_gguf_commit(w, &e) != TRI_OK)
 *         ...
 *     tri_gguf_discard(w);                      always; without a commit nothing stays
 *
 * Adding never fails on the spot: the first fault is kept, and tri_gguf_begin reports it. */
#ifndef TRI_GGUF_WRITE_H
#define TRI_GGUF_WRITE_H

#include "file/gguf.h"

struct tri_gguf_writer;

/* Tensors begin at multiples of `alignment`, a power of two from 32 to 2^20; the key general.alignment says so where
 * it is not 32. NULL if the file cannot be written there. */
struct tri_gguf_writer *tri_gguf_create(const char *path, uint32_t alignment, struct tri_error *e);

/* The same without a file, for keys and small tensors that nobody has in one: tri_gguf_composed takes the place of
 * tri_gguf_commit and gives what the ordinary reader, with all its checks, makes of the bytes. `name` stands in
 * messages. */
struct tri_gguf_writer *tri_gguf_compose(struct tri_error *e);
struct tri_gguf *tri_gguf_composed(struct tri_gguf_writer *w, const char *name, struct tri_error *e);

void tri_gguf_add_uint(struct tri_gguf_writer *w, const char *key, uint32_t value);
void tri_gguf_add_float(struct tri_gguf_writer *w, const char *key, float value);
void tri_gguf_add_bool(struct tri_gguf_writer *w, const char *key, bool value);
void tri_gguf_add_text(struct tri_gguf_writer *w, const char *key, const char *value);
/* An array of `count` elements of a fixed size (no strings). */
void tri_gguf_add_array(struct tri_gguf_writer *w, const char *key, enum tri_gguf_type element, uint64_t count,
                        const void *elements);
/* An array of strings: its head, then exactly `count` of them. */
void tri_gguf_add_texts(struct tri_gguf_writer *w, const char *key, uint64_t count);
void tri_gguf_add_element(struct tri_gguf_writer *w, struct tri_text text);
/* A key of another file, as it is there. */
void tri_gguf_add_key(struct tri_gguf_writer *w, const struct tri_gguf_key *key);
/* Whether such a key was added; and as a u32, what it is. */
bool tri_gguf_has(const struct tri_gguf_writer *w, const char *key);
bool tri_gguf_added_uint(const struct tri_gguf_writer *w, const char *key, uint32_t *value);

/* Name, encoding, dims and ne of t count. Returns its index, in the order of adding from 0. */
int tri_gguf_add_tensor(struct tri_gguf_writer *w, const struct tri_tensor *t);

/* Writes all that stands before the tensors and takes room for these. Nothing may be added afterwards. TRI_FAILED if
 * the disk has not enough. */
enum tri_status tri_gguf_begin(struct tri_gguf_writer *w, struct tri_error *e);

/* Bytes [offset, offset + size) of a tensor; those never written are zeros. From any thread, each with an error of its
 * own. */
enum tri_status tri_gguf_write(struct tri_gguf_writer *w, int tensor, uint64_t offset, const void *bytes, size_t size,
                               struct tri_error *e);

enum tri_status tri_gguf_commit(struct tri_gguf_writer *w, struct tri_error *e);
void tri_gguf_discard(struct tri_gguf_writer *w); /* NULL: nothing */

#endif
