/* Owns: limits on JSON, checked before anything is built of it, since what is built takes many times the memory of
 * the text. Leaves out the parsing (jansson). */
#include "file/json.h"
#include "base/memory.h"

#include <string.h>

/* Behind a string whose first quote is at text[i]. */
static size_t skip_string(const char *text, size_t size, size_t i)
{
    for (i++; i < size && text[i] != '"'; i++)
        i += text[i] == '\\';
    return i + 1;
}

static enum tri_status check_limits(const char *text, size_t size, struct tri_json_limits limits, const char *name,
                                    struct tri_error *e)
{
    size_t values = 1;
    int depth = 0;
    for (size_t i = 0; i < size;) {
        const char c = text[i];
        values += c == ',' || c == '[' || c == '{';
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        if (depth > limits.depth || values > limits.values)
            return tri_fail(e, TRI_BAD_FILE, "%s: byte %zu of its JSON: expected at most %zu values, nested %d deep, "
                            "found more; the file is damaged or no model's", name, i, limits.values, limits.depth);
        i = c == '"' ? skip_string(text, size, i) : i + 1;
    }
    return TRI_OK;
}

json_t *tri_json_read(const char *text, size_t size, struct tri_json_limits limits, const char *name,
                      struct tri_error *e)
{
    json_error_t problem;
    if (check_limits(text, size, limits, name, e) != TRI_OK)
        return NULL;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!root)
        tri_fail(e, TRI_BAD_FILE, "%s: line %d, column %d: expected JSON: %s; fetch the file again", name, problem.line,
                 problem.column, problem.text);
    else if (!json_is_object(root)) {
        tri_fail(e, TRI_BAD_FILE, "%s: expected a JSON object, found another value; fetch the file again", name);
        json_decref(root);
        root = NULL;
    }
    return root;
}

double tri_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

json_int_t tri_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const char *tri_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double *tri_numbers(const json_t *object, const char *key, int *count, struct tri_error *e)
{
    const json_t *list = json_object_get(object, key);
    *count = (int)json_array_size(list);
    double *values = tri_alloc((size_t)*count + 1, sizeof *values, "numbers", e);
    for (int i = 0; values && i < *count; i++)
        values[i] = json_number_value(json_array_get(list, (size_t)i));
    return values;
}

json_t *tri_json_numbers(const double *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}
