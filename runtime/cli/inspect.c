/* Owns: `tritune inspect`: finding out what a file holds and what this machine would make of it.
 * Leaves out how trits are counted (inspect_count.c), faults found (inspect_check.c) and all shown (inspect_text.c,
 * inspect_json.c). */
#include "cli/inspect.h"

#include "base/cores.h"
#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "model/build.h"
#include "model/checkpoint.h"
#include "model/packed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tri_class_names[TRI_CLASSES] = {"ternary matrices", "embedding and output",
                                                  "other tensors"};

/* -- tensors ------------------------------------------------------------- */

int tri_part_of(const struct tri_tensor *t, int *layer)
{
    char name[sizeof t->name];
    for (int p = 0; p < TRI_PARTS; p++) {
        if (sscanf(t->name, "blk.%d.", layer) != 1)
            return -1;
        snprintf(name, sizeof name, "blk.%d.%s.weight", *layer, tri_part_shapes[p].name);
        if (strcmp(name, t->name) == 0)
            return p;
    }
    return -1;
}

static bool has_groups(const struct tri_tensor *t, enum tri_role role, struct tri_ternary *w)
{
    struct tri_error e = {0};
    int layer;
    const int part = t->encoding->scales == TRI_SCALES_BLOCK ? tri_part_of(t, &layer) : -1;
    return part >= 0 && tri_part_shapes[part].role == role && tri_ternary_read(w, t, &e) == TRI_OK &&
           w->scaling == TRI_PER_GROUP;
}

int tri_role_group(const struct tri_gguf *g, enum tri_role role)
{
    int least = 0;
    struct tri_ternary w;
    for (size_t i = 0; i < tri_gguf_tensor_count(g); i++)
        if (has_groups(tri_gguf_tensor_at(g, i), role, &w) && (!least || w.group < least))
            least = w.group;
    return least;
}

static enum tri_class class_of(const struct tri_tensor *t, const struct tri_share *share)
{
    int layer;
    enum tri_role role;
    if (strcmp(t->name, "token_embd.weight") == 0 || strcmp(t->name, "output.weight") == 0 ||
        tri_packed_screen_name(t->name))
        return TRI_CLASS_EMBEDDING;
    if (t->encoding->ternary || tri_packed_name(t->name, &layer, &role) ||
        (share->known && tri_part_of(t, &layer) >= 0))
        return TRI_CLASS_TERNARY;
    return TRI_CLASS_OTHER;
}

static void add_up(struct tri_inspection *f)
{
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        struct tri_sum *sum = &f->sum[class_of(t, &f->share[i])];
        sum->tensors++;
        sum->elements += (uint64_t)(t->ne[0] * tri_tensor_rows(t));
        sum->bytes += t->bytes;
    }
}

/* -- packed files -------------------------------------------------------- */

static enum tri_status check_layer(const struct tri_packed *p, const struct tri_model *m, int layer,
                                   struct tri_error *e)
{
    for (enum tri_role r = 0; r < TRI_ROLES; r++) {
        struct tri_matrix stack = m->layer[layer].matrix[r];
        if (tri_packed_stack(p, layer, &stack, e) != TRI_OK || tri_packed_verify(p, layer, &stack, e) != TRI_OK)
            return e->status;
    }
    return TRI_OK;
}

static enum tri_status check_screen(const struct tri_packed *p, const struct tri_config *c, struct tri_error *e)
{
    struct tri_screen s;
    if (tri_packed_screen(p, c, &s, e) != TRI_OK)
        return e->status;
    return s.codes ? tri_packed_verify_screen(p, &s, c, e) : TRI_OK;
}

/* Every stack and the copy of the head against their checksums; the first damage counts. */
static void check_stacks(struct tri_inspection *f)
{
    struct tri_packed p;
    struct tri_error e;
    if (!tri_packed_is(f->g) || f->config_error.status)
        return;
    struct tri_model *m = tri_model_new(&f->config, &e);
    enum tri_status status = m ? tri_packed_read(&p, f->g, &f->config, &e) : e.status;
    for (int r = 0; r < TRI_ROLES && status == TRI_OK; r++)
        f->group[r] = p.role[r].group;
    for (int i = 0; i < f->config.layers && status == TRI_OK; i++)
        status = check_layer(&p, m, i, &e);
    if (status == TRI_OK)
        status = check_screen(&p, &f->config, &e);
    for (int r = 0; r < TRI_ROLES && status == TRI_OK; r++)
        f->in_file[r] = p.role[r].layout->name;
    if (status != TRI_OK)
        f->damage = e;
    tri_model_free(m);
}

/* -- what would be packed ------------------------------------------------ */

static void plan_job(struct tri_job *job, const struct tri_matrix *stack)
{
    *job = (struct tri_job){.k = stack->k, .group = stack->group, .plan = stack->plan, .bytes = stack->bytes};
    for (int i = 0; i < stack->parts; i++)
        job->m += stack->part[i].rows;
}

/* As a model of this shape and of scales like these has it, without weights. */
static enum tri_status plan_jobs(struct tri_inspection *f, struct tri_error *e)
{
    struct tri_model *m = tri_model_new(&f->config, e);
    if (!m)
        return e->status;
    for (int r = 0; r < TRI_ROLES; r++)
        for (int i = 0; i < m->config.layers; i++)
            m->layer[i].matrix[r].group = f->group[r];
    tri_model_plan(m, NULL);
    for (int r = 0; r < TRI_ROLES; r++)
        plan_job(&f->job[r], &m->layer[0].matrix[r]);
    tri_model_free(m);
    return TRI_OK;
}

