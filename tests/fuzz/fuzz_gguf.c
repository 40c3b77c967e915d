/* Damaged GGUF files through everything that reads them before a model runs. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    struct tri_gguf *g = tri_gguf_read(data, size, "fuzz", &e);
    if (g)
        fuzz_read_model(g);
    else
        fuzz_expect_reason(&e);
    tri_gguf_close(g);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_add_good("tests/vectors/gguf.json");
    fuzz_add_file("tests/model/tiny-tales-i2_s.gguf");
}
