/* tritune kernels: what this CPU has, what is linked, and which kernel runs for each shape and why. */
#include "base/cpu.h"
#include "cli/inspect.h"
#include "cli/load.h"
#include "kernels/dispatch.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    enum tri_role role;
    int m, k, group;
};

/* The jobs of a model, one for each role; all its layers have the same shapes. */
static void model_jobs(const struct tri_gguf *g, const struct tri_config *c, struct job jobs[TRI_ROLES])
{
    const int q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    jobs[0] = (struct job){TRI_ROLE_QKV, q + 2 * kv, c->hidden, 0};
    jobs[1] = (struct job){TRI_ROLE_O, c->hidden, q, 0};
    jobs[2] = (struct job){TRI_ROLE_GATE_UP, 2 * c->ffn, c->hidden, 0};
    jobs[3] = (struct job){TRI_ROLE_DOWN, c->hidden, c->ffn, 0};
    for (enum tri_role r = 0; r < TRI_ROLES; r++)
        jobs[r].group = tri_role_group(g, r);
}

static enum tri_role role_of(const char *name)
{
    int role = 0;
    while (role < TRI_ROLES - 1 && strcmp(tri_role_names[role], name))
        role++;
    return (enum tri_role)role;
}

static json_t *plan_json(const struct job *job, const struct tri_plan *plan)
{
    json_t *names = json_array();
    for (int i = 0; i < plan->count; i++)
        json_array_append_new(names, json_pack("{s:s,s:i}", "name", plan->kernels[i]->name, "tokens",
                                               plan->kernels[i]->tokens));
    json_t *root = json_pack("{s:s,s:i,s:i,s:i,s:s,s:s,s:o}", "role", tri_role_names[job->role], "m", job->m, "k", job->k,
                             "group", job->group, "layout", plan->layout->name, "why", plan->why, "kernels", names);
    if (plan->sparse.kernel)
        json_object_set_new(root, "sparse", json_pack("{s:s,s:s,s:f}", "name", plan->sparse.kernel->name, "layout",
                                                      plan->sparse.layout->name, "break_even", plan->sparse.break_even));
    return root;
}

static void print_plan(const struct job *job, const struct tri_plan *plan)
{
    char group[32] = "";
    if (job->group)
        snprintf(group, sizeof group, " scales of %d", job->group);
    printf("  %-8s %6d x %-6d %s%s (%s)\n", tri_role_names[job->role], job->m, job->k, plan->layout->name, group,
           plan->why);
    for (int i = 0; i < plan->count; i++)
        printf("      from %2d token%s %s\n", plan->kernels[i]->tokens, plan->kernels[i]->tokens == 1 ? ": " : "s:",
               plan->kernels[i]->name);
    if (plan->sparse.kernel)
        printf("      below %2.0f%% active: %s\n", 100 * plan->sparse.break_even, plan->sparse.kernel->name);
}

static json_t *report_json(const struct job *jobs, int count)
{
    json_t *isas = json_array(), *kernels = json_array(), *plans = json_array();
    for (const struct tri_isa *i = tri_isas; i->name; i++)
        json_array_append_new(isas, json_pack("{s:s,s:b}", "name", i->name, "present", i->present()));
    for (const struct tri_kernel *k = tri_kernels; k->name; k++)
        json_array_append_new(kernels, json_pack("{s:s,s:s,s:s,s:s,s:i,s:b}", "name", k->name, "isa", k->isa, "layout",
                                                 k->layout, "form", k->form, "tokens", k->tokens, "present",
                                                 tri_isa_find(k->isa)->present()));
    for (int i = 0; i < count; i++) {
        struct tri_plan plan;
        tri_dispatch_plan(jobs[i].role, jobs[i].m, jobs[i].k, jobs[i].group, &plan);
        json_array_append_new(plans, plan_json(&jobs[i], &plan));
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "cpu", tri_cpu_name(), "arch", tri_arch(), "isa",
                     tri_dispatch_isa()->name, "tuned_for", tri_tuned_cpu, "isas", isas, "kernels", kernels, "jobs",
                     plans);
}

