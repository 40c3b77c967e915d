/* What `tritune inspect` finds out about a file, and the two ways to show it. */
#ifndef TRI_INSPECT_H
#define TRI_INSPECT_H

#include "model/screen.h"

/* Of one tensor; unknown where it is not ternary, cannot be read yet, or is damaged. */
struct tri_share {
    bool known;
    uint64_t minus, zero, plus;
    float scale;
};

enum tri_class { TRI_CLASS_TERNARY, TRI_CLASS_EMBEDDING, TRI_CLASS_OTHER, TRI_CLASSES };
extern const char *const tri_class_names[TRI_CLASSES];

struct tri_sum {
    size_t tensors;
    uint64_t elements, bytes;
};

/* What one layer's matrices of a role would be packed to on this machine. */
struct tri_job {
    int m, k;
    struct tri_plan plan;
    uint64_t bytes;
};

struct tri_inspection {
    const struct tri_gguf *g;
    struct tri_share *share; /* [tensors] */
    struct tri_sum sum[TRI_CLASSES];
    struct tri_error config_error; /* status TRI_OK: `config` is filled in */
    struct tri_config config;
    struct tri_error damage; /* status TRI_OK: none */
    const char *in_file[TRI_ROLES]; /* layouts of a packed file that is whole; else NULL */
    bool packable;           /* `job` is filled in */
    struct tri_job job[TRI_ROLES];
    const struct tri_encoding *head; /* of the output matrix; NULL: there is none */
};

void tri_inspection_print(const struct tri_inspection *f);
enum tri_status tri_inspection_json(const struct tri_inspection *f, struct tri_error *e);

#endif
