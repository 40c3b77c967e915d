/* Owns: from a name to a file in the cache: what is there, what is wanted, what is missing. */
#define _GNU_SOURCE
#include "hub/download.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { LONGEST_LISTING = 32 << 20 };

struct pull {
    const struct tri_hub_request *request;
    struct tri_hub_name name;
    struct tri_hub_listing listing;
    struct tri_hub_link *link;
};

static bool same_size(const struct pull *p, const struct tri_hub_file *f)
{
    char path[TRI_HUB_ROOM + TRI_HUB_PATH];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", p->name.folder, f->path);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size;
}

static bool here(const struct pull *p, const struct tri_hub_file *f)
{
    return strcmp(f->got, f->digest) == 0 && same_size(p, f);
}

/* The first wanted file that is not here. */
static const struct tri_hub_file *missing(const struct pull *p)
{
    for (size_t i = 0; i < p->listing.count; i++)
        if (p->listing.file[i].wanted && !here(p, &p->listing.file[i]))
            return &p->listing.file[i];
    return NULL;
}

/* -- the listing --------------------------------------------------------- */

struct text {
    char *at;
    size_t size;
};

static enum tri_status add(void *arg, uint64_t offset, const void *bytes, size_t size, struct tri_error *e)
{
    struct text *t = arg;
    if (offset + size > LONGEST_LISTING)
        return tri_fail(e, TRI_BAD_FILE, "the hub's list of files: expected at most %d MiB, found more",
                        LONGEST_LISTING >> 20);
    char *grown = realloc(t->at, (size_t)offset + size);
    if (!grown)
        return tri_fail(e, TRI_NO_MEMORY, "the hub's list of files: no memory for it");
    memcpy(grown + offset, bytes, size);
    t->at = grown;
    t->size = (size_t)offset + size;
    return TRI_OK;
}

static enum tri_status ask(struct pull *p, struct tri_error *e)
{
    char url[TRI_HUB_ROOM];
    struct text text = {0};
    struct tri_hub_listing now;
    struct tri_hub_get get = {.url = url, .size = TRI_HUB_ANY, .put = add, .arg = &text};
    tri_hub_listing_url(&p->name, url);
    if (!(p->link = tri_hub_link_new(p->request, e)))
        return e->status;
    enum tri_status status = tri_hub_get(p->link, &get, e);
    if (status == TRI_OK)
        status = tri_hub_listing_parse(&now, text.at ? text.at : "", text.size, url, e);
    free(text.at);
    if (status != TRI_OK)
        return status;
    tri_hub_listing_take_over(&now, &p->listing);
    tri_hub_listing_free(&p->listing);
    p->listing = now;
    return tri_hub_listing_choose(&p->listing, &p->name, e);
}

/* -- files --------------------------------------------------------------- */

/* Somebody put it there, or the list of what is here was lost. */
static enum tri_status adopt(struct pull *p, struct tri_hub_file *f, struct tri_error *e)
{
    char path[TRI_HUB_ROOM + TRI_HUB_PATH];
    bool equal = false;
    snprintf(path, sizeof path, "%s/%s", p->name.folder, f->path);
    if (!here(p, f) && same_size(p, f) && tri_hub_digest_equal(path, f->digest, p->request->stop, &equal, e) != TRI_OK)
        return e->status;
    if (equal)
        strcpy(f->got, f->digest);
    return TRI_OK;
}

static enum tri_status check_room(const struct pull *p, struct tri_error *e)
{
    struct statvfs disk;
    uint64_t bytes = 0, begun;
    for (size_t i = 0; i < p->listing.count; i++) {
        const struct tri_hub_file *f = &p->listing.file[i];
        if (!f->wanted || here(p, f))
            continue;
        begun = tri_hub_download_begun(&p->name, f);
        bytes += f->size > begun ? f->size - begun : 0;
    }
    if (statvfs(p->name.folder, &disk) == 0 && bytes / disk.f_frsize >= disk.f_bavail)
        return tri_fail(e, TRI_FAILED, "%s: expected room for %" PRIu64 " MiB, found %" PRIu64 " MiB; free some, or "
                        "set XDG_CACHE_HOME to another disk", p->name.folder, (bytes >> 20) + 1,
                        (uint64_t)disk.f_bavail * disk.f_frsize >> 20);
    return TRI_OK;
}

/* The list is written behind each file, so that none is fetched twice whatever happens to the next. */
static enum tri_status get_files(struct pull *p, struct tri_error *e)
{
    for (size_t i = 0; i < p->listing.count; i++)
        if (p->listing.file[i].wanted && adopt(p, &p->listing.file[i], e) != TRI_OK)
            return e->status;
    if (check_room(p, e) != TRI_OK)
        return e->status;
    for (const struct tri_hub_file *m; (m = missing(p));) {
        struct tri_hub_file *f = &p->listing.file[m - p->listing.file];
        if (tri_hub_download(p->link, p->request, &p->name, f, e) != TRI_OK)
            return e->status;
        strcpy(f->got, f->digest);
        if (tri_hub_listing_save(&p->listing, &p->name, e) != TRI_OK)
            return e->status;
    }
    return tri_hub_listing_save(&p->listing, &p->name, e);
}

static enum tri_status update(struct pull *p, struct tri_error *e)
{
    char inside[TRI_HUB_ROOM + 1];
    snprintf(inside, sizeof inside, "%s/", p->name.folder);
    if (ask(p, e) != TRI_OK || tri_hub_make_folders(inside, e) != TRI_OK)
        return e->status;
    return get_files(p, e);
}

static enum tri_status offline(const struct pull *p, struct tri_error *e)
{
    const struct tri_hub_file *lacks = p->listing.count ? missing(p) : NULL;
    return tri_fail(e, TRI_FAILED, "%s: expected %s there, found none whole; run it without --offline once",
                    p->name.folder, lacks ? lacks->path : p->name.file[0] ? p->name.file : "a model");
}

/* -- all of it ----------------------------------------------------------- */

static enum tri_status result(const struct pull *p, char **path, struct tri_error *e)
{
    const size_t room = TRI_HUB_ROOM + TRI_HUB_PATH;
    if (!(*path = malloc(room)))
        return tri_fail(e, TRI_NO_MEMORY, "no memory for a path");
    snprintf(*path, room, "%s%s%s", p->name.folder, p->listing.model[0] ? "/" : "", p->listing.model);
    return TRI_OK;
}

enum tri_status tri_hub_pull(const struct tri_hub_request *r, char **path, struct tri_error *e)
{
    struct pull p = {.request = r};
    struct tri_error unknown;
    if (tri_hub_name_read(&p.name, r->model, e) != TRI_OK || tri_hub_listing_load(&p.listing, &p.name, e) != TRI_OK)
        return e->status;
    const bool known = p.listing.count && tri_hub_listing_choose(&p.listing, &p.name, &unknown) == TRI_OK &&
                       !missing(&p);
    enum tri_status status = TRI_OK;
    if (!known && r->offline)
        status = offline(&p, e);
    else if (!known || (r->refresh && !r->offline))
        status = update(&p, e);
    if (status == TRI_OK)
        status = result(&p, path, e);
    tri_hub_link_free(p.link);
    tri_hub_listing_free(&p.listing);
    return status;
}
