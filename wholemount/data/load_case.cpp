#include "wholemount/data/load_case.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include "wholemount/base/checked.h"
#include "wholemount/base/error.h"
#include "wholemount/data/intensity_change.h"
#include "wholemount/data/same_grid.h"
#include "wholemount/data/spatial_warp.h"
#include "wholemount/data/turned_crop.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

constexpr int64_t kAlignment = 64;
// Voxels decoded at a time; a single row of more is read in pieces.
constexpr int64_t kRunVoxels = int64_t{64} << 10;

int64_t bytes_of(const TensorDesc& desc) { return static_cast<int64_t>(desc.bytes()); }

/// Calls body(d, h, first_w, run) for pieces of rows of the source box, in file order.
template <class Body>
void for_each_row_piece(const Extent3& stored, const Box3& source, int64_t channel,
                        const Body& body) {
  for (int64_t d = source.begin.d; d < source.end.d; ++d) {
    for (int64_t h = source.begin.h; h < source.end.h; ++h) {
      for (int64_t w = source.begin.w; w < source.end.w; w += kRunVoxels) {
        const int64_t count = std::min(kRunVoxels, source.end.w - w);
        body(d - source.begin.d, h - source.begin.h, w - source.begin.w,
             VoxelRun{channel, (d * stored.h + h) * stored.w + w, count});
      }
    }
  }
}

/// Opens files one after the other; a 4-D file stays open for its next channel.
class ChannelReaders {
 public:
  VolumeReader& open(const ChannelFile& file) {
    if (!reader_ || reader_->path() != file.path) reader_ = open_volume(file.path);
    if (file.channel >= reader_->header().channels) {
      throw FileError(file.path, "has " + std::to_string(reader_->header().channels) +
                                     " channels, but the data set describes at least " +
                                     std::to_string(file.channel + 1));
    }
    return *reader_;
  }

 private:
  std::unique_ptr<VolumeReader> reader_;
};

// Spacing along the axes of the tensor after a move.
std::array<double, 3> moved_spacing(const std::array<double, 3>& spacing, const SpatialMove& move) {
  return {spacing[static_cast<size_t>(move.source[0])],
          spacing[static_cast<size_t>(move.source[1])],
          spacing[static_cast<size_t>(move.source[2])]};
}

struct StoredCase {
  const Case& subject;
  const LoadSpec& spec;
  LoadedCase* loaded;
  const SpatialWarp* warp;  ///< may be null
  std::byte* scratch;       ///< for the warp
};

/// Where a channel of a file goes.
struct ChannelDestination {
  int64_t channel = 0;
  float* values = nullptr;
  StridedBox box;
  const LightField* light = nullptr;  ///< to correct, if any
};

/// Reads a whole field, normalises all of it, and writes its turned centre.
void read_turned(const StoredCase& stored, const NormaliseSpec& normalisation, VolumeReader* reader,
                 const ChannelDestination& to) {
  LoadedCase& loaded = *stored.loaded;
  const Extent3& extent = loaded.header.extent;
  const std::span field(reinterpret_cast<float*>(stored.scratch),
                        static_cast<size_t>(volume(extent)));
  reader->read_planes({to.channel, 0, 1}, field);
  const StridedBox whole{extent, 0, extent.h * extent.w, extent.w, 1};
  if (to.light != nullptr) correct_light(*to.light, extent, 0, 0, field.data(), whole);
  loaded.scales.push_back(normalise(normalisation, field.data(), whole));
  const int turn =
      stored.spec.copies == CopySet::turns
          ? field_copy(CopySet::turns, loaded.placement, stored.subject.copy).turn
          : draw_turn(stored.spec.seed, loaded.epoch, static_cast<uint64_t>(loaded.case_index));
  turned_crop(field, extent, turn, to.values, to.box);
}

