/* The float work of every ISA here against what kernel.h says of it, bit for bit: every length up to some
 * blocks, ordinary values, huge and subnormal ones. The reference is written from the header, with libm's fmaf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "file/tensor.h"
#include "kernels/verify.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 83 };

static const struct tri_vec *vec; /* the one under test */
static uint64_t seed = 7;

static float real(int kind)
{
    const double u = (double)(tri_random(&seed) >> 11) * 0x1p-53 * 2 - 1;
    const int spread = kind == 0 ? 0 : (int)(tri_random(&seed) % (kind == 1 ? 60 : 20)) - (kind == 1 ? 30 : 140);
    return (float)ldexp(u, spread);
}

static void fill(float *x, int n, int kind)
{
    for (int i = 0; i < n; i++)
        x[i] = real(kind);
}

static float tree(float lane[16])
{
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static void same(const void *a, const void *b, size_t bytes, const char *what, int n)
{
    if (memcmp(a, b, bytes))
        print_error("%s of %s differs for n = %d\n", what, vec->isa, n);
    assert_memory_equal(a, b, bytes);
}

/* -- stored rows: every encoding against its rows as tensor.c decodes them ------------- */

static const struct {
    const char *name;
    enum tri_rows_kind kind;
    uint32_t id; /* of the tensor type */
    int step;    /* lengths that are tried */
    bool cached; /* has products and axpys */
} rows_kinds[] = {
    {"F32", TRI_ROWS_F32, 0, 1, true},
    {"F16", TRI_ROWS_F16, 1, 1, true},
    {"BF16", TRI_ROWS_BF16, 30, 1, false},
    {"Q8_0", TRI_ROWS_Q8_0, 8, 1, true},
    {"Q4_0", TRI_ROWS_Q4_0, 2, 32, false},
    {"Q4_K", TRI_ROWS_Q4_K, 12, 256, false},
    {"Q6_K", TRI_ROWS_Q6_K, 14, 256, false},
};

enum { ROWS = 6, LONGEST = 512, ROW_BYTES = LONGEST * 4 + 64 };

/* A half of kind 0 to 2, never infinite. */
static uint16_t half(int kind)
{
    return (uint16_t)(tri_f32_to_f16(real(kind)) & (kind == 1 ? 0xbfff : 0xffff));
}

/* A row of n random values; blocks of random bits with ordinary scales. What Q8_0 has behind n is zero. */
static void store(int id, int kind, int n, uint8_t *row)
{
    const struct tri_encoding *e = tri_encoding_find((uint32_t)id);
    const int blocks = (n + e->block - 1) / e->block;
    for (int i = 0; i < blocks * e->block_bytes; i++)
        row[i] = (uint8_t)tri_random(&seed);
    for (int i = 0; i < blocks; i++) {
        uint8_t *at = row + i * e->block_bytes;
        const float f = real(kind);
        const uint16_t h[2] = {id == 30 ? tri_f32_to_bf16(f) : half(kind), half(kind)};
        memcpy(id == 14 ? at + 208 : at, id == 0 ? (const void *)&f : h, id == 0 || id == 12 ? 4 : 2);
    }
    if (id == 8 && n % 32)
        memset(row + n / 32 * 34 + 2 + n % 32, 0, (size_t)(32 - n % 32));
}

/* dots and floats of some rows of n values, ld bytes apart. */
static void check_rows(size_t which, int kind, int n)
{
    static _Alignas(4) uint8_t a[ROWS * ROW_BYTES];
    const struct tri_rows *rows = &vec->rows[rows_kinds[which].kind];
    const char *name = rows_kinds[which].name;
    const uint32_t id = rows_kinds[which].id;
    const size_t ld = ROW_BYTES - (id == 0 ? 4 : 2);
    const int block = tri_encoding_find(id)->block, count = (int)(tri_random(&seed) % (ROWS + 1));
    float b[LONGEST], value[LONGEST], out[ROWS + 1], streamed[ROWS + 1];
    fill(b, n, kind);
    for (int r = 0; r < ROWS; r++)
        store((int)id, kind, n, a + (size_t)r * ld);
    out[count] = 99;
    rows->dots(a, ld, count, b, n, out);
    memcpy(streamed, out, sizeof out);
    rows->stream(a, ld, count, b, n, streamed);
    same(streamed, out, sizeof out, name, n);
    for (int r = 0; r < count; r++) {
        const uint8_t *at = a + (size_t)r * ld;
        const int64_t whole = tri_round_up(n, block);
        const struct tri_tensor t = {.encoding = tri_encoding_find(id), .ne = {whole, 1, 1, 1}, .data = at};
        float lane[16] = {0}, found[LONGEST + 1];
        t.encoding->floats(&t, 0, value);
        for (int i = 0; i < n; i++)
            lane[i % 16] = fmaf(value[i], b[i], lane[i % 16]);
        const float expected = tree(lane);
        same(&out[r], &expected, 4, name, n);
        found[n] = 99;
        rows->floats(at, found, n);
        same(found, value, (size_t)n * 4, name, n);
        assert_true(found[n] == 99);
    }
    assert_true(out[count] == 99);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t which = 0; which < sizeof rows_kinds / sizeof rows_kinds[0]; which++)
        for (int kind = 0; kind < 3; kind++)
            for (int n = 0; n <= (rows_kinds[which].step == 256 ? LONGEST : 131); n += rows_kinds[which].step)
                for (int again = 0; again < (rows_kinds[which].step > 1 ? 20 : 2); again++)
                    check_rows(which, kind, n);
}

