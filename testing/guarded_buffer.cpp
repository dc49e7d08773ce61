#include "testing/guarded_buffer.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace wholemount {

namespace {

constexpr size_t kAlignment = 64;

/// F5 FF F5 FF ...: NaN as bf16, f32 and f64, and different from the poison.
std::byte guard_byte(size_t index) { return index % 2 == 0 ? std::byte{0xF5} : std::byte{0xFF}; }

bool is_guard(const std::byte* begin, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (begin[i] != guard_byte(i)) return false;
  }
  return true;
}

}  // namespace

void GuardedBuffer::Free::operator()(std::byte* memory) const { std::free(memory); }

GuardedBuffer::GuardedBuffer(size_t bytes) : bytes_(bytes) {
  // The rear guard begins right behind the last byte, so that one element too many is seen.
  const size_t total =
      (kGuardBytes + bytes + kGuardBytes + kAlignment - 1) / kAlignment * kAlignment;
  tail_bytes_ = total - kGuardBytes - bytes;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, total)));
  if (!memory_) throw std::bad_alloc();
  for (size_t i = 0; i < kGuardBytes; ++i) memory_[i] = guard_byte(i);
  for (size_t i = 0; i < tail_bytes_; ++i) data()[bytes + i] = guard_byte(i);
  poison();
}

void GuardedBuffer::poison() {
  if (bytes_ > 0) std::memset(data(), 0xFF, bytes_);
}

bool GuardedBuffer::guards_intact() const {
  return is_guard(memory_.get(), kGuardBytes) && is_guard(data() + bytes_, tail_bytes_);
}

}  // namespace wholemount
