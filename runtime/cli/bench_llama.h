/* Options that users of llama-bench type and `tritune bench` has no use for: accepted where their value says what is so
 * here anyway, else refused with what there is instead. */
#ifndef TRI_BENCH_LLAMA_H
#define TRI_BENCH_LLAMA_H

#include "cli/command.h"

#define TRI_LLAMA_NO_GPU "only the CPU computes here; leave it out"

/* name, short and long option, what is accepted ("*": anything, as it would change nothing), why not what else */
#define TRI_LLAMA_BENCH(_)                                                                                        \
    _(NGL, "-ngl", "--n-gpu-layers,--gpu-layers", "0", TRI_LLAMA_NO_GPU)                                            \
    _(SM, "-sm", "--split-mode", "*", "")                                                                           \
    _(MG, "-mg", "--main-gpu", "*", "")                                                                             \
    _(TS, "-ts", "--tensor-split", "0", TRI_LLAMA_NO_GPU)                                                           \
    _(DEV, "-dev", "--device", "none", TRI_LLAMA_NO_GPU)                                                            \
    _(RPC, "-rpc", "--rpc", "", "one machine computes alone; leave it out")                                         \
    _(OT, "-ot", "--override-tensor", "", TRI_LLAMA_NO_GPU)                                                         \
    _(NCMOE, NULL, "--n-cpu-moe", "*", "")                                                                          \
    _(NKVO, "-nkvo", "--no-kv-offload", "*", "")                                                                    \
    _(NOPO, NULL, "--no-op-offload", "*", "")                                                                       \
    _(FA, "-fa", "--flash-attn", "*", "")                                                                           \
    _(MMP, "-mmp", "--mmap", "*", "")                                                                               \
    _(DIO, "-dio", "--direct-io", "*", "")                                                                          \
    _(EMBD, "-embd", "--embeddings", "0", "`tritune embed` makes embeddings")                                       \
    _(MASK, "-C", "--cpu-mask", "0x0", "--cpu-strict 1 pins threads, and taskset(1) says to which CPUs")            \
    _(POLL, NULL, "--poll", "*", "")                                                                                \
    _(PRIO, NULL, "--prio", "0", "nice(1) and chrt(1) set priorities")                                              \
    _(NUMA, NULL, "--numa", "", "numactl(8) says where memory and threads go")                                      \
    _(ERR, "-oe", "--output-err", "none", "-o writes to stdout, in one format")

enum {
#define TRI_LLAMA_ID(id, ...) TRI_LLAMA_##id,
    TRI_LLAMA_BENCH(TRI_LLAMA_ID)
#undef TRI_LLAMA_ID
    TRI_LLAMA_OPTIONS
};

struct tri_llama_bench {
    struct tri_texts given[TRI_LLAMA_OPTIONS];
    bool no_warmup, ignored; /* the latter of flags that change nothing */
};

/* TRI_USAGE for a value that is not so here. */
enum tri_status tri_llama_bench_check(const struct tri_llama_bench *o, struct tri_error *e);

#endif