/* products and axpys of `rows` rows of n values with `count` vectors, in matrices wider than need be. */
static void check_several(size_t which, int kind, int n, int rows, int count)
{
    enum { SEVERAL = 9, LDB = 163, LDO = 11, LDS = 13, LDY = 165 };
    static _Alignas(4) uint8_t a[SEVERAL * ROW_BYTES];
    const struct tri_rows *work = &vec->rows[rows_kinds[which].kind], *c = &tri_isa_find("c")->vec->rows[TRI_ROWS_F32];
    const char *name = rows_kinds[which].name;
    float b[SEVERAL * LDB], out[SEVERAL * LDO], dots[SEVERAL * LDO], s[SEVERAL * LDS], y[SEVERAL * LDY];
    float want[SEVERAL * LDY], value[160];
    fill(b, SEVERAL * LDB, kind), fill(s, SEVERAL * LDS, kind), fill(y, SEVERAL * LDY, kind);
    fill(out, SEVERAL * LDO, kind);
    memcpy(dots, out, sizeof dots);
    memcpy(want, y, sizeof want);
    for (int r = 0; r < rows; r++) {
        uint8_t *at = a + r * (ROW_BYTES - 4);
        store((int)rows_kinds[which].id, kind, n, at);
        work->floats(at, value, n);
        for (int v = 0; v < count; v++) {
            c->dots(value, 0, 1, b + v * LDB, n, &dots[v * LDO + r]);
            for (int i = 0; i < n; i++)
                want[v * LDY + i] = fmaf(s[v * LDS + r], value[i], want[v * LDY + i]);
        }
    }
    work->products(a, ROW_BYTES - 4, rows, b, LDB, count, n, out, LDO);
    same(out, dots, sizeof out, name, n);
    work->axpys(s, LDS, count, a, ROW_BYTES - 4, rows, y, LDY, n);
    same(y, want, sizeof y, name, n);
}

