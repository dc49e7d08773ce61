#include "wholemount/data/phantom/brain_anatomy.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "wholemount/base/rng.h"

namespace wholemount::phantom {

namespace {

float uniform(CounterRng* rng, float low, float high) { return mix(low, high, rng->next_float()); }

// Hull of the whole brain on the midline plane and to both sides: z of the cerebral base.
constexpr float kBaseZ = -20.0F;

// Largest displacement of the outline.
constexpr float kOutlineMm = 6.0F;

// No sulcus goes deeper than this.
constexpr float kDeepestSulcusMm = 40.0F;

// Wavelengths of the folds.
constexpr float kFoldMm = 17.0F;
constexpr float kFineFoldMm = 10.0F;

}  // namespace

BrainAnatomy::BrainAnatomy(uint64_t seed, uint64_t case_index, float blur_mm)
    : blur_mm_(blur_mm),
      outline_(seed, case_index, "phantom:outline", 42.0F),
      wander_(seed, case_index, "phantom:midline", 40.0F),
      fold_warp_(seed, case_index, "phantom:fold-warp", 26.0F),
      fold_(seed, case_index, "phantom:fold", kFoldMm),
      fine_fold_(seed, case_index, "phantom:fine-fold", kFineFoldMm),
      fold_depth_(seed, case_index, "phantom:fold-depth", 24.0F),
      ventricle_(seed, case_index, "phantom:ventricle", 22.0F) {
  CounterRng rng(seed, 0, case_index, "phantom:anatomy");
  age_ = rng.next_float();
  const float size = uniform(&rng, 0.95F, 1.05F);
  scale_ = {size * uniform(&rng, 0.96F, 1.04F), size * uniform(&rng, 0.96F, 1.04F),
            size * uniform(&rng, 0.96F, 1.03F)};
  shift_ = {uniform(&rng, -3, 3), uniform(&rng, -3, 3), uniform(&rng, -2, 2)};
  const float roll = uniform(&rng, -0.08F, 0.08F);
  const float pitch = uniform(&rng, -0.12F, 0.12F);
  const float yaw = uniform(&rng, -0.10F, 0.10F);
  cos_roll_ = std::cos(roll), sin_roll_ = std::sin(roll);
  cos_pitch_ = std::cos(pitch), sin_pitch_ = std::sin(pitch);
  cos_yaw_ = std::cos(yaw), sin_yaw_ = std::sin(yaw);
  front_taper_ = uniform(&rng, 0.14F, 0.24F);
  const float ventricles = uniform(&rng, 0.65F, 0.95F) + 0.5F * age_ * age_;
  left_ventricle_ = ventricles * uniform(&rng, 0.85F, 1.15F);
  right_ventricle_ = ventricles * uniform(&rng, 0.85F, 1.15F);
  sulcus_width_mm_ = uniform(&rng, 0.35F, 0.7F) + 0.7F * age_;
  cortex_mm_ = uniform(&rng, 2.7F, 3.4F);
}

Vec3 BrainAnatomy::to_standard(Vec3 p) const {
  p = p - shift_;
  p = {cos_roll_ * p.x + sin_roll_ * p.z, p.y, cos_roll_ * p.z - sin_roll_ * p.x};
  p = {p.x, cos_pitch_ * p.y + sin_pitch_ * p.z, cos_pitch_ * p.z - sin_pitch_ * p.y};
  p = {cos_yaw_ * p.x + sin_yaw_ * p.y, cos_yaw_ * p.y - sin_yaw_ * p.x, p.z};
  return {p.x / scale_.x, p.y / scale_.y, p.z / scale_.z};
}

BrainAnatomy::Parts BrainAnatomy::parts(Vec3 p) const {
  const float side = std::fabs(p.x);
  // The frontal end is narrower than the occipital one, and the vertex is a little flat.
  const float forward = p.y / 86.0F;
  const float narrow = 1.0F + (forward > 0 ? front_taper_ : 0.06F) * forward * forward;
  // One ellipsoid a hemisphere, so that both ends are blunt with a notch at the midline.
  const Vec3 q{side * narrow - 13.0F, p.y, p.z - 2.0F};
  float cerebrum = ellipsoid_distance(q, {53.0F, 86.0F, 62.0F});
  const float base = kBaseZ - 0.05F * p.y - p.z;
  cerebrum = -smooth_min(-cerebrum, -base, 14.0F);
  const float temporal =
      ellipsoid_distance({side - 41.0F, p.y - 4.0F, p.z + 24.0F}, {22.0F, 43.0F, 21.0F});
  cerebrum = smooth_min(cerebrum, temporal, 8.0F);
  float cerebellum =
      ellipsoid_distance({side - 21.0F, p.y + 52.0F, p.z + 36.0F}, {32.0F, 29.0F, 23.0F});
  const float pons = ellipsoid_distance({p.x, p.y + 18.0F, p.z + 36.0F}, {17.0F, 14.0F, 17.0F});
  const float stem =
      smooth_min(pons, capsule_distance(p, {0, -16, -18}, {0, -30, -72}, 13.0F, 8.5F), 6.0F);
  // Far outside the noise decides nothing; most voxels of a scan lie there.
  if (std::min(cerebrum, std::min(cerebellum, stem)) < kOutlineMm + 6.0F) {
    const float bumps = kOutlineMm * outline_.at(p);
    cerebrum += bumps;
    cerebellum += 0.4F * bumps;
  }
  const float hull = smooth_min(smooth_min(cerebrum, cerebellum, 5.0F), stem, 6.0F);
  return {cerebrum, cerebellum, stem, hull};
}

float BrainAnatomy::fissure_distance(Vec3 p, float depth) const {
  const float side = std::fabs(p.x);
  // Midline: down to the corpus callosum, which a central ellipsoid keeps whole.
  const float bend = 5.0F * wander_.at({0.0F, p.y, p.z});
  const float callosum = ellipsoid_distance({p.x, p.y - 2.0F, p.z + 2.0F}, {40.0F, 44.0F, 27.0F});
  const float below = std::max(0.0F, -callosum);
  const float midline = std::sqrt((p.x - bend) * (p.x - bend) + below * below);
  // Sylvian: between frontal and temporal lobe, rising to the back.
  const float in =
      std::max(0.0F, 33.0F - side) + std::max(0.0F, -26.0F - p.y) + std::max(0.0F, depth - 30.0F);
  if (in > 12.0F) return midline;
  const float sheet = p.z + 7.0F + 0.32F * p.y + 9.0F * wander_.at(p);
  const float sylvian = std::sqrt(sheet * sheet * 0.9F + in * in) - 0.6F;
  return std::min(midline, sylvian);
}

float BrainAnatomy::sulcus_distance(Vec3 p, float depth) const {
  // Noise on the ray's exit point makes sheets that run inwards; the warp depends on the point
  // itself, so the sheets bend as they go down.
  const Vec3 semi{64.0F, 84.0F, 60.0F};
  const float radius = std::sqrt(p.x * p.x / (semi.x * semi.x) + p.y * p.y / (semi.y * semi.y) +
                                 p.z * p.z / (semi.z * semi.z));
  // Where rays crowd together, under the base, there are no folds.
  const float crowded = 40.0F * std::max(0.0F, 0.55F - radius);
  if (depth + crowded > kDeepestSulcusMm) return kDeepestSulcusMm;
  const Vec3 warp = fold_warp_.vector(p);
  const Vec3 surface = p * (1.0F / std::max(radius, 0.25F));
  // Each hemisphere has folds of its own.
  const Vec3 q = surface + warp * 13.0F + Vec3{p.x > 0 ? 300.0F : 0.0F, 0.0F, 0.0F};
  // |n| / |grad n| is the distance to the sheet; the typical slope of gradient noise stands for
  // the slope here, so sheets widen where the noise is flat. Rays converge inwards by `radius`.
  const float shrink = std::min(1.0F, std::max(0.5F, radius));
  const float coarse = std::fabs(fold_.at(q)) * kFoldMm * 0.75F * shrink;
  const float fine = std::fabs(fine_fold_.at(q)) * kFineFoldMm * 0.75F * shrink;
  const float vary = fold_depth_.at(p);
  const float coarse_depth = 19.0F + 14.0F * vary;
  const float fine_depth = 8.0F - 10.0F * vary;
  const float below_coarse = std::max(0.0F, depth + crowded - coarse_depth);
  const float below_fine = std::max(0.0F, depth + crowded - fine_depth);
  return std::min(std::sqrt(coarse * coarse + below_coarse * below_coarse),
                  std::sqrt(fine * fine + below_fine * below_fine) + 0.25F);
}

float BrainAnatomy::lateral_ventricle_distance(Vec3 p) const {
  const float size = p.x > 0 ? right_ventricle_ : left_ventricle_;
  const Vec3 q{std::fabs(p.x), p.y, p.z};
  // Frontal horn, body, atrium, occipital and temporal horn; flattened against the midline.
  static constexpr std::array<std::array<float, 4>, 7> kPath = {{{13.0F, 35.0F, 4.0F, 2.8F},
                                                                 {7.5F, 22.0F, 9.0F, 5.0F},
                                                                 {8.5F, -4.0F, 17.0F, 4.6F},
                                                                 {16.0F, -28.0F, 14.0F, 5.2F},
                                                                 {23.0F, -40.0F, 3.0F, 6.0F},
                                                                 {32.0F, -24.0F, -12.0F, 2.4F},
                                                                 {33.0F, -6.0F, -20.0F, 1.6F}}};
  float distance = 1e9F;
  for (size_t i = 0; i + 1 < kPath.size(); ++i) {
    const auto& a = kPath[i];
    const auto& b = kPath[i + 1];
    distance = std::min(distance, capsule_distance(q, {a[0], a[1], a[2]}, {b[0], b[1], b[2]},
                                                   a[3] * size, b[3] * size));
  }
  distance =
      std::min(distance, capsule_distance(q, {23, -40, 3}, {22, -60, 2}, 4.6F * size, 1.2F * size));
  if (distance < 25.0F) distance += 1.8F * ventricle_.at(p);
  const float septum = 1.4F - q.x;
  return std::max(distance, septum);
}

float BrainAnatomy::inner_ventricle_distance(Vec3 p) const {
  const float size = 0.5F * (left_ventricle_ + right_ventricle_);
  const float third =
      ellipsoid_distance({p.x, p.y + 4.0F, p.z + 1.0F}, {1.6F * size + 0.6F, 14.0F, 9.0F});
  const float fourth =
      ellipsoid_distance({p.x, p.y + 36.0F, p.z + 38.0F}, {6.5F * size, 5.0F, 9.0F});
  const float aqueduct = capsule_distance(p, {0, -16, -4}, {0, -34, -32}, 1.0F, 1.2F);
  // The basal cisterns, in front of the pons and around the midbrain.
  const float cistern = ellipsoid_distance({p.x, p.y - 2.0F, p.z + 24.0F}, {15.0F, 7.0F, 6.0F});
  const float quadrigeminal =
      ellipsoid_distance({p.x, p.y + 33.0F, p.z + 10.0F}, {12.0F, 4.0F, 6.0F});
  float cisterns = std::min(cistern, quadrigeminal);
  if (cisterns < 5.0F) cisterns += 2.5F * std::fabs(wander_.at(p));
  return std::min(std::min(third, std::min(fourth, aqueduct)), cisterns);
}

float BrainAnatomy::deep_grey_distance(Vec3 p) const {
  const float side = std::fabs(p.x);
  const float thalamus =
      ellipsoid_distance({side - 10.5F, p.y + 9.0F, p.z - 3.0F}, {7.5F, 12.5F, 8.0F});
  const float putamen =
      ellipsoid_distance({side - 26.0F - 0.12F * p.y, p.y - 7.0F, p.z - 1.0F}, {5.2F, 16.0F, 9.5F});
  const float caudate =
      std::min(ellipsoid_distance({side - 14.5F, p.y - 22.0F, p.z - 7.0F}, {4.6F, 8.5F, 7.5F}),
               capsule_distance({side, p.y, p.z}, {15, 16, 14}, {20, -22, 20}, 3.4F, 1.8F));
  const float nearest = std::min(thalamus, std::min(putamen, caudate));
  return nearest < 8.0F ? nearest + 1.5F * ventricle_.at(p * 1.7F) : nearest;
}

Tissue BrainAnatomy::cerebellum_tissue(Vec3 p, const Parts& parts) const {
  Tissue tissue;
  const float depth = -parts.cerebellum;
  // Folia: thin leaves stacked from top to bottom, bent by noise, over a core of white matter.
  const float leaf =
      std::sin((p.z + 0.35F * p.y) * 1.15F + 5.0F * wander_.at(p * 1.6F) + 0.04F * p.x);
  const float core = smooth_step(9.0F, 14.0F, depth + 2.5F * leaf);
  const float sharp = std::min(1.0F, 2.0F / (1.0F + blur_mm_));
  const float cleft = smooth_step(0.80F, 1.0F, leaf) * (1.0F - smooth_step(3.0F, 9.0F, depth));
  const float rim = 1.0F - smooth_step(0.0F, 1.0F + blur_mm_, depth - 0.6F);
  tissue.csf = std::max(sharp * 0.75F * cleft, 0.8F * rim);
  tissue.white = (1.0F - tissue.csf) * std::max(core, 0.35F * smooth_step(0.1F, 0.9F, -leaf));
  tissue.grey = 1.0F - tissue.csf - tissue.white;
  tissue.sulcus = tissue.csf;
  return tissue;
}

Tissue BrainAnatomy::at(Vec3 point) const {
  Tissue outside;
  outside.hull_depth_mm = -1.0F;
  if (dot(point, point) > kRadiusMm * kRadiusMm) return outside;
  const Vec3 p = to_standard(point);
  if (std::fabs(p.x) > 80.0F || std::fabs(p.y) > 98.0F || p.z > 76.0F) return outside;
  const Parts part = parts(p);
  outside.hull_depth_mm = -part.hull;
  if (part.hull > 0) return outside;

  const float blur = blur_mm_;
  Tissue tissue;
  const bool is_cerebellum = part.cerebellum < part.cerebrum && part.cerebellum < part.brainstem;
  const bool is_stem = part.brainstem < part.cerebrum && part.brainstem <= part.cerebellum;
  const float lateral = lateral_ventricle_distance(p);
  if (is_cerebellum) {
    tissue = cerebellum_tissue(p, part);
  } else if (is_stem) {
    const float rim = 1.0F - smooth_step(0.0F, 1.0F + blur, -part.brainstem - 0.6F);
    tissue.csf = 0.8F * rim;
    tissue.grey = (1.0F - tissue.csf) * 0.35F;
    tissue.white = 1.0F - tissue.csf - tissue.grey;
  } else {
    const float depth = -part.cerebrum;
    // The distance to the CSF that bathes the cortex decides all three tissues.
    const float fissure = fissure_distance(p, depth);
    const float fold = sulcus_distance(p, depth);
    const float outer = depth - 0.4F - 0.8F * age_;
    const float bath = std::min(outer, std::min(fissure, fold) - sulcus_width_mm_);
    const float half = 0.5F * blur + 0.25F;
    tissue.csf = 1.0F - smooth_step(-half, half, bath);
    // A sheet thinner than a voxel fills only part of it.
    tissue.csf *= std::min(1.0F, (sulcus_width_mm_ + 0.9F) / (0.6F * blur + 0.7F));
    tissue.sulcus = tissue.csf;
    float white = smooth_step(cortex_mm_ - half - 0.3F, cortex_mm_ + half + 0.3F, bath);
    white = std::min(white, smooth_step(-half, half, deep_grey_distance(p)));
    tissue.white = (1.0F - tissue.csf) * white;
    tissue.grey = 1.0F - tissue.csf - tissue.white;
  }
  // Clefts between the parts (tentorium, around the stem).
  const float second = is_cerebellum
                           ? std::min(part.cerebrum, part.brainstem + 9.0F)
                           : std::min(part.cerebellum + (is_stem ? 9.0F : 0.0F),
                                      is_stem ? part.cerebrum + 6.0F : part.brainstem + 6.0F);
  const float first = is_cerebellum ? part.cerebellum : (is_stem ? part.brainstem : part.cerebrum);
  const float cleft = 0.7F * (second - first);
  const float cavity = std::min(std::min(lateral, inner_ventricle_distance(p)), cleft - 0.7F);
  const float half = 0.5F * blur + 0.2F;
  const float fluid = std::max(tissue.csf, 1.0F - smooth_step(-half, half, cavity));
  const float solid = tissue.csf < 0.999F ? (1.0F - fluid) / (1.0F - tissue.csf) : 0.0F;
  tissue.grey *= solid;
  tissue.white *= solid;
  tissue.csf = 1.0F - tissue.grey - tissue.white;
  tissue.inside = true;
  tissue.hull_depth_mm = -part.hull;
  tissue.ventricle_distance_mm = lateral;
  return tissue;
}

}  // namespace wholemount::phantom
