#include "wholemount/image/tiff_axes.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr int64_t kMostPages = int64_t{1} << 24;

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

/// The text between the quotes of attribute `name` in an XML start tag.
std::optional<std::string_view> attribute(std::string_view tag, std::string_view name) {
  for (size_t at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
    const size_t equals = at + name.size();
    if (at == 0 || (tag[at - 1] != ' ' && tag[at - 1] != '\n' && tag[at - 1] != '\t') ||
        equals + 1 >= tag.size() || tag[equals] != '=') {
      continue;
    }
    const char quote = tag[equals + 1];
    if (quote != '"' && quote != '\'') continue;
    const size_t end = tag.find(quote, equals + 2);
    if (end == std::string_view::npos) return std::nullopt;
    return tag.substr(equals + 2, end - equals - 2);
  }
  return std::nullopt;
}

/// The start tag `<name ...>` at or after *from; empty when there is none. Moves *from behind it.
std::string_view next_tag(std::string_view xml, std::string_view name, size_t* from) {
  const std::string open = "<" + std::string(name);
  for (size_t at = xml.find(open, *from); at != std::string_view::npos;
       at = xml.find(open, at + 1)) {
    const size_t after = at + open.size();
    if (after < xml.size() && xml[after] != ' ' && xml[after] != '\n' && xml[after] != '\t' &&
        xml[after] != '>' && xml[after] != '/') {
      continue;
    }
    const size_t end = xml.find('>', at);
    if (end == std::string_view::npos) return {};
    *from = end;
    return xml.substr(at, end - at);
  }
  *from = xml.size();
  return {};
}

class OmeAxes {
 public:
  OmeAxes(const TiffPages& file, std::string_view pixels, std::string_view rest)
      : file_(file), rest_(rest) {
    order_ = attribute(pixels, "DimensionOrder").value_or("XYZCT");
    sizes_ = {size(pixels, "SizeZ"), size(pixels, "SizeC"), size(pixels, "SizeT")};
  }

  TiffAxes read() {
    if (order_.size() != 5 || !order_.starts_with("XY") ||
        order_.find('Z') == std::string_view::npos || order_.find('C') == std::string_view::npos ||
        order_.find('T') == std::string_view::npos) {
      fail("DimensionOrder is \"" + std::string(order_) + "\", wanted XY and then Z, C, T");
    }
    if (sizes_[2] != 1) {
      fail("holds " + std::to_string(sizes_[2]) +
           " time points; one image has one: split the series");
    }
    // Samples of a pixel count as channels in SizeC.
    if (file_.samples > 1 && sizes_[1] % file_.samples == 0) sizes_[1] /= file_.samples;
    TiffAxes axes;
    axes.planes = sizes_[0];
    axes.channels = sizes_[1];
    if (axes.planes > kMostPages / axes.channels) fail("its sizes are absurd");
    axes.pages.assign(static_cast<size_t>(axes.planes * axes.channels), -1);
    read_tiff_data(axes);
    for (const int64_t page : axes.pages) {
      if (page < 0 || page >= file_.num_pages) {
        fail("describes " + std::to_string(axes.planes) + " planes of " +
             std::to_string(axes.channels) + " channels, but the file has " +
             std::to_string(file_.num_pages) + " pages; files of a set cannot be read singly");
      }
    }
    return axes;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw FileError(file_.path, "OME-XML: " + reason);
  }
  [[nodiscard]] int64_t size(std::string_view pixels, std::string_view name) const {
    const auto text = attribute(pixels, name);
    const auto value = text ? whole_number(*text) : std::nullopt;
    if (!value || *value < 1 || *value > kMostPages) fail(std::string(name) + " is not a size");
    return *value;
  }

  /// Walks planes in DimensionOrder from a start, giving them rising pages.
  void assign(TiffAxes& axes, int64_t z, int64_t c, int64_t page, int64_t count) const {
    const bool channel_first = order_.find('C') < order_.find('Z');
    for (int64_t i = 0; i < count; ++i) {
      if (z >= axes.planes || c >= axes.channels) return;
      axes.pages[static_cast<size_t>(c * axes.planes + z)] = page + i;
      int64_t& fast = channel_first ? c : z;
      int64_t& slow = channel_first ? z : c;
      if (++fast == (channel_first ? axes.channels : axes.planes)) {
        fast = 0;
        ++slow;
      }
    }
  }

