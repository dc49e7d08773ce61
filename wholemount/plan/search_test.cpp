#include "wholemount/plan/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "wholemount/base/rng.h"
#include "wholemount/plan/half_storage.h"
#include "wholemount/plan/siblings.h"

namespace wholemount {
namespace {

/// Costs its node's share of time; sizes come from the shapes.
class CostKernel : public Kernel {
 public:
  explicit CostKernel(int64_t flops) : flops_(flops) {}
  [[nodiscard]] std::string name() const override { return "cost"; }
  [[nodiscard]] int64_t flops() const override { return flops_; }
  [[nodiscard]] int64_t traffic_bytes() const override { return 1; }
  [[nodiscard]] int64_t num_tasks(int) const override { return 1; }
  [[nodiscard]] bool streamable() const override { return false; }
  void run(int, int64_t, const KernelArgs&) const override {}
  [[nodiscard]] Box3 input_box(int, int64_t, int) const override { return {}; }
  [[nodiscard]] Box3 output_box(int, int64_t, int) const override { return {}; }

 private:
  int64_t flops_;
};

/// One output of `elements` values; takes `flops` operations.
class CostOp : public Op {
 public:
  CostOp(int64_t elements, int64_t flops) : elements_(elements), flops_(flops) {}
  [[nodiscard]] std::string name() const override { return "cost"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc>) const override {
    return {TensorDesc::plain(1, 1, {1, 1, elements_})};
  }
  [[nodiscard]] Box3 input_region(int, const Box3& box,
                                  std::span<const TensorDesc>) const override {
    return box;
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(const PrepareContext&) const override {
    return std::make_shared<CostKernel>(flops_);
  }

 private:
  int64_t elements_;
  int64_t flops_;
};

/// Gives back its input as another type; takes `flops` operations.
class CostConversion : public CostOp {
 public:
  CostConversion(DType to, int64_t flops) : CostOp(1, flops), to_(to) {}
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    TensorDesc desc = inputs[0];
    desc.dtype = to_;
    return {desc};
  }

