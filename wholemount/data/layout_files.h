#pragma once

// Private to this folder: what the readers of layouts share.

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True for files that archivers leave beside the real ones ("._name").
[[nodiscard]] bool archiver_leftover(const std::string& file);

/// The file's name without folder and .nii or .nii.gz.
[[nodiscard]] std::string case_id(const std::string& file);

/// Whether there is a regular file of that path, which may be any text.
[[nodiscard]] bool is_file(const std::string& path);

/// `folder`/`file` if it is a regular file; FileError naming `description`, which names it,
/// otherwise.
[[nodiscard]] std::string existing_file(const std::string& folder, const std::string& file,
                                        const std::string& description);

/// Names of the entries of a folder, sorted, leftovers skipped; empty when there is no folder.
[[nodiscard]] std::vector<std::string> sorted_entries(const std::string& folder);

/// Sorts by value. Throws FileError: a value outside 0 to 255, or named twice.
void sort_labels(std::vector<LabelName>* labels, const std::string& path);

/// Sets Dataset::classes to the names that occur, sorted, and the class of each case. Throws
/// FileError for more than 255 classes.
void assign_classes(const std::vector<std::string>& names, Dataset* dataset);

/// The label values that occur in a label map, rising. Reads all of it.
[[nodiscard]] std::vector<int64_t> label_values_in(const std::string& path);

}  // namespace wholemount
