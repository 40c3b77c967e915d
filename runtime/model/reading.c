/* Owns: which bytes of a model a reading goes through, and its clock. Leaves out the loops (kernels/stream.c). */
#include "model/reading.h"
#include "base/clock.h"
#include "kernels/product.h"
#include "kernels/stream.h"
#include "model/build.h"
#include "model/screen.h"

#include <stdatomic.h>

enum { LEAST_BYTES = 16 << 20 }; /* of a timed reading, so that starting the threads is nothing beside it */

struct reading {
    const struct tri_model *m;
    const struct tri_pool *pool;
    enum tri_streams streams;
    int passes;
    _Atomic uint64_t sink; /* keeps the loads */
};

struct head {
    const uint8_t *data;
    size_t row; /* bytes */
};

static struct head head_of(const struct tri_model *m)
{
    if (m->screen)
        return (struct head){(const uint8_t *)m->screen->codes, m->screen->ld};
    return (struct head){m->head->data, m->head->bytes / (size_t)m->config.vocab};
}

size_t tri_model_read_bytes(const struct tri_model *m)
{
    return m->packed_bytes + head_of(m).row * (size_t)m->config.vocab;
}

/* From the next address that is aligned as stream.h wants it: rows of a head may begin anywhere. */
static uint64_t read_from(const uint8_t *p, size_t bytes, enum tri_streams streams)
{
    const size_t skip = (size_t)(-(uintptr_t)p % 16);
    return bytes > skip ? tri_stream_read(p + skip, bytes - skip, streams) : 0;
}

static uint64_t read_matrix(const struct reading *r, const struct tri_matrix *m, int thread)
{
    int from, to;
    tri_product_share(m->plan.layout, m->m, r->pool, thread, &from, &to);
    const size_t tile = tri_tile_bytes(m);
    return read_from(m->packed + (size_t)from * tile, (size_t)(to - from) * tile, r->streams);
}

static uint64_t read_head(const struct reading *r, int thread)
{
    const struct head head = head_of(r->m);
    int from, to;
    tri_pool_share(r->pool, r->m->config.vocab, thread, &from, &to);
    return read_from(head.data + (size_t)from * head.row, (size_t)(to - from) * head.row, r->streams);
}

static void read_share(void *arg, int thread, int threads)
{
    struct reading *r = arg;
    uint64_t sum = 0;
    (void)threads;
    for (int pass = 0; pass < r->passes; pass++) {
        for (int layer = 0; layer < r->m->config.layers; layer++)
            for (int role = 0; role < TRI_ROLES; role++)
                sum ^= read_matrix(r, &r->m->layer[layer].matrix[role], thread);
        sum ^= read_head(r, thread);
    }
    atomic_fetch_xor_explicit(&r->sink, sum, memory_order_relaxed);
}

double tri_model_read(const struct tri_model *m, struct tri_pool *pool, struct tri_team team)
{
    const size_t bytes = tri_model_read_bytes(m);
    struct reading r = {.m = m, .pool = pool, .passes = (int)(LEAST_BYTES / bytes) + 1};
    double best = 0;
    tri_pool_use(pool, team);
    for (int streams = 0; streams < TRI_STREAMS; streams++) {
        r.streams = (enum tri_streams)streams;
        const double begin = tri_now();
        tri_pool_run(pool, read_share, &r);
        const double rate = (double)r.passes * (double)bytes / (tri_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}
