/* `tritune convert`: a model in another form, as a file of its own. Leaves out the forms (model/packed.h,
 * model/transcode.h). */
#include "cli/interrupt.h"
#include "cli/load.h"
#include "kernels/dispatch.h"
#include "model/checkpoint.h"
#include "model/packed.h"
#include "model/transcode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct options {
    struct tri_load load;
    const char *type, *embedding;
    bool exact, dry;
};

/* -- forms --------------------------------------------------------------- */

typedef enum tri_status convert_fn(struct options *o, uint32_t encoding, const char *out, struct tri_error *e);

static void print_hash(const struct tri_trits_hash *h)
{
    printf("trits %016" PRIx64 "\n", h->trits);
}

static enum tri_status print_hash_of(const struct tri_gguf *g, struct tri_pool *pool, struct tri_error *e)
{
    struct tri_config c;
    struct tri_trits_hash hash;
    if (tri_config_read(g, &c, e) != TRI_OK)
        return e->status;
    struct tri_trits *trits = tri_trits_open(g, &c, pool, e);
    if (!trits)
        return e->status;
    const enum tri_status status = tri_trits_hash(trits, pool, tri_interrupted, &hash, e);
    if (status == TRI_OK)
        print_hash(&hash);
    tri_trits_free(trits);
    return status;
}

/* Packed as this machine runs it; the hash is taken from what was written. */
static enum tri_status to_packed(struct options *o, uint32_t encoding, const char *out, struct tri_error *e)
{
    (void)encoding;
    if (o->embedding)
        return tri_fail(e, TRI_USAGE, "option --embedding: expected a --type of GGUF's own, as the packed form takes "
                        "embeddings as they are; convert to i2_s with --embedding first, then to tritune");
    if (tri_load_weights(&o->load, e) != TRI_OK)
        return e->status;
    tri_catch_interrupt();
    if (o->dry) {
        printf("%s would be written: %zu bytes of packed matrices\n", out, o->load.weights->packed_bytes);
        return TRI_OK;
    }
    if (tri_packed_write(o->load.weights, o->load.gguf, out, o->load.pool, tri_interrupted, e) != TRI_OK)
        return e->status;
    struct tri_gguf *written = tri_gguf_open(out, e);
    if (!written)
        return e->status;
    const enum tri_status status = print_hash_of(written, o->load.pool, e);
    tri_gguf_close(written);
    if (status == TRI_OK)
        printf("largest relative change of a scale 0\n");
    return status;
}

static void report(const struct options *o, const struct tri_transcode *how, const struct tri_transcoded *done,
                   const char *out)
{
    if (o->dry)
        printf("%s would be written: ", out);
    else
        print_hash(&done->hash);
    printf("%d matrices in %s, %d float tensors in another type, %d as they are; %" PRIu64 " bytes of tensors\n",
           done->matrices, how->matrices->name, done->recoded, done->copied, done->bytes);
    printf("largest relative change of a scale %.3g%s%s\n", done->scale_change, done->scale_change > 0 ? ", of " : "",
           done->scale_name);
}

static const struct embedding {
    const char *name;
    uint32_t id;
} embeddings[] = {{"f16", 1}, {"q8_0", 8}, {"q6_k", 14}, {"q4_0", 2}};
enum { EMBEDDINGS = sizeof embeddings / sizeof embeddings[0] };

static enum tri_status find_embedding(const char *name, const struct tri_encoding **to, struct tri_error *e)
{
    *to = NULL;
    for (int i = 0; name && i < EMBEDDINGS; i++)
        if (strcmp(name, embeddings[i].name) == 0)
            *to = tri_encoding_find(embeddings[i].id);
    return !name || *to ? TRI_OK : tri_fail(e, TRI_USAGE, "option --embedding: expected f16, q8_0, q6_k or q4_0, found "
                                            "\"%s\"", name);
}

