#include "wholemount/data/phantom/tumour.h"

#include <algorithm>
#include <cmath>

#include "wholemount/base/rng.h"

namespace wholemount::phantom {

namespace {

constexpr float kReach = 1.75F;  // of a focus's radius
constexpr float kPi = 3.14159265F;

float uniform(CounterRng* rng, float low, float high) { return mix(low, high, rng->next_float()); }

// White matter of the cerebrum, neither at the surface nor at a ventricle.
bool is_seat(const Tissue& tissue, Vec3 p) {
  return tissue.inside && tissue.hull_depth_mm > 11.0F && tissue.white > 0.4F &&
         tissue.ventricle_distance_mm > 3.0F && p.z > -30.0F && std::fabs(p.x) > 12.0F;
}

Vec3 draw_seat(CounterRng* rng, const BrainAnatomy& anatomy) {
  Vec3 p;
  for (int attempt = 0; attempt < 400; ++attempt) {
    p = {uniform(rng, -58, 58), uniform(rng, -66, 66), uniform(rng, -28, 52)};
    if (is_seat(anatomy.at(p), p)) return p;
  }
  // Deep frontal white matter lies inside every anatomy that can be drawn.
  return {rng->next_float() < 0.5F ? -27.0F : 27.0F, 18.0F, 24.0F};
}

}  // namespace

Tumour::Tumour(uint64_t seed, uint64_t case_index, const BrainAnatomy& anatomy, float blur_mm)
    : blur_mm_(blur_mm),
      shape_(seed, case_index, "phantom:tumour-shape", 1.0F),
      spread_(seed, case_index, "phantom:tumour-spread", 1.0F),
      detail_(seed, case_index, "phantom:tumour-detail", 9.0F),
      rim_(seed, case_index, "phantom:tumour-rim", 13.0F) {
  CounterRng rng(seed, 0, case_index, "phantom:tumour");
  rim_gaps_ = uniform(&rng, -0.1F, 0.45F);
  nodules_ = uniform(&rng, 0.12F, 0.5F);
  const float multifocal = rng.next_float();
  const int satellites = multifocal < 0.70F ? 0 : (multifocal < 0.9F ? 1 : 2);
  for (int i = 0; i <= satellites; ++i) {
    Focus focus;
    // Volumes from about 15 to 200 ml: uniform in the radius's logarithm.
    focus.radius_mm = i == 0 ? 20.0F * std::exp(rng.next_float() * std::log(37.0F / 20.0F))
                             : uniform(&rng, 8.0F, 14.0F);
    focus.centre = draw_seat(&rng, anatomy);
    focus.core = uniform(&rng, 0.48F, 0.74F);
    focus.rim_mm = std::max(0.13F * focus.radius_mm, 0.8F * blur_mm) * uniform(&rng, 0.7F, 1.5F);
    const float stretch_x = uniform(&rng, 0.8F, 1.3F);
    const float stretch_y = uniform(&rng, 0.85F, 1.3F);
    focus.axes = {stretch_x, stretch_y, 1.0F / (stretch_x * stretch_y)};
    const float turn = uniform(&rng, 0, kPi);
    focus.cos_turn = std::cos(turn);
    focus.sin_turn = std::sin(turn);
    focus.mass = uniform(&rng, 0.15F, 0.4F);
    focus.noise_offset = {uniform(&rng, -50, 50), uniform(&rng, -50, 50), uniform(&rng, -50, 50)};
    foci_.push_back(focus);
  }
}

Vec3 Tumour::undo_mass_effect(Vec3 p) const {
  Vec3 source = p;
  for (const Focus& focus : foci_) {
    const Vec3 r = p - focus.centre;
    const float squared = dot(r, r) / (focus.radius_mm * focus.radius_mm);
    if (squared > 6.0F) continue;
    // Moves towards the centre; fades at the reach, so that the field stays smooth.
    const float fade = 1.0F - smooth_step(2.5F, 6.0F, squared);
    source = source - r * (focus.mass * std::exp(-squared) * fade);
  }
  return source;
}

bool Tumour::may_reach(Vec3 p) const {
  return std::any_of(foci_.begin(), foci_.end(), [p](const Focus& focus) {
    const Vec3 r = p - focus.centre;
    const float reach = kReach * focus.radius_mm;
    return dot(r, r) < reach * reach;
  });
}

TumourMix Tumour::focus_at(const Focus& focus, Vec3 p, const Tissue& tissue) const {
  const Vec3 r = p - focus.centre;
  const float radius = focus.radius_mm;
  if (dot(r, r) >= kReach * kReach * radius * radius) return {};
  const Vec3 turned{focus.cos_turn * r.x + focus.sin_turn * r.y,
                    focus.cos_turn * r.y - focus.sin_turn * r.x, r.z};
  const Vec3 unit = r * (1.0F / radius) + focus.noise_offset;
  const Vec3 bent = turned + shape_.vector(unit * 1.1F) * (0.62F * radius);
  const Vec3 core{bent.x / focus.axes.x, bent.y / focus.axes.y, bent.z / focus.axes.z};
  const float detail = detail_.fractal(p, 2);
  const float half = 0.5F * blur_mm_ + 0.35F;

  const float core_distance = length(core) - focus.core * radius + 0.11F * radius * detail;
  // Grey matter and the far side of the midline resist the oedema; fingers follow white matter.
  const float spread = spread_.fractal(unit * 1.25F, 2);
  const float across = focus.centre.x > 0 ? -p.x : p.x;
  const float far = std::max(0.0F, length(r) - 1.15F * radius);
  const float resistance = 0.25F * tissue.grey + 0.35F * smooth_step(-2.0F, 8.0F, across) +
                           0.5F * smooth_step(18.0F, 32.0F, -p.z);
  const float oedema_distance =
      length(bent) - radius * (1.0F + 0.5F * spread - resistance) + 1.5F * detail + 0.8F * far;

  TumourMix mix_here;
  const float in_core = 1.0F - smooth_step(-half, half, core_distance);
  const float variation = rim_.at(p);
  const float rim = focus.rim_mm * (1.0F - rim_gaps_ + 2.2F * variation);
  float enhancing = rim > 0 ? smooth_step(-half, half, core_distance + rim) : 0.0F;
  // Nodules within the core.
  enhancing = std::max(enhancing, smooth_step(nodules_, nodules_ + 0.12F, rim_.at(p * 1.6F)));
  mix_here.enhancing = in_core * enhancing;
  mix_here.non_enhancing = in_core * (1.0F - enhancing);
  mix_here.oedema = (1.0F - in_core) * (1.0F - smooth_step(-half, half, oedema_distance)) *
                    (1.0F - smooth_step(0.4F, 0.85F, tissue.csf));
  return mix_here;
}

TumourMix Tumour::at(Vec3 p, const Tissue& tissue) const {
  TumourMix sum;
  if (!tissue.inside) return sum;
  for (const Focus& focus : foci_) {
    const TumourMix here = focus_at(focus, p, tissue);
    // The more solid part wins where foci meet.
    const float core =
        std::max(sum.enhancing + sum.non_enhancing, here.enhancing + here.non_enhancing);
    sum.enhancing = std::max(sum.enhancing, here.enhancing);
    sum.non_enhancing = std::max(0.0F, core - sum.enhancing);
    sum.oedema = std::min(std::max(sum.oedema, here.oedema), 1.0F - core);
  }
  return sum;
}

}  // namespace wholemount::phantom
