/* `tritune pull`: a model from a hub into the cache. Leaves out how (hub/hub.h). */
#include "cli/command.h"
#include "cli/interrupt.h"
#include "hub/hub.h"

#include <stdio.h>
#include <stdlib.h>

static enum tri_status pull(struct tri_hub_request *r, struct tri_error *e)
{
    char *path = NULL;
    tri_catch_interrupt();
    r->stop = tri_interrupted;
    const enum tri_status status = tri_hub_pull(r, &path, e);
    if (status == TRI_OK)
        puts(path);
    free(path);
    return status;
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct tri_hub_request r = {.refresh = true, .stall = TRI_HUB_STALL};
    const struct tri_option options[] = {
        {NULL, "--offline", TRI_FLAG, NULL, "download nothing: what is in the cache, or an error", &r.offline, 0, 0},
        {NULL, "--timeout", TRI_INT, "N", "seconds without a byte until a connection counts as cut (default: 30)",
         &r.stall, 1, 3600},
        {0},
    };
    bool helped = false;
    int operands = 1;
    const enum tri_status status = tri_parse(&tri_command_pull, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (operands != 1)
        return tri_fail(e, TRI_USAGE, "expected OWNER/REPO[:FILE], found none; see --help");
    r.model = argv[1];
    return pull(&r, e);
}

const struct tri_command tri_command_pull = {
    .name = "pull",
    .summary = "a model from a hub, into the cache",
    .usage = "OWNER/REPO[@REVISION][:FILE] [--offline] [--timeout N]",
    .run = run,
};
