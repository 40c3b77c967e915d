/* Owns: the table of what a careful reader finds fault with in a file that can be read (formats.md of the project's
 * documentation, sections in brackets). Leaves out damage, which reading refuses. */
#define _GNU_SOURCE /* memmem */
#include "cli/inspect.h"

#include "model/build.h"
#include "model/packed.h"
#include "text/pretokenizer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENIZER(name) "tokenizer.ggml." name

enum { I2S_GROUP = 128, SCALES_APART = 100 };

/* -- findings -------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void find(struct tri_inspection *f, const char *format, ...)
{
    struct tri_findings *x = &f->findings;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (x->count == x->room) {
        char **more = realloc(x->text, (2 * x->room + 8) * sizeof *more);
        x->short_of_memory |= !more;
        if (!more)
            return;
        x->text = more;
        x->room = 2 * x->room + 8;
    }
    x->text[x->count] = strdup(text);
    x->short_of_memory |= !x->text[x->count];
    x->count += x->text[x->count] != NULL;
}

void tri_findings_free(struct tri_findings *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->text[i]);
    free(f->text);
}

/* -- what checks ask --------------------------------------------------------- */

static bool is_model(const struct tri_inspection *f)
{
    return f->config_error.status == TRI_OK;
}

static bool text_of(const struct tri_gguf *g, const char *name, struct tri_text *text)
{
    const struct tri_gguf_key *key = tri_gguf_find(g, name);
    return key && key->type == TRI_STRING && tri_gguf_first_texts(key, text, 1);
}

static bool reads(struct tri_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.at, word, text.size) == 0;
}

static bool number_of(const struct tri_gguf *g, const char *name, uint64_t *value)
{
    struct tri_error e;
    return tri_gguf_find(g, name) && tri_gguf_uint(g, name, value, &e) == TRI_OK;
}

/* The matrices of layers, one after the other from *i on; NULL behind the last. */
static const struct tri_tensor *next_part(const struct tri_inspection *f, size_t *i, int *part)
{
    int layer;
    for (; *i < tri_gguf_tensor_count(f->g); (*i)++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, *i);
        if ((*part = tri_part_of(t, &layer)) >= 0)
            return t;
    }
    return NULL;
}

/* -- the model ----------------------------------------------------------------- */

static void check_model(struct tri_inspection *f)
{
    if (!is_model(f))
        find(f, "not a model to run: %s", f->config_error.text);
}

/* 4.5 */
static void check_family(struct tri_inspection *f)
{
    struct tri_text arch;
    if (is_model(f) && text_of(f->g, "general.architecture", &arch) && !reads(arch, f->config.family->arch))
        find(f, "general.architecture is %.*s, but %d layers under this name are of a model with another activation: "
             "taken for %s", (int)arch.size, arch.at, f->config.layers, f->config.family->arch);
}

/* 4.5 */
static void check_embedding(struct tri_inspection *f)
{
    static const char *const names[] = {"token_embd.weight", "output.weight"};
    for (int i = 0; i < 2; i++) {
        const struct tri_tensor *t = tri_gguf_tensor(f->g, names[i]);
        if (t && t->encoding->ternary)
            find(f, "%s is stored in %s, but no model's is ternary: what it was is lost; convert the original again, "
                 "with a float type for it", t->name, t->encoding->name);
    }
}

static void check_vocabulary(struct tri_inspection *f)
{
    const struct tri_gguf_key *tokens = tri_gguf_find(f->g, TOKENIZER("tokens"));
    if (is_model(f) && tokens && tokens->count != (uint64_t)f->config.vocab)
        find(f, "the embedding has %d rows for %" PRIu64 " tokens", f->config.vocab, tokens->count);
}

