/* Owns: writing a model in another encoding. Leaves out encodings (file/) and where trits come from (trits.c). */
#include "model/transcode.h"

#include "base/memory.h"
#include "base/queue.h"
#include "file/encode.h"
#include "file/gguf_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { F32 = 0, ROWS = TRI_TRITS_CHUNK, COPY = 1 << 22 /* bytes in one go */ };

enum kind { COPIED, FLOATS, TRITS };

/* A tensor of the new file. */
struct item {
    enum kind kind;
    const struct tri_tensor *from;          /* COPIED, FLOATS */
    const struct tri_trits_matrix *matrix;  /* TRITS */
    struct tri_tensor to;
    int64_t first; /* its first piece among those of the file */
};

struct writing {
    const struct tri_transcode *how;
    const struct tri_gguf *g;
    const struct tri_encoder *encoder;
    struct tri_trits *trits;
    struct tri_gguf_writer *w;
    struct item *item; /* [items], and one behind them that begins where they end */
    int items;
    uint64_t *chunks; /* hashes of trits, [pieces of matrices] */
    int64_t first_chunk;
    uint8_t *buffer; /* [threads] of what a thread has at hand */
    size_t hand, decoded, encoded, scales;
};

/* -- what goes where -------------------------------------------------------- */

static bool is_end(const struct tri_tensor *t)
{
    return strcmp(t->name, "token_embd.weight") == 0 || strcmp(t->name, "output.weight") == 0;
}

/* Norms go as F32, which every program reads. */
static const struct tri_encoding *float_type(const struct writing *f, const struct tri_tensor *t)
{
    if (is_end(t) && f->how->embedding)
        return f->how->embedding;
    return t->dims == 1 && t->encoding->floats ? tri_encoding_find(F32) : t->encoding;
}

static enum tri_status add_item(struct writing *f, struct item item, struct tri_error *e)
{
    const int64_t pieces = item.kind == COPIED ? (int64_t)((item.from->bytes + COPY - 1) / COPY)
                                               : (tri_tensor_rows(&item.to) + ROWS - 1) / ROWS;
    if (tri_tensor_size(&item.to, e) != TRI_OK) {
        tri_fail_in(e, "%s: tensor %s as %s", tri_gguf_name(f->g), item.to.name, item.to.encoding->name);
        return e->status = TRI_UNSUPPORTED;
    }
    item.first = f->item[f->items].first;
    f->item[f->items++] = item;
    f->item[f->items].first = item.first + pieces;
    return TRI_OK;
}

static enum tri_status add_floats(struct writing *f, const struct tri_tensor *t, struct tri_error *e)
{
    struct item item = {.kind = COPIED, .from = t, .to = *t};
    item.to.encoding = float_type(f, t);
    if (item.to.encoding != t->encoding)
        item.kind = FLOATS;
    if (item.kind == FLOATS && !t->encoding->floats)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: tensor %s: expected floats to write as %s, found %s",
                        tri_gguf_name(f->g), t->name, item.to.encoding->name, t->encoding->name);
    if (item.kind == COPIED && t->encoding->id >= TRI_OUTSIDE_GGUF)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: tensor %s: expected a tensor that GGUF files can hold, found %s",
                        tri_gguf_name(f->g), t->name, t->encoding->name);
    return add_item(f, item, e);
}

static enum tri_status refuse(const struct writing *f, const struct tri_trits_matrix *m, const char *expected,
                              const char *found, struct tri_error *e)
{
    return tri_fail(e, TRI_UNSUPPORTED, "%s: tensor %s as %s: expected %s, found %s; another --type may hold it",
                    tri_gguf_name(f->g), m->name, f->how->matrices->name, expected, found);
}

static enum tri_status check_matrix(const struct writing *f, const struct tri_trits_matrix *m, struct tri_error *e)
{
    static const char *const scalings[] = {"one scale", "a scale per row", "a scale per group"};
    char text[2][64];
    int64_t group;
    const int64_t all = f->encoder->whole ? m->columns : m->columns * m->rows;
    tri_trits_groups(m, &group);
    if (all % f->encoder->group) {
        snprintf(text[0], sizeof text[0], "%s of a multiple of %d weights", f->encoder->whole ? "rows" : "a matrix",
                 f->encoder->group);
        snprintf(text[1], sizeof text[1], "%lld", (long long)all);
        return refuse(f, m, text[0], text[1], e);
    }
    if (!f->encoder->grouped && tri_trits_scaling(m) != TRI_PER_TENSOR)
        return refuse(f, m, "one scale for the whole matrix", scalings[tri_trits_scaling(m)], e);
    if (group % f->encoder->group && tri_trits_scaling(m) == TRI_PER_GROUP) {
        snprintf(text[0], sizeof text[0], "groups of a multiple of %d columns", f->encoder->group);
        snprintf(text[1], sizeof text[1], "groups of %lld", (long long)group);
        return refuse(f, m, text[0], text[1], e);
    }
    return TRI_OK;
}

