/* Owns: what sums of packed rows are in plain C, and the first that a kernel has otherwise. Leaves out which tokens are
 * fed (proof.c). Nothing here is generated but the layouts' unpack, and nothing is particular to an ISA. */
#include "engine/oracle.h"
#include "base/memory.h"
#include "kernels/verify.h"
#include "model/build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEAST_TILES = 5 }; /* of a tensor, however many rows a tile has: the last one may be mostly padding */

/* -- memory ------------------------------------------------------------ */

static void need(const struct tri_matrix *m, struct tri_oracle *o)
{
    const size_t ld = (size_t)tri_round_up(m->kp, 64), tile = ld * (size_t)m->plan.layout->rows;
    o->ld = ld > o->ld ? ld : o->ld;
    o->tile_bytes = tile > o->tile_bytes ? tile : o->tile_bytes;
}

struct tri_oracle *tri_oracle_new(const struct tri_model *m, int threads, struct tri_error *e)
{
    struct tri_oracle *o = tri_alloc(1, sizeof *o, "proof of kernels", e);
    if (!o)
        return NULL;
    o->model = m;
    atomic_flag_clear(&o->claimed);
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++)
            need(&m->layer[i].matrix[r], o);
    o->trits = tri_alloc((size_t)threads, o->tile_bytes, "proof of kernels", e);
    if (o->trits)
        return o;
    tri_oracle_free(o);
    return NULL;
}

void tri_oracle_free(struct tri_oracle *o)
{
    if (!o)
        return;
    tri_free(o->trits);
    tri_free(o);
}

/* -- what is compared -------------------------------------------------- */

static uint64_t draw(const struct tri_oracle *o, const void *of, int number)
{
    uint64_t state = o->seed ^ (uint64_t)(uintptr_t)of ^ (uint64_t)number << 48;
    return tri_random(&state);
}

/* Whether a tile is among those of its part: one at random of every so many. from: its first row there. */
static bool tile_counts(const struct tri_oracle *o, const struct tri_matrix *m, int tile, int part, int from)
{
    const int rows = m->plan.layout->rows, own = from / rows;
    const int64_t tiles = (m->part[part].rows + rows - 1) / rows, wanted = (o->rows + rows - 1) / rows;
    const int64_t spread = wanted > LEAST_TILES ? wanted : LEAST_TILES, some = spread < tiles ? spread : tiles;
    if (o->rows == 0)
        return true;
    const int64_t stratum = ((own + 1) * some - 1) / tiles;
    const int64_t first = tiles * stratum / some, end = tiles * (stratum + 1) / some;
    const uint8_t *packed = m->packed + (size_t)(tile - own) * tri_tile_bytes(m);
    return own == first + (int64_t)(draw(o, packed, (int)stratum) % (uint64_t)(end - first));
}

/* -- sums --------------------------------------------------------------- */

static int32_t dot(const int8_t *w, const int8_t *x, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += w[i] * x[i];
    return sum;
}

/* As tri_grouped_fn has it. row: of the stack. */
static float grouped_sum(const struct tri_sums *s, int row, const int8_t *trits, int t)
{
    const struct tri_matrix *m = s->m;
    const int groups = tri_groups(m->kp, m->group);
    const int8_t *q = s->in->x.q + (size_t)t * s->in->x.ldq;
    const float *xs = s->in->x.scale + (size_t)t * (size_t)groups;
    float sum = 0;
    for (int g = 0, from = 0; g < groups; g++, from += m->group) {
        const int n = m->kp - from < m->group ? m->kp - from : m->group;
        const float scale = m->scales[tri_matrix_scale_at(m, row, g)] * xs[g];
        sum = fmaf((float)dot(trits + from, q + from, n), scale, sum);
    }
    return sum;
}

static void note(struct tri_oracle *o, const struct tri_difference *d)
{
    if (atomic_flag_test_and_set(&o->claimed))
        return;
    o->first = *d;
    atomic_store(&o->wrong, true);
}

