#include "wholemount/data/bbbc021_layout.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"
#include "wholemount/data/csv_file.h"
#include "wholemount/data/layout_files.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> kChannels{"DAPI", "Tubulin", "Actin"};
constexpr const char* kControl = "DMSO";
constexpr const char* kPositiveControl = "taxol";
constexpr size_t kNamedMissing = 5;

std::string file_ending_in(const std::string& root, const std::string& suffix) {
  if (!fs::is_directory(root)) return {};
  for (const std::string& name : sorted_entries(root)) {
    if (name.ends_with(suffix)) return (fs::path(root) / name).string();
  }
  return {};
}

/// A CSV whose first line names its columns.
class Table {
 public:
  explicit Table(const std::string& path) : path_(path), lines_(read_csv_file(path)) {
    if (lines_.empty()) throw FileError(path, "is empty; wanted a line of column names");
    for (size_t i = 0; i < lines_[0].fields.size(); ++i) columns_[lines_[0].fields[i]] = i;
  }
  [[nodiscard]] size_t column(const std::string& name) const {
    const auto found = columns_.find(name);
    if (found == columns_.end()) {
      throw FileError(path_, "has no column \"" + name + "\"; wanted the file as downloaded");
    }
    return found->second;
  }
  [[nodiscard]] const std::string& at(const CsvLine& line, size_t column) const {
    if (column >= line.fields.size()) {
      throw FileError(path_, "line " + std::to_string(line.number) + " has " +
                                 std::to_string(line.fields.size()) + " fields, wanted " +
                                 std::to_string(lines_[0].fields.size()));
    }
    return line.fields[column];
  }
  /// A concentration, so that "0.3", ".3" and "0.300" are the same.
  [[nodiscard]] double number(const CsvLine& line, size_t column) const {
    const std::string& text = at(line, column);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw FileError(path_, "line " + std::to_string(line.number) + ": concentration \"" + text +
                                 "\" is not a number");
    }
    return value;
  }
  [[nodiscard]] std::span<const CsvLine> rows() const { return std::span(lines_).subspan(1); }

 private:
  std::string path_;
  std::vector<CsvLine> lines_;
  std::map<std::string, size_t> columns_;
};

using Treatment = std::pair<std::string, double>;

std::map<Treatment, std::string> read_mechanisms(const std::string& path) {
  const Table table(path);
  const size_t compound = table.column("compound");
  const size_t concentration = table.column("concentration");
  const size_t mechanism = table.column("moa");
  std::map<Treatment, std::string> mechanisms;
  for (const CsvLine& line : table.rows()) {
    mechanisms[{table.at(line, compound), table.number(line, concentration)}] =
        table.at(line, mechanism);
  }
  return mechanisms;
}

/// "2" of G10_s2_w1... and Week6_200607_G10_s2_w1...; empty where the name holds no site.
std::string site_of(const std::string& name) {
  const size_t at = name.find("_s");
  if (at == std::string::npos) return {};
  const size_t end = name.find_first_not_of("0123456789", at + 2);
  return name.substr(at + 2, end == std::string::npos ? end : end - at - 2);
}

class Reader {
 public:
  Reader(const std::string& root, const DatasetSelection& selection)
      : root_(root),
        selection_(selection),
        table_(file_ending_in(root, "image.csv")),
        mechanisms_(read_mechanisms(file_ending_in(root, "moa.csv"))) {}

  Dataset read() {
    dataset_.layout = DatasetLayout::bbbc021;
    dataset_.root = root_;
    dataset_.name = "BBBC021";
    dataset_.channel_names.assign(kChannels.begin(), kChannels.end());
    for (size_t c = 0; c < kChannels.size(); ++c) {
      files_[c] = table_.column(std::string("Image_FileName_") + kChannels[c]);
      folders_[c] = table_.column(std::string("Image_PathName_") + kChannels[c]);
    }
    const size_t plate = table_.column("Image_Metadata_Plate_DAPI");
    const size_t well = table_.column("Image_Metadata_Well_DAPI");
    const size_t compound = table_.column("Image_Metadata_Compound");
    const size_t concentration = table_.column("Image_Metadata_Concentration");
    for (const CsvLine& line : table_.rows()) {
      const Treatment treatment{table_.at(line, compound), table_.number(line, concentration)};
      const auto mechanism = mechanisms_.find(treatment);
      if (mechanism == mechanisms_.end()) continue;
      add_row(line,
              {table_.at(line, plate), table_.at(line, well), treatment.first,
               treatment.first + " " + table_.at(line, concentration)},
              mechanism->second);
    }
    if (dataset_.cases.empty()) {
      throw FileError(root_, "no image's compound and concentration stand in moa.csv");
    }
    keep_some_controls();
    check_files();
    assign_classes(class_names_, &dataset_);
    return std::move(dataset_);
  }

