/* Owns: reading of safetensors files in place, with every check that needs no knowledge of models.
 * Leaves out what tensors are for (model/huggingface.c). */
#include "file/safetensors.h"

#include "file/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull; /* for %llu */

/* The longest header is the reference implementation's limit. A tensor takes about eight values of JSON. */
enum { LONGEST_HEADER = 100000000, LENGTH = 8, MOST_FILES = 10000, SHOWN = 80 };
static const struct tri_json_limits header_limits = {8, 1 << 20}, index_limits = {8, 1 << 20};

static const struct tri_dtype dtypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8},
};

struct file {
    struct tri_map map; /* empty if the memory is the caller's */
    char *name;
};

struct tri_safetensors {
    struct file *files;
    struct tri_map *maps; /* of the files, once somebody asks for them */
    size_t file_count;
    struct tri_safetensor *tensors;
    size_t count;
};

/* One file while it is read. */
struct reader {
    const char *name;
    const uint8_t *buffer;
    uint64_t size, start; /* of the buffer; in the file */
    size_t file;
    struct tri_error *e;
};

/* -- a tensor's description ---------------------------------------------- */

static enum tri_status refuse(struct reader *r, const char *tensor, const char *expected)
{
    return tri_fail(r->e, TRI_BAD_FILE, "%s: tensor \"%.*s\" in the header: expected %s; the file is damaged: fetch it "
                    "again", r->name, SHOWN, tensor, expected);
}

static const struct tri_dtype *dtype_named(const char *name)
{
    for (size_t i = 0; name && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

static bool natural(const json_t *value, uint64_t *n)
{
    *n = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* Its bytes in *bytes. */
static enum tri_status read_shape(struct reader *r, const json_t *shape, struct tri_safetensor *t, uint64_t *bytes)
{
    const json_t *size;
    size_t i;
    *bytes = (uint64_t)t->dtype->bytes;
    if (!json_is_array(shape) || json_array_size(shape) > TRI_SAFETENSOR_DIMS)
        return refuse(r, t->name, "a \"shape\" of at most 8 dimensions");
    t->dims = (int)json_array_size(shape);
    json_array_foreach(shape, i, size)
        if (!natural(size, &t->shape[i]) || __builtin_mul_overflow(*bytes, t->shape[i], bytes))
            return refuse(r, t->name, "dimensions of 0 or more, and less than 2^64 bytes of all");
    return TRI_OK;
}

static enum tri_status read_place(struct reader *r, const json_t *offsets, struct tri_safetensor *t, uint64_t bytes)
{
    uint64_t begin, end;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !natural(json_array_get(offsets, 0), &begin) ||
        !natural(json_array_get(offsets, 1), &end))
        return refuse(r, t->name, "\"data_offsets\" of two numbers of 0 or more");
    if (begin > end || end > r->size)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: tensor \"%.*s\" takes bytes %llu to %llu of the data, which begin at byte %llu and have "
                        "%llu bytes; the file is truncated or damaged: fetch it again",
                        r->name, SHOWN, t->name, (ull)begin, (ull)end, (ull)r->start, (ull)r->size);
    if (end - begin != bytes)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: tensor \"%.*s\" (%s) has %llu bytes of data, but its shape takes %llu; the file is "
                        "damaged: fetch it again", r->name, SHOWN, t->name, t->dtype->name, (ull)(end - begin),
                        (ull)bytes);
    t->data = r->buffer + begin;
    t->offset = r->start + begin;
    t->bytes = bytes;
    return TRI_OK;
}

static enum tri_status read_tensor(struct reader *r, const char *name, const json_t *value, struct tri_safetensor *t)
{
    uint64_t bytes;
    *t = (struct tri_safetensor){.name = name, .file = r->file,
                                 .dtype = dtype_named(json_string_value(json_object_get(value, "dtype")))};
    if (!t->dtype)
        return refuse(r, name, "a known \"dtype\" such as BF16");
    if (read_shape(r, json_object_get(value, "shape"), t, &bytes) != TRI_OK ||
        read_place(r, json_object_get(value, "data_offsets"), t, bytes) != TRI_OK)
        return r->e->status;
    t->name = strdup(name);
    return t->name ? TRI_OK : tri_fail(r->e, TRI_NO_MEMORY, "%s: no memory for the name of a tensor", r->name);
}

