/* Names of files that are one of several: "MODEL-00002-of-00003.gguf". */
#ifndef TRI_PART_NAME_H
#define TRI_PART_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `path` ends so, with `suffix` (".gguf") behind the numbers and something in front: *stem bytes of it; *no,
 * from 1 on as a rule, and *of are the numbers. All are 0 if it does not. */
bool tri_part_name(const char *path, const char *suffix, size_t *stem, unsigned *no, unsigned *of);

#endif
