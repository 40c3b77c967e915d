/* Owns: the options of sampling made into a sampler. */
#include "cli/sampling.h"

#include <errno.h>
#include <stdlib.h>

enum tri_status tri_sampling_read(struct tri_sampling_options *o, struct tri_error *e)
{
    char *end = NULL;
    errno = 0;
    const long long seed = o->seed ? strtoll(o->seed, &end, 10) : -1;
    if (o->seed && (end == o->seed || *end || errno || seed < -1 || seed > 0xFFFFFFFFll))
        return tri_fail(e, TRI_USAGE, "option -s: expected -1 (any) or a number below 2^32, found \"%s\"", o->seed);
    o->values.seed = (uint32_t)seed;
    return TRI_OK;
}

struct tri_sampler *tri_sampling_open(const struct tri_sampling_options *o, const struct tri_load *l,
                                      struct tri_error *e)
{
    struct tri_sampling values = o->values;
    if (values.repeat_last_n < 0)
        values.repeat_last_n = tri_session_context(l->session);
    return tri_sampler_new(&values, l->weights->config.vocab, e);
}
