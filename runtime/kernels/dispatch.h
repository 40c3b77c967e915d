/* Which kernels run a job here: the tuned table if it is this machine's, else the best ISA's default. */
#ifndef TRI_DISPATCH_H
#define TRI_DISPATCH_H

#include "base/error.h"
#include "base/threads.h"
#include "kernels/kernel.h"

enum tri_role { TRI_ROLE_QKV, TRI_ROLE_O, TRI_ROLE_GATE_UP, TRI_ROLE_DOWN, TRI_ROLES };
extern const char *const tri_role_names[TRI_ROLES]; /* "qkv", "o", "gate_up", "down" */

enum { TRI_PLAN_KERNELS = 16, TRI_CUT_TOKENS = 512 };

/* What skips rows of up, or columns of down; kernel NULL: nothing does. Its matrix is packed apart, in `layout`. */
struct tri_sparse {
    const struct tri_kernel *kernel;
    const struct tri_layout *layout;
    double break_even; /* the fraction of active rows (inputs) at which the dense kernel is as fast */
};

/* How one job is computed: one layout, one form, kernels by ascending `tokens`, the first with 1.
 * Tokens are cut into kernel calls by what these cost, one after the other. */
struct tri_plan {
    const struct tri_layout *layout;
    const struct tri_kernel *kernels[TRI_PLAN_KERNELS];
    int64_t cost[TRI_PLAN_KERNELS]; /* of one call on rows in cache, in ns or any other unit; 0: nobody knows */
    int count;
    uint8_t first[TRI_CUT_TOKENS + 1]; /* the kernel that begins so many tokens */
    struct tri_sparse sparse; /* of gate_up: for up alone */
    const char *why; /* one phrase: "tuned for this shape", "tuned for the nearest shape ...", "default" */
};

/* One line of the generated dispatch table; `kernels` are names, ascending tokens, NULL at the end; costs as above. */
struct tri_choice {
    const char *role;
    int m, k, group; /* group: columns that share a scale, 0 where whole rows do */
    const char *kernels[TRI_PLAN_KERNELS + 1];
    int64_t cost[TRI_PLAN_KERNELS];
    const char *sparse; /* NULL: nobody has measured it, the default runs */
    double break_even;
};

/* Generated: the table this binary was built with. `tri_tuned_cpu` is "" when there is none. */
extern const struct tri_choice tri_choices[]; /* ends with role NULL */
extern const struct tri_choice tri_defaults[]; /* per ISA and group: role is the ISA's name, m = k = 0 */
extern const struct tri_choice tri_smallest[]; /* likewise, of 1.6 bits a trit */
extern const struct tri_choice tri_structured[]; /* likewise, of 1.25 bits a trit: layouts of three of four */
extern const struct tri_choice tri_sparse_defaults[]; /* a role's, of each ISA, ascending rank; m = k = 0 */
extern const char tri_tuned_cpu[];

/* One token at a time, or many at once: what runs best differs. */
enum tri_phase { TRI_DECODE, TRI_PROMPT, TRI_PHASES };

/* How the engine runs where the user does not say: who works on each phase, and whether weights lie in huge pages. */
struct tri_setting {
    struct tri_team team[TRI_PHASES]; /* threads 0: one for every core */
    bool huge;
};
extern const struct tri_setting tri_tuned_setting; /* generated */

/* Limits what may be chosen to ISA `name` and those ranked below it; "" or NULL lifts the limit.
 * TRI_USAGE if no such ISA is linked, TRI_UNSUPPORTED if this CPU lacks it. */
enum tri_status tri_dispatch_limit(const char *name, struct tri_error *e);

/* Whether this CPU has it and no limit forbids it. */
bool tri_dispatch_allows(const struct tri_isa *isa);

/* The best ISA in force (present, within the limit); its vec is the engine's. Never NULL. */
const struct tri_isa *tri_dispatch_isa(void);

/* The plan for a job whose scales belong to `group` columns each: 0 (whole rows), 32, 64, 128 or 256; its count is 0
 * for any other group. Else it never fails, since the defaults of plain C accept every K. */
void tri_dispatch_plan(enum tri_role role, int m, int k, int group, struct tri_plan *plan);

/* Bits a trit takes where it is packed. Fewer take less memory, and more work for each byte. */
enum tri_bits {
    TRI_BITS_AUTO,
    TRI_BITS_2,
    TRI_BITS_1_6,
    TRI_BITS_1_25, /* only of weights that are three of four (kernel.h), whole rows */
};

/* The same among layouts of so many bits, AUTO: among all that hold any weights. There is always one for whole rows
 * (group 0). */
void tri_dispatch_plan_of(enum tri_bits bits, enum tri_role role, int m, int k, int group, struct tri_plan *plan);

/* The tuned setting, with the number of its threads, if the table linked is this CPU's; else all cores, not pinned,
 * and huge pages. */
struct tri_setting tri_dispatch_setting(void);

/* Fills in `first`, and `cost` where one is missing: the last step of making a plan. */
void tri_plan_cut(struct tri_plan *plan);

/* The kernel to call next with n >= 1 tokens left. It may take more than there are, if that is cheapest (never for
 * a single token); what it computes of the others is nobody's. */
const struct tri_kernel *tri_plan_next(const struct tri_plan *plan, int n);

/* What n tokens cost so cut, on rows in cache, in the unit of `cost`: a measure for one number of tokens against
 * another, not for one plan against another. */
int64_t tri_plan_cost(const struct tri_plan *plan, int n);

/* One line for stderr when the table linked is not for this CPU, or its ISAs are missing; else NULL. */
const char *tri_dispatch_notice(void);

#endif
