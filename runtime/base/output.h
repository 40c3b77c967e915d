/* A file that appears whole or not at all: written beside its place under another name, then renamed.
 *
 *     struct tri_output_file *f = tri_output_open("model.gguf", &e);
 *     if (!f || tri_output_reserve(f, bytes, &e) != TRI_OK || ... ||
 *         tri_output_commit(f, &e) != TRI_OK)
 *         ...                                   e says why, and which file
 *     tri_output_close(f);                      always; without a commit nothing stays
 *
 * A process that is killed leaves FILE.PID.tmp behind. */
#ifndef TRI_OUTPUT_H
#define TRI_OUTPUT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct tri_output_file;

/* NULL if it cannot be written there: no such directory, no permission, or something at `path` that is no
 * regular file. */
struct tri_output_file *tri_output_open(const char *path, struct tri_error *e);

/* Room for `bytes` on the disk, and the file as long as that, zeros. TRI_FAILED, before anything is written, if the
 * disk has less. Once, before the first write. */
enum tri_status tri_output_reserve(struct tri_output_file *f, uint64_t bytes, struct tri_error *e);

/* `size` bytes at `offset`. From any thread, each with an error of its own. */
enum tri_status tri_output_write(struct tri_output_file *f, uint64_t offset, const void *bytes, size_t size,
                                 struct tri_error *e);

/* The file under its own name, in place of one that was there. */
enum tri_status tri_output_commit(struct tri_output_file *f, struct tri_error *e);
void tri_output_close(struct tri_output_file *f); /* NULL: nothing */

#endif
