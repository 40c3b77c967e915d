/* Owns: random models as files: their keys, their tensors, and the writing of these piece by piece, so that memory
 * holds a period of each matrix and nothing else. Leaves out the tokenizer. */
#include "base/memory.h"
#include "base/queue.h"
#include "file/encode.h"
#include "file/gguf_write.h"
#include "model/contents.h"

#include <stdio.h>
#include <string.h>

enum { F32 = 0, POOLING_LAST = 3, PIECE = 1 << 22 /* values that are written in one go, about */ };

enum content { EMBEDDING, HEAD, NORM, PART };

/* A tensor of the file. */
struct item {
    enum content content;
    int layer, index; /* the index of tri_norm_shapes or tri_part_shapes */
    int tensor;       /* of the writer */
    int64_t row, values, piece; /* values: of a row, of all, and of a piece */
    int64_t first;              /* its first piece among those of the file */
};

struct writing {
    const struct tri_contents *contents;
    const struct tri_encoding *type;
    const struct tri_encoder *encoder;
    struct tri_gguf_writer *w;
    struct tri_pool *pool;
    bool (*stop)(void);
    struct item *item; /* [items], and one behind them that begins where they end */
    int items;
    int8_t *period[TRI_PARTS]; /* [TRI_PERIOD][columns] */
    uint8_t *buffer;           /* [threads][BUFFER] */
};

/* Halves of a piece, or one row, and a tail. */
enum { BUFFER = 2 * PIECE + TRI_ENCODER_TAIL };

static const struct tri_config *config_of(const struct writing *f)
{
    return &f->contents->synth->config;
}

/* -- keys ---------------------------------------------------------------- */

static void add_of_arch(const struct writing *f, const char *name, uint32_t value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", config_of(f)->family->arch, name);
    tri_gguf_add_uint(f->w, key, value);
}

static void add_float_of_arch(const struct writing *f, const char *name, float value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", config_of(f)->family->arch, name);
    tri_gguf_add_float(f->w, key, value);
}

static void add_keys(const struct writing *f)
{
    const struct tri_config *c = config_of(f);
    tri_gguf_add_text(f->w, "general.architecture", c->family->arch);
    tri_gguf_add_text(f->w, "general.name", "random weights");
    tri_gguf_add_uint(f->w, "general.quantization_version", 2);
    tri_gguf_add_uint(f->w, "general.file_type", f->encoder->file_type);
    add_of_arch(f, "vocab_size", (uint32_t)c->vocab);
    add_of_arch(f, "context_length", (uint32_t)c->context);
    add_of_arch(f, "embedding_length", (uint32_t)c->hidden);
    add_of_arch(f, "block_count", (uint32_t)c->layers);
    add_of_arch(f, "feed_forward_length", (uint32_t)c->ffn);
    add_of_arch(f, "rope.dimension_count", (uint32_t)c->rope_dims);
    add_of_arch(f, "attention.head_count", (uint32_t)c->heads);
    add_of_arch(f, "attention.head_count_kv", (uint32_t)c->kv_heads);
    if (c->head_dim * c->heads != c->hidden) {
        add_of_arch(f, "attention.key_length", (uint32_t)c->head_dim);
        add_of_arch(f, "attention.value_length", (uint32_t)c->head_dim);
    }
    if (c->norms_in)
        add_of_arch(f, "pooling_type", POOLING_LAST);
    add_float_of_arch(f, "attention.layer_norm_rms_epsilon", c->norm_eps);
    add_float_of_arch(f, "rope.freq_base", c->rope_theta);
}

/* -- tensors ------------------------------------------------------------- */

/* Pieces are whole rows where rows are made one by one, whole groups of trits elsewhere. */
static void add_item(struct writing *f, enum content content, int layer, int index, const struct tri_tensor *t)
{
    struct item *item = &f->item[f->items++];
    *item = (struct item){.content = content, .layer = layer, .index = index, .first = item->first,
                          .tensor = tri_gguf_add_tensor(f->w, t), .row = t->ne[0], .values = t->ne[0] * t->ne[1]};
    item->piece = content == PART || item->row > PIECE ? PIECE : PIECE / item->row * item->row;
    item[1].first = item->first + (item->values + item->piece - 1) / item->piece;
}

static void add_norm(struct writing *f, int layer, int norm)
{
    const struct tri_config *c = config_of(f);
    const bool output = layer == c->layers;
    struct tri_tensor t = {.encoding = tri_encoding_find(F32), .dims = 1, .ne = {c->hidden, 1, 1, 1}};
    if (!output)
        t.ne[0] = tri_width(c, tri_norm_shapes[norm].width);
    if (output)
        snprintf(t.name, sizeof t.name, "output_norm.weight");
    else
        snprintf(t.name, sizeof t.name, "blk.%d.%s.weight", layer, tri_norm_shapes[norm].name);
    add_item(f, NORM, layer, norm, &t);
}

