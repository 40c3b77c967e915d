/* Owns: reading of GGUF files in place, with every check that needs no knowledge of models.
 * Leaves out: what keys mean (model/, text/) and what lies in tensors (tensor.c).
 *
 * Memory grows with what was really read, never with what a count claims. Names are found by
 * bisection over sorted arrays, which no choice of names can make slow. */
#include "file/gguf.h"

#include "base/memory.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull; /* for %llu */

enum { SHOWN = 80, KEY_LIMIT = 65535, TL2_FILE_TYPE = 39, TL2_ID = 39 };
enum { KEY_LEAST = 8 + 4 + 1, TENSOR_LEAST = 8 + 4 + 8 + 4 + 8 };

struct entry {
    struct tri_tensor tensor;
    uint64_t at; /* of its record in the file */
};

struct tri_gguf {
    struct tri_map *maps; /* none if the memory is the caller's */
    size_t map_count;
    void *memory; /* that keys and some tensors lie in; NULL: nothing to free */
    const uint8_t *data;
    size_t size;
    char *name;
    uint32_t version;
    struct tri_gguf_key *keys;
    const struct tri_gguf_key **keys_by_name;
    size_t key_count;
    struct entry *tensors;
    const struct entry **tensors_by_name;
    size_t tensor_count;
};

struct reader {
    struct tri_gguf *g;
    uint64_t at;
    struct tri_error *e;
};

/* -- primitives ---------------------------------------------------------- */

static const struct {
    const char *name;
    int bytes; /* 0: no fixed size */
} types[TRI_GGUF_TYPES] = {
    [TRI_U8] = {"u8", 1},       [TRI_I8] = {"i8", 1},     [TRI_U16] = {"u16", 2},
    [TRI_I16] = {"i16", 2},     [TRI_U32] = {"u32", 4},   [TRI_I32] = {"i32", 4},
    [TRI_F32] = {"f32", 4},     [TRI_BOOL] = {"bool", 1}, [TRI_STRING] = {"string", 0},
    [TRI_ARRAY] = {"array", 0}, [TRI_U64] = {"u64", 8},   [TRI_I64] = {"i64", 8},
    [TRI_F64] = {"f64", 8},
};

const char *tri_gguf_type_name(enum tri_gguf_type type)
{
    return types[type].name;
}

size_t tri_gguf_type_bytes(enum tri_gguf_type type)
{
    return (size_t)types[type].bytes;
}

static uint32_t u32_at(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t u64_at(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t left(const struct reader *r)
{
    return r->g->size - r->at;
}

static enum tri_status need(struct reader *r, uint64_t bytes, const char *what)
{
    if (bytes <= left(r))
        return TRI_OK;
    return tri_fail(r->e, TRI_BAD_FILE,
                    "%s: byte %llu: %s takes %llu bytes, but the file ends %llu bytes later; it is "
                    "truncated or damaged: fetch or convert it again",
                    r->g->name, (ull)r->at, what, (ull)bytes, (ull)left(r));
}

static enum tri_status read_u32(struct reader *r, uint32_t *v, const char *what)
{
    *v = 0;
    if (need(r, sizeof *v, what))
        return r->e->status;
    *v = u32_at(r->g->data + r->at);
    r->at += sizeof *v;
    return TRI_OK;
}

static enum tri_status read_u64(struct reader *r, uint64_t *v, const char *what)
{
    *v = 0;
    if (need(r, sizeof *v, what))
        return r->e->status;
    *v = u64_at(r->g->data + r->at);
    r->at += sizeof *v;
    return TRI_OK;
}

static enum tri_status read_text(struct reader *r, struct tri_text *text, const char *what)
{
    uint64_t size;
    if (read_u64(r, &size, what) || need(r, size, what))
        return r->e->status;
    *text = (struct tri_text){(const char *)r->g->data + r->at, size};
    r->at += size;
    return TRI_OK;
}

/* Printable ASCII, as the specification has it for keys: messages can show names as they are. */
static enum tri_status read_name(struct reader *r, struct tri_text *name, size_t limit,
                                 const char *what)
{
    uint64_t at = r->at;
    if (read_text(r, name, what))
        return r->e->status;
    if (name->size < 1 || name->size > limit)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte %llu: %s has %llu bytes; expected 1 to %zu; the file is damaged "
                        "or no model",
                        r->g->name, (ull)at, what, (ull)name->size, limit);
    for (size_t i = 0; i < name->size; i++)
        if (name->at[i] < 0x20 || name->at[i] > 0x7e)
            return tri_fail(r->e, TRI_BAD_FILE,
                            "%s: byte %llu: %s holds byte 0x%02x; expected printable ASCII; the "
                            "file is damaged",
                            r->g->name, (ull)(at + 8 + i), what, (unsigned char)name->at[i]);
    return TRI_OK;
}

static int shown(struct tri_text text)
{
    return text.size < SHOWN ? (int)text.size : SHOWN;
}

/* Room for one more of `count` elements, doubling. */
static enum tri_status grow(struct reader *r, void *array, size_t *room, size_t count, size_t size)
{
    void *old, *new;
    if (count < *room)
        return TRI_OK;
    size_t wanted = *room ? 2 * *room : 64;
    memcpy(&old, array, sizeof old);
    new = reallocarray(old, wanted, size);
    if (!new)
        return tri_fail(r->e, TRI_NO_MEMORY, "%s: no memory for a list of %zu entries", r->g->name,
                        wanted);
    memcpy(array, &new, sizeof new);
    *room = wanted;
    return TRI_OK;
}

/* -- keys ---------------------------------------------------------------- */

static enum tri_status read_type(struct reader *r, enum tri_gguf_type *type, const char *what)
{
    uint32_t id;
    if (read_u32(r, &id, what))
        return r->e->status;
    if (id >= TRI_GGUF_TYPES)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte %llu: %s is %u; expected 0 to %d; the file is damaged or newer "
                        "than GGUF 3",
                        r->g->name, (ull)r->at - 4, what, id, TRI_GGUF_TYPES - 1);
    *type = (enum tri_gguf_type)id;
    return TRI_OK;
}

