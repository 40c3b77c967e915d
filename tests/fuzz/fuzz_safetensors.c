/* Damaged safetensors files: every tensor of those that are read. */
#include "fuzz.h"

#include "file/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    struct tri_safetensors *s = tri_safetensors_read(data, size, "fuzz", &e);
    if (!s)
        fuzz_expect_reason(&e);
    for (size_t i = 0; s && i < tri_safetensors_count(s); i++) {
        const struct tri_safetensor *t = tri_safetensors_at(s, i);
        if (tri_safetensors_find(s, t->name) != t || (t->dims == 0 && t->bytes != (uint64_t)t->dtype->bytes))
            abort();
        fuzz_touch(t->data, t->bytes);
    }
    tri_safetensors_close(s);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_add_good("tests/vectors/safetensors.json");
}