static void add_part(struct writing *f, int layer, int part)
{
    const struct tri_part_shape *p = &tri_part_shapes[part];
    struct tri_tensor t = {.encoding = f->type, .dims = 2,
                           .ne = {tri_width(config_of(f), p->columns), tri_width(config_of(f), p->rows), 1, 1}};
    snprintf(t.name, sizeof t.name, "blk.%d.%s.weight", layer, p->name);
    add_item(f, PART, layer, part, &t);
}

static void add_tensors(struct writing *f)
{
    const struct tri_config *c = config_of(f);
    for (int head = 0; head <= (f->contents->synth->head != NULL); head++) {
        const struct tri_tensor t = tri_contents_embedding(f->contents, head);
        add_item(f, head ? HEAD : EMBEDDING, 0, 0, &t);
    }
    add_norm(f, c->layers, 0);
    for (int i = 0; i < c->layers; i++) {
        for (int n = 0; n < TRI_NORMS; n++)
            if (tri_norm_is_there(c, &tri_norm_shapes[n]))
                add_norm(f, i, n);
        for (int p = 0; p < TRI_PARTS; p++)
            add_part(f, i, p);
    }
}

/* -- a piece of a tensor: values [from, to) as bytes, where they belong ---- */

struct piece {
    const struct item *item;
    int64_t from, to;
    uint64_t offset, bytes;
};

static void make_rows(const struct writing *f, struct piece *p, uint8_t *out)
{
    const bool head = p->item->content == HEAD;
    const struct tri_tensor t = tri_contents_embedding(f->contents, head);
    const uint64_t row_bytes = t.bytes / (uint64_t)t.ne[1];
    const int64_t from = p->from / p->item->row, to = p->to / p->item->row;
    for (int64_t i = from; i < to; i++)
        tri_contents_row(f->contents, head, (int)i, out + (uint64_t)(i - from) * row_bytes);
    p->offset = (uint64_t)from * row_bytes;
    p->bytes = (uint64_t)(to - from) * row_bytes;
}

/* Whole groups of trits, the first of which begins at value `from` of the item: where a scale is for fewer columns than
 * a row has, each with its own. */
static void encode(const struct writing *f, const struct item *item, int64_t from, const int8_t *trits, int64_t groups,
                   uint8_t *out)
{
    const struct tri_encoder *c = f->encoder;
    const int scaled = f->contents->synth->group;
    if (!scaled) {
        c->groups(trits, groups, tri_contents_scale(f->contents, item->layer, item->index), out);
        return;
    }
    for (int64_t i = 0; i < groups; i++) {
        const int64_t at = from + i * scaled;
        const float scale = tri_contents_group_scale(f->contents, item->layer, item->index, (int)(at / item->row),
                                                     (int)(at % item->row) / scaled);
        c->groups(trits + i * scaled, 1, scale, out + i * c->group_bytes);
    }
}

/* From the period, whose end is a multiple of every group, too. */
static void make_trits(const struct writing *f, struct piece *p, uint8_t *out)
{
    const struct item *item = p->item;
    const struct tri_encoder *c = f->encoder;
    const int64_t whole = TRI_PERIOD * item->row;
    const float scale = tri_contents_scale(f->contents, item->layer, item->index);
    int64_t start = tri_contents_begin(f->contents, item->layer, item->index) * item->row + p->from;
    uint8_t *at = out;
    for (int64_t left = p->to - p->from, n; left > 0; left -= n, start += n) {
        start %= whole;
        n = whole - start < left ? whole - start : left;
        encode(f, item, p->to - left, f->period[item->index] + start, n / c->group, at);
        at += n / c->group * c->group_bytes;
    }
    if (p->to == item->values) {
        tri_encoder_tail(c, scale, at);
        at += c->tail;
    }
    p->offset = (uint64_t)(p->from / c->group * c->group_bytes);
    p->bytes = (uint64_t)(at - out);
}

static void make_piece(const struct writing *f, struct piece *p, uint8_t *out)
{
    if (p->item->content == PART) {
        make_trits(f, p, out);
    } else if (p->item->content == NORM) {
        tri_contents_norm(f->contents, p->item->layer, p->item->index, (float *)(void *)out);
        p->bytes = (uint64_t)p->item->values * sizeof(float);
    } else {
        make_rows(f, p, out);
    }
}

/* -- all pieces, in the order of the file, whoever is free ------------------ */

static struct piece piece_at(const struct writing *f, int64_t index)
{
    int low = 0, high = f->items - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (f->item[middle].first <= index)
            low = middle;
        else
            high = middle - 1;
    }
    const struct item *item = &f->item[low];
    struct piece p = {.item = item, .from = (index - item->first) * item->piece};
    p.to = item->values - p.from < item->piece ? item->values : p.from + item->piece;
    return p;
}

