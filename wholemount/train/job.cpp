#include "wholemount/train/job.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "wholemount/base/memory.h"
#include "wholemount/nets/unet3d.h"

namespace wholemount {

namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

/// What running adds to the process beside the planned buffers: kernels' code pages, thread stacks,
/// file buffers of checkpoint and log, the allocator's rounding. With it, runs of 0.1 to 4.5 GiB
/// measured 3 to 5 MiB below the predicted peak.
constexpr size_t kReserveBytes = size_t{2} << 20;

size_t whole_pages(size_t bytes) {
  return static_cast<size_t>(
      round_up(static_cast<int64_t>(bytes), static_cast<int64_t>(kHugePageBytes)));
}

std::optional<NormKind> norm_kind(NetNorm norm) {
  switch (norm) {
    case NetNorm::none:
      return std::nullopt;
    case NetNorm::batch:
      return NormKind::batch;
    case NetNorm::instance:
      return NormKind::instance;
    case NetNorm::group:
      return NormKind::group;
  }
  return std::nullopt;
}

LossTerm loss_term(const LossTermConfig& config, TargetKind target) {
  if (config.label_smoothing != 0.0) {
    throw ConfigError(
        "train.loss: label_smoothing belongs to whole-image classification; segmentation "
        "losses take none, leave it out");
  }
  LossTerm term;
  term.weight = config.weight;
  term.pooled = config.pooled;
  term.smooth_numerator = config.smooth[0];
  term.smooth_denominator = config.smooth[1];
  const bool regions = target == TargetKind::regions;
  if (config.name == "dice") {
    term.name = LossName::dice;
  } else if (config.name == "log-dice") {
    term.name = LossName::log_dice;
  } else if (config.name == "bce" && regions) {
    term.name = LossName::bce;
  } else if (config.name == "ce" && !regions) {
    term.name = LossName::ce;
  } else {
    throw ConfigError(
        "train.loss: \"" + config.name + "\" does not fit data.target, which gives " +
        (regions ? "regions (one sigmoid each): use \"bce\"" : "classes (softmax): use \"ce\""));
  }
  return term;
}

/// Sums over the forward nodes of a graph, for the plan's information.
struct ForwardTotals {
  int64_t convolution_flops = 0;
  int64_t layer_output_elements = 0;
  int64_t convolution_output_elements = 0;
};

bool is_convolution(const std::string& op_name) { return op_name.rfind("conv", 0) == 0; }

ForwardTotals forward_totals(const Program& program) {
  ForwardTotals totals;
  const Graph& graph = *program.graph;
  for (const Step& step : program.steps) {
    const Node& node = graph.nodes[static_cast<size_t>(step.node)];
    if (node.pass == Pass::forward && is_convolution(node.op->name())) {
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
    if (is_convolution(node.op->name())) {
      flops = checked_add(flops, step.kernel->flops());
    }
  }
  return flops;
}

/// Stored forward values that some backward node reads.
int64_t kept_values(const Graph& graph) {
  std::vector<bool> kept(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    if (node.pass != Pass::backward) {
      continue;
    }
    for (const ValueId id : node.inputs) {
      if (id == kNone) {
        continue;
      }
      const Value& stored = graph.value(graph.storage(id));
      if (stored.kind == ValueKind::intermediate && stored.producer != kNone &&
          graph.nodes[static_cast<size_t>(stored.producer)].pass == Pass::forward) {
        kept[static_cast<size_t>(graph.storage(id))] = true;
      }
    }
  }
  return std::count(kept.begin(), kept.end(), true);
}

InferenceSpec evaluation_spec(const JobSpec& job) {
  InferenceSpec spec;
  spec.target = job.task.target;
  spec.loss = job.loss;
  return spec;
}

}  // namespace

Network network_from_config(const NetConfig& net, const TaskSpec& task) {
  if (net.kind != NetKind::unet3d) {
    throw ConfigError("net.kind: only \"unet3d\" segments volumes");
  }
  UNet3dSpec spec;
  spec.in_channels = task.in_channels;
  spec.out_channels = static_cast<int64_t>(task.outputs.size());
  spec.filters = net.filters;
  spec.levels = net.levels;
  spec.norm = norm_kind(net.norm);
  spec.groups = net.groups;
  spec.epsilon = static_cast<float>(net.norm_epsilon);
  spec.slope = static_cast<float>(net.slope);
  spec.decoder = net.decoder == DecoderKind::transposed ? UNet3dSpec::Decoder::transposed
                                                        : UNet3dSpec::Decoder::upsample;
  return unet3d_network(spec);
}

SegmentationLossSpec loss_from_config(const TrainConfig& train, const TaskSpec& task) {
  SegmentationLossSpec loss;
  loss.target = task.target;
  if (train.loss.empty()) {
    const bool regions = task.target == TargetKind::regions;
    LossTermConfig dice;
    dice.name = "dice";
    dice.weight = 0.5;
    LossTermConfig entropy;
    entropy.name = regions ? "bce" : "ce";
    entropy.weight = 0.5;
    loss.terms = {loss_term(dice, task.target), loss_term(entropy, task.target)};
    return loss;
  }
  for (const LossTermConfig& term : train.loss) {
    loss.terms.push_back(loss_term(term, task.target));
  }
  return loss;
}

int64_t update_batch(const JobSpec& job) {
  const auto cases = static_cast<int64_t>(job.train_extents.size());
  return std::max<int64_t>(1, std::min(job.config.train.batch, cases));
}

int64_t samples_per_program(const JobSpec& job) {
  const bool pooled = std::any_of(job.loss.terms.begin(), job.loss.terms.end(),
                                  [](const LossTerm& term) { return term.pooled; });
  const bool joins_update =
      pooled || (job.network.joins_samples && job.config.net.norm_over == NormOver::update);
  const int64_t batch = update_batch(job);
  if (joins_update) {
    return batch;
  }
  return std::min(batch, job.config.train.micro_batch.value_or(1));
}

int64_t steps_per_epoch(const JobSpec& job) {
  const auto cases = static_cast<int64_t>(job.train_extents.size());
  return job.config.train.steps_per_epoch.value_or(divide_up(cases, update_batch(job)));
}

JobPrograms::JobPrograms(const JobSpec& job, const PlanSpec& spec, const TimeModel& time)
    : update(job.network, job.loss, spec, time),
      evaluation(job.network, evaluation_spec(job), spec, time) {}

JobPlan plan_job(const JobSpec& job, JobPrograms& programs, int num_threads) {
  JobPlan plan;
  std::vector<std::pair<Extent3, int64_t>> distinct;
  for (const Extent3& extent : job.train_extents) {
    const auto known = std::find_if(distinct.begin(), distinct.end(),
                                    [&](const auto& entry) { return entry.first == extent; });
    if (known == distinct.end()) {
      distinct.emplace_back(extent, 1);
    } else {
      ++known->second;
    }
  }
  WM_CHECK(!distinct.empty(), "a job has training cases");
  const int64_t per_program = samples_per_program(job);
  const int64_t batch = update_batch(job);

  // Samples of one program may have any mix of shapes; the arena is largest when all have the
  // largest, so it is enough to plan each shape with itself.
  double case_seconds = 0;
  const UpdateProgram* largest = nullptr;
  size_t num_parameters = 0;
  std::vector<ParameterSpec> parameters;
  for (const auto& [extent, count] : distinct) {
    const std::vector<Extent3> extents(static_cast<size_t>(per_program), extent);
    const UpdateProgram& program = programs.update.get(extents);
    case_seconds +=
        program.program->seconds / static_cast<double>(per_program) * static_cast<double>(count);
    if (largest == nullptr || program.program->arena_bytes > plan.arena_bytes) {
      largest = &program;
      plan.arena_bytes = program.program->arena_bytes;
      plan.lower_bound_bytes = program.program->lower_bound_bytes;
      plan.largest = extents;
      const ForwardTotals totals = forward_totals(*program.program);
      plan.flops_per_image = totals.convolution_flops / per_program;
      plan.step_flops =
          checked_multiply(program_convolution_flops(*program.program), batch) / per_program;
      plan.layer_output_bytes =
          checked_multiply(totals.layer_output_elements, 4 * batch) / per_program;
      plan.convolution_output_bytes =
          checked_multiply(totals.convolution_output_elements, 4 * batch) / per_program;
      parameters = program.graph.graph->parameters;
      plan.kept_values = kept_values(*program.graph.graph);
      num_parameters = parameters.size();
    }
  }
  WM_CHECK(num_parameters > 0, "a network has parameters");
  if (per_program > 1 && distinct.size() > 1) {
    // Mixed shapes live in fewer bytes than all-largest, but packing may be a little worse.
    plan.arena_bytes += plan.arena_bytes / 32;
  }
  double evaluation_seconds = 0;
  for (const Extent3& extent : job.validation_extents) {
    const InferenceProgram& program = programs.evaluation.get(extent);
    evaluation_seconds += program.program->seconds;
    plan.arena_bytes = std::max(plan.arena_bytes, program.program->arena_bytes);
  }

  const auto cases = static_cast<double>(job.train_extents.size());
  const int64_t steps = steps_per_epoch(job);
  plan.step_seconds = case_seconds / cases * static_cast<double>(batch);
  const double cases_per_epoch =
      job.config.train.steps_per_epoch.has_value() ? static_cast<double>(steps * batch) : cases;
  plan.epoch_seconds = case_seconds / cases * cases_per_epoch +
                       evaluation_seconds / static_cast<double>(job.config.train.evaluate_every);
  plan.total_seconds = plan.epoch_seconds * static_cast<double>(job.config.train.epochs);

  const GradientFold fold(batch, job.config.train.sum_groups);
  plan.blocks = {fold.num_slots(), num_optimiser_states(job.config.train.optimizer)};
  plan.parameters = ParameterStore::counts(parameters).total;
  const ParameterBytes bytes = ParameterStore::bytes(parameters, plan.blocks);
  plan.memory.parameter_bytes = bytes.values;
  plan.memory.gradient_bytes = bytes.gradients;
  plan.memory.optimiser_bytes = bytes.optimiser_state;
  plan.memory.arena_bytes = whole_pages(plan.arena_bytes);
  plan.memory.data_bytes = whole_pages(job.staging_bytes);
  plan.memory.reserve_bytes = kReserveBytes + static_cast<size_t>(num_threads) * (size_t{64} << 10);
  plan.memory.baseline_bytes = process_memory().resident_bytes;
  return plan;
}

size_t memory_budget_bytes(const RunConfig& config, const std::string& flag) {
  if (!flag.empty()) {
    return parse_bytes(flag);
  }
  return config.memory.budget_bytes().value_or(available_memory_bytes());
}

void check_budget(const JobPlan& plan, size_t budget_bytes) {
  const size_t need = plan.memory.peak_bytes();
  if (need <= budget_bytes) {
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
  throw MemoryBudgetError("this job needs " + format_bytes(need) + " (" + std::to_string(need) +
                          " bytes), the memory budget is " + format_bytes(budget_bytes) + " (" +
                          std::to_string(budget_bytes) + " bytes). Largest: " + list +
                          ". The smallest budget that works is " + std::to_string(need) +
                          " bytes; or use a smaller data.shape, net.filters or, where samples are "
                          "joined, train.batch");
}

}  // namespace wholemount
