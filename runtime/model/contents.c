/* Owns: the contents of random models. Leaves out where they are put. */
#include "model/contents.h"
#include "base/math.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { F16 = 1, Q8_0 = 8, Q6_K = 14 };

/* Of an embedding's length before gate, norms included: the common direction. Magnitudes are 0.25 .. 1, in the mean
 * 0.5625, squared 0.3646; FLIPPED of 32 signs are not the direction's; norms are 0.75 .. 1.25, squared 1.0208. */
enum { FLIPPED = 7 };
static const double common = (1 - 2 * FLIPPED / 32.0) * 0.5625 / 0.60383 / 1.01036;

/* What all o and down together add, over the embedding's length. */
static const double added = 1.0 / 3;

/* -- random numbers, by place ------------------------------------------ */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t at(uint64_t seed, uint64_t place)
{
    return mixed(seed + place * 0x9E3779B97F4A7C15u);
}

/* 0.75 .. 1.25 */
static float about_one(uint64_t random)
{
    return 0.75f + (float)(random >> 40) * 0x1p-25f;
}

/* A seed of its own for each thing that is made. */
enum kind { TRITS, SCALES, SHIFTS, NORMS, EMBEDDING, HEAD, SIGNS, FURTHER_NORMS, GROUP_SCALES };

static uint64_t seed_of(const struct tri_contents *c, enum kind kind, int index)
{
    return at(mixed(c->synth->seed) + (uint64_t)kind, (uint64_t)index + 1);
}

/* -- what is refused ----------------------------------------------------- */

static enum tri_status check_share(const char *name, float share, struct tri_error *e)
{
    if (share >= 0 && share <= 0.99f)
        return TRI_OK;
    return tri_fail(e, TRI_USAGE, "a random model: %s: expected a share from 0 to 0.99, found %g", name, (double)share);
}

static enum tri_status check_rows(const char *name, const struct tri_encoding *rows, int hidden, struct tri_error *e)
{
    if (!rows || rows->id == F16 || ((rows->id == Q8_0 || rows->id == Q6_K) && hidden % rows->block == 0))
        return TRI_OK;
    if (rows->id != Q8_0 && rows->id != Q6_K)
        return tri_fail(e, TRI_UNSUPPORTED, "a random model: %s: expected F16, Q8_0 or Q6_K, found %s", name,
                        rows->name);
    return tri_fail(e, TRI_USAGE,
                    "a random model: %s: %s stores rows in blocks of %d values; expected a hidden size that is a "
                    "multiple of it, found %d; take another type",
                    name, rows->name, rows->block, hidden);
}

/* Groups that kernels have, in rows of several whole ones: scales of rows are another matter. */
static enum tri_status check_group(const struct tri_synth *s, struct tri_error *e)
{
    struct tri_plan plan;
    if (!s->group)
        return TRI_OK;
    if (s->weights)
        return tri_fail(e, TRI_USAGE, "a random model: expected ternary weights for scales of %d columns, found %s; leave "
                        "out one of the two", s->group, s->weights->layout.name);
    for (int p = 0; p < TRI_PARTS; p++) {
        const struct tri_part_shape *shape = &tri_part_shapes[p];
        const int rows = tri_width(&s->config, shape->rows), columns = tri_width(&s->config, shape->columns);
        tri_dispatch_plan(shape->role, rows, columns, s->group, &plan);
        if (!plan.count || columns % s->group || columns == s->group)
            return tri_fail(e, TRI_USAGE, "a random model: %s: expected a scale for 32, 64, 128 or 256 columns, of "
                            "which the %d there are is a multiple; found one for %d", shape->name, columns, s->group);
    }
    return TRI_OK;
}

static enum tri_status check(const struct tri_synth *s, struct tri_error *e)
{
    if (tri_config_check(&s->config, e) != TRI_OK || check_group(s, e) != TRI_OK ||
        check_share("zeros", s->zeros, e) != TRI_OK ||
        check_share("ffn sparsity", s->ffn_sparsity, e) != TRI_OK)
        return e->status;
    return check_rows("embedding", s->embedding, s->config.hidden, e) == TRI_OK
               ? check_rows("head", s->head, s->config.hidden, e)
               : e->status;
}

/* -- ternary matrices ---------------------------------------------------- */

