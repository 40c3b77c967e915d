/* Owns: the loops that only read. Leaves out clocks and threads. */
#include "kernels/stream.h"

#include <string.h>

enum { LINE = 64, AHEAD = 2048 };

typedef uint64_t vec16 __attribute__((vector_size(16), may_alias));

/* `count` streams side by side, of `share` bytes each, a multiple of LINE. */
static inline uint64_t read_streams(const uint8_t *p, size_t share, size_t count)
{
    vec16 a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i < share; i += LINE)
        for (size_t s = 0; s < count; s++) {
            const vec16 *v = (const vec16 *)(const void *)(p + s * share + i);
            __builtin_prefetch((const char *)v + AHEAD, 0, 3);
            a ^= v[0], b ^= v[1], c ^= v[2], d ^= v[3];
        }
    a ^= b ^ c ^ d;
    return a[0] ^ a[1];
}

static uint64_t read_words(const uint8_t *p, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i += sizeof sum) {
        uint64_t word = 0;
        memcpy(&word, p + i, bytes - i < sizeof word ? bytes - i : sizeof word);
        sum ^= word;
    }
    return sum;
}

uint64_t tri_stream_read(const uint8_t *p, size_t bytes, enum tri_streams streams)
{
    const size_t share = streams == TRI_STREAM_FOUR ? bytes / (4 * LINE) * LINE : 0;
    const size_t lines = (bytes - 4 * share) / LINE * LINE;
    const uint8_t *one = p + 4 * share, *rest = one + lines;
    return read_streams(p, share, 4) ^ read_streams(one, lines, 1) ^ read_words(rest, bytes - 4 * share - lines);
}