void read_image(const StoredCase& stored, ChannelReaders* readers, std::vector<float>* row) {
  LoadedCase& loaded = *stored.loaded;
  auto* const values = reinterpret_cast<float*>(loaded.image.origin);
  const std::string& first_path =
      stored.subject.channels.at(static_cast<size_t>(stored.spec.channels[0])).path;
  for (size_t c = 0; c < stored.spec.channels.size(); ++c) {
    const ChannelFile& file =
        stored.subject.channels.at(static_cast<size_t>(stored.spec.channels[c]));
    VolumeReader& reader = readers->open(file);
    check_same_grid({loaded.header, first_path}, {reader.header(), reader.path()});
    if (stored.spec.whole_image && reader.header().stored != loaded.header.stored) {
      throw FileError(reader.path(),
                      std::string("stores ") + voxel_type_name(reader.header().stored) + ", but " +
                          first_path + " stores " + voxel_type_name(loaded.header.stored) +
                          "; channels of a field must have one type: convert one");
    }
    const StridedBox box =
        moved_box(loaded.image, static_cast<int64_t>(c), loaded.placement.valid, loaded.move);
    NormaliseSpec normalisation = stored.spec.normalise;
    normalisation.full_scale = largest_number(reader.header().stored);
    const LightField* light = nullptr;
    if (stored.spec.fit) {
      const ChannelIntensity& fitted = stored.spec.fit->of(stored.subject).at(c);
      normalisation.mean = fitted.mean;
      normalisation.deviation = fitted.deviation;
      if (stored.spec.correct_light) light = &fitted.light;
    }
    if (stored.spec.turns()) {
      read_turned(stored, normalisation, &reader, {file.channel, values, box, light});
      continue;
    }
    for_each_row_piece(loaded.header.extent, loaded.placement.source, file.channel,
                       [&](int64_t d, int64_t h, int64_t w, const VoxelRun& run) {
                         const std::span piece(row->data(), static_cast<size_t>(run.count));
                         reader.read_run(run, piece);
                         float* to = values + box.at(d, h) + w * box.w_pitch;
                         for (const float value : piece) {
                           *to = value;
                           to += box.w_pitch;
                         }
                       });
    if (light != nullptr) {
      const Extent3& first = loaded.placement.source.begin;
      correct_light(*light, loaded.header.extent, first.h, first.w, values, box);
    }
    loaded.scales.push_back(normalise(normalisation, values, box));
    const StridedBox still =
        moved_box(loaded.image, static_cast<int64_t>(c), loaded.placement.valid, SpatialMove{});
    if (stored.warp) {
      auto* const scratch = reinterpret_cast<float*>(stored.scratch);
      warp_in_place(*stored.warp, still, values,
                    {scratch, static_cast<size_t>(volume(still.extent))});
    }
    if (stored.spec.augment.changes_intensity()) {
      const IntensityDraw draw{stored.spec.seed, loaded.epoch,
                               static_cast<uint64_t>(loaded.case_index), static_cast<int64_t>(c)};
      change_intensity(draw_intensity_change(stored.spec.augment, draw), draw,
                       stored.spec.normalise.kind == NormaliseKind::zscore_nonzero, values, still);
    }
  }
}

void read_target(const StoredCase& stored, std::vector<uint8_t>* row) {
  LoadedCase& loaded = *stored.loaded;
  const TargetDefinition& target = *stored.spec.target;
  const std::string& image_path =
      stored.subject.channels.at(static_cast<size_t>(stored.spec.channels[0])).path;
  const std::unique_ptr<VolumeReader> opened = open_volume(stored.subject.label);
  VolumeReader& reader = *opened;
  check_same_grid({loaded.header, image_path}, {reader.header(), reader.path()});
  if (reader.header().channels != 1) {
    throw FileError(reader.path(), "has " + std::to_string(reader.header().channels) +
                                       " channels; a label map has one");
  }
  auto* const values = reinterpret_cast<uint8_t*>(loaded.target->origin);
  const StridedBox box = moved_box(*loaded.target, 0, loaded.placement.valid, loaded.move);
  const Extent3& begin = loaded.placement.source.begin;
  for_each_row_piece(loaded.header.extent, loaded.placement.source, 0,
                     [&](int64_t d, int64_t h, int64_t w, const VoxelRun& run) {
                       const std::span piece(row->data(), static_cast<size_t>(run.count));
                       reader.read_label_run(run, piece);
                       const size_t bad = target.encode(piece);
                       if (bad != piece.size()) {
                         throw FileError(
                             reader.path(),
                             "voxel [" + std::to_string(begin.d + d) + ", " +
                                 std::to_string(begin.h + h) + ", " +
                                 std::to_string(begin.w + w + static_cast<int64_t>(bad)) +
                                 "] (d, h, w) holds label " + std::to_string(piece[bad]) +
                                 ", which the data set does not declare; declare it or correct the "
                                 "label map");
                       }
                       uint8_t* to = values + box.at(d, h) + w * box.w_pitch;
                       for (const uint8_t value : piece) {
                         *to = value;
                         to += box.w_pitch;
                       }
                     });
  if (stored.warp) {
    const StridedBox still = moved_box(*loaded.target, 0, loaded.placement.valid, SpatialMove{});
    warp_in_place(
        *stored.warp, still, values,
        {reinterpret_cast<uint8_t*>(stored.scratch), static_cast<size_t>(volume(still.extent))});
  }
}

}  // namespace

