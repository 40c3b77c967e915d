/* Damaged and random templates through parsing and rendering. Nothing may crash or hang; what is refused must say why and
 * where.
 *
 *     clang -fsanitize=fuzzer,address,undefined ...                libFuzzer's own loop
 *     fuzz_jinja AMOUNT SEED [FILES...]   (-DTRI_FUZZ_SMOKE)       a fixed number of templates
 *
 * AMOUNT is a number of templates, or seconds written "10s". FILES ending in .jinja are good templates to begin with;
 * others are left alone. */
#define _GNU_SOURCE
#include "text/jinja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char data_text[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" S \"}, {\"role\": \"user\", \"content\": \"u\\u00e9 <|eot_id|>\"},"
    " {\"role\": \"assistant\", \"content\": \"\"}], \"add_generation_prompt\": true, \"n\": 7, \"d\": {\"k\": [1, null]}}";

/* What an error must be, whatever the template. */
static void expect_reason(const struct tri_error *e)
{
    if ((e->status == TRI_BAD_FILE || e->status == TRI_UNSUPPORTED) && strncmp(e->text, "fuzz:", 5) == 0)
        return;
    fprintf(stderr, "refused with status %d and text \"%s\"\n", e->status, e->text);
    abort();
}

/* libFuzzer's entry; true work whatever drives it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *own, *foreign;
    struct tri_error e = {0};
    struct tri_marked out;
    if (!own) {
        own = json_pack("{ssss}", "bos_token", "<s>", "eos_token", "</s>");
        foreign = json_loads(data_text, 0, NULL);
    }
    struct tri_jinja *t = tri_jinja_new((const char *)data, size, "fuzz", &e);
    if (!t || tri_jinja_render(t, own, foreign, &out, &e) != TRI_OK) {
        expect_reason(&e);
    } else {
        for (size_t i = 0; i < out.size; i++)
            if (out.own[i] > 1)
                abort();
        tri_marked_free(&out);
    }
    tri_jinja_free(t);
    return 0;
}

#ifdef TRI_FUZZ_SMOKE

#include <time.h>

enum { MOST_SEEDS = 64, MOST_BYTES = 1 << 16 };
static char *seeds[MOST_SEEDS];
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

static const char *const good[] = {
    "{% for m in messages %}{{ m['role'] | capitalize + ': ' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}",
    ("{%- if messages[0]['role'] == 'system' -%}{% set rest = messages[1:] %}{%- else -%}{% set rest = messages %}{% endif %}"
    "{% for m in rest if m.content %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('odd') }}"
    "{% endif %}{{ bos_token ~ m.content.split('<')[-1] }}{% endfor %}"),
    ("{% set ns = namespace(a=0, s='') %}{% for i in range(9) %}{% set ns.a = ns.a + i * 2 - 1 %}{% set ns.s = ns.s ~ i %}"
    "{% endfor %}{{ ns.a // 3 }}{{ ns.s[::1] }}{{ [ns.s, 'b', none] | tojson }}"),
    "{% for k, v in d.items() %}{{ k }}{{ v | join(',') if v is sequence else v }}{% else %}x{% endfor %}{# c -#}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ {'a': (1, 2)}.a[0] }}{{ not n in [1, -7] }}",
};

static const char *const pieces[] = {
    "{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "if ", "for x in ", "set x = ", "set ns.x = ", "endif", "endfor",
    "else", "elif ", "messages", "n", "d", "x", "loop", "namespace(x=1)", "range(9)", "'a'", "\"<|\"", "1", "9223372036854775807",
    "-", "+", "~", "*", "%", "//", "==", "<", "in ", "not ", "and ", "or ", "is ", "defined", "none", "[", "]", "(", ")", "{", "}",
    ".", ",", ":", "|", "trim", "tojson", "join", "list", "first", "replace('a', 'aa')", ".split()", ".items()", ".content", "\n",
    " ", "\\", "'", "\xC3", "\xE2\x80\x83",
};

/* A good template with bytes changed, pieces put in and parts cut out or doubled; or pieces alone. */
static size_t make(char *b)
{
    size_t size = 0;
    if (below(4)) {
        const char *seed = seeds[below(seed_count)];
        size = strlen(seed);
        memcpy(b, seed, size);
    }
    for (size_t edits = size ? 1 + below(5) : 1 + below(60); edits; edits--) {
        const char *piece = pieces[below(sizeof pieces / sizeof *pieces)];
        const size_t at = size && below(2) ? below(size) : size, n = below(3) ? strlen(piece) : below(24);
        const size_t kind = below(4), part = n < size - at ? n : size - at;
        if (kind == 0 && part) { /* cut out */
            memmove(b + at, b + at + part, size - at - part);
            size -= part;
        } else if (kind == 1 && part && size + part < MOST_BYTES) { /* doubled */
            memmove(b + at + part, b + at, size - at);
            size += part;
        } else if (size + strlen(piece) < MOST_BYTES) {
            memmove(b + at + strlen(piece), b + at, size - at);
            memcpy(b + at, piece, strlen(piece));
            size += strlen(piece);
        }
    }
    return size;
}

/* In a block of exactly its size, so that ASan sees any read past the end. */
static void try_one(void)
{
    static char b[MOST_BYTES];
    const size_t size = make(b);
    uint8_t *exact = malloc(size + !size);
    if (!exact)
        exit(1);
    memcpy(exact, b, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void add_file(const char *name)
{
    FILE *f = fopen(name, "rb");
    char *text = calloc(1, MOST_BYTES);
    if (!f || !text || seed_count == MOST_SEEDS) {
        fprintf(stderr, "fuzz_jinja: %s: cannot be read, or there are too many\n", name);
        exit(1);
    }
    if (fread(text, 1, MOST_BYTES / 2, f) == 0)
        exit(1);
    fclose(f);
    seeds[seed_count++] = text;
}

int main(int argc, char **argv)
{
    char *unit = NULL;
    if (argc < 3) {
        fprintf(stderr, "fuzz_jinja: expected AMOUNT SEED [FILES...]\n");
        return 1;
    }
    unsigned long long amount = strtoull(argv[1], &unit, 10), tried = 0;
    const time_t end = *unit == 's' ? time(NULL) + (time_t)amount : 0;
    state = strtoull(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        seeds[seed_count++] = strdup(good[i]);
    for (int i = 3; i < argc; i++)
        if (strlen(argv[i]) > 6 && strcmp(argv[i] + strlen(argv[i]) - 6, ".jinja") == 0)
            add_file(argv[i]);
    for (size_t i = 0; i < seed_count; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)seeds[i], strlen(seeds[i]));
    for (; end ? time(NULL) < end : tried < amount; tried++)
        try_one();
    printf("fuzz_jinja: seed %s, %llu templates, nothing broke\n", argv[2], tried);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i]);
    return 0;
}

#endif
