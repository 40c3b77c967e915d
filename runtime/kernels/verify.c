/* Owns: the comparison of a kernel with the oracle. */
#define _GNU_SOURCE
#include "kernels/verify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t tri_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* -- memory that ends at a page nobody may touch ------------------------------------------------------ */

struct guarded {
    char *base, *at;
    size_t whole, bytes;
};

enum { CANARY = 0x5a };

/* `bytes` that end at a guard page and begin behind one (and a few canaries, to keep the end exact). */
static bool guard(struct guarded *g, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = (bytes + page - 1) / page * page + page;
    *g = (struct guarded){.whole = pages + 2 * page, .bytes = bytes};
    char *base = mmap(NULL, g->whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return false;
    mprotect(base, page, PROT_NONE);
    mprotect(base + g->whole - page, page, PROT_NONE);
    g->base = base;
    g->at = base + g->whole - page - bytes;
    memset(base + page, CANARY, pages);
    return true;
}

static void release(struct guarded *g)
{
    if (g->base)
        munmap(g->base, g->whole);
}

/* -- one case ------------------------------------------------------------------------------------------- */

struct bench {
    int m, k, kp, tiles, groups; /* groups: of a row, 1 unless columns share scales */
    size_t tile_bytes;
    int8_t *trits;                      /* [m][k] */
    void *want;                         /* [tokens][m] int32, or float where columns share scales */
    float *ws;                          /* [m][groups] */
    struct guarded packed, x, table, y; /* x is [tokens][kp] int8, table what prepare made of it */
    struct guarded sums, scales, xs;    /* [tokens][groups]; ws as packed; [tokens][groups] */
};

static int8_t trit(enum tri_pattern p, size_t i, uint64_t *seed)
{
    switch (p) {
    case TRI_RANDOM: return (int8_t)(tri_random(seed) % 3) - 1;
    case TRI_OPPOSED: return -1;
    case TRI_ALTERNATE: return i % 2 ? -1 : 1;
    default: return 1;
    }
}

/* A row of the pattern; of a layout of three of four with one 0, at random, in each four, and no other. */
static void fill_row(int8_t *row, int k, const struct tri_layout *l, enum tri_pattern p, uint64_t *seed)
{
    for (int i = 0; i < k; i++)
        row[i] = trit(p, (size_t)i, seed);
    for (int j = 0; l->three_of_four && j < k; j += 4) {
        const int zero = j + (int)(tri_random(seed) % 4);
        for (int i = j; i < j + 4 && i < k; i++)
            row[i] = i == zero ? 0 : row[i] ? row[i] : tri_random(seed) % 2 ? 1 : -1;
    }
}

static int8_t activation(enum tri_pattern p, int i, uint64_t *seed)
{
    switch (p) {
    case TRI_RANDOM: return (int8_t)((int)(tri_random(seed) % 255) - 127);
    case TRI_LOWEST: return -127;
    case TRI_ALTERNATE: return i % 2 ? -127 : 127;
    default: return 127;
    }
}

/* No sum of products of these is infinite, whatever the signs and however many; subnormal ones are among them. */
static float scale(enum tri_pattern p, size_t i, uint64_t *seed)
{
    const uint64_t r = tri_random(seed);
    const float unit = 1 + (float)(r >> 40) * 0x1p-24f;
    switch (p) {
    case TRI_RANDOM: return r % 16 ? (r & 32 ? -unit : unit) * (r & 64 ? 0x1p-9f : 3) : 0;
    case TRI_HIGHEST: return unit * 0x1p49f;
    case TRI_LOWEST: return unit * 0x1p-72f;
    case TRI_OPPOSED: return -unit;
    default: return i % 2 ? -unit : unit * 0x1p-30f;
    }
}

static bool allocate(struct bench *b, const struct tri_kernel *kernel, const struct tri_layout *l)
{
    const size_t tokens = (size_t)kernel->tokens;
    const size_t groups = (size_t)b->groups, rows = kernel->group ? (size_t)b->tiles * (size_t)l->rows : 0;
    b->trits = malloc((size_t)b->m * (size_t)b->k);
    b->want = malloc(tokens * (size_t)b->m * sizeof(int32_t));
    b->ws = malloc((size_t)b->m * groups * sizeof(float));
    return b->trits && b->want && b->ws && guard(&b->packed, (size_t)b->tiles * b->tile_bytes + 64) &&
           guard(&b->x, tokens * (size_t)b->kp) &&
           guard(&b->table, (size_t)(b->kp / l->kstep) * (size_t)kernel->table_bytes) &&
           guard(&b->sums, tokens * groups * sizeof(int32_t)) && guard(&b->xs, tokens * groups * sizeof(float)) &&
           guard(&b->scales, rows * groups * sizeof(float)) && guard(&b->y, tokens * (size_t)b->m * sizeof(int32_t));
}

/* Scales of both sides, and those of the weights as they are packed; those of rows that are none are the canaries. */
static void fill_scales(struct bench *b, const struct tri_kernel *kernel, const struct tri_layout *l,
                        const struct tri_case *c, uint64_t *seed)
{
    const size_t groups = (size_t)b->groups, rows = (size_t)l->rows;
    for (size_t i = 0; i < (size_t)kernel->tokens * groups; i++)
        ((float *)b->xs.at)[i] = scale(c->pattern, i, seed);
    for (size_t m = 0; m < (size_t)b->m; m++)
        for (size_t g = 0; g < groups; g++) {
            const float s = scale(c->pattern, g, seed);
            b->ws[m * groups + g] = s;
            ((float *)b->scales.at)[(m / rows * groups + g) * rows + m % rows] = s;
        }
}

static void fill(struct bench *b, const struct tri_kernel *kernel, const struct tri_layout *l,
                 const struct tri_case *c)
{
    uint64_t seed = c->seed;
    int32_t *sums = (int32_t *)b->sums.at;
    memset(sums, 0, b->sums.bytes);
    for (int m = 0; m < b->m; m++)
        fill_row(b->trits + (size_t)m * (size_t)b->k, b->k, l, c->pattern, &seed);
    memset(b->x.at, 0, b->x.bytes);
    for (int t = 0; t < kernel->tokens; t++) {
        int8_t *x = (int8_t *)b->x.at + (size_t)t * (size_t)b->kp;
        for (int i = 0; i < b->k; i++)
            sums[t * b->groups + (kernel->group ? i / kernel->group : 0)] += x[i] = activation(c->pattern, i, &seed);
    }
    const int8_t *x = (const int8_t *)b->x.at;
    if (!kernel->group) {
        tri_ref_matmul(b->trits, 0, b->m, b->k, x, (size_t)b->kp, kernel->tokens, b->want, (size_t)b->m);
        return;
    }
    fill_scales(b, kernel, l, c, &seed);
    tri_ref_grouped(b->trits, 0, b->m, b->k, kernel->group, x, (size_t)b->kp, kernel->tokens, b->ws,
                    (const float *)b->xs.at, b->want, (size_t)b->m);
}

/* Packs the matrix and unpacks it again: the padding must be zero, if the layout can say so, and the rest what went in. */
static enum tri_status pack(struct bench *b, const struct tri_layout *l, struct tri_error *e)
{
    int8_t *back = malloc((size_t)l->rows * (size_t)b->kp);
    enum tri_status status = back ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "%s: no memory to unpack", l->name);
    for (int tile = 0; status == TRI_OK && tile < b->tiles; tile++) {
        const int row = tile * l->rows, rows = b->m - row < l->rows ? b->m - row : l->rows;
        const int8_t *in = b->trits + (size_t)row * (size_t)b->k;
        uint8_t *out = (uint8_t *)b->packed.at + (size_t)tile * b->tile_bytes;
        l->pack(in, (size_t)b->k, rows, b->k, b->kp, out);
        l->unpack(out, b->kp, back, (size_t)b->kp);
        for (int r = 0; r < (l->three_of_four ? rows : l->rows) && status == TRI_OK; r++)
            for (int i = 0; i < (l->three_of_four ? b->k : b->kp); i++) {
                const int8_t want = r < rows && i < b->k ? in[(size_t)r * (size_t)b->k + (size_t)i] : 0;
                const int8_t found = back[(size_t)r * (size_t)b->kp + (size_t)i];
                if (want != found) {
                    status = tri_fail(e, TRI_WRONG, "layout %s: row %d column %d packed as %d, not %d", l->name,
                                      row + r, i, found, want);
                    break;
                }
            }
    }
    free(back);
    return status;
}

