/* Models saved as they run: GGUF files whose ternary matrices lie as the stacks that kernels read, to be mapped.
 *
 * Keys and float tensors are those of the file they were made from. In front of the latter stand, layer by layer in
 * the order they are read, the stacks of every role as bytes (I8), blk.N.ROLE.packed: the tiles of struct tri_matrix,
 * beginning on cache lines. tritune.packed.version is 1, and for each role
 *     tritune.packed.ROLE.layout      the name of the layout
 *     tritune.packed.ROLE.tile        its rows, kstep and bytes: three u32
 *     tritune.packed.ROLE.scales      f32 [layers * parts]
 *     tritune.packed.ROLE.checksums   u64 [layers], tri_checksum of each stack
 * Where matrices have scales of rows or of groups of columns the version is 2, which older programs refuse. Behind
 * each stack that needs them (tri_matrix_has_scales) stand its scales as struct tri_matrix has them in that layout,
 * blk.N.ROLE.scales (F32, beginning on cache lines), and for its role
 *     tritune.packed.ROLE.groups      u32 [layers * parts]: columns that share a scale: 32, 64, 128 or 256, all of a
 *                                     row, or 0: all weights do. The stacks' own group is the smallest that is less
 *                                     than a row; parts with larger ones repeat theirs.
 *     tritune.packed.ROLE.scales_checksums    u64 [layers], tri_checksum of each blk.N.ROLE.scales
 * Behind the stacks, where the model had one: the int8 copy of its output matrix (screen.h), as tensors
 *     output.screen.codes             I8 [vocab][ld]
 *     output.screen.rows              F32 [vocab][3]: scale, error and norm
 * with tritune.packed.screen.reach and tritune.packed.screen.checksums, u64 of both tensors.
 *
 * What a stack or copy holds cannot be checked at once, and need not: whatever the bytes, kernels compute something. */
#ifndef TRI_PACKED_H
#define TRI_PACKED_H

#include "model/model.h"
#include "model/screen.h"

bool tri_packed_is(const struct tri_gguf *g);

struct tri_packed {
    const struct tri_gguf *g;
    struct tri_packed_role {
        const struct tri_layout *layout;
        const struct tri_gguf_key *scales, *checksums;
        const struct tri_gguf_key *groups, *scales_checksums; /* NULL: each part has one scale */
        int group; /* struct tri_matrix's, of all stacks */
    } role[TRI_ROLES];
};

/* What a packed file's keys say, checked against the configuration. TRI_UNSUPPORTED for a version or layout that this
 * program does not know. */
enum tri_status tri_packed_read(struct tri_packed *p, const struct tri_gguf *g, const struct tri_config *c,
                                struct tri_error *e);

/* A layer's stack as the file has it: `m`, of role and parts, gets the file's layout, groups, scales and bytes, in
 * place. Checks everything but the trits. */
enum tri_status tri_packed_stack(const struct tri_packed *p, int layer, struct tri_matrix *m, struct tri_error *e);

/* The int8 copy of the output matrix, in place; its codes NULL: the file has none, or none that can stay there. Checks
 * everything but the codes. */
enum tri_status tri_packed_screen(const struct tri_packed *p, const struct tri_config *c, struct tri_screen *s,
                                  struct tri_error *e);
bool tri_packed_screen_name(const char *name); /* whether a tensor is part of it */

/* The layer and role of a stack, or of its scales, by a tensor's name; false: it is neither. */
bool tri_packed_name(const char *name, int *layer, enum tri_role *role);

/* TRI_BAD_FILE unless a stack and its scales, or the copy, have their checksums. */
enum tri_status tri_packed_verify(const struct tri_packed *p, int layer, const struct tri_matrix *m,
                                  struct tri_error *e);
enum tri_status tri_packed_verify_screen(const struct tri_packed *p, const struct tri_screen *s,
                                         const struct tri_config *c, struct tri_error *e);

/* Writes a model as a packed file: its matrices, and its screen if it has one, as they are, all else from `g`, which it
 * was loaded from. Percent on stderr if it is a terminal. TRI_INTERRUPTED once stop() is true. The file appears whole or
 * not at all. */
enum tri_status tri_packed_write(const struct tri_model *m, const struct tri_gguf *g, const char *path,
                                 struct tri_pool *pool, bool (*stop)(void), struct tri_error *e);

#endif
