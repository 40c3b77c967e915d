/* Owns: trits with their scales, whether floats are trits, and how far scales agree. Leaves out how files hold
 * either (tensor.c and what its table names). */
#include "file/ternary.h"

#include <limits.h>
#include <math.h>
#include <string.h>

typedef unsigned long long ull;

#define TYPES "I2_S, TQ1_0, TQ2_0, Q2_0, IQ1_BN, IQ2_BN, TL1, TL2"

enum { CHUNK = 1024 }; /* floats at a time */

/* Beyond these no model of use has a scale, and products would overflow. */
static const float least = 1e-30f, most = 1e30f;

static bool is_scale(float f)
{
    return f >= least && f <= most;
}

/* -- stored scales -------------------------------------------------------- */

static float scale_at(const struct tri_tensor *t, int64_t row, int64_t block)
{
    const uint8_t *at = t->data + t->encoding->scale_byte(t, row, block);
    uint16_t half;
    float scale;
    memcpy(&half, at, sizeof half);
    if (t->encoding->half)
        return tri_f16_to_f32(half);
    memcpy(&scale, at, sizeof scale);
    return scale;
}

/* Of a row. */
static int64_t stored_scales(const struct tri_tensor *t)
{
    return t->encoding->scales == TRI_SCALES_BLOCK ? t->ne[0] / t->encoding->block : 1;
}

static enum tri_status no_scale(const struct tri_tensor *t, float scale, uint64_t at, struct tri_error *e)
{
    const bool may_be_zero = t->encoding->scales != TRI_SCALES_TENSOR;
    return tri_fail(e, TRI_BAD_FILE,
                    "tensor \"%s\" (%s): the scale at byte %llu of the file is %g; expected a "
                    "finite number above 0, from %g to %g%s; the file is damaged: fetch or convert it again",
                    t->name, t->encoding->name, (ull)(t->offset + at), (double)scale, (double)least, (double)most,
                    may_be_zero ? ", or 0" : "");
}

/* What the scales of a tensor have in common. */
struct agreement {
    float all, row; /* the first that is not 0; 0: none yet */
    bool across_rows, within_rows;
};

static void agree(struct agreement *a, float scale)
{
    if (a->all == 0)
        a->all = scale;
    if (a->row == 0)
        a->row = scale;
    a->across_rows &= scale == a->all;
    a->within_rows &= scale == a->row;
}

/* A scale of 0 says that nothing of its group counts. */
static enum tri_status compare_scales(struct tri_ternary *w, struct agreement *a, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    const int64_t rows = t->encoding->scales == TRI_SCALES_TENSOR ? 1 : tri_tensor_rows(t), n = stored_scales(t);
    *a = (struct agreement){0, 0, true, true};
    for (int64_t row = 0; row < rows; row++) {
        a->row = 0;
        for (int64_t block = 0; block < n; block++) {
            const float scale = scale_at(t, row, block);
            const bool zero = scale == 0 && t->encoding->scales != TRI_SCALES_TENSOR;
            if (!zero && !(is_scale(scale) && is_scale(scale * t->factor)))
                return no_scale(t, scale, t->encoding->scale_byte(t, row, block), e);
            w->has_zeros |= zero;
            if (!zero)
                agree(a, scale);
        }
    }
    return TRI_OK;
}

static enum tri_status read_stored(struct tri_ternary *w, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    struct agreement a;
    w->scale = 1;
    if (t->encoding->fits && t->encoding->fits(t, e) != TRI_OK)
        return e->status;
    if (t->encoding->scales == TRI_SCALES_NONE)
        return TRI_OK;
    if (compare_scales(w, &a, e) != TRI_OK)
        return e->status;
    if (a.all != 0)
        w->scale = a.all;
    w->scaling = a.across_rows ? TRI_PER_TENSOR : a.within_rows ? TRI_PER_ROW : TRI_PER_GROUP;
    if (w->scaling == TRI_PER_GROUP) {
        w->group = t->encoding->block;
        w->groups = (int)stored_scales(t);
    }
    return TRI_OK;
}

/* -- floats --------------------------------------------------------------- */

/* n of them from flat index `from` on. */
static void read_floats(const struct tri_tensor *t, uint64_t from, int64_t n, float *out)
{
    struct tri_tensor piece = *t;
    piece.ne[0] = n;
    piece.data += from * (uint64_t)t->encoding->block_bytes;
    piece.encoding->floats(&piece, 0, out);
}

