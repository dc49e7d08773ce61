#include "wholemount/data/turned_crop.h"

#include <array>
#include <cmath>
#include <numbers>

#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

struct Direction {
  double cosine = 1;
  double sine = 0;
};

Direction direction_of(int turn) {
  // Quarter turns exactly, so that they move pixels onto pixels.
  constexpr std::array<Direction, 4> kQuarters{{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}};
  constexpr int kInQuarter = kTurns / 4;
  if (turn % kInQuarter == 0) return kQuarters[static_cast<size_t>(turn / kInQuarter)];
  const double angle = 2 * std::numbers::pi * turn / kTurns;
  return {std::cos(angle), std::sin(angle)};
}

}  // namespace

int draw_turn(uint64_t seed, uint64_t epoch, uint64_t case_index) {
  return static_cast<int>(CounterRng(seed, epoch, case_index, "turn").next_below(kTurns));
}

void turned_crop(std::span<const float> field, const Extent3& extent, int turn, float* values,
                 const StridedBox& box) {
  const Direction direction = direction_of(turn);
  const double centre_h = 0.5 * static_cast<double>(extent.h - 1);
  const double centre_w = 0.5 * static_cast<double>(extent.w - 1);
  const auto pixel = [&](int64_t h, int64_t w) {
    const bool inside = h >= 0 && h < extent.h && w >= 0 && w < extent.w;
    return inside ? static_cast<double>(field[static_cast<size_t>(h * extent.w + w)]) : 0.0;
  };
  for (int64_t h = 0; h < box.extent.h; ++h) {
    const double dh = static_cast<double>(h) - 0.5 * static_cast<double>(box.extent.h - 1);
    for (int64_t w = 0; w < box.extent.w; ++w) {
      const double dw = static_cast<double>(w) - 0.5 * static_cast<double>(box.extent.w - 1);
      const double from_h = centre_h + direction.cosine * dh + direction.sine * dw;
      const double from_w = centre_w + direction.cosine * dw - direction.sine * dh;
      const auto h0 = static_cast<int64_t>(std::floor(from_h));
      const auto w0 = static_cast<int64_t>(std::floor(from_w));
      const double part_h = from_h - static_cast<double>(h0);
      const double part_w = from_w - static_cast<double>(w0);
      const double above = pixel(h0, w0) * (1 - part_w) + pixel(h0, w0 + 1) * part_w;
      const double below = pixel(h0 + 1, w0) * (1 - part_w) + pixel(h0 + 1, w0 + 1) * part_w;
      values[box.at(0, h) + w * box.w_pitch] =
          static_cast<float>(above * (1 - part_h) + below * part_h);
    }
  }
}

}  // namespace wholemount