static enum tri_status read_bools(struct reader *r, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++, r->at++)
        if (r->g->data[r->at] > 1)
            return tri_fail(r->e, TRI_BAD_FILE,
                            "%s: byte %llu: a bool is %u; expected 0 or 1; the file is damaged",
                            r->g->name, (ull)r->at, r->g->data[r->at]);
    return TRI_OK;
}

static enum tri_status read_texts(struct reader *r, uint64_t count)
{
    struct tri_text text;
    for (uint64_t i = 0; i < count; i++)
        if (read_text(r, &text, "a string"))
            return r->e->status;
    return TRI_OK;
}

/* `count` values of one type: steps over them once all lie within the file and are valid. */
static enum tri_status read_values(struct reader *r, enum tri_gguf_type type, uint64_t count)
{
    uint64_t least = type == TRI_STRING ? 8 : (uint64_t)types[type].bytes;
    if (count > left(r) / least)
        return tri_fail(
            r->e, TRI_BAD_FILE,
            "%s: byte %llu: %llu value(s) of type %s claimed, at least %llu bytes each, "
            "but the file ends %llu bytes later; it is truncated or damaged: fetch or "
            "convert it again",
            r->g->name, (ull)r->at, (ull)count, types[type].name, (ull)least, (ull)left(r));
    if (type == TRI_STRING)
        return read_texts(r, count);
    if (type == TRI_BOOL)
        return read_bools(r, count);
    r->at += count * least;
    return TRI_OK;
}

static enum tri_status read_array_head(struct reader *r, struct tri_gguf_key *key)
{
    if (read_type(r, &key->element, "the element type of an array"))
        return r->e->status;
    if (key->element == TRI_ARRAY)
        return tri_fail(
            r->e, TRI_BAD_FILE,
            "%s: byte %llu: key \"%.*s\" is an array of arrays; expected numbers, bools "
            "or strings: no model has nested arrays",
            r->g->name, (ull)r->at - 4, shown(key->name), key->name.at);
    return read_u64(r, &key->count, "the length of an array");
}

static enum tri_status read_key(struct reader *r, struct tri_gguf_key *key)
{
    if (read_name(r, &key->name, KEY_LIMIT, "the name of a key") ||
        read_type(r, &key->type, "the type of a value"))
        return r->e->status;
    key->element = key->type; /* so that tri_gguf_element serves scalars too */
    key->count = 1;
    if (key->type == TRI_ARRAY && read_array_head(r, key))
        return r->e->status;
    key->at = r->g->data + r->at;
    return read_values(r, key->element, key->count);
}