static enum tri_status write_piece(void *arg, int64_t index, int thread, struct tri_error *e)
{
    const struct writing *f = arg;
    uint8_t *buffer = f->buffer + (size_t)thread * BUFFER;
    struct piece p = piece_at(f, index);
    make_piece(f, &p, buffer);
    return tri_gguf_write(f->w, p.item->tensor, p.offset, buffer, p.bytes, e);
}

/* -- periods --------------------------------------------------------------- */

static void make_periods(void *arg, int thread, int threads)
{
    const struct writing *f = arg;
    int from, to;
    (void)threads;
    tri_pool_share(f->pool, TRI_PARTS * TRI_PERIOD, thread, &from, &to);
    for (int i = from; i < to; i++) {
        const int part = i / TRI_PERIOD, row = i % TRI_PERIOD;
        const size_t columns = (size_t)tri_width(config_of(f), tri_part_shapes[part].columns);
        tri_contents_trits(f->contents, part, row, f->period[part] + (size_t)row * columns);
    }
}

static enum tri_status allocate(struct writing *f, struct tri_error *e)
{
    const size_t most = 3 + (size_t)config_of(f)->layers * (TRI_NORMS + TRI_PARTS);
    f->item = tri_alloc(most + 1, sizeof *f->item, "tensors", e);
    f->buffer = f->item ? tri_alloc((size_t)tri_pool_threads(f->pool), BUFFER, "writing", e) : NULL;
    if (!f->buffer)
        return e->status;
    for (int p = 0; p < TRI_PARTS; p++) {
        const size_t columns = (size_t)tri_width(config_of(f), tri_part_shapes[p].columns);
        if (!(f->period[p] = tri_alloc(TRI_PERIOD, columns, "weights", e)))
            return e->status;
    }
    return TRI_OK;
}

/* -- the whole ------------------------------------------------------------- */

/* Of just as many columns, as a file of smaller groups is another model: its sums are scaled more often. */
static enum tri_status check_scales(const struct writing *f, struct tri_error *e)
{
    const int group = f->contents->synth->group;
    if (!group || (f->encoder->grouped && group == f->encoder->group))
        return TRI_OK;
    return tri_fail(e, TRI_USAGE, "a random model: expected a type that holds a scale for each %d columns (Q2_0: 64, "
                    "TQ1_0 and TQ2_0: 256), found %s", group, f->type->name);
}

/* Where groups lie across rows, a matrix has to be whole groups, and so has each shift of its period; else a row. */
static enum tri_status check_groups(const struct writing *f, struct tri_error *e)
{
    const struct tri_encoder *c = f->encoder;
    for (int p = 0; p < TRI_PARTS; p++) {
        const struct tri_part_shape *shape = &tri_part_shapes[p];
        const int64_t columns = tri_width(config_of(f), shape->columns), rows = tri_width(config_of(f), shape->rows);
        const int64_t least = c->whole ? columns : TRI_SHIFT * columns;
        if (rows * columns % c->group || least % c->group)
            return tri_fail(e, TRI_USAGE,
                            "a random model: %s: %s stores groups of %d trits; expected a multiple of it, found %lld x "
                            "%lld; take multiples of %d for all sizes",
                            shape->name, f->type->name, c->group, (long long)rows, (long long)columns,
                            c->whole ? c->group : 32);
    }
    return TRI_OK;
}

static enum tri_status write_all(struct writing *f, struct tri_error *e)
{
    if (check_scales(f, e) != TRI_OK || check_groups(f, e) != TRI_OK || allocate(f, e) != TRI_OK)
        return e->status;
    add_keys(f);
    add_tensors(f);
    if (tri_gguf_begin(f->w, e) != TRI_OK)
        return e->status;
    tri_pool_run(f->pool, make_periods, f);
    const struct tri_queue q = {.count = f->item[f->items].first, .step = write_piece, .arg = f, .what = "writing",
                                .stop = f->stop};
    return tri_queue_run(&q, f->pool, e);
}

enum tri_status tri_synth_write(const struct tri_synth *s, const struct tri_encoding *type, struct tri_gguf_writer *w,
                                struct tri_pool *pool, bool (*stop)(void), struct tri_error *e)
{
    struct tri_contents contents;
    struct writing f = {.contents = &contents, .type = type, .encoder = tri_encoder_find(type), .w = w, .pool = pool,
                        .stop = stop};
    if (!f.encoder)
        return tri_fail(e, TRI_UNSUPPORTED, "a random model: matrices: expected a type that is written, found %s",
                        type->name);
    const enum tri_status status =
        tri_contents_open(&contents, s, e) == TRI_OK ? write_all(&f, e) : e->status;
    for (int p = 0; p < TRI_PARTS; p++)
        tri_free(f.period[p]);
    tri_free(f.buffer);
    tri_free(f.item);
    tri_contents_close(&contents);
    return status;
}
