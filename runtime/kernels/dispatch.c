/* Owns: the choice of kernels for a job from the linked table and what this CPU has. */
#include "kernels/dispatch.h"

#include "base/cores.h"
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tri_role_names[TRI_ROLES] = {"qkv", "o", "gate_up", "down"};

static int limit_rank = -1; /* -1: none */
static const char *limit_name = "";

bool tri_dispatch_allows(const struct tri_isa *isa)
{
    return isa && isa->present() &&
           (limit_rank < 0 || isa->rank < limit_rank || !strcmp(isa->name, limit_name));
}

enum tri_status tri_dispatch_limit(const char *name, struct tri_error *e)
{
    limit_rank = -1, limit_name = "";
    if (!name || !*name)
        return TRI_OK;
    const struct tri_isa *isa = tri_isa_find(name);
    if (!isa) {
        char known[256] = "";
        for (const struct tri_isa *i = tri_isas; i->name; i++)
            snprintf(known + strlen(known), sizeof known - strlen(known), " %s", i->name);
        return tri_fail(e, TRI_USAGE, "ISA '%s' is not linked into this program; it has:%s", name, known);
    }
    if (!isa->present())
        return tri_fail(e, TRI_UNSUPPORTED, "this CPU (%s) or its system lacks %s; leave the ISA to tritune",
                        tri_cpu_name(), name);
    limit_rank = isa->rank, limit_name = isa->name;
    return TRI_OK;
}

const struct tri_isa *tri_dispatch_isa(void)
{
    const struct tri_isa *best = tri_isas;
    for (const struct tri_isa *i = tri_isas; i->name; i++)
        if (tri_dispatch_allows(i))
            best = i;
    return best;
}

/* Fills what the choice says of sparse products, if that may run here and takes K; else leaves it. */
static void accept_sparse(const struct tri_choice *c, int k, struct tri_sparse *sparse)
{
    const struct tri_kernel *kernel = c->sparse ? tri_kernel_find(c->sparse) : NULL;
    const struct tri_layout *layout = kernel ? tri_layout_find(kernel->layout) : NULL;
    if (layout && tri_dispatch_allows(tri_isa_find(kernel->isa)) && tri_round_up(k, layout->kstep) <= kernel->kmax)
        *sparse = (struct tri_sparse){kernel, layout, c->break_even};
}

/* Fills the plan if the choice is for such groups and every kernel of it may run here and takes K. */
static bool accept(const struct tri_choice *c, int k, int group, struct tri_plan *plan)
{
    *plan = (struct tri_plan){0};
    if (c->group != group)
        return false;
    for (; plan->count < TRI_PLAN_KERNELS && c->kernels[plan->count]; plan->count++) {
        const struct tri_kernel *kernel = tri_kernel_find(c->kernels[plan->count]);
        if (!kernel || !tri_dispatch_allows(tri_isa_find(kernel->isa)))
            return false;
        plan->layout = tri_layout_find(kernel->layout);
        if (!plan->layout || tri_round_up(k, plan->layout->kstep) > kernel->kmax)
            return false;
        plan->kernels[plan->count] = kernel;
        plan->cost[plan->count] = c->cost[plan->count];
    }
    accept_sparse(c, k, &plan->sparse);
    return plan->count > 0;
}

static double distance(const struct tri_choice *c, int m, int k)
{
    const double dm = (double)c->m / m, dk = (double)c->k / k;
    return (dm > 1 ? dm : 1 / dm) * (dk > 1 ? dk : 1 / dk);
}

static bool has_bits(const struct tri_layout *l, enum tri_bits bits)
{
    static const int twentieths[] = {[TRI_BITS_2] = 40, [TRI_BITS_1_6] = 32, [TRI_BITS_1_25] = 25}; /* of a bit */
    if (l->three_of_four != (bits == TRI_BITS_1_25))
        return false;
    return bits == TRI_BITS_AUTO || 20 * 8 * l->bytes == twentieths[bits] * l->rows * l->kstep;
}

/* The tuned entry of this role nearest in shape, if any may run here. */
static bool tuned(enum tri_role role, int m, int k, int group, enum tri_bits bits, struct tri_plan *plan)
{
    double nearest = 0;
    struct tri_plan candidate;
    if (strcmp(tri_tuned_cpu, tri_cpu_name()))
        return false;
    for (const struct tri_choice *c = tri_choices; c->role; c++) {
        if (strcmp(c->role, tri_role_names[role]) || !accept(c, k, group, &candidate) ||
            !has_bits(candidate.layout, bits))
            continue;
        const double d = distance(c, m, k);
        if (nearest == 0 || d < nearest) {
            nearest = d;
            *plan = candidate;
            plan->why = d == 1 ? "tuned for this shape" : "tuned for the nearest shape";
        }
    }
    return nearest > 0;
}

/* The last of a list by ascending rank that may run here. */
static void usual(const struct tri_choice *list, int k, int group, enum tri_bits bits, struct tri_plan *plan)
{
    struct tri_plan candidate;
    *plan = (struct tri_plan){0};
    for (const struct tri_choice *c = list; c->role; c++)
        if (tri_dispatch_allows(tri_isa_find(c->role)) && accept(c, k, group, &candidate) &&
            has_bits(candidate.layout, bits)) {
            *plan = candidate;
            plan->why = "default";
        }
}

void tri_dispatch_plan(enum tri_role role, int m, int k, int group, struct tri_plan *plan)
{
    tri_dispatch_plan_of(TRI_BITS_AUTO, role, m, k, group, plan);
}

void tri_dispatch_plan_of(enum tri_bits bits, enum tri_role role, int m, int k, int group, struct tri_plan *plan)
{
    static const struct tri_choice *const untuned[] = {tri_defaults, [TRI_BITS_2] = tri_defaults,
                                                       [TRI_BITS_1_6] = tri_smallest, [TRI_BITS_1_25] = tri_structured};
    if (!tuned(role, m, k, group, bits, plan))
        usual(untuned[bits], k, group, bits, plan);
    for (const struct tri_choice *c = group || plan->sparse.kernel ? NULL : tri_sparse_defaults; c && c->role; c++)
        if (!strcmp(c->role, tri_role_names[role]))
            accept_sparse(c, k, &plan->sparse);
    tri_plan_cut(plan);
}

struct tri_setting tri_dispatch_setting(void)
{
    struct tri_setting s = {.huge = true};
    if (!strcmp(tri_tuned_cpu, tri_cpu_name()))
        s = tri_tuned_setting;
    for (int i = 0; i < TRI_PHASES; i++)
        if (s.team[i].threads == 0)
            s.team[i].threads = tri_cores();
    return s;
}

const char *tri_dispatch_notice(void)
{
    static char text[512];
    const struct tri_isa *linked = tri_isas;
    for (const struct tri_isa *i = tri_isas; i->name; i++)
        linked = i;
    if (tri_tuned_cpu[0] && strcmp(tri_tuned_cpu, tri_cpu_name())) {
        snprintf(text, sizeof text, "tuned for %s, but this is %s: its tuning is not used, %s runs untuned",
                 tri_tuned_cpu, tri_cpu_name(), tri_dispatch_isa()->name);
        return text;
    }
    if (linked->rank > 0 && tri_dispatch_isa()->rank == 0 && limit_rank < 0) {
        snprintf(text, sizeof text, "this CPU lacks what the linked kernels need (%s): plain C runs, slowly",
                 tri_cpu_name());
        return text;
    }
    return NULL;
}