static int compare_texts(struct tri_text a, struct tri_text b)
{
    int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const void *a, const void *b)
{
    const struct tri_gguf_key *x = *(const struct tri_gguf_key *const *)a;
    const struct tri_gguf_key *y = *(const struct tri_gguf_key *const *)b;
    int order = compare_texts(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

/* Pointers to `count` elements of `size` bytes, sorted. */
static enum tri_status sort(struct reader *r, void *result, const void *array, size_t count,
                            size_t size, int (*compare)(const void *, const void *))
{
    const void **sorted = calloc(count + 1, sizeof *sorted);
    if (!sorted)
        return tri_fail(r->e, TRI_NO_MEMORY, "%s: no memory to sort %zu names", r->g->name, count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (const char *)array + i * size;
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, compare);
    memcpy(result, &sorted, sizeof sorted);
    return TRI_OK;
}

static uint64_t key_offset(const struct tri_gguf *g, const struct tri_gguf_key *key)
{
    return (uint64_t)((const uint8_t *)key->name.at - g->data) - 8;
}

static enum tri_status index_keys(struct reader *r)
{
    struct tri_gguf *g = r->g;
    if (sort(r, &g->keys_by_name, g->keys, g->key_count, sizeof *g->keys, compare_keys))
        return r->e->status;
    for (size_t i = 1; i < g->key_count; i++) {
        const struct tri_gguf_key *a = g->keys_by_name[i - 1], *b = g->keys_by_name[i];
        if (compare_texts(a->name, b->name) == 0)
            return tri_fail(r->e, TRI_BAD_FILE,
                            "%s: byte %llu: key \"%.*s\" occurs twice, first at byte %llu; "
                            "convert the model again, keeping one of them",
                            g->name, (ull)key_offset(g, b), shown(b->name), b->name.at,
                            (ull)key_offset(g, a));
    }
    return TRI_OK;
}

static enum tri_status read_keys(struct reader *r, uint64_t count)
{
    struct tri_gguf *g = r->g;
    for (size_t room = 0; g->key_count < count; g->key_count++)
        if (grow(r, &g->keys, &room, g->key_count, sizeof *g->keys) ||
            read_key(r, &g->keys[g->key_count]))
            return r->e->status;
    return index_keys(r);
}

static enum tri_status find_alignment(struct reader *r, uint64_t *alignment)
{
    const struct tri_gguf_key *key = tri_gguf_find(r->g, "general.alignment");
    *alignment = TRI_GGUF_ALIGNMENT;
    if (!key)
        return TRI_OK;
    if (key->type != TRI_U32)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte %llu: general.alignment has type %s; expected u32; the file is "
                        "damaged or its writer is wrong",
                        r->g->name, (ull)key_offset(r->g, key), types[key->type].name);
    *alignment = u32_at(key->at);
    if (*alignment >= 8 && (*alignment & (*alignment - 1)) == 0)
        return TRI_OK;
    return tri_fail(r->e, TRI_BAD_FILE,
                    "%s: byte %llu: general.alignment is %llu; expected a power of two, 8 or "
                    "more; the file is damaged or its writer is wrong",
                    r->g->name, (ull)(key->at - r->g->data), (ull)*alignment);
}

/* -- tensors ------------------------------------------------------------- */

static enum tri_status read_shape(struct reader *r, struct tri_tensor *t)
{
    uint32_t dims;
    if (read_u32(r, &dims, "the number of dimensions of a tensor"))
        return r->e->status;
    if (dims < 1 || dims > 4)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte %llu: tensor \"%s\" has %u dimensions; expected 1 to 4; the file "
                        "is damaged",
                        r->g->name, (ull)r->at - 4, t->name, dims);
    t->dims = (int)dims;
    for (int d = 0; d < 4; d++) {
        uint64_t ne = 1;
        if (d < t->dims && read_u64(r, &ne, "a dimension of a tensor"))
            return r->e->status;
        t->ne[d] = (int64_t)ne; /* 2^63 and more become negative, which tri_tensor_size refuses */
    }
    return TRI_OK;
}

static bool is_tl2_file(const struct tri_gguf *g)
{
    const struct tri_gguf_key *key = tri_gguf_find(g, "general.file_type");
    return key && key->type == TRI_U32 && u32_at(key->at) == TL2_FILE_TYPE;
}

static bool is_bitnet(const struct tri_gguf *g)
{
    struct tri_text arch;
    const struct tri_gguf_key *key = tri_gguf_find(g, "general.architecture");
    return key && key->type == TRI_STRING && tri_gguf_first_texts(key, &arch, 1) && arch.size >= 6 &&
           memcmp(arch.at, "bitnet", 6) == 0;
}

/* Type 39 is TL2 or MXFP4: what the keys say, until the size decides. */
static void guess_39(const struct tri_gguf *g, struct tri_tensor *t)
{
    const bool by_type = is_tl2_file(g), by_arch = is_bitnet(g);
    t->encoding = by_type || by_arch ? &tri_encoding_tl2 : tri_encoding_find(TL2_ID);
    t->why = by_type   ? "type 39 read as TL2, since general.file_type is 39"
             : by_arch ? "type 39 read as TL2, since general.architecture is of BitNet"
                       : "type 39 read as MXFP4, since neither general.file_type nor the architecture speaks for TL2";
}

static void take_other_39(struct tri_tensor *t)
{
    const bool is_tl2 = t->encoding == &tri_encoding_tl2;
    t->encoding = is_tl2 ? tri_encoding_find(TL2_ID) : &tri_encoding_tl2;
    t->why = is_tl2 ? "type 39 read as MXFP4, since its size is not that of TL2"
                    : "type 39 read as TL2, since its size is not that of MXFP4";
}

static enum tri_status size_of_39(struct tri_tensor *t, struct tri_error *e)
{
    struct tri_error other;
    if (tri_tensor_size(t, e) == TRI_OK)
        return TRI_OK;
    struct tri_tensor swapped = *t;
    take_other_39(&swapped);
    if (tri_tensor_size(&swapped, &other) != TRI_OK)
        return e->status;
    *t = swapped;
    return TRI_OK;
}

