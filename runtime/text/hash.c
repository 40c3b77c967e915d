/* Owns: hashing of bytes and of pairs of ids for the tables of this folder. */
#include "text/vocabulary.h"

#include <string.h>
#include <sys/random.h>

#define ODD1 0x9E3779B97F4A7C15u
#define ODD2 0xD6E8FEB86659FD93u

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t tri_hash_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = ODD1; /* no entropy yet: still right, only predictable */
    return seed;
}

/* Fewer than 8 bytes as one number, different for different bytes of the same size. */
static uint64_t tail(const char *bytes, size_t size)
{
    const unsigned char *s = (const unsigned char *)bytes;
    uint32_t first, last;
    if (size < 4)
        return size ? s[0] | (uint64_t)s[size / 2] << 8 | (uint64_t)s[size - 1] << 16 : 0;
    memcpy(&first, s, sizeof first);
    memcpy(&last, s + size - sizeof last, sizeof last);
    return first | (uint64_t)last << 32;
}

uint64_t tri_hash(uint64_t seed, const char *bytes, size_t size)
{
    uint64_t h = seed ^ (size * ODD2), w;
    for (; size >= sizeof w; bytes += sizeof w, size -= sizeof w) {
        memcpy(&w, bytes, sizeof w);
        h = fold(h ^ w, ODD1);
    }
    return fold(h ^ tail(bytes, size) ^ ODD2, ODD1 ^ seed);
}

uint64_t tri_hash_pair(uint64_t seed, uint64_t pair)
{
    return fold(pair ^ seed, ODD1);
}
