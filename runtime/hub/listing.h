/* What a repository holds, as the hub lists it and as the cache remembers it, and which files of it make a model. */
#ifndef TRI_HUB_LISTING_H
#define TRI_HUB_LISTING_H

#include "hub/digest.h"
#include "hub/name.h"

#include <stdint.h>

struct tri_hub_file {
    char path[TRI_HUB_PATH];
    uint64_t size;               /* bytes */
    char digest[TRI_HUB_DIGEST]; /* of the hub's file */
    char got[TRI_HUB_DIGEST];    /* of the cache's file; "": it has none */
    bool wanted;                 /* belongs to the chosen model */
};

struct tri_hub_listing {
    struct tri_hub_file *file;
    size_t count;
    char model[TRI_HUB_PATH]; /* what was chosen: a file, or "" for the folder */
};

/* From the hub's JSON, or the cache's. Files with names no cache could hold are left out. `where`: for errors. */
enum tri_status tri_hub_listing_parse(struct tri_hub_listing *l, const char *json, size_t size, const char *where,
                                      struct tri_error *e);
void tri_hub_listing_free(struct tri_hub_listing *l);

/* What the cache has of `old`'s files, it has of those with the same names here. */
void tri_hub_listing_take_over(struct tri_hub_listing *l, const struct tri_hub_listing *old);

/* Marks the files of n->file, or of the one model that is there, in this order: GGUF files whose names tell a ternary
 * type, I2_S first; the only GGUF file; safetensors with config.json. TRI_FAILED with what there is, if that decides
 * nothing. */
enum tri_status tri_hub_listing_choose(struct tri_hub_listing *l, const struct tri_hub_name *n, struct tri_error *e);

/* The cache's: TRI_OK with an empty listing if there is none, or none that can be read. */
enum tri_status tri_hub_listing_load(struct tri_hub_listing *l, const struct tri_hub_name *n, struct tri_error *e);
enum tri_status tri_hub_listing_save(const struct tri_hub_listing *l, const struct tri_hub_name *n,
                                     struct tri_error *e);

#endif
