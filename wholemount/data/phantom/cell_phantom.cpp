#include "wholemount/data/phantom/cell_phantom.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kCellRadius = 15.0;  // pixels, of the mean cell

enum class Fibres : uint8_t { radial, rings, parallel, speckled };
enum class Cortex : uint8_t { rim, wide_rim, patches };

/// What one phenotype does to a cell.
struct Phenotype {
  double nucleus_radius = 0.42;  ///< of the cell's
  double nucleus_length = 1.15;  ///< long axis over short axis
  int lobes = 0;                 ///< of the outline
  Fibres fibres = Fibres::radial;
  double fibre_spacing = 4.0;  ///< pixels
  Cortex cortex = Cortex::rim;
  double grain = 3.0;    ///< pixels of the nucleus' texture
  double density = 1.0;  ///< of cells
};

/// Mixed radix digits with carries spread over the attributes, so that neighbours differ in
/// several.
Phenotype phenotype_of(int64_t index) {
  const auto k = static_cast<int>(index);
  Phenotype p;
  p.fibres = static_cast<Fibres>(k % 4);
  p.cortex = static_cast<Cortex>((k + k / 4) % 3);
  p.lobes = ((k / 2 + k / 12) % 3) * 2;
  p.nucleus_radius = (k / 3) % 2 == 0 ? 0.40 : 0.50;
  p.nucleus_length = (k / 5 + k) % 2 == 0 ? 1.1 : 1.5;
  p.fibre_spacing = (k / 4 + k / 24) % 2 == 0 ? 3.6 : 5.6;
  p.grain = (k / 6 + k) % 2 == 0 ? 2.5 : 5.0;
  p.density = 0.9 + 0.1 * static_cast<double>((k * 7) % 3);
  return p;
}

struct Cell {
  double h = 0;
  double w = 0;
  double radius = 0;
  double angle = 0;
  double phase = 0;
  double fibre_phase = 0;
  double brightness[kCellChannels] = {};
};

class FieldPainter {
 public:
  explicit FieldPainter(const CellFieldSpec& spec)
      : spec_(spec),
        look_(phenotype_of(spec.phenotype)),
        rng_(spec.seed, spec.plate, spec.field, "cells"),
        picture_(static_cast<size_t>(kCellChannels * spec.height * spec.width), 0.0F) {}

  void paint(std::span<uint16_t> pixels) {
    const double area = static_cast<double>(spec_.height * spec_.width);
    // Fields of one phenotype differ in density more than phenotypes do.
    const double per_cell = kPi * kCellRadius * kCellRadius * 2.2;
    const double share = look_.density * (0.75 + 0.5 * rng_.next_double());
    const auto cells = static_cast<int64_t>(std::max(1.0, area / per_cell * share));
    for (int64_t i = 0; i < cells; ++i) paint_cell(draw_cell());
    expose(pixels);
  }

 private:
  [[nodiscard]] double between(double low, double high) {
    return low + (high - low) * rng_.next_double();
  }

  Cell draw_cell() {
    Cell cell;
    cell.h = between(0, static_cast<double>(spec_.height));
    cell.w = between(0, static_cast<double>(spec_.width));
    cell.radius = kCellRadius * between(0.8, 1.25);
    cell.angle = between(0, kPi);
    cell.phase = between(0, 2 * kPi);
    cell.fibre_phase = between(0, 2 * kPi);
    for (double& brightness : cell.brightness) brightness = between(0.7, 1.3);
    return cell;
  }

  /// Tubulin at a point: distance r and direction of it, and coordinates along the cell's axes.
  [[nodiscard]] double fibre(const Cell& cell, double r, double direction, double along) const {
    const double turns = 2 * kPi / look_.fibre_spacing;
    switch (look_.fibres) {
      case Fibres::radial: {
        const double arms = std::round(kPi * cell.radius / look_.fibre_spacing);
        return 0.5 + 0.5 * std::cos(arms * direction + cell.fibre_phase);
      }
      case Fibres::rings:
        return 0.5 + 0.5 * std::cos(turns * r + cell.fibre_phase);
      case Fibres::parallel:
        return 0.5 + 0.5 * std::cos(turns * along + cell.fibre_phase);
      case Fibres::speckled:
        break;
    }
    const double across = r * std::sin(direction);
    return 0.5 + 0.5 * std::cos(turns * along + cell.fibre_phase) * std::cos(turns * across);
  }

  [[nodiscard]] double actin(const Cell& cell, double inside, double r, double direction) const {
    // `inside` is 0 at the centre and 1 at the outline.
    switch (look_.cortex) {
      case Cortex::rim:
        return 0.25 + 1.1 * std::exp(-std::pow((1 - inside) / 0.10, 2));
      case Cortex::wide_rim:
        return 0.20 + 0.75 * std::exp(-std::pow((1 - inside) / 0.28, 2));
      case Cortex::patches:
        break;
    }
    const double patch = std::cos(2 * kPi * r / 6.0 + cell.phase) * std::cos(5 * direction);
    return 0.28 + 0.75 * std::max(0.0, patch);
  }

