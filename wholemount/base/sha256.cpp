#include "wholemount/base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "wholemount/base/error.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  WM_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
           "the cryptographic library offers no SHA-256");
}

Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(const void* data, size_t num_bytes) {
  WM_CHECK(state_ && EVP_DigestUpdate(state_->context, data, num_bytes) == 1,
           "SHA-256 update after the end");
}

std::string Sha256::finish_hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  WM_CHECK(state_ && EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1,
           "SHA-256 ended twice");
  state_.reset();
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (size_t i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 sha256;
  sha256.update(bytes);
  return sha256.finish_hex();
}

std::string sha256_hex_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileError(path, "cannot be opened (" + system_error_text(errno) + ")");
  Sha256 sha256;
  std::array<char, 65536> piece{};
  while (file) {
    file.read(piece.data(), piece.size());
    sha256.update(piece.data(), static_cast<size_t>(file.gcount()));
  }
  if (!file.eof()) throw FileError(path, "cannot be read (" + system_error_text(errno) + ")");
  return sha256.finish_hex();
}

std::string sampled_digest_of_file(const std::string& path, int64_t blocks) {
  constexpr int64_t kBlockBytes = 4096;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw FileError(path, "cannot be opened (" + system_error_text(errno) + ")");
  const int64_t size = file.tellg();
  const int64_t last_start = std::max<int64_t>(size - kBlockBytes, 0);
  Sha256 sha256;
  sha256.update(std::to_string(size) + "\n");
  std::array<char, kBlockBytes> block{};
  int64_t end = 0;
  for (int64_t k = 0; k < blocks && end < size; ++k) {
    const int64_t wanted = k == blocks - 1 ? last_start : last_start / (blocks - 1) * k;
    const int64_t start = std::max(end, wanted);
    const int64_t count = std::min(kBlockBytes, size - start);
    file.seekg(start);
    if (!file.read(block.data(), count)) {
      throw FileError(path, "cannot be read (" + system_error_text(errno) + ")");
    }
    sha256.update(block.data(), static_cast<size_t>(count));
    end = start + count;
  }
  return sha256.finish_hex();
}

}  // namespace wholemount
