/* Owns: the part of a file that is here, until it is the file. */
#define _GNU_SOURCE
#include "hub/download.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_ROOM = TRI_HUB_ROOM + TRI_HUB_PATH + TRI_HUB_DIGEST + 8 };

struct part {
    int fd;
    const struct tri_hub_file *file;
    char path[PART_ROOM], whole[TRI_HUB_ROOM + TRI_HUB_PATH];
    /* progress */
    bool shows;
    uint64_t at, resumed; /* bytes: here, and here when this process began */
    double began, next;      /* seconds, as tri_now */
};

static void part_path(const struct tri_hub_name *n, const struct tri_hub_file *f, char path[PART_ROOM])
{
    snprintf(path, PART_ROOM, "%s/%s.%s.part", n->folder, f->path, f->digest);
}

uint64_t tri_hub_download_begun(const struct tri_hub_name *n, const struct tri_hub_file *f)
{
    char path[PART_ROOM];
    struct stat st;
    part_path(n, f, path);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

enum tri_status tri_hub_make_folders(const char *path, struct tri_error *e)
{
    char folder[PART_ROOM];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = strchr(folder + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return tri_fail(e, TRI_FAILED, "%s: the folder cannot be made: %s; set XDG_CACHE_HOME to one that can be "
                            "written", folder, strerror(errno));
        *at = '/';
    }
    return TRI_OK;
}

/* -- progress ------------------------------------------------------------ */

/* Rate since this process began, which a resumed part does not flatter. */
static void show(struct part *p, uint64_t at)
{
    const double now = tri_now(), mib = 1024 * 1024, all = (double)p->file->size;
    const bool done = at == p->file->size;
    if (!p->shows || (now < p->next && !done))
        return;
    const double rate = ((double)at - (double)p->resumed) / (now - p->began + 1e-9);
    const long left = rate > 0 ? (long)((all - (double)at) / rate + 0.5) : 0;
    fprintf(stderr, "\r%s  %3.0f %%  %.0f of %.0f MiB  %.1f MiB/s  %ld:%02ld left\033[K%s", p->file->path,
            100 * (double)at / (all > 0 ? all : 1), (double)at / mib, all / mib, rate / mib, left / 60, left % 60,
            done ? "\n" : "");
    p->next = now + 0.2;
}

/* -- the part ------------------------------------------------------------ */

static enum tri_status cannot(const struct part *p, const char *what, struct tri_error *e)
{
    return tri_fail(e, TRI_FAILED, "%s: cannot be %s: %s", p->path, what, strerror(errno));
}

/* A part that is longer than the file is not of it. */
static enum tri_status open_part(struct part *p, uint64_t *begun, struct tri_error *e)
{
    struct stat st;
    p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->fd < 0)
        return cannot(p, "written", e);
    if (flock(p->fd, LOCK_EX | LOCK_NB) != 0)
        return tri_fail(e, TRI_FAILED, "%s: another process downloads it; wait for that one", p->path);
    if (fstat(p->fd, &st) != 0 || (st.st_size > (off_t)p->file->size && ftruncate(p->fd, 0) != 0))
        return cannot(p, "read", e);
    *begun = (uint64_t)st.st_size > p->file->size ? 0 : (uint64_t)st.st_size;
    return TRI_OK;
}

static enum tri_status put(void *arg, uint64_t offset, const void *bytes, size_t size, struct tri_error *e)
{
    struct part *p = arg;
    if (offset != p->at) { /* the server began anew */
        p->resumed = offset;
        if (ftruncate(p->fd, (off_t)offset) != 0)
            return cannot(p, "cut", e);
    }
    for (const char *at = bytes; size > 0;) {
        const ssize_t n = pwrite(p->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cannot(p, "written", e);
        at += n, offset += (uint64_t)n, size -= (size_t)n;
    }
    p->at = offset;
    show(p, offset);
    return TRI_OK;
}

static enum tri_status fetch(struct tri_hub_link *l, struct part *p, const struct tri_hub_name *n, uint64_t begun,
                             struct tri_error *e)
{
    char url[TRI_HUB_ROOM];
    struct tri_hub_get get = {.url = url, .size = (int64_t)p->file->size, .from = begun, .put = put, .arg = p};
    tri_hub_file_url(n, p->file->path, url);
    p->began = tri_now();
    p->resumed = p->at = begun;
    const enum tri_status status = begun < p->file->size ? tri_hub_get(l, &get, e) : TRI_OK;
    if (status != TRI_OK && p->shows && p->at < p->file->size)
        fputc('\n', stderr);
    return status;
}

/* Wrong bytes are of no use to anybody. */
static enum tri_status finish(struct part *p, const struct tri_hub_request *r, struct tri_error *e)
{
    bool equal;
    if (fsync(p->fd) != 0)
        return cannot(p, "written", e);
    if (tri_hub_digest_equal(p->path, p->file->digest, r->stop, &equal, e) != TRI_OK)
        return e->status;
    if (!equal) {
        if (ftruncate(p->fd, 0) != 0)
            return cannot(p, "cut", e);
        return tri_fail(e, TRI_WRONG, "%s: expected the checksum %s, as the hub lists it, found another; what came was "
                        "thrown away; run the command again", p->whole, p->file->digest);
    }
    return rename(p->path, p->whole) == 0 ? TRI_OK : cannot(p, "renamed", e);
}

/* What an earlier process left may have been of a lying server: then once from the start. */
static enum tri_status fill(struct tri_hub_link *l, struct part *p, const struct tri_hub_request *r,
                            const struct tri_hub_name *n, struct tri_error *e)
{
    uint64_t begun = 0;
    if (open_part(p, &begun, e) != TRI_OK || fetch(l, p, n, begun, e) != TRI_OK)
        return e->status;
    const enum tri_status status = finish(p, r, e);
    if (status != TRI_WRONG || begun == 0)
        return status;
    return fetch(l, p, n, 0, e) == TRI_OK ? finish(p, r, e) : e->status;
}

enum tri_status tri_hub_download(struct tri_hub_link *l, const struct tri_hub_request *r,
                                 const struct tri_hub_name *n, const struct tri_hub_file *f, struct tri_error *e)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for a download", f->path);
    p->fd = -1;
    p->file = f;
    p->shows = isatty(STDERR_FILENO);
    part_path(n, f, p->path);
    snprintf(p->whole, sizeof p->whole, "%s/%s", n->folder, f->path);
    enum tri_status status = tri_hub_make_folders(p->whole, e);
    if (status == TRI_OK)
        status = fill(l, p, r, n, e);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
    return status;
}
