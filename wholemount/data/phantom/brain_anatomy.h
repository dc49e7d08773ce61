#pragma once

#include <cstdint>

#include "wholemount/data/phantom/noise_field.h"
#include "wholemount/data/phantom/vec3.h"

namespace wholemount::phantom {

/// What a healthy brain is made of at one point.
struct Tissue {
  bool inside = false;  ///< within the skull-stripped mask
  float csf = 0;        ///< fractions; csf + grey + white = 1 inside
  float grey = 0;
  float white = 0;
  float hull_depth_mm = 0;          ///< below the smooth outer surface; negative outside
  float ventricle_distance_mm = 0;  ///< to the lateral ventricles; negative inside
  float sulcus = 0;                 ///< CSF of fissures and sulci alone, where cortical veins run
};

/// The healthy anatomy of one case as a function of space: cerebrum of two hemispheres with
/// temporal lobes, cerebellum and brainstem (smooth unions of ellipsoids, displaced by noise); a
/// midline and two Sylvian fissures; sulci as zero sheets of domain-warped noise that is constant
/// along rays, so that they run inwards from the surface; a cortical ribbon of constant thickness
/// over white matter; basal ganglia and thalami; lateral, third and fourth ventricles. Sizes,
/// proportions, pose, folds, atrophy and ventricles vary by case. Pure function of (seed, case);
/// thread-safe; no memory beyond the object.
class BrainAnatomy {
 public:
  /// `blur_mm`: width of the transition between tissues (partial volume); about one voxel.
  BrainAnatomy(uint64_t seed, uint64_t case_index, float blur_mm);

  [[nodiscard]] Tissue at(Vec3 p) const;

  /// Atrophy and small-vessel disease of the case, 0 (young) to 1 (old).
  [[nodiscard]] float age() const { return age_; }

  /// No point farther than this from 0 lies inside.
  static constexpr float kRadiusMm = 112.0F;

 private:
  struct Parts {
    float cerebrum;  ///< distances, negative inside
    float cerebellum;
    float brainstem;
    float hull;
  };
  [[nodiscard]] Vec3 to_standard(Vec3 p) const;
  [[nodiscard]] Parts parts(Vec3 p) const;
  [[nodiscard]] float fissure_distance(Vec3 p, float depth) const;
  [[nodiscard]] float sulcus_distance(Vec3 p, float depth) const;
  [[nodiscard]] float lateral_ventricle_distance(Vec3 p) const;
  [[nodiscard]] float inner_ventricle_distance(Vec3 p) const;
  [[nodiscard]] float deep_grey_distance(Vec3 p) const;
  [[nodiscard]] Tissue cerebellum_tissue(Vec3 p, const Parts& parts) const;

  float blur_mm_;
  float age_ = 0;
  Vec3 scale_;  ///< of the standard brain, per axis
  Vec3 shift_;
  float cos_roll_ = 1, sin_roll_ = 0, cos_pitch_ = 1, sin_pitch_ = 0, cos_yaw_ = 1, sin_yaw_ = 0;
  float front_taper_ = 0;
  float left_ventricle_ = 1;  ///< radius factors
  float right_ventricle_ = 1;
  float sulcus_width_mm_ = 1;
  float cortex_mm_ = 3;
  NoiseField outline_;
  NoiseField wander_;  ///< bends the midline
  NoiseField fold_warp_;
  NoiseField fold_;
  NoiseField fine_fold_;
  NoiseField fold_depth_;
  NoiseField ventricle_;
};

}  // namespace wholemount::phantom
