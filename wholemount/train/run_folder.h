#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace wholemount {

/// Names inside a run folder.
struct RunFolderNames {
  static constexpr const char* kConfig = "config.toml";        ///< resolved configuration
  static constexpr const char* kIntensity = "intensity.json";  ///< fitted before training
  static constexpr const char* kPlan = "plan.json";            ///< what was predicted
  static constexpr const char* kLog = "log.jsonl";  ///< one object per step or evaluation
  static constexpr const char* kEvents = "events.out.tfevents";  ///< the log for TensorBoard
  static constexpr const char* kCheckpoint = "checkpoint";       ///< folder, see checkpoint.h
  static constexpr const char* kModel = "model.safetensors";
  static constexpr const char* kSummary = "summary.json";  ///< written when the run ends
  static constexpr const char* kReport = "report.html";
  static constexpr const char* kLock = ".lock";
};

/// The folder a training run writes to, locked for this process: while one RunFolder exists no
/// other process can have one for the same folder (flock; released when the process dies, however
/// it dies). Only the writer needs one: readers open the files.
///
/// Files are replaced atomically; the log is appended to, each line handed to the system at once.
/// Not thread-safe. Move-only.
class RunFolder {
 public:
  enum class Mode : uint8_t {
    fresh,   ///< refuse a folder that already holds a run
    resume,  ///< continue the run it holds; an empty folder starts one
  };

  /// Makes the folder with its parents and locks it. Throws ConfigError when another process holds
  /// it ("in use") or, in fresh mode, when it holds a log, a checkpoint or a summary; OutputError
  /// when it cannot be made or written to.
  RunFolder(std::filesystem::path folder, Mode mode);
  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&& other) noexcept;
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  ~RunFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return folder_; }
  /// Path of one of RunFolderNames.
  [[nodiscard]] std::filesystem::path file(const char* name) const { return folder_ / name; }

  /// Replaces one of the whole files (config, plan, summary) atomically. Throws OutputError.
  void write(const char* name, std::string_view content) const;

  /// Appends one JSON object, written on one line, to the log. Throws OutputError.
  void append_log(std::string_view json_line);
  /// Makes the log durable; to be called before a checkpoint is saved, so that no checkpoint is
  /// ahead of its log.
  void sync_log();
  /// Cuts the log after resuming from a checkpoint at `step`: keeps the lines before the first one
  /// whose "step" is larger (or which a crash tore). Logging again from there gives the log of the
  /// uninterrupted run. Throws OutputError.
  void cut_log(int64_t step);

  /// "status" of summary.json; none when there is no readable summary.
  [[nodiscard]] std::optional<std::string> summary_status() const;

 private:
  void close_all() noexcept;

  std::filesystem::path folder_;
  int lock_descriptor_ = -1;
  int log_descriptor_ = -1;
};

}  // namespace wholemount