static void call(const struct bench *b, const struct tri_kernel *kernel, int m0, int m1, const void *x, size_t ldx)
{
    const uint8_t *w = (const uint8_t *)b->packed.at;
    const int32_t *sums = (const int32_t *)b->sums.at;
    if (kernel->kind == TRI_KIND_grouped)
        kernel->grouped(w, m0, m1, b->kp, x, ldx, sums, (const float *)b->scales.at, (const float *)b->xs.at,
                        (float *)b->y.at + m0, (size_t)b->m);
    else
        kernel->matmul(w, m0, m1, b->kp, x, ldx, sums, (int32_t *)b->y.at + m0, (size_t)b->m);
}

/* Two spans of rows, as two threads would: the first ends at a tile, the second at M. */
static void compute(struct bench *b, const struct tri_kernel *kernel, const struct tri_layout *l)
{
    const void *x = b->x.at;
    size_t ldx = (size_t)b->kp;
    if (kernel->prepare) {
        const int half = b->kp / l->kstep / 2 * l->kstep;
        kernel->prepare((const int8_t *)b->x.at, half, b->kp, (uint8_t *)b->table.at);
        kernel->prepare((const int8_t *)b->x.at, 0, half, (uint8_t *)b->table.at);
        x = b->table.at;
        ldx = b->table.bytes;
    }
    const int split = b->tiles / 2 * l->rows;
    call(b, kernel, split, b->m, x, ldx);
    if (split)
        call(b, kernel, 0, split, x, ldx);
}

