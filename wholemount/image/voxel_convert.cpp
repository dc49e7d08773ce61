#include "wholemount/image/voxel_convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace wholemount {

namespace {

/// IEEE binary128 as stored; converted by hand because no portable C++ type holds it.
struct Quad {
  uint64_t low = 0;
  uint64_t high = 0;
};

double to_double(Quad value) {
  constexpr int kBias = 16383;
  constexpr int kHighBits = 48;
  const bool negative = (value.high >> 63U) != 0;
  const int exponent = static_cast<int>(value.high >> 48U & 0x7fffU);
  const uint64_t high = value.high & ((uint64_t{1} << 48U) - 1);
  double magnitude = 0.0;
  if (exponent == 0x7fff) {
    magnitude = (high | value.low) != 0 ? std::numeric_limits<double>::quiet_NaN()
                                        : std::numeric_limits<double>::infinity();
  } else if (exponent != 0) {
    // Subnormal binary128 numbers are far below the smallest double: they stay zero.
    const double fraction = std::ldexp(static_cast<double>(high), -kHighBits) +
                            std::ldexp(static_cast<double>(value.low), -kHighBits - 64);
    magnitude = std::ldexp(1.0 + fraction, exponent - kBias);
  }
  return negative ? -magnitude : magnitude;
}

template <class T>
T load(const std::byte* from, bool big_endian) {
  if constexpr (std::is_same_v<T, Quad>) {
    const auto first = load<uint64_t>(from, big_endian);
    const auto second = load<uint64_t>(from + 8, big_endian);
    return big_endian ? Quad{second, first} : Quad{first, second};
  } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    const Bits bits = load<Bits>(from, big_endian);
    T value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  } else {
    T value;
    std::memcpy(&value, from, sizeof(value));
    if constexpr (sizeof(T) == 2) {
      if (big_endian) value = static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
    } else if constexpr (sizeof(T) == 4) {
      if (big_endian) value = static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
    } else if constexpr (sizeof(T) == 8) {
      if (big_endian) value = static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
    }
    return value;
  }
}

template <class T>
constexpr size_t kStoredBytes = sizeof(T);

template <class T>
double real_value(T stored) {
  if constexpr (std::is_same_v<T, Quad>) {
    return to_double(stored);
  } else {
    return static_cast<double>(stored);
  }
}

template <class T>
std::optional<BadVoxel> floats_of(const VoxelDecoding& decoding, const std::byte* stored,
                                  std::span<float> values) {
  const bool scaled = decoding.slope != 1.0 || decoding.intercept != 0.0;
  std::optional<BadVoxel> bad;
  for (size_t i = 0; i < values.size(); ++i) {
    double value = real_value(load<T>(stored + i * kStoredBytes<T>, decoding.big_endian));
    if (scaled) value = decoding.slope * value + decoding.intercept;
    const auto rounded = static_cast<float>(value);
    values[i] = rounded;
    if (!std::isfinite(rounded) && !bad) bad = BadVoxel{i, value};
  }
  return bad;
}

template <class T, class Label>
std::optional<BadVoxel> labels_of(const VoxelDecoding& decoding, const std::byte* stored,
                                  std::span<Label> values) {
  const bool scaled = decoding.slope != 1.0 || decoding.intercept != 0.0;
  for (size_t i = 0; i < values.size(); ++i) {
    // Every label range fits in a double exactly; a 64-bit integer rounded here is out of range
    // before and after rounding.
    double value = real_value(load<T>(stored + i * kStoredBytes<T>, decoding.big_endian));
    if (scaled) value = decoding.slope * value + decoding.intercept;
    if (!(value >= static_cast<double>(std::numeric_limits<Label>::min()) &&
          value <= static_cast<double>(std::numeric_limits<Label>::max())) ||
        value != std::floor(value)) {
      return BadVoxel{i, value};
    }
    values[i] = static_cast<Label>(value);
  }
  return std::nullopt;
}

template <class Call>
auto with_stored_type(VoxelType type, Call call) {
  switch (type) {
    case VoxelType::u8:
      return call(uint8_t{});
    case VoxelType::i8:
      return call(int8_t{});
    case VoxelType::u16:
      return call(uint16_t{});
    case VoxelType::i16:
      return call(int16_t{});
    case VoxelType::u32:
      return call(uint32_t{});
    case VoxelType::i32:
      return call(int32_t{});
    case VoxelType::u64:
      return call(uint64_t{});
    case VoxelType::i64:
      return call(int64_t{});
    case VoxelType::f64:
      return call(double{});
    case VoxelType::f128:
      return call(Quad{});
    case VoxelType::f32:
      break;
  }
  return call(float{});
}

template <class Label>
std::optional<BadVoxel> decode_any_labels(const VoxelDecoding& decoding, const std::byte* stored,
                                          std::span<Label> values) {
  return with_stored_type(decoding.type, [&](auto example) {
    return labels_of<decltype(example), Label>(decoding, stored, values);
  });
}

}  // namespace

std::optional<BadVoxel> decode_floats(const VoxelDecoding& decoding, const std::byte* stored,
                                      std::span<float> values) {
  return with_stored_type(decoding.type, [&](auto example) {
    return floats_of<decltype(example)>(decoding, stored, values);
  });
}

std::optional<BadVoxel> decode_labels(const VoxelDecoding& decoding, const std::byte* stored,
                                      std::span<uint8_t> values) {
  return decode_any_labels(decoding, stored, values);
}

std::optional<BadVoxel> decode_labels(const VoxelDecoding& decoding, const std::byte* stored,
                                      std::span<int32_t> values) {
  return decode_any_labels(decoding, stored, values);
}

}  // namespace wholemount
