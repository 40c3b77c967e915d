/* Owns: the bytes of a GGUF file before its tensors, and where each tensor lies. Leaves out the file itself
 * (base/output.c) and how tensors are encoded. */
#include "file/gguf_write.h"

#include "base/memory.h"
#include "base/output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x46554747, VERSION = 3, MOST_ALIGNMENT = 1 << 20 };

struct bytes {
    char *at;
    size_t size, room;
};

struct place {
    uint64_t offset, size; /* from the first tensor on */
};

struct tri_gguf_writer {
    struct tri_output_file *file; /* NULL: `image` */
    uint8_t *image;
    uint32_t alignment;
    struct bytes keys, infos, places; /* places: struct place[tensors] */
    struct bytes starts;              /* of each key in `keys`: uint64_t[key_count] */
    uint64_t key_count, tensor_count;
    uint64_t elements_due; /* of the array of strings that is being added */
    uint64_t data, end;    /* in the file: where tensors begin; from the first tensor on: where they end */
    struct tri_error problem;
};

/* -- memory that grows --------------------------------------------------- */

static void put(struct tri_gguf_writer *w, struct bytes *b, const void *from, size_t size)
{
    if (w->problem.status == TRI_OK && size > b->room - b->size) {
        const size_t room = 2 * b->room + size;
        char *more = realloc(b->at, room);
        if (more)
            b->at = more, b->room = room;
        else
            tri_fail(&w->problem, TRI_NO_MEMORY, "no memory for %zu MiB of keys", room >> 20);
    }
    if (w->problem.status != TRI_OK || size == 0)
        return;
    memcpy(b->at + b->size, from, size);
    b->size += size;
}

static void put_u32(struct tri_gguf_writer *w, struct bytes *b, uint32_t v)
{
    put(w, b, &v, sizeof v);
}

static void put_u64(struct tri_gguf_writer *w, struct bytes *b, uint64_t v)
{
    put(w, b, &v, sizeof v);
}

static void put_text(struct tri_gguf_writer *w, struct bytes *b, const char *at, size_t size)
{
    put_u64(w, b, size);
    put(w, b, at, size);
}

static uint64_t aligned(const struct tri_gguf_writer *w, uint64_t at)
{
    return (at + w->alignment - 1) / w->alignment * w->alignment;
}

/* -- keys ---------------------------------------------------------------- */

static void open_key(struct tri_gguf_writer *w, struct tri_text name, enum tri_gguf_type type)
{
    assert(w->elements_due == 0);
    put_u64(w, &w->starts, w->keys.size);
    put_text(w, &w->keys, name.at, name.size);
    put_u32(w, &w->keys, type);
    w->key_count++;
}

static void add_value(struct tri_gguf_writer *w, const char *key, enum tri_gguf_type type, const void *value)
{
    open_key(w, (struct tri_text){key, strlen(key)}, type);
    put(w, &w->keys, value, tri_gguf_type_bytes(type));
}

void tri_gguf_add_uint(struct tri_gguf_writer *w, const char *key, uint32_t value)
{
    add_value(w, key, TRI_U32, &value);
}

void tri_gguf_add_float(struct tri_gguf_writer *w, const char *key, float value)
{
    add_value(w, key, TRI_F32, &value);
}

void tri_gguf_add_bool(struct tri_gguf_writer *w, const char *key, bool value)
{
    add_value(w, key, TRI_BOOL, &(uint8_t){value});
}

void tri_gguf_add_text(struct tri_gguf_writer *w, const char *key, const char *value)
{
    open_key(w, (struct tri_text){key, strlen(key)}, TRI_STRING);
    put_text(w, &w->keys, value, strlen(value));
}

static void open_array(struct tri_gguf_writer *w, struct tri_text key, enum tri_gguf_type element, uint64_t count)
{
    open_key(w, key, TRI_ARRAY);
    put_u32(w, &w->keys, element);
    put_u64(w, &w->keys, count);
}

