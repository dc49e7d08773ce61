#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// What a model reads of an image.
struct PredictionChannels {
  int64_t count = 1;
  /// Of the data set it was trained on.
  std::vector<int64_t> indices;
  std::vector<std::string> names;  ///< as configured; empty: all
  bool whole_image = false;        ///< it classifies; folders may then be classes
};

/// The cases that the arguments of `predict` stand for, each with exactly the channels the model
/// reads. An argument is
/// - an image that holds all channels, or more (then those the model was trained on);
/// - a data set (open_dataset), with or without labels: its channels are found by their names;
/// - the folder of one BraTS case;
/// - a folder of NIfTI files. Where the model reads several channels and a file holds one, files
///   NAME_0000, NAME_0001, ... are the channels of the case NAME, numbered as in the data set the
///   model was trained on (nnU-Net's convention); NAME_0000 are cases NAME also where all files of
///   the folder end so.
/// Files of one case given one by one are joined likewise. Reads headers only. Throws FileError
/// naming the file and the channel that is missing, ConfigError where two cases have one name.
[[nodiscard]] std::vector<Case> prediction_inputs(const std::vector<std::string>& inputs,
                                                  const PredictionChannels& channels);

}  // namespace wholemount
