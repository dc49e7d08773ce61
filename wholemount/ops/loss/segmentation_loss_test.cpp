#include "wholemount/ops/loss/segmentation_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "testing/gradient_check.h"
#include "testing/interpreter.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/tensor/target.h"

namespace wholemount {
namespace {

LossTerm term_of(LossName name, double weight = 1.0, bool pooled = false) {
  LossTerm term;
  term.name = name;
  term.weight = weight;
  term.pooled = pooled;
  return term;
}

// A graph that ends in a loss; one entry of `extents` per sample.
struct LossGraph {
  SegmentationLossSpec spec;
  int64_t channels = 1;
  std::vector<Extent3> extents{{1, 1, 1}};
  DType dtype = DType::f64;

  SegmentationLossValues build(GraphBuilder& builder) const {
    std::vector<ValueId> logits;
    std::vector<ValueId> targets;
    for (size_t i = 0; i < extents.size(); ++i) {
      const std::string index = std::to_string(i);
      logits.push_back(differentiable_input(
          builder, "x" + index, TensorDesc::activation(1, channels, extents[i], dtype)));
      targets.push_back(builder.input("t" + index, TensorDesc::plain(1, 1, extents[i], DType::u8)));
    }
    return segmentation_loss(builder, spec, logits, targets, "loss");
  }
};

// Builds, differentiates and runs a LossGraph on given logits and targets.
struct LossRun {
  LossRun(const LossGraph& description, const std::vector<std::vector<double>>& logits,
          const std::vector<std::vector<double>>& targets) {
    GraphBuilder builder(make_apply(), static_cast<int32_t>(description.extents.size()));
    values = description.build(builder);
    differentiate(builder, values.losses, make_add());
    graph = builder.finish();
    Interpreter run(graph);
    for (size_t i = 0; i < logits.size(); ++i) {
      run.set(run.find("x" + std::to_string(i)), logits[i]);
      run.set(run.find("t" + std::to_string(i)), targets[i]);
    }
    run.run();
    for (const ValueId loss : values.losses) {
      losses.push_back(run.get(loss).front());
      for (const ValueId sum :
           graph.nodes[static_cast<size_t>(graph.value(loss).producer)].inputs) {
        sums.push_back(run.get(sum));
      }
    }
    for (const ValueId count : values.counts) {
      counts.push_back(run.get(count));
    }
    for (size_t i = 0; i < logits.size(); ++i) {
      const ValueId x = run.find("x" + std::to_string(i));
      gradients.push_back(run.parameter_gradient(graph.value(x).parameter));
    }
  }
  Graph graph;
  SegmentationLossValues values;
  std::vector<double> losses;
  std::vector<std::vector<double>> sums;  // SegmentationSumRow, by sample
  std::vector<std::vector<double>> counts;
  std::vector<std::vector<double>> gradients;
};

std::vector<SegmentationLossSpec> regions_specs(bool pooled) {
  LossTerm sharp = term_of(LossName::dice, 1.0, pooled);
  sharp.smooth_numerator = 0.0;
  sharp.smooth_denominator = 1e-4;
  LossTerm paper = term_of(LossName::log_dice, 0.7, pooled);
  paper.smooth_numerator = 0.1;
  paper.smooth_denominator = 0.1;
  const TargetKind kind = TargetKind::regions;
  return {{kind, {term_of(LossName::dice, 1.0, pooled)}},
          {kind, {term_of(LossName::log_dice, 1.0, pooled)}},
          {kind, {term_of(LossName::bce, 2.0, pooled)}},
          {kind, {sharp}},
          {kind, {paper, term_of(LossName::bce, 0.3, pooled)}}};
}

std::vector<SegmentationLossSpec> classes_specs(bool pooled) {
  LossTerm with_background = term_of(LossName::dice, 0.5, pooled);
  with_background.include_background = true;
  LossTerm smoothed = term_of(LossName::ce, 2.0, pooled);
  smoothed.label_smoothing = 0.1;
  const TargetKind kind = TargetKind::classes;
  return {{kind, {term_of(LossName::dice, 1.0, pooled)}},
          {kind, {with_background}},
          {kind, {term_of(LossName::log_dice, 1.0, pooled)}},
          {kind, {term_of(LossName::ce, 2.0, pooled)}},
          {kind, {with_background, term_of(LossName::ce, 1.0, pooled)}},
          {kind, {smoothed}}};
}

// Labels of a sample; with `ignore` every third voxel from the second on is to be ignored.
InputFill labels_of(const LossGraph& description, size_t sample, bool ignore) {
  const TensorDesc target = TensorDesc::plain(1, 1, description.extents[sample], DType::u8);
  const InputFill labels = description.spec.target == TargetKind::regions
                               ? InputFill::bit_masks(description.channels)
                               : InputFill::classes(description.channels);
  std::vector<double> values = fill_values(target, labels, 7 + sample);
  for (size_t i = 1; ignore && i < values.size(); i += 3) {
    values[i] = kIgnoreTarget;
  }
  return InputFill::of(values);
}

void check_gradients(const LossGraph& description, bool ignore) {
  GradientCheckOptions options;
  options.outputs_are_losses = true;
  options.num_samples = static_cast<int32_t>(description.extents.size());
  options.elements_per_parameter = 12;
  for (size_t i = 0; i < description.extents.size(); ++i) {
    options.fills.emplace_back("t" + std::to_string(i), labels_of(description, i, ignore));
  }
  check_gradient([&](GraphBuilder& builder) { return description.build(builder).losses; }, options);
}

TEST(SegmentationLoss, gradients_of_every_term_agree_with_central_differences) {
  for (const bool ignore : {false, true}) {
    for (const int64_t channels : {1, 3, 7}) {
      for (const SegmentationLossSpec& spec : regions_specs(false)) {
        check_gradients({spec, channels, {{2, 3, 4}, {1, 4, 5}}}, ignore);
      }
    }
    for (const int64_t channels : {2, 5, 17}) {
      for (const SegmentationLossSpec& spec : classes_specs(false)) {
        check_gradients({spec, channels, {{2, 3, 4}, {1, 4, 5}}}, ignore);
      }
    }
  }
}

// With one sample pooling changes nothing, so the joint node's gradient can be checked as it is.
TEST(SegmentationLoss, pooled_gradients_agree_with_central_differences) {
  for (const SegmentationLossSpec& spec : regions_specs(true)) {
    check_gradients({spec, 3, {{2, 3, 4}}}, true);
  }
  for (const SegmentationLossSpec& spec : classes_specs(true)) {
    check_gradients({spec, 3, {{2, 3, 4}}}, true);
  }
}

// The joint loss of S samples seeds with S: its gradient is S times the central difference.
TEST(SegmentationLoss, joint_loss_of_two_samples_seeds_its_gradient_with_two) {
  std::vector<SegmentationLossSpec> specs = regions_specs(true);
  SegmentationLossSpec mixture = specs[4];
  mixture.terms[1].pooled = false;
  specs.push_back(mixture);
  std::vector<std::vector<double>> logits{{0.3, -1.2, 2.0, 0.7}, {-0.4, 1.1}};
  const std::vector<std::vector<double>> targets{{1, 0, 1, 0}, {0, 1}};
  for (const SegmentationLossSpec& spec : specs) {
    const LossGraph graph{spec, 1, {{1, 2, 2}, {1, 1, 2}}};
    const LossRun here(graph, logits, targets);
    ASSERT_EQ(here.losses.size(), 1U);
    for (size_t sample = 0; sample < 2; ++sample) {
      for (size_t i = 0; i < logits[sample].size(); ++i) {
        const double h = 1e-5;
        auto moved = logits;
        moved[sample][i] += h;
        const double right = LossRun(graph, moved, targets).losses[0];
        moved[sample][i] -= 2 * h;
        const double left = LossRun(graph, moved, targets).losses[0];
        // Rounding: eps / h = 2e-11; truncation: h^2 f''' / 6 = 2e-11 f'''.
        EXPECT_NEAR(here.gradients[sample][i], 2.0 * (right - left) / (2 * h), 1e-9);
      }
    }
  }
}

TEST(SegmentationLoss, worked_numbers) {
  const SegmentationLossSpec dice{TargetKind::regions, {term_of(LossName::dice)}};
  EXPECT_NEAR(LossRun({dice}, {{0}}, {{1}}).losses[0], 0.2, 1e-15);
  const SegmentationLossSpec log_dice{TargetKind::regions, {term_of(LossName::log_dice)}};
  EXPECT_NEAR(LossRun({log_dice}, {{0}}, {{1}}).losses[0], std::log(2.5 / 3.0), 1e-15);
  const SegmentationLossSpec bce{TargetKind::regions, {term_of(LossName::bce)}};
  EXPECT_NEAR(LossRun({bce}, {{0}}, {{1}}).losses[0], std::log(2.0), 1e-15);
  const SegmentationLossSpec ce{TargetKind::classes, {term_of(LossName::ce, 3.0)}};
  EXPECT_NEAR(LossRun({ce, 3}, {{0, 0, 0}}, {{2}}).losses[0], 3.0 * std::log(3.0), 1e-15);
  // p = 3/4, 1/4; smoothing 0.2 makes the truth 0.9, 0.1.
  SegmentationLossSpec smoothed = ce;
  smoothed.terms[0].weight = 1.0;
  smoothed.terms[0].label_smoothing = 0.2;
  const LossRun run({smoothed, 2}, {{std::log(3.0), 0}}, {{0}});
  EXPECT_NEAR(run.losses[0], -0.9 * std::log(0.75) - 0.1 * std::log(0.25), 1e-15);
  EXPECT_NEAR(run.gradients[0][0], 0.75 - 0.9, 1e-15);
}

// Paper A: num = mean(I + s), den = mean(T + P + s), loss = -log(2 num) + log(den).
TEST(SegmentationLoss, pooled_log_dice_is_that_of_paper_a) {
  const SegmentationLossSpec spec{TargetKind::regions, {term_of(LossName::log_dice, 1.0, true)}};
  const LossRun run({spec, 1, {{1, 1, 2}, {1, 1, 2}}}, {{0, 100}, {0, -100}}, {{1, 1}, {1, 0}});
  const double num = ((1.5 + 1.0) + (0.5 + 1.0)) / 2.0;
  const double den = ((2.0 + 1.5 + 1.0) + (1.0 + 0.5 + 1.0)) / 2.0;
  EXPECT_NEAR(run.losses[0], -std::log(2.0 * num) + std::log(den), 1e-14);
}

TEST(SegmentationLoss, empty_truth_and_prediction_stay_finite) {
  LossTerm bare = term_of(LossName::dice);
  bare.smooth_numerator = 0.0;
  bare.smooth_denominator = 0.0;
  // exp(-1000) underflows to a probability of 0: 0 / 0 counts as agreement.
  const LossRun agreed({{TargetKind::regions, {bare}}}, {{-1000}}, {{0}});
  EXPECT_EQ(agreed.losses[0], 0.0);
  EXPECT_EQ(agreed.gradients[0][0], 0.0);
  // Paper A: an all-empty sample gives -log 2.
  const LossRun paper({{TargetKind::regions, {term_of(LossName::log_dice)}}}, {{-1000}}, {{0}});
  EXPECT_NEAR(paper.losses[0], -std::log(2.0), 1e-15);
}

// log_dice and unequal smoothing would otherwise make a loss of the smoothing alone.
TEST(SegmentationLoss, sample_with_nothing_valid_has_loss_0_and_gradient_0) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const bool pooled : {false, true}) {
      std::vector<SegmentationLossSpec> specs = regions_specs(pooled);
      const std::vector<SegmentationLossSpec> more = classes_specs(pooled);
      specs.insert(specs.end(), more.begin(), more.end());
      for (const SegmentationLossSpec& spec : specs) {
        const LossRun none({spec, 2, {{1, 1, 3}}, dtype}, {{3, -1, 2, 0.5, 1, -4}},
                           {std::vector<double>(3, kIgnoreTarget)});
        EXPECT_EQ(none.losses[0], 0.0);
        EXPECT_EQ(none.gradients[0], std::vector<double>(6, 0.0));
        EXPECT_EQ(none.counts[0], std::vector<double>(8, 0.0));
      }
    }
  }
}

