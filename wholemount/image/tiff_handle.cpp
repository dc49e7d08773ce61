#include "wholemount/image/tiff_handle.h"

#include <array>
#include <cstdarg>
#include <cstdio>

#include "wholemount/image/tiff_reader.h"

namespace wholemount {

// libtiff calls these; no exception may pass through it.
struct TiffHandle::Callbacks {
  static TiffHandle& handle(thandle_t self) { return *static_cast<TiffHandle*>(self); }

  static tmsize_t read(thandle_t self, void* bytes, tmsize_t count) {
    TiffHandle& h = handle(self);
    try {
      const size_t done = h.source_->read_some(
          h.position_, {static_cast<std::byte*>(bytes), static_cast<size_t>(count)});
      h.position_ += static_cast<int64_t>(done);
      return static_cast<tmsize_t>(done);
    } catch (const Error& error) {
      h.message_ = error.what();
      return -1;
    }
  }
  static tmsize_t write(thandle_t /*self*/, void* /*bytes*/, tmsize_t /*count*/) { return -1; }
  static toff_t seek(thandle_t self, toff_t offset, int whence) {
    TiffHandle& h = handle(self);
    const int64_t base =
        whence == SEEK_SET ? 0 : (whence == SEEK_CUR ? h.position_ : h.source_->largest_size());
    int64_t target = 0;
    if (offset > static_cast<toff_t>(INT64_MAX) ||
        __builtin_add_overflow(base, static_cast<int64_t>(offset), &target)) {
      return static_cast<toff_t>(-1);
    }
    h.position_ = target;
    return static_cast<toff_t>(target);
  }
  static int close(thandle_t /*self*/) { return 0; }
  static toff_t size(thandle_t self) {
    return static_cast<toff_t>(handle(self).source_->largest_size());
  }

  static int failed(TIFF* /*tiff*/, void* self, const char* module, const char* format,
                    va_list arguments) {
    std::array<char, 512> text{};
    std::vsnprintf(text.data(), text.size(), format, arguments);
    auto& message = static_cast<TiffHandle*>(self)->message_;
    // The first of a chain of complaints names the cause.
    if (message.empty()) {
      message = (module != nullptr ? std::string(module) + ": " : std::string()) + text.data();
    }
    return 1;
  }
  static int warned(TIFF* /*tiff*/, void* /*self*/, const char* /*module*/, const char* /*format*/,
                    va_list /*arguments*/) {
    return 1;
  }
};

TiffHandle::TiffHandle(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  WM_CHECK(options != nullptr, "libtiff could not allocate its options");
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, static_cast<tmsize_t>(kTiffLargestAllocation));
  TIFFOpenOptionsSetErrorHandlerExtR(options, Callbacks::failed, this);
  TIFFOpenOptionsSetWarningHandlerExtR(options, Callbacks::warned, this);
  // "m": never map the file; "C": take strips as they come.
  tiff_ = TIFFClientOpenExt("image", "rm", this, Callbacks::read, Callbacks::write, Callbacks::seek,
                            Callbacks::close, Callbacks::size, nullptr, nullptr, options);
  TIFFOpenOptionsFree(options);
  if (tiff_ == nullptr) throw error("not a readable TIFF");
}

TiffHandle::~TiffHandle() {
  if (tiff_ != nullptr) TIFFClose(tiff_);
}

FileError TiffHandle::error(const std::string& what) const {
  return {path(), what + (message_.empty() ? "" : " (" + message_ + ")") +
                      "; the file is damaged or cut off: get it again"};
}

}  // namespace wholemount
