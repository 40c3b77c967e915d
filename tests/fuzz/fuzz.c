/* Owns: mutations of good inputs, and reading all that a model's file holds. Leaves out what inputs are (fuzz_*.c). */
#include "fuzz.h"

#include "file/ternary.h"
#include "model/model.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What an error must be, whatever the file. */
void fuzz_expect_reason(const struct tri_error *e)
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

void fuzz_touch(const void *memory, size_t size)
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
        fuzz_expect_reason(&e);
        return;
    }
    for (size_t i = 0; i < count; i++)
        fuzz_touch(texts[i].at, texts[i].size);
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
        fuzz_expect_reason(&e);
    if (tri_gguf_text(g, name, &text, &e) == TRI_OK)
        fuzz_touch(text.at, text.size);
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
        fuzz_expect_reason(&e);
    if (t->encoding->floats)
        t->encoding->floats(t, row, floats);
    fuzz_touch(trits, k);
    fuzz_touch(floats, k * sizeof *floats);
}

static void read_tensor(const struct tri_gguf *g, const struct tri_tensor *t)
{
    struct tri_ternary w;
    struct tri_error e;
    if (tri_gguf_tensor(g, t->name) != t)
        abort();
    const bool ternary = tri_ternary_read(&w, t, &e) == TRI_OK;
    if (!ternary)
        fuzz_expect_reason(&e);
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
        fuzz_expect_reason(&e);
        return;
    }
    if (tri_tokenize(t, text, sizeof text, TRI_ADD_SPECIAL | TRI_PARSE_SPECIAL, &ids, &e))
        fuzz_expect_reason(&e);
    for (size_t i = 0; i < ids.count; i++) {
        struct tri_text bytes = tri_token_bytes(t, ids.at[i], true);
        fuzz_touch(bytes.at, bytes.size);
    }
    tri_ids_free(&ids);
    tri_tokenizer_free(t);
}

void fuzz_read_model(const struct tri_gguf *g)
{
    struct tri_error e = {0};
    struct tri_config config;
    for (size_t i = 0; i < tri_gguf_key_count(g); i++)
        read_key(g, tri_gguf_key_at(g, i));
    for (size_t i = 0; i < tri_gguf_tensor_count(g); i++)
        read_tensor(g, tri_gguf_tensor_at(g, i));
    if (tri_config_read(g, &config, &e))
        fuzz_expect_reason(&e);
    read_tokenizer(g);
}

/* -- good inputs --------------------------------------------------------- */

struct seed {
    uint8_t *bytes;
    size_t size, head;
};

enum { MOST_SEEDS = 128 };
static struct seed seeds[MOST_SEEDS];
static size_t seed_count;

void fuzz_die(const char *what, const char *name)
{
    fprintf(stderr, "fuzz: %s: %s\n", name, what);
    exit(1);
}

void fuzz_add(const void *bytes, size_t size, size_t head)
{
    uint8_t *copy = malloc(size + !size);
    if (seed_count == MOST_SEEDS || !copy)
        fuzz_die("more good inputs than there is room for", "fuzz_add");
    memcpy(copy, bytes, size);
    seeds[seed_count++] = (struct seed){copy, size, head < size ? head : size};
}

uint8_t *fuzz_hex(const char *hex, size_t *size)
{
    *size = strlen(hex) / 2;
    uint8_t *bytes = malloc(*size + !*size);
    for (size_t i = 0; i < *size; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            fuzz_die("not hex", hex);
        bytes[i] = (uint8_t)byte;
    }
    return bytes;
}

json_t *fuzz_vectors(const char *path)
{
    json_error_t problem;
    json_t *root = json_load_file(path, 0, &problem);
    if (!root)
        fuzz_die(problem.text, path);
    return root;
}

void fuzz_add_good(const char *path)
{
    json_t *root = fuzz_vectors(path), *c;
    size_t i, size;
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        if (!json_is_true(json_object_get(c, "ok")))
            continue;
        uint8_t *bytes = fuzz_hex(json_string_value(json_object_get(c, "hex")), &size);
        fuzz_add(bytes, size, size);
        free(bytes);
    }
    json_decref(root);
}

void fuzz_add_file(const char *path)
{
    enum { HEAD = 128 << 10 };
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        fuzz_die("cannot be read", path);
    const size_t size = (size_t)ftell(f);
    uint8_t *bytes = malloc(size);
    rewind(f);
    if (fread(bytes, 1, size, f) != size)
        fuzz_die("cannot be read", path);
    fclose(f);
    fuzz_add(bytes, size, HEAD);
    free(bytes);
}

#ifdef TRI_FUZZ_SMOKE

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

/* -- mutations: each gets a block with room for MOST_GROWTH bytes more, and returns the new size -------- */

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