static enum tri_status read_encoding(struct reader *r, struct tri_tensor *t)
{
    uint32_t id;
    if (read_u32(r, &id, "the type of a tensor"))
        return r->e->status;
    t->encoding = id < TRI_OUTSIDE_GGUF ? tri_encoding_find(id) : NULL;
    if (id == TL2_ID)
        guess_39(r->g, t);
    if (t->encoding)
        return TRI_OK;
    return tri_fail(r->e, TRI_BAD_FILE,
                    "%s: byte %llu: tensor \"%s\" has type %u, which no known encoding has; "
                    "convert the model to I2_S, F16 or F32, or fetch it again if it should be "
                    "one of these",
                    r->g->name, (ull)r->at - 4, t->name, id);
}

/* t->offset counts from the data section until place_tensor. */
static enum tri_status read_tensor(struct reader *r, struct entry *entry)
{
    struct tri_text name;
    struct tri_tensor *t = &entry->tensor;
    *entry = (struct entry){.at = r->at, .tensor.factor = 1};
    if (read_name(r, &name, sizeof t->name - 1, "the name of a tensor"))
        return r->e->status;
    memcpy(t->name, name.at, name.size);
    if (read_shape(r, t) || read_encoding(r, t) ||
        read_u64(r, &t->offset, "the offset of a tensor"))
        return r->e->status;
    if ((t->encoding->id == TL2_ID ? size_of_39 : tri_tensor_size)(t, r->e))
        return tri_fail_in(r->e, "%s: byte %llu: tensor \"%s\"", r->g->name, (ull)entry->at,
                           t->name);
    return TRI_OK;
}

static enum tri_status place_tensor(struct reader *r, struct entry *entry, uint64_t start,
                                    uint64_t alignment)
{
    struct tri_tensor *t = &entry->tensor;
    uint64_t relative = t->offset, end;
    if (relative % alignment)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte %llu: tensor \"%s\" has offset %llu; expected a multiple of the "
                        "alignment %llu; the file is damaged",
                        r->g->name, (ull)entry->at, t->name, (ull)relative, (ull)alignment);
    if (__builtin_add_overflow(start, relative, &t->offset) ||
        __builtin_add_overflow(t->offset, t->bytes, &end) || end > r->g->size)
        return tri_fail(
            r->e, TRI_BAD_FILE,
            "%s: tensor \"%s\" (%s, described at byte %llu) takes %llu bytes at offset "
            "%llu of the data, which begin at byte %llu, but the file has %zu bytes; it "
            "is truncated or damaged: fetch it again",
            r->g->name, t->name, t->encoding->name, (ull)entry->at, (ull)t->bytes, (ull)relative,
            (ull)start, r->g->size);
    t->data = r->g->data + t->offset;
    return TRI_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return (x->tensor.offset > y->tensor.offset) - (x->tensor.offset < y->tensor.offset);
}

static enum tri_status check_overlaps(struct reader *r, const struct entry *const *by_offset)
{
    for (size_t i = 1; i < r->g->tensor_count; i++) {
        const struct tri_tensor *a = &by_offset[i - 1]->tensor, *b = &by_offset[i]->tensor;
        if (a->offset + a->bytes > b->offset)
            return tri_fail(r->e, TRI_BAD_FILE,
                            "%s: tensor \"%s\" takes bytes %llu to %llu, but tensor \"%s\" begins "
                            "at byte %llu; tensors may not overlap; the file is damaged",
                            r->g->name, a->name, (ull)a->offset, (ull)(a->offset + a->bytes),
                            b->name, (ull)b->offset);
    }
    return TRI_OK;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    int order = strcmp(x->tensor.name, y->tensor.name);
    return order ? order : (x > y) - (x < y);
}

static enum tri_status index_tensors(struct reader *r)
{
    struct tri_gguf *g = r->g;
    if (sort(r, &g->tensors_by_name, g->tensors, g->tensor_count, sizeof *g->tensors,
             compare_tensors))
        return r->e->status;
    for (size_t i = 1; i < g->tensor_count; i++) {
        const struct entry *a = g->tensors_by_name[i - 1], *b = g->tensors_by_name[i];
        if (strcmp(a->tensor.name, b->tensor.name) == 0)
            return tri_fail(
                r->e, TRI_BAD_FILE,
                "%s: byte %llu: tensor \"%s\" occurs twice, first at byte %llu; convert "
                "the model again",
                g->name, (ull)b->at, b->tensor.name, (ull)a->at);
    }
    return TRI_OK;
}

/* From a tensor to the next, or to the end of the file; offsets still count from the data section. */
static uint64_t room_of(const struct reader *r, const struct entry *const *by_offset, size_t i, uint64_t start)
{
    const uint64_t from = by_offset[i]->tensor.offset, data = r->g->size > start ? r->g->size - start : 0;
    const uint64_t end = i + 1 < r->g->tensor_count ? by_offset[i + 1]->tensor.offset : data;
    return end > from ? end - from : 0;
}

static bool fills(uint64_t bytes, uint64_t room, uint64_t alignment)
{
    return bytes <= room && room - bytes < alignment;
}

