#include "wholemount/data/phantom/brain_phantom.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

using phantom::mix;
using phantom::NoiseField;
using phantom::Vec3;

constexpr std::array<const char*, 4> kContrastPurposes = {
    "phantom:contrast-flair", "phantom:contrast-t1w", "phantom:contrast-t1gd",
    "phantom:contrast-t2w"};
constexpr std::array<const char*, 4> kBiasPurposes = {"phantom:bias-flair", "phantom:bias-t1w",
                                                      "phantom:bias-t1gd", "phantom:bias-t2w"};
constexpr std::array<const char*, 4> kNoisePurposes = {"phantom:noise-flair", "phantom:noise-t1w",
                                                       "phantom:noise-t1gd", "phantom:noise-t2w"};
constexpr float kBiasWavelengthMm = 120.0F;

constexpr float kPlaneFieldMm = 155.0F;   // top to bottom
constexpr float kLengthFieldMm = 192.0F;  // front to back
constexpr float kWidthFieldMm = 160.0F;

VolumeHeader make_header(const Extent3& extent) {
  const auto bad = [](int64_t side) { return side < BrainPhantom::kSmallestSide || side > 4096; };
  if (bad(extent.d) || bad(extent.h) || bad(extent.w)) {
    throw ShapeError("phantom of " + to_string(extent) + ": wanted sides of " +
                     std::to_string(BrainPhantom::kSmallestSide) +
                     " to 4096 voxels, as in 48x64x64");
  }
  const double slice = static_cast<double>(kPlaneFieldMm) / static_cast<double>(extent.d);
  const double in_plane = std::max(
      {static_cast<double>(kLengthFieldMm) / static_cast<double>(extent.h),
       static_cast<double>(kWidthFieldMm) / static_cast<double>(extent.w), std::min(slice, 1.0)});
  NiftiGeometryFields fields;
  fields.sform_code = 1;
  fields.pixdim = {in_plane, in_plane, slice};
  // float32 is what the file holds; the header in memory says the same.
  for (double& size : fields.pixdim) size = static_cast<float>(size);
  const double back = static_cast<float>(fields.pixdim[1] * static_cast<double>(extent.h - 1));
  fields.srow = {
      {{-fields.pixdim[0], 0, 0, 0}, {0, -fields.pixdim[1], 0, back}, {0, 0, fields.pixdim[2], 0}}};
  VolumeHeader header;
  header.extent = extent;
  header.channels = BrainPhantom::kChannels;
  header.stored = VoxelType::i16;
  header.geometry = geometry_from_fields(fields, "phantom");
  return header;
}

// Width of partial volume: the geometric mean of the voxel's sides.
float blur_of(const VolumeHeader& header) {
  const auto& spacing = header.geometry.spacing_mm;
  return static_cast<float>(std::cbrt(spacing[0] * spacing[1] * spacing[2]));
}

NoiseField bias_field(uint64_t seed, uint64_t case_index, size_t channel) {
  return {seed, case_index, kBiasPurposes[channel], kBiasWavelengthMm};
}

}  // namespace

struct BrainPhantom::Look {
  phantom::Tissue tissue;
  phantom::TumourMix tumour;
  phantom::MimicMix mimic;
};

