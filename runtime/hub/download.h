/* One file of a hub into the cache. */
#ifndef TRI_HUB_DOWNLOAD_H
#define TRI_HUB_DOWNLOAD_H

#include "hub/listing.h"
#include "hub/transfer.h"

/* n->folder/f->path, from the hub, checked. Meanwhile it is n->folder/f->path.DIGEST.part, by which the next try goes
 * on; it may be locked by another process, which is TRI_FAILED. Progress on stderr if that is a terminal. */
enum tri_status tri_hub_download(struct tri_hub_link *l, const struct tri_hub_request *r,
                                 const struct tri_hub_name *n, const struct tri_hub_file *f, struct tri_error *e);

/* Bytes of it that are here already. */
uint64_t tri_hub_download_begun(const struct tri_hub_name *n, const struct tri_hub_file *f);

/* The folders that a path goes through. */
enum tri_status tri_hub_make_folders(const char *path, struct tri_error *e);

#endif
