/* Well-formed UTF-8 (Unicode, table 3-7): no surrogates, no overlong forms, nothing above U+10FFFF.
 */
#ifndef TRI_UTF8_H
#define TRI_UTF8_H

#include <stddef.h>

/* The sequence that begins at at[0], of at[0..size), size > 0: its length, 1 to 4; 0 if no sequence
 * begins so; -1 if it is right so far and the text ends inside it. */
int tri_utf8_sequence(const char *at, size_t size);

/* Length of the longest well-formed beginning of at[0..size). */
size_t tri_utf8_valid(const char *at, size_t size);

#endif