BrainPhantom::Contrast BrainPhantom::draw_contrast(uint64_t seed, uint64_t case_index,
                                                   int64_t channel) {
  // Relative signal of tissues, white matter in T1w = 1; after real glioma scans.
  //                 csf    grey   white  oedema non-e. enh.   lesion vessel remnant
  constexpr std::array<std::array<float, 9>, 4> kMeans = {{
      {0.25F, 0.82F, 0.64F, 1.10F, 0.78F, 0.96F, 1.24F, 0.45F, 1.30F},
      {0.36F, 0.72F, 0.95F, 0.72F, 0.55F, 0.75F, 0.80F, 0.60F, 1.10F},
      {0.34F, 0.70F, 0.92F, 0.70F, 0.50F, 1.45F, 0.78F, 1.60F, 1.40F},
      {1.55F, 0.74F, 0.54F, 1.06F, 1.22F, 0.95F, 0.92F, 0.30F, 1.00F},
  }};
  CounterRng rng(seed, 0, case_index, kContrastPurposes[static_cast<size_t>(channel)]);
  const auto vary = [&rng](float low, float high) { return mix(low, high, rng.next_float()); };
  std::array<float, 9> mean = kMeans[static_cast<size_t>(channel)];
  for (size_t i = 0; i < 3; ++i) mean[i] *= vary(0.94F, 1.06F);
  // How much the tumour stands out of white matter.
  const float standing = channel == 0 ? vary(0.92F, 1.22F) : vary(0.9F, 1.3F);
  for (size_t i = 3; i < 6; ++i)
    mean[i] = mean[2] + (mean[i] - mean[2]) * standing * vary(0.9F, 1.1F);
  // Necrosis may be suppressed in FLAIR like CSF, or shine like oedema.
  if (channel == 0) mean[4] = mix(0.40F, 0.90F, rng.next_float());
  for (size_t i = 6; i < 9; ++i) mean[i] *= vary(0.85F, 1.15F);
  Contrast contrast{};
  contrast.csf = mean[0], contrast.grey = mean[1], contrast.white = mean[2];
  contrast.oedema = mean[3], contrast.non_enhancing = mean[4], contrast.enhancing = mean[5];
  contrast.white_lesion = mean[6], contrast.vessel = mean[7], contrast.remnant = mean[8];
  contrast.tumour_texture = vary(0.12F, 0.35F);
  contrast.gain = 300.0F * std::exp(vary(0.0F, 1.3F));
  contrast.noise = vary(0.015F, 0.038F);
  contrast.bias = channel == 0 ? vary(0.35F, 0.85F) : vary(0.3F, 0.7F);
  contrast.bias_rim = vary(0.04F, 0.26F);
  return contrast;
}

BrainPhantom::BrainPhantom(uint64_t seed, uint64_t case_index, const Extent3& extent)
    : seed_(seed),
      case_index_(case_index),
      header_(make_header(extent)),
      anatomy_(seed, case_index, blur_of(header_)),
      tumour_(seed, case_index, anatomy_, blur_of(header_)),
      mimics_(seed, case_index, anatomy_, tumour_),
      contrasts_{draw_contrast(seed, case_index, 0), draw_contrast(seed, case_index, 1),
                 draw_contrast(seed, case_index, 2), draw_contrast(seed, case_index, 3)},
      bias_{bias_field(seed, case_index, 0), bias_field(seed, case_index, 1),
            bias_field(seed, case_index, 2), bias_field(seed, case_index, 3)},
      texture_(seed, case_index, "phantom:texture", 26.0F),
      fine_texture_(seed, case_index, "phantom:fine-texture", 7.0F) {}

Vec3 BrainPhantom::position(int64_t d, int64_t h, int64_t w) const {
  const Extent3& extent = header_.extent;
  const auto& spacing = header_.geometry.spacing_mm;
  const auto from_middle = [](int64_t index, int64_t size, double step) {
    return (static_cast<double>(index) - 0.5 * static_cast<double>(size - 1)) * step;
  };
  return {static_cast<float>(-from_middle(w, extent.w, spacing[2])),
          static_cast<float>(-from_middle(h, extent.h, spacing[1])),
          static_cast<float>(from_middle(d, extent.d, spacing[0]))};
}

BrainPhantom::Look BrainPhantom::look(Vec3 p) const {
  Look here;
  const Vec3 source = tumour_.undo_mass_effect(p);
  here.tissue = anatomy_.at(source);
  if (!here.tissue.inside) return here;
  if (tumour_.may_reach(p)) here.tumour = tumour_.at(p, here.tissue);
  return here;
}