static void test_several(void **state)
{
    (void)state;
    for (size_t which = 0; which < sizeof rows_kinds / sizeof rows_kinds[0]; which++) {
        const struct tri_rows *work = &vec->rows[rows_kinds[which].kind];
        const int step = rows_kinds[which].kind == TRI_ROWS_Q8_0 ? 32 : 16;
        assert_int_equal(rows_kinds[which].cached, work->products != NULL);
        assert_int_equal(rows_kinds[which].cached, work->axpys != NULL);
        for (int n = 0; work->products && n <= 160; n += step)
            for (int rows = 0; rows <= 9; rows++)
                for (int count = 0; count <= 9; count++)
                    check_several(which, (rows + count) % 3, n, rows, count);
    }
}

static void same_measure(struct tri_measure found, const float *y, int n, const char *what)
{
    float lane[16] = {0}, most = 0;
    for (int i = 0; i < n; i++) {
        lane[i % 16] = fmaf(y[i], y[i], lane[i % 16]);
        most = fabsf(y[i]) > most ? fabsf(y[i]) : most;
    }
    const struct tri_measure want = {most, tree(lane)};
    same(&found, &want, sizeof want, what, n);
}

static void test_lanewise(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (int n = 0; n <= MOST; n++) {
            float x[MOST + 1], w[MOST + 1], y[MOST + 1], want[MOST + 1], most = 0;
            int32_t d[MOST + 1];
            fill(x, n, kind), fill(w, n, 0), fill(y, n, 0);
            const float s = real(0);
            for (int i = 0; i < n; i++) {
                d[i] = (int32_t)(tri_random(&seed) % 2000001) - 1000000;
                most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
            }
            const float found = vec->measure(x, n).most;
            same(&found, &most, 4, "measure", n);

            for (int i = 0; i < n; i++)
                want[i] = x[i] * s * w[i];
            same_measure(vec->norm(x, s, w, y, n), want, n, "norm's measure");
            same(y, want, (size_t)n * 4, "norm", n);
            same_measure(vec->measure(y, n), want, n, "measure");
            for (int i = 0; i < n; i++)
                want[i] = y[i] * s;
            vec->scale(s, y, n);
            same(y, want, (size_t)n * 4, "scale", n);
            for (int i = 0; i < n; i++)
                want[i] = (float)d[i] * s;
            vec->dequantize(d, s, y, n);
            same(y, want, (size_t)n * 4, "dequantize", n);
            for (int i = 0; i < n; i++) {
                const float product = (float)d[i] * s;
                want[i] = w[i] + product;
            }
            memcpy(y, w, (size_t)n * 4);
            vec->dequantize_add(d, s, y, n);
            same(y, want, (size_t)n * 4, "dequantize_add", n);
            const float divisor = 127 / (fabsf(s) + 1e-3f);
            for (int i = 0; i < n; i++)
                want[i] = (float)d[i] * (w[i] / divisor);
            vec->dequantize_rows(d, w, divisor, y, n);
            same(y, want, (size_t)n * 4, "dequantize_rows", n);
            for (int i = 0; i < n; i++)
                want[i] = x[i] + want[i];
            memcpy(y, x, (size_t)n * 4);
            vec->dequantize_rows_add(d, w, divisor, y, n);
            same(y, want, (size_t)n * 4, "dequantize_rows_add", n);
            for (int i = 0; i < n; i++) {
                const float r = x[i] > 0 ? x[i] : 0;
                want[i] = r * r * w[i];
            }
            same_measure(vec->relu2_mul(x, w, y, n), want, n, "relu2_mul's measure");
            same(y, want, (size_t)n * 4, "relu2_mul", n);
        }
}

static void test_quantize(void **state)
{
    (void)state;
    for (int n = 0; n <= MOST; n++) {
        float x[MOST + 1];
        int8_t q[MOST + 2], want[MOST + 1];
        int32_t sum = 0;
        fill(x, n, 0);
        for (int i = 0; i < n; i++) {
            if (i % 3 == 0)
                x[i] = (float)((int)(tri_random(&seed) % 253) - 126) / 127 + 0.5f / 127; /* near ties */
            want[i] = (int8_t)lrintf(x[i] * 127.0f);
            sum += want[i];
        }
        q[n] = 99;
        assert_int_equal(vec->quantize(x, 127.0f, q, n), sum);
        same(q, want, (size_t)n, "quantize", n);
        assert_int_equal(q[n], 99);
    }
    const float ties[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, 127.0f};
    const int8_t even[] = {0, 2, 2, 0, -2, -2, 126, 127};
    int8_t q[8];
    vec->quantize(ties, 1.0f, q, 8);
    assert_memory_equal(q, even, 8);
}

