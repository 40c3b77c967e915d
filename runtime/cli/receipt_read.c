/* Owns: what a receipt must look like to be read at all. Leaves out whether it can be true (receipt_check.c). */
#include "base/memory.h"
#include "cli/receipt.h"
#include "file/json.h"

#include <math.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20, DEPTH = 8, VALUES = 1 << 22 };

enum type { INTEGER, NUMBER, NUMBER_OR_NULL, TEXT, TEXT_OR_NULL, SWITCH, LIST, OBJECT, OBJECT_OR_NULL, TYPES };

static const char *const type_names[TYPES] = {"a whole number >= 0", "a number", "a number or null", "a text",
                                              "a text or null", "true or false", "a list", "an object",
                                              "an object or null"};

struct key {
    const char *name;
    enum type type;
};

static const struct key receipt_keys[] = {
    {"tritune_receipt", INTEGER}, {"options", LIST}, {"repetitions", INTEGER}, {"model", OBJECT}, {"machine", OBJECT},
    {"before", OBJECT}, {"after", OBJECT}, {"others", NUMBER_OR_NULL}, {"stolen", NUMBER_OR_NULL}, {"proof", OBJECT},
    {"reads", LIST}, {"rows", LIST}, {"checksum", TEXT}, {NULL, 0}};
static const struct key model_keys[] = {
    {"source", TEXT}, {"trits", TEXT_OR_NULL}, {"family", TEXT}, {"layers", INTEGER}, {"hidden", INTEGER},
    {"ffn", INTEGER}, {"heads", INTEGER}, {"kv_heads", INTEGER}, {"head_dim", INTEGER}, {"vocab", INTEGER},
    {"group", INTEGER}, {"row_scales", SWITCH}, {"layouts", LIST}, {"embedding_type", INTEGER}, {"head_type", INTEGER},
    {NULL, 0}};
static const struct key machine_keys[] = {{"threads", INTEGER}, {"caches", LIST}, {NULL, 0}};
static const struct key cache_keys[] = {{"level", INTEGER}, {"bytes", INTEGER}, {NULL, 0}};
static const struct key state_keys[] = {{"time", INTEGER}, {NULL, 0}};
static const struct key proof_keys[] = {{"tokens", INTEGER}, {"logits", INTEGER}, {"seconds", NUMBER}, {NULL, 0}};
static const struct key read_keys[] = {{"threads", INTEGER}, {"at", LIST}, {"gbps", LIST}, {NULL, 0}};
static const struct key row_keys[] = {
    {"model_type", TEXT}, {"model_size", INTEGER}, {"model_n_params", INTEGER}, {"n_threads", INTEGER},
    {"type_k", TEXT}, {"type_v", TEXT}, {"ffn", TEXT}, {"draft", INTEGER}, {"n_prompt", INTEGER}, {"n_gen", INTEGER},
    {"n_depth", INTEGER}, {"avg_ts", NUMBER}, {"stddev_ts", NUMBER}, {"median_ts", NUMBER}, {"min_ts", NUMBER},
    {"max_ts", NUMBER}, {"samples_ts", LIST}, {"bytes_per_token", OBJECT_OR_NULL}, {"read_gbps", NUMBER},
    {"share", NUMBER_OR_NULL}, {"head_candidates", NUMBER_OR_NULL}, {"noise", TEXT}, {"j_per_token", NUMBER_OR_NULL},
    {"at", LIST}, {"seconds", LIST}, {"joules", LIST}, {NULL, 0}};
static const struct key bytes_keys[] = {{"weights", INTEGER}, {"head", INTEGER}, {"kv", INTEGER}, {NULL, 0}};

static bool is(const json_t *v, enum type type)
{
    switch (type) {
    case INTEGER:
        return json_is_integer(v) && json_integer_value(v) >= 0;
    case NUMBER:
        return json_is_number(v);
    case NUMBER_OR_NULL:
        return json_is_number(v) || json_is_null(v);
    case TEXT:
        return json_is_string(v);
    case TEXT_OR_NULL:
        return json_is_string(v) || json_is_null(v);
    case SWITCH:
        return json_is_boolean(v);
    case LIST:
        return json_is_array(v);
    case OBJECT:
        return json_is_object(v);
    default:
        return json_is_object(v) || json_is_null(v);
    }
}

