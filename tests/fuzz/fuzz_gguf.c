/* Damaged GGUF files through everything that reads them before a model runs: the reader, every key
 * and tensor, first and last rows, the configuration, the tokenizer. Nothing may crash or hang;
 * what is refused must say why.
 *
 *     clang -fsanitize=fuzzer,address,undefined ...                libFuzzer's own loop
 *     fuzz_gguf AMOUNT SEED FILES...    (-DTRI_FUZZ_SMOKE)         a fixed number of mutations
 *
 * AMOUNT is a number of mutations, or seconds written "10s". The same amount and seed mutate alike.
 * FILES are good GGUF files, or .json vectors whose cases with "ok" are taken. */
#include "file/gguf.h"
#include "file/ternary.h"
#include "model/model.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an error must be, whatever the file. */
static void expect_reason(const struct tri_error *e)
{
    bool known =
        e->status == TRI_BAD_FILE || e->status == TRI_UNSUPPORTED || e->status == TRI_NO_MEMORY;
    if (known && e->text[0])
        return;
    fprintf(stderr, "refused with status %d and text \"%s\"\n", e->status, e->text);
    abort();
}

/* Its sum is kept, so that no read is optimised away. */
static volatile uint64_t sink;

static void touch(const void *memory, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += ((const uint8_t *)memory)[i];
    sink += sum;
}

static void read_texts(const struct tri_gguf *g, const char *name)
{
    struct tri_error e;
    struct tri_text *texts;
    size_t count;
    if (tri_gguf_texts(g, name, &texts, &count, &e)) {
        expect_reason(&e);
        return;
    }
    for (size_t i = 0; i < count; i++)
        touch(texts[i].at, texts[i].size);
    free(texts);
}

static void read_key(const struct tri_gguf *g, const struct tri_gguf_key *key)
{
    char name[256];
    struct tri_error e = {0};
    struct tri_text text;
    uint64_t integer;
    float number;
    bool flag;
    snprintf(name, sizeof name, "%.*s", (int)(key->name.size < 255 ? key->name.size : 255),
             key->name.at);
    if (key->name.size < sizeof name && tri_gguf_find(g, name) != key)
        abort();
    if (tri_gguf_uint(g, name, &integer, &e) || tri_gguf_float(g, name, &number, &e) ||
        tri_gguf_bool(g, name, &flag, &e))
        expect_reason(&e);
    if (tri_gguf_text(g, name, &text, &e) == TRI_OK)
        touch(text.at, text.size);
    if (key->element == TRI_STRING)
        read_texts(g, name);
    else if (key->count)
        sink += tri_gguf_element(key, 0) < tri_gguf_element(key, key->count - 1);
}

static void read_row(const struct tri_tensor *t, const struct tri_ternary *w, int64_t row)
{
    enum { LONGEST = 1 << 16 };
    static int8_t trits[LONGEST];
    static float floats[LONGEST];
    struct tri_error e;
    size_t k = (size_t)t->ne[0];
    if (k > LONGEST)
        return;
    if (w && tri_ternary_row(w, row, trits, &e))
        expect_reason(&e);
    if (t->encoding->floats)
        t->encoding->floats(t, row, floats);
    touch(trits, k);
    touch(floats, k * sizeof *floats);
}

static void read_tensor(const struct tri_gguf *g, const struct tri_tensor *t)
{
    struct tri_ternary w;
    struct tri_error e;
    if (tri_gguf_tensor(g, t->name) != t)
        abort();
    const bool ternary = tri_ternary_read(&w, t, &e) == TRI_OK;
    if (!ternary)
        expect_reason(&e);
    read_row(t, ternary ? &w : NULL, 0);
    read_row(t, ternary ? &w : NULL, tri_tensor_rows(t) - 1);
    sink += t->data[0] + t->data[t->bytes - 1];
}

