/* Owns: telling the forms apart that models come in. Leaves out reading them. */
#include "model/checkpoint.h"

#include "file/gguf_split.h"
#include "model/huggingface.h"

#include <string.h>
#include <sys/stat.h>

static bool is_huggingface(const char *path)
{
    static const char *const endings[] = {".safetensors", ".safetensors.index.json"};
    const size_t size = strlen(path);
    struct stat st;
    for (int i = 0; i < 2; i++)
        if (size >= strlen(endings[i]) && strcmp(path + size - strlen(endings[i]), endings[i]) == 0)
            return true;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

struct tri_gguf *tri_checkpoint_open(const char *path, struct tri_error *e)
{
    return is_huggingface(path) ? tri_huggingface_open(path, e) : tri_gguf_open_whole(path, e);
}