static enum tri_status not_ternary(const struct tri_tensor *t, uint64_t index, float found, float expected,
                                   struct tri_error *e)
{
    return tri_fail(e, TRI_UNSUPPORTED,
                    "tensor \"%s\" (%s): expected a ternary type (" TYPES "), or floats that are all 0 or of one "
                    "magnitude, here %.9g; found %.9g at byte %llu of the file",
                    t->name, t->encoding->name, (double)expected, (double)found,
                    (ull)(t->offset + index * (uint64_t)t->encoding->block_bytes));
}

static enum tri_status not_a_number(const struct tri_tensor *t, uint64_t index, float found, struct tri_error *e)
{
    return tri_fail(e, TRI_BAD_FILE,
                    "tensor \"%s\" (%s): the weight at byte %llu of the file is %g; expected one from %g to %g; the "
                    "file is damaged: fetch or convert it again",
                    t->name, t->encoding->name, (ull)(t->offset + index * (uint64_t)t->encoding->block_bytes),
                    (double)found, -(double)most, (double)most);
}

/* The first of n that is neither 0 nor of this magnitude; n: none. */
static int64_t other_magnitude(const float *x, int64_t n, float magnitude)
{
    int others = 0;
    for (int64_t i = 0; i < n; i++)
        others |= (x[i] != 0) & (fabsf(x[i]) != magnitude);
    if (!others)
        return n;
    int64_t i = 0;
    while (x[i] == 0 || fabsf(x[i]) == magnitude)
        i++;
    return i;
}

static enum tri_status read_exact(struct tri_ternary *w, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    const uint64_t all = (uint64_t)t->ne[0] * (uint64_t)tri_tensor_rows(t);
    float x[CHUNK], magnitude = 0;
    for (uint64_t from = 0; from < all; from += CHUNK) {
        const int64_t n = all - from < CHUNK ? (int64_t)(all - from) : CHUNK;
        read_floats(t, from, n, x);
        for (int64_t i = 0; i < n && magnitude == 0; i++)
            magnitude = fabsf(x[i]);
        const int64_t other = other_magnitude(x, n, magnitude);
        if (magnitude != 0 && !is_scale(magnitude))
            return not_a_number(t, from + (uint64_t)(other < n ? other : 0), magnitude, e);
        if (other < n)
            return not_ternary(t, from + (uint64_t)other, x[other], magnitude, e);
    }
    w->scale = magnitude != 0 ? magnitude : 1;
    w->inverse = 1;
    return TRI_OK;
}

static enum tri_status find_no_number(const struct tri_tensor *t, uint64_t from, const float *x, int64_t n,
                                      struct tri_error *e)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= most))
            return not_a_number(t, from + (uint64_t)i, x[i], e);
    return TRI_OK;
}

/* In eight sums, which vectors hold, and whose order nothing changes. */
static void add_magnitudes(const float *x, int64_t n, double sum[8])
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int lane = 0; lane < 8; lane++)
            sum[lane] += (double)fabsf(x[i + lane]);
    for (; i < n; i++)
        sum[i % 8] += (double)fabsf(x[i]);
}

/* Formats.md 3.3 in the project's documentation, the mean in f64 and rounded once. */
static enum tri_status read_absmean(struct tri_ternary *w, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    const uint64_t all = (uint64_t)t->ne[0] * (uint64_t)tri_tensor_rows(t);
    float x[CHUNK];
    double sum[8] = {0}, total = 0;
    for (uint64_t from = 0; from < all; from += CHUNK) {
        const int64_t n = all - from < CHUNK ? (int64_t)(all - from) : CHUNK;
        read_floats(t, from, n, x);
        if (find_no_number(t, from, x, n, e) != TRI_OK)
            return e->status;
        add_magnitudes(x, n, sum);
    }
    for (int lane = 0; lane < 8; lane++)
        total += sum[lane];
    const float mean = (float)(total / (double)all);
    w->inverse = 1 / (mean > 1e-5f ? mean : 1e-5f);
    w->scale = 1 / w->inverse;
    w->threshold = 0.5f;
    return TRI_OK;
}

/* Rounding half to even and clipping, without either: 0.5 itself goes to 0. */
static void float_trits(const struct tri_ternary *w, int64_t row, int8_t *trits)
{
    const int64_t k = w->tensor->ne[0];
    float x[CHUNK];
    for (int64_t from = 0; from < k; from += CHUNK) {
        const int64_t n = k - from < CHUNK ? k - from : CHUNK;
        read_floats(w->tensor, (uint64_t)(row * k + from), n, x);
        for (int64_t i = 0; i < n; i++) {
            const float v = x[i] * w->inverse;
            trits[from + i] = (int8_t)((v > w->threshold) - (v < -w->threshold));
        }
    }
}

/* -- any ------------------------------------------------------------------ */