static void read_tokenizer(const struct tri_gguf *g)
{
    static const char text[] = "Once upon a time, caf\xc3\xa9 12345 \xff<|end_of_text|>\n\n  end";
    struct tri_error e;
    struct tri_ids ids = {0};
    struct tri_tokenizer *t = tri_tokenizer_new(g, &e);
    if (!t) {
        expect_reason(&e);
        return;
    }
    if (tri_tokenize(t, text, sizeof text, TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL, &ids, &e))
        expect_reason(&e);
    for (size_t i = 0; i < ids.count; i++) {
        struct tri_text bytes = tri_token_bytes(t, ids.at[i], true);
        touch(bytes.at, bytes.size);
    }
    tri_ids_free(&ids);
    tri_tokenizer_free(t);
}

/* libFuzzer's entry; true work whatever drives it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    struct tri_config config;
    struct tri_gguf *g = tri_gguf_read(data, size, "fuzz", &e);
    if (!g) {
        expect_reason(&e);
        return 0;
    }
    for (size_t i = 0; i < tri_gguf_key_count(g); i++)
        read_key(g, tri_gguf_key_at(g, i));
    for (size_t i = 0; i < tri_gguf_tensor_count(g); i++)
        read_tensor(g, tri_gguf_tensor_at(g, i));
    if (tri_config_read(g, &config, &e))
        expect_reason(&e);
    read_tokenizer(g);
    tri_gguf_close(g);
    return 0;
}

#ifdef TRI_FUZZ_SMOKE

#include <jansson.h>
#include <time.h>

struct seed {
    uint8_t *bytes;
    size_t size, head; /* of keys and tensor records, where most lies are told */
};

enum { MOST_SEEDS = 64 };
static struct seed seeds[MOST_SEEDS];
static size_t seed_count;
static uint64_t state;

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t below(size_t n)
{
    return n ? (size_t)(draw() % n) : 0;
}

static void die(const char *what, const char *name)
{
    fprintf(stderr, "fuzz_gguf: %s: %s\n", name, what);
    exit(1);
}

static void add_seed(uint8_t *bytes, size_t size, const char *name)
{
    struct tri_error e;
    struct tri_gguf *g = tri_gguf_read(bytes, size, name, &e);
    if (!g)
        die(e.text, "not a good file to begin with");
    if (seed_count == MOST_SEEDS)
        die("more seeds than there is room for", name);
    size_t head = size;
    for (size_t i = 0; i < tri_gguf_tensor_count(g); i++)
        if (tri_gguf_tensor_at(g, i)->offset < head)
            head = tri_gguf_tensor_at(g, i)->offset;
    tri_gguf_close(g);
    seeds[seed_count++] = (struct seed){bytes, size, head};
}

static void add_hex(const char *hex, const char *name)
{
    size_t size = strlen(hex) / 2;
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            die("not hex", name);
        bytes[i] = (uint8_t)byte;
    }
    add_seed(bytes, size, name);
}

static void add_vectors(const char *path)
{
    json_error_t problem;
    json_t *root = json_load_file(path, 0, &problem), *c;
    size_t i;
    if (!root)
        die(problem.text, path);
    json_array_foreach(json_object_get(root, "cases"), i,
                       c) if (json_is_true(json_object_get(c, "ok")))
        add_hex(json_string_value(json_object_get(c, "hex")),
                json_string_value(json_object_get(c, "name")));
    json_decref(root);
}

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        die("cannot be read", path);
    size_t size = (size_t)ftell(f);
    uint8_t *bytes = malloc(size);
    rewind(f);
    if (fread(bytes, 1, size, f) != size)
        die("cannot be read", path);
    fclose(f);
    add_seed(bytes, size, path);
}

/* -- mutations: each gets a block with room for MOST_GROWTH bytes more, and returns the new size
 * ---- */

enum { MOST_GROWTH = 4096 };

/* Mostly before the tensor data, and often near the front, where the counts stand. */
static size_t place(const struct seed *s, size_t size)
{
    size_t reach = below(8) ? s->head : size;
    if (below(4) == 0)
        reach = 512;
    return below(reach < size ? reach : size);
}

static size_t flip_bit(const struct seed *s, uint8_t *b, size_t size)
{
    if (size)
        b[place(s, size)] ^= (uint8_t)(1u << below(8));
    return size;
}