  void paint_cell(const Cell& cell) {
    const double reach = cell.radius * 1.4;
    const auto first_h = std::max<int64_t>(0, static_cast<int64_t>(cell.h - reach));
    const auto last_h = std::min(spec_.height - 1, static_cast<int64_t>(cell.h + reach));
    const auto first_w = std::max<int64_t>(0, static_cast<int64_t>(cell.w - reach));
    const auto last_w = std::min(spec_.width - 1, static_cast<int64_t>(cell.w + reach));
    const double cosine = std::cos(cell.angle);
    const double sine = std::sin(cell.angle);
    for (int64_t h = first_h; h <= last_h; ++h) {
      for (int64_t w = first_w; w <= last_w; ++w) {
        const double dh = static_cast<double>(h) - cell.h;
        const double dw = static_cast<double>(w) - cell.w;
        const double along = dw * cosine + dh * sine;
        const double across = dh * cosine - dw * sine;
        const double r = std::sqrt(along * along + across * across);
        const double direction = std::atan2(across, along);
        const double outline =
            cell.radius *
            (1 + (look_.lobes == 0 ? 0.0 : 0.16) * std::cos(look_.lobes * direction + cell.phase));
        const double inside = r / outline;
        if (inside > 1.12) continue;
        const double edge = std::clamp((1.12 - inside) / 0.12, 0.0, 1.0);
        paint_pixel(cell, h, w, {along, across, r, direction, inside, edge});
      }
    }
  }

  struct Place {
    double along;
    double across;
    double r;
    double direction;
    double inside;
    double edge;  ///< 1 inside, falling to 0 at the outline
  };

  void paint_pixel(const Cell& cell, int64_t h, int64_t w, const Place& place) {
    const double stretch = std::sqrt(look_.nucleus_length);
    const double a = place.along / stretch;
    const double b = place.across * stretch;
    const double nucleus = std::sqrt(a * a + b * b) / (look_.nucleus_radius * cell.radius);
    if (nucleus < 1.15) {
      const double turns = 2 * kPi / look_.grain;
      const double grain = 1 + 0.3 * std::cos(turns * place.along + cell.phase) *
                                   std::cos(turns * place.across + cell.fibre_phase);
      add(CellChannel::nuclei, h, w,
          cell.brightness[0] * grain * std::clamp((1.15 - nucleus) / 0.15, 0.0, 1.0));
    }
    // Fibres avoid the nucleus.
    const double free = std::clamp((nucleus - 0.8) / 0.3, 0.15, 1.0);
    add(CellChannel::tubulin, h, w,
        cell.brightness[1] * place.edge * free * (1 - 0.5 * place.inside) *
            fibre(cell, place.r, place.direction, place.along) * 1.6);
    add(CellChannel::actin, h, w,
        cell.brightness[2] * place.edge * actin(cell, place.inside, place.r, place.direction));
  }

  void add(CellChannel channel, int64_t h, int64_t w, double light) {
    picture_[static_cast<size_t>((static_cast<int64_t>(channel) * spec_.height + h) * spec_.width +
                                 w)] += static_cast<float>(light);
  }

  /// Light to numbers: plate and field gain, background, uneven illumination, noise.
  void expose(std::span<uint16_t> pixels) {
    for (int64_t channel = 0; channel < kCellChannels; ++channel) {
      CounterRng plate(spec_.seed, spec_.plate, static_cast<uint64_t>(channel), "plate");
      const double plate_gain = 0.6 + 0.9 * plate.next_double();
      const double background = 200 + 400 * plate.next_double() + between(0, 150);
      const double gain = 2500 * plate_gain * between(0.7, 1.45);
      const double centre_h = 0.35 + 0.3 * plate.next_double();
      const double centre_w = 0.35 + 0.3 * plate.next_double();
      const double fall = 0.1 + 0.25 * plate.next_double();
      const size_t first = static_cast<size_t>(channel * spec_.height * spec_.width);
      for (int64_t h = 0; h < spec_.height; ++h) {
        const double y = static_cast<double>(h) / static_cast<double>(spec_.height) - centre_h;
        for (int64_t w = 0; w < spec_.width; ++w) {
          const double x = static_cast<double>(w) / static_cast<double>(spec_.width) - centre_w;
          const size_t i = first + static_cast<size_t>(h * spec_.width + w);
          const double light =
              background + gain * static_cast<double>(picture_[i]) * (1 - fall * (x * x + y * y));
          // Shot noise of 4 numbers a photon, and the camera's own of 12.
          const double value = light + rng_.next_normal() * std::sqrt(4 * light + 144.0);
          pixels[i] = static_cast<uint16_t>(std::clamp(std::round(value), 0.0, 65535.0));
        }
      }
    }
  }

  const CellFieldSpec& spec_;
  Phenotype look_;
  CounterRng rng_;
  std::vector<float> picture_;
};

}  // namespace

void draw_cell_field(const CellFieldSpec& spec, std::span<uint16_t> pixels) {
  constexpr int64_t kLeastSide = 32;
  if (spec.height < kLeastSide || spec.width < kLeastSide) {
    throw ConfigError("a field of " + std::to_string(spec.height) + " x " +
                      std::to_string(spec.width) + " pixels; wanted sides of at least 32");
  }
  if (spec.phenotype < 0 || spec.phenotype >= kMostPhenotypes) {
    throw ConfigError("phenotype " + std::to_string(spec.phenotype) + "; there are " +
                      std::to_string(kMostPhenotypes));
  }
  WM_CHECK(static_cast<int64_t>(pixels.size()) == kCellChannels * spec.height * spec.width,
           "pixels of a field");
  FieldPainter(spec).paint(pixels);
}

}  // namespace wholemount
