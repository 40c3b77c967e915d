/* Which model of which repository is meant, and where it lies: on the hub, and here. */
#ifndef TRI_HUB_NAME_H
#define TRI_HUB_NAME_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { TRI_HUB_WORD = 97, TRI_HUB_PATH = 512, TRI_HUB_ROOM = 2048 };

struct tri_hub_name {
    char owner[TRI_HUB_WORD], repo[TRI_HUB_WORD];
    char revision[TRI_HUB_WORD]; /* "main" where none is given */
    char file[TRI_HUB_PATH];     /* "": none */
    char endpoint[TRI_HUB_PATH]; /* without a slash at its end */
    char folder[TRI_HUB_ROOM];   /* of the cache, without a slash at its end */
};

/* Reads OWNER/REPO[@REVISION][:FILE], $HF_ENDPOINT, $XDG_CACHE_HOME and $HOME. */
enum tri_status tri_hub_name_read(struct tri_hub_name *n, const char *text, struct tri_error *e);

/* Whether a path inside a repository may become one inside the cache: relative, no "..", nothing hidden, printable. */
bool tri_hub_path_good(const char *path);

/* ENDPOINT/api/models/OWNER/REPO/tree/REVISION, and ENDPOINT/OWNER/REPO/resolve/REVISION/FILE with FILE escaped. */
void tri_hub_listing_url(const struct tri_hub_name *n, char url[TRI_HUB_ROOM]);
void tri_hub_file_url(const struct tri_hub_name *n, const char *file, char url[TRI_HUB_ROOM]);

#endif
