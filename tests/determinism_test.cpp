#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "testing/sanitizers.h"
#include "wholemount/base/rng.h"
#include "wholemount/nets/mcnn.h"
#include "wholemount/nets/unet3d.h"
#include "wholemount/train/optimiser.h"
#include "wholemount/train/update_runner.h"

namespace wholemount {
namespace {

/// A few updates of a small net on synthetic samples of different shapes.
struct SmallRun {
  int threads = 1;
  int64_t micro_batch = 1;
  int64_t batch = 8;
  int64_t sum_groups = 8;
  bool classifier = false;  ///< M-CNN on images of 128x128x3 instead of a U-Net
  bool unshared = false;
  std::optional<NormKind> norm = NormKind::instance;
  bool same_shapes = false;
  /// Memory between the least that works (0) and what keeping everything takes (1).
  double budget = 1;
  bool recompute = true;
  bool spill = false;
};

/// Sets the arena budget to a part of the way from the floor of the programs for `extents` to all.
void set_budget(const SmallRun& c, UpdatePrograms& programs,
                const std::vector<std::vector<Extent3>>& extents) {
  const auto largest = [&](size_t budget) {
    programs.set_arena_budget(budget);
    size_t bytes = 0;
    for (const std::vector<Extent3>& group : extents) {
      bytes = std::max(bytes, programs.get(group).program->arena_bytes);
    }
    return static_cast<double>(bytes);
  };
  const double floor = largest(0);
  const double all = largest(SIZE_MAX);
  EXPECT_LT(floor, 0.95 * all);
  programs.set_arena_budget(static_cast<size_t>(floor + c.budget * (all - floor)));
}

Network network_of(const SmallRun& c) {
  if (c.classifier) {
    McnnSpec net;
    net.classes = 3;
    return mcnn_network(net);
  }
  UNet3dSpec net;
  net.filters = 8;
  net.levels = 3;
  net.norm = c.norm;
  net.out_channels = 3;
  return unet3d_network(net);
}

std::string digest_after_three_updates(const SmallRun& c) {
  SegmentationLossSpec loss;
  loss.target = TargetKind::classes;
  loss.terms = {{LossName::ce, 1.0}};
  if (!c.classifier) loss.terms.push_back({LossName::dice, 1.0});
  ThreadPool pool(c.threads);
  PlanSpec plan_spec;
  plan_spec.num_threads = c.threads;
  plan_spec.unshared = c.unshared;
  plan_spec.recompute = c.recompute;
  plan_spec.spill = c.spill;
  plan_spec.smallest_moved_bytes = size_t{4} << 10;
  UpdatePrograms programs(network_of(c), loss, plan_spec, default_time_model(c.threads));

  std::vector<Extent3> extents;
  std::vector<std::vector<float>> images;
  std::vector<std::vector<uint8_t>> targets;
  for (int64_t s = 0; s < c.batch; ++s) {
    const bool small = !c.same_shapes && s % 3 == 1;
    extents.push_back(c.classifier ? Extent3{1, 128, 128}
                      : small      ? Extent3{12, 20, 16}
                                   : Extent3{16, 12, 24});
    CounterRng rng(5, 0, static_cast<uint64_t>(s), "sample");
    images.emplace_back();
    targets.emplace_back();
    const int64_t labels = c.classifier ? 1 : volume(extents.back());
    const int64_t values_per_label = c.classifier ? 3 * volume(extents.back()) : 1;
    for (int64_t i = 0; i < labels; ++i) {
      const auto label = static_cast<uint8_t>(rng.next_below(3));
      targets.back().push_back(label);
      for (int64_t v = 0; v < values_per_label; ++v) {
        images.back().push_back(static_cast<float>(rng.next_normal()) + static_cast<float>(label));
      }
    }
  }
  const auto micro = static_cast<size_t>(c.micro_batch);
  std::vector<std::vector<Extent3>> groups;
  for (size_t s = 0; s < extents.size(); s += micro) {
    const auto group = std::span(extents).subspan(s, micro);
    groups.emplace_back(group.begin(), group.end());
  }
  if (c.budget < 1) {
    set_budget(c, programs, groups);
  }
  size_t arena_bytes = 0;
  size_t spill_bytes = 0;
  for (const std::vector<Extent3>& group : groups) {
    arena_bytes = std::max(arena_bytes, programs.get(group).program->arena_bytes);
    spill_bytes = std::max(spill_bytes, programs.get(group).program->spill_bytes);
  }
  OptimiserSpec optimiser;
  const GradientFold fold(c.batch, c.sum_groups);
  ParameterStore store(programs.get(std::span(extents).first(micro)).graph.graph->parameters,
                       {fold.num_slots(), num_optimiser_states(optimiser), c.batch});
  store.initialise(3, pool);
  Session session(pool, store, arena_bytes, std::filesystem::current_path().string(), spill_bytes);
  UpdateRunner runner(programs, session, c.sum_groups);
  for (int64_t step = 0; step < 3; ++step) {
    runner.begin(c.batch);
    for (size_t s = 0; s < extents.size(); s += micro) {
      std::vector<BoundSample> samples;
      for (size_t i = s; i < s + micro; ++i) {
        samples.push_back({extents[i], reinterpret_cast<std::byte*>(images[i].data()),
                           reinterpret_cast<std::byte*>(targets[i].data())});
      }
      runner.run(samples);
    }
    UpdateInput input;
    input.update = step + 1;
    input.gradient_scale = 1.0 / static_cast<double>(c.batch);
    input.observations = runner.num_programs();
    const UpdateResult result = update(store, optimiser, input, pool);
    EXPECT_TRUE(result.applied);
    EXPECT_GT(result.gradient_norm, 0.0);
  }
  return store.digest();
}

TEST(Determinism, weights_do_not_depend_on_the_number_of_threads) {
  const std::string one = digest_after_three_updates({.threads = 1});
  for (const int threads : cases_to_run<int>({3, 2, 8}, 1)) {
    EXPECT_EQ(digest_after_three_updates({.threads = threads}), one) << threads << " threads";
  }
}

TEST(Determinism, weights_do_not_depend_on_the_micro_batch) {
  const std::string one = digest_after_three_updates({.threads = 2});
  for (const int64_t micro_batch : cases_to_run<int64_t>({4, 2, 8}, 1)) {
    EXPECT_EQ(digest_after_three_updates({.threads = 2, .micro_batch = micro_batch}), one)
        << "micro-batch " << micro_batch;
  }
}

/// Its dense layer's gradient is summed from factors (ValueKind::gradient_factors).
TEST(Determinism, weights_of_a_classifier_depend_on_neither_threads_nor_micro_batch) {
  const SmallRun first{.batch = 6, .sum_groups = 4, .classifier = true};
  const std::string one = digest_after_three_updates(first);
  for (const auto& [threads, micro_batch] :
       cases_to_run<std::pair<int, int64_t>>({{2, 2}, {3, 1}, {1, 3}}, 1)) {
    SmallRun other = first;
    other.threads = threads;
    other.micro_batch = micro_batch;
    EXPECT_EQ(digest_after_three_updates(other), one)
        << threads << " threads, micro-batch " << micro_batch;
  }
  SmallRun regrouped = first;
  regrouped.sum_groups = 1;
  EXPECT_NE(digest_after_three_updates(regrouped), one);
}

TEST(Determinism, sharing_memory_between_values_changes_no_bits) {
  EXPECT_EQ(digest_after_three_updates({.threads = 2, .unshared = true}),
            digest_after_three_updates({.threads = 2}));
}

TEST(Determinism, batch_norm_over_the_update_does_not_depend_on_threads_or_sharing) {
  SmallRun c{.threads = 1, .micro_batch = 4, .batch = 4, .norm = NormKind::batch};
  const std::string one = digest_after_three_updates(c);
  c.threads = 3;
  EXPECT_EQ(digest_after_three_updates(c), one);
  c.unshared = true;
  EXPECT_EQ(digest_after_three_updates(c), one);
}

TEST(Determinism, weights_do_not_depend_on_the_memory_budget) {
  const std::string unlimited = digest_after_three_updates({.threads = 2, .batch = 4});
  for (const double budget : cases_to_run<double>({0.0, 0.5}, 1)) {
    for (const auto& [recompute, spill] :
         cases_to_run<std::pair<bool, bool>>({{true, true}, {true, false}, {false, true}}, 1)) {
      EXPECT_EQ(
          digest_after_three_updates(
              {.threads = 2, .batch = 4, .budget = budget, .recompute = recompute, .spill = spill}),
          unlimited)
          << "budget " << budget << ", recompute " << recompute << ", spill " << spill;
    }
  }
}

TEST(Determinism, batch_norm_over_the_update_does_not_depend_on_the_memory_budget) {
  SmallRun c{.threads = 2, .micro_batch = 4, .batch = 4, .norm = NormKind::batch};
  const std::string unlimited = digest_after_three_updates(c);
  c.spill = true;
  for (const double budget : cases_to_run<double>({0.0, 0.3}, 1)) {
    c.budget = budget;
    EXPECT_EQ(digest_after_three_updates(c), unlimited) << "budget " << budget;
  }
}

TEST(Determinism, another_batch_split_gives_other_bits) {
  // Guards the tests above: the digest does notice a different sum.
  EXPECT_NE(digest_after_three_updates({.threads = 2, .batch = 8}),
            digest_after_three_updates({.threads = 2, .batch = 7}));
}

}  // namespace
}  // namespace wholemount