/* The x that a normal variable is below with probability p, to 0.0005 (Abramowitz and Stegun 26.2.23). */
static double quantile(double p)
{
    const double tail = fmax(p < 0.5 ? p : 1 - p, 0.001), t = sqrt(-2 * tri_log(tail));
    const double x = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                             (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    return p < 0.5 ? -x : x;
}

static double zeros_of(const struct tri_synth *s)
{
    return s->three_of_four ? 0.25 : (double)s->zeros;
}

/* Trits that are as often -1 as +1, but for the share `lean` of them, which are against the common direction. */
static struct tri_draws draws_of(double zeros, double lean)
{
    const double whole = 65536, nonzero = 1 - zeros, with = (nonzero - lean) / 2, against = (nonzero + lean) / 2;
    return (struct tri_draws){{(int32_t)lround(whole * against), (int32_t)lround(whole * with)},
                              {(int32_t)lround(whole * (1 - with)), (int32_t)lround(whole * (1 - against))}};
}

/* Where a 0 has its place in each four, the others are drawn without it. */
static struct tri_draws draws_for(const struct tri_synth *s, double lean)
{
    if (!s->three_of_four)
        return draws_of(zeros_of(s), lean);
    struct tri_draws d = draws_of(0, lean / (1 - zeros_of(s)));
    memcpy(d.minus, d.plus, sizeof d.minus); /* which rounding may have kept apart */
    return d;
}

/* A row's product with an input whose values have mean square 1 is normal with mean -lean * common * k and deviation
 * sqrt(nonzero * k). By the middle layer the common direction has become a smaller part. */
static double lean_of(const struct tri_synth *s)
{
    const double nonzero = 1 - zeros_of(s), grown = sqrt(1 + added * added / 2);
    const double lean =
        quantile((double)s->ffn_sparsity) * sqrt(nonzero / s->config.hidden) * grown / common;
    return fmax(-nonzero, fmin(nonzero, lean));
}

static int columns_of(const struct tri_contents *c, int part)
{
    return tri_width(&c->synth->config, tri_part_shapes[part].columns);
}

static bool is_gate(int part)
{
    return strcmp(tri_part_shapes[part].name, "ffn_gate") == 0;
}

void tri_contents_trits(const struct tri_contents *c, int part, int row, int8_t *trits)
{
    const struct tri_draws *d = is_gate(part) ? &c->gate : &c->even;
    const uint64_t seed = at(seed_of(c, TRITS, part), (uint64_t)row);
    const int k = columns_of(c, part);
    for (int i = 0; i < k; i += 4) {
        uint64_t random = at(seed, (uint64_t)i);
        const int zero = c->synth->three_of_four ? i + (int)(random & 3) : k;
        for (int j = i; j < k && j < i + 4; j++, random >>= 16) {
            const int32_t draw = (int32_t)(random & 0xFFFF), sign = c->signs[j] >> 15;
            trits[j] = (int8_t)((draw >= d->plus[sign]) - (draw < d->minus[sign]));
        }
        if (zero < k)
            trits[zero] = 0;
    }
}

int tri_contents_begin(const struct tri_contents *c, int layer, int part)
{
    return TRI_SHIFT * (int)(seed_of(c, SHIFTS, layer * TRI_PARTS + part) % (TRI_PERIOD / TRI_SHIFT));
}

/* Products of normed activations are about as large as these, but those that are added to the embedding smaller. */
float tri_contents_scale(const struct tri_contents *c, int layer, int part)
{
    const enum tri_role role = tri_part_shapes[part].role;
    const bool adds = role == TRI_ROLE_O || role == TRI_ROLE_DOWN;
    const double length = c->length * sqrt((double)columns_of(c, part));
    const float about = about_one(seed_of(c, SCALES, layer * TRI_PARTS + part));
    return tri_f16_to_f32(tri_f32_to_f16((float)(1 / length) * about * (adds ? c->damping : 1)));
}

float tri_contents_group_scale(const struct tri_contents *c, int layer, int part, int row, int i)
{
    const uint64_t seed = at(seed_of(c, GROUP_SCALES, layer * TRI_PARTS + part), (uint64_t)row);
    return tri_f16_to_f32(tri_f32_to_f16(tri_contents_scale(c, layer, part) * about_one(at(seed, (uint64_t)i))));
}

/* -- norms --------------------------------------------------------------- */

/* The first norms of the table, which models of every seed have always had, keep the seeds they had. */
static uint64_t seed_of_norm(const struct tri_contents *c, int layer, int norm)
{
    enum { FIRST = 4 };
    return norm < FIRST ? seed_of(c, NORMS, layer * FIRST + norm) : seed_of(c, FURTHER_NORMS, layer * TRI_NORMS + norm);
}

/* The output norm's signs are random: a head that is the embedding would else answer with the token it was given. */
void tri_contents_norm(const struct tri_contents *c, int layer, int norm, float *values)
{
    const bool output = layer == c->synth->config.layers;
    const int n = output ? c->synth->config.hidden : tri_width(&c->synth->config, tri_norm_shapes[norm].width);
    const uint64_t seed = seed_of_norm(c, layer, norm);
    for (int i = 0; i < n; i++) {
        const uint64_t random = at(seed, (uint64_t)i);
        values[i] = output && (random & 1) ? -about_one(random) : about_one(random);
    }
}

/* -- embedding and head: halves first, blocks are made of these ---------- */

/* Magnitudes 0.25 .. 1 of either sign: 10 bits, one of the exponent, and 5 that decide on the sign. */
static void make_halves(const uint16_t *signs, uint64_t seed, int from, int to, uint16_t *halves)
{
    for (int i = from; i < to; i += 4) {
        uint64_t random = at(seed, (uint64_t)i);
        for (int j = i; j < to && j < i + 4; j++, random >>= 16) {
            const uint16_t sign = (random >> 11 & 31) < FLIPPED ? 0x8000 : 0;
            *halves++ = (uint16_t)((13 << 10) + (random & 0x7FF)) | (signs[j] ^ sign);
        }
    }
}

/* Such a half in steps of 1/most, to the nearest. */
static int steps_of(uint16_t half, int most)
{
    const int magnitude = (1024 + (half & 0x3FF)) << ((half >> 10 & 31) - 13); /* of 4096 */
    const int steps = (magnitude * most + 2048) >> 12;
    return half & 0x8000 ? -steps : steps;
}

static void put_half(uint8_t *to, float value)
{
    const uint16_t half = tri_f32_to_f16(value);
    memcpy(to, &half, sizeof half);
}

static void make_q8_0(const uint16_t *halves, uint8_t *to)
{
    put_half(to, 1.0f / 127);
    for (int i = 0; i < 32; i++)
        to[2 + i] = (uint8_t)steps_of(halves[i], 127);
}

/* Formats.md 2.3 in the project's documentation: 128 elements at a time, low bits, high bits; then scales. */
static void make_q6_k(const uint16_t *halves, uint8_t *to)
{
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 32; i++) {
            int q[4];
            for (int j = 0; j < 4; j++)
                q[j] = steps_of(halves[128 * h + 32 * j + i], 31) + 32;
            to[64 * h + i] = (uint8_t)((q[0] & 15) | (q[2] & 15) << 4);
            to[64 * h + 32 + i] = (uint8_t)((q[1] & 15) | (q[3] & 15) << 4);
            to[128 + 32 * h + i] = (uint8_t)(q[0] >> 4 | q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6);
        }
    memset(to + 192, 64, 16);
    put_half(to + 208, 1.0f / (31 * 64));
}