void tri_gguf_add_array(struct tri_gguf_writer *w, const char *key, enum tri_gguf_type element, uint64_t count,
                        const void *elements)
{
    open_array(w, (struct tri_text){key, strlen(key)}, element, count);
    put(w, &w->keys, elements, (size_t)count * tri_gguf_type_bytes(element));
}

void tri_gguf_add_texts(struct tri_gguf_writer *w, const char *key, uint64_t count)
{
    open_array(w, (struct tri_text){key, strlen(key)}, TRI_STRING, count);
    w->elements_due = count;
}

void tri_gguf_add_element(struct tri_gguf_writer *w, struct tri_text text)
{
    assert(w->elements_due > 0);
    put_text(w, &w->keys, text.at, text.size);
    w->elements_due--;
}

/* Strings lie one behind the other, each with its length in front. */
static size_t value_bytes(const struct tri_gguf_key *key)
{
    if (key->element != TRI_STRING)
        return (size_t)key->count * tri_gguf_type_bytes(key->element);
    const uint8_t *at = key->at;
    for (uint64_t i = 0, size; i < key->count; i++) {
        memcpy(&size, at, sizeof size);
        at += sizeof size + size;
    }
    return (size_t)(at - key->at);
}

void tri_gguf_add_key(struct tri_gguf_writer *w, const struct tri_gguf_key *key)
{
    if (key->type == TRI_ARRAY)
        open_array(w, key->name, key->element, key->count);
    else
        open_key(w, key->name, key->type);
    put(w, &w->keys, key->at, value_bytes(key));
}

/* Behind the name of a key that was added: its type, then its value. */
static const char *added(const struct tri_gguf_writer *w, const char *key)
{
    const uint64_t wanted = strlen(key);
    for (size_t i = 0; w->problem.status == TRI_OK && i < w->starts.size; i += sizeof(uint64_t)) {
        uint64_t start, size;
        memcpy(&start, w->starts.at + i, sizeof start);
        memcpy(&size, w->keys.at + start, sizeof size);
        const char *name = w->keys.at + start + sizeof size;
        if (size == wanted && memcmp(name, key, wanted) == 0)
            return name + size;
    }
    return NULL;
}

bool tri_gguf_has(const struct tri_gguf_writer *w, const char *key)
{
    return added(w, key) != NULL;
}

bool tri_gguf_added_uint(const struct tri_gguf_writer *w, const char *key, uint32_t *value)
{
    const char *at = added(w, key);
    uint32_t type = TRI_ARRAY;
    if (at)
        memcpy(&type, at, sizeof type);
    if (type == TRI_U32)
        memcpy(value, at + sizeof type, sizeof *value);
    return type == TRI_U32;
}

/* -- tensors ------------------------------------------------------------- */

int tri_gguf_add_tensor(struct tri_gguf_writer *w, const struct tri_tensor *t)
{
    struct tri_tensor sized = *t;
    if (w->problem.status == TRI_OK && tri_tensor_size(&sized, &w->problem) != TRI_OK)
        tri_fail_in(&w->problem, "tensor %s", t->name);
    const struct place place = {aligned(w, w->end), sized.bytes};
    put_text(w, &w->infos, t->name, strlen(t->name));
    put_u32(w, &w->infos, (uint32_t)t->dims);
    for (int i = 0; i < t->dims; i++)
        put_u64(w, &w->infos, (uint64_t)t->ne[i]);
    put_u32(w, &w->infos, t->encoding->id);
    put_u64(w, &w->infos, place.offset);
    put(w, &w->places, &place, sizeof place);
    if (w->problem.status == TRI_OK && __builtin_add_overflow(place.offset, place.size, &w->end))
        tri_fail(&w->problem, TRI_FAILED, "tensor %s: all tensors together take 2^64 bytes or more", t->name);
    return (int)w->tensor_count++;
}

static const struct place *place_of(const struct tri_gguf_writer *w, int tensor)
{
    return (const struct place *)(const void *)w->places.at + tensor;
}

