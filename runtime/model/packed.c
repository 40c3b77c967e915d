/* Owns: the packed form of models in files, both ways. Leaves out what becomes of a stack once it is found (load.c). */
#include "model/packed.h"
#include "base/checksum.h"
#include "base/memory.h"
#include "file/gguf_write.h"
#include "model/build.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLAIN = 1, SCALED = 2 /* versions */, ALIGNMENT = 64, F32 = 0, I8 = 24, ROW_FLOATS = 3 };

_Static_assert(sizeof(struct tri_screen_row) == ROW_FLOATS * sizeof(float), "rows are written as they lie");

#define PREFIX "tritune.packed."
#define AGAIN "; convert the original file again"

/* -- names --------------------------------------------------------------- */

struct name {
    char text[64];
};

static struct name key_of(enum tri_role role, const char *what)
{
    struct name n;
    snprintf(n.text, sizeof n.text, PREFIX "%s.%s", tri_role_names[role], what);
    return n;
}

static struct name tensor_of(int layer, enum tri_role role, const char *what)
{
    struct name n;
    snprintf(n.text, sizeof n.text, "blk.%d.%s.%s", layer, tri_role_names[role], what);
    return n;
}

static struct name stack_of(int layer, enum tri_role role)
{
    return tensor_of(layer, role, "packed");
}

static struct name scales_of(int layer, enum tri_role role)
{
    return tensor_of(layer, role, "scales");
}

bool tri_packed_name(const char *name, int *layer, enum tri_role *role)
{
    char word[16], what;
    if (sscanf(name, "blk.%9d.%15[a-z_].%c", layer, word, &what) != 3)
        return false;
    for (enum tri_role r = 0; r < TRI_ROLES; r++)
        if (strcmp(word, tri_role_names[r]) == 0) {
            *role = r;
            return strcmp(name, stack_of(*layer, r).text) == 0 || strcmp(name, scales_of(*layer, r).text) == 0;
        }
    return false;
}

static const char codes_name[] = "output.screen.codes", rows_name[] = "output.screen.rows";

bool tri_packed_screen_name(const char *name)
{
    return strcmp(name, codes_name) == 0 || strcmp(name, rows_name) == 0;
}

bool tri_packed_is(const struct tri_gguf *g)
{
    return tri_gguf_find(g, PREFIX "version") != NULL;
}

/* -- reading ------------------------------------------------------------- */

static enum tri_status read_version(const struct tri_gguf *g, uint64_t *version, struct tri_error *e)
{
    if (tri_gguf_uint(g, PREFIX "version", version, e) != TRI_OK)
        return e->status;
    if (*version == PLAIN || *version == SCALED)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED, "%s: packed form %llu: expected version %d or %d" AGAIN " with this program",
                    tri_gguf_name(g), (unsigned long long)*version, PLAIN, SCALED);
}

static const struct tri_gguf_key *read_array(const struct tri_gguf *g, const char *name, enum tri_gguf_type element,
                                             uint64_t count, struct tri_error *e)
{
    const struct tri_gguf_key *key = tri_gguf_find(g, name);
    if (key && key->type == TRI_ARRAY && key->element == element && key->count == count)
        return key;
    tri_fail(e, TRI_BAD_FILE, "%s: key %s: expected an array of %llu %s, found %s" AGAIN, tri_gguf_name(g), name,
             (unsigned long long)count, tri_gguf_type_name(element), key ? "something else" : "none");
    return NULL;
}