/* Where the keys guessed wrong, the room that the file has for a tensor shows it. */
static void settle_39(struct reader *r, struct entry **by_offset, uint64_t start, uint64_t alignment)
{
    for (size_t i = 0; i < r->g->tensor_count; i++) {
        struct tri_tensor *t = &by_offset[i]->tensor, other = *t;
        struct tri_error e;
        if (t->encoding->id != TL2_ID)
            continue;
        const uint64_t room = room_of(r, (const struct entry *const *)by_offset, i, start);
        take_other_39(&other);
        if (!fills(t->bytes, room, alignment) && tri_tensor_size(&other, &e) == TRI_OK &&
            fills(other.bytes, room, alignment))
            *t = other;
    }
}

static enum tri_status place_tensors(struct reader *r)
{
    struct tri_gguf *g = r->g;
    const struct entry **by_offset = NULL;
    uint64_t alignment;
    if (find_alignment(r, &alignment) ||
        sort(r, &by_offset, g->tensors, g->tensor_count, sizeof *g->tensors, compare_offsets))
        return r->e->status;
    uint64_t start = (r->at + alignment - 1) / alignment * alignment; /* at < 2^63: no overflow */
    settle_39(r, (struct entry **)by_offset, start, alignment);
    enum tri_status status = TRI_OK;
    for (size_t i = 0; i < g->tensor_count && status == TRI_OK; i++)
        status = place_tensor(r, &g->tensors[i], start, alignment);
    if (status == TRI_OK)
        status = check_overlaps(r, by_offset);
    free(by_offset);
    return status;
}

static enum tri_status read_tensors(struct reader *r, uint64_t count)
{
    struct tri_gguf *g = r->g;
    for (size_t room = 0; g->tensor_count < count; g->tensor_count++)
        if (grow(r, &g->tensors, &room, g->tensor_count, sizeof *g->tensors) ||
            read_tensor(r, &g->tensors[g->tensor_count]))
            return r->e->status;
    return index_tensors(r) ? r->e->status : place_tensors(r);
}

/* -- the file ------------------------------------------------------------ */

/* What people hand to a GGUF reader by mistake, by its first bytes. */
static const struct {
    const char *bytes;
    size_t size;
    const char *what;
} strangers[] = {
    {"FUGG", 4, "a GGUF file with its bytes swapped; fetch a little-endian one"},
    {"lmgg", 4, "a GGML file, older than GGUF; convert the original model to GGUF"},
    {"GGML", 4, "a GGML file, older than GGUF; convert the original model to GGUF"},
    {"fmgg", 4, "a GGMF file, older than GGUF; convert the original model to GGUF"},
    {"tjgg", 4, "a GGJT file, older than GGUF; convert the original model to GGUF"},
    {"algg", 4, "a GGLA adapter, not a model; merge it into its model and convert that to GGUF"},
    {"version https://git-lfs", 23,
     "a Git LFS pointer, not the model itself; fetch it with git lfs"},
    {"PK\3\4", 4, "a zip archive, perhaps a PyTorch checkpoint; convert it to GGUF"},
    {"\x1f\x8b", 2, "compressed with gzip; unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, "compressed with zstd; unpack it first"},
    {"<", 1, "an HTML or XML page, not a model; fetch the file itself"},
    {"{", 1, "JSON, not a model; name the model's own file, or the folder of Hugging Face's files"},
};

static const char *stranger(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (size >= strangers[i].size && memcmp(data, strangers[i].bytes, strangers[i].size) == 0)
            return strangers[i].what;
    if (size > 8 && data[8] == '{')
        return "perhaps a safetensors file; give its name the ending .safetensors";
    return "no GGUF file";
}

static enum tri_status check_magic(struct reader *r)
{
    const uint8_t *d = r->g->data;
    if (r->g->size >= 4 && memcmp(d, "GGUF", 4) == 0) {
        r->at = 4;
        return TRI_OK;
    }
    if (r->g->size < 4)
        return need(r, 4, "the magic number \"GGUF\"");
    return tri_fail(r->e, TRI_BAD_FILE,
                    "%s: byte 0: expected the magic number \"GGUF\" (47 47 55 46), found "
                    "%02x %02x %02x %02x: this is %s",
                    r->g->name, d[0], d[1], d[2], d[3], stranger(d, r->g->size));
}

static enum tri_status check_version(struct reader *r)
{
    uint32_t version;
    if (read_u32(r, &version, "the version"))
        return r->e->status;
    r->g->version = version;
    if (version == 2 || version == 3)
        return TRI_OK;
    if (version == 1)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte 4: GGUF version 1, which has 32-bit sizes; expected version 2 or "
                        "3; convert the original model again",
                        r->g->name);
    if ((version & 0xffff) == 0)
        return tri_fail(r->e, TRI_BAD_FILE,
                        "%s: byte 4: version 0x%08x: a big-endian GGUF file; expected a "
                        "little-endian one of version 2 or 3",
                        r->g->name, version);
    return tri_fail(r->e, TRI_BAD_FILE,
                    "%s: byte 4: GGUF version %u; expected 2 or 3; the file is damaged or newer "
                    "than this program",
                    r->g->name, version);
}

