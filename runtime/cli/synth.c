/* `tritune synth`: a model of random weights as a GGUF file, for measuring this and other programs. */
#include "base/clock.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/shape.h"
#include "engine/session.h"
#include "file/encode.h"
#include "file/gguf_write.h"
#include "kernels/dispatch.h"
#include "model/packed.h"
#include "text/filler.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    struct tri_shape shape;
    const char *out, *type;
    int threads;
};

static const struct type {
    const char *name;
    uint32_t id;
} types[] = {{"i2_s", 36}, {"tq1_0", 34}, {"tq2_0", 35}, {"q2_0", 42}, {"f16", 1},
             {"tritune", 36}}; /* packed from I2_S, or what holds scales of groups */
enum { TYPES = sizeof types / sizeof types[0] };

static const struct tri_encoding *find_type(const char *name, struct tri_error *e)
{
    for (int i = 0; i < TYPES; i++)
        if (strcmp(name, types[i].name) == 0)
            return tri_encoding_find(types[i].id);
    tri_fail(e, TRI_USAGE, "option --type: expected i2_s, tq1_0, tq2_0, q2_0, f16 or tritune, found \"%s\"", name);
    return NULL;
}

/* -- the sparsity there is ----------------------------------------------- */

enum { TOKENS = 32 };

