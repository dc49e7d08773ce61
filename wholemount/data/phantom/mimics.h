#pragma once

#include <cstdint>
#include <vector>

#include "wholemount/data/phantom/brain_anatomy.h"
#include "wholemount/data/phantom/noise_field.h"
#include "wholemount/data/phantom/tumour.h"
#include "wholemount/data/phantom/vec3.h"

namespace wholemount::phantom {

/// Fractions (0 to 1) of bright things that are no tumour, at one point.
struct MimicMix {
  float white_lesion = 0;  ///< small-vessel disease: bright in FLAIR, less so in T2w
  float lacune = 0;        ///< small fluid-filled holes: bright in T2w, dark in FLAIR
  float vessel = 0;        ///< sinuses, cortical veins, choroid plexus: bright in t1gd
  float remnant = 0;       ///< dura and fat that the skull stripping left: bright in all channels
};

/// What makes a threshold fail outside tumours: bands along the ventricles and spots in white
/// matter, lacunes, vessels, remnants at the surface. How much of each varies by case.
/// Pure function of (seed, case); thread-safe.
class Mimics {
 public:
  Mimics(uint64_t seed, uint64_t case_index, const BrainAnatomy& anatomy, const Tumour& tumour);

  [[nodiscard]] MimicMix at(Vec3 p, const Tissue& tissue) const;

 private:
  struct Spot {
    Vec3 centre;
    float radius_mm = 0;
  };
  float band_mm_ = 0;
  float remnant_level_ = 0;
  float vein_width_ = 0;
  std::vector<Spot> spots_;
  std::vector<Spot> lacunes_;
  NoiseField uneven_;
  NoiseField vein_a_;
  NoiseField vein_b_;
  NoiseField patches_;
};

}  // namespace wholemount::phantom