/* -- a header ------------------------------------------------------------ */

static int compare_places(const void *a, const void *b)
{
    const struct tri_safetensor *x = a, *y = b;
    return x->offset != y->offset ? (x->offset > y->offset ? 1 : -1) : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* One behind the other, from the first byte of the buffer to its last. */
static enum tri_status check_places(struct reader *r, struct tri_safetensor *tensors, size_t count)
{
    uint64_t at = r->start;
    if (count > 1)
        qsort(tensors, count, sizeof *tensors, compare_places);
    for (size_t i = 0; i < count; at += tensors[i++].bytes)
        if (tensors[i].offset != at)
            return tri_fail(r->e, TRI_BAD_FILE,
                            "%s: tensor \"%.*s\" begins at byte %llu; expected %llu, where the one before it ends: "
                            "neither holes nor overlaps; the file is damaged: fetch it again",
                            r->name, SHOWN, tensors[i].name, (ull)tensors[i].offset, (ull)at);
    if (at == r->start + r->size)
        return TRI_OK;
    return tri_fail(r->e, TRI_BAD_FILE, "%s: byte %llu: %llu bytes belong to no tensor; the file is damaged: fetch it "
                    "again", r->name, (ull)at, (ull)(r->start + r->size - at));
}

/* "__metadata__" is somebody's remarks. */
static enum tri_status check_metadata(struct reader *r, const json_t *metadata)
{
    const char *key;
    json_t *value;
    bool good = !metadata || json_is_object(metadata);
    json_object_foreach((json_t *)metadata, key, value)
        good = good && json_is_string(value);
    return good ? TRI_OK : refuse(r, "__metadata__", "an object of strings");
}

static enum tri_status read_header(struct reader *r, json_t *header, struct tri_safetensors *s)
{
    const char *name;
    json_t *value;
    const size_t first = s->count, more = json_object_size(header);
    struct tri_safetensor *all = reallocarray(s->tensors, first + more + 1, sizeof *all);
    if (!all)
        return tri_fail(r->e, TRI_NO_MEMORY, "%s: no memory for %zu tensors", r->name, more);
    s->tensors = all;
    if (check_metadata(r, json_object_get(header, "__metadata__")) != TRI_OK)
        return r->e->status;
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (read_tensor(r, name, value, &s->tensors[s->count]) != TRI_OK)
            return r->e->status;
        s->count++;
    }
    return check_places(r, s->tensors + first, s->count - first);
}

static enum tri_status check_length(const uint8_t *data, size_t size, const char *name, uint64_t *length,
                                    struct tri_error *e)
{
    if (size < LENGTH)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected a safetensors file, which has 8 bytes at least, found %zu", name,
                        size);
    memcpy(length, data, sizeof *length);
    if (*length > LONGEST_HEADER || *length > size - LENGTH)
        return tri_fail(e, TRI_BAD_FILE,
                        "%s: byte 0: expected the length of a safetensors header, at most %d and the %zu bytes that "
                        "follow, found %llu; the file is truncated, damaged or no safetensors file: fetch it again",
                        name, LONGEST_HEADER, size - LENGTH, (ull)*length);
    if (*length > 0 && data[LENGTH] == '{')
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: byte 8: expected '{', the beginning of a safetensors header, found %s; fetch "
                    "the file again", name, *length ? "another" : "an empty one");
}

static enum tri_status read_file(struct tri_safetensors *s, size_t file, const uint8_t *data, size_t size,
                                 struct tri_error *e)
{
    const char *name = s->files[file].name;
    uint64_t length = 0;
    if (check_length(data, size, name, &length, e) != TRI_OK)
        return e->status;
    json_t *header = tri_json_read((const char *)data + LENGTH, (size_t)length, header_limits, name, e);
    if (!header)
        return e->status;
    const uint64_t start = LENGTH + length;
    struct reader r = {name, data + start, size - start, start, file, e};
    const enum tri_status status = read_header(&r, header, s);
    json_decref(header);
    return status;
}