static enum tri_status apply_factor(struct tri_ternary *w, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    const float scale = w->scale * t->factor;
    if (is_scale(t->factor) && is_scale(scale)) {
        w->scale = scale;
        return TRI_OK;
    }
    return tri_fail(e, TRI_BAD_FILE,
                    "tensor \"%s\" (%s) at byte %llu: its scale %g is multiplied by %g, which another tensor says; "
                    "expected finite numbers above 0, from %g to %g, of both and their product; the file is damaged: "
                    "fetch or convert it again",
                    t->name, t->encoding->name, (ull)t->offset, (double)w->scale, (double)t->factor, (double)least,
                    (double)most);
}

static const char *why(const struct tri_tensor *t)
{
    if (t->why || t->encoding->why)
        return t->why ? t->why : t->encoding->why;
    return t->encoding->origin == TRI_TRITS_EXACT ? "floats that are all 0 or of one magnitude" : "by type id and size";
}

static enum tri_status read_any(struct tri_ternary *w, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    switch (t->encoding->origin) {
    case TRI_TRITS_STORED:
        return read_stored(w, e);
    case TRI_TRITS_EXACT:
        return read_exact(w, e);
    case TRI_TRITS_ABSMEAN:
        return read_absmean(w, e);
    case TRI_NO_TRITS:
        break;
    }
    return tri_fail(e, TRI_UNSUPPORTED,
                    "tensor \"%s\" at byte %llu: expected a ternary type (" TYPES ") or floats that are trits "
                    "(F32, F16, BF16), found %s",
                    t->name, (ull)t->offset, t->encoding->name);
}

enum tri_status tri_ternary_read(struct tri_ternary *w, const struct tri_tensor *t, struct tri_error *e)
{
    *w = (struct tri_ternary){.tensor = t, .group = (int)t->ne[0], .groups = 1};
    if (t->ne[0] > INT_MAX)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "tensor \"%s\" at byte %llu: expected rows of at most %d weights, found %lld", t->name,
                        (ull)t->offset, INT_MAX, (long long)t->ne[0]);
    if (read_any(w, e) != TRI_OK || apply_factor(w, e) != TRI_OK)
        return e->status;
    w->why = why(t);
    return TRI_OK;
}

static enum tri_status stray(const struct tri_tensor *t, int64_t row, const int8_t *trits, struct tri_error *e)
{
    int64_t i = 0;
    while (trits[i] != 2)
        i++;
    const uint64_t at = t->encoding->byte(t, row, i);
    return tri_fail(e, t->encoding->stray->status,
                    "tensor \"%s\" (%s): byte %llu of the file is 0x%02x, which holds %s", t->name, t->encoding->name,
                    (ull)(t->offset + at), t->data[at], t->encoding->stray->what);
}

static void clear_zeros(const struct tri_tensor *t, int64_t row, int8_t *trits)
{
    const int64_t n = stored_scales(t), group = t->ne[0] / n;
    for (int64_t block = 0; block < n; block++)
        if (scale_at(t, row, block) == 0)
            memset(trits + block * group, 0, (size_t)group);
}

static int64_t stored_row(const struct tri_tensor *t, int64_t row)
{
    const int64_t at = t->halves ? row % t->halves : 0;
    return row - at + at / 2 + at % 2 * (t->halves / 2);
}

enum tri_status tri_ternary_row(const struct tri_ternary *w, int64_t row, int8_t *trits, struct tri_error *e)
{
    const struct tri_tensor *t = w->tensor;
    row = stored_row(t, row);
    if (t->encoding->origin != TRI_TRITS_STORED) {
        float_trits(w, row, trits);
        return TRI_OK;
    }
    int8_t greatest = 0;
    t->encoding->trits(t, row, trits);
    for (int64_t i = 0; i < t->ne[0]; i++)
        greatest = trits[i] > greatest ? trits[i] : greatest;
    if (greatest > 1)
        return stray(t, row, trits, e);
    if (w->has_zeros)
        clear_zeros(t, row, trits);
    return TRI_OK;
}

void tri_ternary_scales(const struct tri_ternary *w, int64_t row, float *scales)
{
    const struct tri_tensor *t = w->tensor;
    if (w->scaling == TRI_PER_TENSOR) {
        scales[0] = w->scale;
        return;
    }
    row = stored_row(t, row);
    const int64_t n = stored_scales(t);
    for (int g = 0; g < w->groups; g++)
        scales[g] = 0;
    for (int64_t block = 0; block < n; block++) {
        const float scale = scale_at(t, row, block) * t->factor;
        if (scale != 0)
            scales[w->groups > 1 ? block : 0] = scale;
    }
}
