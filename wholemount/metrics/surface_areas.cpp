#include <bit>
#include <cmath>

#include "wholemount/metrics/surface.h"

namespace wholemount {

namespace {

// Corners of the cube are numbered 4 d + 2 h + w, so neighbours differ in one bit: 4, 2 or 1 for an
// edge along d, h or w.
constexpr std::array<unsigned, 3> kAxisBit{4, 2, 1};

/// Areas of the cube's faces perpendicular to d, h, w.
struct FaceAreas {
  std::array<double, 3> of;
  /// Length of the area vector with these components in units of the faces.
  [[nodiscard]] double norm(double d, double h, double w) const {
    return std::sqrt(d * d * of[0] * of[0] + h * h * of[1] * of[1] + w * w * of[2] * of[2]);
  }
  [[nodiscard]] double all(double factor) const { return norm(factor, factor, factor); }
  /// The same without one axis.
  [[nodiscard]] double without(size_t axis, double factor) const {
    return norm(axis == 0 ? 0 : factor, axis == 1 ? 0 : factor, axis == 2 ? 0 : factor);
  }
};

unsigned neighbours(unsigned corners) {
  unsigned found = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    if ((corners >> corner & 1U) == 0) continue;
    for (const unsigned bit : kAxisBit) found |= 1U << (corner ^ bit);
  }
  return found;
}

// Corners connected to the lowest one along edges within the set.
unsigned first_component(unsigned corners) {
  unsigned component = corners & (~corners + 1);
  while (true) {
    const unsigned grown = component | (neighbours(component) & corners);
    if (grown == component) return component;
    component = grown;
  }
}

// How many edges along an axis join two corners of the set.
unsigned edges_along(unsigned corners, size_t axis) {
  unsigned edges = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    const unsigned other = corner ^ kAxisBit[axis];
    if (corner < other && (corners >> corner & 1U) != 0 && (corners >> other & 1U) != 0) ++edges;
  }
  return edges;
}

/// Area around one edge-connected set of one to four corners.
double component_area(unsigned corners, const FaceAreas& faces) {
  const std::array<unsigned, 3> edges{edges_along(corners, 0), edges_along(corners, 1),
                                      edges_along(corners, 2)};
  const unsigned num_edges = edges[0] + edges[1] + edges[2];
  switch (std::popcount(corners)) {
    case 1:  // a triangle across the corner
      return faces.all(1.0 / 8);
    case 2:  // a rectangle along the edge
      for (size_t axis = 0; axis < 3; ++axis) {
        if (edges[axis] == 1) return faces.without(axis, 1.0 / 2);
      }
      return 0.0;
    case 3:  // an L in a face: a triangle of half the face and a plane trapezoid
      for (size_t axis = 0; axis < 3; ++axis) {
        if (edges[axis] == 0) return faces.of[axis] / 2 + faces.all(3.0 / 8);
      }
      return 0.0;
    default:
      break;
  }
  if (num_edges == 4) {  // a whole face
    for (size_t axis = 0; axis < 3; ++axis) {
      if (edges[axis] == 0) return faces.of[axis];
    }
  }
  // Three edges, one along each axis: a corner with its three neighbours, or a staircase.
  for (unsigned corner = 0; corner < 8; ++corner) {
    if ((corners >> corner & 1U) != 0 && (neighbours(1U << corner) & ~corners) == 0) {
      return faces.all(3.0 / 4);  // a plane hexagon
    }
  }
  // A staircase: four triangles, cut along the line between the midpoints of the two outer edges
  // that continue the middle step. The middle step joins the two corners with two neighbours each.
  for (unsigned corner = 0; corner < 8; ++corner) {
    for (size_t axis = 0; axis < 3; ++axis) {
      const unsigned other = corner ^ kAxisBit[axis];
      const unsigned pair = 1U << corner | 1U << other;
      if ((corners & pair) != pair) continue;
      if (std::popcount(neighbours(1U << corner) & corners) != 2 ||
          std::popcount(neighbours(1U << other) & corners) != 2) {
        continue;
      }
      return faces.without((axis + 1) % 3, 1.0 / 4) + faces.without((axis + 2) % 3, 1.0 / 4) +
             2 * faces.all(1.0 / 4);
    }
  }
  return 0.0;
}

}  // namespace

std::array<double, 256> surface_element_areas(const std::array<double, 3>& spacing_mm) {
  const FaceAreas faces{{spacing_mm[1] * spacing_mm[2], spacing_mm[0] * spacing_mm[2],
                         spacing_mm[0] * spacing_mm[1]}};
  std::array<double, 256> areas{};
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    // The surface around a set is that around its complement; the smaller of the two is described.
    unsigned corners = std::popcount(pattern) > 4 ? ~pattern & 0xffU : pattern;
    while (corners != 0) {
      const unsigned component = first_component(corners);
      areas[pattern] += component_area(component, faces);
      corners &= ~component;
    }
  }
  return areas;
}

}  // namespace wholemount
