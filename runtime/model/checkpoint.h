/* A model in whatever form people have it, as the keys and tensors of a GGUF file.
 *
 *     struct tri_gguf *g = tri_checkpoint_open(path, &e);
 *     ...
 *     tri_gguf_close(g); */
#ifndef TRI_CHECKPOINT_H
#define TRI_CHECKPOINT_H

#include "file/gguf.h"

/* `path`: a GGUF file, or any part of one that is split (file/gguf_split.h); a folder of Hugging Face, a safetensors
 * file or the index of several in it (model/huggingface.h). NULL on error. */
struct tri_gguf *tri_checkpoint_open(const char *path, struct tri_error *e);

#endif
