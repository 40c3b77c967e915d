/* Owns: the tables that `tritune inspect` prints. */
#include "cli/inspect.h"
#include "cli/quote.h"
#include "model/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_WIDTH = 60, NAME_WIDTH = 80, LIST_MOST = 8 };

struct size {
    char text[24];
};

static struct size bytes_of(uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    struct size s;
    size_t unit = 0;
    double v = (double)bytes;
    for (; v >= 999.5 && unit < 6; unit++)
        v /= 1000;
    snprintf(s.text, sizeof s.text, "%.*f %s", unit && v < 99.95 ? v < 9.995 ? 2 : 1 : 0, v,
             units[unit]);
    return s;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* -- keys ---------------------------------------------------------------- */

static int print_number(const struct tri_gguf_key *key, uint64_t i)
{
    double v = tri_gguf_element(key, i);
    uint64_t wide;
    switch (key->element) {
    case TRI_BOOL:
        return printf(v != 0 ? "true" : "false");
    case TRI_F32:
        return printf("%.7g", v);
    case TRI_F64:
        return printf("%.15g", v);
    case TRI_U64:
    case TRI_I64:
        memcpy(&wide, key->at + 8 * i, sizeof wide);
        return key->element == TRI_U64 ? printf("%" PRIu64, wide) : printf("%" PRId64, wide);
    default:
        return printf("%.0f", v);
    }
}

/* As many as fit the line, at least one. */
static void print_values(const struct tri_gguf_key *key)
{
    struct tri_text texts[LIST_MOST];
    uint64_t shown = key->count < LIST_MOST ? key->count : LIST_MOST, i = 0;
    if (key->element == TRI_STRING)
        tri_gguf_first_texts(key, texts, shown);
    for (int columns = 0; i < shown && columns < TEXT_WIDTH; i++) {
        columns += i ? printf(", ") : 0;
        columns += key->element == TRI_STRING ? tri_print_quoted(texts[i], TEXT_WIDTH)
                                              : print_number(key, i);
    }
    puts(i < key->count ? ", ..." : "");
}

static void print_key(const struct tri_gguf_key *key)
{
    char type[40];
    if (key->type == TRI_ARRAY)
        snprintf(type, sizeof type, "%s[%" PRIu64 "]", tri_gguf_type_name(key->element),
                 key->count);
    else
        snprintf(type, sizeof type, "%s", tri_gguf_type_name(key->type));
    int shown = key->name.size < NAME_WIDTH ? (int)key->name.size : NAME_WIDTH;
    printf("  %-46.*s  %-16s  ", shown, key->name.at, type);
    print_values(key);
}

/* -- tensors and sizes --------------------------------------------------- */

static void print_shape(const struct tri_tensor *t, int width)
{
    char text[96];
    int n = snprintf(text, sizeof text, "%" PRId64, t->ne[0]);
    for (int d = 1; d < t->dims; d++)
        n += snprintf(text + n, sizeof text - (size_t)n, " x %" PRId64, t->ne[d]);
    printf("  %-*s", width, text);
}

static void print_share(const struct tri_share *s)
{
    uint64_t n = s->minus + s->zero + s->plus;
    printf("  %5.1f %5.1f %5.1f  %6.3f  ", percent(s->minus, n), percent(s->zero, n), percent(s->plus, n),
           tri_share_entropy(s));
    if (s->scaling == TRI_PER_GROUP)
        printf("one per %d", s->group);
    else if (s->scaling == TRI_PER_ROW)
        printf("one per row");
    else
        printf("%.7g", (double)s->scale);
}

/* Tensors of an encoding that were taken for it with the same reason. */
static size_t count_alike(const struct tri_inspection *f, size_t first)
{
    size_t alike = 0;
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g); i++) {
        const bool same = f->share[i].known && strcmp(f->share[i].why, f->share[first].why) == 0 &&
                          strcmp(tri_gguf_tensor_at(f->g, i)->encoding->name,
                                 tri_gguf_tensor_at(f->g, first)->encoding->name) == 0;
        if (same && i < first)
            return 0;
        alike += same;
    }
    return alike;
}

static void print_decisions(const struct tri_inspection *f)
{
    int printed = 0;
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g); i++) {
        const size_t alike = f->share[i].known ? count_alike(f, i) : 0;
        if (alike)
            printf("%s  %-20s  %5zu tensors, %s\n", printed++ ? "" : "\nRead as ternary\n",
                   tri_gguf_tensor_at(f->g, i)->encoding->name, alike, f->share[i].why);
    }
}

static void print_structure(const struct tri_inspection *f)
{
    size_t known = 0, structured = 0;
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g); i++) {
        known += f->share[i].known;
        structured += f->share[i].known && f->share[i].three_of_four;
    }
    if (structured)
        printf("\nThree of four: exactly one zero in every four weights in %zu of %zu ternary tensors%s\n", structured,
               known, structured == known ? "; --bits 1.25 packs them" : "");
}

