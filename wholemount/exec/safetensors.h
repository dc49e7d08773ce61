#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wholemount/exec/parameter_store.h"

namespace wholemount {

// The safetensors format (https://github.com/huggingface/safetensors, "Format"): 8 bytes little
// endian length N of the header; N bytes of JSON
//   {"NAME": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ...,
//    "__metadata__": {"key": "text", ...}}
// possibly ended by spaces; then the data, little endian, row major, tensors back to back without
// holes. Offsets count from the end of the header.

/// One tensor to write; the bytes belong to the caller.
struct NamedTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Writes a file atomically (all of it or nothing). Tensors are stored in name order; the header is
/// padded so that the data starts at a multiple of 8 bytes. Throws OutputError.
void write_safetensors(const std::string& path, std::vector<NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata);

/// A file's table of contents. Opening reads the header only; memory: the header's size.
class SafetensorsFile {
 public:
  struct Entry {
    std::string name;
    std::string dtype;  ///< as written: "F32", "BF16", "I64" ...
    std::vector<int64_t> shape;
    int64_t file_offset = 0;  ///< of the first byte, from the start of the file
    int64_t bytes = 0;
  };

  /// Longest header accepted, that of the format's own reader.
  static constexpr int64_t kMaxHeaderBytes = 100'000'000;

  /// Throws FileError when the file is missing, truncated, longer than its table says, or when the
  /// table is not what the format wants (sizes that disagree with shapes, overlaps, holes).
  /// Everything is checked against the file's size before anything is allocated.
  explicit SafetensorsFile(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }
  /// In the order of their data.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// nullptr when there is no tensor of this name.
  [[nodiscard]] const Entry* find(std::string_view name) const;
  /// Reads a tensor's bytes. `destination` has entry.bytes bytes. Throws FileError.
  void read(const Entry& entry, std::span<std::byte> destination) const;

 private:
  void read_header(const std::string& text, int64_t data_begin, int64_t file_bytes);

  std::string path_;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes all values of a store (weights and moving statistics), float32, shapes [n, c, d, h, w]
/// (weights of convolutions: [c_out, c_in, kd, kh, kw]). Throws OutputError.
void save_weights(const std::string& path, const ParameterStore& store,
                  const std::map<std::string, std::string>& metadata);

/// Fills a store from a file. Every parameter must be there as float32 with equal shape; throws
/// ConfigError naming the first that is missing, differs or is not part of the net (weights of
/// another net), FileError when the file is damaged. The store is changed only when all is well,
/// except by a read error.
void load_weights(const SafetensorsFile& file, ParameterStore& store);

}  // namespace wholemount
