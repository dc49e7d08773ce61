#include "wholemount/train/step_bench.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/machine_rates.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Uniform noise in the image, a ball of label 1 (or bit 0) in the target.
void fill_sample(const TensorDesc& image, std::byte* voxels, std::byte* labels, ThreadPool& pool) {
  const int64_t lanes = image.block_width();
  const int64_t plane = image.extent.h * image.extent.w;
  pool.run(image.num_blocks() * image.extent.d, [&](int64_t task, int) {
    const int64_t block = task / image.extent.d;
    CounterRng rng(1, 0, static_cast<uint64_t>(task), "bench");
    auto* out = reinterpret_cast<float*>(voxels) + task * plane * lanes;
    for (int64_t i = 0; i < plane * lanes; ++i) {
      const bool used = block * lanes + i % lanes < image.c;
      out[i] = used ? rng.next_float() - 0.5F : 0.0F;
    }
  });
  const Extent3& e = image.extent;
  pool.run(e.d, [&](int64_t d, int) {
    for (int64_t h = 0; h < e.h; ++h) {
      for (int64_t w = 0; w < e.w; ++w) {
        const auto offset = [](int64_t at, int64_t size) {
          return 2.0 * static_cast<double>(at) / static_cast<double>(size) - 1.0;
        };
        const double x = offset(w, e.w);
        const double y = offset(h, e.h);
        const double z = offset(d, e.d);
        labels[(d * e.h + h) * e.w + w] = std::byte{x * x + y * y + z * z < 0.2};
      }
    }
  });
}

}  // namespace

StepBench bench_step(const JobSpec& job, const JobPlan& plan, JobPrograms& programs,
                     ThreadPool& pool, int rounds) {
  const UpdateProgram& program = programs.update.get(plan.largest);
  const Graph& graph = *program.graph.graph;
  const GradientFold fold(update_batch(job), job.config.train.sum_groups);
  // What a training process holds, so that the peak can be compared with the plan's.
  ParameterStore store(graph.parameters, plan.blocks);
  for (int32_t i = 0; i < plan.blocks.optimiser_states; ++i) {
    std::ranges::fill(store.optimiser_state(i), 0.0F);
  }
  for (int32_t i = 0; i < plan.blocks.gradient_slots; ++i) {
    std::ranges::fill(store.gradients(i), 0.0F);
  }
  for (size_t p = 0; p < graph.parameters.size(); ++p) {
    if (!graph.parameters[p].factored) continue;
    for (int64_t sample = 0; sample < fold.batch(); ++sample) {
      const TensorView factors = store.factors(static_cast<int32_t>(p), sample);
      std::fill_n(factors.at<float>(0, 0), factors.desc.num_elements(), 1e-3F);
    }
  }
  store.initialise(static_cast<uint64_t>(job.config.train.seed), pool);
  Session session(pool, store, program.program->arena_bytes, job.config.memory.spill.value_or(""),
                  program.program->spill_bytes);
  RunSpec run;
  run.fold = &fold;
  std::vector<PageBuffer> buffers;
  for (size_t s = 0; s < plan.largest.size(); ++s) {
    const TensorDesc& image = graph.value(program.graph.images[s]).desc;
    buffers.emplace_back(image.bytes());
    std::byte* voxels = buffers.back().data();
    buffers.emplace_back(graph.value(program.graph.targets[s]).desc.bytes());
    std::byte* labels = buffers.back().data();
    fill_sample(image, voxels, labels, pool);
    run.inputs.emplace_back(program.graph.images[s], voxels);
    run.inputs.emplace_back(program.graph.targets[s], labels);
  }
  size_t staged = 0;
  for (const PageBuffer& buffer : buffers) staged += buffer.size();
  if (plan.memory.data_bytes > staged) {
    buffers.emplace_back(plan.memory.data_bytes - staged);
    std::memset(buffers.back().data(), 0, buffers.back().size());
  }
  session.run(*program.program, run);

  StepBench bench;
  std::vector<std::vector<double>> seconds(program.program->steps.size());
  std::vector<double> forward;
  std::vector<double> peaks;
  run.after_step = [&](size_t step, double time) { seconds[step].push_back(time); };
  for (int round = 0; round < rounds; ++round) {
    peaks.push_back(measure_peak_flops(pool, program.program->target.isa, 0.2));
    const double begin = monotonic_seconds();
    session.run(*program.program, run);
    bench.step_seconds.push_back(monotonic_seconds() - begin);
    double forward_time = 0;
    for (size_t step = 0; step < seconds.size(); ++step) {
      const Step& planned = program.program->steps[step];
      const Node& node = program.program->graph->nodes[static_cast<size_t>(planned.node)];
      if (!planned.repeated && node.pass == Pass::forward) {
        forward_time += seconds[step].back();
      }
    }
    forward.push_back(forward_time);
  }
  run.after_step = {};
  bench.peak_bytes = process_memory().peak_resident_bytes;
  bench.timeline = record_timeline(session, *program.program, run, pool.num_threads());
  std::map<std::string, KernelTime> kernels;
  for (size_t step = 0; step < seconds.size(); ++step) {
    const Kernel& kernel = *program.program->steps[step].kernel;
    const auto traffic = static_cast<double>(program.program->steps[step].traffic_bytes);
    KernelTime& total = kernels[kernel.name()];
    total.kernel = kernel.name();
    ++total.count;
    total.flops += static_cast<double>(kernel.flops());
    total.bytes += traffic;
    total.seconds += median(seconds[step]);
    const auto node = static_cast<size_t>(program.program->steps[step].node);
    // The program has a graph of its own: repeated steps are further nodes.
    bench.nodes.push_back({program.program->graph->nodes[node].name, kernel.name(),
                           static_cast<double>(kernel.flops()), traffic, median(seconds[step]),
                           program.program->steps[step].seconds});
  }
  for (const auto& [name, time] : kernels) {
    bench.kernels.push_back(time);
  }
  std::sort(bench.kernels.begin(), bench.kernels.end(),
            [](const KernelTime& a, const KernelTime& b) { return a.seconds > b.seconds; });
  std::vector<double> finish;
  for (int round = 0; round < rounds; ++round) {
    const double begin = monotonic_seconds();
    session.finish_update(fold);
    finish.push_back(monotonic_seconds() - begin);
  }
  bench.finish_seconds = median(finish);
  bench.median_seconds = median(bench.step_seconds);
  bench.forward_seconds = median(forward);
  bench.peak_flops = median(peaks);
  return bench;
}

}  // namespace wholemount
