#pragma once

#include <cstddef>
#include <string>

namespace wholemount {

/// Scratch space on a local disk for values that are not in memory. The file has no name
/// (O_TMPFILE, or unlinked right after it was made), so nothing is left behind however the process
/// ends, and is read and written directly (O_DIRECT): it never fills the page cache. Its space is
/// reserved when it is made. Offsets, lengths and addresses are multiples of 4096. Concurrent reads
/// and writes of different ranges are safe.
class SpillFile {
 public:
  /// Throws OutputError: no such folder, a folder in memory (tmpfs, ramfs), no direct I/O there, or
  /// too little space (naming the bytes).
  SpillFile(std::string folder, size_t bytes);
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;
  ~SpillFile();

  /// Reserves more if the file is smaller than `bytes`. Throws OutputError.
  void grow(size_t bytes);
  /// Both throw OutputError naming the folder, the bytes and the system's reason.
  void write(size_t offset, const std::byte* data, size_t bytes) const;
  void read(size_t offset, std::byte* data, size_t bytes) const;

  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::string folder_;
  int file_ = -1;
  size_t size_ = 0;
};

}  // namespace wholemount
