#pragma once

#include <cstdint>
#include <span>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// A drawn field of cultured cells as a fluorescence microscope shows it: nuclei (DAPI), tubulin
/// and actin, 16 bits a channel.
///
/// A phenotype is a combination of small changes of form, the same whatever the number of
/// phenotypes: nucleus size and length, lobes of the cell's outline, course and spacing of tubulin
/// fibres (radial, in rings, parallel), actin at the border or in patches, density. Brightness says
/// little: gain and background of every channel vary from plate to plate and field to field by more
/// than phenotypes differ, so histograms alone do not tell them apart.
struct CellFieldSpec {
  int64_t height = 512;
  int64_t width = 640;
  int64_t phenotype = 0;
  uint64_t seed = 0;
  uint64_t plate = 0;  ///< gain, background and uneven light are in part the plate's
  uint64_t field = 0;  ///< number that makes this field unlike any other
};

/// Channels of a field, in this order.
enum class CellChannel : uint8_t { nuclei = 0, tubulin = 1, actin = 2 };
constexpr int64_t kCellChannels = 3;

/// Most phenotypes that differ.
constexpr int64_t kMostPhenotypes = 48;

/// Draws a field into [3, h, w] (pixels.size() = 3 * h * w): a pure function of the spec. Memory:
/// three float32 pictures. Throws ConfigError: a phenotype outside 0 ... kMostPhenotypes - 1,
/// sides below 32.
void draw_cell_field(const CellFieldSpec& spec, std::span<uint16_t> pixels);

}  // namespace wholemount
