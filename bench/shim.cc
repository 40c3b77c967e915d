/* Owns: the bridge from C to Google Benchmark. Leaves out what is measured. */
#include "shim.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

using benchmark::BenchmarkReporter;
using benchmark::Counter;

std::deque<std::string> names; /* a deque keeps what results point to where it is */
std::vector<tri_bench_figure> results;
std::string listed;

/* -- rows ------------------------------------------------------------------------------------------------- */

const char cpu_seconds[] = "cpu_seconds"; /* of one iteration: travels as a counter to the report, and no further */

void rate(benchmark::State &state, const char *name, double of_one)
{
    if (of_one > 0)
        state.counters[name] = Counter(of_one, Counter::kIsIterationInvariantRate);
}

void body(benchmark::State &state, const tri_bench_row &row)
{
    tri_bench_sample sample = {0, 0, 0};
    if (!row.fn(row.arg, (long long)state.max_iterations, &sample)) {
        state.SkipWithError("see stderr");
        return;
    }
    while (state.KeepRunningBatch(state.max_iterations))
        state.SetIterationTime(sample.seconds);
    state.counters[cpu_seconds] = sample.cpu_seconds / double(state.max_iterations);
    rate(state, "bytes", row.bytes);
    rate(state, "weights", row.weights);
    rate(state, "operations", row.operations);
    if (row.ceiling && sample.ceiling > 0) {
        const double of_one = std::string("peak") == row.ceiling ? row.operations : row.bytes;
        state.counters["ceiling"] = sample.ceiling;
        state.counters["percent"] = 100 * of_one * double(state.max_iterations) / sample.seconds / sample.ceiling;
        state.SetLabel(row.ceiling);
    }
}

/* -- reports ---------------------------------------------------------------------------------------------- */

/* Hands on to `inner` what ran, with the processor's time as the row measured it. */
class Report : public BenchmarkReporter {
public:
    explicit Report(BenchmarkReporter *reporter) : inner(reporter) {}
    bool ReportContext(const Context &context) override
    {
        inner->SetOutputStream(&GetOutputStream());
        inner->SetErrorStream(&GetErrorStream());
        return inner->ReportContext(context);
    }
    void ReportRuns(const std::vector<Run> &runs) override
    {
        std::vector<Run> kept;
        for (const auto &run : runs)
            if (run.run_type == Run::RT_Aggregate || run.iterations > 0) /* else it failed before it began */
                kept.push_back(measured(run));
        if (!kept.empty())
            inner->ReportRuns(kept);
    }
    void Finalize() override { inner->Finalize(); }

private:
    static Run measured(Run run)
    {
        const auto cpu = run.counters.find(cpu_seconds);
        if (cpu != run.counters.end()) {
            const bool ratio = run.run_type == Run::RT_Aggregate && run.aggregate_unit == benchmark::kPercentage;
            run.cpu_accumulated_time = cpu->second.value * (ratio ? 1 : double(run.iterations));
            run.counters.erase(cpu);
        }
        return run;
    }
    const std::unique_ptr<BenchmarkReporter> inner;
};

class Collector : public BenchmarkReporter {
public:
    explicit Collector(Report *reporter) : shown(reporter) {}
    bool ReportContext(const Context &context) override { return !shown || shown->ReportContext(context); }
    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const auto &run : runs) {
            if (run.run_type == Run::RT_Aggregate || run.iterations == 0)
                continue;
            names.push_back(run.run_name.function_name);
            results.push_back({names.back().c_str(), run.real_accumulated_time / double(run.iterations) * 1e9,
                               (long long)run.iterations});
        }
        if (shown)
            shown->ReportRuns(runs);
    }
    void Finalize() override
    {
        if (shown)
            shown->Finalize();
    }

private:
    Report *const shown;
};

/* Lists names to a string, where nothing runs. */
class Lister : public BenchmarkReporter {
public:
    Lister() { SetOutputStream(&text); }
    bool ReportContext(const Context &) override { return false; }
    void ReportRuns(const std::vector<Run> &) override {}
    std::ostringstream text;
};

/* -- options ---------------------------------------------------------------------------------------------- */

/* The value of an option that has one, as Google Benchmark takes it: the last, or else the environment's; or "". */
std::string value_of(const std::vector<std::string> &options, const std::string &name, const char *variable)
{
    const char *environment = std::getenv(variable);
    std::string value = environment ? environment : "";
    const std::string head = "--" + name + "=";
    for (const auto &option : options)
        if (option.compare(0, head.size(), head) == 0)
            value = option.substr(head.size());
    return value;
}

/* Google Benchmark asks for its help where a format is none of its own, and would end well after it. */
void refuse_format()
{
    std::fputs("kernels: expected console, json or csv after --benchmark_format= and --benchmark_out_format=\n", stderr);
    std::exit(2);
}

bool take(const std::vector<std::string> &options, const char *list)
{
    static char program[] = "kernels";
    std::vector<std::string> copies{list};
    copies.insert(copies.end(), options.begin(), options.end());
    std::vector<char *> argv{program};
    for (auto &copy : copies)
        argv.push_back(&copy[0]);
    argv.push_back(nullptr);
    int argc = int(argv.size()) - 1;
    benchmark::Initialize(&argc, argv.data(), refuse_format);
    return !benchmark::ReportUnrecognizedArguments(argc, argv.data());
}

BenchmarkReporter *file_reporter(const std::string &format)
{
    if (format == "console")
        return new benchmark::ConsoleReporter(benchmark::ConsoleReporter::OO_None);
    BENCHMARK_DISABLE_DEPRECATED_WARNING
    if (format == "csv")
        return new benchmark::CSVReporter;
    BENCHMARK_RESTORE_DEPRECATED_WARNING
    return new benchmark::JSONReporter;
}

} // namespace

void tri_bench_add(const tri_bench_row *row)
{
    const std::string ceiling = row->ceiling ? row->ceiling : "";
    auto run = [copy = *row, ceiling](benchmark::State &state) {
        tri_bench_row own = copy;
        own.ceiling = ceiling.empty() ? nullptr : ceiling.c_str();
        body(state, own);
    };
    benchmark::RegisterBenchmark(row->name, run)->UseManualTime();
}

void tri_bench_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

const char *tri_bench_names(const char *const *options, int count)
{
    if (!take({options, options + count}, "--benchmark_list_tests=false") || !take({}, "--benchmark_list_tests=true"))
        return nullptr;
    Lister lister;
    benchmark::RunSpecifiedBenchmarks(&lister);
    listed = lister.text.str();
    return listed.c_str();
}

int tri_bench_run(const char *const *options, int count, int shown)
{
    const std::vector<std::string> said(options, options + count);
    names.clear();
    results.clear();
    if (!take(said, "--benchmark_list_tests=false"))
        return -1;
    std::unique_ptr<Report> display(shown ? new Report(benchmark::CreateDefaultDisplayReporter()) : nullptr);
    Collector collector(display.get());
    if (!shown || value_of(said, "benchmark_out", "BENCHMARK_OUT").empty()) {
        benchmark::RunSpecifiedBenchmarks(&collector);
    } else {
        Report file(file_reporter(value_of(said, "benchmark_out_format", "BENCHMARK_OUT_FORMAT")));
        benchmark::RunSpecifiedBenchmarks(&collector, &file);
    }
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

void tri_bench_help(void)
{
    benchmark::PrintDefaultHelp();
}
