#pragma once

// Private to this folder: libtiff on a ByteSource.

#include <tiffio.h>

#include <memory>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/image/byte_source.h"

namespace wholemount {

/// A TIFF opened through libtiff, whose errors become FileError. libtiff keeps a pointer to it.
class TiffHandle {
 public:
  explicit TiffHandle(std::unique_ptr<ByteSource> source);
  TiffHandle(const TiffHandle&) = delete;
  TiffHandle& operator=(const TiffHandle&) = delete;
  ~TiffHandle();

  [[nodiscard]] TIFF* get() const { return tiff_; }
  [[nodiscard]] ByteSource& source() const { return *source_; }
  [[nodiscard]] const std::string& path() const { return source_->path(); }
  /// What libtiff said last, behind `what`.
  [[nodiscard]] FileError error(const std::string& what) const;
  /// A tag of the current directory with its default; `missing` where there is none.
  template <class T>
  [[nodiscard]] T field(uint32_t tag, T missing) const {
    T value = missing;
    return TIFFGetFieldDefaulted(tiff_, tag, &value) == 1 ? value : missing;
  }

 private:
  struct Callbacks;
  std::unique_ptr<ByteSource> source_;
  int64_t position_ = 0;
  std::string message_;
  TIFF* tiff_ = nullptr;
};

}  // namespace wholemount
