// Times the convolution kernels layer by layer against Debian's oneDNN: effective rate (operations
// of the definition, so Winograd may exceed the peak), fraction of the multiply-add peak, ratio to
// oneDNN and to our direct kernels. Rounds alternate between all of them and the peak (A B A B),
// ratios are formed within a round, medians over rounds are printed: they hold on a busy host. On
// one thread CPU time is taken, which other processes cannot spoil.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "bench/kernels/ours.h"
#include "bench/options.h"
#include "bench/timing.h"
#include "wholemount/base/error.h"

namespace wholemount::bench {
namespace {

constexpr const char* kUsage = R"(usage: ./run bench kernels [options] [CASE | LIST]...

Times convolution layers, all three passes, against Debian's oneDNN in the same run: first its
kernel alone on weights in a layout of its choice; then, behind "reordering", with the weights
brought into that layout from the plain one, or their gradient back, as each training step must.
Ratios and the worst layer are against the kernel alone unless they stand behind "reordering".
CASE is a case string, e.g. "c64+32 96x96x96 -> c32" or "c32 48x48x48 k2 s2 up -> c16";
LIST is wide-unet (default), paper-a, mcnn, transposed or few-channels.

  --threads N      default: all CPUs this process may use
  --rounds N       default 5
  --passes LETTERS of f, d, w (default fdw)
  --kernels NAME   direct, winograd2, winograd24, winograd4 instead of the chosen kernel
  --isa NAME       portable, avx2, avx512 (default: the best here), for both sides
  --no-onednn      leave the rival out
  --direct         also time our direct kernel
)";

struct Options : CommonOptions {
  std::string passes = "fdw";
  bool onednn = true;
  bool direct = false;
  std::vector<std::string> cases;
};

/// Seconds of one run of a contestant.
double seconds_of_run(Contestant& contestant, int threads) {
  return seconds_of([&] { contestant.run(); }, threads);
}
double seconds_with_reorder(Contestant& contestant, int threads) {
  return seconds_of([&] { contestant.run_with_reorder(); }, threads);
}

struct Totals {
  double ours = 0.0;
  double rival = 0.0;
  double reordered = 0.0;  ///< the rival with its weights reordered
  double direct = 0.0;
  double worst = 1e30;
};

void time_pass(const LayerCase& layer, Pass pass, const Options& options, ThreadPool& pool,
               Totals& totals) {
  int64_t flops = 0;
  int64_t bytes = 0;
  const auto ours = make_ours(layer, pass, options.target, pool, flops, bytes);
  std::unique_ptr<Contestant> rival;
  if (options.onednn) rival = make_onednn(layer, pass, options.threads);
  std::unique_ptr<Contestant> direct;
  if (options.direct) {
    Target target = options.target;
    target.convolution = Convolution::direct;
    direct = make_ours(layer, pass, target, pool, flops, bytes);
  }
  std::vector<double> peaks;
  std::vector<double> own;
  std::vector<double> theirs;
  std::vector<double> reordered;
  std::vector<double> plain;
  std::vector<double> ratios;
  std::vector<double> reordered_ratios;
  std::vector<double> of_peak;
  ours->run();
  if (rival) rival->run_with_reorder();
  if (direct) direct->run();
  for (int round = 0; round < options.rounds; ++round) {
    peaks.push_back(peak_flops_of(pool, options.target.isa));
    own.push_back(seconds_of_run(*ours, options.threads));
    of_peak.push_back(static_cast<double>(flops) / own.back() / peaks.back());
    if (rival) {
      theirs.push_back(seconds_of_run(*rival, options.threads));
      ratios.push_back(theirs.back() / own.back());
      reordered.push_back(seconds_with_reorder(*rival, options.threads));
      reordered_ratios.push_back(reordered.back() / own.back());
    }
    if (direct) plain.push_back(seconds_of_run(*direct, options.threads));
  }
  const double seconds = median(own);
  std::printf("%-30s %-15s %9.2f ms %8.1f GFLOPS %6.1f %% peak %6.1f GB/s", layer.text.c_str(),
              kPassNames[static_cast<size_t>(pass)], seconds * 1e3,
              static_cast<double>(flops) / seconds * 1e-9, 100.0 * median(of_peak),
              static_cast<double>(bytes) / seconds * 1e-9);
  if (rival) {
    std::printf("  oneDNN %9.2f ms  x%5.2f  reordering %9.2f ms  x%5.2f", median(theirs) * 1e3,
                median(ratios), median(reordered) * 1e3, median(reordered_ratios));
    totals.worst = std::min(totals.worst, median(ratios));
  }
  if (direct) std::printf("  direct %9.2f ms", median(plain) * 1e3);
  std::printf("  %s%s%s\n", ours->name().c_str(), rival ? " | " : "",
              rival ? rival->name().c_str() : "");
  std::fflush(stdout);
  totals.ours += seconds;
  totals.rival += median(theirs);
  totals.reordered += median(reordered);
  totals.direct += median(plain);
}

Convolution convolution_named(const std::string& name) {
  if (name == "direct") return Convolution::direct;
  if (name == "winograd2") return Convolution::winograd2;
  if (name == "winograd24") return Convolution::winograd24;
  if (name == "winograd4") return Convolution::winograd4;
  throw ConfigError("--kernels " + name + ": wanted direct, winograd2, winograd24 or winograd4");
}

Options parse(int argc, char** argv) {
  Options options;
  parse_options(argc, argv, kUsage, options, [&](const std::string& word, const auto& value) {
    if (word == "--passes") {
      options.passes = value();
    } else if (word == "--kernels") {
      options.target.convolution = convolution_named(value());
    } else if (word == "--no-onednn") {
      options.onednn = false;
    } else if (word == "--direct") {
      options.direct = true;
    } else if (word.starts_with("--")) {
      return false;
    } else if (word.find("->") != std::string::npos) {
      options.cases.push_back(word);
    } else {
      for (std::string& text : layer_list(word)) options.cases.push_back(std::move(text));
    }
    return true;
  });
  if (options.cases.empty()) options.cases = layer_list("wide-unet");
  return options;
}

void run(const Options& options) {
  std::vector<LayerCase> layers;
  for (const std::string& text : options.cases) layers.push_back(parse_layer_case(text));
  if (options.onednn) limit_onednn(options.target.isa);
  ThreadPool pool(options.threads);
  std::printf("%s, %d threads, %s, %d rounds%s\n", cpu_model().c_str(), options.threads,
              std::string(isa_name(options.target.isa)).c_str(), options.rounds,
              options.threads == 1 ? ", CPU time" : "");
  for (const Pass pass : {Pass::forward, Pass::data, Pass::weights}) {
    if (options.passes.find("fdw"[static_cast<size_t>(pass)]) == std::string::npos) continue;
    Totals totals;
    for (const LayerCase& layer : layers) {
      // In a network no gradient is wanted for its image.
      if (pass == Pass::data && layer.input_channels() <= 4) continue;
      time_pass(layer, pass, options, pool, totals);
    }
    std::printf("%-30s %-15s %9.2f ms", "sum", kPassNames[static_cast<size_t>(pass)],
                totals.ours * 1e3);
    if (options.onednn) {
      std::printf("  oneDNN %9.2f ms  x%5.2f  reordering %9.2f ms  x%5.2f  worst layer x%5.2f",
                  totals.rival * 1e3, totals.rival / totals.ours, totals.reordered * 1e3,
                  totals.reordered / totals.ours, totals.worst);
    }
    if (options.direct) std::printf("  direct %9.2f ms", totals.direct * 1e3);
    std::printf("\n");
  }
}

}  // namespace
}  // namespace wholemount::bench

int main(int argc, char** argv) {
  try {
    wholemount::bench::run(wholemount::bench::parse(argc, argv));
  } catch (const wholemount::Error& error) {
    std::fprintf(stderr, "bench kernels: %s\n", error.what());
    return 2;
  }
  return 0;
}
