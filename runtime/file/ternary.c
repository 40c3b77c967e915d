/* Owns: trits with their scales, and how far the scales agree. Leaves out how files hold either (tensor.c). */
#include "file/ternary.h"

enum tri_status tri_ternary_read(struct tri_ternary *w, const struct tri_tensor *t, struct tri_error *e)
{
    *w = (struct tri_ternary){.tensor = t, .group = (int)t->ne[0], .groups = 1};
    if (!t->encoding->trits)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "tensor \"%s\" at byte %llu: expected a ternary type that this program reads (I2_S), found %s",
                        t->name, (unsigned long long)t->offset, t->encoding->name);
    if (t->encoding->scale(t, &w->scale, e) != TRI_OK)
        return e->status;
    w->scale *= t->factor;
    return TRI_OK;
}

enum tri_status tri_ternary_row(const struct tri_ternary *w, int64_t row, int8_t *trits, struct tri_error *e)
{
    return w->tensor->encoding->trits(w->tensor, row, trits, e);
}

void tri_ternary_scales(const struct tri_ternary *w, int64_t row, float *scales)
{
    (void)row;
    scales[0] = w->scale;
}
