#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace wholemount {

/// A page-aligned, zero-filled, anonymous mapping: the only source of tensor memory. Pages become
/// resident when first written, so an untouched part costs nothing.
/// Move-only; unmapped by the destructor.
class PageBuffer {
 public:
  PageBuffer() = default;
  /// Maps `bytes` (rounded up to 2 MiB when huge pages are wanted).
  /// Throws MemoryBudgetError when the kernel refuses the mapping.
  explicit PageBuffer(size_t bytes, bool huge_pages = true);
  PageBuffer(PageBuffer&& other) noexcept;
  PageBuffer& operator=(PageBuffer&& other) noexcept;
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;
  ~PageBuffer();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }
  /// Gives the pages back to the operating system; the content becomes zero again.
  void discard();

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Memory of this process as the kernel reports it (/proc/self/status).
struct ProcessMemory {
  size_t resident_bytes = 0;       ///< VmRSS
  size_t peak_resident_bytes = 0;  ///< VmHWM
};
[[nodiscard]] ProcessMemory process_memory();

/// Bytes a new job may use now: the smaller of MemAvailable and what the process's cgroup (v1 or
/// v2) still allows.
[[nodiscard]] size_t available_memory_bytes();

/// "8.25 GiB"-style text, powers of 1024.
[[nodiscard]] std::string format_bytes(size_t bytes);

/// Reads "8G" = "8GiB" (powers of 1024), "8GB" (powers of 1000), plain bytes.
/// Throws ConfigError naming the text.
[[nodiscard]] size_t parse_bytes(const std::string& text);

}  // namespace wholemount
