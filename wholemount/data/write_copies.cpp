#include "wholemount/data/write_copies.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/data/load_case.h"
#include "wholemount/image/tiff_writer.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

/// A name that is safe as that of a file.
std::string file_name(const std::string& text) {
  std::string name = text;
  for (char& c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) c = '_';
  }
  return name;
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

template <class Number>
void write_rounded(const std::string& path, const Extent3& extent,
                   const std::vector<float>& values) {
  std::vector<Number> numbers(values.size());
  // Interpolation stays between its corners, so every value fits the type.
  for (size_t i = 0; i < values.size(); ++i) {
    numbers[i] = static_cast<Number>(std::lround(values[i]));
  }
  write_tiff(path, extent, std::span<const Number>(numbers));
}

class Writer {
 public:
  Writer(const Dataset& fields, const WriteCopiesSpec& spec) : spec_(spec), dataset_(fields) {
    if (spec.set == CopySet::none || fields.classes.empty()) {
      throw ConfigError("copies are written of classified fields, with set A or B");
    }
    const CaseHeaders headers = read_case_headers(fields.cases);
    stored_ = headers.stored;
    for (size_t i = 0; i < stored_.size(); ++i) {
      if (stored_[i] != VoxelType::u8 && stored_[i] != VoxelType::u16) {
        throw FileError(fields.cases[i].channels.front().path,
                        std::string("stores ") + voxel_type_name(stored_[i]) +
                            "; copies are written of uint8 and uint16");
      }
    }
    load_.copies = spec.set;
    load_.shape = spec.shape;
    if (spec.set == CopySet::turns && !load_.shape.fixed && !headers.extents.empty()) {
      const int64_t side = largest_turning_square(headers.extents.front());
      load_.shape.fixed = Extent3{1, side, side};
    }
    load_.whole_image = true;
    load_.normalise.kind = NormaliseKind::none;
    extents_ = headers.extents;
    field_count_ = static_cast<int64_t>(fields.cases.size());
    std::vector<Extent3> extents = headers.extents;
    expand_copies(spec.set, load_.shape, &dataset_, &extents);
    for (size_t i = 0; i < dataset_.cases.size(); ++i) {
      if (dataset_.cases[i].copy == 0) first_copy_.push_back(i);
    }
    first_copy_.push_back(dataset_.cases.size());
    make_folders();
  }

  [[nodiscard]] int64_t num_fields() const { return field_count_; }
  [[nodiscard]] int64_t num_copies() const { return static_cast<int64_t>(dataset_.cases.size()); }

  void write_field(int64_t field) const {
    const auto index = static_cast<size_t>(field);
    for (size_t i = first_copy_[index]; i < first_copy_[index + 1]; ++i) {
      for (size_t channel = 0; channel < dataset_.channel_names.size(); ++channel) {
        write_channel(i, channel, extents_[index], stored_[index]);
      }
    }
  }

  void write_manifest() const {
    std::set<std::string> groups;
    for (const Case& copy : dataset_.cases) {
      for (const auto& [name, value] : copy.groups) groups.insert(name);
    }
    std::string text = "id";
    for (const std::string& name : dataset_.channel_names) text += "," + csv_text(name);
    text += ",class";
    for (const std::string& name : groups) text += "," + name;
    text += "\n";
    for (const Case& copy : dataset_.cases) {
      text += csv_text(copy.id);
      for (size_t channel = 0; channel < dataset_.channel_names.size(); ++channel) {
        text += "," + csv_text(relative_path(copy, channel));
      }
      text += "," + csv_text(class_of(copy));
      for (const std::string& name : groups) {
        const auto found = copy.groups.find(name);
        text += "," + (found == copy.groups.end() ? std::string() : csv_text(found->second));
      }
      text += "\n";
    }
    write_file_atomically((fs::path(spec_.folder) / "manifest.csv").string(), text);
  }

 private:
  [[nodiscard]] const std::string& class_of(const Case& copy) const {
    return dataset_.classes[static_cast<size_t>(copy.class_index)];
  }

  [[nodiscard]] std::string relative_path(const Case& copy, size_t channel) const {
    return file_name(class_of(copy)) + "/" + file_name(copy.id) + "_" +
           file_name(dataset_.channel_names[channel]) + ".tif";
  }

  void make_folders() const {
    for (const std::string& name : dataset_.classes) {
      const fs::path folder = fs::path(spec_.folder) / file_name(name);
      std::error_code error;
      fs::create_directories(folder, error);
      if (error) throw OutputError(folder.string(), "cannot make the folder: " + error.message());
    }
  }

  void write_channel(size_t index, size_t channel, const Extent3& stored, VoxelType type) const {
    const Case& copy = dataset_.cases[index];
    LoadSpec load = load_;
    load.channels = {static_cast<int64_t>(channel)};
    std::vector<std::byte> memory(staging_desc(load, stored).bytes + kAlignment);
    void* aligned = memory.data();
    size_t space = memory.size();
    std::align(kAlignment, memory.size() - kAlignment, aligned, space);
    const LoadedCase loaded =
        load_case(copy, {static_cast<int64_t>(index), 0}, load,
                  {static_cast<std::byte*>(aligned), memory.size() - kAlignment});
    const Extent3 extent = loaded.placement.padded;
    std::vector<float> values(static_cast<size_t>(volume(extent)));
    for (int64_t h = 0; h < extent.h; ++h) {
      const float* row = loaded.image.at<const float>(0, 0, 0, h, 0);
      std::copy_n(row, extent.w, values.begin() + h * extent.w);
    }
    const std::string path = (fs::path(spec_.folder) / relative_path(copy, channel)).string();
    if (type == VoxelType::u8) {
      write_rounded<uint8_t>(path, extent, values);
    } else {
      write_rounded<uint16_t>(path, extent, values);
    }
  }

  static constexpr size_t kAlignment = 64;

  const WriteCopiesSpec& spec_;
  Dataset dataset_;  ///< of copies
  LoadSpec load_;
  std::vector<Extent3> extents_;   ///< by field
  std::vector<VoxelType> stored_;  ///< by field
  std::vector<size_t> first_copy_;
  int64_t field_count_ = 0;
};

}  // namespace

int64_t largest_turning_square(const Extent3& field) {
  const int64_t side = std::min(field.h, field.w);
  auto square = static_cast<int64_t>(std::floor(static_cast<double>(side) / std::sqrt(2.0)));
  return std::max<int64_t>(1, square);
}

int64_t write_copies(const Dataset& dataset, const WriteCopiesSpec& spec, ThreadPool* pool,
                     FunctionRef<void(int64_t done)> on_field) {
  const Writer writer(dataset, spec);
  const int64_t at_once = pool->num_threads();
  for (int64_t first = 0; first < writer.num_fields(); first += at_once) {
    const int64_t count = std::min(at_once, writer.num_fields() - first);
    std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
    pool->run(count, [&](int64_t task, int /*thread*/) {
      try {
        writer.write_field(first + task);
      } catch (...) {
        errors[static_cast<size_t>(task)] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
    on_field(first + count);
  }
  writer.write_manifest();
  return writer.num_copies();
}

}  // namespace wholemount
