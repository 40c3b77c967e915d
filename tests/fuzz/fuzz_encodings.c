/* Damaged tensors of every ternary encoding that GGUF files have: all rows and scales, and I2_S in every layout. */
#include "fuzz.h"

#include "file/gguf_write.h"
#include "file/ternary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { I2_S = 36, TL1 = 38, TL2 = 39, TAIL = 32,
       TL_SIDE = 1536 /* of a matrix whose configuration is known */ };

static void read_rows(const struct tri_tensor *t)
{
    struct tri_error e = {0};
    struct tri_ternary w;
    const size_t k = (size_t)t->ne[0];
    if (tri_ternary_read(&w, t, &e) != TRI_OK) {
        fuzz_expect_reason(&e);
        return;
    }
    int8_t *trits = malloc(k);
    float *scales = malloc((size_t)w.groups * sizeof *scales);
    for (int64_t row = 0; row < tri_tensor_rows(t); row++) {
        if (tri_ternary_row(&w, row, trits, &e) != TRI_OK) {
            fuzz_expect_reason(&e);
            break;
        }
        for (size_t i = 0; i < k; i++)
            if (trits[i] < -1 || trits[i] > 1)
                abort();
        tri_ternary_scales(&w, row, scales);
        fuzz_touch(scales, (size_t)w.groups * sizeof *scales);
    }
    free(trits);
    free(scales);
}

static void read_all(const struct tri_gguf *g)
{
    for (size_t i = 0; i < tri_gguf_tensor_count(g); i++)
        read_rows(tri_gguf_tensor_at(g, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const layouts[] = {"64", "rows4", "sequence", "row-tail"};
    struct tri_error e = {0};
    struct tri_gguf *g = tri_gguf_read(data, size, "fuzz", &e);
    if (!g) {
        fuzz_expect_reason(&e);
        return 0;
    }
    read_all(g);
    const bool flat = tri_gguf_tensor_count(g) > 0 && tri_gguf_tensor_at(g, 0)->encoding->id == I2_S;
    for (int layout = 0; flat && layout < 4; layout++)
        if (tri_gguf_set_i2s_layout(g, layouts[layout], &e) == TRI_OK)
            read_all(g);
        else
            fuzz_expect_reason(&e);
    tri_gguf_close(g);
    return 0;
}

/* A file of one tensor; `data` shorter than the tensor: zeros behind it, but for the scale in its tail. */
static void add_tensor(const struct tri_encoding *encoding, int64_t k, int64_t rows, const uint8_t *data, size_t size)
{
    static const float scale = 0.5f;
    struct tri_error e;
    struct tri_gguf_writer *w = tri_gguf_compose(&e);
    struct tri_tensor t = {.name = "blk.0.attn_q.weight", .encoding = encoding, .dims = 2,
                           .ne = {k, rows, 1, 1}};
    if (!w || tri_tensor_size(&t, &e) != TRI_OK || size > t.bytes)
        fuzz_die(!w || size <= t.bytes ? e.text : "more bytes than it can have", encoding->name);
    if (encoding == &tri_encoding_tl2)
        tri_gguf_add_uint(w, "general.file_type", TL2);
    const int tensor = tri_gguf_add_tensor(w, &t);
    if (tri_gguf_begin(w, &e) != TRI_OK || tri_gguf_write(w, tensor, 0, data, size, &e) != TRI_OK)
        fuzz_die(e.text, encoding->name);
    const bool tail = encoding->block_bytes == 0 && size <= t.bytes - TAIL;
    if (tail && tri_gguf_write(w, tensor, t.bytes - TAIL, &scale, sizeof scale, &e) != TRI_OK)
        fuzz_die(e.text, encoding->name);
    struct tri_gguf *g = tri_gguf_composed(w, "tensor", &e);
    tri_gguf_discard(w);
    if (!g)
        fuzz_die(e.text, encoding->name);
    const size_t all = (size_t)tri_gguf_bytes(g);
    fuzz_add(tri_gguf_end(g, NULL) - all, all, all);
    tri_gguf_close(g);
}

/* Rows of `weights`, or one row in one text. */
static void add_case(uint32_t id, const json_t *c)
{
    const json_t *weights = json_object_get(c, "weights"), *first = json_array_get(weights, 0);
    const char *row = json_string_value(first ? first : weights);
    size_t size;
    uint8_t *data = fuzz_hex(json_string_value(json_object_get(c, "bytes_hex")), &size);
    add_tensor(tri_encoding_find(id), (int64_t)strlen(row), first ? (int64_t)json_array_size(weights) : 1, data, size);
    free(data);
}

static void add_cases(uint32_t id, const char *path, const char *list)
{
    json_t *root = fuzz_vectors(path), *part = list ? json_object_get(root, list) : root, *c;
    const json_t *cases = json_object_get(part, "cases");
    size_t i;
    json_array_foreach(cases, i, c)
        if (id != I2_S || json_integer_value(json_object_get(c, "group")) == 128)
            add_case(id, c);
    if (json_array_size(cases) == 0)
        fuzz_die("no cases", path);
    json_decref(root);
}

void fuzz_seeds(void)
{
    add_cases(34, "tests/vectors/tq1_0.json", NULL);
    add_cases(35, "tests/vectors/tq2_0.json", NULL);
    add_cases(42, "tests/vectors/q2_0.json", NULL);
    add_cases(134, "tests/vectors/iq_bn.json", "iq1_bn");
    add_cases(135, "tests/vectors/iq_bn.json", "iq2_bn");
    add_cases(335, "tests/vectors/iq_bn.json", "iq2_bn_r4");
    add_cases(36, "tests/vectors/i2_s.json", NULL);
    add_tensor(tri_encoding_find(TL1), TL_SIDE, TL_SIDE, NULL, 0);
    add_tensor(&tri_encoding_tl2, TL_SIDE, TL_SIDE, NULL, 0);
}