static enum tri_status add_matrix(struct writing *f, const struct tri_trits_matrix *m, struct tri_error *e)
{
    struct item item = {.kind = TRITS, .matrix = m};
    item.to = (struct tri_tensor){.encoding = f->how->matrices, .dims = 2, .ne = {m->columns, m->rows, 1, 1},
                                  .factor = 1};
    memcpy(item.to.name, m->name, sizeof item.to.name);
    return check_matrix(f, m, e) == TRI_OK ? add_item(f, item, e) : e->status;
}

static enum tri_status plan(struct writing *f, struct tri_error *e)
{
    const size_t count = tri_gguf_tensor_count(f->g);
    if (!(f->item = tri_alloc(count + (size_t)f->trits->count + 1, sizeof *f->item, "tensors", e)))
        return e->status;
    for (size_t i = 0; i < count; i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        if (!tri_trits_own(f->trits, t) && add_floats(f, t, e) != TRI_OK)
            return e->status;
    }
    f->first_chunk = f->item[f->items].first;
    for (int i = 0; i < f->trits->count; i++)
        if (add_matrix(f, &f->trits->matrix[i], e) != TRI_OK)
            return e->status;
    return TRI_OK;
}

/* -- scales ------------------------------------------------------------------- */

static enum tri_status compare_scale(const struct writing *f, const struct tri_trits_matrix *m, float scale,
                                     struct tri_transcoded *done, struct tri_error *e)
{
    const float written = tri_encoder_scale(f->encoder, scale);
    const double change = scale != 0 ? fabs((double)written - (double)scale) / (double)scale : 0;
    if (scale != 0 && !(written > 0 && written < INFINITY))
        return tri_fail(e, TRI_UNSUPPORTED, "%s: tensor %s as %s: expected a scale that F16 can hold, found %g",
                        tri_gguf_name(f->g), m->name, f->how->matrices->name, (double)scale);
    if (change > 0 && f->how->exact)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: tensor %s as %s: its scale %.9g would become %.9g; --exact refuses "
                        "that: take --type i2_s or tritune", tri_gguf_name(f->g), m->name, f->how->matrices->name,
                        (double)scale, (double)written);
    if (change > done->scale_change) {
        done->scale_change = change;
        snprintf(done->scale_name, sizeof done->scale_name, "%s", m->name);
    }
    return TRI_OK;
}

static enum tri_status compare_scales(const struct writing *f, struct tri_transcoded *done, struct tri_error *e)
{
    float *scales = tri_alloc(f->scales, sizeof *scales, "scales", e);
    enum tri_status status = scales ? TRI_OK : e->status;
    for (int i = 0; i < f->trits->count && status == TRI_OK; i++) {
        const struct tri_trits_matrix *m = &f->trits->matrix[i];
        const int64_t rows = tri_trits_scaling(m) == TRI_PER_TENSOR ? 1 : m->rows;
        int64_t group;
        const int n = tri_trits_groups(m, &group);
        for (int64_t row = 0; row < rows && status == TRI_OK; row++) {
            tri_trits_scales(m, row, scales);
            for (int g = 0; g < n && status == TRI_OK; g++)
                status = compare_scale(f, m, scales[g], done, e);
        }
    }
    tri_free(scales);
    return status;
}

/* -- pieces --------------------------------------------------------------------- */

/* What one thread has at hand. */
struct hand {
    int8_t *unpacked;
    uint8_t *decoded; /* trits or floats */
    uint8_t *encoded;
    float *scales;
};

static size_t hand_bytes(const struct writing *f)
{
    return (f->hand + f->decoded + f->encoded + f->scales * sizeof(float) + 63) / 64 * 64 + 64;
}

static struct hand hand_of(const struct writing *f, int thread)
{
    uint8_t *at = f->buffer + (size_t)thread * hand_bytes(f);
    struct hand h = {.scales = (float *)(void *)at};
    h.decoded = at + f->scales * sizeof(float);
    h.encoded = h.decoded + f->decoded;
    h.unpacked = (int8_t *)h.encoded + f->encoded;
    return h;
}

static void size_hands(struct writing *f)
{
    f->hand = tri_trits_hand(f->trits);
    f->scales = 16;
    for (int i = 0; i < f->items; i++) {
        const struct item *item = &f->item[i];
        const size_t columns = (size_t)item->to.ne[0], rows = item->kind == COPIED ? 0 : ROWS;
        const size_t row = item->kind == FLOATS ? sizeof(float) : rows;
        int64_t group;
        const size_t scales = item->kind == TRITS ? (size_t)tri_trits_groups(item->matrix, &group) : 0;
        f->decoded = columns * row > f->decoded ? columns * row : f->decoded;
        f->encoded = columns * rows * 4 > f->encoded ? columns * rows * 4 : f->encoded;
        f->scales = scales > f->scales ? scales : f->scales;
    }
    f->decoded = (f->decoded + 63) / 64 * 64;
    f->encoded = (f->encoded + TRI_ENCODER_TAIL + 63) / 64 * 64;
    f->scales = (f->scales + 15) / 16 * 16;
}

