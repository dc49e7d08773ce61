#include "wholemount/tensor/tensor_desc.h"

namespace wholemount {

namespace {
constexpr int64_t kMaxPlainChannels = 4;
}

int64_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::u8:
      return "u8";
  }
  return "?";
}

TensorDesc TensorDesc::activation(int64_t n, int64_t c, const Extent3& extent, DType dtype) {
  const bool is_plain = c <= kMaxPlainChannels || dtype == DType::u8 || dtype == DType::f64;
  return {n, c, extent, dtype, is_plain ? Layout::plain : Layout::blocked16};
}

TensorDesc TensorDesc::plain(int64_t n, int64_t c, const Extent3& extent, DType dtype) {
  return {n, c, extent, dtype, Layout::plain};
}

int64_t TensorDesc::num_elements() const {
  return checked_multiply(checked_multiply(n, c), volume(extent));
}

int64_t TensorDesc::storage_elements() const {
  const int64_t lanes = checked_multiply(num_blocks(), block_width());
  return checked_multiply(checked_multiply(n, lanes), volume(extent));
}

size_t TensorDesc::bytes() const {
  return static_cast<size_t>(checked_multiply(storage_elements(), dtype_bytes(dtype)));
}

std::string to_string(const TensorDesc& desc) {
  return "n" + std::to_string(desc.n) + " c" + std::to_string(desc.c) + " " +
         to_string(desc.extent) + " " + dtype_name(desc.dtype) +
         (desc.layout == Layout::blocked16 ? " blocked16" : "");
}

TensorDesc statistics_desc(int64_t channels, DType dtype) {
  return TensorDesc::plain(1, StatisticsRow::kNumRows, {1, 1, round_up(channels, 16)}, dtype);
}

TensorDesc moments_desc(int64_t channels) {
  return TensorDesc::plain(1, MomentsRow::kNumRows, {1, 1, round_up(channels, 16)}, DType::f64);
}

}  // namespace wholemount
