#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "testing/sanitizers.h"
#include "testing/test_ops.h"
#include "wholemount/base/rng.h"
#include "wholemount/exec/session.h"
#include "wholemount/nets/unet3d.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/bfloat16/bfloat16.h"
#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/ops/pool/max_pool.h"
#include "wholemount/ops/resize/upsample.h"
#include "wholemount/plan/assemble.h"
#include "wholemount/plan/candidates.h"
#include "wholemount/plan/half_storage.h"
#include "wholemount/plan/planner.h"
#include "wholemount/train/update_graph.h"

namespace wholemount {
namespace {

/// Planes of 16 KiB: every tensor of the full size can be streamed.
constexpr Extent3 kExtent{96, 16, 16};

constexpr const char* kPlansOnly = "planning has one thread";

/// A random net: convolutions of one or two earlier values, rectifiers, sums, pooling followed by
/// upsampling. Ends in random projections of its last values, and has its gradients.
struct RandomNet {
  std::shared_ptr<const Graph> graph;
  ValueId image = kNone;
};

RandomNet random_net(uint64_t seed) {
  CounterRng rng(seed, 0, 0, "random net");
  GraphBuilder builder(make_apply());
  RandomNet net;
  net.image = builder.input("image", TensorDesc::activation(1, 16, kExtent));
  std::vector<ValueId> values{net.image};
  const auto any = [&] {
    // Mostly recent ones, now and then an old one: chains with skips.
    const size_t back = rng.next_below(3) == 0 ? values.size() : std::min<size_t>(values.size(), 2);
    return values[values.size() - 1 - rng.next_below(back)];
  };
  ConvSpec spec;
  spec.c_out = 16;
  const uint64_t layers = 4 + rng.next_below(6);
  for (uint64_t layer = 0; layer < layers; ++layer) {
    builder.next_layer();
    const std::string name = "n" + std::to_string(layer);
    switch (layer == 0 ? 0 : rng.next_below(5)) {
      case 0:
      case 1: {
        std::vector<ValueId> inputs{any()};
        if (const ValueId second = any(); second != inputs.front()) inputs.push_back(second);
        values.push_back(conv(builder, spec, inputs, name));
        break;
      }
      case 2:
        values.push_back(activation(builder, 0.25F, values.back(), name));
        break;
      case 3:
        values.push_back(add(builder, any(), values.back(), name));
        break;
      default: {
        const ValueId pooled =
            max_pool(builder, {{2, 2, 2}, {2, 2, 2}, {0, 0, 0}}, values.back(), name);
        builder.next_layer();
        values.push_back(
            upsample(builder, {{2, 2, 2}, UpsampleMode::nearest}, pooled, name + ".up"));
      }
    }
  }
  builder.next_layer();
  const ValueId last = conv(builder, spec, std::array{values.back(), values[1]}, "last");
  const ValueId loss = builder.add(make_projection(seed), {last}, "loss").front();
  differentiate(builder, {loss}, make_add());
  net.graph = std::make_shared<const Graph>(builder.finish());
  return net;
}

std::vector<float> random_image(const TensorDesc& desc) {
  std::vector<float> image(static_cast<size_t>(desc.storage_elements()));
  CounterRng rng(7, 0, 0, "image");
  for (float& x : image) x = static_cast<float>(rng.next_normal());
  return image;
}

/// The gradient sums after one run, byte for byte.
std::vector<float> gradients_of(const Graph& graph, RunSpec run, const Program& program,
                                ThreadPool& pool) {
  const GradientFold fold(1, 1);
  ParameterStore store(graph.parameters, {fold.num_slots(), 0});
  store.initialise(1, pool);
  Session session(pool, store, program.arena_bytes, ::testing::TempDir(), program.spill_bytes);
  run.fold = &fold;
  session.run(program, run);
  session.run(program, run);  // what the first run left in arena and file must not matter
  const std::span<float> gradients = store.gradients(0);
  return {gradients.begin(), gradients.end()};
}

std::vector<float> gradients_of(const RandomNet& net, const Program& program, ThreadPool& pool) {
  std::vector<float> image = random_image(net.graph->value(net.image).desc);
  RunSpec run;
  run.inputs = {{net.image, reinterpret_cast<std::byte*>(image.data())}};
  return gradients_of(*net.graph, run, program, pool);
}

/// Of one image whose target is where it is positive.
std::vector<float> gradients_of(const UpdateGraph& update, const Program& program,
                                ThreadPool& pool) {
  std::vector<float> image = random_image(update.graph->value(update.images.front()).desc);
  std::vector<uint8_t> target(update.graph->value(update.targets.front()).desc.bytes());
  for (size_t i = 0; i < target.size(); ++i) target[i] = image[i] > 0 ? 1 : 0;
  RunSpec run;
  run.inputs = {{update.images.front(), reinterpret_cast<std::byte*>(image.data())},
                {update.targets.front(), reinterpret_cast<std::byte*>(target.data())}};
  return gradients_of(*update.graph, run, program, pool);
}

void expect_no_overlap(const Program& program) {
  for (size_t a = 0; a < program.uses.size(); ++a) {
    for (size_t b = a + 1; b < program.uses.size(); ++b) {
      const ArenaUse& p = program.uses[a];
      const ArenaUse& q = program.uses[b];
      const bool steps = p.first_step <= q.last_step && q.first_step <= p.last_step;
      const bool bytes = p.offset < q.offset + q.bytes && q.offset < p.offset + p.bytes;
      ASSERT_FALSE(steps && bytes) << p.name << " and " << q.name;
    }
  }
}

PlanSpec spec_with(bool recompute, bool spill) {
  PlanSpec spec;
  spec.num_threads = 2;
  spec.recompute = recompute;
  spec.spill = spill;
  spec.smallest_moved_bytes = size_t{16} << 10;
  return spec;
}

class MemoryPolicies : public testing::TestWithParam<uint64_t> {};

TEST_P(MemoryPolicies, keep_the_bits_and_the_budget_of_a_random_net) {
  const RandomNet net = random_net(GetParam());
  const TimeModel time = default_time_model(2);
  ThreadPool pool(2);
  const auto unlimited = plan(net.graph, spec_with(true, true), time);
  const std::vector<float> expected = gradients_of(net, *unlimited, pool);
  for (const auto& [recompute, spill] : {std::pair{true, false}, {false, true}, {true, true}}) {
    PlanSpec spec = spec_with(recompute, spill);
    spec.arena_budget_bytes = 0;
    const size_t floor = plan(net.graph, spec, time)->arena_bytes;
    EXPECT_LE(floor, unlimited->arena_bytes);
    for (const size_t part : {0, 1, 3}) {
      spec.arena_budget_bytes = floor + (unlimited->arena_bytes - floor) * part / 4;
      const auto program = plan(net.graph, spec, time);
      SCOPED_TRACE(std::to_string(spec.arena_budget_bytes) + " bytes, recompute " +
                   std::to_string(static_cast<int>(recompute)) + ", spill " +
                   std::to_string(static_cast<int>(spill)));
      EXPECT_LE(program->arena_bytes, spec.arena_budget_bytes);
      // Scratch is three times a value here, which packs worse than nets do (at most 1.05).
      EXPECT_LE(program->arena_bytes, program->lower_bound_bytes + program->lower_bound_bytes / 8);
      expect_no_overlap(*program);
      EXPECT_EQ(gradients_of(net, *program, pool), expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MemoryPolicies,
                         testing::Range<uint64_t>(0, kThreadSanitizer ? 2 : 8));

/// A search is no proof, so a plan may be a little slower than one with less memory; but one that
/// does not pack must not fall back to the floor's, which takes twice the time.
TEST(MemoryPolicies, a_larger_budget_never_plans_a_much_slower_update) {
  if (kThreadSanitizer) GTEST_SKIP() << kPlansOnly;
  UNet3dSpec net;
  net.filters = 16;
  net.levels = 4;
  net.norm = NormKind::batch;
  SegmentationLossSpec loss;
  loss.target = TargetKind::regions;
  loss.terms = {{LossName::dice, 1.0}};
  constexpr Extent3 kShape{48, 48, 48};
  const UpdateGraph update =
      build_update_graph(unet3d_network(net), loss, std::array{kShape, kShape, kShape, kShape});
  PlanSpec spec = spec_with(true, true);
  const TimeModel time = default_time_model(2);
  const size_t all = plan(update.graph, spec, time)->arena_bytes;
  spec.arena_budget_bytes = 0;
  const size_t floor = plan(update.graph, spec, time)->arena_bytes;
  double fastest = INFINITY;
  constexpr size_t kParts = 16;
  for (size_t part = kParts / 4; part < kParts; ++part) {
    spec.arena_budget_bytes = floor + (all - floor) * part / kParts;
    SCOPED_TRACE(std::to_string(spec.arena_budget_bytes) + " bytes");
    const double seconds = plan(update.graph, spec, time)->seconds;
    EXPECT_LT(seconds, 1.1 * fastest);
    fastest = std::min(fastest, seconds);
  }
}

PlanSpec with_half(PlanSpec spec) {
  spec.half = {make_to_bfloat16(), make_from_bfloat16()};
  return spec;
}

int64_t half_notes(const Program& program) {
  return std::count_if(program.policies.begin(), program.policies.end(),
                       [](const PolicyNote& note) { return note.kind == PolicyNote::Kind::half; });
}

/// |a - b| / |b| in the Euclidean norm.
double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

bool pools(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return node.op->name() == "max_pool"; });
}

class HalfPolicy : public testing::TestWithParam<uint64_t> {};

TEST_P(HalfPolicy, keeps_the_budget_of_a_random_net_and_nearly_its_gradient) {
  const RandomNet net = random_net(GetParam());
  const TimeModel time = default_time_model(2);
  ThreadPool two(2);
  ThreadPool one(1);
  const auto unlimited = plan(net.graph, with_half(spec_with(true, true)), time);
  EXPECT_EQ(half_notes(*unlimited), 0);
  const std::vector<float> expected = gradients_of(net, *unlimited, two);
  // A weight's gradient sums x * g over voxels: with x off by 2^-8 of itself at most, at random,
  // and g not at all, sums of random signs are off by less than that. What is computed again from
  // rounded inputs changes sign where it is within 2^-8 of zero, which turns up to 2^-8 of the
  // gradients at a rectifier on or off: sqrt(2^-8) of the norm. Where the backward pass looks for
  // the maxima of windows again, about 1 in 80 windows of 8 normal numbers has its two largest
  // within 2^-8; their gradients move to the neighbour, which is sqrt(2 / 80) of the norm.
  const auto tolerance = [&](bool recompute) {
    if (pools(*net.graph)) return std::sqrt(2.0 / 80);
    return recompute ? 0x1p-4 : 0x1p-8;
  };
  int64_t halves = 0;
  for (const auto& [recompute, spill] : {std::pair{false, false}, {true, false}, {false, true}}) {
    PlanSpec spec = with_half(spec_with(recompute, spill));
    spec.arena_budget_bytes = 0;
    const size_t floor = plan(net.graph, spec, time)->arena_bytes;
    for (const size_t part : {0, 2}) {
      spec.arena_budget_bytes = floor + (unlimited->arena_bytes - floor) * part / 4;
      const auto program = plan(net.graph, spec, time);
      SCOPED_TRACE(std::to_string(spec.arena_budget_bytes) + " bytes, recompute " +
                   std::to_string(static_cast<int>(recompute)) + ", spill " +
                   std::to_string(static_cast<int>(spill)));
      EXPECT_LE(program->arena_bytes, spec.arena_budget_bytes);
      expect_no_overlap(*program);
      const std::vector<float> found = gradients_of(net, *program, two);
      EXPECT_EQ(gradients_of(net, *program, one), found);
      halves += half_notes(*program);
      if (half_notes(*program) == 0) {
        EXPECT_EQ(found, expected);
      } else {
        EXPECT_LE(relative_difference(found, expected), tolerance(recompute));
      }
    }
  }
  EXPECT_GT(halves, 0);
}

/// Brings values back as drawn: nearly all backward readings of values that have a half from it,
/// some by computing them again, from halves too.
Policies drawn_policies(const Tape& tape, uint64_t seed) {
  CounterRng rng(seed, 0, 0, "policies");
  SearchSpec spec;
  Policies policies;
  for (size_t step = 0; step < tape.num_own_steps; ++step) {
    const auto anchor = static_cast<int32_t>(step);
    for (const ValueId value : tape.steps[step].stored) {
      if (value == kNone) continue;
      const Use use{value, anchor, anchor};
      const Access access = rng.next_below(4) == 0 ? Access::recompute : Access::half;
      if (!tape.steps[step].backward || !allows(tape, spec, use, access) ||
          tape.half_of(value) == nullptr) {
        continue;
      }
      policies.uses[use] = access;
      const int32_t producer = tape.producer[static_cast<size_t>(value)];
      for (const ValueId input : tape.steps[static_cast<size_t>(producer)].stored) {
        const Use repeated{input, producer, anchor};
        if (access == Access::recompute && input != kNone &&
            allows(tape, spec, repeated, Access::half)) {
          policies.uses[repeated] = Access::half;
        }
      }
    }
  }
  return policies;
}

std::shared_ptr<const Program> program_under(const Tape& tape, const Policies& policies) {
  const Schedule schedule = make_schedule(tape, policies);
  StreamCuts cuts(tape);
  const std::optional<Estimate> found = estimate(tape, policies, schedule, {}, cuts);
  return assemble(tape, schedule, *found, 64, false);
}

int64_t steps_of(const Program& program, const std::string& op) {
  return std::count_if(program.steps.begin(), program.steps.end(), [&](const Step& step) {
    return program.graph->nodes[static_cast<size_t>(step.node)].op->name() == op;
  });
}

/// The same policies with halves read as they are, and expanded before every reading.
struct BothWays {
  std::shared_ptr<const Program> direct;
  std::shared_ptr<const Program> expanded;
};

BothWays both_ways(const std::shared_ptr<const Graph>& graph, uint64_t seed) {
  const TimeModel time = default_time_model(2);
  Tape tape = make_tape(graph, {}, 2, time);
  add_half_storage(tape, {make_to_bfloat16(), make_from_bfloat16()}, {}, time, 16 << 10);
  const Policies policies = drawn_policies(tape, seed);
  BothWays programs;
  programs.direct = program_under(tape, policies);
  for (TapeStep& step : tape.steps) step.half_saves.clear();
  programs.expanded = program_under(tape, policies);
  EXPECT_GT(steps_of(*programs.direct, "to_bfloat16"), 0);
  EXPECT_EQ(steps_of(*programs.direct, "to_bfloat16"), steps_of(*programs.expanded, "to_bfloat16"));
  EXPECT_LT(steps_of(*programs.direct, "from_bfloat16"),
            steps_of(*programs.expanded, "from_bfloat16"));
  expect_no_overlap(*programs.direct);
  return programs;
}

TEST_P(HalfPolicy, gives_the_bits_of_expanding_every_value_before_it_is_read) {
  const RandomNet net = random_net(GetParam());
  ThreadPool pool(2);
  const auto [direct, expanded] = both_ways(net.graph, GetParam());
  EXPECT_EQ(gradients_of(net, *direct, pool), gradients_of(net, *expanded, pool));
}

INSTANTIATE_TEST_SUITE_P(Seeds, HalfPolicy, testing::Range<uint64_t>(0, kThreadSanitizer ? 1 : 6));

UpdateGraph u_net_update(int levels, const Extent3& extent) {
  UNet3dSpec net;
  net.filters = 16;
  net.levels = levels;
  SegmentationLossSpec loss;
  loss.target = TargetKind::regions;
  loss.terms = {{LossName::dice, 1.0}};
  return build_update_graph(unet3d_network(net), loss, std::array{extent});
}

TEST(HalfPolicyOfNets, lowers_the_floor_without_a_disk_for_a_small_change_of_the_gradient) {
  if (kThreadSanitizer) GTEST_SKIP() << "random nets have used the policy";
  const UpdateGraph update = u_net_update(4, {48, 48, 48});
  PlanSpec spec = spec_with(true, false);
  spec.arena_budget_bytes = 0;
  const TimeModel time = default_time_model(2);
  const auto exact = plan(update.graph, spec, time);
  const auto half = plan(update.graph, with_half(spec), time);
  EXPECT_LT(half->arena_bytes, exact->arena_bytes);
  EXPECT_GT(half_notes(*half), 0);
  EXPECT_EQ(half_notes(*exact), 0);
  // Whatever the backward pass of a U-Net reads, it reads as bfloat16.
  EXPECT_GT(steps_of(*half, "to_bfloat16"), 0);
  EXPECT_EQ(steps_of(*half, "from_bfloat16"), 0);
  // sqrt(2 / 80): as above, the maxima of windows are looked for again.
  ThreadPool pool(2);
  const std::vector<float> expected = gradients_of(update, *exact, pool);
  const std::vector<float> found = gradients_of(update, *half, pool);
  const double difference = relative_difference(found, expected);
  RecordProperty("relative_difference", std::to_string(difference));
  EXPECT_LE(difference, std::sqrt(2.0 / 80));
  EXPECT_GT(difference, 0);
}

TEST(HalfPolicyOfNets, gives_a_u_net_the_bits_of_expanding_every_value_before_it_is_read) {
  if (kThreadSanitizer) GTEST_SKIP() << "random nets have used the policy";
  // From the second level on, voxels along w are no multiple of a Winograd tile.
  const UpdateGraph update = u_net_update(3, {24, 16, 20});
  ThreadPool pool(2);
  for (const uint64_t seed : {1, 2, 3}) {
    const auto [direct, expanded] = both_ways(update.graph, seed);
    EXPECT_EQ(gradients_of(update, *direct, pool), gradients_of(update, *expanded, pool));
  }
}

/// Without this the test of random nets could pass because nothing is ever moved.
TEST(MemoryPolicies, all_of_them_are_used_by_random_nets) {
  if (kThreadSanitizer) GTEST_SKIP() << kPlansOnly;
  int64_t recomputed = 0;
  int64_t spilled = 0;
  int64_t streamed = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    PlanSpec spec = spec_with(true, true);
    spec.arena_budget_bytes = 0;
    for (const bool spill : {false, true}) {
      spec.spill = spill;
      const auto program = plan(random_net(seed).graph, spec, default_time_model(2));
      for (const PolicyNote& note : program->policies) {
        recomputed += note.kind == PolicyNote::Kind::recompute ? 1 : 0;
        spilled += note.kind == PolicyNote::Kind::spill ? 1 : 0;
        streamed += note.kind == PolicyNote::Kind::stream ? 1 : 0;
      }
    }
  }
  EXPECT_GT(recomputed, 0);
  EXPECT_GT(spilled, 0);
  EXPECT_GT(streamed, 0);
}

}  // namespace
}  // namespace wholemount
