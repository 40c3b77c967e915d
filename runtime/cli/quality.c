/* Owns: what all measures of quality share: probabilities of tokens, feeding them, and results as JSON. */
#include "cli/quality.h"

#include "base/math.h"
#include "cli/interrupt.h"

#include <stdio.h>

double tri_quality_nll(const float *logits, int vocab, int32_t expected)
{
    double sum = 0;
    float most = logits[0];
    for (int j = 1; j < vocab; j++)
        most = logits[j] > most ? logits[j] : most;
    for (int j = 0; j < vocab; j++)
        sum += tri_exp((double)logits[j] - (double)most);
    return tri_log(sum) - ((double)logits[expected] - (double)most);
}

enum tri_status tri_quality_feed(struct tri_session *s, const int32_t *ids, int kept, int from, int count,
                                 tri_each_fn *each, void *arg, struct tri_error *e)
{
    const float *unused;
    if (tri_interrupted())
        return tri_fail_interrupted(e);
    tri_session_rewind(s, kept);
    if (from > kept && tri_session_feed(s, ids + kept, from - kept, &unused, e) != TRI_OK)
        return e->status;
    return tri_session_score(s, ids + from, count - from, each, arg, e);
}

enum tri_status tri_quality_json(json_t *all, struct tri_error *e)
{
    if (!all)
        return tri_fail(e, TRI_NO_MEMORY, "no memory for the JSON");
    json_dumpf(all, stdout, JSON_COMPACT);
    json_decref(all);
    putchar('\n');
    return TRI_OK;
}