static enum tri_status read_layout(struct tri_packed *p, enum tri_role role, struct tri_error *e)
{
    char name[16];
    struct tri_text text;
    const struct tri_gguf_key *tile = read_array(p->g, key_of(role, "tile").text, TRI_U32, 3, e);
    if (!tile || tri_gguf_text(p->g, key_of(role, "layout").text, &text, e) != TRI_OK)
        return e->status;
    snprintf(name, sizeof name, "%.*s", text.size < sizeof name ? (int)text.size : 0, text.at);
    const struct tri_layout *l = p->role[role].layout = tri_layout_find(name);
    if (l && tri_gguf_element(tile, 0) == l->rows && tri_gguf_element(tile, 1) == l->kstep &&
        tri_gguf_element(tile, 2) == l->bytes)
        return TRI_OK;
    return tri_fail(e, TRI_UNSUPPORTED,
                    "%s: %s is packed in a layout \"%s\" of tiles of %g x %g weights in %g bytes, which this program "
                    "does not know" AGAIN " with this program",
                    tri_gguf_name(p->g), tri_role_names[role], name, tri_gguf_element(tile, 0),
                    tri_gguf_element(tile, 1), tri_gguf_element(tile, 2));
}

static int parts_of(enum tri_role role)
{
    int parts = 0;
    for (int i = 0; i < TRI_PARTS; i++)
        parts += tri_part_shapes[i].role == role;
    return parts;
}

static int columns_of(const struct tri_config *c, enum tri_role role)
{
    return tri_width(c, tri_part_shapes[tri_part_index(role, 0)].columns);
}

/* What kernels know, and rows are made of. */
static bool is_group(int group, int columns)
{
    static const int known[] = {32, 64, 128, 256};
    bool is = group == 0 || group == columns;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is |= group == known[i] && columns % group == 0;
    return is;
}

static enum tri_status read_groups(struct tri_packed *p, const struct tri_config *c, enum tri_role role,
                                   struct tri_error *e)
{
    struct tri_packed_role *r = &p->role[role];
    const uint64_t layers = (uint64_t)c->layers, parts = layers * (uint64_t)parts_of(role);
    const struct name name = key_of(role, "groups");
    const int columns = columns_of(c, role);
    if (!tri_gguf_find(p->g, name.text))
        return TRI_OK;
    if (!(r->groups = read_array(p->g, name.text, TRI_U32, parts, e)) ||
        !(r->scales_checksums = read_array(p->g, key_of(role, "scales_checksums").text, TRI_U64, layers, e)))
        return e->status;
    for (uint64_t i = 0; i < parts; i++) {
        const double found = tri_gguf_element(r->groups, i);
        const int group = found <= columns ? (int)found : -1;
        if (!is_group(group, columns))
            return tri_fail(e, TRI_BAD_FILE, "%s: key %s: expected 0, %d, or 32, 64, 128 or 256 that divide it, found "
                            "%g at %llu" AGAIN, tri_gguf_name(p->g), name.text, columns, found, (unsigned long long)i);
        if (group > 0 && group < columns && (!r->group || group < r->group))
            r->group = group;
    }
    return TRI_OK;
}

