/* Owns: trits that become rows of floats. Leaves out which tensors (load.c). */
#include "model/expand.h"

#include "base/memory.h"
#include "file/encode.h"
#include "model/build.h"

#include <stdio.h>
#include <string.h>

enum { F32 = 0, F16 = 1 };

const struct tri_tensor *tri_expansion_plan(struct tri_expansion *x, struct tri_model *m, const struct tri_tensor *t,
                                            struct tri_error *e)
{
    if (tri_ternary_read(&x->from, t, e) != TRI_OK)
        return NULL;
    if (x->from.scaling != TRI_PER_TENSOR) {
        tri_fail(e, TRI_UNSUPPORTED, "tensor \"%s\" (%s) at byte %llu: expected one scale for all of an embedding or "
                 "output matrix of trits, found several; convert the original model again", t->name, t->encoding->name,
                 (unsigned long long)t->offset);
        return NULL;
    }
    x->to = tri_model_own(m, 1, sizeof *x->to, t->name, e);
    if (!x->to)
        return NULL;
    *x->to = *t;
    x->to->encoding = tri_encoding_find(tri_f16_to_f32(tri_f32_to_f16(x->from.scale)) == x->from.scale ? F16 : F32);
    x->to->data = NULL;
    return tri_tensor_size(x->to, e) == TRI_OK ? x->to : NULL;
}

/* As file/encode.h's groups, which has no F32: no file holds trits so wide. */
static void put_floats(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    const float values[3] = {-scale, 0, scale};
    for (int64_t i = 0; i < n; i++)
        memcpy(out + 4 * i, &values[trits[i] + 1], sizeof values[0]);
}

static void warn(const struct tri_expansion *x, struct tri_model *m)
{
    const size_t used = strlen(m->notice);
    snprintf(m->notice + used, sizeof m->notice - used,
             "%s%s is stored as trits (%s), which no model is trained for: expect poor text; convert the original "
             "model again", used ? "; " : "", x->to->name, x->from.tensor->encoding->name);
}

enum tri_status tri_expand(const struct tri_expansion *x, struct tri_model *m, struct tri_error *e)
{
    const int64_t k = x->to->ne[0], rows = tri_tensor_rows(x->to);
    const size_t row_bytes = x->to->bytes / (size_t)rows;
    const struct tri_encoder *c = tri_encoder_find(x->to->encoding);
    uint8_t *out = tri_model_own(m, x->to->bytes, 1, x->to->name, e);
    int8_t *trits = out ? tri_alloc((size_t)k, 1, x->to->name, e) : NULL;
    enum tri_status status = trits ? TRI_OK : e->status;
    for (int64_t row = 0; row < rows && status == TRI_OK; row++) {
        status = tri_ternary_row(&x->from, row, trits, e);
        if (status == TRI_OK)
            (c ? c->groups : put_floats)(trits, k, x->from.scale, out + (size_t)row * row_bytes);
    }
    tri_free(trits);
    x->to->data = out;
    warn(x, m);
    return status;
}
