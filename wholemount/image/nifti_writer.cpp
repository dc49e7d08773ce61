#include "wholemount/image/nifti_writer.h"

#include <zlib.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/image/nifti_header.h"

namespace wholemount {

namespace {

constexpr size_t kOutputBytes = size_t{128} << 10;

/// Appends to a file through gzip. The stream holds no time stamp: equal content, equal bytes.
class GzipAppender {
 public:
  GzipAppender(AtomicFile* file, const std::string& path) : file_(file), output_(kOutputBytes) {
    if (deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw OutputError(path, "zlib refused to start");
    }
  }
  GzipAppender(const GzipAppender&) = delete;
  GzipAppender& operator=(const GzipAppender&) = delete;
  ~GzipAppender() { deflateEnd(&stream_); }

  void append(std::span<const std::byte> bytes) {
    constexpr size_t kMost = size_t{1} << 30;
    for (size_t done = 0; done < bytes.size(); done += kMost) {
      run(bytes.subspan(done, std::min(kMost, bytes.size() - done)), Z_NO_FLUSH);
    }
  }
  void finish() { run({}, Z_FINISH); }

 private:
  void run(std::span<const std::byte> bytes, int flush) {
    // zlib does not write through next_in; its type is historical.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      deflate(&stream_, flush);
      file_->write(output_.data(), output_.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

  AtomicFile* file_;
  std::vector<std::byte> output_;
  z_stream stream_{};
};

}  // namespace

struct NiftiWriter::State {
  explicit State(const std::string& path) : file(path) {}
  AtomicFile file;
  std::unique_ptr<GzipAppender> gzip;
  VolumeHeader header;
  std::vector<bool> written;  ///< by plane, over all channels
  int64_t next_plane = 0;     ///< where the last write ended (a .nii.gz goes on there)
};

NiftiWriter::NiftiWriter(const std::string& path, const VolumeHeader& like, VoxelType stored,
                         int64_t channels) {
  const bool compressed = path.ends_with(".nii.gz");
  if (!compressed && !path.ends_with(".nii")) {
    throw ConfigError(path + ": volumes are written as .nii or .nii.gz; change the suffix");
  }
  state_ = std::make_unique<State>(path);
  VolumeHeader& header = state_->header;
  header = like;
  header.stored = stored;
  header.channels = channels;
  header.slope = 1.0;
  header.intercept = 0.0;
  header.big_endian = false;
  const std::vector<std::byte> bytes = encode_nifti_header(header);
  header.data_offset = static_cast<int64_t>(bytes.size());
  state_->written.resize(static_cast<size_t>(checked_multiply(channels, header.extent.d)));
  if (compressed) {
    state_->gzip = std::make_unique<GzipAppender>(&state_->file, path);
    state_->gzip->append(bytes);
  } else {
    state_->file.write(bytes.data(), bytes.size());
  }
}

NiftiWriter::~NiftiWriter() = default;

void NiftiWriter::write(const PlaneRange& planes, std::span<const std::byte> bytes,
                        VoxelType type) {
  const VolumeHeader& header = state_->header;
  WM_CHECK(type == header.stored, "voxels of another type than the file's");
  WM_CHECK(planes.channel >= 0 && planes.channel < header.channels && planes.first >= 0 &&
               planes.first + planes.count <= header.extent.d &&
               static_cast<int64_t>(bytes.size()) == planes.count * header.plane_bytes(),
           "planes outside the volume or of another size");
  const int64_t first = planes.channel * header.extent.d + planes.first;
  if (state_->gzip) {
    WM_CHECK(first == state_->next_plane, "a compressed file takes its planes in order");
    state_->gzip->append(bytes);
  } else {
    state_->file.write_at(header.data_offset + first * header.plane_bytes(), bytes.data(),
                          bytes.size());
  }
  state_->next_plane = first + planes.count;
  const auto begin = state_->written.begin() + first;
  std::fill(begin, begin + planes.count, true);
}

void NiftiWriter::write_planes(const PlaneRange& planes, std::span<const uint8_t> values) {
  write(planes, std::as_bytes(values), VoxelType::u8);
}

void NiftiWriter::write_planes(const PlaneRange& planes, std::span<const int16_t> values) {
  write(planes, std::as_bytes(values), VoxelType::i16);
}

void NiftiWriter::write_planes(const PlaneRange& planes, std::span<const float> values) {
  write(planes, std::as_bytes(values), VoxelType::f32);
}

void NiftiWriter::finish() {
  WM_CHECK(
      std::find(state_->written.begin(), state_->written.end(), false) == state_->written.end(),
      "planes are missing in the file");
  if (state_->gzip) state_->gzip->finish();
  state_->file.commit();
}

void write_label_map(const std::string& path, const VolumeHeader& like,
                     std::span<const uint8_t> labels) {
  NiftiWriter writer(path, like, VoxelType::u8);
  writer.write_planes({0, 0, like.extent.d}, labels);
  writer.finish();
}

}  // namespace wholemount
