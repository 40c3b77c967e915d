/* tritune selftest: every linked kernel this CPU can run, proved here and now against plain C. */
#include "cli/command.h"
#include "kernels/verify.h"

#include <stdio.h>
#include <unistd.h>

static enum tri_status prove(const struct tri_kernel *kernel, uint64_t seed, struct tri_error *e)
{
    const struct tri_layout *l = tri_layout_find(kernel->layout);
    const int shapes[][2] = {{l->rows + 1, l->kstep + 1}, {2 * l->rows, 5 * l->kstep}, {3, 6912}};
    for (int s = 0; s < 3; s++)
        for (int p = 0; p < TRI_PATTERNS; p++) {
            const struct tri_case c = {shapes[s][0], shapes[s][1], (enum tri_pattern)p, seed};
            const enum tri_status status = tri_verify(kernel, l, &c, e);
            if (status != TRI_OK)
                return status;
        }
    return TRI_OK;
}

static enum tri_status selftest(int argc, char **argv, struct tri_error *e)
{
    int seed = 1, operands = 0, proved = 0, wrong = 0, skipped = 0;
    bool quiet = false, helped = false;
    const struct tri_option options[] = {
        {"-s", "--seed", TRI_INT, "N", "seed of the random cases (default: 1)", &seed, 0, 0},
        {"-q", "--quiet", TRI_FLAG, NULL, "print failures and the count only", &quiet, 0, 0},
        {0},
    };
    const enum tri_status parsed = tri_parse(&tri_command_selftest, options, argc, argv, &operands, &helped, e);
    if (parsed != TRI_OK || helped)
        return parsed;
    for (const struct tri_kernel *k = tri_kernels; k->name; k++) {
        if (!tri_isa_find(k->isa)->present()) {
            skipped++;
            continue;
        }
        const enum tri_status status = prove(k, (uint64_t)seed, e);
        proved += status == TRI_OK, wrong += status != TRI_OK;
        if (status != TRI_OK)
            printf("WRONG %s\n", e->text);
        else if (!quiet)
            printf("ok    %s\n", k->name);
    }
    printf("%d kernels right, %d wrong, %d not for this CPU\n", proved, wrong, skipped);
    if (wrong)
        return tri_fail(e, TRI_WRONG, "%d of %d kernels are wrong on this CPU; run with --isa c, and report "
                                      "the lines above", wrong, proved + wrong);
    return TRI_OK;
}

const struct tri_command tri_command_selftest = {
    "selftest", "prove every linked kernel on this CPU", "[-s N] [-q]", selftest};
