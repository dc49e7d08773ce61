#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "wholemount/train/checkpoint.h"

namespace wholemount {

/// The header of one checkpoint file (format: checkpoint.h).
struct CheckpointHeader {
  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    int64_t offset = 0;
    int64_t count = 0;
  };
  struct Block {
    std::string name;
    int64_t bytes = 0;
    std::string sha256;
    int64_t file_offset = 0;  ///< derived, not stored
  };
  CheckpointState state;
  std::vector<Parameter> parameters;
  std::vector<Block> blocks;
};

/// Magic, length, checksum and JSON of a header, ready to be written at the start of a file.
[[nodiscard]] std::string encode_header(const CheckpointHeader& header);

/// Reads and checks a header: magic, checksum, version, and that the blocks fill the file exactly.
/// Throws FileError. Allocates no more than the file's size.
[[nodiscard]] CheckpointHeader read_header(const std::filesystem::path& path);

/// Compares every block with its checksum, in pieces. Throws FileError naming the block.
void check_blocks(const std::filesystem::path& path, const CheckpointHeader& header);

/// Where the block after a byte position begins: the next multiple of 64.
[[nodiscard]] constexpr int64_t block_begin(int64_t position) { return (position + 63) / 64 * 64; }

}  // namespace wholemount
