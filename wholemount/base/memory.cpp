#include "wholemount/base/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>

#include "wholemount/base/cgroup.h"
#include "wholemount/base/error.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {

namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr size_t kPageBytes = 4096;

size_t round_up_bytes(size_t bytes, size_t unit) {
  size_t sum = 0;
  if (__builtin_add_overflow(bytes, unit - 1, &sum)) {
    throw MemoryBudgetError("cannot map " + std::to_string(bytes) +
                            " bytes: more than the address space; use smaller shapes");
  }
  return sum / unit * unit;
}

// The value of a "Key:   123 kB" line, in bytes; 0 when there is no such line.
size_t read_kib_line(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.size() > key.size() && line.compare(0, key.size(), key) == 0 &&
        line[key.size()] == ':') {
      return size_t{std::strtoull(line.c_str() + key.size() + 1, nullptr, 10)} * 1024;
    }
  }
  return 0;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Bytes of "", "B", "K", "KiB", "KB", ... "PB" in any case; nothing for other texts.
std::optional<uint64_t> unit_bytes(const std::string& unit) {
  std::string upper;
  for (const char c : unit) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper.empty() || upper == "B") return 1;
  const size_t power = std::string("KMGTP").find(upper[0]);
  const std::string rest = upper.substr(1);
  if (power == std::string::npos || (!rest.empty() && rest != "B" && rest != "IB")) return {};
  uint64_t bytes = 1;
  for (size_t i = 0; i <= power; ++i) bytes *= rest == "B" ? 1000 : 1024;
  return bytes;
}

}  // namespace

PageBuffer::PageBuffer(size_t bytes, bool huge_pages) {
  if (bytes == 0) return;
  const size_t alignment = huge_pages ? kHugePageBytes : kPageBytes;
  const size_t size = round_up_bytes(bytes, alignment);
  // Maps one alignment more and cuts the ends off: a huge page must start on its own boundary.
  const size_t slack = huge_pages ? kHugePageBytes : 0;
  void* mapped = mmap(nullptr, round_up_bytes(size + slack, kPageBytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    throw MemoryBudgetError("the operating system refuses a mapping of " + format_bytes(size) +
                            " (" + system_error_text(errno) + "); " +
                            format_bytes(available_memory_bytes()) +
                            " are available: ask for less, or lower the memory budget");
  }
  auto* begin = static_cast<std::byte*>(mapped);
  if (slack != 0) {
    const size_t misfit = reinterpret_cast<uintptr_t>(begin) % kHugePageBytes;
    const size_t head = misfit == 0 ? 0 : kHugePageBytes - misfit;
    if (head != 0) munmap(begin, head);
    if (slack != head) munmap(begin + head + size, slack - head);
    begin += head;
    // A hint: where transparent huge pages are off the buffer works with small ones.
    madvise(begin, size, MADV_HUGEPAGE);
  }
  data_ = begin;
  size_ = size;
}

PageBuffer::PageBuffer(PageBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

PageBuffer& PageBuffer::operator=(PageBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

PageBuffer::~PageBuffer() {
  if (data_ != nullptr) munmap(data_, size_);
}

void PageBuffer::discard() {
  if (data_ != nullptr) madvise(data_, size_, MADV_DONTNEED);
}

ProcessMemory process_memory() {
  ProcessMemory memory;
  memory.resident_bytes = read_kib_line("/proc/self/status", "VmRSS");
  // The kernel updates the high-water mark lazily, so it can lag behind VmRSS.
  memory.peak_resident_bytes =
      std::max(read_kib_line("/proc/self/status", "VmHWM"), memory.resident_bytes);
  return memory;
}

size_t available_memory_bytes() {
  const size_t machine = read_kib_line("/proc/meminfo", "MemAvailable");
  const CgroupLimits limits = read_cgroup_limits();
  return limits.available_memory_bytes ? std::min(machine, *limits.available_memory_bytes)
                                       : machine;
}

std::string format_bytes(size_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.996 would print as "1024.00": the next unit begins where two decimals round up to it.
  while (value >= 1023.995 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f %s", value, kUnits[unit]);
  return text.data();
}

size_t parse_bytes(const std::string& text) {
  const auto refuse = [&text](const char* reason) {
    return ConfigError("\"" + text + "\" is not a size: " + reason +
                       "; write e.g. 8G or 8GiB (powers of 1024), 8GB (powers of 1000), or bytes");
  };
  // Digits are read by hand: the locale must not decide whether "1.5" has a fraction, and whole
  // numbers stay exact beyond 2^53.
  size_t next = 0;
  uint64_t whole = 0;
  bool too_large = false;
  for (; next < text.size() && is_digit(text[next]); ++next) {
    too_large |= __builtin_mul_overflow(whole, uint64_t{10}, &whole);
    too_large |= __builtin_add_overflow(whole, static_cast<uint64_t>(text[next] - '0'), &whole);
  }
  if (next == 0) throw refuse("it must begin with a digit");
  const bool has_point = next < text.size() && text[next] == '.';
  double fraction = 0;
  if (has_point) {
    double place = 1;
    for (++next; next < text.size() && is_digit(text[next]); ++next) {
      place /= 10;
      fraction += place * (text[next] - '0');
    }
  }
  while (next < text.size() && text[next] == ' ') ++next;
  const std::optional<uint64_t> factor = unit_bytes(text.substr(next));
  if (!factor) throw refuse("its unit is unknown");
  if (has_point && *factor == 1) throw refuse("bytes are whole");
  uint64_t bytes = 0;
  too_large |= __builtin_mul_overflow(whole, *factor, &bytes);
  const double fraction_bytes = fraction * static_cast<double>(*factor);
  too_large |=
      __builtin_add_overflow(bytes, static_cast<uint64_t>(std::llround(fraction_bytes)), &bytes);
  if (too_large || bytes > uint64_t{INT64_MAX}) throw refuse("it is too large");
  return bytes;
}

}  // namespace wholemount
