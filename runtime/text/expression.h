/* Regular expressions as tokenizer.json and formats.md 5.3 spell them (Oniguruma's dialect), as PCRE2 spells them. */
#ifndef TRI_EXPRESSION_H
#define TRI_EXPRESSION_H

#include "base/error.h"

enum { TRI_LONGEST_EXPRESSION = 4096 }; /* bytes */

/* To be freed with free(). Whatever could mean another thing in PCRE2 is refused by name, TRI_UNSUPPORTED: anchors, the
 * dot, sets within sets, \b, \w, \h and their like. NULL on error. */
char *tri_expression_translate(const char *expression, struct tri_error *e);

#endif
