/* Owns: telling the forms apart that models come in. Leaves out reading them. */
#include "model/checkpoint.h"

#include "file/gguf_split.h"

struct tri_gguf *tri_checkpoint_open(const char *path, struct tri_error *e)
{
    return tri_gguf_open_whole(path, e);
}
