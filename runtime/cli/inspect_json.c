/* Owns: the JSON object that `tritune inspect --json` writes. A failed allocation inside jansson
 * shows as NULL, which its functions pass on; it is reported once, at the end. */
#include "cli/inspect.h"
#include "cli/quote.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 8 };

static json_t *integer(uint64_t v)
{
    return v <= INT64_MAX ? json_integer((json_int_t)v) : json_real((double)v);
}

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* -- keys ---------------------------------------------------------------- */

static json_t *number(const struct tri_gguf_key *key, uint64_t i)
{
    double v = tri_gguf_element(key, i);
    uint64_t wide;
    switch (key->element) {
    case TRI_BOOL:
        return json_boolean(v != 0);
    case TRI_F32:
    case TRI_F64:
        return real(v);
    case TRI_U64:
    case TRI_I64:
        memcpy(&wide, key->at + 8 * i, sizeof wide);
        return key->element == TRI_U64 ? integer(wide) : json_integer((json_int_t)wide);
    default:
        return json_integer((json_int_t)v);
    }
}

static json_t *first_values(const struct tri_gguf_key *key)
{
    struct tri_text texts[LIST_MOST];
    json_t *list = json_array();
    bool text = key->element == TRI_STRING;
    uint64_t count = key->count < LIST_MOST ? key->count : LIST_MOST;
    if (text)
        tri_gguf_first_texts(key, texts, count);
    for (uint64_t i = 0; i < count; i++)
        if (json_array_append_new(list, text ? tri_json_text(texts[i]) : number(key, i))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *key_of(const struct tri_gguf_key *key)
{
    struct tri_text text;
    const char *type = tri_gguf_type_name(key->type);
    if (key->type == TRI_ARRAY)
        return json_pack("{s:o, s:s, s:s, s:o, s:o}", "name", tri_json_text(key->name), "type",
                         type, "element", tri_gguf_type_name(key->element), "count",
                         integer(key->count), "first", first_values(key));
    bool is_text = key->type == TRI_STRING && tri_gguf_first_texts(key, &text, 1);
    return json_pack("{s:o, s:s, s:o}", "name", tri_json_text(key->name), "type", type, "value",
                     is_text ? tri_json_text(text) : number(key, 0));
}

/* -- tensors ------------------------------------------------------------- */

static json_t *shape_of(const struct tri_tensor *t)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->dims; d++)
        if (json_array_append_new(shape, json_integer(t->ne[d]))) {
            json_decref(shape);
            return NULL;
        }
    return shape;
}

static json_t *share_of(const struct tri_share *s)
{
    return json_pack("{s:o, s:o, s:o}", "minus", integer(s->minus), "zero", integer(s->zero),
                     "plus", integer(s->plus));
}

/* "scale" where there is one of all weights; "group", how many columns share one, where there are many of a row. */
static bool add_share(json_t *o, const struct tri_share *s)
{
    static const char *const scaling[] = {
        [TRI_PER_TENSOR] = "tensor", [TRI_PER_ROW] = "row", [TRI_PER_GROUP] = "group"};
    return json_object_set_new(o, "trits", share_of(s)) ||
           json_object_set_new(o, "entropy", real(tri_share_entropy(s))) ||
           json_object_set_new(o, "three_of_four", json_boolean(s->three_of_four)) ||
           json_object_set_new(o, "scaling", json_string(scaling[s->scaling])) ||
           (s->scaling == TRI_PER_TENSOR && json_object_set_new(o, "scale", real((double)s->scale))) ||
           (s->scaling == TRI_PER_GROUP && json_object_set_new(o, "group", json_integer(s->group))) ||
           json_object_set_new(o, "why", json_string(s->why));
}

static json_t *tensor_of(const struct tri_tensor *t, const struct tri_share *share)
{
    json_t *o =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", t->name, "encoding", t->encoding->name,
                  "shape", shape_of(t), "bytes", integer(t->bytes), "offset", integer(t->offset));
    if (o && share->known && add_share(o, share)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* -- lists --------------------------------------------------------------- */

typedef json_t *item(const struct tri_inspection *f, size_t i);

static json_t *list_of(const struct tri_inspection *f, size_t count, item *make)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, make(f, i))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *nth_key(const struct tri_inspection *f, size_t i)
{
    return key_of(tri_gguf_key_at(f->g, i));
}