/* Element i of some results, as a number. */
static double number(const struct tri_kernel *kernel, const void *y, size_t i)
{
    return kernel->group ? (double)((const float *)y)[i] : ((const int32_t *)y)[i];
}

/* Bit for bit, floats as well. */
static enum tri_status compare(const struct bench *b, const struct tri_kernel *kernel, const struct tri_case *c,
                               struct tri_error *e)
{
    for (int t = 0; t < kernel->tokens; t++)
        for (int m = 0; m < b->m; m++) {
            const size_t i = (size_t)t * (size_t)b->m + (size_t)m;
            if (memcmp(b->y.at + 4 * i, (const char *)b->want + 4 * i, 4) != 0)
                return tri_fail(e, TRI_WRONG, "%s: %dx%d pattern %d seed %llu: y[%d][%d] is %.9g, not %.9g",
                                kernel->name, b->m, b->k, (int)c->pattern, (unsigned long long)c->seed, t, m,
                                number(kernel, b->y.at, i), number(kernel, b->want, i));
        }
    const long page = sysconf(_SC_PAGESIZE);
    for (const char *p = b->y.base + page; p < b->y.at; p++)
        if (*p != CANARY)
            return tri_fail(e, TRI_WRONG, "%s: wrote %td bytes before y", kernel->name, b->y.at - p);
    return TRI_OK;
}

/* -- kernels that take lists ------------------------------------------------------------------------------ */

