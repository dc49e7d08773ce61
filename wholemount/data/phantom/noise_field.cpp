#include "wholemount/data/phantom/noise_field.h"

#include <array>

#include "wholemount/base/rng.h"

namespace wholemount::phantom {

namespace {

constexpr uint32_t kKeyStep = 0x9E3779B9U;

// A short avalanche of 32 bits: Philox would cost ten times as much at eight corners a point.
uint32_t hash(uint32_t x, uint32_t y, uint32_t z, uint32_t key) {
  uint32_t h = key ^ (x * 0x8DA6B343U) ^ (y * 0xD8163841U) ^ (z * 0xCB1AB31FU);
  h ^= h >> 16;
  h *= 0x7FEB352DU;
  h ^= h >> 15;
  h *= 0x846CA68BU;
  return h ^ (h >> 16);
}

// The twelve edge midpoints of a cube, four of them twice. A table, because branches on a hash
// cannot be predicted.
constexpr std::array<std::array<float, 3>, 16> kGradients = {{{1, 1, 0},
                                                              {-1, 1, 0},
                                                              {1, -1, 0},
                                                              {-1, -1, 0},
                                                              {1, 0, 1},
                                                              {-1, 0, 1},
                                                              {1, 0, -1},
                                                              {-1, 0, -1},
                                                              {0, 1, 1},
                                                              {0, -1, 1},
                                                              {0, 1, -1},
                                                              {0, -1, -1},
                                                              {1, 1, 0},
                                                              {0, -1, 1},
                                                              {-1, 1, 0},
                                                              {0, -1, -1}}};

float corner(uint32_t h, float x, float y, float z) {
  const auto& gradient = kGradients[h & 15U];
  return gradient[0] * x + gradient[1] * y + gradient[2] * z;
}

// Truncation and a correction: without SSE4.1 std::floor is a call.
int32_t floor_index(float value) {
  const auto truncated = static_cast<int32_t>(value);
  return truncated - (value < static_cast<float>(truncated) ? 1 : 0);
}

float fade(float t) { return t * t * t * (t * (t * 6.0F - 15.0F) + 10.0F); }

}  // namespace

NoiseField::NoiseField(uint64_t seed, uint64_t case_index, std::string_view purpose,
                       float wavelength_mm)
    : frequency_(1.0F / wavelength_mm) {
  CounterRng rng(seed, 0, case_index, purpose);
  key_ = rng.next_u32();
}

float NoiseField::octave(Vec3 p, uint32_t key) {
  const int32_t floor_x = floor_index(p.x);
  const int32_t floor_y = floor_index(p.y);
  const int32_t floor_z = floor_index(p.z);
  const float x = p.x - static_cast<float>(floor_x);
  const float y = p.y - static_cast<float>(floor_y);
  const float z = p.z - static_cast<float>(floor_z);
  const auto ix = static_cast<uint32_t>(floor_x);
  const auto iy = static_cast<uint32_t>(floor_y);
  const auto iz = static_cast<uint32_t>(floor_z);
  const float u = fade(x);
  const float v = fade(y);
  const float w = fade(z);
  const auto along_x = [&](uint32_t dy, uint32_t dz) {
    const float cy = y - static_cast<float>(dy);
    const float cz = z - static_cast<float>(dz);
    return mix(corner(hash(ix, iy + dy, iz + dz, key), x, cy, cz),
               corner(hash(ix + 1, iy + dy, iz + dz, key), x - 1.0F, cy, cz), u);
  };
  return mix(mix(along_x(0, 0), along_x(1, 0), v), mix(along_x(0, 1), along_x(1, 1), v), w);
}

float NoiseField::fractal(Vec3 p, int octaves) const {
  float sum = 0;
  float amplitude = 1;
  uint32_t key = key_;
  Vec3 q = p * frequency_;
  for (int i = 0; i < octaves; ++i) {
    sum += amplitude * octave(q, key);
    amplitude *= 0.5F;
    q = q * 2.0F;
    key += kKeyStep;
  }
  return sum;
}

Vec3 NoiseField::vector(Vec3 p) const {
  const Vec3 q = p * frequency_;
  return {octave(q, key_), octave(q, key_ + 17 * kKeyStep), octave(q, key_ + 31 * kKeyStep)};
}

}  // namespace wholemount::phantom