static void test_encode(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int n = 0; n <= MOST; n++) {
            float x[MOST + 1], most = 1e-30f, lane[16] = {0};
            int8_t q[MOST + 2], want[MOST + 1];
            int32_t sum = 0;
            fill(x, n, kind);
            for (int i = 0; i < n; i++)
                most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
            const float r = 127 / most, s = most / 127;
            for (int i = 0; i < n; i++) {
                want[i] = (int8_t)lrintf(x[i] * r);
                sum += abs(want[i]);
                const float d = fmaf(-s, want[i], x[i]);
                lane[i % 16] = fmaf(d, d, lane[i % 16]);
            }
            q[n] = 99;
            const struct tri_coded found = vec->encode(x, r, s, q, n);
            const float lost = tree(lane);
            same(q, want, (size_t)n, "encode", n);
            same(&found.lost, &lost, sizeof lost, "encode's loss", n);
            assert_int_equal(found.sum, sum);
            assert_int_equal(q[n], 99);
        }
}

/* Random rows; then the greatest codes, with the greatest activations whose products still fit. */
static void check_products(int rows, int tokens, int n, bool most)
{
    enum { TOKENS = 9, COLUMNS = 384, LD = COLUMNS + 64, LDO = 5 };
    static int8_t a[3 * LD];
    static int16_t x[TOKENS * LD];
    int32_t found[TOKENS * LDO];
    const int limit = n && most ? INT32_MAX / (127 * n) : 32767 / 2;
    for (int i = 0; i < rows * LD; i++)
        a[i] = (int8_t)(most ? 127 : (int)(tri_random(&seed) % 255) - 127);
    for (int i = 0; i < tokens * LD; i++)
        x[i] = (int16_t)(most ? (limit < 32767 ? limit : 32767) * (i / LD % 2 ? -1 : 1)
                              : (int)(tri_random(&seed) % (unsigned)(2 * limit)) - limit);
    for (int i = 0; i < TOKENS * LDO; i++)
        found[i] = 99;
    vec->products(a, LD, rows, x, LD, tokens, n, found, LDO);
    for (int t = 0; t < TOKENS; t++)
        for (int r = 0; r < LDO; r++) {
            int32_t want = 0;
            for (int i = 0; t < tokens && r < rows && i < n; i++)
                want += a[r * LD + i] * x[t * LD + i];
            assert_int_equal(found[t * LDO + r], t < tokens && r < rows ? want : 99);
        }
}

static void test_products(void **state)
{
    (void)state;
    for (int rows = 0; rows <= 3; rows++)
        for (int tokens = 1; tokens <= 9; tokens++)
            for (int n = 0; n <= 384; n += 128)
                check_products(rows, tokens, n, false), check_products(rows, tokens, n, true);
}

static void test_to_f16(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int n = 0; n <= MOST; n++) {
            float x[MOST + 1];
            uint16_t h[MOST + 2], want[MOST + 1];
            fill(x, n, kind);
            for (int i = 0; i < n; i++) {
                x[i] = kind == 2 ? ldexpf(x[i], 110) : x[i]; /* into the subnormal halves */
                want[i] = tri_f32_to_f16(x[i]);
            }
            h[n] = 0x1234;
            vec->to_f16(x, h, n);
            same(h, want, (size_t)n * 2, "to_f16", n);
            assert_int_equal(h[n], 0x1234);
        }
}

