// A checkpoint file, as it is and with its checksums made right, so that what lies behind them is
// reached too: the header's JSON, the places of the blocks, the places of the parameters in them.

#include <algorithm>
#include <cstring>
#include <string>

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/base/sha256.h"
#include "wholemount/train/checkpoint.h"
#include "wholemount/train/checkpoint_file.h"

namespace {

using wholemount::ParameterSpec;
using wholemount::ParameterStore;

constexpr char kName[] = "checkpoint-000000000010.wmck";
constexpr char kNet[] = "net";
constexpr size_t kHeaderBegin = 80;  // magic, length, SHA-256

const wholemount::fuzz::MemoryFolder& folder() {
  static const wholemount::fuzz::MemoryFolder instance;
  return instance;
}

ParameterSpec spec(const std::string& name, int64_t n, int64_t c) {
  ParameterSpec result;
  result.name = name;
  result.desc = wholemount::TensorDesc::plain(n, c, {1, 1, 1});
  result.fan_in = c;
  return result;
}

// The net of the seeds.
ParameterStore& store() {
  static ParameterStore instance({spec("b", 4, 3), spec("a", 1, 5)}, {0, 1});
  return instance;
}

// True when the store was filled.
bool load(const std::string& content) {
  folder().write(kName, content);
  try {
    (void)wholemount::load_checkpoint(folder().path(), kNet, store());
    return true;
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, folder().path());
  } catch (const wholemount::ConfigError& error) {
    wholemount::fuzz::check_names_source(error, folder().path());
  }
  return false;
}

// The same with the header's length and checksum as its bytes want them.
std::string sealed(std::string content) {
  uint64_t length = 0;
  std::memcpy(&length, content.data() + 8, sizeof(length));
  length = std::min<uint64_t>(length, content.size() - kHeaderBegin);
  std::memcpy(content.data(), "WMCKPT01", 8);
  std::memcpy(content.data() + 8, &length, sizeof(length));
  content.replace(16, 64, wholemount::sha256_hex(content.substr(kHeaderBegin, length)));
  return content;
}

// The same with the checksums of the blocks too; empty when the header is refused.
std::string with_right_blocks(const std::string& content) {
  const std::string path = folder().write(kName, content);
  wholemount::CheckpointHeader header;
  try {
    header = wholemount::read_header(path);
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, folder().path());
    return {};
  }
  for (auto& block : header.blocks) {
    block.sha256 = wholemount::sha256_hex(
        content.substr(static_cast<size_t>(block.file_offset), static_cast<size_t>(block.bytes)));
  }
  std::string result = encode_header(header);
  for (const auto& block : header.blocks) {
    result.resize(
        static_cast<size_t>(wholemount::block_begin(static_cast<int64_t>(result.size()))));
    result +=
        content.substr(static_cast<size_t>(block.file_offset), static_cast<size_t>(block.bytes));
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string content(wholemount::fuzz::as_text(data, size));
  if (load(content) || size < kHeaderBegin) return 0;
  const std::string with_header = sealed(content);
  if (load(with_header)) return 0;
  if (const std::string right = with_right_blocks(with_header); !right.empty()) load(right);
  return 0;
}
