#pragma once

#include <cstddef>
#include <cstdint>

#include "wholemount/base/checked.h"

namespace wholemount {

/// Hands out consecutive 64-byte aligned pieces of planned scratch. With a null base it only
/// counts, so that one description both sizes the scratch and lays it out.
class ScratchCursor {
 public:
  explicit ScratchCursor(std::byte* base) : base_(base) {}

  /// Memory for `count` objects of a trivial type T, content undefined; nullptr when only counting.
  template <class T>
  T* take(int64_t count) {
    T* piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + offset_);
    offset_ = checked_add(offset_,
                          round_up(checked_multiply(count, static_cast<int64_t>(sizeof(T))), 64));
    return piece;
  }
  [[nodiscard]] size_t bytes() const { return static_cast<size_t>(offset_); }

 private:
  std::byte* base_;
  int64_t offset_ = 0;
};

}  // namespace wholemount