// A joint loss is a mean over the samples: beside an empty one, terms that are not pooled count
// half, and seeded with 2 the gradient is that of the full sample alone.
TEST(SegmentationLoss, empty_sample_adds_nothing_to_a_joint_loss) {
  const LossTerm nothing = term_of(LossName::bce, 0.0, true);
  const TargetKind kind = TargetKind::regions;
  const std::vector<double> x{0.3, -1.2};
  const std::vector<double> t{1, 0};
  for (const LossName name : {LossName::dice, LossName::log_dice, LossName::bce}) {
    LossTerm term = term_of(name);
    term.smooth_numerator = 0.5;
    const LossRun alone({{kind, {term}}, 1, {{1, 1, 2}}}, {x}, {t});
    const LossRun joint({{kind, {term, nothing}}, 1, {{1, 1, 2}, {1, 1, 1}}}, {x, {2}},
                        {t, {kIgnoreTarget}});
    EXPECT_NEAR(joint.losses[0], alone.losses[0] / 2.0, 1e-15);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(joint.gradients[0][i], alone.gradients[0][i], 1e-15);
    }
    EXPECT_EQ(joint.gradients[1][0], 0.0);
  }
}

// A sample of 2x3 voxels, and the same inside 3x4x21 voxels of which the rest is to be ignored.
void check_padding(const SegmentationLossSpec& spec, int64_t channels, DType dtype) {
  const LossGraph cropped{spec, channels, {{1, 2, 3}}, dtype};
  const LossGraph padded{spec, channels, {{3, 4, 21}}, dtype};
  const TensorDesc logits = TensorDesc::activation(1, channels, {1, 2, 3}, dtype);
  const std::vector<double> x = fill_values(logits, InputFill::uniform(-3.0, 3.0), 11);
  const std::vector<double> t =
      fill_values(TensorDesc::plain(1, 1, {1, 2, 3}, DType::u8),
                  spec.target == TargetKind::regions ? InputFill::bit_masks(channels)
                                                     : InputFill::classes(channels),
                  12);
  const auto voxels = size_t{3} * 4 * 21;
  const auto place = [](size_t i) { return 84 + 21 * (i / 3 + 1) + i % 3 + 15; };
  std::vector<double> padded_x(static_cast<size_t>(channels) * voxels, 7.0);
  std::vector<double> padded_t(voxels, kIgnoreTarget);
  for (size_t i = 0; i < 6; ++i) {
    padded_t[place(i)] = t[i];
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
      padded_x[c * voxels + place(i)] = x[c * 6 + i];
    }
  }
  const LossRun small(cropped, {x}, {t});
  const LossRun large(padded, {padded_x}, {padded_t});
  // Voxels fall into other lanes: rounding of a few terms.
  const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
  EXPECT_NEAR(small.losses[0], large.losses[0], tolerance);
  EXPECT_EQ(small.counts[0], large.counts[0]);
  ASSERT_EQ(small.sums[0].size(), large.sums[0].size());
  for (size_t i = 0; i < small.sums[0].size(); ++i) {
    // A sum of at most six terms of at most 10 (entropies of logits up to 3 are below 10).
    EXPECT_NEAR(small.sums[0][i], large.sums[0][i], 10 * tolerance);
  }
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    std::vector<double> wanted(voxels, 0.0);
    for (size_t i = 0; i < 6; ++i) {
      wanted[place(i)] = small.gradients[0][c * 6 + i];
    }
    for (size_t i = 0; i < voxels; ++i) {
      const bool is_ignored = padded_t[i] == kIgnoreTarget;
      EXPECT_NEAR(large.gradients[0][c * voxels + i], wanted[i], is_ignored ? 0.0 : tolerance);
    }
  }
}