static enum tri_status read_count(struct reader *r, uint64_t *count, const char *what,
                                  uint64_t least)
{
    if (read_u64(r, count, what))
        return r->e->status;
    if (*count <= left(r) / least)
        return TRI_OK;
    return tri_fail(r->e, TRI_BAD_FILE,
                    "%s: byte %llu: %s is %llu, at least %llu bytes each, but the file ends %llu "
                    "bytes later; it is truncated or damaged: fetch or convert it again",
                    r->g->name, (ull)r->at - 8, what, (ull)*count, (ull)least, (ull)left(r));
}

static enum tri_status read_file(struct reader *r)
{
    uint64_t tensors, keys;
    if (check_magic(r) || check_version(r) ||
        read_count(r, &tensors, "the number of tensors", TENSOR_LEAST) ||
        read_count(r, &keys, "the number of keys", KEY_LEAST) || read_keys(r, keys))
        return r->e->status;
    return read_tensors(r, tensors);
}

struct tri_gguf *tri_gguf_read(const uint8_t *data, size_t size, const char *name,
                               struct tri_error *e)
{
    struct tri_gguf *g = calloc(1, sizeof *g);
    char *copy = strdup(name);
    if (!g || !copy) {
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory to open it", name);
        free(g);
        free(copy);
        return NULL;
    }
    *g = (struct tri_gguf){.data = data, .size = size, .name = copy};
    if (read_file(&(struct reader){g, 0, e}) == TRI_OK)
        return g;
    tri_gguf_close(g);
    return NULL;
}

/* On error, too. */
static enum tri_status take_maps(struct tri_gguf *g, const struct tri_map *maps, size_t count, struct tri_error *e)
{
    struct tri_map *all = reallocarray(g->maps, g->map_count + count, sizeof *all);
    if (all) {
        memcpy(all + g->map_count, maps, count * sizeof *all);
        g->maps = all;
        g->map_count += count;
        return TRI_OK;
    }
    for (size_t i = 0; i < count; i++)
        tri_map_close(&(struct tri_map){maps[i].data, maps[i].size});
    return tri_fail(e, TRI_NO_MEMORY, "%s: no memory to open it", g->name);
}

struct tri_gguf *tri_gguf_open(const char *path, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, path, e))
        return NULL;
    struct tri_gguf *g = tri_gguf_read(map.data, map.size, path, e);
    if (!g)
        tri_map_close(&map);
    else if (take_maps(g, &map, 1, e) != TRI_OK)
        tri_gguf_close(g), g = NULL;
    return g;
}

struct tri_gguf *tri_gguf_read_own(void *memory, size_t size, const char *name, struct tri_error *e)
{
    struct tri_gguf *g = tri_gguf_read(memory, size, name, e);
    if (g)
        g->memory = memory;
    else
        tri_free(memory);
    return g;
}

enum tri_status tri_gguf_adopt(struct tri_gguf *g, const struct tri_map *maps, size_t map_count,
                               const struct tri_tensor *tensors, size_t count, struct tri_error *e)
{
    if (take_maps(g, maps, map_count, e) != TRI_OK)
        return e->status;
    struct entry *all = reallocarray(g->tensors, g->tensor_count + count + 1, sizeof *all);
    if (!all)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu tensors", g->name, g->tensor_count + count);
    for (size_t i = 0; i < count; i++)
        all[g->tensor_count + i] = (struct entry){tensors[i], tensors[i].offset};
    g->tensors = all;
    g->tensor_count += count;
    free(g->tensors_by_name);
    g->tensors_by_name = NULL;
    return index_tensors(&(struct reader){g, 0, e});
}

void tri_gguf_drop(struct tri_gguf *g, const char *prefix)
{
    const size_t size = strlen(prefix);
    size_t kept = 0;
    for (size_t i = 0; i < g->key_count; i++)
        if (g->keys[i].name.size < size || memcmp(g->keys[i].name.at, prefix, size) != 0)
            g->keys[kept++] = g->keys[i];
    g->key_count = kept;
    for (size_t i = 0; i < kept; i++)
        g->keys_by_name[i] = &g->keys[i];
    if (kept > 1)
        qsort(g->keys_by_name, kept, sizeof *g->keys_by_name, compare_keys);
}

static const struct tri_map *map_of(const struct tri_gguf *g, const uint8_t *at)
{
    for (size_t i = 0; i < g->map_count; i++)
        if (at >= g->maps[i].data && at < g->maps[i].data + g->maps[i].size)
            return &g->maps[i];
    return NULL;
}

void tri_gguf_release(const struct tri_gguf *g, const uint8_t *from, size_t bytes)
{
    const struct tri_map *map = bytes > 0 ? map_of(g, from) : NULL;
    if (map)
        tri_map_release(map, from, bytes);
}

