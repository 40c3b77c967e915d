/* Owns: the bridge from C to Google Benchmark. Leaves out what is measured. */
#include "shim.h"

#include <benchmark/benchmark.h>

#include <deque>
#include <string>
#include <vector>

namespace {

std::deque<std::string> names; /* a deque keeps what results point to where it is */
std::vector<tri_bench_figure> results;

class Collector : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context &) override { return true; }
    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const auto &run : runs) {
            if (run.run_type != Run::RT_Iteration || run.iterations == 0)
                continue; /* statistics over repetitions, or an error */
            names.push_back(run.run_name.function_name);
            results.push_back({names.back().c_str(), run.real_accumulated_time / double(run.iterations) * 1e9,
                               (long long)run.iterations});
        }
    }
};

} // namespace

void tri_bench_row(const char *name, tri_bench_fn *fn, void *arg, double bytes)
{
    auto body = [fn, arg, bytes](benchmark::State &state) {
        for (auto _ : state)
            fn(arg);
        if (bytes > 0)
            state.SetBytesProcessed(int64_t(bytes * double(state.iterations())));
    };
    benchmark::RegisterBenchmark(name, body)->UseRealTime();
}

int tri_bench_run(const char *const *options, int count)
{
    static char program[] = "tritune";
    std::vector<std::string> copies(options, options + count);
    std::vector<char *> argv{program};
    for (auto &copy : copies)
        argv.push_back(&copy[0]);
    argv.push_back(nullptr);
    int argc = count + 1;
    names.clear();
    results.clear();
    benchmark::Initialize(&argc, argv.data());
    if (benchmark::ReportUnrecognizedArguments(argc, argv.data()))
        return -1;
    Collector collector;
    benchmark::RunSpecifiedBenchmarks(&collector);
    return int(results.size());
}

const tri_bench_figure *tri_bench_result(int i)
{
    return &results[size_t(i)];
}

void tri_bench_clear(void)
{
    benchmark::ClearRegisteredBenchmarks();
    names.clear();
    results.clear();
}
