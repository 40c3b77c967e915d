#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum tri_status tri_fail(struct tri_error *e, enum tri_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    e->status = status;
    return status;
}

enum tri_status tri_fail_in(struct tri_error *e, const char *format, ...)
{
    char inner[sizeof e->text];
    va_list args;
    memcpy(inner, e->text, sizeof inner);
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", inner);
    return e->status;
}