  void read_tiff_data(TiffAxes& axes) const {
    bool any = false;
    size_t from = 0;
    for (std::string_view tag = next_tag(rest_, "TiffData", &from); !tag.empty();
         tag = next_tag(rest_, "TiffData", &from)) {
      const auto number = [&](std::string_view name) {
        const auto text = attribute(tag, name);
        return text ? whole_number(*text) : std::nullopt;
      };
      const int64_t page = number("IFD").value_or(0);
      const bool whole = !number("IFD") && !number("PlaneCount");
      const int64_t count = number("PlaneCount").value_or(whole ? file_.num_pages : 1);
      const int64_t z = number("FirstZ").value_or(0);
      int64_t c = number("FirstC").value_or(0);
      if (file_.samples > 1) c /= file_.samples;
      if (page < 0 || count < 1 || z < 0 || c < 0)
        fail("a TiffData element has impossible numbers");
      assign(axes, z, c, page, std::min(count, file_.num_pages));
      any = true;
    }
    if (!any) assign(axes, 0, 0, 0, file_.num_pages);
  }

  const TiffPages& file_;
  std::string_view rest_;
  std::string_view order_;
  std::vector<int64_t> sizes_;  ///< of Z, C, T
};

/// A number of ImageJ's lines "channels=3".
std::optional<int64_t> imagej_number(std::string_view text, const std::string& key) {
  const size_t at = text.find("\n" + key + "=");
  return at == std::string_view::npos ? std::nullopt
                                      : whole_number(text.substr(at + key.size() + 2));
}

TiffAxes imagej_axes(const TiffPages& file) {
  const int64_t frames = imagej_number(file.description, "frames").value_or(1);
  const int64_t channels = imagej_number(file.description, "channels").value_or(1);
  const int64_t images = imagej_number(file.description, "images").value_or(1);
  if (images > 1 && file.num_pages == 1 && file.samples == 1) {
    throw FileError(file.path, "ImageJ stored " + std::to_string(images) +
                                   " images behind a single directory (its form for files above 4 "
                                   "GiB); save it as BigTIFF or OME-TIFF");
  }
  if (frames > 1) {
    throw FileError(file.path, "ImageJ description: holds " + std::to_string(frames) +
                                   " time points; one image has one: split the series");
  }
  TiffAxes axes;
  // An RGB image's samples are no pages, though ImageJ counts them as channels.
  if (channels < 1 || file.num_pages % channels != 0) {
    if (file.num_pages != 1) {
      throw FileError(file.path, "ImageJ description: " + std::to_string(channels) +
                                     " channels do not divide " + std::to_string(file.num_pages) +
                                     " pages");
    }
    axes.pages = {0};
    return axes;
  }
  axes.channels = channels;
  axes.planes = file.num_pages / channels;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t d = 0; d < axes.planes; ++d) axes.pages.push_back(d * channels + c);
  }
  return axes;
}

}  // namespace

TiffAxes read_tiff_axes(const TiffPages& file) {
  const std::string_view text = file.description;
  if (text.starts_with("ImageJ=")) return imagej_axes(file);
  if (text.find("<OME") != std::string_view::npos) {
    size_t from = 0;
    const std::string_view pixels = next_tag(text, "Pixels", &from);
    if (!pixels.empty()) {
      // Up to the end of this image: other images of the file are other series.
      const std::string_view rest = text.substr(from);
      return OmeAxes(file, pixels, rest.substr(0, rest.find("</Pixels"))).read();
    }
  }
  TiffAxes axes;
  axes.planes = file.num_pages;
  for (int64_t d = 0; d < file.num_pages; ++d) axes.pages.push_back(d);
  return axes;
}

}  // namespace wholemount
