/* Files of the writer as the reader sees them: keys of every kind, tensors where they belong; and that a file appears
 * whole or not at all. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/gguf_write.h"

static char directory[] = "/tmp/tritune-write-XXXXXX";
static char path[64];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/model.gguf", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static int files(void)
{
    int count = 0;
    DIR *d = opendir(directory);
    for (struct dirent *entry; (entry = readdir(d));)
        count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

static struct tri_gguf_writer *create(uint32_t alignment)
{
    struct tri_error e;
    struct tri_gguf_writer *w = tri_gguf_create(path, alignment, &e);
    if (!w)
        fail_msg("%s", e.text);
    return w;
}

static struct tri_gguf *reopen(void)
{
    struct tri_error e;
    struct tri_gguf *g = tri_gguf_open(path, &e);
    if (!g)
        fail_msg("%s", e.text);
    return g;
}

static struct tri_tensor floats_of(const char *name, int count)
{
    struct tri_tensor t = {.encoding = tri_encoding_find(0), .dims = 1, .ne = {count, 1, 1, 1}};
    snprintf(t.name, sizeof t.name, "%s", name);
    return t;
}

static void must(enum tri_status status, const struct tri_error *e)
{
    if (status != TRI_OK)
        fail_msg("%s", e->text);
}

static const char *const words[] = {"", "a", "two words"};

static void add_keys(struct tri_gguf_writer *w)
{
    const int32_t kinds[] = {1, -3, 1 << 30};
    tri_gguf_add_text(w, "general.architecture", "llama");
    tri_gguf_add_uint(w, "a.uint", 4000000000u);
    tri_gguf_add_float(w, "a.float", 0.1f);
    tri_gguf_add_bool(w, "a.bool", true);
    tri_gguf_add_array(w, "a.kinds", TRI_I32, 3, kinds);
    tri_gguf_add_texts(w, "a.words", 3);
    for (int i = 0; i < 3; i++)
        tri_gguf_add_element(w, (struct tri_text){words[i], strlen(words[i])});
    tri_gguf_add_texts(w, "a.nothing", 0);
}

static void expect_keys(const struct tri_gguf *g)
{
    struct tri_error e;
    struct tri_text text, *texts;
    uint64_t whole = 0;
    size_t count = 0;
    float real = 0;
    bool on = false;
    must(tri_gguf_text(g, "general.architecture", &text, &e), &e);
    assert_true(text.size == 5 && memcmp(text.at, "llama", 5) == 0);
    must(tri_gguf_uint(g, "a.uint", &whole, &e), &e);
    assert_int_equal(whole, 4000000000u);
    must(tri_gguf_float(g, "a.float", &real, &e), &e);
    assert_true(real == 0.1f);
    must(tri_gguf_bool(g, "a.bool", &on, &e), &e);
    assert_true(on);
    assert_true(tri_gguf_element(tri_gguf_find(g, "a.kinds"), 1) == -3);
    must(tri_gguf_texts(g, "a.words", &texts, &count, &e), &e);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(texts[i].size == strlen(words[i]) && memcmp(texts[i].at, words[i], texts[i].size) == 0);
    free(texts);
    assert_int_equal(tri_gguf_find(g, "a.nothing")->count, 0);
}

/* Tensors of odd sizes, the last written first; alignments that need a key and one that does not. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    const float values[] = {1, 2, 3, 4, 5};
    for (uint32_t alignment = 32; alignment <= 4096; alignment *= 128) {
        struct tri_error e;
        struct tri_gguf_writer *w = create(alignment);
        add_keys(w);
        struct tri_tensor first = floats_of("first", 3), second = floats_of("second", 5);
        const int a = tri_gguf_add_tensor(w, &first), b = tri_gguf_add_tensor(w, &second);
        must(tri_gguf_begin(w, &e), &e);
        must(tri_gguf_write(w, b, 0, values, sizeof values, &e), &e);
        must(tri_gguf_write(w, a, 4, values, 4, &e), &e);
        must(tri_gguf_commit(w, &e), &e);
        tri_gguf_discard(w);
        assert_int_equal(files(), 1);

        struct tri_gguf *g = reopen();
        assert_int_equal(tri_gguf_version(g), 3);
        assert_int_equal(tri_gguf_key_count(g), 7 + (alignment != 32));
        expect_keys(g);
        const float expected[] = {0, 1, 0};
        const struct tri_tensor *t = tri_gguf_tensor(g, "first");
        assert_true(t->bytes == sizeof expected && t->offset % alignment == 0);
        assert_memory_equal(t->data, expected, sizeof expected);
        t = tri_gguf_tensor(g, "second");
        assert_true(t->bytes == sizeof values && t->offset % alignment == 0);
        assert_memory_equal(t->data, values, sizeof values);
        tri_gguf_close(g);
    }
}

/* Every key of a file that has all kinds, over the file itself. */
static void keys_are_copied(void **state)
{
    (void)state;
    struct tri_error e;
    struct tri_gguf_writer *w = create(32);
    add_keys(w);
    must(tri_gguf_begin(w, &e), &e);
    must(tri_gguf_commit(w, &e), &e);
    tri_gguf_discard(w);
    struct tri_gguf *g = reopen();
    w = create(32);
    for (size_t i = 0; i < tri_gguf_key_count(g); i++)
        tri_gguf_add_key(w, tri_gguf_key_at(g, i));
    must(tri_gguf_begin(w, &e), &e);
    must(tri_gguf_commit(w, &e), &e);
    tri_gguf_discard(w);
    struct tri_gguf *copy = reopen();
    assert_int_equal(tri_gguf_bytes(copy), tri_gguf_bytes(g));
    expect_keys(copy);
    tri_gguf_close(g);
    tri_gguf_close(copy);
}

