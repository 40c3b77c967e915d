/* A kernel that is wrong, for a tritune of its own (tests/CMakeLists.txt): what plans for ffn_down give for one token
 * has row 5 one too high. The linker puts this plan in the place of the true one. */
#include "kernels/dispatch.h"

static struct tri_kernel wrong;
static const struct tri_kernel *right;

static void off_by_one(const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum,
                       int32_t *y, size_t ldy)
{
    right->matmul(w, m0, m1, k, x, ldx, xsum, y, ldy);
    if (m0 <= 5 && 5 < m1)
        y[5 - m0]++;
}

void __real_tri_dispatch_plan_of(enum tri_bits bits, enum tri_role role, int m, int k, int group,
                                 struct tri_plan *plan);
void __wrap_tri_dispatch_plan_of(enum tri_bits bits, enum tri_role role, int m, int k, int group,
                                 struct tri_plan *plan);

void __wrap_tri_dispatch_plan_of(enum tri_bits bits, enum tri_role role, int m, int k, int group, struct tri_plan *plan)
{
    __real_tri_dispatch_plan_of(bits, role, m, k, group, plan);
    if (role != TRI_ROLE_DOWN)
        return;
    right = plan->kernels[0];
    wrong = *right;
    wrong.matmul = off_by_one;
    plan->kernels[0] = &wrong;
}