/* -- names --------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tri_safetensor *)a)->name, ((const struct tri_safetensor *)b)->name);
}

static enum tri_status sort(struct tri_safetensors *s, struct tri_error *e)
{
    if (s->count > 1)
        qsort(s->tensors, s->count, sizeof *s->tensors, compare_names);
    for (size_t i = 1; i < s->count; i++)
        if (compare_names(&s->tensors[i - 1], &s->tensors[i]) == 0)
            return tri_fail(e, TRI_BAD_FILE, "%s: tensor \"%.*s\" is in %s, too; expected it once: fetch all files "
                            "again, from one place", tri_safetensors_file(s, &s->tensors[i]), SHOWN, s->tensors[i].name,
                            tri_safetensors_file(s, &s->tensors[i - 1]));
    return TRI_OK;
}

size_t tri_safetensors_count(const struct tri_safetensors *s)
{
    return s->count;
}

const struct tri_safetensor *tri_safetensors_at(const struct tri_safetensors *s, size_t i)
{
    return &s->tensors[i];
}

const struct tri_safetensor *tri_safetensors_find(const struct tri_safetensors *s, const char *name)
{
    const struct tri_safetensor wanted = {.name = name};
    return s->count ? bsearch(&wanted, s->tensors, s->count, sizeof *s->tensors, compare_names) : NULL;
}

const char *tri_safetensors_file(const struct tri_safetensors *s, const struct tri_safetensor *t)
{
    return s->files[t->file].name;
}

/* -- files --------------------------------------------------------------- */

static struct tri_safetensors *new_set(size_t files, const char *name, struct tri_error *e)
{
    struct tri_safetensors *s = calloc(1, sizeof *s);
    if (s)
        s->files = calloc(files + 1, sizeof *s->files), s->maps = calloc(files + 1, sizeof *s->maps);
    if (s && s->files && s->maps)
        return s;
    tri_safetensors_close(s);
    tri_fail(e, TRI_NO_MEMORY, "%s: no memory to open it", name);
    return NULL;
}

/* Takes over the mapping and `name`. */
static enum tri_status add_file(struct tri_safetensors *s, struct tri_map map, char *name, const uint8_t *data,
                                size_t size, struct tri_error *e)
{
    s->files[s->file_count] = (struct file){map, name};
    return read_file(s, s->file_count++, data, size, e);
}

/* Takes over `path`; NULL: no memory for it. */
static enum tri_status map_file(struct tri_safetensors *s, char *path, struct tri_error *e)
{
    struct tri_map map;
    if (!path)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for the name of a file");
    if (tri_map_open(&map, path, e) == TRI_OK)
        return add_file(s, map, path, map.data, map.size, e);
    free(path);
    return e->status;
}

static struct tri_safetensors *finished(struct tri_safetensors *s, enum tri_status status, struct tri_error *e)
{
    if (status == TRI_OK && sort(s, e) == TRI_OK)
        return s;
    tri_safetensors_close(s);
    return NULL;
}

struct tri_safetensors *tri_safetensors_read(const uint8_t *data, size_t size, const char *name, struct tri_error *e)
{
    struct tri_safetensors *s = new_set(1, name, e);
    char *copy = s ? strdup(name) : NULL;
    if (!s)
        return NULL;
    return finished(s, copy ? add_file(s, (struct tri_map){0}, copy, data, size, e)
                            : tri_fail(e, TRI_NO_MEMORY, "%s: no memory to open it", name), e);
}

size_t tri_safetensors_take(struct tri_safetensors *s, const struct tri_map **maps)
{
    size_t taken = 0;
    for (size_t i = 0; i < s->file_count; i++) {
        if (s->files[i].map.data)
            s->maps[taken++] = s->files[i].map;
        s->files[i].map = (struct tri_map){0};
    }
    *maps = s->maps;
    return taken;
}

