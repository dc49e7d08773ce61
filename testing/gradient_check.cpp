#include "testing/gradient_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "testing/interpreter.h"
#include "testing/test_ops.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"

namespace wholemount {

ValueId differentiable_input(GraphBuilder& builder, const std::string& name,
                             const TensorDesc& desc) {
  ParameterSpec spec;
  spec.name = name;
  spec.desc = desc;
  return builder.add(make_leaf(), {builder.parameter(spec)}, name + ".leaf").front();
}

ValueId random_projection(GraphBuilder& builder, ValueId y, uint64_t seed,
                          const std::string& name) {
  return builder.add(make_projection(seed), {y}, name).front();
}

namespace {

class GradientCheck {
 public:
  GradientCheck(const Graph& graph, std::vector<ValueId> losses,
                const GradientCheckOptions& options)
      : graph_(graph), losses_(std::move(losses)), options_(options), run_(graph) {
    for (size_t i = 0; i < graph.values.size(); ++i) {
      const Value& value = graph.values[i];
      if (value.kind == ValueKind::input || value.kind == ValueKind::parameter) {
        run_.set(static_cast<ValueId>(i),
                 fill_values(value.desc, fill(value.name), options.seed * 1000 + i));
      }
    }
  }

  void check() {
    run_.run();
    std::vector<std::vector<double>> gradients;
    for (size_t p = 0; p < graph_.parameters.size(); ++p) {
      gradients.push_back(run_.parameter_gradient(static_cast<int32_t>(p)));
    }
    for (size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      if (value.kind != ValueKind::parameter) continue;
      const auto parameter = static_cast<size_t>(value.parameter);
      if (graph_.parameters[parameter].role == ParameterRole::moving_statistic) continue;
      if (gradients[parameter].empty()) {
        ADD_FAILURE() << "parameter " << value.name
                      << " receives no gradient (declare it with differentiable_input, or let its "
                         "operator bind it)";
        continue;
      }
      check_parameter(static_cast<ValueId>(i), gradients[parameter]);
    }
    EXPECT_LE(static_cast<double>(kinks_),
              std::ceil(options_.allowed_kinks * static_cast<double>(elements_)))
        << "of " << elements_ << " elements this many lie at kinks";
  }

 private:
  [[nodiscard]] InputFill fill(const std::string& name) const {
    for (const auto& [known, how] : options_.fills) {
      if (known == name) return how;
    }
    return {};
  }

  /// The sum of the losses with one element of a parameter moved.
  double loss_at(ValueId parameter, std::vector<double>& values, size_t index, double value) {
    const double before = values[index];
    values[index] = value;
    run_.set(parameter, values);
    values[index] = before;
    run_.run(Pass::forward);
    double sum = 0.0;
    for (const ValueId loss : losses_) {
      for (const double part : run_.get(loss)) {
        sum += part;
        magnitude_ = std::max(magnitude_, std::abs(part));
      }
    }
    return sum;
  }

  void check_parameter(ValueId parameter, const std::vector<double>& gradient) {
    std::vector<double> values = run_.get(parameter);
    const auto count = static_cast<int64_t>(values.size());
    const int64_t looked_at = std::min(count, options_.elements_per_parameter);
    double largest = 0.0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    for (int64_t k = 0; k < looked_at; ++k) {
      const auto index = static_cast<size_t>(k * count / looked_at);
      const double x = values[index];
      const double h = options_.step;
      magnitude_ = 0.0;
      const double here = loss_at(parameter, values, index, x);
      const double right = loss_at(parameter, values, index, x + h);
      const double left = loss_at(parameter, values, index, x - h);
      const double far_right = loss_at(parameter, values, index, x + 2 * h);
      const double far_left = loss_at(parameter, values, index, x - 2 * h);
      const double quotient = (right - left) / (2 * h);
      const double truncation = std::abs((far_right - far_left) / (4 * h) - quotient) / 3.0;
      // Partial sums inside the graph are larger than the losses by at most the square root of
      // their number; 1 keeps the bound meaningful for losses near 0.
      const double rounding = std::numeric_limits<double>::epsilon() * std::max(1.0, magnitude_) *
                              std::sqrt(static_cast<double>(count)) / h;
      const double tolerance = 2.0 * truncation + 64.0 * rounding;
      ++elements_;
      // Where the loss is smooth the one-sided quotients differ by h f''; a jump of the slope shows
      // as a difference that does not shrink with h.
      const double jump = std::abs((right - here) - (here - left)) / h;
      const double far_jump = std::abs((far_right - here) - (here - far_left)) / (2 * h);
      const bool kink =
          std::max(jump, far_jump) > 1e-3 * std::max(largest, 1e-3) + 128.0 * rounding;
      if (kink) {
        ++kinks_;
        continue;
      }
      EXPECT_LE(std::abs(gradient[index] - quotient), tolerance)
          << "parameter " << graph_.value(parameter).name << " element " << index
          << " in plain order: gradient " << gradient[index] << ", central difference " << quotient;
      if (::testing::Test::HasNonfatalFailure()) break;
    }
    run_.set(parameter, values);
  }

  const Graph& graph_;
  std::vector<ValueId> losses_;
  const GradientCheckOptions& options_;
  Interpreter run_;
  double magnitude_ = 0.0;
  int64_t elements_ = 0;
  int64_t kinks_ = 0;
};

}  // namespace

void check_gradient(const std::function<std::vector<ValueId>(GraphBuilder&)>& build,
                    const GradientCheckOptions& options) {
  GraphBuilder builder(make_apply(), options.num_samples);
  std::vector<ValueId> losses = build(builder);
  if (!options.outputs_are_losses) {
    for (size_t i = 0; i < losses.size(); ++i) {
      losses[i] = random_projection(builder, losses[i], options.seed + 77 * i,
                                    "projection" + std::to_string(i));
    }
  }
  differentiate(builder, losses, make_add());
  const Graph graph = builder.finish();
  GradientCheck(graph, losses, options).check();
}

}  // namespace wholemount
