#pragma once

#include <cstdint>
#include <vector>

#include "wholemount/data/phantom/brain_anatomy.h"
#include "wholemount/data/phantom/noise_field.h"
#include "wholemount/data/phantom/vec3.h"

namespace wholemount::phantom {

/// How much of a point is which part of a tumour; the sum is at most 1.
struct TumourMix {
  float oedema = 0;
  float non_enhancing = 0;
  float enhancing = 0;
  [[nodiscard]] float whole() const { return oedema + non_enhancing + enhancing; }
};

/// The tumour of one case: one to three foci, each a noise-displaced ellipsoid with a necrotic or
/// non-enhancing core, an enhancing rim of varying thickness with gaps and inner nodules, and an
/// oedema that spreads further in white matter than in grey, seldom over the midline, and never
/// into CSF. It pushes the anatomy around it aside. The first focus has a radius of 20 to 37 mm,
/// others of 8 to 14 mm. Pure function of (seed, case); thread-safe.
class Tumour {
 public:
  Tumour(uint64_t seed, uint64_t case_index, const BrainAnatomy& anatomy, float blur_mm);

  /// The point of the undisturbed anatomy that the tumour's mass has moved to `p`.
  [[nodiscard]] Vec3 undo_mass_effect(Vec3 p) const;

  /// `tissue` is the anatomy at undo_mass_effect(p).
  [[nodiscard]] TumourMix at(Vec3 p, const Tissue& tissue) const;

  /// True where `at` can be other than 0, from the position alone.
  [[nodiscard]] bool may_reach(Vec3 p) const;

  [[nodiscard]] int num_foci() const { return static_cast<int>(foci_.size()); }

 private:
  struct Focus {
    Vec3 centre;
    float radius_mm = 0;
    float core = 0;  ///< radius of the core, as a fraction
    float rim_mm = 0;
    Vec3 axes;  ///< stretch per axis, product 1
    float cos_turn = 1;
    float sin_turn = 0;
    float mass = 0;
    Vec3 noise_offset;
  };
  [[nodiscard]] TumourMix focus_at(const Focus& focus, Vec3 p, const Tissue& tissue) const;

  std::vector<Focus> foci_;
  float blur_mm_;
  float rim_gaps_ = 0;
  float nodules_ = 0;
  NoiseField shape_;   ///< wavelength 1: evaluated in units of the focus
  NoiseField spread_;  ///< likewise, of the oedema
  NoiseField detail_;
  NoiseField rim_;
};

}  // namespace wholemount::phantom
