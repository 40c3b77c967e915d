/* Parts of a model in several GGUF files: two files in one input, which change places with those beside each other. */
#include "fuzz.h"

#include "file/gguf_split.h"
#include "file/gguf_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTS = 2 };

static char directory[64];

static const char *path_of(int part)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/m-%05d-of-%05d.gguf", directory, part + 1, PARTS);
    return path;
}

static void clean(void)
{
    for (int i = 0; i < PARTS; i++)
        unlink(path_of(i));
    rmdir(directory);
}

static void prepare(void)
{
    static const char *const places[] = {"/dev/shm", "/tmp"}; /* rather memory than a disk */
    for (int i = 0; i < 2 && !*directory; i++) {
        snprintf(directory, sizeof directory, "%s/tritune-fuzz-XXXXXX", places[i]);
        if (mkdtemp(directory))
            atexit(clean);
        else
            *directory = 0;
    }
    if (!*directory)
        abort();
}

static void put(int part, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(path_of(part), "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
        abort();
}

/* How long the first part is stands in front. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    uint32_t first;
    prepare();
    if (size < sizeof first)
        return 0;
    memcpy(&first, data, sizeof first);
    data += sizeof first;
    size -= sizeof first;
    if (first > size)
        first = (uint32_t)size;
    put(0, data, first);
    put(1, data + first, size - first);
    struct tri_gguf *g = tri_gguf_open_whole(path_of(0), &e);
    if (g)
        fuzz_read_model(g);
    else
        fuzz_expect_reason(&e);
    tri_gguf_close(g);
    return 0;
}

/* Part `no`, of the keys split.* and one tensor. */
static struct tri_gguf *make(uint32_t no)
{
    static const float values[] = {1, 2, 3, 4};
    struct tri_error e;
    struct tri_gguf_writer *w = tri_gguf_compose(&e);
    struct tri_tensor t = {.encoding = tri_encoding_find(0), .dims = 1, .ne = {4, 1, 1, 1}};
    snprintf(t.name, sizeof t.name, "blk.%u.attn_norm.weight", no);
    if (!w)
        abort();
    if (no == 0)
        tri_gguf_add_text(w, "general.architecture", "llama");
    tri_gguf_add_uint(w, "split.no", no);
    tri_gguf_add_uint(w, "split.count", PARTS);
    tri_gguf_add_uint(w, "split.tensors.count", PARTS);
    const int tensor = tri_gguf_add_tensor(w, &t);
    if (tri_gguf_begin(w, &e) != TRI_OK || tri_gguf_write(w, tensor, 0, values, sizeof values, &e) != TRI_OK)
        abort();
    struct tri_gguf *g = tri_gguf_composed(w, "part", &e);
    tri_gguf_discard(w);
    if (!g)
        abort();
    return g;
}

void fuzz_seeds(void)
{
    uint8_t bytes[4096];
    uint32_t sizes[PARTS];
    size_t at = sizeof sizes[0];
    for (int i = 0; i < PARTS; i++) {
        struct tri_gguf *g = make((uint32_t)i);
        sizes[i] = (uint32_t)tri_gguf_bytes(g);
        memcpy(bytes + at, tri_gguf_end(g, NULL) - sizes[i], sizes[i]);
        at += sizes[i];
        tri_gguf_close(g);
    }
    memcpy(bytes, &sizes[0], sizeof sizes[0]);
    fuzz_add(bytes, at, at);
}
