/* Owns: one checksum. Every step is one to one in what came before and in the word, so that two different words, and
 * the same ones behind them, cannot meet again. */
#include "base/checksum.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "checksums, and the files that hold them, take bytes as little-endian words"
#endif

static uint64_t step(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9E3779B97F4A7C15u + 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

uint64_t tri_checksum(uint64_t before, const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t word = 0;
    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        before = step(before, word);
    }
    word = 0;
    memcpy(&word, at, size);
    return size ? step(before, word) : before;
}