/* Of JSON, expressions and templates. */
static size_t set_sign(const struct seed *s, uint8_t *b, size_t size)
{
    static const char signs[] = "[]{}()|*+?\\^$-,:%\"0aps \0\xff";
    if (size)
        b[place(s, size)] = (uint8_t)signs[below(sizeof signs - 1)];
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
        0, 1, 2, 3, 7, 8, 9, 12, 13, 31, 32, 33, 36, 63, 64, 65, 127, 128, 255, 256, 65535, 65536,
        INT32_MAX, (uint64_t)INT32_MAX + 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX,
        (uint64_t)INT64_MAX + 1, UINT64_MAX - 7, UINT64_MAX - 31, UINT64_MAX - 1, UINT64_MAX, (uint64_t)1 <<
        61, (uint64_t)1 << 62, 0x7f800000, 0x7fc00000, 0xbf800000,
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

/* Bytes of any seed between those here. */
static size_t insert(const struct seed *s, uint8_t *b, size_t size)
{
    const struct seed *other = &seeds[below(seed_count)];
    const size_t to = place(s, size), from = place(other, other->size), most = other->size - from;
    size_t n = below(64);
    n = n < most ? n : most;
    memmove(b + to + n, b + to, size - to);
    memcpy(b + to, other->bytes + from, n);
    return size + n;
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

static bool begins_word(uint8_t c)
{
    return c == '"' || (c >= '0' && c <= '9');
}

/* Of a number, or of a text in quotes, that begins at b[from]: its size. */
static size_t word_size(const uint8_t *b, size_t size, size_t from)
{
    const bool quoted = b[from] == '"';
    size_t n = 1;
    while (from + n < size && (quoted ? b[from + n] != '"' : b[from + n] >= '+' && b[from + n] <= '9'))
        n++;
    return from + n < size ? n + quoted : n;
}

/* A number or text of JSON becomes another value. */
static size_t replace_word(const struct seed *s, uint8_t *b, size_t size)
{
    static const char *const words[] = {"0", "1", "-1", "2", "3", "4", "64", "1e999", "0.5", "1e-30", "2147483648",
                                        "18446744073709551615", "9223372036854775807", "null", "true", "false", "[]",
                                        "{}", "\"\"", "\"U8\"", "\"BF16\"", "\"F32\"", "[0,8]", "\"\\ud800\"",
                                        "\"\\u0000\""};
    const char *word = words[below(sizeof words / sizeof *words)];
    const size_t with = strlen(word);
    size_t at = place(s, size), tail;
    while (at < size && !begins_word(b[at]))
        at++;
    if (at >= size)
        return size;
    tail = at + word_size(b, size, at);
    memmove(b + at + with, b + tail, size - tail);
    memcpy(b + at, word, with);
    return at + with + size - tail;
}

typedef size_t mutation(const struct seed *s, uint8_t *b, size_t size);
static mutation *const mutations[] = {flip_bit, set_byte, set_sign, set_integer,  set_integer,  splice,
                                      insert,   cut_out,  repeat,   replace_word, replace_word, truncate_it};

/* -- the loop ------------------------------------------------------------ */

enum { PATIENCE = 60, MOST_MEMORY = 2 << 20 }; /* seconds for an input, KiB for all */

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
    alarm(PATIENCE);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void write_seeds(const char *directory)
{
    for (size_t i = 0; i < seed_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/good-%zu", directory, i);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(seeds[i].bytes, 1, seeds[i].size, f) != seeds[i].size || fclose(f))
            fuzz_die("cannot be written", path);
    }
}

static unsigned long long run(const char *amount_text)
{
    char *unit;
    const unsigned long long amount = strtoull(amount_text, &unit, 10);
    const time_t end = *unit == 's' ? time(NULL) + (time_t)amount : 0;
    unsigned long long tried = 0;
    for (size_t i = 0; i < seed_count; i++)
        LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].size);
    for (; end ? time(NULL) < end : tried < amount; tried++)
        try_one();
    alarm(0);
    return tried;
}

static void check_memory(void)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0 && used.ru_maxrss > MOST_MEMORY)
        fuzz_die("some input took more memory than 2 GiB", "memory");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fuzz_die("expected AMOUNT SEED, or --write DIRECTORY", "usage");
    fuzz_seeds();
    if (strcmp(argv[1], "--write") == 0) {
        write_seeds(argv[2]);
    } else {
        state = strtoull(argv[2], NULL, 10);
        printf("%s: seed %s, %zu good inputs\n", argv[0], argv[2], seed_count);
        fflush(stdout);
        printf("%llu mutations, nothing broke\n", run(argv[1]));
        check_memory();
    }
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    return 0;
}

#endif
