#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "wholemount/data/phantom/brain_anatomy.h"
#include "wholemount/data/phantom/mimics.h"
#include "wholemount/data/phantom/noise_field.h"
#include "wholemount/data/phantom/tumour.h"
#include "wholemount/image/volume_header.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// One synthetic head with a brain tumour, as four co-registered MR channels in the order of the
/// Medical Segmentation Decathlon's Task01 (FLAIR, T1w, t1gd, T2w) and a label map (0 background,
/// 1 edema, 2 non-enhancing tumor, 3 enhancing tumour).
///
/// Signal of a voxel = gain * bias(x) * sum over tissues (fraction * contrast), then Rician noise:
/// sqrt((s + n1)^2 + n2^2) with n1, n2 normal; outside the brain exactly 0, inside at least 1.
/// Gain (scanner units), bias field, noise, tissue contrasts and the tumour's contrast vary by case
/// and channel. Everything is a pure function of (seed, case, extent, channel, voxel): planes can
/// be rendered in any order by any number of threads, with the same bits. Thread-safe (const).
class BrainPhantom {
 public:
  static constexpr int64_t kChannels = 4;
  static constexpr int64_t kSmallestSide = 16;

  /// `extent`: sides of kSmallestSide to 4096 voxels, else ShapeError. The field of view is that of
  /// [155, 240, 240] at 1 mm, or fits the head (about 170 mm long) more closely where voxels would
  /// grow larger.
  BrainPhantom(uint64_t seed, uint64_t case_index, const Extent3& extent);

  /// Renders plane d of a channel: values of h * w voxels, w fastest.
  void render_plane(int64_t channel, int64_t d, std::span<int16_t> values) const;

  /// Renders plane d of the label map.
  void render_labels(int64_t d, std::span<uint8_t> labels) const;

  /// Extent and geometry (w to the left, h to the back, d to the top: LPS, as BraTS files have it).
  [[nodiscard]] const VolumeHeader& header() const { return header_; }

  [[nodiscard]] int num_foci() const { return tumour_.num_foci(); }

 private:
  struct Look;  ///< what one point is made of
  struct Contrast {
    float csf, grey, white, oedema, non_enhancing, enhancing, white_lesion, vessel, remnant;
    float tumour_texture;
    float gain;
    float noise;
    float bias;      ///< amplitude
    float bias_rim;  ///< gain of the coil near the surface
  };
  [[nodiscard]] phantom::Vec3 position(int64_t d, int64_t h, int64_t w) const;
  [[nodiscard]] Look look(phantom::Vec3 p) const;
  [[nodiscard]] float signal(int64_t channel, const Look& here, phantom::Vec3 p) const;
  static Contrast draw_contrast(uint64_t seed, uint64_t case_index, int64_t channel);

  uint64_t seed_;
  uint64_t case_index_;
  VolumeHeader header_;
  phantom::BrainAnatomy anatomy_;
  phantom::Tumour tumour_;
  phantom::Mimics mimics_;
  std::array<Contrast, kChannels> contrasts_;
  std::array<phantom::NoiseField, kChannels> bias_;
  phantom::NoiseField texture_;
  phantom::NoiseField fine_texture_;
};

}  // namespace wholemount
