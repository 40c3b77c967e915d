/* Ternary matrices as files hold them, written from the descriptions alone (formats.md 2 in the project's
 * documentation), without the engine's encoders.
 *
 *     const struct made_encoding *c = made_encoding_find(36);
 *     uint8_t *out = calloc(made_bytes(c, &m), 1);
 *     c->put(&m, out); */
#ifndef ENCODE_H
#define ENCODE_H

#include "reference.h"

#include <stddef.h>

struct made_encoding {
    uint32_t type;                    /* of GGUF */
    const char *name;
    int block, block_bytes;           /* elements and bytes of a block; a matrix is whole blocks */
    int row_bytes, tail;              /* bytes more for each row and for the matrix */
    void (*put)(const struct reference_matrix *m, uint8_t *out); /* into zeros */
};

extern const struct made_encoding made_encodings[];
enum { MADE_ENCODINGS = 10 };

/* Aborts for a type that is none of them. */
const struct made_encoding *made_encoding_find(uint32_t type);

size_t made_bytes(const struct made_encoding *c, const struct reference_matrix *m);

#endif