enum tri_status tri_packed_read(struct tri_packed *p, const struct tri_gguf *g, const struct tri_config *c,
                                struct tri_error *e)
{
    uint64_t version;
    *p = (struct tri_packed){.g = g};
    if (read_version(g, &version, e) != TRI_OK)
        return e->status;
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        const uint64_t layers = (uint64_t)c->layers, scales = layers * (uint64_t)parts_of(r);
        if (read_layout(p, r, e) != TRI_OK ||
            !(p->role[r].scales = read_array(g, key_of(r, "scales").text, TRI_F32, scales, e)) ||
            !(p->role[r].checksums = read_array(g, key_of(r, "checksums").text, TRI_U64, layers, e)) ||
            (version == SCALED && read_groups(p, c, r, e) != TRI_OK))
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status read_parts(const struct tri_packed *p, int layer, struct tri_matrix *m, struct tri_error *e)
{
    const struct tri_gguf_key *groups = p->role[m->role].groups;
    for (int i = 0; i < m->parts; i++) {
        const uint64_t at = (uint64_t)layer * (uint64_t)m->parts + (uint64_t)i;
        m->part[i].group = groups ? (int)tri_gguf_element(groups, at) : 0;
        m->part[i].scale = (float)tri_gguf_element(p->role[m->role].scales, at);
        if (!isfinite(m->part[i].scale) || m->part[i].scale <= 0)
            return tri_fail(e, TRI_BAD_FILE, "%s: key %s: expected finite numbers above 0, found %g at %llu" AGAIN,
                            tri_gguf_name(p->g), key_of(m->role, "scales").text, (double)m->part[i].scale,
                            (unsigned long long)at);
    }
    return TRI_OK;
}

/* NULL, with an error, unless a tensor has what a stack needs, where floats can be read. */
static const float *scales_tensor(const struct tri_packed *p, const char *name, const struct tri_matrix *m,
                                  struct tri_error *e)
{
    const struct tri_tensor *t = tri_gguf_tensor(p->g, name);
    const size_t count = tri_matrix_scales(m);
    if (t && t->encoding->id == F32 && t->bytes == count * sizeof(float) && (uintptr_t)t->data % sizeof(float) == 0)
        return (const float *)(const void *)t->data;
    tri_fail(e, TRI_BAD_FILE, "%s: expected a tensor %s of %zu values (F32) at a multiple of %zu, found %s" AGAIN,
             tri_gguf_name(p->g), name, count, sizeof(float), t ? "another type, size or place" : "none");
    return NULL;
}

static enum tri_status read_scales(const struct tri_packed *p, int layer, struct tri_matrix *m, struct tri_error *e)
{
    const struct name name = scales_of(layer, m->role);
    m->scales = NULL;
    if (!tri_matrix_has_scales(m))
        return !tri_gguf_tensor(p->g, name.text) ? TRI_OK :
               tri_fail(e, TRI_BAD_FILE, "%s: expected no tensor %s where key %s says of no part that it has more than "
                        "one scale" AGAIN, tri_gguf_name(p->g), name.text, key_of(m->role, "groups").text);
    if (!(m->scales = scales_tensor(p, name.text, m, e)))
        return e->status;
    const size_t count = tri_matrix_scales(m);
    for (size_t i = 0; i < count; i++)
        if (!(m->scales[i] >= 0 && m->scales[i] < INFINITY))
            return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: expected finite numbers from 0 on, found %g at %zu" AGAIN,
                            tri_gguf_name(p->g), name.text, (double)m->scales[i], i);
    return TRI_OK;
}

enum tri_status tri_packed_stack(const struct tri_packed *p, int layer, struct tri_matrix *m, struct tri_error *e)
{
    const struct name name = stack_of(layer, m->role);
    const struct tri_tensor *t = tri_gguf_tensor(p->g, name.text);
    tri_matrix_lay(m, p->role[m->role].layout);
    if (!t || t->encoding->id != I8 || t->bytes != m->bytes)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected a tensor %s of %zu bytes (I8), found %s" AGAIN,
                        tri_gguf_name(p->g), name.text, m->bytes, t ? "one of another type or size" : "none");
    m->packed = (uint8_t *)t->data; /* only ever read */
    m->group = p->role[m->role].group;
    return read_parts(p, layer, m, e) == TRI_OK ? read_scales(p, layer, m, e) : e->status;
}

static size_t scales_bytes(const struct tri_matrix *m)
{
    return tri_matrix_scales(m) * sizeof *m->scales;
}

static enum tri_status verify(const struct tri_packed *p, const char *tensor, const void *at, size_t bytes,
                              const struct tri_gguf_key *sums, int layer, struct tri_error *e)
{
    uint64_t wanted;
    memcpy(&wanted, sums->at + (size_t)layer * sizeof wanted, sizeof wanted);
    if (tri_checksum(0, at, bytes) == wanted)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: its bytes are not those that were written: the file is damaged"
                    AGAIN, tri_gguf_name(p->g), tensor);
}

