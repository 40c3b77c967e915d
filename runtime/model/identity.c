/* Owns: what makes two models the same. Reads a few rows only: training changes scales, norms and trits everywhere. */
#include "model/identity.h"
#include "base/checksum.h"
#include "base/memory.h"
#include "model/build.h"

#include <string.h>

enum { TENSOR_ROWS = 16 };

struct hashing {
    const struct tri_model *m;
    uint64_t hash;
    int8_t *trits; /* of the largest tile, [rows][ld] */
    size_t ld;
};

static void add(struct hashing *h, const void *bytes, size_t size)
{
    h->hash = tri_checksum(h->hash, bytes, size);
}

static void add_config(struct hashing *h)
{
    const struct tri_config *c = &h->m->config;
    const int numbers[] = {c->layers, c->hidden, c->ffn, c->heads, c->kv_heads, c->head_dim, c->vocab, c->rope_dims};
    const float reals[] = {c->rope_theta, c->norm_eps};
    add(h, c->family->arch, strlen(c->family->arch) + 1);
    add(h, numbers, sizeof numbers);
    add(h, reals, sizeof reals);
    if (c->rope_factor > 0)
        add(h, &c->rope_factor, sizeof c->rope_factor);
}

static void add_tensor(struct hashing *h, const struct tri_tensor *t)
{
    const int rows = (int)tri_tensor_rows(t), some = rows < TENSOR_ROWS ? rows : TENSOR_ROWS;
    const size_t each = t->bytes / (size_t)rows;
    add(h, t->encoding->name, strlen(t->encoding->name) + 1);
    for (int i = 0; i < some; i++)
        add(h, t->data + (size_t)((int64_t)rows * i / some) * each, each);
}

/* Row `row` of a stack, without padding. */
static void add_row(struct hashing *h, const struct tri_matrix *m, int row)
{
    const struct tri_layout *layout = m->plan.layout;
    m->plan.layout->unpack(m->packed + (size_t)(row / layout->rows) * tri_tile_bytes(m), m->kp, h->trits, h->ld);
    add(h, h->trits + (size_t)(row % layout->rows) * h->ld, (size_t)m->k);
}

/* Another row in every layer. */
static void add_matrix(struct hashing *h, const struct tri_matrix *m, int layer)
{
    for (int i = 0; i < m->parts; i++) {
        const struct tri_part *part = &m->part[i];
        const int row = part->row + (int)((int64_t)layer * 7919 % part->rows);
        add(h, &part->scale, sizeof part->scale);
        for (int g = 0; m->scales && g < (m->group ? tri_groups(m->k, m->group) : 1); g++)
            add(h, m->scales + tri_matrix_scale_at(m, row, g), sizeof *m->scales);
        add_row(h, m, row);
    }
}

static void add_layer(struct hashing *h, int i)
{
    struct tri_layer *layer = &h->m->layer[i];
    for (int n = 0; n < TRI_NORMS; n++) {
        const float *norm = *tri_norm_of(layer, &tri_norm_shapes[n]);
        if (norm)
            add(h, norm, (size_t)tri_width(&h->m->config, tri_norm_shapes[n].width) * sizeof *norm);
    }
    for (int r = 0; r < TRI_ROLES; r++)
        add_matrix(h, &layer->matrix[r], i);
}

static enum tri_status make_room(struct hashing *h, struct tri_error *e)
{
    int rows = 0, columns = 0;
    for (int i = 0; i < h->m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *m = &h->m->layer[i].matrix[r];
            rows = m->plan.layout->rows > rows ? m->plan.layout->rows : rows;
            columns = m->kp > columns ? m->kp : columns;
        }
    h->ld = (size_t)tri_round_up(columns, 64);
    h->trits = tri_alloc((size_t)rows, h->ld, "identity of the model", e);
    return h->trits ? TRI_OK : e->status;
}

uint64_t tri_model_identity(const struct tri_model *m, struct tri_error *e)
{
    struct hashing h = {.m = m};
    if (make_room(&h, e) != TRI_OK)
        return 0;
    add_config(&h);
    add_tensor(&h, m->embedding);
    add_tensor(&h, m->head);
    add(&h, m->output_norm, (size_t)m->config.hidden * sizeof *m->output_norm);
    if (m->rope_divisors)
        add(&h, m->rope_divisors, (size_t)m->config.rope_dims / 2 * sizeof *m->rope_divisors);
    for (int i = 0; i < m->config.layers; i++)
        add_layer(&h, i);
    tri_free(h.trits);
    return h.hash ? h.hash : 1;
}
