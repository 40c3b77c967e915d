/* Owns: the int8 copy of the output matrix, and when one is made. Leaves out how it is used (engine/screen.c). */
#include "model/screen.h"
#include "base/memory.h"
#include "model/build.h"

#include <math.h>
#include <stdatomic.h>

enum { COLUMNS = 128, MOST_HIDDEN = (1 << 17) - 1, LEAST_WEIGHTS = 1 << 22 };

/* Below this a row's codes are all 0, and its error is the row itself: scales stay far from what underflows. */
static const float least_row = 0x1p-100f;

struct copying {
    const struct tri_model *m;
    const struct tri_pool *pool;
    const struct tri_vec *v;
    size_t ld;
    int8_t *codes;
    struct tri_screen_row *row;
    float *values; /* [threads][hidden] */
    atomic_int most_sum;
    atomic_bool odd; /* a row is no number, or too great for one */
};

size_t tri_screen_ld(const struct tri_config *c)
{
    return (size_t)tri_round_up(c->hidden, COLUMNS);
}

size_t tri_screen_bytes(const struct tri_config *c)
{
    return (size_t)c->vocab * (tri_screen_ld(c) + sizeof(struct tri_screen_row));
}

bool tri_screen_pays(const struct tri_encoding *e, const struct tri_config *c)
{
    return 8.0 * e->block_bytes / e->block > 8.5 && (int64_t)c->vocab * c->hidden >= LEAST_WEIGHTS;
}

/* A sum of n squares in lanes passes n / 16 + 4 roundings, each off by 2^-24 of the result or, where that is
 * subnormal, by 2^-150; what was squared may be rounded, too. */
double tri_length(float squares, int n)
{
    return sqrt((double)squares * (1 + (n / 16 + 8) * 0x1p-23) + n * 0x1p-148);
}

/* To a float that is no less. */
static float up(double length)
{
    return (float)(length * (1 + 0x1p-20) + 0x1p-126);
}

static struct tri_coded encode(const struct copying *c, const float *x, struct tri_measure of, float *scale, int8_t *q)
{
    const int n = c->m->config.hidden;
    *scale = of.most / 127;
    if (of.most >= least_row)
        return c->v->encode(x, 127 / of.most, *scale, q, n);
    *scale = 0; /* the codes are zeros already */
    return (struct tri_coded){.lost = of.squares};
}

static void copy_row(struct copying *c, int i, float *x, int *most_sum)
{
    const struct tri_tensor *head = c->m->head;
    const int n = c->m->config.hidden;
    struct tri_screen_row *row = &c->row[i];
    c->v->rows[head->encoding->rows].floats(head->data + (size_t)i * (head->bytes / (size_t)c->m->config.vocab), x, n);
    const struct tri_measure of = c->v->measure(x, n);
    if (!(of.squares < INFINITY)) {
        atomic_store_explicit(&c->odd, true, memory_order_relaxed);
        return;
    }
    const struct tri_coded coded = encode(c, x, of, &row->scale, c->codes + (size_t)i * c->ld);
    const double error = tri_length(coded.lost, n);
    row->error = up(error);
    row->norm = up(tri_length(of.squares, n) + error);
    *most_sum = coded.sum > *most_sum ? coded.sum : *most_sum;
}

/* Threads touch first what they will read. */
static void copy_share(void *arg, int thread, int threads)
{
    struct copying *c = arg;
    float *x = c->values + (size_t)thread * (size_t)c->m->config.hidden;
    int from, to, most = 1;
    (void)threads;
    tri_pool_share(c->pool, c->m->config.vocab, thread, &from, &to);
    for (int i = from; i < to; i++)
        copy_row(c, i, x, &most);
    for (int seen = atomic_load(&c->most_sum); most > seen && !atomic_compare_exchange_weak(&c->most_sum, &seen, most);)
        ;
}

float tri_screen_norm(const struct tri_screen_row *row, int rows)
{
    float most = 0;
    for (int i = 0; i < rows; i++)
        most = row[i].norm > most ? row[i].norm : most;
    return most;
}

