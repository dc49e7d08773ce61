#include "wholemount/exec/parameter_store.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "wholemount/base/checked.h"
#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"
#include "wholemount/base/sha256.h"
#include "wholemount/exec/inner/outer_product_sum.h"

namespace wholemount {
namespace {

constexpr int64_t kAlignmentElements = 64 / static_cast<int64_t>(sizeof(float));
// Small stores stay on small pages: rounding up to a huge page would cost more than it saves.
constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr size_t kHugePagesFrom = size_t{64} << 20;

bool is_trainable(const ParameterSpec& spec) {
  return spec.role != ParameterRole::moving_statistic;
}

template <class Elements>
std::vector<int64_t> offsets_of(std::span<const ParameterSpec> specs, Elements elements_of) {
  std::vector<int64_t> offsets;
  offsets.reserve(specs.size() + 1);
  int64_t offset = 0;
  for (const ParameterSpec& spec : specs) {
    offsets.push_back(offset);
    offset = checked_add(offset, round_up(elements_of(spec), kAlignmentElements));
  }
  offsets.push_back(offset);
  return offsets;
}

int64_t all_elements(const ParameterSpec& spec) { return spec.desc.num_elements(); }
int64_t summed_elements(const ParameterSpec& spec) {
  return spec.factored ? 0 : spec.desc.num_elements();
}
int64_t factor_elements(const ParameterSpec& spec) {
  return spec.factored ? gradient_factors_desc(spec.desc).num_elements() : 0;
}

size_t buffer_bytes(int64_t elements) {
  const auto bytes = static_cast<size_t>(checked_multiply(elements, sizeof(float)));
  return bytes >= kHugePagesFrom ? (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes
                                 : bytes;
}

PageBuffer map_blocks(size_t bytes) {
  return bytes == 0 ? PageBuffer() : PageBuffer(bytes, bytes >= kHugePagesFrom);
}

std::span<float> block(const PageBuffer& buffer, int64_t block_elements, int32_t index) {
  return {reinterpret_cast<float*>(buffer.data()) + block_elements * index,
          static_cast<size_t>(block_elements)};
}

/// The order of a fold for outer_product_sum.
std::vector<OuterProductTerm> terms_of(const GradientFold& fold) {
  std::vector<OuterProductTerm> terms;
  for (int64_t sample = 0; sample < fold.batch(); ++sample) {
    const GradientFold::Sample& entry = fold.sample(sample);
    terms.push_back({entry.accumulate, static_cast<int32_t>(entry.merges.size())});
  }
  return terms;
}

void fill_uniform(std::span<float> values, double limit, CounterRng& rng) {
  for (float& value : values) {
    value = static_cast<float>((2.0 * rng.next_double() - 1.0) * limit);
  }
}

void fill_truncated_normal(std::span<float> values, double deviation, CounterRng& rng) {
  for (float& value : values) {
    double z = rng.next_normal();
    while (std::abs(z) >= 2.0) {
      z = rng.next_normal();
    }
    value = static_cast<float>(z * deviation);
  }
}

void fill(std::span<float> values, const ParameterSpec& spec, uint64_t seed) {
  CounterRng rng(seed, 0, 0, "init:" + spec.name);
  const auto fan_in = static_cast<double>(std::max<int64_t>(spec.fan_in, 1));
  const auto fan_out = static_cast<double>(std::max<int64_t>(spec.fan_out, 1));
  switch (spec.initializer) {
    case Initializer::zeros:
      std::fill(values.begin(), values.end(), 0.0F);
      return;
    case Initializer::ones:
      std::fill(values.begin(), values.end(), 1.0F);
      return;
    case Initializer::he_uniform:
      fill_uniform(values, std::sqrt(6.0 / fan_in), rng);
      return;
    case Initializer::he_normal:
      // The standard normal truncated to [-2, 2] has this deviation.
      fill_truncated_normal(values, std::sqrt(2.0 / fan_in) / 0.87962566103423978, rng);
      return;
    case Initializer::glorot_uniform:
      fill_uniform(values, std::sqrt(6.0 / (fan_in + fan_out)), rng);
      return;
  }
}

double squared_sum(const float* values, int64_t count) {
  std::array<double, 8> lanes{};
  const int64_t whole = count / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) {
      const double x = values[i + static_cast<int64_t>(lane)];
      lanes[lane] += x * x;
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    const double x = values[i];
    lanes[static_cast<size_t>(i - whole)] += x * x;
  }
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
         ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

}  // namespace

ParameterBytes ParameterStore::bytes(std::span<const ParameterSpec> specs,
                                     const ParameterBlocks& blocks) {
  const int64_t elements = offsets_of(specs, all_elements).back();
  int64_t gradients = checked_multiply(offsets_of(specs, factor_elements).back(),
                                       blocks.gradient_slots > 0 ? blocks.factor_samples : 0);
  for (int32_t slot = 0; slot < blocks.gradient_slots; ++slot) {
    gradients =
        checked_add(gradients, slot == 0 ? elements : offsets_of(specs, summed_elements).back());
  }
  return {buffer_bytes(elements), buffer_bytes(gradients),
          buffer_bytes(checked_multiply(elements, blocks.optimiser_states))};
}

ParameterCounts ParameterStore::counts(std::span<const ParameterSpec> specs) {
  ParameterCounts counts;
  for (const ParameterSpec& spec : specs) {
    counts.total = checked_add(counts.total, spec.desc.num_elements());
    counts.trainable += is_trainable(spec) ? spec.desc.num_elements() : 0;
  }
  return counts;
}

ParameterStore::ParameterStore(std::vector<ParameterSpec> specs, const ParameterBlocks& blocks)
    : specs_(std::move(specs)),
      blocks_(blocks),
      offsets_(offsets_of(specs_, all_elements)),
      summed_offsets_(offsets_of(specs_, summed_elements)),
      factor_offsets_(offsets_of(specs_, factor_elements)) {
  for (size_t p = 0; p < specs_.size(); ++p) {
    const ParameterSpec& spec = specs_[p];
    WM_CHECK(spec.desc.dtype == DType::f32 && spec.desc.layout == Layout::plain,
             "parameter " + spec.name + " is not plain float32");
    const bool inserted = index_.emplace(spec.name, static_cast<int32_t>(p)).second;
    WM_CHECK(inserted, "two parameters are named " + spec.name);
    first_range_.push_back(ranges_.size());
    const int64_t elements = spec.desc.num_elements();
    for (int64_t begin = 0; begin < elements; begin += kRangeElements) {
      ranges_.push_back({static_cast<int32_t>(p), offsets_[p] + begin,
                         std::min(kRangeElements, elements - begin)});
    }
  }
  first_range_.push_back(ranges_.size());
  const ParameterBytes sizes = bytes(specs_, blocks_);
  values_ = map_blocks(sizes.values);
  gradients_ = map_blocks(sizes.gradients);
  optimiser_state_ = map_blocks(sizes.optimiser_state);
}

std::optional<int32_t> ParameterStore::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

std::vector<int32_t> ParameterStore::name_order() const {
  std::vector<int32_t> order;
  order.reserve(index_.size());
  for (const auto& entry : index_) {
    order.push_back(entry.second);
  }
  return order;
}

TensorView ParameterStore::value(int32_t parameter) const {
  return whole_view(specs_[static_cast<size_t>(parameter)].desc,
                    reinterpret_cast<std::byte*>(values().data() + offset(parameter)));
}

TensorView ParameterStore::gradient(int32_t parameter, int32_t slot) const {
  const ParameterSpec& spec = specs_[static_cast<size_t>(parameter)];
  WM_CHECK(slot == 0 || !spec.factored, spec.name + " has its gradient in slot 0 alone");
  const int64_t begin =
      slot == 0 ? offset(parameter) : summed_offsets_[static_cast<size_t>(parameter)];
  return whole_view(spec.desc, reinterpret_cast<std::byte*>(gradients(slot).data() + begin));
}

TensorView ParameterStore::factors(int32_t parameter, int64_t sample) const {
  const ParameterSpec& spec = specs_[static_cast<size_t>(parameter)];
  WM_CHECK(spec.factored && sample >= 0 && sample < blocks_.factor_samples,
           "no factors of sample " + std::to_string(sample) + " of " + spec.name);
  const std::span<float> last_slot = gradients(blocks_.gradient_slots - 1);
  float* const first = last_slot.data() + last_slot.size();
  return whole_view(gradient_factors_desc(spec.desc),
                    reinterpret_cast<std::byte*>(first + sample * factor_offsets_.back() +
                                                 factor_offsets_[static_cast<size_t>(parameter)]));
}

std::span<float> ParameterStore::values() const { return block(values_, offsets_.back(), 0); }

std::span<float> ParameterStore::gradients(int32_t slot) const {
  WM_CHECK(slot >= 0 && slot < blocks_.gradient_slots, "no gradient slot " + std::to_string(slot));
  if (slot == 0) return block(gradients_, offsets_.back(), 0);
  float* const others = reinterpret_cast<float*>(gradients_.data()) + offsets_.back();
  return {others + summed_offsets_.back() * (slot - 1),
          static_cast<size_t>(summed_offsets_.back())};
}

std::span<float> ParameterStore::optimiser_state(int32_t index) const {
  WM_CHECK(index >= 0 && index < blocks_.optimiser_states,
           "no optimiser state " + std::to_string(index));
  return block(optimiser_state_, offsets_.back(), index);
}

ParameterRange ParameterStore::whole(int32_t parameter) const {
  return {parameter, offset(parameter), specs_[static_cast<size_t>(parameter)].desc.num_elements()};
}

void ParameterStore::initialise(uint64_t seed, ThreadPool& pool) {
  pool.run(static_cast<int64_t>(specs_.size()), [&](int64_t task, int /*thread*/) {
    const ParameterRange range = whole(static_cast<int32_t>(task));
    fill(values().subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.count)),
         specs_[static_cast<size_t>(task)], seed);
  });
}

