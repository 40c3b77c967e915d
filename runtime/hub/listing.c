/* Owns: listings of repositories. Leaves out which of their files make a model (choice.c). */
#include "hub/listing.h"

#include "base/memory.h"
#include "base/output.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTING "/.listing.json" /* no file of a repository in the cache begins with a dot */

static bool take_digest(char out[TRI_HUB_DIGEST], const json_t *from, const char *key)
{
    const char *text = json_string_value(json_object_get(from, key));
    if (!text || !tri_hub_digest_good(text))
        return false;
    strcpy(out, text);
    return true;
}

/* False: not a file, or not one to be had. A file kept outside git has the digest of its bytes under "lfs". */
static bool take_file(struct tri_hub_file *f, const json_t *entry)
{
    const char *type = json_string_value(json_object_get(entry, "type"));
    const char *path = json_string_value(json_object_get(entry, "path"));
    const json_t *lfs = json_object_get(entry, "lfs"), *body = json_is_object(lfs) ? lfs : entry;
    const json_int_t size = json_integer_value(json_object_get(body, "size"));
    *f = (struct tri_hub_file){.size = (uint64_t)size};
    if (!type || strcmp(type, "file") != 0 || !path || !tri_hub_path_good(path) || size < 0 ||
        !take_digest(f->digest, body, "oid"))
        return false;
    take_digest(f->got, entry, "got");
    strcpy(f->path, path);
    return true;
}

enum tri_status tri_hub_listing_parse(struct tri_hub_listing *l, const char *json, size_t size, const char *where,
                                      struct tri_error *e)
{
    json_error_t fault;
    json_t *all = json_loadb(json, size, 0, &fault);
    *l = (struct tri_hub_listing){.file = NULL};
    if (!json_is_array(all)) {
        tri_fail(e, TRI_BAD_FILE, "%s: expected a JSON array of files, found %s", where,
                 all ? "something else" : fault.text);
        json_decref(all);
        return e->status;
    }
    l->file = calloc(json_array_size(all) + 1, sizeof *l->file);
    for (size_t i = 0; l->file && i < json_array_size(all); i++)
        l->count += take_file(&l->file[l->count], json_array_get(all, i));
    json_decref(all);
    return l->file ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "%s: no memory for the list of files", where);
}

void tri_hub_listing_free(struct tri_hub_listing *l)
{
    free(l->file);
    *l = (struct tri_hub_listing){.file = NULL};
}

void tri_hub_listing_take_over(struct tri_hub_listing *l, const struct tri_hub_listing *old)
{
    for (size_t j = 0; j < old->count; j++)
        for (size_t i = 0; old->file[j].got[0] && i < l->count; i++)
            if (strcmp(l->file[i].path, old->file[j].path) == 0)
                memcpy(l->file[i].got, old->file[j].got, sizeof l->file[i].got);
}

/* -- the cache's copy ----------------------------------------------------- */

/* Damage to it costs only that files here are checked against the hub's list again. */
enum tri_status tri_hub_listing_load(struct tri_hub_listing *l, const struct tri_hub_name *n, struct tri_error *e)
{
    char path[TRI_HUB_ROOM + sizeof LISTING];
    struct tri_map map;
    struct tri_error ignored;
    snprintf(path, sizeof path, "%s" LISTING, n->folder);
    *l = (struct tri_hub_listing){.file = NULL};
    if (access(path, R_OK) != 0 || tri_map_open(&map, path, &ignored) != TRI_OK)
        return TRI_OK;
    const enum tri_status status = tri_hub_listing_parse(l, (const char *)map.data, map.size, path, &ignored);
    tri_map_close(&map);
    if (status == TRI_NO_MEMORY)
        *e = ignored;
    return status == TRI_NO_MEMORY ? status : TRI_OK;
}

static json_t *to_json(const struct tri_hub_listing *l)
{
    json_t *all = json_array();
    for (size_t i = 0; i < l->count; i++) {
        const struct tri_hub_file *f = &l->file[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:s, s:s}", "type", "file", "path", f->path, "size",
                                             (json_int_t)f->size, "oid", f->digest, "got", f->got));
    }
    return all;
}

enum tri_status tri_hub_listing_save(const struct tri_hub_listing *l, const struct tri_hub_name *n,
                                     struct tri_error *e)
{
    char path[TRI_HUB_ROOM + sizeof LISTING];
    snprintf(path, sizeof path, "%s" LISTING, n->folder);
    json_t *all = to_json(l);
    char *text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    if (!text)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for the list of files", path);
    struct tri_output_file *out = tri_output_open(path, e);
    enum tri_status status = out ? tri_output_write(out, 0, text, strlen(text), e) : e->status;
    if (status == TRI_OK)
        status = tri_output_commit(out, e);
    tri_output_close(out);
    free(text);
    return status;
}
