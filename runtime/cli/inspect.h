/* What `tritune inspect` finds out about a file, and the two ways to show it. */
#ifndef TRI_INSPECT_H
#define TRI_INSPECT_H

#include "file/ternary.h"
#include "model/screen.h"
#include "model/trits.h"

/* Of one tensor; unknown where it is not ternary, cannot be read yet, or is damaged. */
struct tri_share {
    bool known, damaged, three_of_four; /* the last: exactly one weight in every four of a row is 0 (kernel.h) */
    uint64_t minus, zero, plus;
    uint64_t empty; /* groups of weights with a scale, or rows where there are none, that are all zero */
    enum tri_scaling scaling;
    int group;      /* columns that share a scale */
    float scale;    /* TRI_PER_TENSOR */
    const char *why;
};

enum tri_class { TRI_CLASS_TERNARY, TRI_CLASS_EMBEDDING, TRI_CLASS_OTHER, TRI_CLASSES };
extern const char *const tri_class_names[TRI_CLASSES];

struct tri_sum {
    size_t tensors;
    uint64_t elements, bytes;
};

/* What one layer's matrices of a role would be packed to on this machine. */
struct tri_job {
    int m, k, group; /* columns that share a scale; 0: whole rows do */
    struct tri_plan plan;
    uint64_t bytes;
};

/* What a careful reader would not take without a word: sentences. */
struct tri_findings {
    char **text; /* [count] */
    size_t count, room;
    bool short_of_memory;
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
    int group[TRI_ROLES];    /* columns that share a scale in stacks; 0: whole rows do */
    const struct tri_encoding *head; /* of the output matrix; NULL: there is none */
    bool hashed;
    struct tri_trits_hash hash;
    struct tri_findings findings;
};

/* Fills in `share` and `damage`, in parallel: TRI_NO_MEMORY, else TRI_OK. */
enum tri_status tri_inspection_count(struct tri_inspection *f, struct tri_pool *pool, struct tri_error *e);

/* Bits a weight that an ideal code would take, were each drawn for itself. */
double tri_share_entropy(const struct tri_share *s);

/* The part of a layer that a tensor is by its name, an index of tri_part_shapes; -1: none. */
int tri_part_of(const struct tri_tensor *t, int *layer);

/* Columns that share a scale in the matrices of a role: the smallest group of any; 0: none has groups. */
int tri_role_group(const struct tri_gguf *g, enum tri_role role);

/* Runs all checks, once everything else is filled in. To be freed, on error, too. */
enum tri_status tri_inspection_check(struct tri_inspection *f, struct tri_error *e);
void tri_findings_free(struct tri_findings *f);

void tri_inspection_print(const struct tri_inspection *f);
enum tri_status tri_inspection_json(const struct tri_inspection *f, struct tri_error *e);

#endif
