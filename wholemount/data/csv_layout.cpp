#include "wholemount/data/csv_layout.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "wholemount/base/error.h"
#include "wholemount/data/csv_file.h"
#include "wholemount/data/json_file.h"
#include "wholemount/data/layout_files.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

std::string manifest_path(const std::string& root) {
  return fs::is_directory(root) ? (fs::path(root) / "manifest.csv").string() : root;
}

std::string at_line(const CsvLine& line) { return "line " + std::to_string(line.number); }

/// Which field means what.
struct Columns {
  std::optional<size_t> id;
  std::optional<size_t> label;
  std::optional<size_t> class_name;
  std::vector<size_t> groups;
  std::vector<size_t> channels;
  std::vector<std::string> channel_names;
  std::vector<std::string> names;  ///< of all columns
  size_t num_columns = 0;
};

/// Columns that say what belongs together, in manifests with classes.
bool is_group(const std::string& name) {
  static const std::set<std::string, std::less<>> kGroups = {
      "group", "field", "site", "well", "plate", "batch", "compound", "treatment", "source"};
  return kGroups.contains(name);
}

Columns read_columns(const CsvLine& header, const std::string& path) {
  Columns columns;
  const bool classified =
      std::find(header.fields.begin(), header.fields.end(), "class") != header.fields.end();
  for (size_t i = 0; i < header.fields.size(); ++i) {
    const std::string& name = header.fields[i];
    const auto before = header.fields.begin() + static_cast<int64_t>(i);
    if (name.empty() || std::find(header.fields.begin(), before, name) != before) {
      throw FileError(path, at_line(header) + ": column names must be there and differ");
    }
    if (name == "id") {
      columns.id = i;
    } else if (name == "label") {
      columns.label = i;
    } else if (name == "class") {
      columns.class_name = i;
    } else if (classified && is_group(name)) {
      columns.groups.push_back(i);
    } else {
      columns.channels.push_back(i);
      columns.channel_names.push_back(name);
    }
  }
  columns.names = header.fields;
  columns.num_columns = header.fields.size();
  if (columns.label && columns.class_name) {
    throw FileError(
        path, at_line(header) + ": a case has a label map or a class, but both columns are there");
  }
  if (columns.channels.empty()) {
    throw FileError(
        path, at_line(header) + ": no column names a channel; wanted for example id,FLAIR,label");
  }
  return columns;
}

// #labels,0=background,1=edema
std::vector<LabelName> declared_labels(const CsvLine& line, const std::string& path) {
  std::vector<LabelName> labels;
  for (size_t i = 1; i < line.fields.size(); ++i) {
    const std::string& field = line.fields[i];
    const size_t equals = field.find('=');
    if (equals == std::string::npos) {
      throw FileError(path, at_line(line) + ": \"" + field + "\" is not of the form 1=name");
    }
    labels.push_back({parse_index(field.substr(0, equals), path, at_line(line) + ": label value"),
                      field.substr(equals + 1)});
  }
  sort_labels(&labels, path);
  return labels;
}

std::vector<LabelName> labels_in_maps(const std::vector<Case>& cases) {
  std::set<int64_t> values{0};
  for (const Case& subject : cases) {
    const std::vector<int64_t> found = label_values_in(subject.label);
    values.insert(found.begin(), found.end());
  }
  std::vector<LabelName> labels;
  labels.reserve(values.size());
  for (const int64_t value : values) {
    labels.push_back({value, value == 0 ? "background" : "label " + std::to_string(value)});
  }
  return labels;
}

Case read_case(const CsvLine& line, const Columns& columns, const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  const std::string description = path + " " + at_line(line);
  Case subject;
  for (const size_t column : columns.channels) {
    subject.channels.push_back({existing_file(folder, line.fields[column], description), 0});
  }
  if (columns.label && !line.fields[*columns.label].empty()) {
    subject.label = existing_file(folder, line.fields[*columns.label], description);
  }
  subject.id = columns.id ? line.fields[*columns.id] : case_id(subject.channels[0].path);
  return subject;
}

// A single column of 4-D files: one channel for each of the first file's.
void expand_single_column(Dataset* dataset) {
  if (dataset->channel_names != std::vector<std::string>{"image"}) return;
  const std::vector<Case>& some = dataset->cases.empty() ? dataset->unlabelled : dataset->cases;
  if (some.empty()) return;
  const int64_t num_channels = open_volume(some[0].channels[0].path)->header().channels;
  if (num_channels == 1) return;
  dataset->channel_names.clear();
  for (int64_t c = 0; c < num_channels; ++c) dataset->channel_names.push_back(std::to_string(c));
  for (std::vector<Case>* cases : {&dataset->cases, &dataset->unlabelled}) {
    for (Case& subject : *cases) {
      const std::string file = subject.channels[0].path;
      subject.channels.clear();
      for (int64_t c = 0; c < num_channels; ++c) subject.channels.push_back({file, c});
    }
  }
}

}  // namespace

bool is_csv_layout(const std::string& root) {
  return (is_file(root) && root.ends_with(".csv")) ||
         is_file((fs::path(root) / "manifest.csv").string());
}

Dataset read_csv_layout(const std::string& root) {
  const std::string path = manifest_path(root);
  Dataset dataset;
  dataset.layout = DatasetLayout::csv;
  dataset.root = root;
  dataset.name = fs::path(path).stem().string();
  std::optional<Columns> columns;
  std::set<std::string> ids;
  std::vector<std::string> class_names;  // by case
  for (const CsvLine& line : read_csv_file(path)) {
    if (line.fields[0] == "#labels") {
      dataset.labels = declared_labels(line, path);
      continue;
    }
    if (line.fields[0].starts_with("#")) continue;
    if (!columns) {
      columns = read_columns(line, path);
      dataset.channel_names = columns->channel_names;
      continue;
    }
    if (line.fields.size() != columns->num_columns) {
      throw FileError(path, at_line(line) + " has " + std::to_string(line.fields.size()) +
                                " fields, wanted " + std::to_string(columns->num_columns));
    }
    Case subject = read_case(line, *columns, path);
    if (!ids.insert(subject.id).second) {
      throw FileError(path, at_line(line) + ": the case \"" + subject.id + "\" is named twice");
    }
    if (columns->class_name) {
      const std::string& class_name = line.fields[*columns->class_name];
      for (const size_t group : columns->groups) {
        subject.groups[columns->names[group]] = line.fields[group];
      }
      if (!class_name.empty()) class_names.push_back(class_name);
      (class_name.empty() ? dataset.unlabelled : dataset.cases).push_back(std::move(subject));
    } else {
      (subject.label.empty() ? dataset.unlabelled : dataset.cases).push_back(std::move(subject));
    }
  }
  if (!columns) throw FileError(path, "is empty; wanted a line of column names");
  expand_single_column(&dataset);
  if (columns->class_name) {
    assign_classes(class_names, &dataset);
  } else if (dataset.labels.empty()) {
    dataset.labels = labels_in_maps(dataset.cases);
  }
  return dataset;
}

}  // namespace wholemount
