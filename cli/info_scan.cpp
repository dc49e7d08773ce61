#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/info_report.h"
#include "cli/voxel_statistics.h"
#include "wholemount/base/memory.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;

// More channels than this are summed up in text (4-D time series have hundreds); JSON has all.
constexpr size_t kChannelRows = 16;
// A histogram of more values than this is that of an image, not of a label map.
constexpr size_t kMostLabels = 32;

// Where each file axis points, e.g. "RAS": right, anterior, superior. Of all assignments of file
// axes to x, y, z the one with the largest sum of cosines.
std::string axis_codes(const Geometry& geometry) {
  std::array<size_t, 3> axes{0, 1, 2};
  std::array<size_t, 3> best = axes;
  double largest = -1;
  do {
    double sum = 0;
    for (size_t j = 0; j < 3; ++j) sum += std::abs(geometry.direction[axes[j]][j]);
    if (sum > largest) {
      largest = sum;
      best = axes;
    }
  } while (std::next_permutation(axes.begin(), axes.end()));
  constexpr std::array<const char*, 3> kPositive{"R", "A", "S"};
  constexpr std::array<const char*, 3> kNegative{"L", "P", "I"};
  std::string codes;
  for (size_t j = 0; j < 3; ++j) {
    codes += (geometry.direction[best[j]][j] < 0 ? kNegative : kPositive)[best[j]];
  }
  return codes;
}

const char* affine_source(const Geometry& geometry) {
  if (geometry.nifti.sform_code > 0) return "sform";
  return geometry.nifti.qform_code > 0 ? "qform" : "voxel sizes only";
}

std::string value_counts(const std::array<int64_t, 256>& histogram) {
  std::string text;
  for (size_t value = 0; value < histogram.size(); ++value) {
    if (histogram[value] == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(value) + ": " +
            std::to_string(histogram[value]);
  }
  return text;
}

bool is_label_like(const ChannelStatistics& channel) {
  if (!channel.histogram) return false;
  const auto& counts = *channel.histogram;
  return static_cast<size_t>(std::count_if(counts.begin(), counts.end(),
                                           [](int64_t count) { return count > 0; })) <= kMostLabels;
}

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json channel_json(const ChannelStatistics& channel) {
  Json json;
  json["min"] = number_or_null(channel.minimum);
  json["max"] = number_or_null(channel.maximum);
  json["mean"] = number_or_null(channel.mean);
  json["zeros"] = channel.zeros;
  json["non_finite"] = channel.non_finite;
  if (is_label_like(channel)) {
    json["values"] = Json::object();
    for (size_t value = 0; value < channel.histogram->size(); ++value) {
      const int64_t count = (*channel.histogram)[value];
      if (count > 0) json["values"][std::to_string(value)] = count;
    }
  }
  return json;
}

void add_header(const VolumeHeader& header, InfoReport& report) {
  const Extent3& extent = header.extent;
  const std::string type = voxel_type_name(header.stored);
  const std::array<int64_t, 3> shape{extent.d, extent.h, extent.w};
  const std::array<int64_t, 3> file_shape{extent.w, extent.h, extent.d};
  Json& json = report.json;
  json["shape"] = shape;
  json["file_shape"] = file_shape;
  json["channels"] = header.channels;
  json["type"] = type;
  json["byte_order"] = header.big_endian ? "big" : "little";
  json["slope"] = header.slope;
  json["intercept"] = header.intercept;
  json["payload_bytes"] = header.payload_bytes();

  auto& rows = report.rows;
  rows.emplace_back(
      "shape", format_list(shape) + " (d, h, w); the file's x, y, z: " + format_list(file_shape));
  rows.emplace_back("channels", std::to_string(header.channels));
  rows.emplace_back("type", type + (header.big_endian ? ", big endian" : ", little endian"));
  rows.emplace_back("scaling", header.scaled()
                                   ? "value = " + format_number(header.slope) + " x stored + " +
                                         format_number(header.intercept)
                                   : "none");
}

/// Where the voxels lie, for formats that say so.
void add_geometry(const Geometry& geometry, InfoReport& report) {
  Json& json = report.json;
  json["spacing_mm"] = geometry.spacing_mm;
  json["orientation"] = axis_codes(geometry);
  json["affine_from"] = affine_source(geometry);
  json["affine_mm"] = geometry.affine_mm;
  auto& rows = report.rows;
  rows.emplace_back("spacing", format_list(geometry.spacing_mm) + " mm (d, h, w)");
  rows.emplace_back("orientation",
                    axis_codes(geometry) + " (x, y, z), from " + affine_source(geometry));
  for (size_t row = 0; row < geometry.affine_mm.size(); ++row) {
    rows.emplace_back(row == 0 ? "affine" : "", format_list(geometry.affine_mm[row]));
  }
}

void add_values(const std::vector<ChannelStatistics>& channels, InfoReport& report) {
  report.json["channel_values"] = Json::array();
  for (size_t i = 0; i < channels.size(); ++i) {
    const ChannelStatistics& channel = channels[i];
    report.json["channel_values"].push_back(channel_json(channel));
    if (channel.non_finite > 0 && !report.problem) {
      report.problem = std::to_string(channel.non_finite) + " voxels of channel " +
                       std::to_string(i) + " are NaN or infinite, the first at " +
                       format_list(channel.first_non_finite) +
                       " (d, h, w); wanted finite numbers: clean the image first";
    }
    if (i >= kChannelRows) continue;
    std::string text = "no finite voxel";
    if (channel.mean) {
      text = "min " + format_number(*channel.minimum) + ", max " + format_number(*channel.maximum) +
             ", mean " + format_number(*channel.mean) + ", " + std::to_string(channel.zeros) +
             " zeros";
    }
    report.rows.emplace_back(channels.size() == 1 ? "values" : "channel " + std::to_string(i),
                             text);
    if (is_label_like(channel)) {
      report.rows.emplace_back("", "voxels of each value: " + value_counts(*channel.histogram));
    }
  }
  if (channels.size() > kChannelRows) {
    report.rows.emplace_back("", "and " + std::to_string(channels.size() - kChannelRows) +
                                     " more channels (--json lists all)");
  }
}

}  // namespace

std::string format_number(double value) {
  std::array<char, 32> text{};
  // -0 prints as 0.
  std::snprintf(text.data(), text.size(), "%.6g", value == 0 ? 0.0 : value);
  return text.data();
}

InfoReport describe_scan(const std::string& path) {
  const std::unique_ptr<VolumeReader> reader = open_volume(path);
  InfoReport report;
  const bool placed = reader->format().starts_with("NIfTI");
  report.kind = reader->format() + (placed ? " scan" : " image");
  report.json["path"] = path;
  report.json["kind"] = "scan";
  report.json["format"] = reader->format();
  report.json["file_bytes"] = std::filesystem::file_size(path);
  add_header(reader->header(), report);
  if (placed) add_geometry(reader->header().geometry, report);
  report.rows.emplace_back("payload",
                           format_bytes(static_cast<size_t>(reader->header().payload_bytes())));
  const VoxelStatistics values = voxel_statistics(*reader);
  add_values(values.channels, report);
  report.json["values_sha256"] = values.digest;
  return report;
}

}  // namespace wholemount::cli
