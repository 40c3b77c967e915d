/* Owns: rows of the encodings that keep five trits in a byte, as the fixed-point fraction (q * 256 + 242) / 243 of
 * their number in base 3; formats.md 2.8 and 2.10 in the project's documentation. */
#include "file/encodings.h"

#include <string.h>

enum { WRONG = 2 };

/* Whether a byte is no such fraction: what 243 times it leaves above its multiple of 256 must be below 243. */
static inline bool is_wrong(uint8_t b)
{
    return (uint8_t)(b * 243) > 242;
}

/* The digit that comes first after multiplying by `power`, a power of 3, as a trit. */
static inline int8_t digit(uint8_t b, int power)
{
    return is_wrong(b) ? WRONG : (int8_t)((3 * (uint8_t)(b * power) >> 8) - 1);
}

/* Digit n of byte p is element p + n * bytes; the first digit weighs most. */
static inline void most_first(const uint8_t *restrict in, int bytes, int digits, int8_t *restrict out)
{
    static const int powers[5] = {1, 3, 9, 27, 81};
    for (int n = 0; n < digits; n++)
        for (int p = 0; p < bytes; p++)
            out[n * bytes + p] = digit(in[p], powers[n]);
}

/* -- TQ1_0 --------------------------------------------------------------- */

/* Runs of bytes in a block of 54, and the elements they hold. */
static const struct run {
    int byte, bytes, element, digits;
} runs[] = {{0, 32, 0, 5}, {32, 16, 160, 5}, {48, 4, 240, 4}};

void tri_tq1_0_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)row * tri_row_bytes(t);
    for (int64_t b = 0; b < t->ne[0] / 256; b++, in += 54, out += 256)
        for (const struct run *r = runs; r < runs + 3; r++)
            most_first(in + r->byte, r->bytes, r->digits, out + r->element);
}

uint64_t tri_tq1_0_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    const int in_block = (int)(i % 256);
    const struct run *r = &runs[(in_block >= 160) + (in_block >= 240)];
    return (uint64_t)row * tri_row_bytes(t) +
           (uint64_t)(i / 256 * 54 + r->byte + (in_block - r->element) % r->bytes);
}

/* -- IQ1_BN -------------------------------------------------------------- */

/* The first digit weighs least. */
#define FIVE(b) {DIGIT(b, 81), DIGIT(b, 27), DIGIT(b, 9), DIGIT(b, 3), DIGIT(b, 1)}
#define DIGIT(b, power) ((uint8_t)((b) * 243) > 242 ? WRONG : (3 * (uint8_t)((b) * (power)) >> 8) - 1)
#define TIMES_4(f, b) f(b), f((b) + 1), f((b) + 2), f((b) + 3)
#define FIVE_4(b) TIMES_4(FIVE, b)
#define FIVE_16(b) FIVE_4(b), FIVE_4((b) + 4), FIVE_4((b) + 8), FIVE_4((b) + 12)
#define FIVE_64(b) FIVE_16(b), FIVE_16((b) + 16), FIVE_16((b) + 32), FIVE_16((b) + 48)

static const int8_t least_first[256][5] = {FIVE_64(0), FIVE_64(64), FIVE_64(128), FIVE_64(192)};

/* Sixteen elements: five in each of three bytes, and digit i of the block's last byte. */
static inline void sixteen(const uint8_t *in, int8_t last, int8_t *restrict out)
{
    memcpy(out, least_first[in[0]], 5);
    memcpy(out + 5, least_first[in[1]], 5);
    memcpy(out + 10, least_first[in[2]], 5);
    out[15] = last;
}

void tri_iq1_bn_trits(const struct tri_tensor *t, int64_t row, int8_t *restrict out)
{
    const uint8_t *in = t->data + (uint64_t)row * tri_row_bytes(t) + 2;
    for (int64_t b = 0; b < t->ne[0] / 64; b++, in += 13, out += 64)
        for (int i = 0; i < 4; i++)
            sixteen(in + 3 * i, least_first[in[12]][i], out + 16 * i);
}

uint64_t tri_iq1_bn_byte(const struct tri_tensor *t, int64_t row, int64_t i)
{
    const int64_t in_block = i % 64, byte = i % 16 == 15 ? 12 : in_block / 16 * 3 + i % 16 / 5;
    return (uint64_t)row * tri_row_bytes(t) + (uint64_t)(2 + i / 64 * 13 + byte);
}
