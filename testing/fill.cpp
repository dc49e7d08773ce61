#include "testing/fill.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "wholemount/base/error.h"

namespace wholemount {

InputFill InputFill::uniform(double low, double high) {
  InputFill fill;
  fill.kind = FillKind::uniform;
  fill.low = low;
  fill.high = high;
  return fill;
}

InputFill InputFill::classes(int64_t count) {
  InputFill fill;
  fill.kind = FillKind::classes;
  fill.count = count;
  return fill;
}

InputFill InputFill::bit_masks(int64_t count) {
  InputFill fill;
  fill.kind = FillKind::bit_masks;
  fill.count = count;
  return fill;
}

InputFill InputFill::statistics(int64_t channels) {
  InputFill fill;
  fill.kind = FillKind::statistics;
  fill.count = channels;
  fill.whole = true;
  return fill;
}

InputFill InputFill::of(std::vector<double> values) {
  InputFill fill;
  fill.kind = FillKind::values;
  fill.values = std::move(values);
  return fill;
}

InputFill InputFill::through(float slope) {
  InputFill fill;
  fill.scale_shift = true;
  fill.slope = slope;
  return fill;
}

InputFill InputFill::activated(float slope) {
  InputFill fill;
  fill.slope = slope;
  return fill;
}

InputFill InputFill::parameter() {
  InputFill fill;
  fill.whole = true;
  return fill;
}

namespace {

double load(const TensorView& view, const std::byte* address) {
  switch (view.desc.dtype) {
    case DType::f32: {
      float value = 0;
      std::memcpy(&value, address, sizeof(value));
      return value;
    }
    case DType::f64: {
      double value = 0;
      std::memcpy(&value, address, sizeof(value));
      return value;
    }
    case DType::bf16: {
      uint16_t half = 0;
      std::memcpy(&half, address, sizeof(half));
      return std::bit_cast<float>(static_cast<uint32_t>(half) << 16U);
    }
    case DType::u8:
      return static_cast<double>(std::to_integer<uint8_t>(*address));
  }
  return 0.0;
}

void store(const TensorView& view, std::byte* address, double value) {
  switch (view.desc.dtype) {
    case DType::f32: {
      const auto narrow = static_cast<float>(value);
      std::memcpy(address, &narrow, sizeof(narrow));
      return;
    }
    case DType::f64:
      std::memcpy(address, &value, sizeof(value));
      return;
    case DType::bf16: {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
      const auto half = static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
      std::memcpy(address, &half, sizeof(half));
      return;
    }
    case DType::u8:
      *address = std::byte{static_cast<uint8_t>(value)};
      return;
  }
}

/// Calls body(address of the element, index in plain order or -1 for a lane beyond c).
template <class Body>
void for_each_element(const TensorView& view, Body body) {
  const TensorDesc& desc = view.desc;
  const int64_t bw = desc.block_width();
  const int64_t bytes = dtype_bytes(desc.dtype);
  const int64_t voxels = volume(desc.extent);
  for (int64_t n = 0; n < desc.n; ++n) {
    for (int64_t c = 0; c < desc.num_blocks() * bw; ++c) {
      int64_t voxel = 0;
      for (int64_t d = 0; d < desc.extent.d; ++d) {
        for (int64_t h = 0; h < desc.extent.h; ++h) {
          for (int64_t w = 0; w < desc.extent.w; ++w, ++voxel) {
            const int64_t offset = (n * desc.num_blocks() + c / bw) * view.block_pitch +
                                   d * view.plane_pitch + h * view.row_pitch + w * bw + c % bw;
            const int64_t index = c < desc.c ? (n * desc.c + c) * voxels + voxel : -1;
            body(view.origin + offset * bytes, index);
          }
        }
      }
    }
  }
}

std::vector<double> statistics_values(const TensorDesc& desc, int64_t channels,
                                      std::mt19937_64& engine) {
  WM_CHECK(desc.c == StatisticsRow::kNumRows && channels <= desc.extent.w,
           "a statistics fill needs a statistics tensor, got " + to_string(desc));
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0.25, 2.0);
  const int64_t width = desc.extent.w;
  std::vector<double> values(static_cast<size_t>(desc.num_elements()), 0.0);
  for (int64_t n = 0; n < desc.n; ++n) {
    double* rows = values.data() + n * desc.c * width;
    for (int64_t channel = 0; channel < channels; ++channel) {
      const double mean = normal(engine);
      const double variance = uniform(engine);
      const double rstd = 1.0 / std::sqrt(variance + 1e-5);
      const double gamma = uniform(engine) * (channel % 3 == 2 ? -1.0 : 1.0);
      const double beta = normal(engine);
      rows[StatisticsRow::mean * width + channel] = mean;
      rows[StatisticsRow::variance * width + channel] = variance;
      rows[StatisticsRow::rstd * width + channel] = rstd;
      rows[StatisticsRow::scale * width + channel] = gamma * rstd;
      rows[StatisticsRow::shift * width + channel] = beta - mean * gamma * rstd;
    }
  }
  return values;
}

}  // namespace

std::vector<double> to_plain(const TensorView& view) {
  std::vector<double> values(static_cast<size_t>(view.desc.num_elements()));
  for_each_element(view, [&](const std::byte* address, int64_t index) {
    if (index >= 0) values[static_cast<size_t>(index)] = load(view, address);
  });
  return values;
}

void from_plain(const TensorView& view, const std::vector<double>& values) {
  WM_CHECK(values.size() == static_cast<size_t>(view.desc.num_elements()),
           std::to_string(values.size()) + " values for " + to_string(view.desc));
  for_each_element(view, [&](std::byte* address, int64_t index) {
    store(view, address, index >= 0 ? values[static_cast<size_t>(index)] : 0.0);
  });
}

std::vector<double> fill_values(const TensorDesc& desc, const InputFill& fill, uint64_t seed) {
  if (fill.kind == FillKind::values) return fill.values;
  std::mt19937_64 engine(seed);
  std::vector<double> values;
  if (fill.kind == FillKind::statistics) {
    values = statistics_values(desc, fill.count, engine);
  } else {
    values.resize(static_cast<size_t>(desc.num_elements()));
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform(fill.low, fill.high);
    for (double& value : values) {
      switch (fill.kind) {
        case FillKind::normal:
          value = normal(engine);
          break;
        case FillKind::uniform:
          value = uniform(engine);
          break;
        case FillKind::classes:
          value = static_cast<double>(engine() % static_cast<uint64_t>(fill.count));
          break;
        case FillKind::bit_masks:
          value =
              static_cast<double>(engine() % (uint64_t{1} << static_cast<uint64_t>(fill.count)));
          break;
        case FillKind::ones:
          value = 1.0;
          break;
        case FillKind::zeros:
        case FillKind::statistics:
        case FillKind::values:
          value = 0.0;
          break;
      }
    }
  }
  for (double& value : values) value = static_cast<double>(static_cast<float>(value));
  return values;
}

}  // namespace wholemount
