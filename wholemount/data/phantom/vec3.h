#pragma once

#include <algorithm>
#include <cmath>

namespace wholemount::phantom {

/// A point or a vector in head space, in mm: x to the right, y to the front, z to the top of the
/// head, the middle of the brain at 0.
struct Vec3 {
  float x = 0;
  float y = 0;
  float z = 0;

  friend Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
  friend Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
  friend Vec3 operator*(Vec3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
};

inline float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline float length(Vec3 a) { return std::sqrt(dot(a, a)); }

/// 0 up to `low`, 1 from `high` on, 3t^2 - 2t^3 between; low < high.
inline float smooth_step(float low, float high, float value) {
  const float t = std::min(1.0F, std::max(0.0F, (value - low) / (high - low)));
  return t * t * (3.0F - 2.0F * t);
}

inline float mix(float a, float b, float t) { return a + (b - a) * t; }

/// The smaller of two distances, rounded off where they differ by less than `radius` (polynomial
/// smooth minimum: min(a, b) - max(0, radius - |a - b|)^2 / (4 radius)).
inline float smooth_min(float a, float b, float radius) {
  const float h = std::max(0.0F, radius - std::fabs(a - b));
  return std::min(a, b) - h * h / (4.0F * radius);
}

/// Distance to the surface of an axis-aligned ellipsoid, negative inside: k0 (k0 - 1) / k1 with
/// k0 = |p / r| and k1 = |p / r^2|; exact on the surface and for a sphere, of first order nearby.
inline float ellipsoid_distance(Vec3 p, Vec3 semi_axes) {
  const Vec3 a{p.x / semi_axes.x, p.y / semi_axes.y, p.z / semi_axes.z};
  const Vec3 b{a.x / semi_axes.x, a.y / semi_axes.y, a.z / semi_axes.z};
  const float k0 = length(a);
  const float k1 = length(b);
  const float smallest = std::min(semi_axes.x, std::min(semi_axes.y, semi_axes.z));
  return k1 > 1e-6F ? k0 * (k0 - 1.0F) / k1 : -smallest;
}

/// Distance to a segment a-b whose radius runs from radius_a to radius_b, negative inside.
inline float capsule_distance(Vec3 p, Vec3 a, Vec3 b, float radius_a, float radius_b) {
  const Vec3 ab = b - a;
  const float t = std::min(1.0F, std::max(0.0F, dot(p - a, ab) / dot(ab, ab)));
  return length(p - (a + ab * t)) - mix(radius_a, radius_b, t);
}

}  // namespace wholemount::phantom
