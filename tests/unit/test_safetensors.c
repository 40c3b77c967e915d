/* safetensors: every vector, what the good ones hold, and several files with an index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "file/safetensors.h"
#include "vectors.h"

/* -- one file ------------------------------------------------------------ */

static void every_vector(void **state)
{
    (void)state;
    json_error_t problem;
    json_t *root = json_load_file("tests/vectors/safetensors.json", 0, &problem), *c;
    size_t i, size;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 21);
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        struct tri_error e = {0};
        const bool good = json_is_true(json_object_get(c, "ok"));
        uint8_t *bytes = from_hex(json_string_value(json_object_get(c, "hex")), 0, &size);
        struct tri_safetensors *s = tri_safetensors_read(bytes, size, "vector", &e);
        if (good != (s != NULL) || (!s && (e.status != TRI_BAD_FILE || strncmp(e.text, "vector: ", 8) != 0)))
            fail_msg("%s: %s", json_string_value(json_object_get(c, "name")), s ? "was read" : e.text);
        tri_safetensors_close(s);
        free(bytes);
    }
    json_decref(root);
}

/* The header's length and text, then the data. */
static size_t put_file(uint8_t *to, const char *header, const char *data, size_t size)
{
    const uint64_t length = strlen(header);
    memcpy(to, &length, sizeof length);
    memcpy(to + sizeof length, header, length);
    memcpy(to + sizeof length + length, data, size);
    return sizeof length + length + size;
}

static void tensors_are_found(void **state)
{
    (void)state;
    uint8_t bytes[512];
    struct tri_error e;
    const size_t size = put_file(bytes, "{\"b\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[3,7]},"
                                 "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}  ", "abcdefg", 7);
    struct tri_safetensors *s = tri_safetensors_read(bytes, size, "memory", &e);
    assert_non_null(s);
    assert_int_equal(tri_safetensors_count(s), 2);
    assert_string_equal(tri_safetensors_at(s, 0)->name, "a");
    const struct tri_safetensor *b = tri_safetensors_find(s, "b");
    assert_string_equal(b->dtype->name, "BF16");
    assert_true(b->dims == 2 && b->shape[0] == 1 && b->shape[1] == 2 && b->bytes == 4 && b->offset == size - 4);
    assert_memory_equal(b->data, "defg", 4);
    assert_string_equal(tri_safetensors_file(s, b), "memory");
    assert_null(tri_safetensors_find(s, "c"));
    tri_safetensors_close(s);
}

/* What takes many times its bytes once it is parsed is refused before that. */
static void deep_and_long_json_is_refused(void **state)
{
    (void)state;
    struct tri_error e;
    enum { LONG = 4 << 20 };
    char *header = malloc(LONG + 1);
    uint8_t *bytes = malloc(LONG + 64);
    for (int i = 0; i < 2; i++) {
        memset(header, i ? ',' : '[', LONG);
        memcpy(header, "{\"a\":", 5);
        header[LONG] = 0;
        assert_null(tri_safetensors_read(bytes, put_file(bytes, header, "", 0), "memory", &e));
        assert_non_null(strstr(e.text, "values, nested 8 deep"));
    }
    free(header);
    free(bytes);
}

/* -- several ------------------------------------------------------------- */

static char directory[] = "/tmp/tritune-safetensors-XXXXXX";
static const char *const names[] = {"one.safetensors", "two.safetensors", "x.index.json"};

static const char *path_of(int i)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    return path;
}

static void put(int i, const void *bytes, size_t size)
{
    FILE *f = fopen(path_of(i), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static int make_files(void **state)
{
    (void)state;
    uint8_t bytes[256];
    if (!mkdtemp(directory))
        return -1;
    put(0, bytes, put_file(bytes, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "x", 1));
    put(1, bytes, put_file(bytes, "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "yz", 2));
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        unlink(path_of(i));
    return rmdir(directory);
}

static struct tri_safetensors *open_index(const char *index, struct tri_error *e)
{
    put(2, index, strlen(index));
    return tri_safetensors_open(path_of(2), e);
}

static void an_index_opens_its_files(void **state)
{
    (void)state;
    struct tri_error e;
    const struct tri_map *maps;
    struct tri_safetensors *s =
        open_index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", &e);
    if (!s)
        fail_msg("%s", e.text);
    const struct tri_safetensor *b = tri_safetensors_find(s, "b");
    assert_memory_equal(b->data, "yz", 2);
    assert_string_equal(tri_safetensors_file(s, b), path_of(1));
    const uint8_t *data = b->data;
    const size_t count = tri_safetensors_take(s, &maps);
    assert_int_equal(count, 2);
    struct tri_map taken[2] = {maps[0], maps[1]};
    tri_safetensors_close(s);
    assert_memory_equal(data, "yz", 2);
    tri_map_close(&taken[0]);
    tri_map_close(&taken[1]);
}

static void a_wrong_index_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *index, *reason;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "without separators"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "without separators"},
        {"{\"weight_map\":{\"a\":\"c:\\\\one.safetensors\"}}", "without separators"},
        {"{\"weight_map\":{\"a\":\"\"}}", "without separators"},
        {"{\"weight_map\":{\"a\":1}}", "without separators"},
        {"{\"weight_map\":{\"a\":\"none.safetensors\"}}", "cannot be opened"},
        {"{\"weight_map\":{\"c\":\"one.safetensors\"}}", "found it nowhere"},
        {"{\"weight_map\":{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}}", "found it in another file"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"two.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":[]}", "expected an object"},
        {"[]", "expected a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tri_error e;
        assert_null(open_index(cases[i].index, &e));
        assert_int_equal(e.status, TRI_BAD_FILE);
        if (!strstr(e.text, cases[i].reason))
            fail_msg("%s: expected \"%s\" in \"%s\"", cases[i].index, cases[i].reason, e.text);
    }
}

static void a_tensor_in_two_files_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct tri_error e;
    put(1, bytes, put_file(bytes, "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "yz", 2));
    assert_null(open_index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", &e));
    assert_non_null(strstr(e.text, "expected it once"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector),
        cmocka_unit_test(tensors_are_found),
        cmocka_unit_test(deep_and_long_json_is_refused),
        cmocka_unit_test(an_index_opens_its_files),
        cmocka_unit_test(a_wrong_index_is_refused),
        cmocka_unit_test(a_tensor_in_two_files_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
