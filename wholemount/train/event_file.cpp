#include "wholemount/train/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <utility>

#include "wholemount/base/clock.h"
#include "wholemount/base/crc32c.h"
#include "wholemount/base/error.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {

namespace {

constexpr uint64_t kMaxRecordBytes = uint64_t{1} << 20;  // ours hold a few hundred
constexpr size_t kHeaderBytes = 12;
constexpr size_t kFooterBytes = 4;

// Wire types of protocol buffers.
constexpr uint64_t kVarint = 0;
constexpr uint64_t kFixed64 = 1;
constexpr uint64_t kBytes = 2;
constexpr uint64_t kFixed32 = 5;

constexpr uint64_t kSessionStart = 1;  // SessionLog.SessionStatus.START

uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8U; }

template <class Number>
void append_little_endian(std::string& text, Number number) {
  for (size_t byte = 0; byte < sizeof(Number); ++byte) {
    text.push_back(static_cast<char>((number >> (8 * byte)) & 0xffU));
  }
}

template <class Number>
Number little_endian(std::string_view bytes) {
  Number number = 0;
  for (size_t byte = 0; byte < sizeof(Number); ++byte) {
    number |= static_cast<Number>(static_cast<unsigned char>(bytes[byte])) << (8 * byte);
  }
  return number;
}

void append_varint(std::string& text, uint64_t number) {
  for (; number >= 0x80; number >>= 7) {
    text.push_back(static_cast<char>((number & 0x7fU) | 0x80U));
  }
  text.push_back(static_cast<char>(number));
}

void append_key(std::string& message, uint64_t field, uint64_t wire_type) {
  append_varint(message, field << 3 | wire_type);
}

void append_bytes(std::string& message, uint64_t field, std::string_view bytes) {
  append_key(message, field, kBytes);
  append_varint(message, bytes.size());
  message += bytes;
}

/// Event { double wall_time = 1; int64 step = 2; ... }
std::string event_at(int64_t step, double unix_seconds) {
  std::string event;
  append_key(event, 1, kFixed64);
  append_little_endian(event, std::bit_cast<uint64_t>(unix_seconds));
  append_key(event, 2, kVarint);
  append_varint(event, static_cast<uint64_t>(step));
  return event;
}

/// Summary.Value { string tag = 1; float simple_value = 2; }
std::string summary_value(const EventScalar& scalar) {
  std::string value;
  append_bytes(value, 1, scalar.tag);
  append_key(value, 2, kFixed32);
  append_little_endian(value, std::bit_cast<uint32_t>(static_cast<float>(scalar.value)));
  return value;
}

/// Bytes of the whole and undamaged records at the file's start.
uint64_t sound_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  uint64_t sound = 0;
  std::string bytes;
  const auto read = [&](size_t count) {
    bytes.resize(count);
    stream.read(bytes.data(), static_cast<std::streamsize>(count));
    return static_cast<bool>(stream);
  };
  while (read(kHeaderBytes)) {
    const std::string_view header = bytes;
    const auto length = little_endian<uint64_t>(header.substr(0, 8));
    if (little_endian<uint32_t>(header.substr(8)) != masked_crc(header.substr(0, 8)) ||
        length > kMaxRecordBytes || !read(length + kFooterBytes)) {
      break;
    }
    const std::string_view data = std::string_view(bytes).substr(0, length);
    if (little_endian<uint32_t>(std::string_view(bytes).substr(length)) != masked_crc(data)) break;
    sound += kHeaderBytes + length + kFooterBytes;
  }
  return sound;
}

}  // namespace

EventFile::EventFile(std::string path, int64_t next_step) : path_(std::move(path)) {
  const uint64_t sound = sound_bytes(path_);
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    throw OutputError(path_, "cannot be opened: " + system_error_text(errno));
  }
  try {
    if (::ftruncate(descriptor_, static_cast<off_t>(sound)) != 0) {
      throw OutputError(path_, "cannot be cut: " + system_error_text(errno));
    }
    if (sound == 0) {
      std::string version = event_at(0, unix_seconds());
      append_bytes(version, 3, "brain.Event:2");  // Event.file_version
      write_record(version);
    } else {
      std::string status;
      append_key(status, 1, kVarint);  // SessionLog.status
      append_varint(status, kSessionStart);
      std::string start = event_at(next_step, unix_seconds());
      append_bytes(start, 7, status);  // Event.session_log
      write_record(start);
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

EventFile::~EventFile() { ::close(descriptor_); }

void EventFile::append(int64_t step, double unix_seconds, std::span<const EventScalar> scalars) {
  std::string summary;
  for (const EventScalar& scalar : scalars) {
    // Summary.value
    if (std::isfinite(scalar.value)) append_bytes(summary, 1, summary_value(scalar));
  }
  if (summary.empty()) return;
  std::string event = event_at(step, unix_seconds);
  append_bytes(event, 5, summary);  // Event.summary
  write_record(event);
}

void EventFile::write_record(const std::string& data) {
  std::string record;
  append_little_endian(record, static_cast<uint64_t>(data.size()));
  append_little_endian(record, masked_crc(std::string_view(record)));
  record += data;
  append_little_endian(record, masked_crc(data));
  // One write for the whole record: a reader never sees half of it.
  for (std::string_view rest = record; !rest.empty();) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw OutputError(path_, "cannot be written: " + system_error_text(errno));
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace wholemount
