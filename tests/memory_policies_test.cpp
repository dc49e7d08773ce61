#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "testing/test_ops.h"
#include "wholemount/base/rng.h"
#include "wholemount/exec/session.h"
#include "wholemount/nets/unet3d.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/ops/pool/max_pool.h"
#include "wholemount/ops/resize/upsample.h"
#include "wholemount/plan/planner.h"
#include "wholemount/train/update_graph.h"

namespace wholemount {
namespace {

/// Planes of 16 KiB: every tensor of the full size can be streamed.
constexpr Extent3 kExtent{96, 16, 16};

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

/// The gradient sums after one run, byte for byte.
std::vector<float> gradients_of(const RandomNet& net, const Program& program, ThreadPool& pool) {
  const GradientFold fold(1, 1);
  ParameterStore store(net.graph->parameters, {fold.num_slots(), 0});
  store.initialise(1, pool);
  Session session(pool, store, program.arena_bytes, ::testing::TempDir(), program.spill_bytes);
  const TensorDesc& desc = net.graph->value(net.image).desc;
  std::vector<float> image(static_cast<size_t>(desc.storage_elements()));
  CounterRng rng(7, 0, 0, "image");
  for (float& x : image) x = static_cast<float>(rng.next_normal());
  RunSpec run;
  run.inputs = {{net.image, reinterpret_cast<std::byte*>(image.data())}};
  run.fold = &fold;
  session.run(program, run);
  session.run(program, run);  // what the first run left in arena and file must not matter
  const std::span<float> gradients = store.gradients(0);
  return {gradients.begin(), gradients.end()};
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

INSTANTIATE_TEST_SUITE_P(Seeds, MemoryPolicies, testing::Range<uint64_t>(0, 8));

/// A search is no proof, so a plan may be a little slower than one with less memory; but one that
/// does not pack must not fall back to the floor's, which takes twice the time.
TEST(MemoryPolicies, a_larger_budget_never_plans_a_much_slower_update) {
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
  constexpr size_t kParts = 24;
  for (size_t part = kParts / 4; part < kParts; ++part) {
    spec.arena_budget_bytes = floor + (all - floor) * part / kParts;
    SCOPED_TRACE(std::to_string(spec.arena_budget_bytes) + " bytes");
    const double seconds = plan(update.graph, spec, time)->seconds;
    EXPECT_LT(seconds, 1.1 * fastest);
    fastest = std::min(fastest, seconds);
  }
}

/// Without this the test of random nets could pass because nothing is ever moved.
TEST(MemoryPolicies, all_of_them_are_used_by_random_nets) {
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