static void print_tensors(const struct tri_inspection *f)
{
    printf("\nTensors (shape: columns x rows; shares of -1, 0, +1 in %%, entropy in bits a weight)\n"
           "  %-32s  %-8s  %-15s %12s %12s  %5s %5s %5s  %6s  %s\n",
           "name", "encoding", "shape", "bytes", "at byte", "-1", "0", "+1", "bits", "scale");
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        printf("  %-32s  %-8s", t->name, t->encoding->name);
        print_shape(t, 15);
        printf(" %12" PRIu64 " %12" PRIu64, t->bytes, t->offset);
        if (f->share[i].known)
            print_share(&f->share[i]);
        else if (f->share[i].damaged)
            printf("  damaged");
        putchar('\n');
    }
}

static void print_sizes(const struct tri_inspection *f)
{
    uint64_t all = tri_gguf_bytes(f->g), rest = all;
    printf("\nSizes\n");
    for (int c = 0; c < TRI_CLASSES; c++) {
        const struct tri_sum *s = &f->sum[c];
        rest -= s->bytes;
        if (!s->tensors)
            continue;
        printf("  %-20s  %5zu tensors %15" PRIu64 " values %9s %5.1f %%\n", tri_class_names[c],
               s->tensors, s->elements, bytes_of(s->bytes).text, percent(s->bytes, all));
    }
    printf("  %-20s %47s %5.1f %%\n", "keys and padding", bytes_of(rest).text, percent(rest, all));
}

/* -- the model ----------------------------------------------------------- */

/* "silu, norms: attn_norm, ffn_norm, ..." */
static void print_layers(const struct tri_config *c)
{
    int printed = 0;
    printf("  %s, norms:", tri_activation_names[c->family->activation]);
    for (int i = 0; i < TRI_NORMS; i++)
        if (tri_norm_is_there(c, &tri_norm_shapes[i]))
            printf("%s %s", printed++ ? "," : "", tri_norm_shapes[i].name);
    printf("%s\n", c->family->scaled ? "; the embedding times sqrt(hidden size)" : "");
}

static void print_config(const struct tri_inspection *f)
{
    const struct tri_config *c = &f->config;
    if (f->config_error.status) {
        printf("\nModel: not one to run: %s\n", f->config_error.text);
        return;
    }
    printf("\nModel\n"
           "  %s: %d layers, hidden size %d, ffn %d, %d heads of %d (%d for keys and values)\n",
           c->family->arch, c->layers, c->hidden, c->ffn, c->heads, c->head_dim, c->kv_heads);
    print_layers(c);
    printf("  vocabulary %d, context %d, rotary base %g over %d dimensions (%s), epsilon %g\n",
           c->vocab, c->context, (double)c->rope_theta, c->rope_dims,
           c->family->neox ? "halves" : "neighbours", (double)c->norm_eps);
}

static void print_job(const struct tri_inspection *f, enum tri_role role)
{
    const struct tri_job *j = &f->job[role];
    double bits = 8.0 * (double)j->bytes / ((double)j->m * j->k);
    char group[40] = "";
    if (j->group)
        snprintf(group, sizeof group, ", scales of %d columns", j->group);
    printf("  %-8s %6d x %-6d  %-12s %9s  %.3f bits a weight%s  (%s)\n", tri_role_names[role], j->k, j->m,
           j->plan.layout->name, bytes_of(j->bytes * (uint64_t)f->config.layers).text, bits, group, j->plan.why);
    if (f->in_file[role])
        printf("  %8s in the file %s: %s\n", "", f->in_file[role],
               strcmp(f->in_file[role], j->plan.layout->name) ? "packed anew at every start" : "mapped as it is");
    for (int i = 0; i < j->plan.count; i++)
        printf("  %27d token%s %s\n", j->plan.kernels[i]->tokens,
               j->plan.kernels[i]->tokens == 1 ? " " : "s", j->plan.kernels[i]->name);
}

static void print_jobs(const struct tri_inspection *f)
{
    uint64_t bytes = 0;
    for (int role = 0; role < TRI_ROLES; role++)
        bytes += f->job[role].bytes * (uint64_t)f->config.layers;
    printf("\nPacked on this machine (%s), all layers: %s\n", tri_dispatch_isa()->name,
           bytes_of(bytes).text);
    for (int role = 0; role < TRI_ROLES; role++)
        print_job(f, (enum tri_role)role);
    if (f->head)
        printf("  head     %6d x %-6d  int8 copy    %9s  beside the %s, %s --head screened\n", f->config.hidden,
               f->config.vocab, bytes_of(tri_screen_bytes(&f->config)).text, f->head->name,
               tri_screen_pays(f->head, &f->config) ? "unless memory is short, and with" : "only with");
}

void tri_inspection_print(const struct tri_inspection *f)
{
    const struct tri_gguf *g = f->g;
    printf("%s: GGUF version %u, %s, %zu keys, %zu tensors\n\nKeys\n", tri_gguf_name(g),
           tri_gguf_version(g), bytes_of(tri_gguf_bytes(g)).text, tri_gguf_key_count(g),
           tri_gguf_tensor_count(g));
    for (size_t i = 0; i < tri_gguf_key_count(g); i++)
        print_key(tri_gguf_key_at(g, i));
    if (tri_gguf_tensor_count(g))
        print_tensors(f);
    print_decisions(f);
    print_structure(f);
    print_sizes(f);
    print_config(f);
    if (f->packable)
        print_jobs(f);
    for (size_t i = 0; i < f->findings.count; i++)
        printf("%s  %s\n", i ? "" : "\nFindings\n", f->findings.text[i]);
}