static void without_commit_nothing_stays(void **state)
{
    (void)state;
    struct tri_error e;
    unlink(path);
    struct tri_gguf_writer *w = create(32);
    add_keys(w);
    must(tri_gguf_begin(w, &e), &e);
    tri_gguf_discard(w);
    assert_int_equal(files(), 0);
}

/* No place, no file: a directory that is not there, and one in the file's place. */
static void places_are_checked(void **state)
{
    (void)state;
    struct tri_error e;
    assert_null(tri_gguf_create("/nonexistent/model.gguf", 32, &e));
    assert_int_equal(e.status, TRI_FAILED);
    assert_non_null(strstr(e.text, "/nonexistent/model.gguf: cannot be written"));
    assert_null(tri_gguf_create(directory, 32, &e));
    assert_int_equal(e.status, TRI_USAGE);
    assert_non_null(strstr(e.text, "expected a regular file"));
}

static void begin_with(int64_t floats, const char *words_of_error)
{
    struct tri_error e;
    struct tri_gguf_writer *w = create(32);
    struct tri_tensor t = floats_of("large", 1);
    t.ne[0] = floats;
    tri_gguf_add_tensor(w, &t);
    tri_gguf_add_tensor(w, &t);
    assert_int_not_equal(tri_gguf_begin(w, &e), TRI_OK);
    if (!strstr(e.text, words_of_error))
        fail_msg("expected \"%s\" in: %s", words_of_error, e.text);
    tri_gguf_discard(w);
    assert_int_equal(files(), 0);
}

/* Before anything is written: more than the disk, the address space and the process's limit have. */
static void room_is_checked(void **state)
{
    (void)state;
    struct rlimit limit, small;
    begin_with(INT64_C(1) << 48, "expected room for");
    begin_with(INT64_C(1) << 62, "tensor large");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 1 << 20;
    setrlimit(RLIMIT_FSIZE, &small);
    begin_with(1 << 20, "expected room for");
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* Without a file: the same keys and tensors, in memory of the result's. */
static void memory_is_read(void **state)
{
    (void)state;
    const float values[] = {1, 2, 3};
    struct tri_error e;
    struct tri_gguf_writer *w = tri_gguf_compose(&e);
    assert_non_null(w);
    add_keys(w);
    const struct tri_tensor t = floats_of("first", 3);
    const int first = tri_gguf_add_tensor(w, &t);
    must(tri_gguf_begin(w, &e), &e);
    must(tri_gguf_write(w, first, 4, values + 1, 8, &e), &e);
    must(tri_gguf_write(w, first, 0, values, 4, &e), &e);
    struct tri_gguf *g = tri_gguf_composed(w, "nowhere", &e);
    tri_gguf_discard(w);
    assert_non_null(g);
    assert_string_equal(tri_gguf_name(g), "nowhere");
    expect_keys(g);
    assert_memory_equal(tri_gguf_tensor(g, "first")->data, values, sizeof values);
    tri_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_read), cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(without_commit_nothing_stays), cmocka_unit_test(places_are_checked),
        cmocka_unit_test(room_is_checked),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
