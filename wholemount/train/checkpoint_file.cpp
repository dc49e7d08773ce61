#include "wholemount/train/checkpoint_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/json_integer.h"
#include "wholemount/base/nesting.h"
#include "wholemount/base/sha256.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "checkpoints are little endian");

constexpr char kMagic[] = "WMCKPT01";
constexpr int64_t kPreambleBytes = 8 + 8 + 64;

json number_or_null(double number) { return std::isfinite(number) ? json(number) : json(nullptr); }

double number_of(const json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

int64_t integer_of(const json& value) {
  if (const auto number = json_integer(value)) return *number;
  throw json::type_error::create(302, "a whole number of 64 bits was wanted", &value);
}

std::vector<int64_t> integers_of(const json& values) {
  if (!values.is_array()) throw json::type_error::create(302, "a list was wanted", &values);
  std::vector<int64_t> result;
  for (const json& value : values) result.push_back(integer_of(value));
  return result;
}

json encode_state(const CheckpointState& state) {
  json losses = json::array();
  for (const double loss : state.validation_losses) {
    losses.push_back(number_or_null(loss));
  }
  json result = {{"step", state.step},
                 {"epoch", state.epoch},
                 {"validation_losses", losses},
                 {"best_epoch", state.best_epoch},
                 {"seconds", number_or_null(state.seconds)},
                 {"config_digest", state.config_digest},
                 {"data_digest", state.data_digest},
                 {"net_spec", state.net_spec}};
  if (state.best_metric) {
    result["best_metric"] = number_or_null(*state.best_metric);
  }
  return result;
}

CheckpointState decode_state(const json& value) {
  CheckpointState state;
  state.step = integer_of(value.at("step"));
  state.epoch = integer_of(value.at("epoch"));
  for (const json& loss : value.at("validation_losses")) {
    state.validation_losses.push_back(number_of(loss));
  }
  if (value.contains("best_metric")) {
    state.best_metric = number_of(value.at("best_metric"));
  }
  state.best_epoch = integer_of(value.at("best_epoch"));
  state.seconds = number_of(value.at("seconds"));
  state.config_digest = value.at("config_digest").get<std::string>();
  state.data_digest = value.at("data_digest").get<std::string>();
  state.net_spec = value.at("net_spec").get<std::string>();
  return state;
}

CheckpointHeader decode_header(const std::string& path, const std::string& text) {
  CheckpointHeader header;
  if (json_nesting(text) > kDeepestNesting) {
    throw FileError(path, kPreambleBytes, "the header is nested too deeply to be a checkpoint's");
  }
  try {
    const json value = json::parse(text);
    const auto version = integer_of(value.at("version"));
    if (version != 1) {
      throw FileError(
          path, "has format version " + std::to_string(version) + ", this program reads version 1");
    }
    header.state = decode_state(value.at("state"));
    for (const json& entry : value.at("parameters")) {
      header.parameters.push_back({entry.at("name").get<std::string>(),
                                   integers_of(entry.at("shape")), integer_of(entry.at("offset")),
                                   integer_of(entry.at("count"))});
    }
    for (const json& entry : value.at("blocks")) {
      header.blocks.push_back({entry.at("name").get<std::string>(), integer_of(entry.at("bytes")),
                               entry.at("sha256").get<std::string>(), 0});
    }
  } catch (const json::exception& error) {
    throw FileError(path, kPreambleBytes,
                    std::string("the header is not what it should be: ") + error.what());
  }
  return header;
}

}  // namespace

std::string encode_header(const CheckpointHeader& header) {
  json parameters = json::array();
  for (const auto& parameter : header.parameters) {
    parameters.push_back({{"name", parameter.name},
                          {"shape", parameter.shape},
                          {"offset", parameter.offset},
                          {"count", parameter.count}});
  }
  json blocks = json::array();
  for (const auto& block : header.blocks) {
    blocks.push_back({{"name", block.name}, {"bytes", block.bytes}, {"sha256", block.sha256}});
  }
  // Texts that are not UTF-8 (paths) must not stop a checkpoint.
  const std::string text = json{
      {"version", 1},
      {"state", encode_state(header.state)},
      {"parameters", parameters},
      {"blocks", blocks}}.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto length = static_cast<uint64_t>(text.size());
  std::string result(kMagic, 8);
  result.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return result + sha256_hex(text) + text;
}

CheckpointHeader read_header(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) {
    throw FileError(path.string(), "cannot be opened: " + system_error_text(errno));
  }
  const auto file_bytes = static_cast<int64_t>(stream.tellg());
  stream.seekg(0);
  std::string preamble(static_cast<size_t>(kPreambleBytes), '\0');
  if (file_bytes < kPreambleBytes ||
      !stream.read(preamble.data(), static_cast<std::streamsize>(preamble.size()))) {
    throw FileError(path.string(), "is truncated: " + std::to_string(file_bytes) +
                                       " bytes, shorter than the start of a checkpoint");
  }
  if (std::memcmp(preamble.data(), kMagic, 8) != 0) {
    throw FileError(path.string(), 0, "is no checkpoint of this program");
  }
  uint64_t length = 0;
  std::memcpy(&length, preamble.data() + 8, sizeof(length));
  if (length > static_cast<uint64_t>(file_bytes - kPreambleBytes)) {
    throw FileError(path.string(), 8,
                    "is truncated or damaged: header of " + std::to_string(length) +
                        " bytes in a file of " + std::to_string(file_bytes));
  }
  std::string text(length, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(length)) ||
      sha256_hex(text) != preamble.substr(16)) {
    throw FileError(path.string(), kPreambleBytes,
                    "the header is damaged: its SHA-256 does not match");
  }
  CheckpointHeader header = decode_header(path.string(), text);
  int64_t position = kPreambleBytes + static_cast<int64_t>(length);
  for (auto& block : header.blocks) {
    block.file_offset = block_begin(position);
    if (block.bytes < 0 || block.bytes > file_bytes - block.file_offset) {
      throw FileError(path.string(), block.file_offset,
                      "is truncated: block \"" + block.name + "\" wants " +
                          std::to_string(block.bytes) + " bytes, the file ends at " +
                          std::to_string(file_bytes));
    }
    position = block.file_offset + block.bytes;
  }
  if (position != file_bytes) {
    throw FileError(path.string(), position, "bytes follow the last block");
  }
  return header;
}

void check_blocks(const std::filesystem::path& path, const CheckpointHeader& header) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<char> piece(size_t{1} << 18);
  for (const auto& block : header.blocks) {
    Sha256 hash;
    stream.seekg(block.file_offset);
    for (int64_t left = block.bytes; left > 0;) {
      const int64_t count = std::min<int64_t>(left, static_cast<int64_t>(piece.size()));
      if (!stream.read(piece.data(), count)) {
        throw FileError(path.string(), block.file_offset + block.bytes - left,
                        "block \"" + block.name + "\" cannot be read");
      }
      hash.update(piece.data(), static_cast<size_t>(count));
      left -= count;
    }
    if (hash.finish_hex() != block.sha256) {
      throw FileError(path.string(), block.file_offset,
                      "block \"" + block.name + "\" is damaged: its SHA-256 does not match");
    }
  }
}

}  // namespace wholemount
