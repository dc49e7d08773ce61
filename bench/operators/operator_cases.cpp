#include "bench/operators/operator_cases.h"

#include "bench/operators/graph_bench.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/ops/elementwise/probabilities.h"
#include "wholemount/ops/loss/segmentation_loss.h"
#include "wholemount/ops/norm/norm.h"
#include "wholemount/ops/pool/average_pool.h"
#include "wholemount/ops/pool/max_pool.h"
#include "wholemount/ops/resize/upsample.h"

namespace wholemount::bench {

namespace {

constexpr Extent3 kLarge{128, 128, 128};
constexpr Extent3 kRagged{112, 112, 112};

ValueId input(GraphBuilder& builder, int64_t channels, const Extent3& extent,
              const std::string& name = "x") {
  return trained_input(builder, name, TensorDesc::activation(1, channels, extent));
}

OperatorCase norm_case(const std::string& text, NormSpec spec, int64_t channels,
                       const Extent3& extent) {
  return {text, [=](GraphBuilder& builder) {
            const ValueId x[] = {input(builder, channels, extent)};
            const ValueId y = norm_activation(builder, spec, x, "norm").front();
            // Applied by itself, which only operators that cannot read through ask for.
            add_backward(builder, y);
            builder.add(make_apply(), {y}, "apply");
          }};
}

OperatorCase concat_case(const std::string& text, std::vector<int64_t> channels,
                         const Extent3& extent) {
  return {text, [=](GraphBuilder& builder) {
            std::vector<ValueId> parts;
            for (const int64_t c : channels) {
              parts.push_back(input(builder, c, extent, "part" + std::to_string(parts.size())));
            }
            add_backward(builder, concat(builder, parts, "concat"));
          }};
}

OperatorCase upsample_case(const std::string& text, UpsampleMode mode, int64_t channels,
                           const Extent3& extent, const Extent3& factor = {2, 2, 2}) {
  return {text, [=](GraphBuilder& builder) {
            add_backward(builder, upsample(builder, {factor, mode},
                                           input(builder, channels, extent), "upsample"));
          }};
}

OperatorCase probability_case(const std::string& text, ProbabilityKind kind, int64_t channels,
                              const Extent3& extent) {
  return {text, [=](GraphBuilder& builder) {
            const ValueId x = input(builder, channels, extent);
            add_backward(builder, probabilities(builder, kind, x, "probabilities"));
            predict_labels(builder, kind, x, "labels");
          }};
}

OperatorCase loss_case(const std::string& text, TargetKind kind, int64_t channels,
                       const Extent3& extent) {
  return {text, [=](GraphBuilder& builder) {
            const ValueId x[] = {input(builder, channels, extent)};
            const ValueId target[] = {
                builder.input("target", TensorDesc::plain(1, 1, extent, DType::u8))};
            SegmentationLossSpec spec;
            spec.target = kind;
            spec.terms.resize(2);
            spec.terms[1].name = kind == TargetKind::regions ? LossName::bce : LossName::ce;
            const auto values = segmentation_loss(builder, spec, x, target, "loss");
            differentiate(builder, {values.losses.front()}, make_add());
          }};
}

template <class MakePool>
OperatorCase pool_case(const std::string& text, int64_t channels, const Extent3& extent,
                       const PoolSpec& spec, MakePool make) {
  return {text, [=](GraphBuilder& builder) {
            add_backward(builder, make(builder, spec, input(builder, channels, extent), "pool"));
          }};
}

}  // namespace

std::vector<OperatorCase> operator_cases() {
  NormSpec batch;
  batch.kind = NormKind::batch;
  NormSpec group;
  group.kind = NormKind::group;
  group.groups = 4;
  const PoolSpec two;
  const PoolSpec flat_two{{1, 2, 2}, {1, 2, 2}, {0, 0, 0}};
  const PoolSpec overlapping{{3, 3, 3}, {2, 2, 2}, {1, 1, 1}};
  std::vector<OperatorCase> cases{
      norm_case("instance norm c16 128^3", {}, 16, kLarge),
      norm_case("instance norm c24 112^3", {}, 24, kRagged),
      norm_case("instance norm c3 160^3", {}, 3, {160, 160, 160}),
      norm_case("batch norm c16 128^3", batch, 16, kLarge),
      norm_case("group norm c24 112^3", group, 24, kRagged),
      {"activation c16 128^3",
       [](GraphBuilder& builder) {
         const ValueId y = activation(builder, 0.0F, input(builder, 16, kLarge), "activation");
         add_backward(builder, y);
       }},
      {"add c16 128^3",
       [](GraphBuilder& builder) {
         add(builder, input(builder, 16, kLarge, "a"), input(builder, 16, kLarge, "b"), "add");
       }},
      concat_case("concat c16+16 128^3", {16, 16}, kLarge),
      concat_case("concat c24+12 112^3", {24, 12}, kRagged),
      concat_case("concat c8+8+8 128^3", {8, 8, 8}, kLarge),
      concat_case("concat c3+16 128^3", {3, 16}, kLarge),
      concat_case("concat c2+2 160^3", {2, 2}, {160, 160, 160}),
      upsample_case("upsample nearest c16 64^3", UpsampleMode::nearest, 16, {64, 64, 64}),
      upsample_case("upsample linear c16 64^3", UpsampleMode::linear, 16, {64, 64, 64}),
      upsample_case("upsample linear c24 56^3", UpsampleMode::linear, 24, {56, 56, 56}),
      upsample_case("upsample linear c3 80^3", UpsampleMode::linear, 3, {80, 80, 80}),
      upsample_case("upsample linear c16 512x512", UpsampleMode::linear, 16, {1, 512, 512},
                    {1, 2, 2}),
      probability_case("softmax c3 128^3", ProbabilityKind::softmax, 3, kLarge),
      probability_case("softmax c14 128^3", ProbabilityKind::softmax, 14, kLarge),
      probability_case("sigmoid c1 160^3", ProbabilityKind::sigmoid, 1, {160, 160, 160}),
      probability_case("sigmoid c3 128^3", ProbabilityKind::sigmoid, 3, kLarge),
      loss_case("loss classes c3 128^3", TargetKind::classes, 3, kLarge),
      loss_case("loss classes c14 128^3", TargetKind::classes, 14, kLarge),
      loss_case("loss regions c1 160^3", TargetKind::regions, 1, {160, 160, 160}),
      loss_case("loss regions c3 128^3", TargetKind::regions, 3, kLarge)};
  const auto pools = [&](const std::string& name, auto make) {
    cases.push_back(pool_case(name + " c16 128^3", 16, kLarge, two, make));
    cases.push_back(pool_case(name + " c24 112^3", 24, kRagged, two, make));
    cases.push_back(pool_case(name + " c16 1024x1280", 16, {1, 1024, 1280}, flat_two, make));
    cases.push_back(pool_case(name + " k3 s2 c16 128^3", 16, kLarge, overlapping, make));
    cases.push_back(pool_case(name + " c3 160^3", 3, {160, 160, 160}, two, make));
  };
  pools("max pool", max_pool);
  // M-CNN's: its first pathway is pooled by 64, the others get images reduced by 2 to 64.
  const PoolSpec flat_64{{1, 64, 64}, {1, 64, 64}, {0, 0, 0}};
  const PoolSpec flat_8{{1, 8, 8}, {1, 8, 8}, {0, 0, 0}};
  cases.push_back(pool_case("max pool k64 c16 1024x1280", 16, {1, 1024, 1280}, flat_64, max_pool));
  cases.push_back(pool_case("max pool k8 c3 1024x1280", 3, {1, 1024, 1280}, flat_8, max_pool));
  pools("average pool", average_pool);
  return cases;
}

std::vector<std::string> direct_convolution_cases() {
  return {"c32 48x48x48 k2 s2 up -> c16",
          "c64 48x48x48 k2 s2 up -> c64",
          "c64 36x60x60 k2 s2 up -> c32",
          "c256 9x15x15 k2 s2 up -> c128",
          "c24 48x48x48 k2 s2 up -> c12",
          "c32 48x48x48 k3 s2 up -> c16",
          "c1 96x96x96 -> c16",
          "c1 96x96x96 -> c24",
          "c4 96x96x96 -> c16",
          "c16 96x96x96 -> c1",
          "c16 96x96x96 -> c3",
          "c16 96x96x96 k1 -> c1",
          "c32 96x96x96 k1 -> c3",
          "c16 96x96x96 k1 -> c16",
          "c64 48x48x48 k1 -> c32",
          "c3 1024x1280 k1x5x5 -> c16",
          "c1 1024x1280 k1x3x3 -> c16",
          "c16 96x96x96 s2 -> c32",
          "c24 96x96x96 s2 -> c40",
          "c16 96x96x96 p2 r2 -> c16",
          "c24 64x64x64 p2 r2 -> c24",
          "c64 32x32x32 p2 r2 -> c64",
          "c16 64x64x64 k5 -> c16",
          "c16 64x64x64 k2 s2 -> c32",
          "c256 6x6x6 -> c256"};
}

}  // namespace wholemount::bench
