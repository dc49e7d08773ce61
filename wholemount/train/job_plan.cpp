#include "wholemount/train/job_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/affinity.h"
#include "wholemount/ops/bfloat16/bfloat16.h"
#include "wholemount/plan/kernel_choice.h"

namespace wholemount {

namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

/// What running adds to the process beside the planned buffers: kernels' code pages, thread stacks,
/// file buffers of checkpoint and log, the allocator's rounding. Four times as much left 1.6 to
/// 3.2 MiB of the prediction unused in 15 jobs of 0.12 to 2.5 GiB (bench/prediction.py
/// --only=-48-).
constexpr size_t kReserveBytes = size_t{512} << 10;

/// The process's own size differs a little from start to start; a budget that one process names has
/// to work for the next.
constexpr int64_t kBaselineJitterBytes = int64_t{1} << 20;

constexpr int kBudgetAttempts = 4;

/// What a search usually adds to the baseline, so that one attempt is enough.
constexpr size_t kPlanningBytes = size_t{4} << 20;

size_t whole_pages(size_t bytes) {
  return static_cast<size_t>(
      round_up(static_cast<int64_t>(bytes), static_cast<int64_t>(kHugePageBytes)));
}

/// Sums over the forward nodes of a graph, for the plan's information.
struct ForwardTotals {
  int64_t convolution_flops = 0;
  int64_t layer_output_elements = 0;
  int64_t convolution_output_elements = 0;
};

bool is_convolution(const std::string& op_name) { return op_name.rfind("conv", 0) == 0; }

ForwardTotals forward_totals(const UpdateProgram& update) {
  ForwardTotals totals;
  const Program& program = *update.program;
  // The graph before planning: what is computed again is not counted again.
  const Graph& graph = *update.graph.graph;
  for (const Step& step : program.steps) {
    const Node& node = program.graph->nodes[static_cast<size_t>(step.node)];
    if (!step.repeated && node.pass == Pass::forward && is_convolution(node.op->name())) {
      totals.convolution_flops += step.kernel->flops();
    }
  }
  for (const Node& node : graph.nodes) {
    if (node.pass != Pass::forward || node.outputs.empty() || node.outputs.front() == kNone) {
      continue;
    }
    const std::string op = node.op->name();
    const Value& output = graph.value(node.outputs.front());
    const int64_t elements = output.desc.num_elements();
    if (op == "conv") {
      totals.convolution_output_elements += elements;
      // Several inputs are a concatenation that other frameworks store.
      int64_t concatenated = 0;
      for (size_t i = 2; i < node.inputs.size(); ++i) {
        concatenated += graph.value(node.inputs[i]).desc.num_elements();
      }
      totals.layer_output_elements += elements + (node.inputs.size() > 3 ? concatenated : 0);
    } else if (op == "normalise") {
      totals.layer_output_elements += output.transform.slope == 1.0F ? elements : 2 * elements;
    } else if (op == "conv_transpose" || op == "max_pool" || op == "upsample" ||
               op == "activation" || op == "concat") {
      totals.layer_output_elements += elements;
    }
  }
  return totals;
}

int64_t program_convolution_flops(const Program& program) {
  int64_t flops = 0;
  for (const Step& step : program.steps) {
    const Node& node = program.graph->nodes[static_cast<size_t>(step.node)];
    if (!step.repeated && is_convolution(node.op->name())) {
      flops = checked_add(flops, step.kernel->flops());
    }
  }
  return flops;
}

/// The distinct shapes, with how many cases have each.
using ShapeCounts = std::vector<std::pair<Extent3, int64_t>>;

ShapeCounts count_shapes(const std::vector<Extent3>& extents) {
  ShapeCounts distinct;
  for (const Extent3& extent : extents) {
    const auto known = std::find_if(distinct.begin(), distinct.end(),
                                    [&](const auto& entry) { return entry.first == extent; });
    if (known == distinct.end()) {
      distinct.emplace_back(extent, 1);
    } else {
      ++known->second;
    }
  }
  WM_CHECK(!distinct.empty(), "a job has training cases");
  return distinct;
}

/// Everything but the arena.
MemoryPlan memory_beside_arena(const JobSpec& job, const std::vector<ParameterSpec>& parameters,
                               const ParameterBlocks& blocks, int num_threads) {
  MemoryPlan memory;
  const ParameterBytes bytes = ParameterStore::bytes(parameters, blocks);
  memory.parameter_bytes = bytes.values;
  memory.gradient_bytes = bytes.gradients;
  memory.optimiser_bytes = bytes.optimiser_state;
  memory.data_bytes = whole_pages(job.staging_bytes);
  memory.reserve_bytes = kReserveBytes + static_cast<size_t>(num_threads) * (size_t{64} << 10);
  memory.baseline_bytes = process_memory().resident_bytes;
  return memory;
}

void describe_policies(const Program& program, JobPlan& plan) {
  plan.kept_values = program.kept_values;
  plan.recomputed_values = 0;
  std::set<std::string> spilled;
  std::set<std::string> half;
  for (const PolicyNote& note : program.policies) {
    switch (note.kind) {
      case PolicyNote::Kind::recompute:
        ++plan.recomputed_values;
        break;
      case PolicyNote::Kind::spill:
      case PolicyNote::Kind::stream:
        spilled.insert(note.value);
        break;
      case PolicyNote::Kind::half:
        half.insert(note.value);
        break;
    }
  }
  plan.spilled_values = static_cast<int64_t>(spilled.size());
  plan.half_values = static_cast<int64_t>(half.size());
}

int64_t factored_elements(const std::vector<ParameterSpec>& parameters) {
  int64_t elements = 0;
  for (const ParameterSpec& spec : parameters) {
    elements += spec.factored ? spec.desc.num_elements() : 0;
  }
  return elements;
}

/// Of the optimiser, and of joining the groups of the gradient sum: both wait for memory.
double update_seconds(const JobSpec& job, const GradientFold& fold,
                      const std::vector<ParameterSpec>& parameters, double copy_bytes_per_second) {
  constexpr int64_t kFloatsPerMerge = 3;  // two read, one written
  const int64_t all = ParameterStore::counts(parameters).total;
  int64_t floats = checked_multiply(all, update_floats_per_element(job.config.train.optimizer));
  for (int64_t sample = 0; sample < fold.batch(); ++sample) {
    floats += kFloatsPerMerge * static_cast<int64_t>(fold.sample(sample).merges.size()) *
              (all - factored_elements(parameters));
  }
  return 4.0 * static_cast<double>(floats) / copy_bytes_per_second;
}

/// Of the sums of outer products: their arithmetic, or the writing of them (and the reading of the
/// lines before).
double finish_seconds(const GradientFold& fold, const std::vector<ParameterSpec>& parameters,
                      const JobPrograms& programs) {
  const auto elements = static_cast<double>(factored_elements(parameters));
  // A product and a sum each take the place of a multiply-add.
  const double arithmetic =
      4.0 * static_cast<double>(fold.batch()) * elements / programs.peak_flops_per_second;
  return std::max(arithmetic, 8.0 * elements / programs.copy_bytes_per_second);
}

/// What a thread runs before the system lets another one have its core.
constexpr double kTimeSliceSeconds = 3e-3;

/// Seconds of a sample of the program while another case is loaded: on a core of its own where
/// there is one, else on those that compute, and never faster than one thread loads. Loading
/// interrupts one thread; the others take over its tasks in a step much longer than the
/// interruption, and wait for it at the end of a short one.
double with_loading(const Program& program, int64_t samples, double load_seconds, int num_threads) {
  const double seconds = program.seconds / static_cast<double>(samples);
  if (static_cast<size_t>(num_threads) < thread_affinity().size()) {
    return std::max(seconds, load_seconds);
  }
  const double step_seconds =
      program.seconds / static_cast<double>(std::max<size_t>(program.steps.size(), 1));
  const double waiting = kTimeSliceSeconds / (kTimeSliceSeconds + step_seconds);
  const double share = waiting + (1 - waiting) / num_threads;
  return std::max(seconds + share * load_seconds, load_seconds);
}

/// How many samples programs hold beside the usual number: what a micro-batch leaves of a batch,
/// and an epoch's last update.
std::set<int64_t> remainders(const JobSpec& job) {
  const int64_t per_program = samples_per_program(job);
  const int64_t batch = update_batch(job);
  std::set<int64_t> counts{batch % per_program};
  if (!job.config.train.steps_per_epoch.has_value()) {
    counts.insert(static_cast<int64_t>(job.train_extents.size()) % batch % per_program);
  }
  counts.erase(0);
  return counts;
}

/// Plans all shapes with the arena budget the programs have, and adds up their bytes and seconds.
void plan_programs(const JobSpec& job, const ShapeCounts& shapes, JobPrograms& programs,
                   int num_threads, JobPlan& plan) {
  const int64_t per_program = samples_per_program(job);
  const int64_t batch = update_batch(job);
  double case_seconds = 0;
  int64_t most_voxels = 1;
  for (const auto& [extent, count] : shapes) most_voxels = std::max(most_voxels, volume(extent));
  const auto load_seconds = [&](const Extent3& extent) {
    return job.case_load_seconds * static_cast<double>(volume(extent)) /
           static_cast<double>(most_voxels);
  };
  plan.arena_bytes = 0;
  plan.spill_bytes = 0;
  // Samples of one program may have any mix of shapes; the arena is largest when all have the
  // largest, so it is enough to plan each shape with itself.
  const UpdateProgram* largest = nullptr;
  int64_t largest_voxels = 0;
  for (const auto& [extent, count] : shapes) {
    const std::vector<Extent3> extents(static_cast<size_t>(per_program), extent);
    const UpdateProgram& program = programs.update.get(extents);
    case_seconds += static_cast<double>(count) *
                    with_loading(*program.program, per_program, load_seconds(extent), num_threads);
    plan.spill_bytes = std::max(plan.spill_bytes, program.program->spill_bytes);
    const size_t arena_bytes = program.program->arena_bytes;
    if (largest == nullptr || volume(extent) > largest_voxels) {
      largest = &program;
      largest_voxels = volume(extent);
      plan.lower_bound_bytes = program.program->lower_bound_bytes;
      plan.largest = extents;
      const ForwardTotals totals = forward_totals(program);
      plan.flops_per_image = totals.convolution_flops / per_program;
      plan.step_flops =
          checked_multiply(program_convolution_flops(*program.program), batch) / per_program;
      plan.layer_output_bytes =
          checked_multiply(totals.layer_output_elements, 4 * batch) / per_program;
      plan.convolution_output_bytes =
          checked_multiply(totals.convolution_output_elements, 4 * batch) / per_program;
      describe_policies(*program.program, plan);
    }
    plan.arena_bytes = std::max(plan.arena_bytes, arena_bytes);
  }
  if (shapes.size() == 1) {
    // Else an update would wait for their planning, and take bytes that nobody foresaw. Mixes of
    // several shapes are too many to plan beforehand.
    for (const int64_t count : remainders(job)) {
      const std::vector<Extent3> extents(static_cast<size_t>(count), shapes.front().first);
      const Program& program = *programs.update.get(extents).program;
      plan.arena_bytes = std::max(plan.arena_bytes, program.arena_bytes);
      plan.spill_bytes = std::max(plan.spill_bytes, program.spill_bytes);
    }
  }
  if (per_program > 1 && shapes.size() > 1) {
    // Mixed shapes live in fewer bytes than all-largest, but packing may be a little worse.
    plan.arena_bytes += plan.arena_bytes / 32;
  }
  double evaluation_seconds = 0;
  for (const Extent3& extent : job.validation_extents) {
    const InferenceProgram& program = programs.evaluation.get(extent);
    evaluation_seconds += with_loading(*program.program, 1, load_seconds(extent), num_threads);
    plan.arena_bytes = std::max(plan.arena_bytes, program.program->arena_bytes);
    plan.spill_bytes = std::max(plan.spill_bytes, program.program->spill_bytes);
  }
  const auto cases = static_cast<double>(job.train_extents.size());
  const int64_t steps = steps_per_epoch(job);
  plan.step_seconds = case_seconds / cases * static_cast<double>(batch) + plan.update_seconds;
  const double cases_per_epoch =
      job.config.train.steps_per_epoch.has_value() ? static_cast<double>(steps * batch) : cases;
  plan.epoch_seconds = case_seconds / cases * cases_per_epoch +
                       static_cast<double>(steps) * plan.update_seconds +
                       evaluation_seconds / static_cast<double>(job.config.train.evaluate_every);
  plan.total_seconds = plan.epoch_seconds * static_cast<double>(job.config.train.epochs);
}

InferenceSpec evaluation_spec(const JobSpec& job) {
  InferenceSpec spec;
  spec.target = job.task.target;
  spec.loss = job.loss;
  return spec;
}

}  // namespace