static enum tri_status open_source(struct options *o, struct tri_error *e)
{
    struct tri_load *l = &o->load;
    const int asked = l->threads[TRI_DECODE], threads = asked ? asked : tri_dispatch_setting().team[TRI_PROMPT].threads;
    l->gguf = tri_checkpoint_open(l->model, e);
    if (!l->gguf || (l->i2s_layout && tri_gguf_set_i2s_layout(l->gguf, l->i2s_layout, e) != TRI_OK))
        return e->status;
    return (l->pool = tri_pool_new(threads, e)) ? TRI_OK : e->status;
}

static enum tri_status to_gguf(struct options *o, uint32_t encoding, const char *out, struct tri_error *e)
{
    struct tri_transcode how = {.matrices = tri_encoding_find(encoding), .exact = o->exact, .dry = o->dry};
    struct tri_transcoded done;
    if (find_embedding(o->embedding, &how.embedding, e) != TRI_OK || open_source(o, e) != TRI_OK)
        return e->status;
    tri_catch_interrupt();
    if (tri_transcode(&how, o->load.gguf, out, o->load.pool, tri_interrupted, &done, e) != TRI_OK)
        return e->status;
    report(o, &how, &done, out);
    return TRI_OK;
}

static const struct type {
    const char *name;
    uint32_t encoding;
    convert_fn *convert;
} types[] = {{"i2_s", 36, to_gguf}, {"tq1_0", 34, to_gguf}, {"tq2_0", 35, to_gguf}, {"tritune", 0, to_packed}};
enum { TYPES = sizeof types / sizeof types[0] };

static const struct type *find_type(const char *name, struct tri_error *e)
{
    char known[128] = "";
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(name, types[i].name) == 0)
            return &types[i];
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", types[i].name);
    }
    tri_fail(e, TRI_USAGE, "option --type: this program writes %s, not \"%s\"", known, name);
    return NULL;
}

/* -- the command --------------------------------------------------------- */

/* Under whatever names. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum tri_status convert(struct options *o, const char *out, struct tri_error *e)
{
    const struct type *to = find_type(o->type, e);
    if (!to)
        return e->status;
    if (same_file(o->load.model, out))
        return tri_fail(e, TRI_USAGE, "%s: expected another file to write than the one to read", out);
    return to->convert(o, to->encoding, out, e);
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.type = "i2_s"};
    const struct tri_option options[] = {
        {NULL, "--type", TRI_TEXT, "TYPE",
         "of ternary matrices: i2_s, tq1_0, tq2_0, or tritune: packed for this machine, mapped at once (default: i2_s)",
         &o.type, 0, 0},
        {NULL, "--embedding", TRI_TEXT, "TYPE",
         "of embedding and output: f16, q8_0, q6_k or q4_0 (default: as they are)", &o.embedding, 0, 0},
        {NULL, "--exact", TRI_FLAG, NULL, "refuse what would change a scale", &o.exact, 0, 0},
        {NULL, "--dry-run", TRI_FLAG, NULL, "say what would be written, and write nothing", &o.dry, 0, 0},
        TRI_LAYOUT_OPTION(o.load.i2s_layout),
        {"-t", "--threads", TRI_INT, "N", "threads (default: as tuned, else cores)", &o.load.threads[TRI_DECODE], 1,
         512},
        TRI_HEAD_OPTION(o.load),
        TRI_MEMORY_OPTIONS(o.load),
        {NULL, "--isa", TRI_TEXT, "NAME", "use no kernels beyond this ISA (also: TRI_ISA)", &o.load.isa, 0, 0},
        {0},
    };
    bool helped = false;
    int operands = 2;
    enum tri_status status = tri_parse(&tri_command_convert, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (operands != 2)
        return tri_fail(e, TRI_USAGE, "expected IN OUT, a model's file or folder and a file to write; see --help");
    o.load.model = argv[1];
    status = convert(&o, argv[2], e);
    tri_load_close(&o.load);
    return status;
}

const struct tri_command tri_command_convert = {
    .name = "convert",
    .summary = "a model in another encoding, as a file of its own",
    .usage = "IN OUT [--type TYPE] [--embedding TYPE] [options]",
    .run = run,
};
