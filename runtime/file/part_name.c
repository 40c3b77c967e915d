/* Owns: how parts of a model are numbered in their names. Leaves out whether the other parts are there. */
#include "file/part_name.h"

#include <stdio.h>
#include <string.h>

bool tri_part_name(const char *path, const char *suffix, size_t *stem, unsigned *no, unsigned *of)
{
    char numbers[] = "-00001-of-00003";
    const size_t middle = sizeof numbers - 1, size = strlen(path), tail = middle + strlen(suffix);
    const char *at = size > tail ? path + size - tail : "";
    if (sscanf(at, "-%5u-of-%5u", no, of) == 2 && strcmp(at + middle, suffix) == 0) {
        snprintf(numbers, sizeof numbers, "-%05u-of-%05u", *no % 100000, *of % 100000);
        *stem = size - tail;
        if (memcmp(numbers, at, middle) == 0)
            return true;
    }
    *stem = *no = *of = 0;
    return false;
}
