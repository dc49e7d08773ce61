#pragma once

#include <cstddef>
#include <memory>

namespace wholemount {

/// Test memory that shows misuse: 64-byte aligned, between two guard zones. Fresh content is
/// poison (all bytes 0xFF: NaN in every float type); the guards hold another NaN pattern, so that
/// reads beyond the ends spoil results and writes beyond the ends are seen.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes = 0);

  [[nodiscard]] std::byte* data() const { return memory_.get() + kGuardBytes; }
  [[nodiscard]] size_t size() const { return bytes_; }
  /// Fills the content with poison again.
  void poison();
  /// False when somebody wrote beyond either end.
  [[nodiscard]] bool guards_intact() const;

 private:
  static constexpr size_t kGuardBytes = 1024;
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte[], Free> memory_;
  size_t bytes_ = 0;
  size_t tail_bytes_ = 0;
};

}  // namespace wholemount