/* Row `row` of a tile and token t of the pass. */
static void compare(struct tri_oracle *o, const struct tri_sums *s, int tile, int row, int t, const int8_t *trits)
{
    const struct tri_matrix *m = s->m;
    const int at = tile * m->plan.layout->rows + row;
    const size_t y = (size_t)(t - s->t) * (size_t)(s->m1 - s->m0) + (size_t)(at - s->m0);
    struct tri_difference d = {m->packed + (size_t)tile * tri_tile_bytes(m), row, t, 0, 0};
    bool same;
    if (m->group) {
        const float expected = grouped_sum(s, at, trits, t), found = ((const float *)s->y)[y];
        d.expected = (double)expected, d.found = (double)found;
        same = memcmp(&expected, &found, sizeof found) == 0 || (isnan(expected) && isnan(found));
    } else {
        const int32_t expected = dot(trits, s->in->x.q + (size_t)t * s->in->x.ldq, m->kp);
        const int32_t found = ((const int32_t *)s->y)[y];
        d.expected = expected, d.found = found;
        same = expected == found;
    }
    if (!same)
        note(o, &d);
}

/* Of a call's tokens all, or some with one at random among them. */
static void compare_row(struct tri_oracle *o, const struct tri_sums *s, int tile, int row, const int8_t *trits)
{
    const int tokens = o->rows && s->tokens > TRI_ORACLE_TOKENS ? TRI_ORACLE_TOKENS : s->tokens;
    const int first = tokens < s->tokens ? (int)(draw(o, trits + row, tile) % (uint64_t)s->tokens) : 0;
    for (int i = 0; i < tokens; i++)
        compare(o, s, tile, row, s->t + (first + i * s->tokens / tokens) % s->tokens, trits);
    atomic_fetch_add_explicit(&o->sums, (uint64_t)tokens, memory_order_relaxed);
}

void tri_oracle_see(void *arg, const struct tri_sums *s)
{
    struct tri_oracle *o = arg;
    const struct tri_layout *l = s->m->plan.layout;
    if (s->m->dense) /* float work, which logits prove */
        return;
    int8_t *trits = o->trits + (size_t)s->thread * o->tile_bytes;
    for (int tile = s->m0 / l->rows, from, rows; tile * l->rows < s->m1; tile++) {
        const int part = tri_tile_part(s->m, tile, &from, &rows);
        if (!tile_counts(o, s->m, tile, part, from))
            continue;
        l->unpack(s->m->packed + (size_t)tile * tri_tile_bytes(s->m), s->m->kp, trits, o->ld);
        for (int row = 0; row < rows; row++)
            compare_row(o, s, tile, row, trits + (size_t)row * o->ld);
    }
}

/* -- the verdict --------------------------------------------------------- */

/* The stack of the model in whose memory a tile lies, and its layer. */
static const struct tri_matrix *stack_of(const struct tri_model *m, const uint8_t *tile, int *layer)
{
    for (*layer = 0; *layer < m->config.layers; (*layer)++)
        for (int r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *stack = &m->layer[*layer].matrix[r];
            if (tile >= stack->packed && tile < stack->packed + stack->bytes)
                return stack;
        }
    return NULL;
}

enum tri_status tri_oracle_verdict(struct tri_oracle *o, int before, struct tri_error *e)
{
    const struct tri_difference *d = &o->first;
    int layer, from, rows;
    if (!atomic_load(&o->wrong))
        return TRI_OK;
    const struct tri_matrix *stack = stack_of(o->model, d->tile, &layer);
    const int tile = (int)((size_t)(d->tile - stack->packed) / tri_tile_bytes(stack));
    const int part = tri_tile_part(stack, tile, &from, &rows);
    return tri_fail(
        e, TRI_WRONG,
        "blk.%d.%s.weight, row %d, token %d: expected the sum %.9g, as plain C has it of the same packed bytes, found "
        "%.9g by the kernel that runs for layout %s: what it computes is wrong; run tritune selftest, and until "
        "then use --isa c",
        layer, tri_part_shapes[tri_part_index(stack->role, part)].name, from + d->row, before + d->token,
        d->expected, d->found, stack->plan.layout->name);
}