static void copy(struct copying *c, struct tri_pool *pool, struct tri_screen *s)
{
    tri_pool_run(pool, copy_share, c);
    const int reach = INT32_MAX / atomic_load(&c->most_sum);
    *s = (struct tri_screen){.codes = c->codes,
                             .ld = c->ld,
                             .row = c->row,
                             .norm = tri_screen_norm(c->row, c->m->config.vocab),
                             .reach = reach < TRI_SCREEN_REACH ? reach : TRI_SCREEN_REACH,
                             .bytes = tri_screen_bytes(&c->m->config)};
}

static enum tri_status screen(struct tri_model *m, bool demanded, struct tri_pool *pool, struct tri_error *e)
{
    const size_t rows = (size_t)m->config.vocab, threads = (size_t)tri_pool_threads(pool);
    struct copying c = {.m = m, .pool = pool, .v = tri_dispatch_isa()->vec, .ld = tri_screen_ld(&m->config)};
    struct tri_screen *s = tri_model_own(m, 1, sizeof *s, "screen", e);
    c.codes = s ? tri_model_own(m, rows, c.ld, "int8 copy of the output matrix", e) : NULL;
    c.row = c.codes ? tri_model_own(m, rows, sizeof *c.row, "int8 copy of the output matrix", e) : NULL;
    c.values = c.row ? tri_alloc(threads, (size_t)m->config.hidden * sizeof *c.values, "a row", e) : NULL;
    if (!c.values)
        return e->status;
    copy(&c, pool, s);
    tri_free(c.values);
    if (m->spare != SIZE_MAX)
        m->spare -= s->bytes;
    if (!atomic_load(&c.odd))
        m->screen = s;
    else if (demanded)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "screened output matrix: expected rows of finite length, found one that is not; use --head full");
    return TRI_OK;
}

static bool takes(const struct tri_model *m, enum tri_head head)
{
    return head == TRI_HEAD_SCREENED ||
           (head == TRI_HEAD_AUTO && m->config.hidden <= MOST_HIDDEN && tri_screen_pays(m->head->encoding, &m->config));
}

enum tri_status tri_model_screen_outline(struct tri_model *m, enum tri_head head, struct tri_error *e)
{
    if (!takes(m, head))
        return TRI_OK;
    struct tri_screen *s = tri_model_own(m, 1, sizeof *s, "screen", e);
    if (!s)
        return e->status;
    *s = (struct tri_screen){.ld = tri_screen_ld(&m->config), .bytes = tri_screen_bytes(&m->config)};
    m->screen = s;
    return TRI_OK;
}

static bool pays(const struct tri_model *m)
{
    const size_t available = tri_memory_available(), bytes = tri_screen_bytes(&m->config);
    return tri_screen_pays(m->head->encoding, &m->config) && (available == 0 || bytes < available / 2) &&
           bytes <= m->spare;
}

enum tri_status tri_model_screen(struct tri_model *m, enum tri_head head, struct tri_pool *pool, struct tri_error *e)
{
    if (head != TRI_HEAD_FULL)
        m->screen = m->saved_screen;
    if (head == TRI_HEAD_FULL || m->screen || (head == TRI_HEAD_AUTO && !pays(m)))
        return TRI_OK;
    if (tri_screen_bytes(&m->config) > m->spare)
        return tri_fail(e, TRI_NO_MEMORY, "screened output matrix: its copy takes %zu MiB, and %zu are left; use --head "
                        "full, or allow more (--memory)", tri_screen_bytes(&m->config) >> 20, m->spare >> 20);
    if (m->config.hidden > MOST_HIDDEN)
        return head == TRI_HEAD_AUTO
                   ? TRI_OK
                   : tri_fail(e, TRI_UNSUPPORTED, "screened output matrix: expected at most %d columns, found %d",
                              MOST_HIDDEN, m->config.hidden);
    return screen(m, head == TRI_HEAD_SCREENED, pool, e);
}