/* Of `m` rows, or columns packed as rows, those listed; y has `sums` of them, or as many as there are rows. */
struct lists {
    struct bench b; /* m and k: of what is packed */
    int32_t *want;  /* [sums] */
    struct guarded list, x, y;
    int count, sums;
    int32_t sum; /* of x */
};

enum { DENSITIES = 5 }; /* none, one, an eighth, half, all */

static void choose(struct lists *s, int density, int32_t *list, uint64_t *seed)
{
    const int one = (int)(tri_random(seed) % (uint64_t)s->b.m);
    s->count = 0;
    for (int i = 0; i < s->b.m; i++) {
        const uint64_t r = tri_random(seed) % 8;
        if ((density == 1 && i == one) || (density == 2 && r == 0) || (density == 3 && r < 4) || density == 4)
            list[s->count++] = i;
    }
}

static bool guard_lists(struct lists *s, const int32_t *list, bool columns)
{
    s->sums = columns ? s->b.k : s->count;
    if (!guard(&s->list, (size_t)s->count * sizeof *list) || !guard(&s->y, (size_t)s->sums * sizeof *list) ||
        !guard(&s->x, (size_t)(columns ? s->count : s->b.kp)))
        return false;
    memcpy(s->list.at, list, s->list.bytes);
    return true;
}

/* Two calls, as two threads would: halves of the list, or of the rows. */
static void compute_lists(struct lists *s, const struct tri_kernel *kernel, int kstep)
{
    const uint8_t *w = (const uint8_t *)s->b.packed.at;
    const int32_t *list = (const int32_t *)s->list.at;
    const int8_t *x = (const int8_t *)s->x.at;
    int32_t *y = (int32_t *)s->y.at;
    if (kernel->kind == TRI_KIND_rows) {
        const int half = s->count / 2;
        kernel->rows(w, list + half, s->count - half, s->b.kp, x, s->sum, y + half);
        kernel->rows(w, list, half, s->b.kp, x, s->sum, y);
    } else {
        const int half = s->b.kp / kstep / 2 * kstep;
        kernel->columns(w, half, s->b.k, s->b.kp, list, s->count, x, s->sum, y + half);
        kernel->columns(w, 0, half, s->b.kp, list, s->count, x, s->sum, y);
    }
}

static enum tri_status compare_lists(const struct lists *s, const struct tri_kernel *kernel, const struct tri_case *c,
                                     struct tri_error *e)
{
    const int32_t *y = (const int32_t *)s->y.at;
    for (int i = 0; i < s->sums; i++)
        if (y[i] != s->want[i])
            return tri_fail(e, TRI_WRONG, "%s: %dx%d pattern %d seed %llu, %d listed: y[%d] is %d, not %d", kernel->name,
                            c->m, c->k, (int)c->pattern, (unsigned long long)c->seed, s->count, i, y[i], s->want[i]);
    for (const char *p = s->y.base + sysconf(_SC_PAGESIZE); p < s->y.at; p++)
        if (*p != CANARY)
            return tri_fail(e, TRI_WRONG, "%s: wrote %td bytes before y", kernel->name, s->y.at - p);
    return TRI_OK;
}

static enum tri_status check_lists(struct lists *s, int32_t *list, int density, const struct tri_kernel *kernel,
                                   int kstep, const struct tri_case *c, struct tri_error *e)
{
    const bool columns = kernel->kind == TRI_KIND_columns;
    uint64_t seed = c->seed + (uint64_t)density;
    choose(s, density, list, &seed);
    enum tri_status status = TRI_OK;
    if (!guard_lists(s, list, columns)) {
        status = tri_fail(e, TRI_NO_MEMORY, "%s: no memory to check %dx%d", kernel->name, c->m, c->k);
    } else {
        int8_t *x = (int8_t *)s->x.at;
        memset(x, 0, s->x.bytes);
        s->sum = 0;
        for (int i = 0; i < (columns ? s->count : s->b.k); i++)
            s->sum += x[i] = activation(c->pattern, columns ? list[i] : i, &seed);
        if (columns)
            tri_ref_columns(s->b.trits, s->b.k, list, s->count, x, s->want);
        else
            tri_ref_rows(s->b.trits, list, s->count, s->b.k, x, s->want);
        compute_lists(s, kernel, kstep);
        status = compare_lists(s, kernel, c, e);
    }
    release(&s->list), release(&s->x), release(&s->y);
    return status;
}

