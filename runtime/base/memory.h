/* Memory for tensors, and files mapped for reading. */
#ifndef TRI_MEMORY_H
#define TRI_MEMORY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `count * size` zeroed bytes, 64-byte aligned, with 64 more readable bytes behind them (kernels may
 * read, never write, that far past the end). NULL with TRI_NO_MEMORY in `e` if the product
 * overflows or memory is short; `what` names the thing in the message. Free with tri_free. */
void *tri_alloc(size_t count, size_t size, const char *what, struct tri_error *e);
void tri_free(void *memory);

/* Whether memory allocated from here on, by all of the program, asks for huge pages (it does until told
 * otherwise) or asks for none. */
void tri_huge_pages(bool wanted);
bool tri_huge_pages_wanted(void);

/* Bytes that could be allocated and used without swapping; 0: unknown. */
size_t tri_memory_available(void);

/* A whole file mapped read-only. Not for pipes and directories: those are TRI_BAD_FILE. */
struct tri_map {
    const uint8_t *data;
    size_t size;
};

enum tri_status tri_map_open(struct tri_map *map, const char *path, struct tri_error *e);
void tri_map_close(struct tri_map *map);

/* Pages of `bytes` bytes that are mapped from a file and will all be read soon: brought into this process at once. */
void tri_map_fetch(const uint8_t *from, size_t bytes);

/* The same, where nobody will read them soon: they stop counting as this process's memory, up to the page in which the
 * last byte lies, and come back if they are read. Not of memory that is not the map's. */
void tri_map_release(const struct tri_map *map, const uint8_t *from, size_t bytes);

#endif