static void report(const struct job *jobs, int count)
{
    printf("CPU      %s (%s)\n", tri_cpu_name(), tri_arch());
    for (const struct tri_isa *i = tri_isas; i->name; i++)
        printf("%s%s%s", i == tri_isas ? "ISAs     " : ", ", i->name, i->present() ? "" : " (not here)");
    printf("\nin use   %s\n", tri_dispatch_isa()->name);
    if (!tri_tuned_cpu[0])
        printf("tuned    no: the defaults run; `cmake --build build --target tune`, then build again\n");
    else if (strcmp(tri_tuned_cpu, tri_cpu_name()))
        printf("tuned    for another CPU (%s): the defaults run; tune this one\n", tri_tuned_cpu);
    else
        printf("tuned    for this CPU\n");
    printf("\nlinked kernels\n");
    for (const struct tri_kernel *k = tri_kernels; k->name; k++)
        printf("  %s%s\n", k->name, tri_isa_find(k->isa)->present() ? "" : "  (not here)");
    printf("\nwhat runs\n");
    for (int i = 0; i < count; i++) {
        struct tri_plan plan;
        tri_dispatch_plan(jobs[i].role, jobs[i].m, jobs[i].k, jobs[i].group, &plan);
        print_plan(&jobs[i], &plan);
    }
}

/* Every tuned shape, then those of the model. Frees nothing the caller owns; *jobs is to be freed. */
static enum tri_status gather(struct tri_load *l, struct job **jobs, int *count, struct tri_error *e)
{
    struct tri_config config;
    int tuned = 0;
    while (tri_choices[tuned].role)
        tuned++;
    if (tri_load_file(l, e) != TRI_OK || tri_config_read(l->gguf, &config, e) != TRI_OK)
        return e->status;
    *jobs = calloc((size_t)tuned + TRI_ROLES, sizeof **jobs);
    if (!*jobs)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for %d jobs", tuned);
    model_jobs(l->gguf, &config, *jobs);
    *count = TRI_ROLES;
    for (int i = 0; i < tuned; i++) {
        const struct tri_choice *c = &tri_choices[i];
        const struct job job = {role_of(c->role), c->m, c->k, c->group};
        bool known = false;
        for (const struct job *j = *jobs; j < *jobs + TRI_ROLES; j++)
            known |= j->role == job.role && j->m == job.m && j->k == job.k && j->group == job.group;
        if (!known)
            (*jobs)[(*count)++] = job;
    }
    return TRI_OK;
}

static enum tri_status kernels(int argc, char **argv, struct tri_error *e)
{
    struct tri_load load = {.isa = getenv("TRI_ISA")};
    bool json = false, helped = false;
    int operands = 0, count = 0;
    struct job *jobs = NULL;
    const struct tri_option options[] = {
        TRI_MODEL_OPTION(load),
        {NULL, "--isa", TRI_TEXT, "NAME", "as if the CPU had no more than this ISA (also: TRI_ISA)", &load.isa, 0, 0},
        {NULL, "--json", TRI_FLAG, NULL, "print JSON", &json, 0, 0},
        {0},
    };
    enum tri_status status = tri_parse(&tri_command_kernels, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    status = tri_dispatch_limit(load.isa, e);
    if (status == TRI_OK)
        status = gather(&load, &jobs, &count, e);
    if (status == TRI_OK && json) {
        json_t *root = report_json(jobs, count);
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
    } else if (status == TRI_OK) {
        report(jobs, count);
    }
    free(jobs);
    tri_load_close(&load);
    return status;
}

const struct tri_command tri_command_kernels = {
    "kernels", "what this CPU has, what is linked, what runs and why", "[-m FILE] [--isa NAME] [--json]", kernels};
