#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace wholemount {

/// SHA-256 (FIPS 180-4) of bytes given piece by piece. Move-only.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  void update(const void* data, size_t num_bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }

  /// The digest as 64 lower-case hexadecimal digits. Ends the computation: nothing may be called
  /// afterwards.
  [[nodiscard]] std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of one text or of bytes in memory.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

/// Digest of a file's content, read in pieces. Throws FileError when it cannot be read.
[[nodiscard]] std::string sha256_hex_of_file(const std::string& path);

/// Digest of a file's size and of `blocks` (at least 2) blocks of 4 KiB spread evenly over it, its
/// first and last bytes included. Tells that a file was exchanged or edited without reading all of
/// it: of a gzip file any edit shows, since its last bytes are the checksum of its content; of a
/// plain file an edit between the blocks that keeps the size does not.
/// Throws FileError when it cannot be read.
[[nodiscard]] std::string sampled_digest_of_file(const std::string& path, int64_t blocks);

}  // namespace wholemount
