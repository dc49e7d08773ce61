#include "wholemount/data/phantom/mimics.h"

#include <algorithm>
#include <cmath>

#include "wholemount/base/rng.h"

namespace wholemount::phantom {

namespace {

float uniform(CounterRng* rng, float low, float high) { return mix(low, high, rng->next_float()); }

}  // namespace

Mimics::Mimics(uint64_t seed, uint64_t case_index, const BrainAnatomy& anatomy,
               const Tumour& tumour)
    : uneven_(seed, case_index, "phantom:uneven", 11.0F),
      vein_a_(seed, case_index, "phantom:vein-a", 19.0F),
      vein_b_(seed, case_index, "phantom:vein-b", 19.0F),
      patches_(seed, case_index, "phantom:patches", 34.0F) {
  CounterRng rng(seed, 0, case_index, "phantom:mimics");
  const float age = anatomy.age();
  band_mm_ = uniform(&rng, 1.5F, 4.0F) + 5.0F * age * age;
  remnant_level_ = uniform(&rng, 0.16F, 0.34F);
  vein_width_ = uniform(&rng, 0.035F, 0.06F);
  const int num_spots = 8 + static_cast<int>(rng.next_below(14)) + static_cast<int>(14.0F * age);
  const int num_lacunes = static_cast<int>(rng.next_below(4));
  for (int i = 0; i < num_spots + num_lacunes; ++i) {
    const bool is_spot = i < num_spots;
    Spot spot;
    // Mostly punctate, a few confluent.
    const float draw = rng.next_float();
    spot.radius_mm = is_spot ? 2.0F + 6.0F * draw * draw * draw : 1.5F + 2.5F * draw;
    for (int attempt = 0; attempt < 60; ++attempt) {
      const Vec3 p{uniform(&rng, -58, 58), uniform(&rng, -70, 66), uniform(&rng, -30, 56)};
      const Tissue tissue = anatomy.at(p);
      if (!tissue.inside || tissue.white < 0.5F || tumour.may_reach(p)) continue;
      spot.centre = p;
      (is_spot ? spots_ : lacunes_).push_back(spot);
      break;
    }
  }
}

MimicMix Mimics::at(Vec3 p, const Tissue& tissue) const {
  MimicMix mix_here;
  if (!tissue.inside) return mix_here;
  const float uneven = uneven_.at(p);
  const auto rough = [&] { return uneven_.fractal(p * 1.9F, 2); };
  if (tissue.white > 0.02F) {
    const float edge = band_mm_ * (1.0F + 1.8F * uneven);
    float lesion = 1.0F - smooth_step(edge - 1.5F, edge + 1.5F, tissue.ventricle_distance_mm);
    for (const Spot& spot : spots_) {
      const Vec3 r = p - spot.centre;
      const float reach = spot.radius_mm * 1.6F;
      const float squared = dot(r, r);
      if (squared > reach * reach) continue;
      const float distance = std::sqrt(squared) - spot.radius_mm * (1.0F + 1.3F * rough());
      lesion = std::max(lesion, 1.0F - smooth_step(-1.5F, 1.5F, distance));
    }
    mix_here.white_lesion = lesion * std::min(1.0F, 1.5F * tissue.white);
  }
  for (const Spot& hole : lacunes_) {
    const Vec3 r = p - hole.centre;
    if (dot(r, r) > 64.0F) continue;
    mix_here.lacune = std::max(
        mix_here.lacune,
        1.0F - smooth_step(-1.0F, 1.0F, length(r) - hole.radius_mm * (1.0F + 1.3F * rough())));
  }
  // Veins run where two sheets of noise cross, near the surface and in sulci.
  if (tissue.hull_depth_mm < 26.0F) {
    const float a = vein_a_.at(p) / vein_width_;
    if (std::fabs(a) < 1.6F) {
      const float b = vein_b_.at(p) / vein_width_;
      const float tube = 1.0F - smooth_step(0.5F, 1.6F, std::sqrt(a * a + b * b));
      mix_here.vessel = tube * (0.35F + 0.65F * tissue.sulcus);
    }
    // Superior sagittal sinus: along the midline under the vertex.
    const float sinus = std::sqrt(p.x * p.x + 0.5F * tissue.hull_depth_mm * tissue.hull_depth_mm);
    if (p.z > 0) {
      mix_here.vessel = std::max(mix_here.vessel, 1.0F - smooth_step(2.0F, 4.5F, sinus));
    }
  }
  if (tissue.ventricle_distance_mm < 0) {
    const float plexus = smooth_step(0.08F, 0.3F, uneven_.at(p * 1.5F));
    const bool in_atrium = p.y < -14.0F && p.y > -48.0F;
    mix_here.vessel = std::max(mix_here.vessel, in_atrium ? 0.9F * plexus : 0.25F * plexus);
  }
  if (tissue.hull_depth_mm < 6.0F) {
    const float patch = patches_.fractal(p, 2);
    const float thick = 4.5F * smooth_step(remnant_level_, remnant_level_ + 0.3F, patch) + 0.3F;
    mix_here.remnant = (1.0F - smooth_step(thick - 0.8F, thick + 0.8F, tissue.hull_depth_mm)) *
                       smooth_step(remnant_level_ - 0.05F, remnant_level_ + 0.1F, patch);
  }
  return mix_here;
}

}  // namespace wholemount::phantom
