/* Owns: telling whole, broken and cut UTF-8 sequences apart. Leaves out what characters mean
 * (PCRE2). */
#include "text/utf8.h"

#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* By the first byte: length of the sequence and the range of its second byte. */
static int lead(unsigned char c, unsigned char *least, unsigned char *most)
{
    *least = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    *most = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    return c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

int tri_utf8_sequence(const char *at, size_t size)
{
    const unsigned char *s = (const unsigned char *)at;
    unsigned char least, most;
    int length = lead(s[0], &least, &most);
    for (int i = 1; i < length; i++) {
        if ((size_t)i == size)
            return -1;
        if (s[i] < least || s[i] > most)
            return 0;
        least = 0x80;
        most = 0xBF;
    }
    return length;
}

static bool eight_ascii(const char *at)
{
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return !(w & 0x8080808080808080u);
}

size_t tri_utf8_valid(const char *at, size_t size)
{
    size_t i = 0;
    while (i < size) {
        if (size - i >= 8 && eight_ascii(at + i)) {
            i += 8;
            continue;
        }
        int n = tri_utf8_sequence(at + i, size - i);
        if (n <= 0)
            break;
        i += (size_t)n;
    }
    return i;
}

/* Only a sequence that may still be completed is held back; broken bytes would never become whole.
 */
size_t tri_utf8_whole(const char *buf, size_t size)
{
    for (size_t back = 1; back <= 3 && back <= size; back++)
        if (tri_utf8_sequence(buf + size - back, back) == -1)
            return size - back;
    return size;
}
