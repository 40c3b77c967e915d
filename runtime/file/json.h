/* JSON that others wrote, with bounds on what reading it may take. */
#ifndef TRI_JSON_H
#define TRI_JSON_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

struct tri_json_limits {
    int depth;     /* arrays and objects within each other, at most 1000 */
    size_t values; /* all of them, keys not counted */
};

/* The whole of `text` as one object; freed with json_decref. TRI_BAD_FILE, beginning with `name` (a path), if it is
 * anything else, names a member twice, or exceeds a limit. */
json_t *tri_json_read(const char *text, size_t size, struct tri_json_limits limits, const char *name,
                      struct tri_error *e);

/* A member of an object; 0 or "" where there is none of that type. The text is the object's. */
double tri_number(const json_t *object, const char *key);
json_int_t tri_integer(const json_t *object, const char *key);
const char *tri_string(const json_t *object, const char *key);

/* All of a member that is a list of numbers, freed with tri_free; *count: how many, 0 of what is no list. NULL:
 * TRI_NO_MEMORY. And such a list; NULL: no memory. */
double *tri_numbers(const json_t *object, const char *key, int *count, struct tri_error *e);
json_t *tri_json_numbers(const double *values, int count);

#endif
