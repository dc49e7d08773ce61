// Times every operator outside Winograd convolution against what the machine allows: the longer of
// its operations at the multiply-add peak and its bytes at the rate of a copy, both measured in
// turn with it (A B A B); fractions are formed within a round, medians over rounds are printed. On
// one thread CPU time is taken, which other processes cannot spoil.

#include <cstdio>
#include <cstdlib>

#include "bench/kernels/ours.h"
#include "bench/operators/graph_bench.h"
#include "bench/operators/operator_cases.h"
#include "bench/options.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"

namespace wholemount::bench {
namespace {

constexpr const char* kUsage = R"(usage: ./run bench operators [options]

Times operators by themselves: milliseconds, GFLOPS (operations of the definition), GB/s (bytes that
must be read and written), and the fraction of the limit: multiply-add peak or rate of a copy,
whichever takes longer.

  --threads N     default: all CPUs this process may use
  --rounds N      default 5
  --only WORD     cases whose text holds WORD
  --isa NAME      portable, avx2, avx512 (default: the best here)
  --markdown      a table for docs/kernels.md
)";

struct Options : CommonOptions {
  std::string only;
  bool markdown = false;
};

struct Subject {
  std::string text;
  std::string kernel;
  double flops = 0;
  double bytes = 0;
  std::function<void()> run;
  std::function<void()> refill = [] {};
};

class OperatorBench {
 public:
  explicit OperatorBench(const Options& options)
      : options_(options), pool_(options.threads), copy_(pool_, size_t{192} << 20) {
    if (options.markdown) {
      std::printf(
          "| case | kernel | ms | GFLOPS | GB/s | limit | of it |\n"
          "|---|---|---:|---:|---:|---|---:|\n");
    }
  }

  void time_graph(const OperatorCase& one) {
    GraphBuilder builder(make_apply());
    one.build(builder);
    GraphBench bench(builder.finish(), options_.target, pool_);
    for (size_t node = 0; node < bench.graph().nodes.size(); ++node) {
      const Kernel* kernel = bench.kernel(node);
      if (kernel == nullptr || kernel->traffic_bytes() < (1 << 20)) continue;
      time({one.text, kernel->name(), static_cast<double>(kernel->flops()),
            static_cast<double>(kernel->traffic_bytes()), [&] { bench.run(node); },
            [&] { bench.refill(node); }});
    }
  }

  void time_layer(const std::string& text) {
    const LayerCase layer = parse_layer_case(text);
    for (const bench::Pass pass : {bench::Pass::forward, bench::Pass::data, bench::Pass::weights}) {
      if (pass == bench::Pass::data && layer.input_channels() <= 4) continue;
      int64_t flops = 0;
      int64_t bytes = 0;
      const auto ours = make_ours(layer, pass, options_.target, pool_, flops, bytes);
      time({text, ours->name(), static_cast<double>(flops), static_cast<double>(bytes),
            [&] { ours->run(); }});
    }
  }

  void finish() const {
    std::printf("%s%s, %d threads, %s, %d rounds%s: copy %.1f GB/s, peak %.1f GFLOPS (medians)\n",
                options_.markdown ? "\n" : "", cpu_model().c_str(), options_.threads,
                std::string(isa_name(options_.target.isa)).c_str(), options_.rounds,
                options_.threads == 1 ? ", CPU time" : "", median(copies_) * 1e-9,
                median(peaks_) * 1e-9);
  }

 private:
  void time(const Subject& subject) {
    std::vector<double> seconds;
    std::vector<double> fractions;
    std::vector<double> of_peak;
    subject.run();
    for (int round = 0; round < options_.rounds; ++round) {
      subject.refill();
      peaks_.push_back(peak_flops_of(pool_, options_.target.isa));
      copies_.push_back(copy_.bytes_per_second());
      seconds.push_back(seconds_of(subject.run, options_.threads));
      const double by_memory = subject.bytes / copies_.back();
      const double by_arithmetic = subject.flops / peaks_.back();
      fractions.push_back(std::max(by_memory, by_arithmetic) / seconds.back());
      of_peak.push_back(by_arithmetic > by_memory ? 1.0 : 0.0);
    }
    const double time = median(seconds);
    const char* limit = median(of_peak) > 0.5 ? "peak" : "copy";
    const char* format = options_.markdown
                             ? "| %s | %s | %.2f | %.1f | %.1f | %s | %.0f %% |%s\n"
                             : "%-30s %-44s %8.2f ms %7.1f GFLOPS %6.1f GB/s  %s %5.0f %%%s\n";
    std::printf(format, subject.text.c_str(), subject.kernel.c_str(), time * 1e3,
                subject.flops / time * 1e-9, subject.bytes / time * 1e-9, limit,
                100.0 * median(fractions),
                !options_.markdown && median(fractions) < 0.5 ? "  <" : "");
    std::fflush(stdout);
  }

  const Options& options_;
  ThreadPool pool_;
  CopyYardstick copy_;
  std::vector<double> copies_;
  std::vector<double> peaks_;
};

Options parse(int argc, char** argv) {
  Options options;
  parse_options(argc, argv, kUsage, options, [&](const std::string& word, const auto& value) {
    if (word == "--only") {
      options.only = value();
    } else if (word == "--markdown") {
      options.markdown = true;
    } else {
      return false;
    }
    return true;
  });
  return options;
}

void run(const Options& options) {
  const auto wanted = [&](const std::string& text) {
    return text.find(options.only) != std::string::npos;
  };
  OperatorBench bench(options);
  for (const OperatorCase& one : operator_cases()) {
    if (wanted(one.text)) bench.time_graph(one);
  }
  for (const std::string& text : direct_convolution_cases()) {
    if (wanted(text)) bench.time_layer(text);
  }
  bench.finish();
}

}  // namespace
}  // namespace wholemount::bench

int main(int argc, char** argv) {
  try {
    wholemount::bench::run(wholemount::bench::parse(argc, argv));
  } catch (const wholemount::Error& error) {
    std::fprintf(stderr, "bench operators: %s\n", error.what());
    return 2;
  }
  return 0;
}
