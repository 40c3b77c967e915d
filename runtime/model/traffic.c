/* Owns: the arithmetic of a model's bytes, weights and parameters. Leaves out how fast they are read. */
#include "model/traffic.h"
#include "model/build.h"
#include "model/screen.h"

size_t tri_matrix_traffic(const struct tri_matrix *m)
{
    return m->bytes + (tri_matrix_has_scales(m) ? tri_matrix_scales(m) * sizeof(float) : 0);
}

static uint64_t of_roles(const struct tri_model *m, enum tri_role first, enum tri_role second)
{
    uint64_t sum = 0;
    for (int i = 0; i < m->config.layers; i++)
        sum += tri_matrix_traffic(&m->layer[i].matrix[first]) + tri_matrix_traffic(&m->layer[i].matrix[second]);
    return sum;
}

static uint64_t of_head(const struct tri_model *m, double candidates)
{
    if (candidates < 0)
        return m->head->bytes;
    return m->screen->bytes + (uint64_t)(candidates * (double)m->head->bytes / m->config.vocab);
}

/* The token at position p reads p + 1 positions. */
static uint64_t of_cache(const struct tri_decoding *d)
{
    return d->position * (2 * (uint64_t)d->depth + (uint64_t)d->tokens + 1) / 2;
}

struct tri_traffic tri_traffic_of(const struct tri_model *m, const struct tri_decoding *d)
{
    return (struct tri_traffic){.attention = of_roles(m, TRI_ROLE_QKV, TRI_ROLE_O),
                                .ffn = d->ffn ? d->ffn : of_roles(m, TRI_ROLE_GATE_UP, TRI_ROLE_DOWN),
                                .head = of_head(m, d->candidates),
                                .kv = of_cache(d)};
}

uint64_t tri_traffic_sum(const struct tri_traffic *t)
{
    return t->attention + t->ffn + t->head + t->kv;
}

uint64_t tri_model_bytes(const struct tri_model *m)
{
    return m->packed_bytes + m->embedding->bytes + (m->head == m->embedding ? 0 : m->head->bytes);
}

uint64_t tri_model_ternary(const struct tri_model *m)
{
    uint64_t sum = 0;
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++)
            for (int p = 0; p < m->layer[i].matrix[r].parts; p++)
                sum += (uint64_t)m->layer[i].matrix[r].part[p].rows * (uint64_t)m->layer[i].matrix[r].k;
    return sum;
}

static uint64_t elements(const struct tri_tensor *t)
{
    return (uint64_t)t->ne[0] * (uint64_t)tri_tensor_rows(t);
}

uint64_t tri_model_parameters(const struct tri_model *m)
{
    const struct tri_config *c = &m->config;
    int norms = 0;
    for (int n = 0; n < TRI_NORMS; n++)
        norms += tri_norm_is_there(c, &tri_norm_shapes[n]) ? tri_width(c, tri_norm_shapes[n].width) : 0;
    return tri_model_ternary(m) + elements(m->embedding) + (m->head == m->embedding ? 0 : elements(m->head)) +
           (uint64_t)c->layers * (uint64_t)norms + (uint64_t)c->hidden;
}