/* Rows of trits as groups of the new encoding, each with its scale. */
static void encode_rows(const struct writing *f, const struct item *item, int64_t from, int rows, struct hand *h)
{
    const struct tri_encoder *c = f->encoder;
    const struct tri_trits_matrix *m = item->matrix;
    const int8_t *trits = (const int8_t *)h->decoded;
    int64_t group;
    const int groups = tri_trits_groups(m, &group);
    uint8_t *out = h->encoded;
    if (tri_trits_scaling(m) == TRI_PER_TENSOR) {
        tri_trits_scales(m, 0, h->scales);
        c->groups(trits, rows * m->columns / c->group, h->scales[0], out);
        return;
    }
    for (int r = 0; r < rows; r++) {
        tri_trits_scales(m, from + r, h->scales);
        for (int g = 0; g < groups; g++, trits += group) {
            c->groups(trits, group / c->group, h->scales[g], out);
            out += group / c->group * c->group_bytes;
        }
    }
}

/* What was written decodes to what was read. */
static enum tri_status verify(const struct item *item, int rows, const struct hand *h, uint64_t bytes,
                              struct tri_error *e)
{
    struct tri_tensor t = item->to;
    struct tri_ternary w;
    int8_t row[4096];
    t.ne[1] = rows;
    t.data = h->encoded;
    t.bytes = bytes;
    int8_t *out = (size_t)t.ne[0] <= sizeof row ? row : tri_alloc((size_t)t.ne[0], 1, "a row", e);
    enum tri_status status = out ? tri_ternary_read(&w, &t, e) : e->status;
    for (int r = 0; r < rows && status == TRI_OK; r++) {
        status = tri_ternary_row(&w, r, out, e);
        if (status == TRI_OK && memcmp(out, h->decoded + (size_t)r * (size_t)t.ne[0], (size_t)t.ne[0]) != 0)
            status = tri_fail(e, TRI_WRONG, "tensor %s: the trits that were written are not those that were read; "
                              "this is a fault of the program", t.name);
    }
    if (out != row)
        tri_free(out);
    return status;
}

static enum tri_status write_trits(struct writing *f, const struct item *item, int64_t piece, struct hand *h,
                                   struct tri_error *e)
{
    const struct tri_trits_matrix *m = item->matrix;
    const struct tri_encoder *c = f->encoder;
    const int64_t from = piece * ROWS, left = m->rows - from;
    const int rows = left < ROWS ? (int)left : ROWS;
    const uint64_t offset = (uint64_t)(from * m->columns / c->group * c->group_bytes);
    const uint64_t bytes = (uint64_t)(rows * m->columns / c->group * c->group_bytes);
    if (tri_trits_rows(f->trits, m, from, rows, h->unpacked, (int8_t *)h->decoded, e) != TRI_OK)
        return e->status;
    f->chunks[item->first + piece - f->first_chunk] =
        tri_trits_chunk_hash((const int8_t *)h->decoded, rows, m->columns);
    encode_rows(f, item, from, rows, h);
    tri_encoder_tail(c, h->scales[0], h->encoded + bytes);
    if (verify(item, rows, h, bytes + (uint64_t)c->tail, e) != TRI_OK)
        return e->status;
    return tri_gguf_write(f->w, (int)(item - f->item), offset, h->encoded,
                          bytes + (from + rows == m->rows ? (uint64_t)c->tail : 0), e);
}

static enum tri_status check_finite(const struct writing *f, const struct item *item, int64_t row, const float *x,
                                    struct tri_error *e)
{
    for (int64_t i = 0; i < item->to.ne[0]; i++)
        if (!isfinite(x[i]))
            return tri_fail(e, TRI_BAD_FILE, "%s: tensor %s: row %lld holds %g at %lld; expected finite values",
                            tri_gguf_name(f->g), item->to.name, (long long)row, (double)x[i], (long long)i);
    return TRI_OK;
}