static enum tri_status verify_lists(const struct tri_kernel *kernel, const struct tri_layout *l,
                                    const struct tri_case *c, struct tri_error *e)
{
    const bool columns = kernel->kind == TRI_KIND_columns;
    struct lists s = {.b = {.m = columns ? c->k : c->m, .k = columns ? c->m : c->k}};
    struct bench *b = &s.b;
    b->kp = tri_round_up(b->k, l->kstep);
    if ((columns ? b->m : b->kp) > kernel->kmax)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: K %d is beyond its limit of %d", kernel->name, c->k, kernel->kmax);
    b->tiles = (b->m + l->rows - 1) / l->rows;
    b->tile_bytes = (size_t)(b->kp / l->kstep) * (size_t)l->bytes;
    b->trits = malloc((size_t)b->m * (size_t)b->k);
    s.want = malloc((size_t)(b->m > b->k ? b->m : b->k) * sizeof *s.want);
    int32_t *list = malloc((size_t)b->m * sizeof *list);
    enum tri_status status = TRI_OK;
    if (!b->trits || !s.want || !list || !guard(&b->packed, (size_t)b->tiles * b->tile_bytes + 64))
        status = tri_fail(e, TRI_NO_MEMORY, "%s: no memory to check %dx%d", kernel->name, c->m, c->k);
    uint64_t seed = c->seed;
    for (int r = 0; status == TRI_OK && r < b->m; r++)
        for (int i = 0; i < b->k; i++)
            b->trits[(size_t)r * (size_t)b->k + (size_t)i] = trit(c->pattern, (size_t)(columns ? r : i), &seed);
    if (status == TRI_OK)
        status = pack(b, l, e);
    for (int density = 0; status == TRI_OK && density < DENSITIES; density++)
        status = check_lists(&s, list, density, kernel, l->kstep, c, e);
    release(&b->packed);
    free(b->trits), free(s.want), free(list);
    return status;
}

enum tri_status tri_verify(const struct tri_kernel *kernel, const struct tri_layout *layout,
                           const struct tri_case *c, struct tri_error *e)
{
    if (kernel->kind == TRI_KIND_rows || kernel->kind == TRI_KIND_columns)
        return verify_lists(kernel, layout, c, e);
    struct bench b = {.m = c->m, .k = c->k, .kp = tri_round_up(c->k, layout->kstep)};
    if (b.kp > kernel->kmax)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: K %d is beyond its limit of %d", kernel->name, b.kp, kernel->kmax);
    b.groups = kernel->group ? tri_groups(b.k, kernel->group) : 1;
    b.tiles = (b.m + layout->rows - 1) / layout->rows;
    b.tile_bytes = (size_t)(b.kp / layout->kstep) * (size_t)layout->bytes;
    enum tri_status status;
    if (!allocate(&b, kernel, layout)) {
        status = tri_fail(e, TRI_NO_MEMORY, "%s: no memory to check %dx%d", kernel->name, c->m, c->k);
    } else {
        fill(&b, kernel, layout, c);
        status = pack(&b, layout, e);
        if (status == TRI_OK) {
            compute(&b, kernel, layout);
            status = compare(&b, kernel, c, e);
        }
    }
    release(&b.packed), release(&b.x), release(&b.table), release(&b.y);
    release(&b.sums), release(&b.scales), release(&b.xs);
    free(b.trits);
    free(b.ws);
    free(b.want);
    return status;
}
