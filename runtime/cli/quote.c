/* Owns: escaping of what files say about themselves. */
#include "cli/quote.h"

#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of a character that a terminal shows, else 0; U+0080 to U+009F steer it. */
static int printable(const char *at, size_t size)
{
    int n = tri_utf8_sequence(at, size);
    unsigned char c = (unsigned char)at[0];
    bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && n == 2 && (unsigned char)at[1] < 0xa0);
    return n > 0 && !control ? n : 0;
}

static int print_escaped(FILE *to, char c)
{
    static const char plain[] = "\n\t\r\"\\", letter[] = "ntr\"\\";
    const char *found = c ? strchr(plain, c) : NULL;
    return found ? fprintf(to, "\\%c", letter[found - plain]) : fprintf(to, "\\x%02x", (unsigned char)c);
}

void tri_print_failure(const char *command, const char *text)
{
    fprintf(stderr, "tritune %s: ", command);
    for (size_t size = strlen(text); size;) {
        const int n = printable(text, size);
        if (n)
            fwrite(text, (size_t)n, 1, stderr);
        else
            print_escaped(stderr, *text);
        text += n ? n : 1;
        size -= n ? (size_t)n : 1;
    }
    putc('\n', stderr);
}

int tri_print_escaped(struct tri_text text, size_t most)
{
    int columns = 0;
    for (size_t i = 0; i < text.size && i < most;) {
        int n = printable(text.at + i, text.size - i);
        if (!n || text.at[i] == '"' || text.at[i] == '\\')
            columns += print_escaped(stdout, text.at[i]);
        else
            columns += fwrite(text.at + i, (size_t)n, 1, stdout) == 1;
        i += n ? (size_t)n : 1;
    }
    return columns;
}

void tri_print_text(const char *text)
{
    enum { MOST = 400 };
    tri_print_escaped((struct tri_text){text, strlen(text)}, MOST);
}

int tri_print_quoted(struct tri_text text, size_t most)
{
    const int columns = printf("\"") + tri_print_escaped(text, most);
    return columns + printf(text.size > most ? "\"..." : "\"");
}

json_t *tri_json_text(struct tri_text text)
{
    char *good = malloc(3 * text.size + 1);
    size_t size = 0;
    for (size_t i = 0; good && i < text.size;) {
        size_t n = tri_utf8_valid(text.at + i, text.size - i);
        memcpy(good + size, text.at + i, n);
        size += n;
        i += n;
        if (i++ < text.size) {
            memcpy(good + size, "\xef\xbf\xbd", 3);
            size += 3;
        }
    }
    json_t *json = good ? json_stringn(good, size) : NULL;
    free(good);
    return json;
}

json_t *tri_json_string(const char *text)
{
    return tri_json_text((struct tri_text){text, strlen(text)});
}
