/* Random models of every family, small: as plain arrays for the reference and as a file for the engine. Tensors and
 * keys are named as converters name them (formats.md 4.5 and 4.6 in the project's documentation).
 *
 *     struct made *made = family_make(&family, seed);
 *     reference_run(&made->model, ids, tokens, hidden);
 *     family_write(made, FAMILY_TYPES, "/tmp/model.gguf");
 *     family_free(made); */
#ifndef FAMILY_H
#define FAMILY_H

#include "reference.h"

#include <stddef.h>

/* One family, or a shape that is worth a test of its own. */
struct family {
    const char *name, *arch;
    enum reference_activation activation;
    bool half_split, sub_norms, head_norms, norms_in, post_norms, own_head;
    int layers, hidden, ffn, heads, kv_heads, head_dim, rope_dims; /* rope_dims 0: head_dim */
    int group;               /* columns that share a scale: 64 or 256; 0: one scale for a matrix, or for each row */
    bool row_scales;
    bool mixed; /* each matrix scaled in another way than the one before: all of it, its rows, 64 columns */
    double eps, theta;
    double rope_factor;      /* 0: no scaling */
    double embedding_scale;  /* 0: 1 */
    bool rope_freqs;
};

enum { FAMILY_VOCAB = 70 };

#define FAMILY_TYPES UINT32_MAX /* each matrix in a type that holds its scales */

/* A tensor of the file: floats, or a matrix of the model. */
struct made_tensor {
    char name[64];
    uint32_t type;     /* of GGUF, that holds it */
    int columns, rows; /* rows 0: one dimension */
    const float *floats;
    const struct reference_matrix *matrix;
};

struct made {
    const struct family *family;
    struct reference_model model;
    struct made_tensor *tensor; /* [tensors] */
    int tensors;
    void **memory; /* [count] */
    int count;
    uint64_t random;
};

struct made *family_make(const struct family *f, uint64_t seed);

/* With matrices of that type (encode.h) or FAMILY_TYPES. Aborts with a message if it cannot be written. */
void family_write(const struct made *made, uint32_t type, const char *path);

void family_free(struct made *made);

#endif
