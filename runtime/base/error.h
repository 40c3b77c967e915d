/* Errors: one sentence and an exit status, filled in where the fault is found.
 *
 *     struct tri_error e;
 *     if (tri_map_open(&map, path, &e) != TRI_OK)
 *         fprintf(stderr, "tritune: %s\n", e.text);
 *
 * Every function that can fail returns the status and says once what was expected, what was found,
 * where (file, byte offset, tensor), and what to do. `e` may not be NULL. */
#ifndef TRI_ERROR_H
#define TRI_ERROR_H

#include "include/tritune.h" /* struct tri_error, and what else is public */

/* Fills `e` and returns `status`, so that a function can end with `return tri_fail(...)`. */
enum tri_status tri_fail(struct tri_error *e, enum tri_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text of an error passed upward; returns its status. */
enum tri_status tri_fail_in(struct tri_error *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
