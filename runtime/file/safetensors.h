/* safetensors files, one or several with an index, mapped and read in place (formats.md 3.1 in the project's
 * documentation).
 *
 *     struct tri_safetensors *s = tri_safetensors_open("model.safetensors", &e);
 *     const struct tri_safetensor *t = tri_safetensors_find(s, "model.norm.weight");
 *     tri_safetensors_close(s);
 *
 * Every size is checked before it is used. Tensors live until tri_safetensors_close. */
#ifndef TRI_SAFETENSORS_H
#define TRI_SAFETENSORS_H

#include "base/error.h"
#include "base/memory.h"

struct tri_safetensors;

struct tri_dtype {
    const char *name; /* "BF16" */
    int bytes;
};

enum { TRI_SAFETENSOR_DIMS = 8 };

struct tri_safetensor {
    const char *name;
    const struct tri_dtype *dtype;
    int dims; /* 0: one value */
    uint64_t shape[TRI_SAFETENSOR_DIMS]; /* outermost first; the product and its bytes fit 64 bits */
    const uint8_t *data; /* not aligned */
    uint64_t bytes, offset; /* of data, in the file */
    size_t file;
};

/* `path`: a .safetensors file, or the JSON of an index ("weight_map") with the files that it names beside it. */
struct tri_safetensors *tri_safetensors_open(const char *path, struct tri_error *e);
/* One file in memory that outlives the result; `name` stands in messages. */
struct tri_safetensors *tri_safetensors_read(const uint8_t *data, size_t size, const char *name, struct tri_error *e);
void tri_safetensors_close(struct tri_safetensors *s);

size_t tri_safetensors_count(const struct tri_safetensors *s);
const struct tri_safetensor *tri_safetensors_at(const struct tri_safetensors *s, size_t i); /* by name */
const struct tri_safetensor *tri_safetensors_find(const struct tri_safetensors *s, const char *name); /* or NULL */
const char *tri_safetensors_file(const struct tri_safetensors *s, const struct tri_safetensor *t); /* its path */

/* The mappings, which from here on are the caller's to close, after which no tensor has data. Returns how many
 * `maps` points at. */
size_t tri_safetensors_take(struct tri_safetensors *s, const struct tri_map **maps);

#endif
