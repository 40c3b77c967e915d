/* Models from a hub, kept in a cache: $XDG_CACHE_HOME/tritune/hub/OWNER/REPO/FILE (else ~/.cache). The hub is
 * $HF_ENDPOINT, else https://huggingface.co; $HF_TOKEN opens what is private or gated there, and goes nowhere else.
 *
 *     char *path;
 *     struct tri_hub_request r = {.model = "OWNER/REPO", .stall = TRI_HUB_STALL};
 *     if (tri_hub_pull(&r, &path, &e) == TRI_OK)
 *         ...                                   a GGUF file, or a folder of safetensors; free(path)
 *
 * A file appears under its name only whole and with the checksum that the hub lists. */
#ifndef TRI_HUB_H
#define TRI_HUB_H

#include "base/error.h"

#include <stdbool.h>

enum { TRI_HUB_STALL = 30 };

struct tri_hub_request {
    const char *model;   /* OWNER/REPO[@REVISION][:FILE]; without FILE the ternary model of the repository is chosen */
    bool refresh;        /* ask whether the hub has something newer, even if all is here */
    bool offline;        /* never ask: what is here, or an error */
    int stall;           /* seconds without a byte until a connection counts as cut */
    bool (*stop)(void);  /* asked between two steps; true ends with TRI_INTERRUPTED; NULL: never */
};

/* *path: to be freed by the caller. An interrupted or failed download goes on where it was, the next time. */
enum tri_status tri_hub_pull(const struct tri_hub_request *r, char **path, struct tri_error *e);

#endif