void tri_safetensors_close(struct tri_safetensors *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        free((char *)s->tensors[i].name);
    for (size_t i = 0; i < s->file_count; i++) {
        tri_map_close(&s->files[i].map);
        free(s->files[i].name);
    }
    free(s->tensors);
    free(s->files);
    free(s->maps);
    free(s);
}

/* -- an index ------------------------------------------------------------ */

static enum tri_status check_name(const char *index, const char *tensor, const char *file, struct tri_error *e)
{
    if (file && *file && !strpbrk(file, "/\\") && !strstr(file, ".."))
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: tensor \"%.*s\" in \"weight_map\": expected the name of a file beside the "
                    "index, without separators and \"..\", found \"%.*s\"", index, SHOWN, tensor, SHOWN,
                    file ? file : "");
}

static char *beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0, room = folder + strlen(name) + 1;
    char *whole = malloc(room);
    if (whole)
        snprintf(whole, room, "%.*s%s", (int)folder, path, name);
    return whole;
}

/* Files of the index that are open, by name. */
struct index {
    const char *path;
    json_t *map, *open; /* "weight_map"; file to its place */
};

static enum tri_status open_named(struct tri_safetensors *s, const struct index *x, const char *file,
                                  struct tri_error *e)
{
    if (json_object_get(x->open, file))
        return TRI_OK;
    if (s->file_count == MOST_FILES)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected at most %d files in \"weight_map\", found more", x->path,
                        MOST_FILES);
    if (json_object_set_new(x->open, file, json_integer((json_int_t)s->file_count)) != 0)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for the names of its files", x->path);
    return map_file(s, beside(x->path, file), e);
}

static enum tri_status open_files(struct tri_safetensors *s, const struct index *x, struct tri_error *e)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(x->map, tensor, value)
        if (check_name(x->path, tensor, json_string_value(value), e) != TRI_OK ||
            open_named(s, x, json_string_value(value), e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* Once the tensors are sorted: each is where the index has it. */
static enum tri_status check_index(const struct tri_safetensors *s, const struct index *x, struct tri_error *e)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(x->map, tensor, value) {
        const struct tri_safetensor *t = tri_safetensors_find(s, tensor);
        const json_t *file = json_object_get(x->open, json_string_value(value));
        if (!t || (json_int_t)t->file != json_integer_value(file))
            return tri_fail(e, TRI_BAD_FILE, "%s: tensor \"%.*s\": expected it in %s, found it %s; fetch all files "
                            "again, from one place", x->path, SHOWN, tensor, json_string_value(value),
                            t ? "in another file" : "nowhere");
    }
    return TRI_OK;
}

static struct tri_safetensors *open_index(const char *path, const struct tri_map *map, struct tri_error *e)
{
    json_t *root = tri_json_read((const char *)map->data, map->size, index_limits, path, e);
    const struct index x = {path, json_object_get(root, "weight_map"), json_object()};
    struct tri_safetensors *s = NULL;
    if (root && !json_is_object(x.map))
        tri_fail(e, TRI_BAD_FILE, "%s: expected an object \"weight_map\" of tensors and their files, found none; it is "
                 "no index of safetensors files", path);
    else if (root)
        s = new_set(json_object_size(x.map), path, e);
    if (s && (s = finished(s, open_files(s, &x, e), e)) && check_index(s, &x, e) != TRI_OK) {
        tri_safetensors_close(s);
        s = NULL;
    }
    json_decref(x.open);
    json_decref(root);
    return s;
}

struct tri_safetensors *tri_safetensors_open(const char *path, struct tri_error *e)
{
    const size_t size = strlen(path);
    struct tri_map map;
    if (size > 5 && strcmp(path + size - 5, ".json") == 0) {
        if (tri_map_open(&map, path, e) != TRI_OK)
            return NULL;
        struct tri_safetensors *s = open_index(path, &map, e);
        tri_map_close(&map);
        return s;
    }
    struct tri_safetensors *s = new_set(1, path, e);
    return s ? finished(s, map_file(s, strdup(path), e), e) : NULL;
}
