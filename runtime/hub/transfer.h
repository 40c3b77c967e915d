/* Bytes from a hub over HTTP, with patience: what is cut goes on where it was, a few times, ever later. */
#ifndef TRI_HUB_TRANSFER_H
#define TRI_HUB_TRANSFER_H

#include "hub/hub.h"

#include <stddef.h>
#include <stdint.h>

struct tri_hub_link; /* to one hub; one thread at a time */

struct tri_hub_link *tri_hub_link_new(const struct tri_hub_request *r, struct tri_error *e);
void tri_hub_link_free(struct tri_hub_link *l); /* NULL: nothing */

/* Takes `size` bytes that stand at `offset` of what is fetched; offsets begin anew where a server cannot go on. */
typedef enum tri_status tri_hub_put_fn(void *arg, uint64_t offset, const void *bytes, size_t size,
                                       struct tri_error *e);

enum { TRI_HUB_ANY = -1 }; /* as a size: unknown */

struct tri_hub_get {
    const char *url;
    int64_t size;  /* bytes that are expected, or TRI_HUB_ANY; another size is refused before the first byte */
    uint64_t from; /* what is here already; in the end what is here */
    tri_hub_put_fn *put;
    void *arg;
};

/* TRI_WRONG: another size. TRI_FAILED with the server's or the network's reason and what to do about it. */
enum tri_status tri_hub_get(struct tri_hub_link *l, struct tri_hub_get *g, struct tri_error *e);

#endif