enum tri_status tri_gguf_set_i2s_layout(struct tri_gguf *g, const char *name, struct tri_error *e)
{
    const struct tri_i2s_layout *layout = tri_i2s_layout_find(name);
    if (!layout)
        return tri_fail(e, TRI_USAGE,
                        "option --i2s-layout: expected 128, 64, rows4, sequence or row-tail, found \"%s\"", name);
    for (size_t i = 0; i < g->tensor_count; i++) {
        struct tri_tensor *t = &g->tensors[i].tensor;
        if (t->encoding->id != layout->encoding.id)
            continue;
        if (layout->encoding.fits && layout->encoding.fits(t, e) != TRI_OK)
            return tri_fail_in(e, "%s", g->name);
        t->encoding = &layout->encoding;
    }
    return TRI_OK;
}

void tri_gguf_close(struct tri_gguf *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->map_count; i++)
        tri_map_close(&g->maps[i]);
    tri_free(g->memory);
    free(g->maps);
    free(g->keys);
    free(g->keys_by_name);
    free(g->tensors);
    free(g->tensors_by_name);
    free(g->name);
    free(g);
}

/* -- parts --------------------------------------------------------------- */

enum tri_status tri_gguf_join(struct tri_gguf *g, struct tri_gguf *part, struct tri_error *e)
{
    enum tri_status status = TRI_OK;
    struct tri_tensor *tensors = calloc(part->tensor_count + 1, sizeof *tensors);
    if (!tensors)
        status = tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu tensors", part->name, part->tensor_count);
    for (size_t i = 0; i < part->tensor_count && status == TRI_OK; i++) {
        tensors[i] = part->tensors[i].tensor;
        if (tri_gguf_tensor(g, tensors[i].name))
            status = tri_fail(e, TRI_BAD_FILE, "%s: tensor \"%s\" is in another part of the model already; expected it "
                              "once: fetch all parts again, from one place", part->name, tensors[i].name);
    }
    if (status == TRI_OK) {
        status = tri_gguf_adopt(g, part->maps, part->map_count, tensors, part->tensor_count, e);
        part->map_count = 0;
    }
    free(tensors);
    tri_gguf_close(part);
    return status;
}

/* -- looking around ------------------------------------------------------ */

const char *tri_gguf_name(const struct tri_gguf *g)
{
    return g->name;
}

uint32_t tri_gguf_version(const struct tri_gguf *g)
{
    return g->version;
}

uint64_t tri_gguf_bytes(const struct tri_gguf *g)
{
    uint64_t all = 0;
    for (size_t i = 0; i < g->map_count; i++)
        all += g->maps[i].size;
    return g->map_count ? all : g->size;
}

const uint8_t *tri_gguf_end(const struct tri_gguf *g, const uint8_t *at)
{
    const struct tri_map *map = map_of(g, at);
    return map ? map->data + map->size : g->data + g->size;
}

size_t tri_gguf_key_count(const struct tri_gguf *g)
{
    return g->key_count;
}

const struct tri_gguf_key *tri_gguf_key_at(const struct tri_gguf *g, size_t i)
{
    return &g->keys[i];
}

size_t tri_gguf_tensor_count(const struct tri_gguf *g)
{
    return g->tensor_count;
}

const struct tri_tensor *tri_gguf_tensor_at(const struct tri_gguf *g, size_t i)
{
    return &g->tensors[i].tensor;
}

static int key_against(const void *name, const void *element)
{
    return compare_texts(*(const struct tri_text *)name,
                         (*(const struct tri_gguf_key *const *)element)->name);
}

const struct tri_gguf_key *tri_gguf_find(const struct tri_gguf *g, const char *key)
{
    struct tri_text name = {key, strlen(key)};
    const struct tri_gguf_key **found =
        bsearch(&name, g->keys_by_name, g->key_count, sizeof *g->keys_by_name, key_against);
    return found ? *found : NULL;
}

static int tensor_against(const void *name, const void *element)
{
    return strcmp(name, (*(const struct entry *const *)element)->tensor.name);
}

const struct tri_tensor *tri_gguf_tensor(const struct tri_gguf *g, const char *name)
{
    const struct entry **found = bsearch(name, g->tensors_by_name, g->tensor_count,
                                         sizeof *g->tensors_by_name, tensor_against);
    return found ? &(*found)->tensor : NULL;
}

/* -- values by key ------------------------------------------------------- */

static const struct tri_gguf_key *require(const struct tri_gguf *g, const char *name,
                                          const char *expected, struct tri_error *e)
{
    const struct tri_gguf_key *key = tri_gguf_find(g, name);
    if (!key)
        tri_fail(e, TRI_BAD_FILE,
                 "%s: key \"%s\" (%s) is missing; it is needed here: use a file that was converted "
                 "completely",
                 g->name, name, expected);
    return key;
}