static enum tri_status expect_keys(const json_t *object, const char *what, const struct key *keys, struct tri_error *e)
{
    if (!json_is_object(object))
        return tri_fail(e, TRI_BAD_FILE, "%s: expected an object, found another value", what);
    for (; keys->name; keys++) {
        const json_t *v = json_object_get(object, keys->name);
        if (!v || !is(v, keys->type))
            return tri_fail(e, TRI_BAD_FILE, "%s: key \"%s\": expected %s, found %s", what, keys->name,
                            type_names[keys->type], v ? "another value" : "none");
    }
    return TRI_OK;
}

/* Objects with such keys; at least one. */
static enum tri_status expect_list(const json_t *list, const char *what, const struct key *keys, struct tri_error *e)
{
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
        if (expect_keys(object, what, keys, e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

static enum tri_status expect_numbers(const json_t *object, const char *key, bool nulls, struct tri_error *e)
{
    const json_t *list = json_object_get(object, key);
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value)
        if (!json_is_number(value) && !(nulls && json_is_null(value)))
            return tri_fail(e, TRI_BAD_FILE, "list \"%s\": expected numbers, found another value", key);
    return TRI_OK;
}

static enum tri_status expect_samples(const json_t *receipt, struct tri_error *e)
{
    size_t i;
    json_t *object;
    json_array_foreach(json_object_get(receipt, "reads"), i, object)
        if (expect_numbers(object, "at", false, e) != TRI_OK || expect_numbers(object, "gbps", false, e) != TRI_OK)
            return e->status;
    json_array_foreach(json_object_get(receipt, "rows"), i, object) {
        const json_t *bytes = json_object_get(object, "bytes_per_token");
        if (expect_numbers(object, "samples_ts", false, e) != TRI_OK ||
            expect_numbers(object, "at", false, e) != TRI_OK || expect_numbers(object, "seconds", false, e) != TRI_OK ||
            expect_numbers(object, "joules", true, e) != TRI_OK ||
            (json_is_object(bytes) && expect_keys(bytes, "bytes_per_token", bytes_keys, e) != TRI_OK))
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status expect_receipt(const json_t *r, struct tri_error *e)
{
    const json_t *machine = json_object_get(r, "machine");
    const json_t *version = json_object_get(r, "tritune_receipt");
    if (!json_is_integer(version))
        return tri_fail(e, TRI_BAD_FILE,
                        "expected a receipt of tritune bench --report, found no key \"tritune_receipt\"");
    if (json_integer_value(version) != TRI_RECEIPT_VERSION)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "expected a receipt of version %d, found %lld; use the tritune that made it",
                        TRI_RECEIPT_VERSION, (long long)json_integer_value(version));
    if (expect_keys(r, "receipt", receipt_keys, e) != TRI_OK ||
        expect_keys(json_object_get(r, "model"), "model", model_keys, e) != TRI_OK ||
        expect_keys(machine, "machine", machine_keys, e) != TRI_OK ||
        expect_keys(json_object_get(r, "before"), "before", state_keys, e) != TRI_OK ||
        expect_keys(json_object_get(r, "after"), "after", state_keys, e) != TRI_OK ||
        expect_keys(json_object_get(r, "proof"), "proof", proof_keys, e) != TRI_OK ||
        expect_list(json_object_get(machine, "caches"), "caches", cache_keys, e) != TRI_OK ||
        expect_list(json_object_get(r, "reads"), "reads", read_keys, e) != TRI_OK ||
        expect_list(json_object_get(r, "rows"), "rows", row_keys, e) != TRI_OK)
        return e->status;
    return expect_samples(r, e);
}

json_t *tri_receipt_parse(const char *text, size_t size, const char *name, struct tri_error *e)
{
    json_t *r = tri_json_read(text, size, (struct tri_json_limits){DEPTH, VALUES}, name, e);
    if (r && expect_receipt(r, e) != TRI_OK) {
        tri_fail_in(e, "%s", name);
        json_decref(r);
        r = NULL;
    }
    return r;
}

json_t *tri_receipt_read(const char *path, struct tri_error *e)
{
    struct tri_map map;
    if (tri_map_open(&map, path, e) != TRI_OK)
        return NULL;
    json_t *r = NULL;
    if (map.size > MOST_BYTES)
        tri_fail(e, TRI_BAD_FILE, "%s: expected a receipt of at most %d MiB, found %zu", path, MOST_BYTES >> 20,
                 map.size >> 20);
    else
        r = tri_receipt_parse((const char *)map.data, map.size, path, e);
    tri_map_close(&map);
    return r;
}
