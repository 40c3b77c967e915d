/* Checksums as a hub lists them. */
#ifndef TRI_HUB_DIGEST_H
#define TRI_HUB_DIGEST_H

#include "base/error.h"

#include <stdbool.h>

enum { TRI_HUB_DIGEST = 65 }; /* room for one in hexadecimal */

/* Whether it is one: 64 hexadecimal digits, a SHA-256; or 40, the id that git gives a blob. */
bool tri_hub_digest_good(const char *digest);

/* Whether the file is what `digest` is of. `stop`: as in hub.h. */
enum tri_status tri_hub_digest_equal(const char *path, const char *digest, bool (*stop)(void), bool *equal,
                                     struct tri_error *e);

#endif
