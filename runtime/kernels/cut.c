/* Owns: the cheapest way to cut tokens into a plan's kernels. Leaves out the calls (product.c). */
#include "kernels/dispatch.h"

/* What a call costs where nobody measured: eighths of a token, and one for the call itself. Packed rows that
 * are read again come from cache, where kernels for one token took a tenth longer for it than those for more. */
static int64_t usual_cost(const struct tri_kernel *kernel)
{
    return 8 * (int64_t)kernel->tokens + 1;
}

static void fill_in_costs(struct tri_plan *plan)
{
    bool known = true;
    for (int i = 0; i < plan->count; i++)
        known &= plan->cost[i] > 0;
    for (int i = 0; i < plan->count && !known; i++)
        plan->cost[i] = usual_cost(plan->kernels[i]);
}

/* The largest of the kernels that make n tokens cheapest, and what those cost; best[] knows of fewer tokens. */
static int first_of(const struct tri_plan *plan, int n, int64_t *best)
{
    int first = 0;
    best[n] = INT64_MAX;
    for (int i = plan->count - 1; i >= 0; i--) {
        const int left = n > plan->kernels[i]->tokens ? n - plan->kernels[i]->tokens : 0;
        if (plan->cost[i] + best[left] < best[n])
            first = i, best[n] = plan->cost[i] + best[left];
    }
    return first;
}

void tri_plan_cut(struct tri_plan *plan)
{
    int64_t best[TRI_CUT_TOKENS + 1] = {0};
    fill_in_costs(plan);
    plan->first[1] = 0;
    best[1] = plan->cost[0];
    for (int n = 2; n <= TRI_CUT_TOKENS; n++)
        plan->first[n] = (uint8_t)first_of(plan, n, best);
}

const struct tri_kernel *tri_plan_next(const struct tri_plan *plan, int n)
{
    return plan->kernels[plan->first[n < TRI_CUT_TOKENS ? n : TRI_CUT_TOKENS]];
}

int64_t tri_plan_cost(const struct tri_plan *plan, int n)
{
    int64_t cost = 0;
    for (int i; n > 0; n -= plan->kernels[i]->tokens) {
        i = plan->first[n < TRI_CUT_TOKENS ? n : TRI_CUT_TOKENS];
        cost += plan->cost[i];
    }
    return cost;
}