static void test_to_q8_0(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int n = 0; n <= 131; n++) {
            float x[132];
            uint8_t found[5 * 34 + 1] = {0}, want[5 * 34 + 1] = {0};
            fill(x, n, kind);
            for (int i = 0; kind == 0 && i < n; i++)
                x[i] = i % 32 == 0 ? 127 : i % 2 ? (float)(i - 60) + 0.5f : x[i] * 100; /* halves of a code */
            found[(n + 31) / 32 * 34] = want[(n + 31) / 32 * 34] = 99;
            for (int from = 0; from < n; from += 32) {
                uint8_t *block = want + from / 32 * 34;
                const int count = n - from < 32 ? n - from : 32;
                float most = 0;
                for (int i = 0; i < count; i++)
                    most = fmaxf(most, fabsf(x[from + i]));
                const float d = most / 127, r = d >= 0x1p-126f ? 1 / d : 0; /* else d is 0 as a half */
                memcpy(block, &(uint16_t){tri_f32_to_f16(d)}, 2);
                for (int i = 0; i < count; i++)
                    block[2 + i] = (uint8_t)(int8_t)roundf(x[from + i] * r);
            }
            vec->to_q8_0(x, found, n);
            same(found, want, sizeof want, "to_q8_0", n);
        }
    const float below[32] = {127, 0.49999997f, -0.49999997f, 0.5f, -0.5f, -127};
    const int8_t codes[6] = {127, 0, 0, 1, -1, -127};
    uint8_t block[34];
    vec->to_q8_0(below, block, 32);
    assert_memory_equal(block + 2, codes, sizeof codes);
    const float least[2] = {0x1p-149f, 0}; /* 1 / d would be infinite */
    vec->to_q8_0(least, block, 2);
    for (int i = 0; i < 34; i++)
        assert_int_equal(block[i], 0);
}

/* The bytes that llama.cpp's own quantiser makes. */
static void test_q8_0_vectors(void **state)
{
    (void)state;
    json_error_t problem;
    json_t *all = json_load_file("tests/vectors/blocks.json", 0, &problem), *c = json_object_get(all, "q8_0");
    const json_t *input = json_object_get(c, "input");
    const char *hex = json_string_value(json_object_get(c, "bytes_hex"));
    float x[LONGEST];
    uint8_t found[LONGEST];
    const int n = (int)json_array_size(input);
    assert_in_range(n, 32, 256);
    for (int i = 0; i < n; i++)
        x[i] = (float)json_number_value(json_array_get(input, (size_t)i));
    vec->to_q8_0(x, found, n);
    for (int i = 0; i < n / 32 * 34; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        assert_int_equal(found[i], byte);
    }
    json_decref(all);
}

static void test_rope(void **state)
{
    (void)state;
    for (int n = 0; n <= MOST; n++) {
        float x[2 * MOST + 1], y[2 * MOST + 1], c[MOST + 1], s[MOST + 1];
        fill(x, 2 * MOST, 0), fill(c, n, 0), fill(s, n, 0);
        memcpy(y, x, sizeof y);
        for (int i = 0; i < n; i++) {
            const float a = y[i], b = y[n + i], ac = a * c[i], bs = b * s[i], as = a * s[i], bc = b * c[i];
            y[i] = ac - bs;
            y[n + i] = as + bc;
        }
        vec->rope_halves(c, s, x, n);
        same(x, y, sizeof x - 4, "rope_halves", n);
        for (int i = 0; n % 2 == 0 && i < n; i += 2) {
            const float a = y[i], b = y[i + 1], ac = a * c[i], bs = b * s[i], bc = b * c[i + 1], as = a * s[i + 1];
            y[i] = ac + bs;
            y[i + 1] = bc + as;
        }
        if (n % 2)
            continue;
        vec->rope_pairs(c, s, x, n);
        same(x, y, sizeof x - 4, "rope_pairs", n);
    }
}

