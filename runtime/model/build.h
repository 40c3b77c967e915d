/* The making of a model, for those who fill it: load.c from a file, synth.c from a seed. What a layer of every
 * family is made of stands here once.
 *
 *     struct tri_model *m = tri_model_new(&config, &e);     layers, and their matrices' parts by rows
 *     tri_model_plan(m, NULL);                              plans, padding and bytes
 *     if (tri_model_place(m, &e) == TRI_OK) ...             one memory for what will be packed
 *     tri_model_free(m);                                    and all it owns */
#ifndef TRI_BUILD_H
#define TRI_BUILD_H

#include "model/model.h"

enum tri_width { TRI_HIDDEN, TRI_FFN, TRI_HEADS, TRI_KV_HEADS, TRI_HEAD_DIM, TRI_WIDTHS };
int tri_width(const struct tri_config *c, enum tri_width width);

/* The matrices of a layer's stacks in their order, by the names files give them. */
struct tri_part_shape {
    enum tri_role role;
    const char *name;
    enum tri_width rows, columns;
};

struct tri_norm_shape {
    size_t field; /* of struct tri_layer: a const float * */
    const char *name;
    enum tri_width width;
    enum tri_norm_of_family { TRI_ALWAYS, TRI_SUB_NORM, TRI_HEAD_NORM, TRI_POST_NORM, TRI_NORM_IN } where;
};

enum { TRI_NORMS = 15 };
extern const struct tri_part_shape tri_part_shapes[TRI_PARTS];
int tri_part_index(enum tri_role role, int part); /* there, of a part of the role's stack */
extern const struct tri_norm_shape tri_norm_shapes[TRI_NORMS];

/* Whether layers of such models have it. */
bool tri_norm_is_there(const struct tri_config *c, const struct tri_norm_shape *n);

/* Where layer l's norm belongs. */
const float **tri_norm_of(struct tri_layer *l, const struct tri_norm_shape *n);

/* Layers without weights, norms and scales. NULL on error. */
struct tri_model *tri_model_new(const struct tri_config *c, struct tri_error *e);

/* Zeroed memory that is freed with the model. NULL on error. */
void *tri_model_own(struct tri_model *m, size_t count, size_t size, const char *what, struct tri_error *e);

/* Takes plans[role] for all layers, whose matrices of a role share a group; `plans` NULL, or without a layout: the
 * dispatch table's. From here on a matrix's m counts padding rows, too. */
void tri_model_plan(struct tri_model *m, const struct tri_plan plans[TRI_ROLES]);

/* The plans that the budget allows, beside `rest` bytes of what else the model keeps; what is left becomes m->spare.
 * TRI_NO_MEMORY, and what would help, if none fits; TRI_UNSUPPORTED for 1.25 bits where columns share scales. */
enum tri_status tri_model_fit(struct tri_model *m, const struct tri_budget *b, size_t rest, struct tri_error *e);

/* The same with 1.25 bits a weight, for a model that is three of four (kernel.h) where nothing else fits. */
enum tri_status tri_model_fit_structured(struct tri_model *m, const struct tri_budget *b, size_t rest,
                                         struct tri_error *e);

/* Rows of the parts, padding, and bytes, as a layout has them. */
void tri_matrix_lay(struct tri_matrix *m, const struct tri_layout *layout);

/* Whether a stack needs `scales`: some part has one for each row or group, or another layer's stack of the role has. */
bool tri_matrix_has_scales(const struct tri_matrix *m);

/* Floats of a stack's scales, once it is planned. */
size_t tri_matrix_scales(const struct tri_matrix *m);

/* Where the scale of `row` of the stack and the group of columns `group` is among them. */
size_t tri_matrix_scale_at(const struct tri_matrix *m, int row, int group);

/* Memory for the packed matrices of all layers that have none yet, to be filled tile by tile. */
enum tri_status tri_model_place(struct tri_model *m, struct tri_error *e);

/* Row tiles of a matrix, and the bytes of each. */
int tri_matrix_tiles(const struct tri_matrix *m);
size_t tri_tile_bytes(const struct tri_matrix *m);

/* A part of a packed stack as a matrix of its own. */
struct tri_matrix tri_matrix_part(const struct tri_matrix *m, int part);

/* The part that a tile belongs to, and in *from its first row of that part; in *rows how many are no padding. */
int tri_tile_part(const struct tri_matrix *m, int tile, int *from, int *rows);

#endif