static enum tri_status wrong_type(const struct tri_gguf *g, const struct tri_gguf_key *key,
                                  const char *expected, struct tri_error *e)
{
    bool array = key->type == TRI_ARRAY;
    return tri_fail(e, TRI_BAD_FILE,
                    "%s: byte %llu: key \"%.*s\" is %s%s; expected %s; convert the model again",
                    g->name, (ull)key_offset(g, key), shown(key->name), key->name.at,
                    array ? "an array of " : "of type ", types[key->element].name, expected);
}

static bool is_integer(enum tri_gguf_type type)
{
    return type == TRI_U64 || type == TRI_I64 || type <= TRI_I32;
}

/* Of an integer, sign-extended; `negative` tells. */
static uint64_t integer_at(const uint8_t *at, enum tri_gguf_type type, bool *negative)
{
    int bytes = types[type].bytes;
    bool is_signed = type == TRI_I8 || type == TRI_I16 || type == TRI_I32 || type == TRI_I64;
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << 8 * i;
    *negative = is_signed && v >> (8 * bytes - 1);
    if (*negative && bytes < 8)
        v |= ~(uint64_t)0 << 8 * bytes;
    return v;
}

enum tri_status tri_gguf_uint(const struct tri_gguf *g, const char *name, uint64_t *value,
                              struct tri_error *e)
{
    bool negative;
    const struct tri_gguf_key *key = require(g, name, "an integer", e);
    if (!key)
        return e->status;
    if (!is_integer(key->type))
        return wrong_type(g, key, "an integer", e);
    *value = integer_at(key->at, key->type, &negative);
    if (!negative)
        return TRI_OK;
    return tri_fail(
        e, TRI_BAD_FILE,
        "%s: byte %llu: key \"%s\" is %lld; expected 0 or more; convert the model again", g->name,
        (ull)(key->at - g->data), name, (long long)*value);
}

enum tri_status tri_gguf_float(const struct tri_gguf *g, const char *name, float *value,
                               struct tri_error *e)
{
    const struct tri_gguf_key *key = require(g, name, "f32", e);
    if (!key)
        return e->status;
    if (key->type != TRI_F32 && key->type != TRI_F64)
        return wrong_type(g, key, "f32", e);
    double stored = tri_gguf_element(key, 0);
    *value = (float)stored;
    if (isfinite(*value))
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE,
                    "%s: byte %llu: key \"%s\" is %g; expected a finite number that f32 can hold; "
                    "convert the model again",
                    g->name, (ull)(key->at - g->data), name, stored);
}

enum tri_status tri_gguf_bool(const struct tri_gguf *g, const char *name, bool *value,
                              struct tri_error *e)
{
    const struct tri_gguf_key *key = require(g, name, "a bool", e);
    if (!key)
        return e->status;
    if (key->type != TRI_BOOL)
        return wrong_type(g, key, "a bool", e);
    *value = *key->at;
    return TRI_OK;
}

/* Their sizes were checked when the file was opened. */
size_t tri_gguf_first_texts(const struct tri_gguf_key *key, struct tri_text *texts, size_t most)
{
    const uint8_t *at = key->at;
    size_t count = key->count < most ? key->count : most;
    for (size_t i = 0; i < count; i++) {
        texts[i] = (struct tri_text){(const char *)at + 8, u64_at(at)};
        at += 8 + texts[i].size;
    }
    return count;
}

enum tri_status tri_gguf_text(const struct tri_gguf *g, const char *name, struct tri_text *value,
                              struct tri_error *e)
{
    const struct tri_gguf_key *key = require(g, name, "a string", e);
    if (!key)
        return e->status;
    if (key->type != TRI_STRING)
        return wrong_type(g, key, "a string", e);
    tri_gguf_first_texts(key, value, 1);
    return TRI_OK;
}

enum tri_status tri_gguf_texts(const struct tri_gguf *g, const char *name, struct tri_text **texts,
                               size_t *count, struct tri_error *e)
{
    const struct tri_gguf_key *key = require(g, name, "an array of strings", e);
    if (!key)
        return e->status;
    if (key->type != TRI_ARRAY || key->element != TRI_STRING)
        return wrong_type(g, key, "an array of strings", e);
    *count = key->count;
    *texts = calloc(*count + 1, sizeof **texts);
    if (!*texts)
        return tri_fail(e, TRI_NO_MEMORY, "%s: key \"%s\": no memory for %zu strings", g->name,
                        name, *count);
    tri_gguf_first_texts(key, *texts, *count);
    return TRI_OK;
}

double tri_gguf_element(const struct tri_gguf_key *key, uint64_t i)
{
    bool negative;
    const uint8_t *at = key->at + i * (uint64_t)types[key->element].bytes;
    if (key->element == TRI_F64) {
        double d;
        memcpy(&d, at, sizeof d);
        return d;
    }
    if (key->element == TRI_F32) {
        float f;
        memcpy(&f, at, sizeof f);
        return (double)f;
    }
    if (key->element == TRI_BOOL)
        return *at;
    uint64_t v = integer_at(at, key->element, &negative);
    return negative ? (double)(int64_t)v : (double)v;
}