static size_t set_byte(const struct seed *s, uint8_t *b, size_t size)
{
    if (size)
        b[place(s, size)] = (uint8_t)draw();
    return size;
}

static size_t truncate_it(const struct seed *s, uint8_t *b, size_t size)
{
    (void)b;
    return place(s, size);
}

static size_t set_integer(const struct seed *s, uint8_t *b, size_t size)
{
    static const uint64_t interesting[] = {
        0,
        1,
        2,
        3,
        7,
        8,
        9,
        12,
        13,
        31,
        32,
        33,
        36,
        63,
        64,
        65,
        127,
        128,
        255,
        256,
        65535,
        65536,
        INT32_MAX,
        (uint64_t)INT32_MAX + 1,
        UINT32_MAX,
        (uint64_t)UINT32_MAX + 1,
        INT64_MAX,
        (uint64_t)INT64_MAX + 1,
        UINT64_MAX - 7,
        UINT64_MAX - 31,
        UINT64_MAX - 1,
        UINT64_MAX,
        (uint64_t)1 << 61,
        (uint64_t)1 << 62,
        0x7f800000,
        0x7fc00000,
        0xbf800000,
    };
    size_t width = below(2) ? 4 : 8;
    uint64_t v = interesting[below(sizeof interesting / sizeof *interesting)];
    if (below(4) == 0)
        v = size - below(64);
    if (size >= width)
        memcpy(b + place(s, size - width + 1), &v, width);
    return size;
}

/* Bytes of any seed over those here. */
static size_t splice(const struct seed *s, uint8_t *b, size_t size)
{
    const struct seed *other = &seeds[below(seed_count)];
    size_t to = place(s, size), from = place(other, other->size), n = below(256);
    if (n > size - to)
        n = size - to;
    if (n > other->size - from)
        n = other->size - from;
    memcpy(b + to, other->bytes + from, n);
    return size;
}

static size_t cut_out(const struct seed *s, uint8_t *b, size_t size)
{
    size_t at = place(s, size), n = below(64);
    if (n > size - at)
        n = size - at;
    memmove(b + at, b + at + n, size - at - n);
    return size - n;
}

static size_t repeat(const struct seed *s, uint8_t *b, size_t size)
{
    size_t at = place(s, size), n = below(64);
    if (n > size - at)
        n = size - at;
    memmove(b + at + n, b + at, size - at);
    return size + n;
}

typedef size_t mutation(const struct seed *s, uint8_t *b, size_t size);
static mutation *const mutations[] = {flip_bit, set_byte, set_integer, set_integer,
                                      splice,   cut_out,  repeat,      truncate_it};

/* In a block of exactly its size, so that ASan sees any read past the end. */
static void try_one(void)
{
    const struct seed *s = &seeds[below(seed_count)];
    size_t size = s->size, edits = 1 + below(4);
    uint8_t *b = malloc(size + MOST_GROWTH);
    memcpy(b, s->bytes, size);
    for (size_t i = 0; i < edits; i++)
        size = mutations[below(sizeof mutations / sizeof *mutations)](s, b, size);
    uint8_t *exact = malloc(size + !size);
    memcpy(exact, b, size);
    free(b);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    char *unit;
    if (argc < 4)
        die("expected AMOUNT SEED FILES...", "usage");
    unsigned long long amount = strtoull(argv[1], &unit, 10), tried = 0;
    time_t end = *unit == 's' ? time(NULL) + (time_t)amount : 0;
    state = strtoull(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++)
        if (strlen(argv[i]) > 5 && strcmp(argv[i] + strlen(argv[i]) - 5, ".json") == 0)
            add_vectors(argv[i]);
        else
            add_file(argv[i]);
    printf("fuzz_gguf: seed %s, %zu good files\n", argv[2], seed_count);
    fflush(stdout);
    for (size_t i = 0; i < seed_count; i++)
        LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].size);
    while (end ? time(NULL) < end : tried < amount) {
        try_one();
        tried++;
    }
    printf("fuzz_gguf: %llu mutations, nothing broke\n", tried);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    return 0;
}

#endif
