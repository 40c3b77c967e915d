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

#endif
