#include "wholemount/ops/conv/candidates.h"

#include <array>
#include <type_traits>

#include "wholemount/ops/conv/deep_winograd_kernel.h"
#include "wholemount/ops/conv/dense_kernels.h"
#include "wholemount/ops/conv/direct_weight_gradient_kernel.h"
#include "wholemount/ops/conv/gemm_correlation_kernel.h"
#include "wholemount/ops/conv/gemm_weight_gradient_kernel.h"
#include "wholemount/ops/conv/head_kernels.h"
#include "wholemount/ops/conv/reference_kernels.h"
#include "wholemount/ops/conv/row_winograd_correlation_kernel.h"
#include "wholemount/ops/conv/row_winograd_weight_gradient_kernel.h"
#include "wholemount/ops/conv/winograd_correlation_kernel.h"
#include "wholemount/ops/conv/winograd_weight_gradient_kernel.h"

namespace wholemount {

namespace {

/// One implementation: why it refuses a problem (empty: it takes it), and how it is made.
template <class Problem>
struct Candidate {
  const char* name;
  std::string (*refusal)(const Problem& problem, const Target& target);
  std::shared_ptr<const Kernel> (*make)(const Problem& problem, const Target& target,
                                        std::string reason);
};

template <class Problem, size_t kCount>
std::shared_ptr<const Kernel> choose(const std::array<Candidate<Problem>, kCount>& candidates,
                                     const Problem& problem, const Target& target) {
  std::string reason;
  for (const Candidate<Problem>& candidate : candidates) {
    const std::string refusal = candidate.refusal(problem, target);
    if (refusal.empty()) {
      return candidate.make(problem, target,
                            reason.empty() ? "first candidate" : "refused: " + reason);
    }
    reason += (reason.empty() ? "" : "; ") + (candidate.name + (": " + refusal));
  }
  throw InternalError("no implementation of " + problem.pass + ": " + reason);
}

template <class Kind, class Problem>
std::string direct_refusal(const Problem& problem, const Target& target) {
  return target.reference ? "reference kernels were asked for" : Kind::refusal(problem);
}

template <class Kind, class Problem>
std::shared_ptr<const Kernel> make_direct(const Problem& problem, const Target& target,
                                          std::string reason) {
  return std::make_shared<Kind>(problem, target.isa, std::move(reason));
}

template <class Kind, class Problem>
std::string winograd_refusal(const Problem& problem, const Target& target) {
  if (target.reference) return "reference kernels were asked for";
  if (target.convolution == Convolution::direct) return "direct kernels were asked for";
  const std::string refusal = Kind::refusal(problem);
  if (!refusal.empty()) return refusal;
  return choose_winograd_tile(Kind::work(problem), target.convolution)
             ? std::string()
             : "direct convolution is estimated to be faster";
}

template <class Kind, class Problem>
std::shared_ptr<const Kernel> make_winograd(const Problem& problem, const Target& target,
                                            std::string reason) {
  const auto tile = choose_winograd_tile(Kind::work(problem), target.convolution);
  return std::make_shared<Kind>(problem, *tile, target.isa, std::move(reason));
}

std::shared_ptr<const Kernel> make_winograd_correlation(const CorrelationProblem& problem,
                                                        const Target& target, std::string reason) {
  const WinogradWork work = WinogradCorrelationKernel::work(problem);
  const WinogradTile tile = *choose_winograd_tile(work, target.convolution);
  if (prefers_deep_winograd(work, tile)) {
    return std::make_shared<DeepWinogradKernel>(problem, tile, target.isa, std::move(reason));
  }
  return std::make_shared<WinogradCorrelationKernel>(problem, tile, target.isa, std::move(reason));
}

template <class Kind, class Problem>
std::string row_winograd_refusal(const Problem& problem, const Target& target) {
  if (target.reference) return "reference kernels were asked for";
  if (target.convolution == Convolution::direct) return "direct kernels were asked for";
  const std::string refusal = Kind::refusal(problem);
  if (!refusal.empty()) return refusal;
  return Kind::tile(problem, target.convolution) ? std::string()
                                                 : "direct convolution is estimated to be faster";
}

template <class Kind, class Problem>
std::shared_ptr<const Kernel> make_row_winograd(const Problem& problem, const Target& target,
                                                std::string reason) {
  return std::make_shared<Kind>(problem, *Kind::tile(problem, target.convolution), target.isa,
                                std::move(reason));
}

/// What is wanted beyond the plain result; empty: nothing.
template <class Problem>
std::string extras_refusal(const Problem& problem) {
  if constexpr (std::is_same_v<Problem, CorrelationProblem>) {
    if (problem.rectified_input >= 0) return "does not rectify its result";
    if (problem.moments_output >= 0) return "does not sum the moments of its result";
  }
  return {};
}

/// For kernels that write their results as they are.
template <class Problem>
std::string plain_refusal(const Problem& problem, const Target& target,
                          std::string (*refusal)(const Problem&)) {
  if (target.reference) return "reference kernels were asked for";
  const std::string extras = extras_refusal(problem);
  return extras.empty() ? refusal(problem) : extras;
}

template <class Problem>
std::string dense_candidate_refusal(const Problem& problem, const Target& target) {
  return plain_refusal<Problem>(problem, target, dense_refusal);
}

template <class Problem>
std::string head_candidate_refusal(const Problem& problem, const Target& target) {
  return plain_refusal<Problem>(problem, target, head_refusal);
}

std::string gemm_candidate_refusal(const CorrelationProblem& problem, const Target& target) {
  return plain_refusal<CorrelationProblem>(problem, target, GemmCorrelationKernel::refusal);
}

std::string element_refusal(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64
             ? std::string()
             : "takes float32 and float64, not " + std::string(dtype_name(dtype));
}

}  // namespace

std::shared_ptr<const Kernel> choose_correlation(const CorrelationProblem& problem,
                                                 const Target& target) {
  using C = Candidate<CorrelationProblem>;
  static constexpr std::array<C, 7> kCandidates{
      C{"dense", dense_candidate_refusal<CorrelationProblem>,
        [](const CorrelationProblem& p, const Target& t, std::string reason) {
          return make_dense_correlation(p, t.isa, std::move(reason));
        }},
      C{"winograd", winograd_refusal<WinogradCorrelationKernel, CorrelationProblem>,
        make_winograd_correlation},
      C{"row_winograd", row_winograd_refusal<RowWinogradCorrelationKernel, CorrelationProblem>,
        make_row_winograd<RowWinogradCorrelationKernel, CorrelationProblem>},
      C{"head", head_candidate_refusal<CorrelationProblem>,
        [](const CorrelationProblem& p, const Target& t, std::string reason) {
          return make_head_correlation(p, t.isa, std::move(reason));
        }},
      C{"gemm", gemm_candidate_refusal, make_direct<GemmCorrelationKernel, CorrelationProblem>},
      C{"direct", direct_refusal<CorrelationKernel, CorrelationProblem>,
        make_direct<CorrelationKernel, CorrelationProblem>},
      C{"reference",
        [](const CorrelationProblem& p, const Target&) { return element_refusal(p.weights.dtype); },
        [](const CorrelationProblem& p, const Target&, std::string reason) {
          return make_reference_correlation(p, std::move(reason));
        }}};
  return choose(kCandidates, problem, target);
}

std::shared_ptr<const Kernel> choose_weight_gradient(const WeightGradientProblem& problem,
                                                     const Target& target) {
  using C = Candidate<WeightGradientProblem>;
  static constexpr std::array<C, 7> kCandidates{
      C{"dense", dense_candidate_refusal<WeightGradientProblem>,
        [](const WeightGradientProblem& p, const Target& t, std::string reason) {
          return make_dense_weight_gradient(p, t.isa, std::move(reason));
        }},
      C{"winograd", winograd_refusal<WinogradWeightGradientKernel, WeightGradientProblem>,
        make_winograd<WinogradWeightGradientKernel, WeightGradientProblem>},
      C{"row_winograd",
        row_winograd_refusal<RowWinogradWeightGradientKernel, WeightGradientProblem>,
        make_row_winograd<RowWinogradWeightGradientKernel, WeightGradientProblem>},
      C{"head", head_candidate_refusal<WeightGradientProblem>,
        [](const WeightGradientProblem& p, const Target& t, std::string reason) {
          return make_head_weight_gradient(p, t.isa, std::move(reason));
        }},
      C{"gemm", direct_refusal<GemmWeightGradientKernel, WeightGradientProblem>,
        make_direct<GemmWeightGradientKernel, WeightGradientProblem>},
      C{"direct", direct_refusal<DirectWeightGradientKernel, WeightGradientProblem>,
        make_direct<DirectWeightGradientKernel, WeightGradientProblem>},
      C{"reference",
        [](const WeightGradientProblem& p, const Target&) {
          return element_refusal(p.weights.dtype);
        },
        [](const WeightGradientProblem& p, const Target&, std::string reason) {
          return make_reference_weight_gradient(p, std::move(reason));
        }}};
  return choose(kCandidates, problem, target);
}

}  // namespace wholemount
