/* Owns: what stands in for a hub in a build without libcurl and libcrypto. */
#include "hub/hub.h"

enum tri_status tri_hub_pull(const struct tri_hub_request *r, char **path, struct tri_error *e)
{
    *path = NULL;
    return tri_fail(e, TRI_UNSUPPORTED, "%s: this tritune was built without libcurl, so it downloads nothing; install "
                    "libcurl4-openssl-dev and libssl-dev and build again, or download a file yourself and use -m FILE",
                    r->model);
}