/* 1.4: rotary embedding and context as the family's keys say. */
static void check_ignored(struct tri_inspection *f)
{
    static const char *const taken[] = {"rope.dimension_count", "rope.freq_base", "rope.freq_base_swa",
                                        "rope.scaling.type",    "rope.scaling.factor", "rope.scale_linear"};
    struct tri_text arch;
    if (!is_model(f) || !text_of(f->g, "general.architecture", &arch))
        return;
    for (size_t i = 0; i < tri_gguf_key_count(f->g); i++) {
        const struct tri_text name = tri_gguf_key_at(f->g, i)->name;
        struct tri_text tail = {name.at + arch.size + 1, name.size - arch.size - 1};
        bool known = name.size < arch.size + 6 || memcmp(name.at, arch.at, arch.size) != 0 ||
                     memcmp(tail.at - 1, ".rope.", 6) != 0;
        for (size_t j = 0; j < sizeof taken / sizeof taken[0] && !known; j++)
            known = reads(tail, taken[j]);
        if (!known)
            find(f, "key %.*s changes positions and is not read", (int)name.size, name.at);
    }
}

/* -- the tokenizer ----------------------------------------------------------------- */

/* 5.3 */
static void check_pretokenizer(struct tri_inspection *f)
{
    struct tri_text model, pre;
    if (!text_of(f->g, TOKENIZER("model"), &model) || !reads(model, "gpt2") || tri_gguf_find(f->g, TRI_KEY_EXPRESSIONS))
        return;
    if (!text_of(f->g, TOKENIZER("pre"), &pre))
        find(f, "key " TOKENIZER("pre") " is missing: how text is cut is guessed; --pre says it");
    else if (!tri_pretokenizer_find(pre))
        find(f, "key " TOKENIZER("pre") ": \"%.*s\" is not known: text is cut as for \"default\"",
             pre.size < 64 ? (int)pre.size : 64, pre.at);
}

/* 6.1 */
static void check_template(struct tri_inspection *f)
{
    struct tri_text text;
    if (text_of(f->g, "tokenizer.chat_template", &text) && memmem(text.at, text.size, "BITNETAssistant", 15))
        find(f, "tokenizer.chat_template is the one a converter wrote (\"BITNETAssistant\"), not the model's: it ends "
             "prompts before the answer");
}

/* 1.6 point 11, 5.1; Falcon3's texts begin and end with the same token. */
static void check_special_ids(struct tri_inspection *f)
{
    static const char *const names[] = {TOKENIZER("bos_token_id"),     TOKENIZER("eos_token_id"),
                                        TOKENIZER("eot_token_id"),     TOKENIZER("eom_token_id"),
                                        TOKENIZER("unknown_token_id"), TOKENIZER("padding_token_id")};
    const struct tri_gguf_key *tokens = tri_gguf_find(f->g, TOKENIZER("tokens"));
    uint64_t id;
    for (size_t i = 0; tokens && i < sizeof names / sizeof names[0]; i++)
        if (number_of(f->g, names[i], &id) && id >= tokens->count)
            find(f, "key %s is %" PRIu64 " of %" PRIu64 " tokens", names[i], id, tokens->count);
    if (tokens && !tri_gguf_find(f->g, names[1]))
        find(f, "key %s is missing: which token ends a text is guessed", names[1]);
}

/* -- weights ------------------------------------------------------------------------- */

static bool is_norm(const struct tri_inspection *f, const char *name)
{
    for (int i = 0; i < TRI_NORMS; i++)
        if (strcmp(name, tri_norm_shapes[i].name) == 0)
            return tri_norm_is_there(&f->config, &tri_norm_shapes[i]);
    return false;
}

/* What models of the family have; "blk.0.attn_q.scale" was taken when the file was read. */
static bool is_known(const struct tri_inspection *f, const struct tri_tensor *t)
{
    static const char *const others[] = {"token_embd.weight", "output_norm.weight", "output.weight",
                                         "rope_freqs.weight"};
    char name[sizeof t->name];
    int layer, end = 0;
    enum tri_role role;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(t->name, others[i]) == 0)
            return true;
    if (tri_packed_is(f->g) && (tri_packed_screen_name(t->name) || tri_packed_name(t->name, &layer, &role)))
        return true;
    if (tri_part_of(t, &layer) >= 0)
        return layer < f->config.layers;
    if (sscanf(t->name, "blk.%d.%63[a-z_].%n", &layer, name, &end) != 2 || !end || layer >= f->config.layers)
        return false;
    return strcmp(t->name + end, "weight") == 0 && is_norm(f, name);
}