static const struct tri_encoding *encoding_of(const struct tri_contents *c, bool head)
{
    const struct tri_encoding *asked = head ? c->synth->head : c->synth->embedding;
    return asked ? asked : tri_encoding_find(F16);
}

struct tri_tensor tri_contents_embedding(const struct tri_contents *c, bool head)
{
    struct tri_tensor t = {.encoding = encoding_of(c, head), .dims = 2,
                           .ne = {c->synth->config.hidden, c->synth->config.vocab, 1, 1}};
    const uint64_t blocks = (uint64_t)(t.ne[0] / t.encoding->block);
    snprintf(t.name, sizeof t.name, "%s", head ? "output.weight" : "token_embd.weight");
    t.bytes = blocks * (uint64_t)t.encoding->block_bytes * (uint64_t)t.ne[1];
    return t;
}

enum { LARGEST_BLOCK = 256 };

void tri_contents_row(const struct tri_contents *c, bool head, int row, uint8_t *to)
{
    const struct tri_encoding *encoding = encoding_of(c, head);
    const int block = encoding->id == F16 ? LARGEST_BLOCK : encoding->block, hidden = c->synth->config.hidden;
    const uint64_t seed = at(seed_of(c, head ? HEAD : EMBEDDING, 0), (uint64_t)row);
    uint16_t halves[LARGEST_BLOCK];
    for (int i = 0; i < hidden; i += block) {
        const int n = hidden - i < block ? hidden - i : block;
        make_halves(c->signs, seed, i, i + n, halves);
        if (encoding->id == Q8_0)
            make_q8_0(halves, to);
        else if (encoding->id == Q6_K)
            make_q6_k(halves, to);
        else
            memcpy(to, halves, (size_t)n * sizeof halves[0]);
        to += encoding->id == F16 ? n * (int)sizeof halves[0] : encoding->block_bytes;
    }
}

/* -- the whole ----------------------------------------------------------- */

static int widest(const struct tri_config *c)
{
    int most = 0;
    for (int i = 0; i < TRI_WIDTHS; i++)
        most = tri_width(c, i) > most ? tri_width(c, i) : most;
    return most;
}

enum tri_status tri_contents_open(struct tri_contents *c, const struct tri_synth *s, struct tri_error *e)
{
    *c = (struct tri_contents){.synth = s};
    if (check(s, e) != TRI_OK)
        return e->status;
    c->signs = tri_alloc((size_t)widest(&s->config), sizeof *c->signs, "weights", e);
    if (!c->signs)
        return e->status;
    for (int i = 0; i < widest(&s->config); i++)
        c->signs[i] = at(seed_of(c, SIGNS, 0), (uint64_t)i) & 1 ? 0x8000 : 0;
    c->even = draws_for(s, 0);
    c->gate = draws_for(s, lean_of(s));
    c->length = sqrt(1 - zeros_of(s));
    c->damping = (float)(added / sqrt(2.0 * s->config.layers));
    return TRI_OK;
}

void tri_contents_close(struct tri_contents *c)
{
    tri_free(c->signs);
}
