/* A model in several files is the model in one, whichever part is named; and parts that do not belong together are
 * refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/gguf_write.h"
#include "model/checkpoint.h"

enum { PARTS = 3 };

static const char model[] = "tests/model/tiny-tales-i2_s.gguf";
static char directory[] = "/tmp/tritune-split-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static const char *path_of(const char *stem, int part)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s-%05d-of-%05d.gguf", directory, stem, part + 1, PARTS);
    return path;
}

static int remove_directory(void **state)
{
    (void)state;
    for (int i = 0; i < PARTS; i++) {
        unlink(path_of("a", i));
        unlink(path_of("b", i));
    }
    return rmdir(directory);
}

static struct tri_gguf *open_original(void)
{
    struct tri_error e;
    struct tri_gguf *g = tri_gguf_open(model, &e);
    if (!g)
        fail_msg("%s", e.text);
    return g;
}

/* What a part says of itself, and which tensors it has: every PARTS-th from `first` on. */
struct part {
    uint32_t no, count, tensors;
    size_t first;
};

static void write_tensors(struct tri_gguf_writer *w, const struct tri_gguf *g, size_t first)
{
    struct tri_error e;
    int to = 0;
    for (size_t i = first; i < tri_gguf_tensor_count(g); i += PARTS)
        tri_gguf_add_tensor(w, tri_gguf_tensor_at(g, i));
    if (tri_gguf_begin(w, &e) != TRI_OK)
        fail_msg("%s", e.text);
    for (size_t i = first; i < tri_gguf_tensor_count(g); i += PARTS) {
        const struct tri_tensor *t = tri_gguf_tensor_at(g, i);
        if (tri_gguf_write(w, to++, 0, t->data, t->bytes, &e) != TRI_OK)
            fail_msg("%s", e.text);
    }
    if (tri_gguf_commit(w, &e) != TRI_OK)
        fail_msg("%s", e.text);
}

static void write_part(const char *path, const struct tri_gguf *g, struct part p)
{
    struct tri_error e;
    struct tri_gguf_writer *w = tri_gguf_create(path, 32, &e);
    if (!w)
        fail_msg("%s", e.text);
    for (size_t i = 0; p.no == 0 && i < tri_gguf_key_count(g); i++)
        tri_gguf_add_key(w, tri_gguf_key_at(g, i));
    tri_gguf_add_uint(w, "split.no", p.no);
    tri_gguf_add_uint(w, "split.count", p.count);
    tri_gguf_add_uint(w, "split.tensors.count", p.tensors);
    write_tensors(w, g, p.first);
    tri_gguf_discard(w);
}

static void write_parts(const char *stem, const struct tri_gguf *g)
{
    const uint32_t all = (uint32_t)tri_gguf_tensor_count(g);
    for (uint32_t i = 0; i < PARTS; i++)
        write_part(path_of(stem, (int)i), g, (struct part){i, PARTS, all, i});
}

static void expect_same(const struct tri_gguf *g, const struct tri_gguf *whole)
{
    assert_int_equal(tri_gguf_key_count(g), tri_gguf_key_count(whole));
    assert_int_equal(tri_gguf_tensor_count(g), tri_gguf_tensor_count(whole));
    for (size_t i = 0; i < tri_gguf_tensor_count(whole); i++) {
        const struct tri_tensor *a = tri_gguf_tensor_at(whole, i), *b = tri_gguf_tensor(g, a->name);
        assert_non_null(b);
        assert_true(a->encoding == b->encoding && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0);
        assert_true(tri_gguf_end(g, b->data) >= b->data + b->bytes);
    }
}

static void any_part_opens_all(void **state)
{
    (void)state;
    struct tri_error e;
    struct tri_gguf *whole = open_original();
    write_parts("a", whole);
    for (int i = 0; i < PARTS; i++) {
        struct tri_gguf *g = tri_checkpoint_open(path_of("a", i), &e);
        if (!g)
            fail_msg("%s", e.text);
        expect_same(g, whole);
        assert_true(tri_gguf_bytes(g) > tri_gguf_bytes(whole));
        tri_gguf_close(g);
    }
    tri_gguf_close(whole);
}

static void refused(const char *path, const char *reason)
{
    struct tri_error e;
    struct tri_gguf *g = tri_checkpoint_open(path, &e);
    assert_null(g);
    assert_int_equal(e.status, TRI_BAD_FILE);
    if (!strstr(e.text, reason))
        fail_msg("expected \"%s\" in \"%s\"", reason, e.text);
}

/* The second part is wrong in one way each. */
static void strange_parts_are_refused(void **state)
{
    (void)state;
    struct tri_gguf *g = open_original();
    const uint32_t all = (uint32_t)tri_gguf_tensor_count(g);
    const struct {
        struct part part;
        const char *reason;
    } cases[] = {
        {{2, PARTS, all, 1}, "expected part 2 of 3"},
        {{1, PARTS + 1, all, 1}, "found part 2 of 4"},
        {{1, PARTS, all + 1, 1}, "belongs to another model"},
        {{1, PARTS, all, 0}, "is in another part of the model already"},
        {{1, PARTS, all, 1 + PARTS}, "split.tensors.count"},
    };
    write_parts("b", g);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_part(path_of("b", 1), g, cases[i].part);
        refused(path_of("b", 0), cases[i].reason);
    }
    unlink(path_of("b", 1));
    refused(path_of("b", 0), "part 2 of 3");
    refused(path_of("b", 2), "b-00002-of-00003.gguf: cannot be opened");
    tri_gguf_close(g);
}

static void a_part_needs_its_name(void **state)
{
    (void)state;
    char path[128];
    struct tri_gguf *g = open_original();
    snprintf(path, sizeof path, "%s/renamed.gguf", directory);
    write_part(path, g, (struct part){0, PARTS, 1, 0});
    refused(path, "MODEL-00001-of-00003.gguf");
    unlink(path);
    tri_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_part_opens_all),
                                       cmocka_unit_test(strange_parts_are_refused),
                                       cmocka_unit_test(a_part_needs_its_name)};
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