TEST(SegmentationLoss, ignored_voxels_change_nothing_and_get_no_gradient) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const SegmentationLossSpec& spec : regions_specs(false)) {
      check_padding(spec, 1, dtype);
      check_padding(spec, 7, dtype);
    }
    for (const SegmentationLossSpec& spec : classes_specs(false)) {
      check_padding(spec, 3, dtype);
    }
  }
}

TEST(SegmentationLoss, counts_decided_voxels) {
  const SegmentationLossSpec regions{TargetKind::regions, {term_of(LossName::dice)}};
  for (const DType dtype : {DType::f32, DType::f64}) {
    // Regions {1}, {0 and 1}, {}, {0}; a logit of 0 is not decided.
    const LossRun run({regions, 2, {{1, 1, 4}}, dtype}, {{1, 2, 0, -1, 5, -5, 5, 0}},
                      {{2, 3, 0, 1}});
    EXPECT_EQ(run.counts[0], (std::vector<double>{1, 1, 2, 2, 2, 2, 4, 4}));
    // Of equal logits the first class wins; a target that is no class is left out.
    const SegmentationLossSpec classes{TargetKind::classes, {term_of(LossName::ce)}};
    const LossRun labels({classes, 2, {{1, 1, 4}}, dtype}, {{1, 2, 0, -1, 1, 3, 5, 9}},
                         {{0, 1, 2, 0}});
    EXPECT_EQ(labels.counts[0], (std::vector<double>{1, 1, 1, 2, 2, 1, 3, 3}));
    EXPECT_EQ(labels.gradients[0][2], 0.0);
    EXPECT_EQ(labels.gradients[0][6], 0.0);
  }
}

