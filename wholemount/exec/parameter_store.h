#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/exec/gradient_fold.h"
#include "wholemount/graph/graph.h"
#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// How many blocks a ParameterStore owns beside the values.
struct ParameterBlocks {
  int32_t gradient_slots = 0;    ///< see GradientFold::num_slots; 0 for inference
  int32_t optimiser_states = 0;  ///< see num_optimiser_states
  /// Samples whose factors are held, of factored parameters: the batch, or 0 without gradients.
  int64_t factor_samples = 0;
};

/// Memory of a ParameterStore, all of which training writes.
struct ParameterBytes {
  size_t values = 0;
  size_t gradients = 0;  ///< all slots, and factors
  size_t optimiser_state = 0;
  [[nodiscard]] size_t total() const { return values + gradients + optimiser_state; }
};

/// Elements, without the padding between parameters.
struct ParameterCounts {
  int64_t total = 0;      ///< moving statistics included
  int64_t trainable = 0;  ///< without moving statistics
};

/// A run of elements of one parameter: the unit of work of everything that goes over parameters.
/// Cut by the parameters' sizes alone, so results never depend on threads.
struct ParameterRange {
  int32_t parameter = 0;
  int64_t begin = 0;  ///< first element, counted within a block (not within the parameter)
  int64_t count = 0;
};

/// Weights, moving statistics, gradients and optimiser state of a net.
///
/// Each kind is one page-backed buffer; the buffer of gradients holds `gradient_slots` blocks, that
/// of optimiser state `optimiser_states` blocks. All blocks are laid out alike: parameters in the
/// order of the specs, each starting at a 64-byte boundary, float32, plain; the padding between
/// them is zero. So the same element index means the same parameter element in every block.
/// Exceptions are gradient slots other than 0: factored parameters (ParameterSpec::factored) have
/// no place there, for their sums are made at once from the factors of all samples.
///
/// Owns all its memory. Concurrent reads are safe; what takes a pool runs on it and must not be
/// called from inside a task.
class ParameterStore {
 public:
  /// Elements of the longest ParameterRange.
  static constexpr int64_t kRangeElements = 16384;

  /// Memory the store will own, without allocating anything. Throws ShapeError on overflow.
  [[nodiscard]] static ParameterBytes bytes(std::span<const ParameterSpec> specs,
                                            const ParameterBlocks& blocks);
  [[nodiscard]] static ParameterCounts counts(std::span<const ParameterSpec> specs);

  /// Allocates; everything is zero. Throws MemoryBudgetError when the mapping is refused. Names
  /// must be unique and descs plain float32 (InternalError otherwise: nets are built by us).
  ParameterStore(std::vector<ParameterSpec> specs, const ParameterBlocks& blocks);

  [[nodiscard]] const std::vector<ParameterSpec>& specs() const { return specs_; }
  [[nodiscard]] const ParameterBlocks& blocks() const { return blocks_; }
  [[nodiscard]] std::optional<int32_t> find(std::string_view name) const;
  /// Indices of the parameters, sorted by name (byte order).
  [[nodiscard]] std::vector<int32_t> name_order() const;

  [[nodiscard]] TensorView value(int32_t parameter) const;
  [[nodiscard]] TensorView gradient(int32_t parameter, int32_t slot) const;
  /// Of a factored parameter: what ValueKind::gradient_factors of the update's sample `sample` is
  /// written to.
  [[nodiscard]] TensorView factors(int32_t parameter, int64_t sample) const;

  // Whole blocks (padding included) as elements; valid as long as the store.
  [[nodiscard]] std::span<float> values() const;
  [[nodiscard]] std::span<float> gradients(int32_t slot) const;
  [[nodiscard]] std::span<float> optimiser_state(int32_t index) const;

  /// The elements of one parameter within a block.
  [[nodiscard]] ParameterRange whole(int32_t parameter) const;
  /// All parameters cut into ranges of at most kRangeElements, in the order of the specs.
  [[nodiscard]] std::span<const ParameterRange> ranges() const { return ranges_; }

  /// Fills the values; gradients and optimiser state are left alone. Every parameter draws from
  /// CounterRng(seed, 0, 0, "init:" + name), so its values depend on seed, name and spec alone:
  /// - he_uniform: uniform in [-limit, limit), limit = sqrt(6 / fan_in)
  /// - he_normal: normal with deviation s / 0.87962566103423978, s = sqrt(2 / fan_in), redrawn
  ///   until within two deviations, so that the truncated distribution has deviation s
  /// - glorot_uniform: uniform with limit = sqrt(6 / (fan_in + fan_out))
  /// (He et al. 2015, Glorot & Bengio 2010, in the form Keras gives them.)
  void initialise(uint64_t seed, ThreadPool& pool);

  /// SHA-256 (hex) of the float32 elements, little endian, of all parameters and moving statistics
  /// in name order.
  [[nodiscard]] std::string digest() const;

  /// gradient(parameter, destination) += gradient(parameter, source), element by element.
  void merge(int32_t parameter, int32_t destination, int32_t source, ThreadPool& pool);

  /// Of every factored parameter: slot 0 = sum over the samples of the fold of
  ///   gradient(r, c) = row(r) * column(c),
  /// each product rounded, added in the fold's order: the bits that adding sample by sample to the
  /// slots would give. Time: 2 * batch operations and one written float for each element.
  void sum_outer_products(const GradientFold& fold, ThreadPool& pool);

  /// Sum of the squares of all trainable gradient elements of a slot, in double, added in a fixed
  /// order: eight interleaved lanes within a range, then range after range.
  [[nodiscard]] double squared_gradient_norm(int32_t slot, ThreadPool& pool) const;

 private:
  [[nodiscard]] int64_t offset(int32_t parameter) const {
    return offsets_[static_cast<size_t>(parameter)];
  }

  std::vector<ParameterSpec> specs_;
  ParameterBlocks blocks_;
  std::vector<int64_t> offsets_;  ///< first element of each parameter, then the block's length
  std::vector<int64_t> summed_offsets_;  ///< the same without factored parameters
  std::vector<int64_t> factor_offsets_;  ///< the same of the factors of one sample
  std::vector<ParameterRange> ranges_;
  std::vector<size_t> first_range_;  ///< by parameter, then the number of ranges
  std::map<std::string, int32_t, std::less<>> index_;
  PageBuffer values_;
  PageBuffer gradients_;  ///< slot 0, the other slots, the factors sample by sample
  PageBuffer optimiser_state_;
};

}  // namespace wholemount
