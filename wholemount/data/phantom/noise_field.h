#pragma once

#include <cstdint>
#include <string_view>

#include "wholemount/data/phantom/vec3.h"

namespace wholemount::phantom {

/// A smooth random function of space: gradient noise (Perlin, "Improving noise", SIGGRAPH 2002)
/// whose lattice gradients are hashed from the lattice coordinates with a key drawn from
/// CounterRng(seed, 0, case, purpose). There is no table: any point can be evaluated in any order
/// and by any thread, with the same bits. Values lie in about [-1, 1], mean 0, standard deviation
/// about 0.27; 0 at every lattice point. Zero sets are sheets about 0.7 wavelengths apart.
class NoiseField {
 public:
  NoiseField(uint64_t seed, uint64_t case_index, std::string_view purpose, float wavelength_mm);

  [[nodiscard]] float at(Vec3 p) const { return octave(p * frequency_, key_); }

  /// `octaves` sheets of detail, each with half the wavelength and half the amplitude.
  [[nodiscard]] float fractal(Vec3 p, int octaves) const;

  /// Three independent values: a displacement for domain warping.
  [[nodiscard]] Vec3 vector(Vec3 p) const;

 private:
  static float octave(Vec3 p, uint32_t key);

  uint32_t key_ = 0;
  float frequency_ = 1;
};

}  // namespace wholemount::phantom