enum tri_status tri_packed_verify(const struct tri_packed *p, int layer, const struct tri_matrix *m,
                                  struct tri_error *e)
{
    const struct tri_packed_role *r = &p->role[m->role];
    enum tri_status status = verify(p, stack_of(layer, m->role).text, m->packed, m->bytes, r->checksums, layer, e);
    if (status == TRI_OK && m->scales)
        status = verify(p, scales_of(layer, m->role).text, m->scales, scales_bytes(m), r->scales_checksums, layer, e);
    return status;
}

/* -- the copy of the output matrix ----------------------------------------- */

/* Tensors of the copy as they have to be: bytes in place, or NULL with an error. */
static const uint8_t *screen_tensor(const struct tri_packed *p, const char *name, uint32_t encoding, size_t columns,
                                    int rows, struct tri_error *e)
{
    const struct tri_tensor *t = tri_gguf_tensor(p->g, name);
    if (t && t->encoding->id == encoding && t->ne[0] == (int64_t)columns && tri_tensor_rows(t) == rows)
        return t->data;
    tri_fail(e, TRI_BAD_FILE, "%s: expected a tensor %s of %zu x %d values (%s), found %s" AGAIN, tri_gguf_name(p->g),
             name, columns, rows, tri_encoding_find(encoding)->name, t ? "one of another type or shape" : "none");
    return NULL;
}

static bool possible(const struct tri_screen_row *r)
{
    return r->scale >= 0 && r->scale < INFINITY && r->error >= 0 && r->norm >= 0 && r->norm < INFINITY;
}

static enum tri_status read_rows(const struct tri_packed *p, const struct tri_config *c, struct tri_screen *s,
                                 struct tri_error *e)
{
    for (int i = 0; i < c->vocab; i++)
        if (!possible(&s->row[i]))
            return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: expected finite numbers from 0 on, found others in row %d"
                            AGAIN, tri_gguf_name(p->g), rows_name, i);
    s->norm = tri_screen_norm(s->row, c->vocab);
    return TRI_OK;
}

enum tri_status tri_packed_screen(const struct tri_packed *p, const struct tri_config *c, struct tri_screen *s,
                                  struct tri_error *e)
{
    uint64_t reach;
    *s = (struct tri_screen){.ld = tri_screen_ld(c), .bytes = tri_screen_bytes(c)};
    if (!tri_gguf_tensor(p->g, codes_name))
        return TRI_OK;
    const uint8_t *codes = screen_tensor(p, codes_name, I8, s->ld, c->vocab, e);
    const uint8_t *rows = codes ? screen_tensor(p, rows_name, F32, ROW_FLOATS, c->vocab, e) : NULL;
    if (!rows || tri_gguf_uint(p->g, PREFIX "screen.reach", &reach, e) != TRI_OK)
        return e->status;
    if (reach < 1 || reach > TRI_SCREEN_REACH)
        return tri_fail(e, TRI_BAD_FILE, "%s: key " PREFIX "screen.reach: expected 1 to %d, found %llu" AGAIN,
                        tri_gguf_name(p->g), TRI_SCREEN_REACH, (unsigned long long)reach);
    if (((uintptr_t)codes | (uintptr_t)rows) % ALIGNMENT)
        return TRI_OK;
    s->reach = (int)reach;
    s->row = (const struct tri_screen_row *)(const void *)rows;
    s->codes = (const int8_t *)codes;
    return read_rows(p, c, s, e);
}

static size_t codes_bytes(const struct tri_screen *s, const struct tri_config *c)
{
    return (size_t)c->vocab * s->ld;
}

static void screen_checksums(const struct tri_screen *s, const struct tri_config *c, uint64_t sums[2])
{
    sums[0] = tri_checksum(0, s->codes, codes_bytes(s, c));
    sums[1] = tri_checksum(0, s->row, (size_t)c->vocab * sizeof *s->row);
}