TEST(SegmentationLoss, extreme_logits_give_finite_losses_and_gradients) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LossGraph graph{regions_specs(false)[4], 1, {{1, 1, 4}}, dtype};
    const LossRun run(graph, {{1e4, -1e4, 1e4, -1e4}}, {{1, 0, 0, 1}});
    // Two of four voxels cost |x| each; Dice adds at most a few units.
    EXPECT_NEAR(run.losses[0], 0.3 * 5000.0, 2.0);
    for (const double g : run.gradients[0]) {
      EXPECT_TRUE(std::isfinite(g));
    }
    graph = {classes_specs(false)[4], 3, {{1, 1, 1}}, dtype};
    const LossRun wrong(graph, {{1e4, -1e4, 0}}, {{1}});
    EXPECT_NEAR(wrong.losses[0], 2e4, 2.0);
    EXPECT_NEAR(wrong.gradients[0][0], 1.0, 1e-6);
    EXPECT_NEAR(wrong.gradients[0][1], -1.0, 1e-6);
  }
}

TEST(SegmentationLoss, refuses_terms_and_shapes_that_do_not_fit) {
  const auto build = [](const SegmentationLossSpec& spec, int64_t channels) {
    GraphBuilder builder(make_apply());
    LossGraph{spec, channels}.build(builder);
  };
  const auto regions = [](const LossTerm& term) {
    return SegmentationLossSpec{TargetKind::regions, {term}};
  };
  const auto classes = [](const LossTerm& term) {
    return SegmentationLossSpec{TargetKind::classes, {term}};
  };
  EXPECT_NO_THROW(build(regions(term_of(LossName::bce)), 7));
  EXPECT_NO_THROW(build(classes(term_of(LossName::ce)), 255));
  EXPECT_THROW(build(regions(term_of(LossName::ce)), 1), ConfigError);
  EXPECT_THROW(build(classes(term_of(LossName::bce)), 2), ConfigError);
  EXPECT_THROW(build({TargetKind::regions, {}}, 1), ConfigError);
  EXPECT_THROW(build(regions(term_of(LossName::dice)), 8), ShapeError);
  EXPECT_THROW(build(classes(term_of(LossName::ce)), 1), ShapeError);
  EXPECT_THROW(build(classes(term_of(LossName::ce)), 256), ShapeError);
  LossTerm no_smoothing = term_of(LossName::log_dice);
  no_smoothing.smooth_numerator = 0.0;
  EXPECT_THROW(build(regions(no_smoothing), 1), ConfigError);
  GraphBuilder builder(make_apply(), 2);
  EXPECT_THROW(LossGraph{regions(term_of(LossName::dice))}.build(builder), ShapeError);
}

}  // namespace
}  // namespace wholemount
