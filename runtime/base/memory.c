/* Owns: aligned allocation with huge pages asked for where they help, and file mapping.
 * mmap serves both, since malloc would have to touch each page to zero it. */
#define _GNU_SOURCE
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 64, TAIL = 64, HUGE_PAGE = 2 << 20 };

struct head {
    void *base;
    size_t bytes;
};

static atomic_bool huge_pages = true;

void tri_huge_pages(bool wanted)
{
    huge_pages = wanted;
}

bool tri_huge_pages_wanted(void)
{
    return huge_pages;
}

size_t tri_memory_available(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && !kib && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
            kib = 0;
    if (f)
        fclose(f);
    return (size_t)kib << 10;
}

void *tri_alloc(size_t count, size_t size, const char *what, struct tri_error *e)
{
    size_t bytes, whole;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, (size_t)HEAD + TAIL, &whole)) {
        tri_fail(e, TRI_NO_MEMORY, "%s: %zu x %zu bytes is more than an address space holds", what,
                 count, size);
        return NULL;
    }
    const size_t slack = whole >= HUGE_PAGE ? HUGE_PAGE : 0; /* huge pages want their own alignment */
    if (__builtin_add_overflow(whole, slack, &whole))
        whole = SIZE_MAX; /* which mmap refuses */
    char *base = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        tri_fail(e, TRI_NO_MEMORY,
                 "%s: %zu MiB of memory were refused (%s); free some, or use a smaller context "
                 "or model",
                 what, bytes >> 20, strerror(errno));
        return NULL;
    }
    char *start = base;
    if (slack) {
        start += (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
        madvise(base, whole, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    *(struct head *)start = (struct head){base, whole};
    return start + HEAD;
}

void tri_free(void *memory)
{
    if (!memory)
        return;
    struct head head = *(struct head *)((char *)memory - HEAD);
    munmap(head.base, head.bytes);
}

static const char *what_is(mode_t mode)
{
    return S_ISREG(mode) ? "an empty one" : S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : "a device";
}

enum tri_status tri_map_open(struct tri_map *map, const char *path, struct tri_error *e)
{
    struct stat st;
    *map = (struct tri_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK /* of a pipe, it would wait for a writer */);
    if (fd < 0)
        return tri_fail(e, TRI_BAD_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        close(fd);
        return tri_fail(e, TRI_BAD_FILE, "%s: expected a regular, non-empty file, found %s", path, what_is(st.st_mode));
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return tri_fail(e, TRI_BAD_FILE, "%s: cannot be mapped: %s", path, strerror(errno));
    *map = (struct tri_map){data, (size_t)st.st_size};
    return TRI_OK;
}

enum { POPULATE_READ = 22 }; /* MADV_POPULATE_READ of Linux 5.14, which headers may not know */

static uintptr_t page_of(const uint8_t *at)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return (uintptr_t)at / page * page;
}

void tri_map_fetch(const uint8_t *from, size_t bytes)
{
    const uintptr_t begin = page_of(from), end = (uintptr_t)from + bytes;
    if (bytes > 0 && madvise((void *)begin, end - begin, POPULATE_READ) != 0)
        madvise((void *)begin, end - begin, MADV_WILLNEED);
}

void tri_map_release(const struct tri_map *map, const uint8_t *from, size_t bytes)
{
    const uintptr_t begin = page_of(from), end = page_of(from + bytes);
    if (begin >= (uintptr_t)map->data && end > begin && end <= (uintptr_t)map->data + map->size)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void tri_map_close(struct tri_map *map)
{
    if (map->data)
        munmap((void *)map->data, map->size);
    *map = (struct tri_map){0};
}