 private:
  struct Origin {
    std::string plate;
    std::string well;
    std::string compound;
    std::string treatment;
  };

  void add_row(const CsvLine& line, const Origin& origin, const std::string& mechanism) {
    const std::string& folder = table_.at(line, folders_[0]);
    const std::string week = folder.substr(0, folder.find_first_of("/_"));
    if (origin.compound == kPositiveControl && !selection_.all_taxol &&
        !(week == "Week1" && origin.well.starts_with("D0"))) {
      return;
    }
    Case field;
    for (size_t c = 0; c < kChannels.size(); ++c) {
      field.channels.push_back(
          {image_path(table_.at(line, folders_[c]), table_.at(line, files_[c])), 0});
    }
    const std::string site = site_of(table_.at(line, files_[0]));
    const std::string well = origin.plate + "_" + origin.well;
    field.id = week + "_" + well + "_s" + site;
    field.groups = {{"plate", origin.plate},
                    {"well", well},
                    {"field", well + "_s" + site},
                    {"site", site},
                    {"batch", week},
                    {"compound", origin.compound},
                    {"treatment", origin.treatment}};
    dataset_.cases.push_back(std::move(field));
    class_names_.push_back(mechanism);
  }

  /// The archives hold Week1_22123/NAME; the CSV says Week1/Week1_22123.
  [[nodiscard]] std::string image_path(const std::string& folder, const std::string& name) const {
    const fs::path whole = fs::path(root_) / folder / name;
    if (fs::exists(whole)) return whole.string();
    const fs::path flat = fs::path(root_) / fs::path(folder).filename() / name;
    return (fs::exists(flat) ? flat : whole).string();
  }

  void keep_some_controls() {
    if (!selection_.control_wells) return;
    std::set<std::string> distinct;
    for (const Case& field : dataset_.cases) {
      if (field.groups.at("compound") == kControl) distinct.insert(field.groups.at("well"));
    }
    std::vector<std::string> wells(distinct.begin(), distinct.end());
    CounterRng rng(selection_.seed, 0, 0, "controls");
    for (size_t last = wells.size(); last > 1; --last) {
      std::swap(wells[last - 1], wells[rng.next_below(last)]);
    }
    wells.resize(std::min(wells.size(), static_cast<size_t>(*selection_.control_wells)));
    const std::set<std::string> kept(wells.begin(), wells.end());
    std::vector<Case> cases;
    std::vector<std::string> names;
    for (size_t i = 0; i < dataset_.cases.size(); ++i) {
      const Case& field = dataset_.cases[i];
      if (field.groups.at("compound") == kControl && !kept.contains(field.groups.at("well"))) {
        if (files_are_there(field)) dataset_.other_controls.push_back(field);
        continue;
      }
      cases.push_back(field);
      names.push_back(class_names_[i]);
    }
    dataset_.cases = std::move(cases);
    class_names_ = std::move(names);
  }

  static bool files_are_there(const Case& field) {
    return std::all_of(field.channels.begin(), field.channels.end(),
                       [](const ChannelFile& file) { return fs::is_regular_file(file.path); });
  }

  void check_files() const {
    size_t missing = 0;
    std::string list;
    for (const Case& field : dataset_.cases) {
      for (const ChannelFile& file : field.channels) {
        if (fs::is_regular_file(file.path)) continue;
        if (++missing <= kNamedMissing) list += "\n  " + file.path;
      }
    }
    if (missing == 0) return;
    throw FileError(root_, std::to_string(missing) + " of " +
                               std::to_string(3 * dataset_.cases.size()) +
                               " image files that image.csv names are missing:" + list +
                               (missing > kNamedMissing ? "\n  ..." : "") +
                               "\nunpack all 55 archives BBBC021_v1_images_Week*.zip into the "
                               "folder");
  }

  const std::string& root_;
  const DatasetSelection& selection_;
  Table table_;
  std::map<Treatment, std::string> mechanisms_;
  std::array<size_t, 3> files_{};
  std::array<size_t, 3> folders_{};
  Dataset dataset_;
  std::vector<std::string> class_names_;  ///< by case
};

}  // namespace

bool is_bbbc021_layout(const std::string& root) {
  return !file_ending_in(root, "image.csv").empty() && !file_ending_in(root, "moa.csv").empty();
}

Dataset read_bbbc021_layout(const std::string& root, const DatasetSelection& selection) {
  if (!is_bbbc021_layout(root)) {
    throw FileError(root, "holds no files ending in image.csv and moa.csv (BBBC021)");
  }
  return Reader(root, selection).read();
}

}  // namespace wholemount