StagingDesc staging_desc(const LoadSpec& spec, const Extent3& stored) {
  const Placement placement = place_volume(stored, spec.shape);
  const Extent3& padded = placement.padded;
  StagingDesc staging;
  staging.image =
      TensorDesc::activation(1, static_cast<int64_t>(spec.channels.size()), padded, DType::f32);
  int64_t bytes = round_up(bytes_of(staging.image), kAlignment);
  staging.target_offset = static_cast<size_t>(bytes);
  if (spec.target) {
    staging.target = TensorDesc::plain(1, 1, padded, DType::u8);
  } else if (spec.whole_image) {
    staging.target = TensorDesc::plain(1, 1, {1, 1, 1}, DType::u8);
  }
  if (staging.target) {
    bytes = checked_add(bytes, round_up(bytes_of(*staging.target), kAlignment));
  }
  staging.scratch_offset = static_cast<size_t>(bytes);
  if (spec.augment.warps() || spec.turns()) {
    const Extent3& whole = spec.turns() ? stored : placement.valid.extent();
    const int64_t scratch = checked_multiply(volume(whole), static_cast<int64_t>(sizeof(float)));
    staging.scratch_bytes = static_cast<size_t>(round_up(scratch, kAlignment));
    bytes = checked_add(bytes, static_cast<int64_t>(staging.scratch_bytes));
  }
  staging.bytes = static_cast<size_t>(bytes);
  return staging;
}

CaseHeaders read_case_headers(std::span<const Case> cases) {
  CaseHeaders headers;
  headers.extents.reserve(cases.size());
  for (const Case& subject : cases) {
    const std::unique_ptr<VolumeReader> reader = open_volume(subject.channels.at(0).path);
    headers.extents.push_back(reader->header().extent);
    headers.stored.push_back(reader->header().stored);
    headers.reader_bytes = std::max(headers.reader_bytes, reader->memory_bytes());
  }
  return headers;
}

LoadedCase load_case(const Case& subject, const CaseRequest& request, const LoadSpec& spec,
                     std::span<std::byte> memory) {
  WM_CHECK(!spec.channels.empty(), "no channels selected");
  ChannelReaders readers;
  LoadedCase loaded;
  loaded.case_index = request.case_index;
  loaded.epoch = request.epoch;
  loaded.id = subject.id;
  const ChannelFile& first = subject.channels.at(static_cast<size_t>(spec.channels[0]));
  loaded.header = readers.open(first).header();
  loaded.placement = place_volume(loaded.header.extent, spec.shape);
  const StagingDesc staging = staging_desc(spec, loaded.header.extent);
  if (staging.bytes > memory.size()) {
    throw FileError(first.path, "is larger (" + to_string(loaded.header.extent) +
                                    ") than when the run was planned; the data set has changed, "
                                    "start the run again");
  }
  if (spec.target && subject.label.empty()) {
    throw FileError(first.path, "case \"" + subject.id + "\" has no label map");
  }
  WM_CHECK(spec.fit || !(spec.correct_light || fitted_mean(spec.normalise.kind)),
           "intensities have not been fitted");
  loaded.move = spec.copies == CopySet::none
                    ? draw_spatial_move(spec.augment, loaded.placement.valid.extent(),
                                        loaded.placement.padded, spec.seed, request.epoch,
                                        static_cast<uint64_t>(request.case_index))
                    : field_copy(spec.copies, loaded.placement, subject.copy).move;
  loaded.image = whole_view(staging.image, memory.data());
  const bool padded = loaded.placement.valid != whole_box(loaded.placement.padded);
  const bool spare_lanes = staging.image.c % staging.image.block_width() != 0;
  if (padded || spare_lanes) std::memset(memory.data(), 0, staging.image.bytes());

  const int64_t row_voxels = std::min(kRunVoxels, loaded.placement.source.extent().w);
  std::vector<float> row(static_cast<size_t>(row_voxels));
  std::optional<SpatialWarp> warp;
  if (spec.augment.warps()) {
    warp.emplace(spec.augment, loaded.placement.valid.extent(),
                 moved_spacing(loaded.header.geometry.spacing_mm, loaded.move), spec.seed,
                 request.epoch, static_cast<uint64_t>(request.case_index));
  }
  const StoredCase stored{subject, spec, &loaded, warp ? &*warp : nullptr,
                          memory.data() + staging.scratch_offset};
  read_image(stored, &readers, &row);
  if (spec.whole_image) {
    WM_CHECK(subject.class_index >= 0, "a case without a class among classified ones");
    std::byte* const target = memory.data() + staging.target_offset;
    loaded.target = whole_view(*staging.target, target);
    *target = static_cast<std::byte>(subject.class_index);
  } else if (spec.target) {
    std::byte* const target = memory.data() + staging.target_offset;
    loaded.target = whole_view(*staging.target, target);
    if (padded) std::memset(target, kIgnoreTarget, staging.target->bytes());
    std::vector<uint8_t> labels(static_cast<size_t>(row_voxels));
    read_target(stored, &labels);
  }
  return loaded;
}

}  // namespace wholemount
