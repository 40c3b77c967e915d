/* Owns: what is said about options of llama-bench that mean nothing here. */
#include "cli/bench_llama.h"

#include <string.h>

static const struct foreign {
    const char *short_name, *long_name, *accepted, *instead;
} foreign[TRI_LLAMA_OPTIONS] = {
#define FOREIGN(id, short_name, long_name, accepted, instead) {short_name, long_name, accepted, instead},
    TRI_LLAMA_BENCH(FOREIGN)
#undef FOREIGN
};

static enum tri_status check_values(const struct foreign *f, const struct tri_texts *given, struct tri_error *e)
{
    for (int i = 0; i < given->count; i++)
        if (strcmp(f->accepted, "*") != 0 && strcmp(f->accepted, given->at[i]) != 0)
            return tri_fail(e, TRI_USAGE, "option %s: expected %s, found \"%.40s\": %s",
                            f->short_name ? f->short_name : f->long_name, *f->accepted ? f->accepted : "none of it",
                            given->at[i], f->instead);
    return TRI_OK;
}

enum tri_status tri_llama_bench_check(const struct tri_llama_bench *o, struct tri_error *e)
{
    if (o->no_warmup)
        return tri_fail(e, TRI_USAGE, "option --no-warmup: expected none of it: the warm-up counts what tokens read");
    for (int i = 0; i < TRI_LLAMA_OPTIONS; i++)
        if (check_values(&foreign[i], &o->given[i], e) != TRI_OK)
            return e->status;
    return TRI_OK;
}
