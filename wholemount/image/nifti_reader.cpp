#include "wholemount/image/nifti_reader.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "wholemount/base/error.h"
#include "wholemount/image/nifti_header.h"

namespace wholemount {

namespace {

struct PairNames {
  std::string header;
  std::string voxels;
};

// Tries the four spellings of a pair: either half may be named, either may be compressed.
std::optional<PairNames> pair_of(const std::string& path) {
  constexpr std::array<std::string_view, 4> kSuffixes{".hdr.gz", ".img.gz", ".hdr", ".img"};
  for (const std::string_view suffix : kSuffixes) {
    if (!path.ends_with(suffix)) continue;
    const std::string stem = path.substr(0, path.size() - suffix.size());
    const auto existing = [&](const char* half) {
      const std::string plain = stem + half;
      const std::string compressed = plain + ".gz";
      return !std::filesystem::exists(plain) && std::filesystem::exists(compressed) ? compressed
                                                                                    : plain;
    };
    return PairNames{existing(".hdr"), existing(".img")};
  }
  return std::nullopt;
}

}  // namespace

NiftiReader::NiftiReader(const std::string& path) {
  const std::optional<PairNames> pair = pair_of(path);
  source_ = open_byte_source(pair ? pair->header : path);
  bool paired = false;
  header_ = read_nifti_header(*source_, pair ? &paired : nullptr);
  if (paired) source_ = open_byte_source(pair->voxels);
  check_payload_fits(header_, *source_);
}

NiftiReader::NiftiReader(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {
  header_ = read_nifti_header(*source_);
  check_payload_fits(header_, *source_);
}

std::string NiftiReader::format() const {
  return "NIfTI-" + std::to_string(header_.geometry.nifti.version);
}

size_t NiftiReader::memory_bytes() const { return kNiftiReaderBytes; }

std::optional<int64_t> NiftiReader::byte_offset(int64_t channel, int64_t voxel) const {
  return header_.data_offset +
         (channel * volume(header_.extent) + voxel) * voxel_bytes(header_.stored);
}

void NiftiReader::read_stored(const VoxelRun& run, std::span<std::byte> bytes) {
  source_->read(*byte_offset(run.channel, run.first), bytes);
  if (!verified_ && run.channel + 1 == header_.channels &&
      run.first + run.count == volume(header_.extent)) {
    source_->verify_to_end();
    verified_ = true;
  }
}

}  // namespace wholemount
