/* Owns: `tritune inspect`: finding out what a file holds and what this machine would make of it.
 * Leaves out how it is shown (inspect_text.c, inspect_json.c). */
#include "cli/inspect.h"

#include "cli/load.h"
#include "file/ternary.h"
#include "model/build.h"
#include "model/checkpoint.h"
#include "model/packed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tri_class_names[TRI_CLASSES] = {"ternary matrices", "embedding and output",
                                                  "other tensors"};

/* -- tensors ------------------------------------------------------------- */

static enum tri_class class_of(const struct tri_tensor *t)
{
    int layer;
    enum tri_role role;
    if (t->encoding->ternary || tri_packed_name(t->name, &layer, &role))
        return TRI_CLASS_TERNARY;
    bool ends = strcmp(t->name, "token_embd.weight") == 0 || strcmp(t->name, "output.weight") == 0 ||
                      tri_packed_screen_name(t->name);
    return ends ? TRI_CLASS_EMBEDDING : TRI_CLASS_OTHER;
}

static void add_up(struct tri_inspection *f)
{
    for (size_t i = 0; i < tri_gguf_tensor_count(f->g); i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        struct tri_sum *sum = &f->sum[class_of(t)];
        sum->tensors++;
        sum->elements += (uint64_t)(t->ne[0] * tri_tensor_rows(t));
        sum->bytes += t->bytes;
    }
}

static void count_trits(const int8_t *trits, int64_t n, struct tri_share *share)
{
    int64_t sum = 0, nonzero = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += trits[i];
        nonzero += trits[i] & 1;
    }
    share->plus += (uint64_t)(nonzero + sum) / 2;
    share->minus += (uint64_t)(nonzero - sum) / 2;
    share->zero += (uint64_t)(n - nonzero);
}

static enum tri_status count_tensor(const struct tri_tensor *t, struct tri_share *share,
                                    struct tri_error *e)
{
    int8_t *trits = malloc((size_t)t->ne[0]);
    if (!trits)
        return tri_fail(e, TRI_NO_MEMORY, "tensor \"%s\": no memory for a row of %lld trits",
                        t->name, (long long)t->ne[0]);
    struct tri_ternary w;
    enum tri_status status = tri_ternary_read(&w, t, e);
    share->scale = w.scale;
    for (int64_t row = 0; row < tri_tensor_rows(t) && status == TRI_OK; row++) {
        status = tri_ternary_row(&w, row, trits, e);
        if (status == TRI_OK)
            count_trits(trits, t->ne[0], share);
    }
    free(trits);
    share->known = status == TRI_OK;
    return status;
}

/* Damage is kept for the end, so that all the rest is shown; the first counts. */
static enum tri_status count_all(struct tri_inspection *f, struct tri_error *e)
{
    size_t count = tri_gguf_tensor_count(f->g);
    if (!(f->share = calloc(count + 1, sizeof *f->share)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu tensors", tri_gguf_name(f->g),
                        count);
    for (size_t i = 0; i < count; i++) {
        const struct tri_tensor *t = tri_gguf_tensor_at(f->g, i);
        if (!t->encoding->trits || count_tensor(t, &f->share[i], e) == TRI_OK)
            continue;
        if (f->damage.status == TRI_OK) {
            tri_fail_in(e, "%s", tri_gguf_name(f->g));
            f->damage = *e;
        }
    }
    return TRI_OK;
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

static uint64_t tiles(int n, int tile)
{
    return (uint64_t)((n + tile - 1) / tile);
}

/* Each part of a stack begins at a tile of its own, as in the model. */
static void plan_job(struct tri_inspection *f, enum tri_role role, int k, int parts,
                     const int *rows)
{
    struct tri_job *job = &f->job[role];
    uint64_t row_tiles = 0;
    job->k = k;
    for (int i = 0; i < parts; i++)
        job->m += rows[i];
    tri_dispatch_plan(role, job->m, k, 0, &job->plan);
    for (int i = 0; i < parts; i++)
        row_tiles += tiles(rows[i], job->plan.layout->rows);
    job->bytes = row_tiles * tiles(k, job->plan.layout->kstep) * (uint64_t)job->plan.layout->bytes;
}

static void plan_jobs(struct tri_inspection *f)
{
    const struct tri_config *c = &f->config;
    int q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    plan_job(f, TRI_ROLE_QKV, c->hidden, 3, (int[]){q, kv, kv});
    plan_job(f, TRI_ROLE_O, q, 1, &c->hidden);
    plan_job(f, TRI_ROLE_GATE_UP, c->hidden, 2, (int[]){c->ffn, c->ffn});
    plan_job(f, TRI_ROLE_DOWN, c->ffn, 1, &c->hidden);
}

/* -- the command --------------------------------------------------------- */

static enum tri_status gather(struct tri_inspection *f, struct tri_error *e)
{
    add_up(f);
    if (count_all(f, e))
        return e->status;
    f->packable = tri_config_read(f->g, &f->config, &f->config_error) == TRI_OK &&
                  f->sum[TRI_CLASS_TERNARY].tensors;
    const struct tri_tensor *output = tri_gguf_tensor(f->g, "output.weight");
    const struct tri_tensor *head = output ? output : tri_gguf_tensor(f->g, "token_embd.weight");
    f->head = head ? head->encoding : NULL;
    if (f->packable)
        plan_jobs(f);
    check_stacks(f);
    return TRI_OK;
}

static enum tri_status show(const struct tri_inspection *f, bool json, struct tri_error *e)
{
    if (json && tri_inspection_json(f, e))
        return e->status;
    if (!json)
        tri_inspection_print(f);
    if (ferror(stdout) || fflush(stdout))
        return tri_fail(e, TRI_FAILED, "standard output cannot be written: %s", strerror(errno));
    if (f->damage.status)
        *e = f->damage;
    return f->damage.status;
}

static enum tri_status inspect(const char *path, const char *layout, bool json, struct tri_error *e)
{
    struct tri_inspection f = {0};
    struct tri_gguf *g = tri_checkpoint_open(path, e);
    if (!g)
        return e->status;
    f.g = g;
    enum tri_status status = layout ? tri_gguf_set_i2s_layout(g, layout, e) : TRI_OK;
    if (status == TRI_OK)
        status = gather(&f, e);
    if (status == TRI_OK)
        status = show(&f, json, e);
    free(f.share);
    tri_gguf_close(g);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    bool json = false, helped = false;
    const char *layout = NULL;
    int operands = 1;
    const struct tri_option options[] = {
        {NULL, "--json", TRI_FLAG, NULL, "write one JSON object instead of tables", &json, 0, 0},
        TRI_LAYOUT_OPTION(layout),
        {0},
    };
    enum tri_status status =
        tri_parse(&tri_command_inspect, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (operands != 1)
        return tri_fail(e, TRI_USAGE, "expected a model (GGUF, safetensors or a folder with it), found none; see --help");
    return inspect(argv[1], layout, json, e);
}

const struct tri_command tri_command_inspect = {
    .name = "inspect",
    .summary = "what a model's files hold, and what this machine would make of it",
    .usage = "FILE [--json]",
    .run = run,
};
