#include "wholemount/data/case_survey.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/data/same_grid.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace {

constexpr int64_t kVoxelsAtOnce = int64_t{64} << 10;

std::string place_of(int64_t voxel, const Extent3& extent) {
  return "[" + std::to_string(voxel / (extent.h * extent.w)) + ", " +
         std::to_string(voxel / extent.w % extent.h) + ", " + std::to_string(voxel % extent.w) +
         "]";
}

/// One case on its way through its files.
class CaseSurveyor {
 public:
  CaseSurveyor(const Case& subject, CaseSurvey* survey) : subject_(subject), survey_(survey) {}

  void read_headers() {
    survey_->readable.assign(subject_.channels.size(), false);
    survey_->channels.resize(subject_.channels.size());
    for (size_t c = 0; c < subject_.channels.size(); ++c) {
      attempt([&] {
        open(subject_.channels[c]);
        survey_->readable[c] = true;
      });
    }
    if (subject_.label.empty()) return;
    attempt([&] {
      const std::unique_ptr<VolumeReader> opened = open_volume(subject_.label);
      const VolumeReader& reader = *opened;
      compare(reader);
      if (reader.header().channels != 1) {
        throw FileError(reader.path(), "has " + std::to_string(reader.header().channels) +
                                           " channels; a label map has one");
      }
      survey_->label_readable = true;
    });
  }

  void read_voxels(const Dataset& dataset, std::span<ValueHistogram> histograms) {
    for (size_t c = 0; c < subject_.channels.size(); ++c) {
      if (!survey_->readable[c]) continue;
      attempt([&] { read_channel(c, histograms[c]); });
    }
    reader_.reset();
    if (survey_->label_readable) attempt([&] { read_label(dataset); });
  }

 private:
  template <class Body>
  void attempt(const Body& body) {
    try {
      body();
    } catch (const Error& error) {
      reader_.reset();
      note(error.what(), true);
    }
  }

  void note(const std::string& message, bool refused) {
    // A 4-D file is met once for each of its channels.
    for (const DatasetProblem& known : survey_->problems) {
      if (known.message == message) return;
    }
    survey_->problems.push_back({subject_.id, message, refused});
  }

  // A 4-D file stays open for its next channel.
  VolumeReader& open(const ChannelFile& file) {
    if (!reader_ || reader_->path() != file.path) {
      reader_ = open_volume(file.path);
      compare(*reader_);
    }
    if (file.channel >= reader_->header().channels) {
      const int64_t channels = reader_->header().channels;
      throw FileError(file.path, "has " + std::to_string(channels) +
                                     " channels, but the data set describes " +
                                     std::to_string(subject_.channels.size()));
    }
    return *reader_;
  }

  // With the first file of the case.
  void compare(const VolumeReader& reader) {
    if (!survey_->extent) {
      survey_->extent = reader.header().extent;
      survey_->spacing_mm = reader.header().geometry.spacing_mm;
      first_header_ = reader.header();
      first_path_ = reader.path();
    } else if (!first_path_.empty()) {
      check_same_grid({first_header_, first_path_}, {reader.header(), reader.path()});
    }
    const bool is_picture = reader.header().extent.d == 1;
    if (!is_picture && !reader.header().geometry.has_orientation()) {
      note(reader.path() + ": stores neither a qform nor an sform; its orientation is unknown",
           false);
    }
  }

  void read_channel(size_t c, ValueHistogram& histogram) {
    VolumeReader& reader = open(subject_.channels[c]);
    ChannelTally& tally = survey_->channels[c];
    const int64_t voxels = volume(reader.header().extent);
    std::vector<float> values;
    int64_t first_non_finite = 0;
    for (int64_t first = 0; first < voxels; first += kVoxelsAtOnce) {
      values.resize(static_cast<size_t>(std::min(kVoxelsAtOnce, voxels - first)));
      reader.read_run({subject_.channels[c].channel, first, static_cast<int64_t>(values.size())},
                      values, NonFinite::accept);
      double sum = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        const float value = values[i];
        if (!std::isfinite(value)) {
          if (tally.non_finite++ == 0) first_non_finite = first + static_cast<int64_t>(i);
          continue;
        }
        histogram.add(value);
        tally.minimum = std::min(tally.minimum, value);
        tally.maximum = std::max(tally.maximum, value);
        sum += static_cast<double>(value);
      }
      tally.sum += sum;
    }
    tally.voxels = voxels;
    const std::string which =
        reader.path() + ": channel " + std::to_string(subject_.channels[c].channel);
    if (tally.non_finite > 0) {
      note(which + ": " + std::to_string(tally.non_finite) +
               " voxels are NaN or infinite, the first at " +
               place_of(first_non_finite, reader.header().extent) + " (d, h, w)",
           true);
    } else if (tally.minimum == tally.maximum) {
      note(which + ": every voxel has the same value", false);
    }
  }

  void read_label(const Dataset& dataset) {
    const std::unique_ptr<VolumeReader> opened = open_volume(subject_.label);
    VolumeReader& reader = *opened;
    const int64_t voxels = volume(reader.header().extent);
    std::array<int64_t, 256> counts{};
    std::array<int64_t, 256> first_places{};
    std::vector<uint8_t> values;
    for (int64_t first = 0; first < voxels; first += kVoxelsAtOnce) {
      values.resize(static_cast<size_t>(std::min(kVoxelsAtOnce, voxels - first)));
      reader.read_label_run({0, first, static_cast<int64_t>(values.size())}, values);
      for (size_t i = 0; i < values.size(); ++i) {
        if (counts[values[i]]++ == 0) first_places[values[i]] = first + static_cast<int64_t>(i);
      }
    }
    survey_->label_voxels = counts;
    for (size_t value = 0; value < counts.size(); ++value) {
      if (counts[value] > 0 && !declared(dataset, static_cast<int64_t>(value))) {
        note(reader.path() + ": " + std::to_string(counts[value]) + " voxels hold the label " +
                 std::to_string(value) + ", the first at " +
                 place_of(first_places[value], reader.header().extent) +
                 " (d, h, w); the data set does not declare it",
             true);
      }
    }
    if (counts[0] == voxels) note(reader.path() + ": holds background only", false);
  }

  static bool declared(const Dataset& dataset, int64_t value) {
    return dataset.ignored_label == value ||
           std::any_of(dataset.labels.begin(), dataset.labels.end(),
                       [value](const LabelName& label) { return label.value == value; });
  }

  const Case& subject_;
  CaseSurvey* survey_;
  std::unique_ptr<VolumeReader> reader_;
  VolumeHeader first_header_;
  std::string first_path_;  // empty while voxels are read: the grids were compared before
};

}  // namespace

CaseSurvey survey_headers(const Case& subject) {
  CaseSurvey survey;
  CaseSurveyor(subject, &survey).read_headers();
  return survey;
}

void survey_voxels(const Case& subject, const Dataset& dataset,
                   std::span<ValueHistogram> histograms, CaseSurvey* survey) {
  CaseSurveyor(subject, survey).read_voxels(dataset, histograms);
}

}  // namespace wholemount