static json_t *nth_tensor(const struct tri_inspection *f, size_t i)
{
    return tensor_of(tri_gguf_tensor_at(f->g, i), &f->share[i]);
}

static json_t *nth_size(const struct tri_inspection *f, size_t i)
{
    const struct tri_sum *s = &f->sum[i];
    return json_pack("{s:s, s:o, s:o, s:o}", "class", tri_class_names[i], "tensors",
                     integer(s->tensors), "values", integer(s->elements), "bytes",
                     integer(s->bytes));
}

static json_t *kernels_of(const struct tri_plan *plan)
{
    json_t *list = json_array();
    for (int i = 0; i < plan->count; i++)
        if (json_array_append_new(list, json_pack("{s:s, s:i}", "name", plan->kernels[i]->name,
                                                  "tokens", plan->kernels[i]->tokens))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *nth_job(const struct tri_inspection *f, size_t i)
{
    const struct tri_job *j = &f->job[i];
    return json_pack("{s:s, s:i, s:i, s:i, s:s, s:o, s:o, s:s}", "role", tri_role_names[i], "m", j->m, "k", j->k,
                     "group", j->group, "layout", j->plan.layout->name, "bytes_per_layer", integer(j->bytes), "kernels",
                     kernels_of(&j->plan), "why", j->plan.why);
}

static json_t *nth_finding(const struct tri_inspection *f, size_t i)
{
    return tri_json_string(f->findings.text[i]);
}

static json_t *hash_of(const struct tri_trits_hash *hash)
{
    char trits[17], scales[17];
    snprintf(trits, sizeof trits, "%016" PRIx64, hash->trits);
    snprintf(scales, sizeof scales, "%016" PRIx64, hash->scales);
    return json_pack("{s:s, s:s}", "trits", trits, "scales", scales);
}

/* -- the whole ----------------------------------------------------------- */

static json_t *config_of(const struct tri_config *c)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b}", "family",
                     c->family->arch, "layers", c->layers, "hidden", c->hidden, "ffn", c->ffn,
                     "heads", c->heads, "kv_heads", c->kv_heads, "head_dim", c->head_dim, "vocab",
                     c->vocab, "context", c->context, "rope_dims", c->rope_dims, "rope_theta",
                     (double)c->rope_theta, "norm_eps", (double)c->norm_eps, "sub_norms",
                     (int)c->family->sub_norms);
}

/* The parts that a file may lack; true if memory ran out. */
static bool add_model(json_t *o, const struct tri_inspection *f)
{
    if (f->config_error.status)
        return json_object_set_new(o, "not_a_model", tri_json_string(f->config_error.text));
    if (json_object_set_new(o, "config", config_of(&f->config)))
        return true;
    if (f->packable && f->head &&
        json_object_set_new(o, "screen", json_pack("{s:o, s:s, s:b}", "bytes", integer(tri_screen_bytes(&f->config)),
                                                   "of", f->head->name, "auto",
                                                   (int)tri_screen_pays(f->head, &f->config))))
        return true;
    return f->packable && json_object_set_new(o, "packed", list_of(f, TRI_ROLES, nth_job));
}

static json_t *whole(const struct tri_inspection *f)
{
    const struct tri_gguf *g = f->g;
    json_t *o = json_pack("{s:o, s:i, s:o, s:o, s:o, s:o}", "file",
                          tri_json_string(tri_gguf_name(g)), "version",
                          (int)tri_gguf_version(g), "bytes", integer(tri_gguf_bytes(g)), "keys",
                          list_of(f, tri_gguf_key_count(g), nth_key), "tensors",
                          list_of(f, tri_gguf_tensor_count(g), nth_tensor), "sizes",
                          list_of(f, TRI_CLASSES, nth_size));
    if (!o || add_model(o, f) || (f->hashed && json_object_set_new(o, "hash", hash_of(&f->hash))) ||
        json_object_set_new(o, "findings", list_of(f, f->findings.count, nth_finding)) ||
        (f->damage.status &&
         json_object_set_new(o, "damage", tri_json_string(f->damage.text)))) {
        json_decref(o);
        return NULL;
    }
    return o;
}

enum tri_status tri_inspection_json(const struct tri_inspection *f, struct tri_error *e)
{
    json_t *o = whole(f);
    if (!o)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its description as JSON",
                        tri_gguf_name(f->g));
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(o);
    return TRI_OK;
}