float BrainPhantom::signal(int64_t channel, const Look& here, Vec3 p) const {
  const Contrast& contrast = contrasts_[static_cast<size_t>(channel)];
  const phantom::Tissue& tissue = here.tissue;
  const float texture = texture_.at(p);
  const float fine = fine_texture_.at(p);
  float value = tissue.csf * contrast.csf + tissue.grey * contrast.grey * (1.0F + 0.12F * texture) +
                tissue.white * contrast.white * (1.0F + 0.10F * texture + 0.03F * fine);
  value = mix(value, contrast.white_lesion, here.mimic.white_lesion * (0.75F + 0.4F * fine));
  value = mix(value, contrast.csf, here.mimic.lacune);
  value = mix(value, contrast.vessel, here.mimic.vessel);

  const phantom::TumourMix& tumour = here.tumour;
  const float whole = tumour.whole();
  if (whole > 0) {
    const float uneven = contrast.tumour_texture * (texture + fine);
    // Oedema is water within tissue: folds still show through it.
    const float oedema = mix(contrast.oedema, value, 0.15F) * (1.0F + 0.6F * uneven);
    const float inner = tumour.non_enhancing * contrast.non_enhancing * (1.0F + 1.2F * uneven) +
                        tumour.enhancing * contrast.enhancing * (1.0F + 0.8F * uneven);
    value = (1.0F - whole) * value + tumour.oedema * oedema + inner;
  }
  value = mix(value, contrast.remnant * (1.0F + 0.6F * fine), here.mimic.remnant);
  const float rim = dot(p, p) * (1.0F / (80.0F * 80.0F)) - 0.5F;
  const float bias =
      std::exp(contrast.bias * bias_[static_cast<size_t>(channel)].at(p) + contrast.bias_rim * rim);
  return std::max(0.02F, value) * bias;
}

void BrainPhantom::render_plane(int64_t channel, int64_t d, std::span<int16_t> values) const {
  const Extent3& extent = header_.extent;
  WM_CHECK(channel >= 0 && channel < kChannels && d >= 0 && d < extent.d &&
               static_cast<int64_t>(values.size()) == extent.h * extent.w,
           "a plane outside the phantom or of another size");
  const Contrast& contrast = contrasts_[static_cast<size_t>(channel)];
  const CounterRng rng(seed_, 0, case_index_, kNoisePurposes[static_cast<size_t>(channel)]);
  for (int64_t h = 0; h < extent.h; ++h) {
    for (int64_t w = 0; w < extent.w; ++w) {
      const Vec3 p = position(d, h, w);
      int16_t& value = values[static_cast<size_t>(h * extent.w + w)];
      value = 0;
      Look here = look(p);
      if (!here.tissue.inside) continue;
      here.mimic = mimics_.at(p, here.tissue);
      const float clean = signal(channel, here, p);
      // Box-Muller on the voxel's own block of the stream.
      const auto words = rng.block(static_cast<uint64_t>((d * extent.h + h) * extent.w + w));
      const float u = (static_cast<float>(words[0] >> 8) + 1.0F) * 0x1p-24F;
      const float angle = static_cast<float>(words[1] >> 8) * (0x1p-24F * 6.2831853F);
      const float radius = contrast.noise * std::sqrt(-2.0F * std::log(u));
      const float real = clean + radius * std::cos(angle);
      const float imaginary = radius * std::sin(angle);
      const float magnitude = contrast.gain * std::sqrt(real * real + imaginary * imaginary);
      value = static_cast<int16_t>(std::lround(std::min(32767.0F, std::max(1.0F, magnitude))));
    }
  }
}

void BrainPhantom::render_labels(int64_t d, std::span<uint8_t> labels) const {
  const Extent3& extent = header_.extent;
  WM_CHECK(d >= 0 && d < extent.d && static_cast<int64_t>(labels.size()) == extent.h * extent.w,
           "a plane outside the phantom or of another size");
  for (int64_t h = 0; h < extent.h; ++h) {
    for (int64_t w = 0; w < extent.w; ++w) {
      const Vec3 p = position(d, h, w);
      uint8_t& label = labels[static_cast<size_t>(h * extent.w + w)];
      label = 0;
      if (!tumour_.may_reach(p)) continue;
      const phantom::TumourMix tumour = look(p).tumour;
      if (tumour.whole() < 0.5F) continue;
      label = 1;
      if (tumour.non_enhancing + tumour.enhancing >= tumour.oedema) {
        label = tumour.enhancing >= tumour.non_enhancing ? 3 : 2;
      }
    }
  }
}

}  // namespace wholemount