JobPrograms::JobPrograms(const JobSpec& job, const PlanSpec& spec, const TimeModel& time)
    : update(job.network, job.loss, spec, time),
      evaluation(job.network, evaluation_spec(job), spec, time),
      copy_bytes_per_second(time.copy_bytes_per_second),
      peak_flops_per_second(time.peak_flops_per_second) {}

void JobPrograms::set_arena_budget(size_t bytes) {
  update.set_arena_budget(bytes);
  evaluation.set_arena_budget(bytes);
}

void JobPrograms::keep_arena_budget(size_t bytes) {
  update.keep_arena_budget(bytes);
  evaluation.keep_arena_budget(bytes);
}

PlanSpec plan_spec_from_config(const RunConfig& config, int num_threads) {
  PlanSpec spec;
  spec.target = target_with(config.train.kernels);
  spec.num_threads = num_threads;
  spec.spill = config.memory.spill.has_value();
  if (config.memory.half) spec.half = {make_to_bfloat16(), make_from_bfloat16()};
  return spec;
}

JobPlan plan_job(const JobSpec& job, JobPrograms& programs, int num_threads, size_t budget_bytes) {
  JobPlan plan;
  plan.budget_bytes = budget_bytes;
  const ShapeCounts shapes = count_shapes(job.train_extents);
  const std::vector<ParameterSpec> parameters = programs.update.parameters(shapes.front().first);
  WM_CHECK(!parameters.empty(), "a network has parameters");
  plan.parameters = ParameterStore::counts(parameters).total;
  const GradientFold fold(update_batch(job), job.config.train.sum_groups);
  plan.blocks = {fold.num_slots(), num_optimiser_states(job.config.train.optimizer), fold.batch()};
  plan.finish_seconds = finish_seconds(fold, parameters, programs);
  plan.update_seconds =
      update_seconds(job, fold, parameters, programs.copy_bytes_per_second) + plan.finish_seconds;

  // What planning itself leaves on the heap is known only afterwards, so the arena's share of the
  // budget may have to be lowered a little and the plan made again.
  size_t arena_budget = SIZE_MAX;
  for (int attempt = 0; attempt < kBudgetAttempts; ++attempt) {
    if (budget_bytes != SIZE_MAX) {
      const size_t beside =
          memory_beside_arena(job, parameters, plan.blocks, num_threads).peak_bytes();
      const size_t left = budget_bytes - std::min(budget_bytes, beside + kPlanningBytes);
      arena_budget = std::min(left / kHugePageBytes * kHugePageBytes,
                              attempt == 0 ? SIZE_MAX : arena_budget - arena_budget / 256);
    }
    programs.set_arena_budget(arena_budget);
    plan_programs(job, shapes, programs, num_threads, plan);
    plan.memory = memory_beside_arena(job, parameters, plan.blocks, num_threads);
    plan.memory.arena_bytes = whole_pages(plan.arena_bytes);
    const bool smallest = plan.arena_bytes > arena_budget;
    if (plan.memory.peak_bytes() <= budget_bytes || smallest) break;
  }
  // Mixes of shapes that are planned later have to fit the arena that is mapped now.
  programs.keep_arena_budget(plan.arena_bytes);
  return plan;
}