/* -- the command --------------------------------------------------------- */

struct options {
    const char *layout, *isa;
    bool json, hash, strict;
};

static enum tri_status hash_weights(struct tri_inspection *f, struct tri_pool *pool, struct tri_error *e)
{
    if (f->config_error.status != TRI_OK) {
        *e = f->config_error;
        return e->status;
    }
    struct tri_trits *s = tri_trits_open(f->g, &f->config, pool, e);
    if (!s)
        return e->status;
    tri_catch_interrupt();
    const enum tri_status status = tri_trits_hash(s, pool, tri_interrupted, &f->hash, e);
    f->hashed = status == TRI_OK;
    tri_trits_free(s);
    return status;
}

static enum tri_status gather(struct tri_inspection *f, struct tri_pool *pool, struct tri_error *e)
{
    if (tri_inspection_count(f, pool, e) != TRI_OK)
        return e->status;
    add_up(f);
    f->packable = f->config_error.status == TRI_OK && f->sum[TRI_CLASS_TERNARY].tensors;
    const struct tri_tensor *output = tri_gguf_tensor(f->g, "output.weight");
    const struct tri_tensor *head = output ? output : tri_gguf_tensor(f->g, "token_embd.weight");
    f->head = head ? head->encoding : NULL;
    for (enum tri_role r = 0; r < TRI_ROLES; r++)
        f->group[r] = tri_role_group(f->g, r);
    check_stacks(f);
    if (f->packable && plan_jobs(f, e) != TRI_OK)
        return e->status;
    return tri_inspection_check(f, e);
}

/* The hash alone needs nothing else to be found out. */
static enum tri_status find_out(struct tri_inspection *f, const struct options *o, struct tri_error *e)
{
    struct tri_pool *pool = tri_pool_new(tri_cores(), e);
    if (!pool)
        return e->status;
    enum tri_status status = o->hash ? hash_weights(f, pool, e) : TRI_OK;
    if (status == TRI_OK && (!o->hash || o->json || o->strict))
        status = gather(f, pool, e);
    tri_pool_free(pool);
    return status;
}

static enum tri_status write_out(const struct tri_inspection *f, const struct options *o, struct tri_error *e)
{
    if (o->json && tri_inspection_json(f, e))
        return e->status;
    if (o->hash && !o->json)
        printf("trits %016" PRIx64 "\nscales %016" PRIx64 "\n", f->hash.trits, f->hash.scales);
    if (!o->hash && !o->json)
        tri_inspection_print(f);
    if (ferror(stdout) || fflush(stdout))
        return tri_fail(e, TRI_FAILED, "standard output cannot be written: %s", strerror(errno));
    return TRI_OK;
}

static enum tri_status judge(const struct tri_inspection *f, const struct options *o, struct tri_error *e)
{
    if (f->damage.status != TRI_OK)
        *e = f->damage;
    if (f->damage.status != TRI_OK || !o->strict || !f->findings.count)
        return f->damage.status;
    for (size_t i = 0; i < f->findings.count && o->hash && !o->json; i++)
        fprintf(stderr, "%s\n", f->findings.text[i]);
    return tri_fail(e, TRI_BAD_FILE, "%s: expected nothing to find fault with, found %zu (\"Findings\" above); without "
                    "--strict they are only told", tri_gguf_name(f->g), f->findings.count);
}

static enum tri_status inspect(const char *path, const struct options *o, struct tri_error *e)
{
    struct tri_inspection f = {0};
    struct tri_gguf *g = tri_checkpoint_open(path, e);
    if (!g)
        return e->status;
    f.g = g;
    enum tri_status status = o->layout ? tri_gguf_set_i2s_layout(g, o->layout, e) : TRI_OK;
    tri_config_read(g, &f.config, &f.config_error);
    if (status == TRI_OK)
        status = find_out(&f, o, e);
    if (status == TRI_OK)
        status = write_out(&f, o, e);
    if (status == TRI_OK)
        status = judge(&f, o, e);
    tri_findings_free(&f.findings);
    tri_free(f.share);
    tri_gguf_close(g);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.isa = getenv("TRI_ISA")};
    bool helped = false;
    int operands = 1;
    const struct tri_option options[] = {
        {NULL, "--json", TRI_FLAG, NULL, "write one JSON object instead of tables", &o.json, 0, 0},
        {NULL, "--hash", TRI_FLAG, NULL, "only hashes of all trits and of all scales, the same in every encoding",
         &o.hash, 0, 0},
        {NULL, "--strict", TRI_FLAG, NULL, "exit code 3 if there are findings", &o.strict, 0, 0},
        TRI_LAYOUT_OPTION(o.layout),
        {NULL, "--isa", TRI_TEXT, "NAME", "as if the CPU had no more than this ISA (also: TRI_ISA)", &o.isa, 0, 0},
        {0},
    };
    enum tri_status status = tri_parse(&tri_command_inspect, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (operands != 1)
        return tri_fail(e, TRI_USAGE,
                        "expected a model (GGUF, safetensors or a folder with it), found none; see --help");
    return tri_dispatch_limit(o.isa, e) == TRI_OK ? inspect(argv[1], &o, e) : e->status;
}

const struct tri_command tri_command_inspect = {
    .name = "inspect",
    .summary = "what a model's files hold, and what this machine would make of it",
    .usage = "FILE [--json] [--hash] [--strict]",
    .run = run,
};