/* A few tokens, one by one, from the first position on. */
static enum tri_status feed(struct tri_session *s, int vocab, struct tri_error *e)
{
    const float *logits;
    for (int i = 0; i < TOKENS; i++) {
        const int32_t id = (int32_t)((int64_t)i * 7919 % vocab);
        if (tri_interrupted())
            return tri_fail_interrupted(e);
        if (tri_session_feed(s, &id, 1, &logits, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static void print_sparsity(const struct tri_config *c, const struct tri_ffn_count *counts)
{
    double least = 1, most = 0, gate = 0, down = 0;
    for (int i = 0; i < c->layers; i++) {
        const double values = (double)counts[i].tokens * c->ffn, idle = (double)counts[i].idle / values;
        least = idle < least ? idle : least;
        most = idle > most ? idle : most;
        gate += idle / c->layers;
        down += (double)counts[i].zeros / values / c->layers;
    }
    printf("relu(gate) is zero for %.3f of the hidden values (layers %.3f to %.3f), inputs of down for %.3f\n", gate,
           least, most, down);
}

static enum tri_status measure_with(struct tri_session *s, const struct tri_config *c, struct tri_error *e)
{
    struct tri_ffn_count *counts = tri_alloc((size_t)c->layers, sizeof *counts, "counts", e);
    if (!counts)
        return e->status;
    tri_session_count(s, counts);
    const enum tri_status status = feed(s, c->vocab, e);
    if (status == TRI_OK)
        print_sparsity(c, counts);
    tri_free(counts);
    return status;
}

/* On the same model in memory. Where that is short the file is as good, and one line says what is not known. */
static enum tri_status measure(const struct tri_synth *synth, struct tri_pool *pool, struct tri_error *e)
{
    const struct tri_session_options o = {.context = TOKENS, .ubatch = 1};
    struct tri_model *m = tri_model_synth(synth, pool, e);
    struct tri_session *s = m ? tri_session_new(m, pool, &o, e) : NULL;
    enum tri_status status = s ? measure_with(s, &synth->config, e) : e->status;
    if (status == TRI_NO_MEMORY) {
        fprintf(stderr, "sparsity not measured: %s\n", e->text);
        status = TRI_OK;
    }
    tri_session_free(s);
    tri_model_free(m);
    return status;
}

/* -- the file ------------------------------------------------------------ */

static void report(const char *path, double seconds)
{
    struct stat file;
    if (stat(path, &file) == 0)
        fprintf(stderr, "%s: %.0f MiB in %.1f s\n", path, (double)file.st_size / (1 << 20), seconds);
}

/* 1bitLLM's models, which files call bitnet, and Gemma's have SentencePiece's. */
static enum tri_filler filler_of(const struct tri_config *c)
{
    const char *arch = c->family->arch;
    return strcmp(arch, "bitnet") == 0 || strcmp(arch, "gemma3") == 0 ? TRI_FILLER_SPM : TRI_FILLER_BPE;
}

static enum tri_status fill(const struct tri_synth *s, const struct tri_encoding *type, struct tri_gguf_writer *w,
                            struct tri_pool *pool, struct tri_error *e)
{
    if (tri_filler_add(w, filler_of(&s->config), s->config.vocab, e) != TRI_OK ||
        tri_synth_write(s, type, w, pool, tri_interrupted, e) != TRI_OK)
        return e->status;
    return tri_gguf_commit(w, e);
}

typedef enum tri_status make_fn(const char *path, const struct tri_synth *s, const struct tri_encoding *type,
                                struct tri_pool *pool, struct tri_error *e);

static enum tri_status make(const char *path, const struct tri_synth *s, const struct tri_encoding *type,
                            struct tri_pool *pool, struct tri_error *e)
{
    struct tri_gguf_writer *w = tri_gguf_create(path, TRI_GGUF_ALIGNMENT, e);
    const enum tri_status status = w ? fill(s, type, w, pool, e) : e->status;
    tri_gguf_discard(w);
    return status;
}

/* As `convert` does. */
static enum tri_status pack(const char *from, const char *to, struct tri_pool *pool, struct tri_error *e)
{
    struct tri_gguf *g = tri_gguf_open(from, e);
    struct tri_model *m = g ? tri_model_load(g, pool, e) : NULL;
    enum tri_status status = m ? tri_model_screen(m, TRI_HEAD_AUTO, pool, e) : e->status;
    if (status == TRI_OK)
        status = tri_packed_write(m, g, to, pool, tri_interrupted, e);
    tri_model_free(m);
    tri_gguf_close(g);
    return status;
}

/* The first type that holds a scale for each group; else `usual`. */
static const struct tri_encoding *type_of_groups(int group, const struct tri_encoding *usual)
{
    for (int i = 0; group && i < TYPES; i++) {
        const struct tri_encoding *type = tri_encoding_find(types[i].id);
        const struct tri_encoder *c = tri_encoder_find(type);
        if (c && c->grouped && c->group == group)
            return type;
    }
    return usual;
}

/* Of a file of such a type, which stands beside it meanwhile. */
static enum tri_status make_packed(const char *path, const struct tri_synth *s, const struct tri_encoding *type,
                                   struct tri_pool *pool, struct tri_error *e)
{
    char source[4096];
    const int n = snprintf(source, sizeof source, "%s.%d.source", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof source)
        return tri_fail(e, TRI_USAGE, "option --out: expected a path of fewer than %zu bytes", sizeof source);
    enum tri_status status = make(source, s, type_of_groups(s->group, type), pool, e);
    if (status == TRI_OK)
        status = pack(source, path, pool, e);
    unlink(source);
    return status;
}

static enum tri_status make_with(const struct options *o, const struct tri_synth *s, const struct tri_encoding *type,
                                 struct tri_error *e)
{
    const int threads = o->threads ? o->threads : tri_dispatch_setting().team[TRI_PROMPT].threads;
    make_fn *to = strcmp(o->type, "tritune") == 0 ? make_packed : make;
    struct tri_pool *pool = tri_pool_new(threads, e);
    const double begin = tri_now();
    enum tri_status status = pool ? to(o->out, s, type, pool, e) : e->status;
    if (status == TRI_OK)
        report(o->out, tri_now() - begin);
    if (status == TRI_OK && o->shape.ffn_sparsity >= 0)
        status = measure(s, pool, e);
    tri_pool_free(pool);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.shape = TRI_SHAPE_START, .type = "i2_s"};
    struct tri_synth synth;
    const struct tri_option options[] = {
        {NULL, "--out", TRI_TEXT, "FILE", "the file to write", &o.out, 0, 0},
        {NULL, "--type", TRI_TEXT, "TYPE",
         "of ternary matrices: i2_s, tq1_0, tq2_0, q2_0, f16 for other converters, or tritune: packed (default: i2_s)",
         &o.type, 0, 0},
        TRI_SHAPE_OPTIONS(o.shape),
        {"-t", "--threads", TRI_INT, "N", "threads (default: as tuned, else cores)", &o.threads, 1, TRI_MAX_THREADS},
        {NULL, "--ffn", TRI_INT, "N", NULL, &o.shape.ffn, 1, 1 << 18}, /* --ffn-size, where it can mean nothing else */
        {0},
    };
    bool helped = false;
    int operands = 1;
    enum tri_status status = tri_parse(&tri_command_synth, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    o.shape.size = operands ? argv[1] : NULL;
    if (!o.out)
        return tri_fail(e, TRI_USAGE, "expected --out FILE, found none");
    const struct tri_encoding *type = find_type(o.type, e);
    if (!type || tri_shape_read(&o.shape, &synth, e) != TRI_OK)
        return e->status;
    tri_catch_interrupt();
    return make_with(&o, &synth, type, e);
}

const struct tri_command tri_command_synth = {
    .name = "synth",
    .summary = "a model of random weights as a file, for measuring",
    .usage = "[SIZE] --out FILE [options]",
    .run = run,
};
