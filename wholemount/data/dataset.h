#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace wholemount {

/// How a data set lies on disk.
enum class DatasetLayout : uint8_t { msd, nnunet, brats, bbbc021, csv, folders };

[[nodiscard]] const char* layout_name(DatasetLayout layout);
/// Reads "msd", "nnunet", "brats", "bbbc021", "csv", "folders"; throws ConfigError naming the
/// nearest known layout.
[[nodiscard]] DatasetLayout parse_layout(const std::string& name);

/// Where one channel of a case is stored: a file and the channel in it (4-D files hold several).
struct ChannelFile {
  std::string path;
  int64_t channel = 0;
};

/// One subject's images and label; or one whole field and its class.
struct Case {
  std::string id;
  std::vector<ChannelFile> channels;  ///< in the order of Dataset::channel_names
  std::string label;                  ///< path of the label map; empty where there is none
  int64_t class_index = -1;           ///< of Dataset::classes; -1: none
  int32_t copy = 0;                   ///< which augmented copy of the field (field_copies.h)
  /// What the case shares with others, by which a split keeps cases together: "plate", "well",
  /// "field", "batch", "compound", "treatment" ... and "source", the field that augmented copies
  /// were made from.
  std::map<std::string, std::string> groups;
};

/// A label value of the data set's label maps and what it is called.
struct LabelName {
  int64_t value = 0;
  std::string name;
};

/// A region a data set defines itself: several label values under a name.
struct NamedRegion {
  std::string name;
  std::vector<int64_t> values;
};

/// What a data set holds, without voxels. Paths are complete.
struct Dataset {
  DatasetLayout layout = DatasetLayout::msd;
  std::string root;
  std::string name;
  std::vector<std::string> channel_names;
  std::vector<LabelName> labels;  ///< rising values, background (0) included
  /// Classes of whole images. Where there are any, cases have a class and no label map.
  std::vector<std::string> classes;
  std::vector<NamedRegion> regions;  ///< nnU-Net's labels that are lists of values
  /// The value of voxels nobody labelled (nnU-Net's label "ignore"); not among `labels`.
  std::optional<int64_t> ignored_label;
  std::vector<Case> cases;       ///< with labels, in the order the data set lists them
  std::vector<Case> unlabelled;  ///< test images without labels
  /// bbbc021: untreated fields that DatasetSelection::control_wells left out of `cases` and whose
  /// files are there; plates may still be scaled by them.
  std::vector<Case> other_controls;
};

/// Which images of a data set count, where it leaves a choice.
struct DatasetSelection {
  /// bbbc021: wells of untreated cells (DMSO) kept of all plates together, drawn by `seed`; none:
  /// all. 119 wells of 4 fields beside 1,208 treated fields give the 1,684 of paper B.
  std::optional<int64_t> control_wells = 119;
  /// bbbc021: taxol stands on every plate as the positive control; false keeps only the wells of
  /// week 1 that belong to its treatment (1,208 treated fields), true all (2,528).
  bool all_taxol = false;
  uint64_t seed = 816;
};

/// The layout of the data set in `root`; none if it holds none that is known. Throws FileError when
/// it holds two.
[[nodiscard]] std::optional<DatasetLayout> find_layout(const std::string& root);

/// Opens a data set; the layout is detected unless given.
/// - msd: `root/dataset.json` of the Medical Segmentation Decathlon (keys modality, labels,
///   training, test); channels are the fourth axis of each image; entries named `._*` (left by some
///   archivers) are skipped.
/// - nnunet: `root/dataset.json` of nnU-Net's raw format, version 2 (keys channel_names, labels,
///   file_ending); imagesTr/CASE_0000.nii.gz and on, one file a channel; labelsTr/CASE.nii.gz.
///   Labels may be lists of values (regions); the label "ignore" is left out of the loss.
/// - brats: folders `root/CASE` with CASE_flair.nii.gz, _t1, _t1ce, _t2 and _seg (or, since 2023,
///   CASE-t2f.nii.gz, -t1n, -t1c, -t2w and -seg). Channels are called as in the Decathlon's brain
///   tumour task: FLAIR, T1w, t1gd, T2w. Labels are 1 necrotic core, 2 edema and 4 or 3 enhancing
///   tumour, whichever the label maps are found to use first.
/// - csv: `root` is a .csv file (or a folder with manifest.csv) whose first line names columns:
///   "label" (optional), "id" (optional), and one a channel, called as the channel; a single column
///   "image" may hold 4-D files. Paths count from the file's folder. A line `#labels,0=background,
///   1=edema` before the first line names label values; else the label maps are read for them.
///   With a column "class" the images are classified as wholes: columns "group", "field", "site",
///   "well", "plate", "batch", "compound", "treatment", "source" then say what belongs together.
/// - bbbc021: as downloaded: a file ending in image.csv with the columns of BBBC021_v1_image.csv
///   and one ending in moa.csv in `root`, images below it at Week1/Week1_22123/NAME or
///   Week1_22123/NAME. Classes are mechanisms of action, joined by compound and concentration as a
///   number; channels DAPI, Tubulin, Actin. Fields without a known mechanism are left out.
/// - folders: `root/CLASS/IMAGE` (TIFF, PNG, NIfTI), the channels of each image.
/// Throws FileError: unknown layout (with what the folder lacks), two layouts in one folder,
/// malformed description (with place), or a file it names is missing.
[[nodiscard]] Dataset open_dataset(const std::string& root,
                                   std::optional<DatasetLayout> layout = std::nullopt,
                                   const DatasetSelection& selection = {});

/// Indices of channels by name, in the order asked for; no names: all channels. Upper and lower
/// case count alike, and the usual names of the four brain tumour channels (flair, t2f; t1, t1n,
/// t1w; t1ce, t1c, t1gd; t2, t2w) stand for each other.
/// Throws ConfigError naming the nearest known channel.
[[nodiscard]] std::vector<int64_t> select_channels(const Dataset& dataset,
                                                   const std::vector<std::string>& names);

}  // namespace wholemount