std::string ParameterStore::digest() const {
  static_assert(std::endian::native == std::endian::little, "the digest is of little-endian bytes");
  Sha256 hash;
  for (const int32_t parameter : name_order()) {
    const ParameterRange range = whole(parameter);
    hash.update(values().data() + range.begin, static_cast<size_t>(range.count) * sizeof(float));
  }
  return hash.finish_hex();
}

void ParameterStore::merge(int32_t parameter, int32_t destination, int32_t source,
                           ThreadPool& pool) {
  const size_t first = first_range_[static_cast<size_t>(parameter)];
  const size_t last = first_range_[static_cast<size_t>(parameter) + 1];
  auto* const sum = gradient(parameter, destination).at<float>(0, 0);
  const auto* const added = gradient(parameter, source).at<const float>(0, 0);
  pool.run(static_cast<int64_t>(last - first), [&](int64_t task, int /*thread*/) {
    const ParameterRange& range = ranges_[first + static_cast<size_t>(task)];
    float* const to = sum + (range.begin - offset(parameter));
    const float* const from = added + (range.begin - offset(parameter));
    for (int64_t i = 0; i < range.count; ++i) {
      to[i] += from[i];
    }
  });
}

void ParameterStore::sum_outer_products(const GradientFold& fold, ThreadPool& pool) {
  const std::vector<OuterProductTerm> terms = terms_of(fold);
  for (size_t p = 0; p < specs_.size(); ++p) {
    if (!specs_[p].factored) continue;
    WM_CHECK(fold.batch() <= blocks_.factor_samples, "more samples than factors are held of");
    const auto parameter = static_cast<int32_t>(p);
    OuterProductSum sum{};
    sum.terms = terms.data();
    sum.num_terms = fold.batch();
    sum.rows = factors(parameter, 0).at<const float>(0, 0);
    sum.num_rows = specs_[p].desc.n;
    sum.columns = sum.rows + sum.num_rows;
    sum.num_columns = specs_[p].desc.num_elements() / sum.num_rows;
    sum.sample_pitch = factor_offsets_.back();
    sum.out = gradient(parameter, 0).at<float>(0, 0);
    const auto compute = WM_PICK_ISA(best_isa(), outer_product_sum);
    pool.run(divide_up(sum.num_columns, kOuterProductColumns),
             [&](int64_t task, int /*thread*/) { compute(sum, task * kOuterProductColumns); });
  }
}

double ParameterStore::squared_gradient_norm(int32_t slot, ThreadPool& pool) const {
  const float* const gradient = gradients(slot).data();
  std::vector<double> partial_sums(ranges_.size(), 0.0);
  pool.run(static_cast<int64_t>(ranges_.size()), [&](int64_t task, int /*thread*/) {
    const ParameterRange& range = ranges_[static_cast<size_t>(task)];
    if (is_trainable(specs_[static_cast<size_t>(range.parameter)])) {
      partial_sums[static_cast<size_t>(task)] = squared_sum(gradient + range.begin, range.count);
    }
  });
  double sum = 0.0;
  for (const double partial : partial_sums) {
    sum += partial;
  }
  return sum;
}

}  // namespace wholemount