enum tri_status tri_packed_verify_screen(const struct tri_packed *p, const struct tri_screen *s,
                                         const struct tri_config *c, struct tri_error *e)
{
    uint64_t sums[2];
    const struct tri_gguf_key *wanted = read_array(p->g, PREFIX "screen.checksums", TRI_U64, 2, e);
    if (!wanted)
        return e->status;
    screen_checksums(s, c, sums);
    if (memcmp(sums, wanted->at, sizeof sums) == 0)
        return TRI_OK;
    return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s or %s: the bytes are not those that were written: the file is "
                    "damaged" AGAIN, tri_gguf_name(p->g), codes_name, rows_name);
}

/* -- writing ------------------------------------------------------------- */

struct sums {
    uint64_t packed, scales; /* the latter 0 where there are none */
};

struct writing {
    const struct tri_model *m;
    const struct tri_gguf *g;
    const struct tri_pool *pool;
    struct tri_gguf_writer *w;
    struct sums *sums; /* [layers][roles] */
    int next;          /* tensor that is written */
    bool (*stop)(void);
};

static void checksum_share(void *arg, int thread, int threads)
{
    const struct writing *x = arg;
    int from, to;
    (void)threads;
    tri_pool_share(x->pool, x->m->config.layers * TRI_ROLES, thread, &from, &to);
    for (int i = from; i < to; i++) {
        const struct tri_matrix *m = &x->m->layer[i / TRI_ROLES].matrix[i % TRI_ROLES];
        x->sums[i].packed = tri_checksum(0, m->packed, m->bytes);
        x->sums[i].scales = m->scales ? tri_checksum(0, m->scales, scales_bytes(m)) : 0;
    }
}

static enum tri_status add_role(const struct writing *x, enum tri_role role, struct tri_error *e)
{
    const struct tri_layout *l = x->m->layer[0].matrix[role].plan.layout;
    const uint32_t tile[] = {(uint32_t)l->rows, (uint32_t)l->kstep, (uint32_t)l->bytes};
    const size_t layers = (size_t)x->m->config.layers, parts = (size_t)parts_of(role);
    uint64_t *sums = tri_alloc(layers, sizeof *sums, "checksums", e);
    float *scales = sums ? tri_alloc(layers * parts, sizeof *scales, "scales", e) : NULL;
    for (size_t i = 0; scales && i < layers; i++) {
        sums[i] = x->sums[i * TRI_ROLES + role].packed;
        for (size_t p = 0; p < parts; p++)
            scales[i * parts + p] = x->m->layer[i].matrix[role].part[p].scale;
    }
    if (scales) {
        tri_gguf_add_text(x->w, key_of(role, "layout").text, l->name);
        tri_gguf_add_array(x->w, key_of(role, "tile").text, TRI_U32, 3, tile);
        tri_gguf_add_array(x->w, key_of(role, "scales").text, TRI_F32, layers * parts, scales);
        tri_gguf_add_array(x->w, key_of(role, "checksums").text, TRI_U64, layers, sums);
    }
    tri_free(sums);
    tri_free(scales);
    return scales ? TRI_OK : e->status;
}

static bool is_scaled(const struct writing *x, enum tri_role role)
{
    bool is = false;
    for (int i = 0; i < x->m->config.layers; i++)
        is |= x->m->layer[i].matrix[role].scales != NULL;
    return is;
}

static enum tri_status add_groups(const struct writing *x, enum tri_role role, struct tri_error *e)
{
    const size_t layers = (size_t)x->m->config.layers, parts = (size_t)parts_of(role);
    uint64_t *sums = tri_alloc(layers, sizeof *sums, "checksums", e);
    uint32_t *groups = sums ? tri_alloc(layers * parts, sizeof *groups, "groups", e) : NULL;
    for (size_t i = 0; groups && i < layers; i++) {
        sums[i] = x->sums[i * TRI_ROLES + role].scales;
        for (size_t p = 0; p < parts; p++)
            groups[i * parts + p] = (uint32_t)x->m->layer[i].matrix[role].part[p].group;
    }
    if (groups) {
        tri_gguf_add_array(x->w, key_of(role, "groups").text, TRI_U32, layers * parts, groups);
        tri_gguf_add_array(x->w, key_of(role, "scales_checksums").text, TRI_U64, layers, sums);
    }
    tri_free(sums);
    tri_free(groups);
    return groups ? TRI_OK : e->status;
}