static void check_unknown(struct tri_inspection *f)
{
    for (size_t i = 0; is_model(f) && i < tri_gguf_tensor_count(f->g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        if (!is_known(f, t))
            find(f, "tensor %s is none of a %s model of %d layers", t->name, f->config.family->arch, f->config.layers);
    }
}

static void check_ternary(struct tri_inspection *f)
{
    const struct tri_tensor *t;
    int part;
    for (size_t i = 0; (t = next_part(f, &i, &part)); i++)
        if (!f->share[i].known && !f->share[i].damaged)
            find(f, "tensor %s (%s) is not ternary", t->name, t->encoding->name);
}

static void check_empty(struct tri_inspection *f)
{
    const struct tri_tensor *t;
    int part;
    for (size_t i = 0; (t = next_part(f, &i, &part)); i++) {
        const struct tri_share *s = &f->share[i];
        const uint64_t all = s->known ? (uint64_t)(t->ne[0] / s->group * tri_tensor_rows(t)) : 0;
        if (s->known && s->empty)
            find(f, "tensor %s: all weights are 0 in %" PRIu64 " of %" PRIu64 " %s", t->name, s->empty, all,
                 s->scaling == TRI_PER_GROUP ? "groups" : "rows");
    }
}

/* 2.4: where no group crosses rows, two of the five layouts are the same. */
static void check_layouts(struct tri_inspection *f)
{
    const struct tri_tensor *t;
    int part;
    for (size_t i = 0; (t = next_part(f, &i, &part)); i++)
        if (t->encoding == tri_encoding_find(t->encoding->id) && strcmp(t->encoding->name, "I2_S") == 0 &&
            t->ne[0] % I2S_GROUP)
            find(f, "tensor %s (I2_S) has rows of %" PRId64 " weights, no multiple of %d: files differ in how they "
                 "lie; --i2s-layout says it", t->name, t->ne[0], I2S_GROUP);
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The middle one of a part's scales; 0: there are none. */
static float usual_scale(const struct tri_inspection *f, int part, float *scales)
{
    size_t n = 0;
    int found;
    for (size_t i = 0; next_part(f, &i, &found); i++)
        if (found == part && f->share[i].known && f->share[i].scaling == TRI_PER_TENSOR)
            scales[n++] = f->share[i].scale;
    qsort(scales, n, sizeof *scales, compare_floats);
    return n ? scales[n / 2] : 0;
}

static void check_scales(struct tri_inspection *f)
{
    const size_t count = tri_gguf_tensor_count(f->g);
    float usual[TRI_PARTS], *scales = malloc((count + 1) * sizeof *scales);
    const struct tri_tensor *t;
    int part;
    f->findings.short_of_memory |= !scales;
    for (int p = 0; scales && p < TRI_PARTS; p++)
        usual[p] = usual_scale(f, p, scales);
    for (size_t i = 0; scales && (t = next_part(f, &i, &part)); i++) {
        const struct tri_share *s = &f->share[i];
        if (s->known && s->scaling == TRI_PER_TENSOR &&
            (s->scale > SCALES_APART * usual[part] || s->scale * SCALES_APART < usual[part]))
            find(f, "tensor %s has the scale %.7g, more than %d times away from %.7g as in other layers",
                 t->name, (double)s->scale, SCALES_APART, (double)usual[part]);
    }
    free(scales);
}

/* 1.4: what general.file_type says that most of the weights are. */
static const struct file_type {
    uint32_t id;
    const char *encoding;
} file_types[] = {{0, "F32"},   {1, "F16"},    {2, "Q4_0"},   {7, "Q8_0"},     {15, "Q4_K"},    {18, "Q6_K"},
                  {32, "BF16"}, {36, "TQ1_0"}, {37, "TQ2_0"}, {38, "TL1"},     {39, "TL2"},     {40, "I2_S"},
                  {136, "IQ1_BN"}, {137, "IQ2_BN"}, {337, "IQ2_BN_R4"}};
enum { FILE_TYPES = sizeof file_types / sizeof file_types[0] };

static void check_file_type(struct tri_inspection *f)
{
    const struct file_type *type = NULL;
    const struct tri_tensor *t;
    uint64_t id, others = 0;
    int part;
    if (!number_of(f->g, "general.file_type", &id))
        return;
    for (int i = 0; i < FILE_TYPES; i++)
        type = file_types[i].id == id ? &file_types[i] : type;
    size_t matrices = 0;
    for (size_t i = 0; type && (t = next_part(f, &i, &part)); i++, matrices++)
        others += strcmp(t->encoding->name, type->encoding) != 0;
    if (2 * others > matrices)
        find(f, "general.file_type %" PRIu64 " says %s, but %" PRIu64 " of %zu matrices are of another type", id,
             type->encoding, others, matrices);
}

/* -- how tensors lie (1.6 point 9) ------------------------------------------------------- */

static bool any_set(const uint8_t *from, const uint8_t *to)
{
    while (from < to && !*from)
        from++;
    return from < to;
}

static uint64_t padded(uint64_t bytes, uint64_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

/* From one tensor to the next of the same file, in the order of its list; NULL: t is the last. */
static void check_place(struct tri_inspection *f, const struct tri_tensor *t, const struct tri_tensor *next,
                        uint64_t alignment)
{
    const uint8_t *end = t->data + t->bytes, *file_end = tri_gguf_end(f->g, t->data);
    const uint64_t wanted = t->offset + padded(t->bytes, alignment);
    const uint64_t padding = padded(t->bytes, alignment) - t->bytes, left = (uint64_t)(file_end - end);
    if (any_set(end, end + (padding < left ? padding : left)))
        find(f, "the padding behind tensor %s, from byte %" PRIu64 " on, is not zero", t->name, t->offset + t->bytes);
    if (next && next->offset < t->offset)
        find(f, "tensor %s lies before %s, which the list has before it", next->name, t->name);
    else if (next && next->offset != wanted)
        find(f, "tensor %s begins at byte %" PRIu64 "; expected %" PRIu64 ", behind %s", next->name, next->offset,
             wanted, t->name);
    else if (!next && left > padding)
        find(f, "%" PRIu64 " bytes behind the last tensor belong to nothing", left - padding);
}

/* Only of the file that has the keys: other containers have other rules, which their readers check. */
static bool is_beside_keys(const struct tri_inspection *f, const struct tri_tensor *t)
{
    return tri_gguf_end(f->g, t->data) == tri_gguf_end(f->g, tri_gguf_key_at(f->g, 0)->at);
}

static void check_places(struct tri_inspection *f)
{
    const size_t count = tri_gguf_tensor_count(f->g);
    const struct tri_tensor *before = NULL;
    uint64_t alignment = TRI_GGUF_ALIGNMENT;
    number_of(f->g, "general.alignment", &alignment);
    for (size_t i = 0; tri_gguf_key_count(f->g) && i < count; i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        if (!is_beside_keys(f, t))
            continue;
        if (before)
            check_place(f, before, t, alignment);
        before = t;
    }
    if (before)
        check_place(f, before, NULL, alignment);
}

/* -- all ---------------------------------------------------------------------------------- */

typedef void check_fn(struct tri_inspection *f);

static check_fn *const checks[] = {
    check_model,   check_family, check_embedding, check_vocabulary, check_ignored, check_pretokenizer, check_template,
    check_special_ids, check_unknown, check_ternary, check_empty, check_layouts, check_scales, check_file_type,
    check_places,
};

enum tri_status tri_inspection_check(struct tri_inspection *f, struct tri_error *e)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        checks[i](f);
    if (!f->findings.short_of_memory)
        return TRI_OK;
    return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for what was found", tri_gguf_name(f->g));
}
