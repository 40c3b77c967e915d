/* Owns: files written beside their place and renamed. Leaves out what is in them. */
#define _GNU_SOURCE
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef unsigned long long ull; /* for %llu */

struct tri_output_file {
    int fd;
    bool committed;
    const char *path; /* behind `temporary`, in the same memory */
    char temporary[];
};

/* Renaming would replace a device or directory by a file. */
static enum tri_status check_place(const char *path, struct tri_error *e)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return tri_fail(e, TRI_USAGE, "%s: expected a regular file or none there, found something else", path);
    return TRI_OK;
}

static struct tri_output_file *name(const char *path, struct tri_error *e)
{
    const size_t size = strlen(path) + 1, room = size + sizeof ".2147483647.tmp";
    struct tri_output_file *f = malloc(sizeof *f + room + size);
    if (!f) {
        tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its name", path);
        return NULL;
    }
    *f = (struct tri_output_file){.fd = -1, .path = f->temporary + room};
    snprintf(f->temporary, room, "%s.%d.tmp", path, (int)getpid());
    memcpy(f->temporary + room, path, size);
    return f;
}

struct tri_output_file *tri_output_open(const char *path, struct tri_error *e)
{
    struct tri_output_file *f = check_place(path, e) == TRI_OK ? name(path, e) : NULL;
    if (!f)
        return NULL;
    f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f->fd >= 0)
        return f;
    tri_fail(e, TRI_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    free(f);
    return NULL;
}

static enum tri_status no_room(const struct tri_output_file *f, uint64_t bytes, const char *found, struct tri_error *e)
{
    return tri_fail(e, TRI_FAILED, "%s: expected room for %llu MiB, found %s; free some, or write elsewhere", f->path,
                    (ull)(bytes >> 20) + 1, found);
}

/* Blocks are taken now where the file system can, so that a full disk is found before the work. */
enum tri_status tri_output_reserve(struct tri_output_file *f, uint64_t bytes, struct tri_error *e)
{
    struct statvfs disk;
    char found[64];
    if (fstatvfs(f->fd, &disk) == 0 && bytes / disk.f_frsize >= disk.f_bavail) {
        snprintf(found, sizeof found, "%llu MiB", (ull)disk.f_bavail * disk.f_frsize >> 20);
        return no_room(f, bytes, found, e);
    }
    if (bytes > INT64_MAX || (fallocate(f->fd, 0, 0, (off_t)bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) ||
        ftruncate(f->fd, (off_t)bytes) != 0)
        return no_room(f, bytes, strerror(errno), e);
    return TRI_OK;
}

enum tri_status tri_output_write(struct tri_output_file *f, uint64_t offset, const void *bytes, size_t size,
                                 struct tri_error *e)
{
    for (const char *at = bytes; size > 0;) {
        const ssize_t n = pwrite(f->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return tri_fail(e, TRI_FAILED, "%s: %zu bytes at byte %llu cannot be written: %s", f->path, size,
                            (ull)offset, n < 0 ? strerror(errno) : "no room");
        at += n, offset += (uint64_t)n, size -= (size_t)n;
    }
    return TRI_OK;
}

enum tri_status tri_output_commit(struct tri_output_file *f, struct tri_error *e)
{
    const int closed = close(f->fd);
    f->fd = -1;
    if (closed != 0 || rename(f->temporary, f->path) != 0)
        return tri_fail(e, TRI_FAILED, "%s: cannot be written: %s", f->path, strerror(errno));
    f->committed = true;
    return TRI_OK;
}

void tri_output_close(struct tri_output_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (!f->committed)
        unlink(f->temporary);
    free(f);
}
