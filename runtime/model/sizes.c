/* Owns: the shapes of public models, for models made in memory. tune/shapes.lua has them for the tuner, which needs no
 * library to name its jobs; a test compares the two. */
#include "model/synth.h"

#include <string.h>

static const struct size {
    const char *name, *arch;
    int hidden, layers, heads, kv_heads, head_dim, ffn, vocab;
    float rope_theta;
    int context;
} sizes[] = {
    /*       arch            hidden layers heads kv  head   ffn   vocab   theta context */
    {"2b4t", "bitnet-b1.58", 2560, 30, 20, 5, 128, 6912, 128256, 500000, 4096},
    {"3b", "bitnet", 3200, 26, 32, 32, 100, 8640, 32002, 10000, 2048},
    {"large", "bitnet", 1536, 24, 16, 16, 96, 4096, 32002, 10000, 2048},
    {"8b", "llama", 4096, 32, 32, 8, 128, 14336, 128256, 500000, 8192},
};

bool tri_synth_size(const char *name, struct tri_config *c)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct size *s = &sizes[i];
        if (strcmp(name, s->name) != 0)
            continue;
        *c = (struct tri_config){.family = tri_family_find(s->arch), .layers = s->layers, .hidden = s->hidden,
                                 .ffn = s->ffn, .heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->head_dim,
                                 .vocab = s->vocab, .context = s->context, .rope_dims = s->head_dim,
                                 .rope_theta = s->rope_theta, .norm_eps = 1e-5f};
        return true;
    }
    return false;
}