/* -- the file ------------------------------------------------------------ */

struct tri_gguf_writer *tri_gguf_create(const char *path, uint32_t alignment, struct tri_error *e)
{
    assert(alignment >= TRI_GGUF_ALIGNMENT && alignment <= MOST_ALIGNMENT && (alignment & (alignment - 1)) == 0);
    struct tri_gguf_writer *w = calloc(1, sizeof *w);
    if (!w) {
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory to write it", path);
        return NULL;
    }
    w->alignment = alignment;
    if (!(w->file = tri_output_open(path, e))) {
        tri_gguf_discard(w);
        return NULL;
    }
    if (alignment != TRI_GGUF_ALIGNMENT)
        tri_gguf_add_uint(w, "general.alignment", alignment);
    return w;
}

struct tri_gguf_writer *tri_gguf_compose(struct tri_error *e)
{
    struct tri_gguf_writer *w = calloc(1, sizeof *w);
    if (w)
        w->alignment = TRI_GGUF_ALIGNMENT;
    else
        tri_fail(e, TRI_NO_MEMORY, "no memory for the keys of a model");
    return w;
}

static enum tri_status write_at(struct tri_gguf_writer *w, uint64_t at, const void *bytes, size_t size,
                                struct tri_error *e)
{
    if (w->file)
        return tri_output_write(w->file, at, bytes, size, e);
    if (size > 0)
        memcpy(w->image + at, bytes, size);
    return TRI_OK;
}

/* Zeros. */
static enum tri_status take_room(struct tri_gguf_writer *w, uint64_t bytes, struct tri_error *e)
{
    if (w->file)
        return tri_output_reserve(w->file, bytes, e);
    w->image = tri_alloc(bytes, 1, "keys of a model", e);
    return w->image ? TRI_OK : e->status;
}

/* Magic, version, counts, keys, tensors: one after the other. */
static enum tri_status write_head(struct tri_gguf_writer *w, struct tri_error *e)
{
    struct {
        uint32_t magic, version;
        uint64_t tensors, keys;
    } head = {MAGIC, VERSION, w->tensor_count, w->key_count};
    const uint64_t infos = sizeof head + w->keys.size;
    if (write_at(w, 0, &head, sizeof head, e) != TRI_OK ||
        write_at(w, sizeof head, w->keys.at, w->keys.size, e) != TRI_OK)
        return e->status;
    return write_at(w, infos, w->infos.at, w->infos.size, e);
}

enum tri_status tri_gguf_begin(struct tri_gguf_writer *w, struct tri_error *e)
{
    assert(w->elements_due == 0);
    if (w->problem.status != TRI_OK) {
        *e = w->problem;
        return e->status;
    }
    w->data = aligned(w, 4 + 4 + 8 + 8 + w->keys.size + w->infos.size);
    return take_room(w, w->data + w->end, e) == TRI_OK ? write_head(w, e) : e->status;
}

enum tri_status tri_gguf_write(struct tri_gguf_writer *w, int tensor, uint64_t offset, const void *bytes, size_t size,
                               struct tri_error *e)
{
    const struct place *place = place_of(w, tensor);
    assert(offset <= place->size && size <= place->size - offset);
    return write_at(w, w->data + place->offset + offset, bytes, size, e);
}

enum tri_status tri_gguf_commit(struct tri_gguf_writer *w, struct tri_error *e)
{
    return tri_output_commit(w->file, e);
}

struct tri_gguf *tri_gguf_composed(struct tri_gguf_writer *w, const char *name, struct tri_error *e)
{
    uint8_t *image = w->image;
    assert(image);
    w->image = NULL;
    return tri_gguf_read_own(image, w->data + w->end, name, e);
}

void tri_gguf_discard(struct tri_gguf_writer *w)
{
    if (!w)
        return;
    tri_output_close(w->file);
    tri_free(w->image);
    free(w->keys.at);
    free(w->infos.at);
    free(w->places.at);
    free(w->starts.at);
    free(w);
}