 private:
  DType to_;
};

void allow_halves(Tape& tape) {
  const HalfOps ops{std::make_shared<CostConversion>(DType::bf16, 500'000),
                    std::make_shared<CostConversion>(DType::f32, 700'000)};
  add_half_storage(tape, ops, {}, default_time_model(1), 1);
}

/// Lets one step in `one_in` read each of its values as a half, without saving time.
void let_read_halves(Tape& tape, uint64_t one_in, uint64_t seed) {
  CounterRng rng(seed, 0, 0, "readers of halves");
  for (TapeStep& step : tape.steps) {
    if (rng.next_below(one_in) != 0) continue;
    for (const ValueId value : step.stored) {
      const bool half = value != kNone && tape.half_of(value) != nullptr;
      step.half_saves.push_back(half ? 0.0 : TapeStep::kNotFromHalf);
    }
  }
}

/// A chain of forward steps of random sizes and costs whose values are all read again in reverse.
Tape random_tape(uint64_t seed, int layers) {
  CounterRng rng(seed, 0, 0, "search");
  const auto op = [&] {
    return std::make_shared<CostOp>(static_cast<int64_t>(1024 * (1 + rng.next_below(8))),
                                    static_cast<int64_t>(1'000'000 * (1 + rng.next_below(20))));
  };
  GraphBuilder builder(op());
  std::vector<ValueId> values{builder.input("x", TensorDesc::plain(1, 1, {1, 1, 1024}))};
  for (int i = 0; i < layers; ++i) {
    std::vector<ValueId> inputs{values.back()};
    if (i > 1 && rng.next_below(3) == 0) inputs.push_back(values[rng.next_below(values.size())]);
    values.push_back(builder.add(op(), inputs, "f" + std::to_string(i)).front());
  }
  builder.set_pass(Pass::backward);
  ValueId gradient = values.back();
  for (int i = layers; i-- > 0;) {
    gradient =
        builder.add(op(), {gradient, values[static_cast<size_t>(i)]}, "b" + std::to_string(i))
            .front();
  }
  builder.keep(gradient);
  return make_tape(std::make_shared<const Graph>(builder.finish()), {}, 1, default_time_model(1));
}

SearchSpec search_spec(bool recompute, bool spill) {
  SearchSpec spec;
  spec.recompute = recompute;
  spec.spill = spill;
  spec.estimate.disk_read_bytes_per_second = 1e9;
  spec.estimate.disk_write_bytes_per_second = 5e8;
  return spec;
}

/// The least time of all subsets of the backward pass's readings, each kept, recomputed, reloaded
/// or held in half its bytes.
double brute_force_seconds(const Tape& tape, const SearchSpec& spec) {
  std::vector<Use> uses;
  for (size_t step = 0; step < tape.num_own_steps; ++step) {
    for (const ValueId value : tape.steps[step].stored) {
      if (value != kNone && tape.steps[step].backward &&
          !tape.steps[static_cast<size_t>(tape.producer[static_cast<size_t>(value)])].backward) {
        uses.push_back({value, static_cast<int32_t>(step), static_cast<int32_t>(step)});
      }
    }
  }
  StreamCuts cuts(tape);
  double best = 1e300;
  size_t combinations = 1;
  const size_t choices = tape.halves.empty() ? 3 : 4;
  for (size_t i = 0; i < uses.size(); ++i) combinations *= choices;
  for (size_t code = 0; code < combinations; ++code) {
    Policies policies;
    bool allowed = true;
    size_t rest = code;
    for (const Use& use : uses) {
      const size_t choice = rest % choices;
      rest /= choices;
      if (choice == 1) policies.uses[use] = Access::recompute;
      if (choice == 2) policies.uses[use] = Access::reload;
      if (choice == 3) policies.uses[use] = Access::half;
      allowed = allowed && (choice != 1 || spec.recompute) && (choice != 2 || spec.spill);
    }
    if (!allowed) continue;
    const Schedule schedule = make_schedule(tape, policies);
    const auto result = estimate(tape, policies, schedule, spec.estimate, cuts);
    if (result.has_value() && result->peak_bytes <= spec.budget_bytes) {
      best = std::min(best, result->seconds);
    }
  }
  return best;
}

/// Compares at three budgets, and returns what was found for those that can be met.
std::vector<SearchResult> compare_with_brute_force(const Tape& tape, SearchSpec spec) {
  std::vector<SearchResult> results;
  StreamCuts cuts(tape);
  const size_t all = search_policies(tape, spec, cuts).estimate.peak_bytes;
  for (const size_t percent : {90, 75, 60}) {
    SCOPED_TRACE(std::to_string(percent) + " %, recompute " + std::to_string(spec.recompute) +
                 ", spill " + std::to_string(spec.spill));
    spec.budget_bytes = all * percent / 100;
    const double least = brute_force_seconds(tape, spec);
    if (least >= 1e300) continue;
    results.push_back(search_policies(tape, spec, cuts));
    EXPECT_TRUE(results.back().fits);
    EXPECT_LE(results.back().estimate.peak_bytes, spec.budget_bytes);
    EXPECT_LE(results.back().estimate.seconds, 1.05 * least);
  }
  return results;
}

TEST(Search, comes_within_five_per_cent_of_brute_force_on_small_tapes) {
  size_t compared = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Tape tape = random_tape(seed, 6);
    for (const auto& [recompute, spill] : {std::pair{true, false}, {false, true}, {true, true}}) {
      compared += compare_with_brute_force(tape, search_spec(recompute, spill)).size();
    }
  }
  EXPECT_GT(compared, 100);
}

TEST(Search, comes_within_five_per_cent_of_brute_force_with_halves) {
  size_t compared = 0;
  int with_halves = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Tape tape = random_tape(seed, 5);
    allow_halves(tape);
    if (seed % 2 == 1) let_read_halves(tape, 2, seed);
    for (const SearchResult& found : compare_with_brute_force(tape, search_spec(true, false))) {
      ++compared;
      for (const auto& [use, access] : found.policies.uses) {
        with_halves += access == Access::half ? 1 : 0;
      }
    }
  }
  EXPECT_GT(compared, 10);
  EXPECT_GT(with_halves, 10);
}

/// Every backward reading of a value that may be held in half its bytes is of its half.
Policies all_halves(const Tape& tape) {
  Policies policies;
  for (ValueId value = 0; value < static_cast<ValueId>(tape.halves.size()); ++value) {
    if (tape.half_of(value) == nullptr) continue;
    for (const int32_t reader : tape.readers[static_cast<size_t>(value)]) {
      if (tape.steps[static_cast<size_t>(reader)].backward) {
        policies.uses[{value, reader, reader}] = Access::half;
      }
    }
  }
  return policies;
}

TEST(Search, a_half_is_read_as_it_is_by_steps_that_can) {
  Tape tape = random_tape(2, 6);
  allow_halves(tape);
  let_read_halves(tape, 1, 0);
  const Policies policies = all_halves(tape);
  const Schedule schedule = make_schedule(tape, policies);
  size_t read = 0;
  for (const ScheduledStep& step : schedule.steps) {
    EXPECT_FALSE(step.repeated());  // nothing is expanded
    const TapeStep& own = tape.steps[static_cast<size_t>(step.tape_step)];
    for (size_t i = 0; i < step.stored.size(); ++i) {
      if (!step.stored[i].half) continue;
      const Version& version = schedule.versions[static_cast<size_t>(step.stored[i].version)];
      EXPECT_EQ(version.value, tape.half_of(own.stored[i])->value);
      const Use use{own.stored[i], step.tape_step, step.tape_step};
      EXPECT_NE(policies.uses.find(use), policies.uses.end());
      ++read;
    }
  }
  EXPECT_EQ(read, policies.uses.size());
}

TEST(Search, a_half_found_by_a_step_that_cannot_read_it_is_expanded_once) {
  GraphBuilder builder(std::make_shared<CostOp>(1024, 1));
  const auto op = std::make_shared<CostOp>(1024, 1'000'000);
  const ValueId x = builder.input("x", TensorDesc::plain(1, 1, {1, 1, 1024}));
  const ValueId value = builder.add(op, {x}, "value").front();
  ValueId last = builder.add(op, {value}, "last").front();
  builder.set_pass(Pass::backward);
  for (const char* name : {"reads", "cannot", "cannot either", "reads again"}) {
    last = builder.add(op, {last, value}, name).front();
  }
  builder.keep(last);
  Tape tape =
      make_tape(std::make_shared<const Graph>(builder.finish()), {}, 1, default_time_model(1));
  allow_halves(tape);
  constexpr int32_t kReads = 2;
  constexpr int32_t kCannot = 3;
  constexpr int32_t kReadsAgain = 5;
  for (const int32_t step : {kReads, kReadsAgain}) {
    tape.steps[static_cast<size_t>(step)].half_saves = {TapeStep::kNotFromHalf, 0.0};
  }
  // What the first of them finds, the others find: they need no policies of their own.
  Policies policies;
  policies.uses[{value, kReads, kReads}] = Access::half;
  const HalfStorage half = *tape.half_of(value);
  const auto steps_of = [&] {
    std::vector<int32_t> steps;
    for (const ScheduledStep& step : make_schedule(tape, policies).steps) {
      steps.push_back(step.tape_step);
    }
    return steps;
  };
  EXPECT_EQ(steps_of(), (std::vector<int32_t>{0, 1, half.shrink, 2, half.expand, 3, 4, 5}));
  const Schedule schedule = make_schedule(tape, policies);
  EXPECT_TRUE(schedule.steps[3].stored[1].half);
  for (const size_t index : {5, 6, 7}) EXPECT_FALSE(schedule.steps[index].stored[1].half);
  EXPECT_EQ(schedule.versions[static_cast<size_t>(schedule.steps[4].outputs[0].version)].use,
            (Use{value, kCannot, kCannot}));
  // With a policy of its own the last one lets go of what was expanded.
  policies.uses[{value, kReadsAgain, kReadsAgain}] = Access::half;
  EXPECT_EQ(steps_of(), (std::vector<int32_t>{0, 1, half.shrink, 2, half.expand, 3, 4, 5}));
  EXPECT_TRUE(make_schedule(tape, policies).steps[7].stored[1].half);
}

TEST(Search, a_half_is_made_once_after_the_last_forward_reading) {
  Tape tape = random_tape(2, 6);
  allow_halves(tape);
  const Policies policies = all_halves(tape);
  const Schedule schedule = make_schedule(tape, policies);
  int32_t last_own = kNone;
  size_t shrunk = 0;
  size_t expanded = 0;
  for (const ScheduledStep& step : schedule.steps) {
    if (!tape.is_conversion(step.tape_step)) {
      last_own = step.tape_step;
      continue;
    }
    const ValueId written = tape.steps[static_cast<size_t>(step.tape_step)].outputs[0];
    const HalfStorage* half = tape.half_of(written);
    if (half == nullptr) {
      const ValueId value = tape.steps[static_cast<size_t>(step.tape_step)].stored[0];
      EXPECT_EQ(tape.half_of(value)->after, last_own);
      EXPECT_FALSE(tape.steps[static_cast<size_t>(last_own)].backward);
      ++shrunk;
    } else {
      EXPECT_EQ(step.tape_step, half->expand);
      ++expanded;
    }
  }
  EXPECT_GT(shrunk, 3);
  EXPECT_EQ(expanded, policies.uses.size());
}

TEST(Search, a_budget_that_everything_fits_changes_nothing) {
  const Tape tape = random_tape(1, 8);
  StreamCuts cuts(tape);
  const SearchResult found = search_policies(tape, search_spec(true, true), cuts);
  EXPECT_TRUE(found.fits);
  EXPECT_TRUE(found.policies.empty());
}

TEST(Search, an_impossible_budget_is_said_to_be_one) {
  const Tape tape = random_tape(1, 8);
  StreamCuts cuts(tape);
  SearchSpec spec = search_spec(true, true);
  spec.budget_bytes = 1;
  EXPECT_FALSE(search_policies(tape, spec, cuts).fits);
}

TEST(Search, the_floor_is_a_budget_that_is_met) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Tape tape = random_tape(seed, 12);
    StreamCuts cuts(tape);
    SearchSpec spec = search_spec(true, true);
    const size_t all = search_policies(tape, spec, cuts).estimate.peak_bytes;
    spec.budget_bytes = 0;
    const size_t floor = search_floor(tape, spec, cuts).estimate.peak_bytes;
    EXPECT_LT(floor, all);
    // Asked from the floor, a budget in between is met as well, in no more time.
    const double slowest = search_floor(tape, spec, cuts).estimate.seconds;
    spec.budget_bytes = (floor + all) / 2;
    const SearchResult between = search_floor(tape, spec, cuts);
    EXPECT_LE(between.estimate.peak_bytes, spec.budget_bytes);
    EXPECT_LE(between.estimate.seconds, slowest);
  }
}

/// Two samples whose layers are joined by a step that reads both, forward and backward.
Tape joined_tape(int layers) {
  CounterRng rng(1, 0, 0, "joined");
  const auto op = [](int64_t elements) { return std::make_shared<CostOp>(elements, 1'000'000); };
  GraphBuilder builder(op(1), 2);
  std::vector<std::vector<ValueId>> values;
  const auto sample_layer = [&](const std::string& name, auto inputs_of) {
    const auto elements = static_cast<int64_t>(1024 * (1 + rng.next_below(8)));
    std::vector<ValueId> both;
    for (int s = 0; s < 2; ++s) {
      builder.set_sample(s);
      both.push_back(
          builder.add(op(elements), inputs_of(static_cast<size_t>(s)), name + std::to_string(s))
              .front());
    }
    builder.set_sample(kNone);
    builder.add(op(1), both, name + "joined");
    return both;
  };
  values.push_back({});
  for (int s = 0; s < 2; ++s) {
    builder.set_sample(s);
    values[0].push_back(
        builder.input("x" + std::to_string(s), TensorDesc::plain(1, 1, {1, 1, 1024})));
  }
  for (int i = 0; i < layers; ++i) {
    values.push_back(sample_layer(
        "f" + std::to_string(i), [&](size_t s) { return std::vector<ValueId>{values.back()[s]}; }));
  }
  builder.set_pass(Pass::backward);
  std::vector<ValueId> gradient = values.back();
  for (int i = layers; i-- > 0;) {
    const std::vector<ValueId>& own = values[static_cast<size_t>(i)];
    gradient = sample_layer("b" + std::to_string(i), [&](size_t s) {
      return std::vector<ValueId>{gradient[s], own[s]};
    });
  }
  for (const ValueId value : gradient) builder.keep(value);
  return make_tape(std::make_shared<const Graph>(builder.finish()), {}, 1, default_time_model(1));
}

TEST(Siblings, a_change_of_one_sample_has_its_like_in_the_other) {
  const Tape tape = joined_tape(3);
  const Siblings siblings(tape);
  ASSERT_TRUE(siblings.any());
  for (size_t step = 0; step < tape.steps.size(); ++step) {
    const int32_t sample = tape.node_of(step).sample;
    if (sample == kNone) continue;
    for (const ValueId value : tape.steps[step].stored) {
      if (value == kNone) continue;
      const Use use{value, static_cast<int32_t>(step), static_cast<int32_t>(step)};
      const std::vector<Use> family = siblings.of(use);
      ASSERT_EQ(family.size(), 2);
      EXPECT_EQ(family[static_cast<size_t>(sample)], use);
      const Use& other = family[static_cast<size_t>(1 - sample)];
      EXPECT_EQ(tape.node_of(static_cast<size_t>(other.reader)).sample, 1 - sample);
      EXPECT_EQ(tape.bytes[static_cast<size_t>(other.value)],
                tape.bytes[static_cast<size_t>(value)]);
    }
  }
}

TEST(Search, a_joined_batch_meets_its_budget) {
  const Tape tape = joined_tape(8);
  StreamCuts cuts(tape);
  SearchSpec spec = search_spec(true, true);
  const size_t all = search_policies(tape, spec, cuts).estimate.peak_bytes;
  for (const size_t percent : {80, 60, 50}) {
    spec.budget_bytes = all * percent / 100;
    const SearchResult found = search_policies(tape, spec, cuts);
    ASSERT_TRUE(found.fits) << percent << " %";
    EXPECT_LE(found.estimate.peak_bytes, spec.budget_bytes);
    // A budget a little lower, from there on, is met as well.
    SearchSpec lower = spec;
    lower.budget_bytes -= lower.budget_bytes / 16;
    const SearchResult further = continue_search(tape, lower, cuts, found.policies);
    EXPECT_TRUE(!further.fits || further.estimate.peak_bytes <= lower.budget_bytes);
  }
}

}  // namespace
}  // namespace wholemount
