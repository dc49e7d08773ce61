#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace wholemount {

/// What `wholemount report` makes.
struct ReportSpec {
  std::string run_folder;
  std::string data_root;  ///< where the data set lies now; empty: where the run found it
  int64_t num_samples = 3;
  /// Predict the validation cases, for their scores and pictures: about the time of an evaluation.
  bool predict = true;
  int threads = 1;
  std::string memory;  ///< as --memory of train; empty: the run's configuration, or what is free
  std::function<void(size_t done, size_t all)> progress;  ///< of the validation cases; may be empty
};

struct ReportResult {
  std::string page;                   ///< RUN/report.html
  std::vector<std::string> pictures;  ///< RUN/report/*.png
  std::vector<std::string> notes;     ///< what had to be left out, and why
};

/// Rebuilds RUN/report.html, one page that needs no network and no other file, and the pictures and
/// predictions of its sample cases in RUN/report/. Works on finished, interrupted and running runs;
/// what cannot be had (the data set is gone, no weights yet) is left out with a sentence.
/// The page stays below about 8 MB.
/// Throws FileError when the folder is not a run's or its files are damaged, OutputError.
ReportResult write_report(const ReportSpec& spec);

}  // namespace wholemount