size_t memory_budget_bytes(const RunConfig& config, const std::string& flag) {
  if (!flag.empty()) {
    return parse_bytes(flag);
  }
  return config.memory.budget_bytes().value_or(available_memory_bytes());
}

void check_budget(const JobPlan& plan) {
  const size_t need = plan.memory.peak_bytes();
  if (need <= plan.budget_bytes) {
    return;
  }
  std::vector<std::pair<size_t, std::string>> items = {
      {plan.memory.arena_bytes, "activations, gradients and scratch"},
      {plan.memory.parameter_bytes, "parameters"},
      {plan.memory.gradient_bytes, "gradient sums"},
      {plan.memory.optimiser_bytes, "optimiser state"},
      {plan.memory.data_bytes, "data staging"},
      {plan.memory.baseline_bytes + plan.memory.reserve_bytes, "the program itself"}};
  std::sort(items.rbegin(), items.rend());
  std::string list;
  for (size_t i = 0; i < 3; ++i) {
    list += (i == 0 ? "" : ", ") + items[i].second + " " + format_bytes(items[i].first);
  }
  const size_t smallest = smallest_budget_bytes(plan);
  const std::string budget = format_bytes(plan.budget_bytes);
  throw MemoryBudgetError(
      "this job needs at least " + format_bytes(need) + " (" + std::to_string(need) +
      " bytes), the memory budget is " + budget + " (" + std::to_string(plan.budget_bytes) +
      " bytes). Largest: " + list + ". The smallest budget that works is " +
      std::to_string(smallest) +
      " bytes; or set memory.spill to a folder on a local disk if it is not set, or use a smaller "
      "data.shape, net.filters or, where samples are joined, train.batch");
}

size_t smallest_budget_bytes(const JobPlan& plan) {
  const auto need = static_cast<int64_t>(plan.memory.peak_bytes());
  return static_cast<size_t>(round_up(need + kBaselineJitterBytes, kBaselineJitterBytes));
}

}  // namespace wholemount
