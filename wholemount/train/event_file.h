#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace wholemount {

/// A number on a TensorBoard chart.
struct EventScalar {
  std::string tag;  ///< "train/loss"; the part before the first "/" groups charts
  double value = 0;
};

/// A TensorBoard event file that is only ever appended to.
///
/// Format: records of TFRecord ({uint64 length, masked CRC-32C of it, bytes, masked CRC-32C of
/// those}, little endian; mask(c) = rotate right(c, 15) + 0xa282ead8), each one protocol buffer
/// tensorflow.Event: the first says file_version "brain.Event:2", the others hold a wall time, a
/// step and a Summary of simple values (tensorflow/core/util/event.proto, summary.proto).
///
/// A run that is resumed from an older step appends a session start at its first step, on which
/// TensorBoard forgets what later steps had said before. Not thread-safe.
class EventFile {
 public:
  /// Opens `path` to append, or makes it. What a crash tore off its last record is cut. Where the
  /// file holds events already, a session start at `next_step` follows them.
  /// Throws OutputError.
  EventFile(std::string path, int64_t next_step);
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;
  ~EventFile();

  /// Appends one event, handed to the system at once; values that are not finite are left out.
  /// `unix_seconds` is the time of the event. Throws OutputError.
  void append(int64_t step, double unix_seconds, std::span<const EventScalar> scalars);

 private:
  void write_record(const std::string& data);

  std::string path_;
  int descriptor_ = -1;
};

}  // namespace wholemount
