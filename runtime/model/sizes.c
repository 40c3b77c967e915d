/* Owns: the shapes of public models, for random ones like them, and what these hold if nothing is said. tune/shapes.lua
 * has those that are tuned for, and needs no library to name its jobs; a test compares the two. */
#include "model/synth.h"

#include <string.h>

enum { F16 = 1 };

static const struct size {
    const char *name, *arch;
    int hidden, layers, heads, kv_heads, head_dim, ffn, vocab;
    float rope_theta, norm_eps;
    int context;
    bool head, norms_in; /* an output matrix of its own; a norm on the input of every projection */
} sizes[] = {
    /*            arch            hidden layers heads kv  head  ffn   vocab   theta    eps  context head norms_in */
    {"2b4t",        "bitnet-b1.58", 2560, 30, 20, 5, 128, 6912, 128256, 500000, 1e-5f, 4096, false, false},
    {"large",       "bitnet", 1536, 24, 16, 16, 96, 4096, 32002, 10000, 1e-5f, 2048, false, false},
    {"xl",          "bitnet", 2048, 24, 32, 32, 64, 5460, 32002, 10000, 1e-5f, 2048, false, false},
    {"3b",          "bitnet", 3200, 26, 32, 32, 100, 8640, 32002, 10000, 1e-5f, 2048, false, false},
    {"llama3-8b",   "llama", 4096, 32, 32, 8, 128, 14336, 128256, 500000, 1e-5f, 8192, true, false},
    {"falcon3-1b",  "llama", 2048, 18, 8, 4, 256, 8192, 131072, 1000042, 1e-6f, 8192, true, false},
    {"falcon3-3b",  "llama", 3072, 22, 12, 4, 256, 9216, 131072, 1000042, 1e-6f, 32768, true, false},
    {"falcon3-7b",  "llama", 3072, 28, 12, 4, 256, 23040, 131072, 1000042, 1e-6f, 32768, true, false},
    {"falcon3-10b", "llama", 3072, 40, 12, 4, 256, 23040, 131072, 1000042, 1e-6f, 32768, true, false},
    {"falcon-e-1b", "llama", 2048, 24, 16, 2, 128, 9216, 32768, 1000000, 1e-5f, 32768, true, false},
    {"falcon-e-3b", "llama", 2048, 32, 16, 2, 128, 13312, 32768, 1000000, 1e-5f, 32768, true, false},
    {"embedding-0.6b", "qwen3", 1024, 28, 16, 8, 128, 3072, 151936, 1000000, 1e-6f, 32768, false, true},
    {"embedding-270m", "gemma3", 640, 18, 4, 1, 256, 2048, 262144, 10000, 1e-6f, 32768, false, true},
    {"125m",        "bitnet", 768, 11, 12, 12, 64, 3072, 32002, 10000, 1e-5f, 2048, false, false},
    {"350m",        "bitnet", 1024, 24, 16, 16, 64, 3072, 32002, 10000, 1e-5f, 2048, false, false},
    {"1b",          "bitnet", 2048, 24, 32, 32, 64, 3584, 32002, 10000, 1e-5f, 2048, false, false},
    {"1.5b",        "bitnet", 1536, 28, 32, 32, 48, 9216, 32002, 10000, 1e-5f, 2048, false, false},
    {"2.7b",        "bitnet", 3072, 24, 32, 32, 96, 7680, 32002, 10000, 1e-5f, 2048, false, false},
    {"3.8b",        "bitnet", 3840, 24, 32, 32, 120, 8192, 32002, 10000, 1e-5f, 2048, false, false},
    {"7b",          "bitnet", 4096, 32, 32, 32, 128, 12032, 32002, 10000, 1e-5f, 2048, false, false},
    {"13b",         "bitnet", 5120, 40, 40, 40, 128, 13824, 32002, 10000, 1e-5f, 2048, false, false},
    {"30b",         "bitnet", 6656, 60, 52, 52, 128, 16384, 32002, 10000, 1e-5f, 2048, false, false},
    {"70b",         "bitnet", 8192, 80, 64, 64, 128, 24576, 32002, 10000, 1e-5f, 2048, false, false},
    {"100b",        "bitnet", 8192, 72, 64, 64, 128, 45568, 32002, 10000, 1e-5f, 2048, false, false},
};

void tri_synth_usual(struct tri_synth *s)
{
    s->seed = 1;
    s->zeros = 0.42f;
    s->ffn_sparsity = 0.5f;
    s->embedding = tri_encoding_find(F16);
    s->head = NULL;
}

bool tri_synth_size(const char *name, struct tri_synth *synth)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct size *s = &sizes[i];
        if (strcmp(name, s->name) != 0)
            continue;
        *synth = (struct tri_synth){
            .config = {.family = tri_family_find(s->arch), .layers = s->layers, .hidden = s->hidden, .ffn = s->ffn,
                       .heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->head_dim, .vocab = s->vocab,
                       .context = s->context, .rope_dims = s->head_dim, .rope_theta = s->rope_theta,
                       .norm_eps = s->norm_eps, .norms_in = s->norms_in}};
        tri_synth_usual(synth);
        synth->head = s->head ? synth->embedding : NULL;
        return true;
    }
    return false;
}
