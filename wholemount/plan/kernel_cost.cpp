#include "wholemount/plan/kernel_cost.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

namespace wholemount {

namespace {

constexpr size_t kTerms = 4;
using Terms = std::array<double, kTerms>;

Terms terms_of(const KernelWork& work) {
  return {work.flops, work.bytes, work.shared_bytes, work.phases};
}

/// The normal equations of sum_i (x_i . c - y_i)^2.
struct NormalEquations {
  std::array<Terms, kTerms> products{};  ///< sum x x^T
  Terms right{};                         ///< sum x y
  double squares = 0;                    ///< sum y^2

  [[nodiscard]] double residual(const Terms& c) const {
    double result = squares;
    for (size_t i = 0; i < kTerms; ++i) {
      result -= 2 * right[i] * c[i];
      for (size_t j = 0; j < kTerms; ++j) result += c[i] * products[i][j] * c[j];
    }
    return result;
  }
};

/// Least squares over the terms of `subset` (bits) alone; nullopt: not determined, or negative.
std::optional<Terms> solve(const NormalEquations& equations, unsigned subset) {
  std::array<size_t, kTerms> used{};
  size_t count = 0;
  for (size_t i = 0; i < kTerms; ++i) {
    if ((subset >> i & 1U) != 0) used[count++] = i;
  }
  std::array<std::array<double, kTerms + 1>, kTerms> rows{};
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j) rows[i][j] = equations.products[used[i]][used[j]];
    rows[i][count] = equations.right[used[i]];
  }
  for (size_t column = 0; column < count; ++column) {
    size_t pivot = column;
    for (size_t i = column + 1; i < count; ++i) {
      if (std::abs(rows[i][column]) > std::abs(rows[pivot][column])) pivot = i;
    }
    std::swap(rows[column], rows[pivot]);
    const double scale = equations.products[used[column]][used[column]];
    if (!(std::abs(rows[column][column]) > 1e-9 * scale)) return std::nullopt;
    for (size_t i = 0; i < count; ++i) {
      if (i == column) continue;
      const double factor = rows[i][column] / rows[column][column];
      for (size_t j = column; j <= count; ++j) rows[i][j] -= factor * rows[column][j];
    }
  }
  Terms result{};
  for (size_t i = 0; i < count; ++i) {
    result[used[i]] = rows[i][count] / rows[i][i];
    if (!(result[used[i]] >= 0)) return std::nullopt;
  }
  return result;
}

}  // namespace

KernelWork work_of(const Kernel& kernel) {
  return {static_cast<double>(kernel.flops()), static_cast<double>(kernel.traffic_bytes()),
          static_cast<double>(kernel.shared_scratch_bytes()),
          static_cast<double>(kernel.num_phases())};
}

double KernelCost::seconds(const KernelWork& work) const {
  return per_flop * work.flops + per_byte * work.bytes + per_shared_byte * work.shared_bytes +
         per_phase * work.phases;
}

KernelCost fit_kernel_cost(std::span<const CostSample> samples) {
  // Terms are scaled to their largest value, or sums of products would span thirty decimals.
  Terms largest{};
  double total = 0;
  for (const CostSample& sample : samples) {
    const Terms terms = terms_of(sample.work);
    for (size_t i = 0; i < kTerms; ++i) largest[i] = std::fmax(largest[i], terms[i]);
    total += sample.seconds;
  }
  NormalEquations equations;
  for (const CostSample& sample : samples) {
    const Terms terms = terms_of(sample.work);
    const double weight = 1.0 / (sample.seconds * total);  // of a squared difference in seconds
    for (size_t i = 0; i < kTerms; ++i) {
      if (largest[i] <= 0) continue;
      for (size_t j = 0; j < kTerms; ++j) {
        if (largest[j] <= 0) continue;
        equations.products[i][j] += weight * terms[i] / largest[i] * terms[j] / largest[j];
      }
      equations.right[i] += weight * terms[i] / largest[i] * sample.seconds;
    }
    equations.squares += weight * sample.seconds * sample.seconds;
  }
  // `squares` is 1, so residuals are squared relative errors: a term must explain 0.5 % to be kept.
  constexpr double kPerTerm = 0.005 * 0.005;
  Terms best{};
  double least = INFINITY;
  for (unsigned subset = 1; subset < 1U << kTerms; ++subset) {
    const std::optional<Terms> solution = solve(equations, subset);
    if (!solution) continue;
    const double cost =
        equations.residual(*solution) + kPerTerm * static_cast<double>(__builtin_popcount(subset));
    if (cost < least) {
      least = cost;
      best = *solution;
    }
  }
  for (size_t i = 0; i < kTerms; ++i) best[i] = largest[i] > 0 ? best[i] / largest[i] : 0.0;
  return {best[0], best[1], best[2], best[3]};
}

}  // namespace wholemount