static enum tri_status write_floats(struct writing *f, const struct item *item, int64_t piece, struct hand *h,
                                    struct tri_error *e)
{
    const struct tri_float_encoder *c = tri_float_encoder_find(item->to.encoding);
    const int64_t from = piece * ROWS, left = tri_tensor_rows(&item->to) - from, rows = left < ROWS ? left : ROWS;
    const uint64_t row_bytes = (uint64_t)(item->to.ne[0] / c->block * c->block_bytes);
    float *x = (float *)(void *)h->decoded;
    for (int64_t r = 0; r < rows; r++) {
        item->from->encoding->floats(item->from, from + r, x);
        if (check_finite(f, item, from + r, x, e) != TRI_OK)
            return e->status;
        c->blocks(x, item->to.ne[0] / c->block, h->encoded + (uint64_t)r * row_bytes);
    }
    return tri_gguf_write(f->w, (int)(item - f->item), (uint64_t)from * row_bytes, h->encoded,
                          (uint64_t)rows * row_bytes, e);
}

static enum tri_status write_copy(struct writing *f, const struct item *item, int64_t piece, struct tri_error *e)
{
    const uint64_t from = (uint64_t)piece * COPY, left = item->from->bytes - from;
    return tri_gguf_write(f->w, (int)(item - f->item), from, item->from->data + from, left < COPY ? left : COPY, e);
}

static enum tri_status write_piece(void *arg, int64_t i, int thread, struct tri_error *e)
{
    struct writing *f = arg;
    const struct item *item = f->item;
    struct hand h = hand_of(f, thread);
    while (item[1].first <= i)
        item++;
    const int64_t piece = i - item->first;
    switch (item->kind) {
    case COPIED:
        return write_copy(f, item, piece, e);
    case FLOATS:
        return write_floats(f, item, piece, &h, e);
    case TRITS:
        break;
    }
    return write_trits(f, item, piece, &h, e);
}

/* -- the file --------------------------------------------------------------------- */

/* Keys that are said anew, or that no longer hold. */
static bool stale(const struct tri_gguf_key *key)
{
    static const char *const names[] = {"split.", "tritune.packed.", "general.alignment",
                                        "general.file_type", "general.quantization_version"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (key->name.size >= strlen(names[i]) && memcmp(key->name.at, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static enum tri_status write_all(struct writing *f, const char *path, struct tri_pool *pool,
                                 bool (*stop)(void), struct tri_transcoded *done, struct tri_error *e)
{
    const struct tri_queue q = {.count = f->item[f->items].first, .step = write_piece, .arg = f, .what = "writing",
                                .stop = stop};
    f->chunks = tri_alloc((size_t)(f->item[f->items].first - f->first_chunk) + 1, sizeof *f->chunks, "hashes", e);
    f->buffer = f->chunks ? tri_alloc((size_t)tri_pool_threads(pool), hand_bytes(f), "writing", e) : NULL;
    if (!f->buffer || !(f->w = tri_gguf_create(path, TRI_GGUF_ALIGNMENT, e)))
        return e->status;
    for (size_t i = 0; i < tri_gguf_key_count(f->g); i++)
        if (!stale(tri_gguf_key_at(f->g, i)))
            tri_gguf_add_key(f->w, tri_gguf_key_at(f->g, i));
    tri_gguf_add_uint(f->w, "general.quantization_version", 2);
    tri_gguf_add_uint(f->w, "general.file_type", f->encoder->file_type);
    for (int i = 0; i < f->items; i++)
        tri_gguf_add_tensor(f->w, &f->item[i].to);
    if (tri_gguf_begin(f->w, e) != TRI_OK || tri_queue_run(&q, pool, e) != TRI_OK)
        return e->status;
    if (tri_trits_combine(f->trits, f->chunks, &done->hash, e) != TRI_OK)
        return e->status;
    return tri_gguf_commit(f->w, e);
}

static void tell(const struct writing *f, struct tri_transcoded *done)
{
    done->matrices = f->trits->count;
    for (int i = 0; i < f->items; i++) {
        done->bytes += f->item[i].to.bytes;
        done->recoded += f->item[i].kind == FLOATS;
        done->copied += f->item[i].kind == COPIED;
    }
}

enum tri_status tri_transcode(const struct tri_transcode *how, const struct tri_gguf *g, const char *path,
                              struct tri_pool *pool, bool (*stop)(void), struct tri_transcoded *done,
                              struct tri_error *e)
{
    struct writing f = {.how = how, .g = g, .encoder = tri_encoder_find(how->matrices)};
    struct tri_config c;
    *done = (struct tri_transcoded){0};
    if (tri_config_read(g, &c, e) != TRI_OK || !(f.trits = tri_trits_open(g, &c, pool, e)))
        return e->status;
    enum tri_status status = plan(&f, e);
    if (status == TRI_OK) {
        size_hands(&f);
        tell(&f, done);
        status = compare_scales(&f, done, e);
    }
    if (status == TRI_OK && !how->dry)
        status = write_all(&f, path, pool, stop, done, e);
    tri_gguf_discard(f.w);
    tri_free(f.buffer);
    tri_free(f.chunks);
    tri_free(f.item);
    tri_trits_free(f.trits);
    return status;
}