static bool own_key(const struct tri_gguf_key *key)
{
    static const char *const names[] = {PREFIX, "general.alignment"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (key->name.size >= strlen(names[i]) && memcmp(key->name.at, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static enum tri_status add_keys(const struct writing *x, struct tri_error *e)
{
    for (size_t i = 0; i < tri_gguf_key_count(x->g); i++)
        if (!own_key(tri_gguf_key_at(x->g, i)))
            tri_gguf_add_key(x->w, tri_gguf_key_at(x->g, i));
    uint32_t version = PLAIN;
    for (enum tri_role r = 0; r < TRI_ROLES; r++)
        version = is_scaled(x, r) ? SCALED : version;
    tri_gguf_add_uint(x->w, PREFIX "version", version);
    for (enum tri_role r = 0; r < TRI_ROLES; r++)
        if (add_role(x, r, e) != TRI_OK || (is_scaled(x, r) && add_groups(x, r, e) != TRI_OK))
            return e->status;
    if (x->m->screen) {
        uint64_t sums[2];
        screen_checksums(x->m->screen, &x->m->config, sums);
        tri_gguf_add_uint(x->w, PREFIX "screen.reach", (uint32_t)x->m->screen->reach);
        tri_gguf_add_array(x->w, PREFIX "screen.checksums", TRI_U64, 2, sums);
    }
    return TRI_OK;
}

/* A matrix of a layer, whose trits are in a stack, or its .scale tensor, which the stack's scale has in it. */
static bool is_stacked(const char *name)
{
    char *end = NULL;
    const bool of_layer = strncmp(name, "blk.", 4) == 0 && strtol(name + 4, &end, 10) >= 0 && *end == '.';
    for (int p = 0; of_layer && p < TRI_PARTS; p++) {
        const size_t size = strlen(tri_part_shapes[p].name);
        const char *rest = end + 1 + size;
        if (strncmp(end + 1, tri_part_shapes[p].name, size) == 0 &&
            (strcmp(rest, ".weight") == 0 || strcmp(rest, ".scale") == 0))
            return true;
    }
    return false;
}

/* Whether a tensor of the file goes over as it is: all that was not packed. */
static bool stays(const struct tri_tensor *t)
{
    int layer;
    enum tri_role role;
    return !is_stacked(t->name) && !tri_packed_name(t->name, &layer, &role) && !tri_packed_screen_name(t->name);
}

static void add_screen(const struct writing *x)
{
    const int64_t rows = x->m->config.vocab;
    struct tri_tensor codes = {.encoding = tri_encoding_find(I8), .dims = 2, .ne = {0, rows, 1, 1}};
    struct tri_tensor bounds = {.encoding = tri_encoding_find(F32), .dims = 2, .ne = {ROW_FLOATS, rows, 1, 1}};
    codes.ne[0] = (int64_t)x->m->screen->ld;
    snprintf(codes.name, sizeof codes.name, "%s", codes_name);
    snprintf(bounds.name, sizeof bounds.name, "%s", rows_name);
    tri_gguf_add_tensor(x->w, &codes);
    tri_gguf_add_tensor(x->w, &bounds);
}

static void add_vector(const struct writing *x, struct name name, uint32_t encoding, size_t count)
{
    struct tri_tensor t = {.encoding = tri_encoding_find(encoding), .dims = 1, .ne = {(int64_t)count, 1, 1, 1}};
    memcpy(t.name, name.text, sizeof t.name);
    tri_gguf_add_tensor(x->w, &t);
}

/* The stacks first: what is read behind the last of them lies in the file, too. */
static void add_tensors(const struct writing *x)
{
    for (int i = 0; i < x->m->config.layers; i++)
        for (enum tri_role r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *m = &x->m->layer[i].matrix[r];
            add_vector(x, stack_of(i, r), I8, m->bytes);
            if (m->scales)
                add_vector(x, scales_of(i, r), F32, tri_matrix_scales(m));
        }
    if (x->m->screen)
        add_screen(x);
    for (size_t i = 0; i < tri_gguf_tensor_count(x->g); i++)
        if (stays(tri_gguf_tensor_at(x->g, i)))
            tri_gguf_add_tensor(x->w, tri_gguf_tensor_at(x->g, i));
}

static enum tri_status write_next(struct writing *x, const void *at, size_t bytes, struct tri_error *e)
{
    return tri_gguf_write(x->w, x->next++, 0, at, bytes, e);
}

static enum tri_status write_stacks(struct writing *x, struct tri_error *e)
{
    const bool terminal = isatty(STDERR_FILENO);
    const int stacks = x->m->config.layers * TRI_ROLES;
    enum tri_status status = TRI_OK;
    for (int i = 0; i < stacks && status == TRI_OK; i++) {
        const struct tri_matrix *m = &x->m->layer[i / TRI_ROLES].matrix[i % TRI_ROLES];
        if (terminal)
            fprintf(stderr, "\rwriting %d %%", 100 * i / stacks);
        status = x->stop() ? tri_fail(e, TRI_INTERRUPTED, "interrupted") : TRI_OK;
        if (status == TRI_OK)
            status = write_next(x, m->packed, m->bytes, e);
        if (status == TRI_OK && m->scales)
            status = write_next(x, m->scales, scales_bytes(m), e);
    }
    if (terminal)
        fprintf(stderr, "\r\033[K");
    return status;
}

static enum tri_status write_screen(struct writing *x, struct tri_error *e)
{
    const struct tri_screen *s = x->m->screen;
    if (write_next(x, s->codes, codes_bytes(s, &x->m->config), e) != TRI_OK)
        return e->status;
    return write_next(x, s->row, (size_t)x->m->config.vocab * sizeof *s->row, e);
}

static enum tri_status write_tensors(struct writing *x, struct tri_error *e)
{
    enum tri_status status = write_stacks(x, e);
    if (status == TRI_OK && x->m->screen)
        status = write_screen(x, e);
    for (size_t i = 0; i < tri_gguf_tensor_count(x->g) && status == TRI_OK; i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(x->g, i);
        if (stays(t))
            status = write_next(x, t->data, t->bytes, e);
    }
    return status;
}

static enum tri_status write_all(struct writing *x, struct tri_error *e)
{
    if (add_keys(x, e) != TRI_OK)
        return e->status;
    add_tensors(x);
    if (tri_gguf_begin(x->w, e) != TRI_OK || write_tensors(x, e) != TRI_OK)
        return e->status;
    return tri_gguf_commit(x->w, e);
}

enum tri_status tri_packed_write(const struct tri_model *m, const struct tri_gguf *g, const char *path,
                                 struct tri_pool *pool, bool (*stop)(void), struct tri_error *e)
{
    struct writing x = {.m = m, .g = g, .pool = pool, .stop = stop};
    x.sums = tri_alloc((size_t)m->config.layers * TRI_ROLES, sizeof *x.sums, "checksums", e);
    x.w = x.sums ? tri_gguf_create(path, ALIGNMENT, e) : NULL;
    enum tri_status status = x.w ? TRI_OK : e->status;
    if (status == TRI_OK) {
        tri_pool_run(pool, checksum_share, &x);
        status = write_all(&x, e);
    }
    tri_gguf_discard(x.w);
    tri_free(x.sums);
    return status;
}
