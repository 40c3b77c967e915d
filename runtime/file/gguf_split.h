/* Models in several GGUF files, MODEL-00001-of-00003.gguf and so on (formats.md 1.4 in the project's documentation):
 * keys in the first, tensors in all. */
#ifndef TRI_GGUF_SPLIT_H
#define TRI_GGUF_SPLIT_H

#include "file/gguf.h"

/* The model that `path` is, or is any part of: one file as by tri_gguf_open, or the keys of the first part with the
 * tensors of all, mapped, without the keys split.*. TRI_BAD_FILE, naming the part, if one is missing, is another one
 * than its name says, or belongs to another model. */
struct tri_gguf *tri_gguf_open_whole(const char *path, struct tri_error *e);

#endif