static void test_scale_max(void **state)
{
    (void)state;
    for (int n = 0; n <= MOST; n++) {
        float x[MOST + 1], want[MOST + 1], most = -INFINITY;
        const float s = real(0);
        fill(x, n, 0);
        for (int i = 0; i < n; i++) {
            want[i] = x[i] * s;
            most = want[i] > most ? want[i] : most;
        }
        const float found = vec->scale_max(s, x, n);
        same(&found, &most, 4, "scale_max", n);
        same(x, want, (size_t)n * 4, "scale_max's values", n);
        for (int i = 0; i < 3 * n; i++) { /* one value spoils the whole, wherever it stands */
            fill(x, n, 0);
            x[i / 3] = i % 3 ? NAN : i % 2 ? INFINITY : -INFINITY;
            assert_true(isnan(vec->scale_max(1, x, n)));
        }
    }
}

/* exp has no outside reference for its bits: it must be right to an ulp or two, and the same as plain C. */
static void test_exp(void **state)
{
    const struct tri_vec *c = tri_isas[0].vec;
    (void)state;
    for (int n = 0; n <= MOST; n++) {
        float x[MOST + 1], y[MOST + 1], g[MOST + 1], u[MOST + 1], a[MOST + 1], b[MOST + 1], d[MOST + 1];
        float max = 0;
        for (int i = 0; i < n; i++) {
            x[i] = y[i] = real(0) * 20;
            g[i] = real(0) * (i % 5 == 0 ? 120 : 9), u[i] = real(0);
            max = x[i] > max ? x[i] : max;
        }
        const float sum = vec->exp_sum(x, max, n), want = c->exp_sum(y, max, n);
        same(&sum, &want, 4, "exp_sum", n);
        same(x, y, (size_t)n * 4, "exp_sum's values", n);
        c->silu_mul(g, u, b, n);
        same_measure(vec->silu_mul(g, u, a, n), b, n, "silu_mul's measure");
        same(a, b, (size_t)n * 4, "silu_mul", n);
        c->gelu_mul(g, u, b, n);
        same_measure(vec->gelu_mul(g, u, d, n), b, n, "gelu_mul's measure");
        same(d, b, (size_t)n * 4, "gelu_mul", n);
        for (int i = 0; i < n; i++) {
            const double at = (double)g[i], h = sqrt(2 / acos(-1)) * (at + 0.044715 * at * at * at);
            const double gelu = at / (1 + exp(-2 * h)) * (double)u[i];
            assert_true(fabs((double)d[i] - gelu) <= 2e-5 * fabs(gelu) + 2e-36);
            const double silu = (double)g[i] / (1 + exp(-(double)g[i])) * (double)u[i];
            assert_true(fabs((double)a[i] - silu) <= 4e-7 * fabs(silu) + 1e-36);
        }
    }
    for (double t = -86.9; t < 0; t += 0.0137) {
        float x = (float)t;
        const double want = exp((double)x);
        vec->exp_sum(&x, 0, 1);
        assert_true(fabs((double)x - want) <= 2.5e-7 * want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),    cmocka_unit_test(test_several), cmocka_unit_test(test_lanewise),
        cmocka_unit_test(test_quantize), cmocka_unit_test(test_encode), cmocka_unit_test(test_products),
        cmocka_unit_test(test_to_f16),  cmocka_unit_test(test_to_q8_0),  cmocka_unit_test(test_rope),
        cmocka_unit_test(test_scale_max), cmocka_unit_test(test_exp), cmocka_unit_test(test_q8_0_vectors),
    };
    int failed = 0;
    for (const struct tri_isa *isa = tri_isas; isa->name; isa++) {
        if (!isa->present()) {
            printf("skipped %s: this CPU or its system lacks it\n", isa->name);
            continue;
        }
        vec = isa->vec;
        failed += cmocka_run_group_tests_name(isa->name, tests, NULL, NULL);
    }
    return failed != 0;
}
