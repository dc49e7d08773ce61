#include "wholemount/data/intensity_fit.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "wholemount/base/error.h"
#include "wholemount/base/nesting.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace {

std::string group_or_nothing(const Case& field, const std::string& name) {
  const auto found = field.groups.find(name);
  return found == field.groups.end() ? std::string() : found->second;
}

/// Sums for mean and deviation, about a value near the data so that squares do not cancel.
struct Moments {
  double about = 0;
  double count = 0;
  double sum = 0;
  double squares = 0;

  void add(double value) {
    if (count == 0) about = value;
    const double difference = value - about;
    count += 1;
    sum += difference;
    squares += difference * difference;
  }
  [[nodiscard]] double mean() const { return count > 0 ? about + sum / count : 0.0; }
  /// 1 without spread, so that dividing by it is safe.
  [[nodiscard]] double deviation() const {
    if (count == 0) return 1;
    const double variance = squares / count - (sum / count) * (sum / count);
    return variance > 0 ? std::sqrt(variance) : 1;
  }
};

/// Calls body(reader, row, values) with every row of one channel of a field.
template <class Body>
void for_each_row(const ChannelFile& file, const Body& body) {
  const std::unique_ptr<VolumeReader> reader = open_volume(file.path);
  const Extent3& extent = reader->header().extent;
  std::vector<float> row(static_cast<size_t>(extent.w));
  for (int64_t h = 0; h < extent.d * extent.h; ++h) {
    reader->read_run({file.channel, h * extent.w, extent.w}, row);
    body(*reader, h, row);
  }
}

class Fitter {
 public:
  Fitter(const Dataset& dataset, const Split& split, const IntensityFitSpec& spec)
      : dataset_(dataset), split_(split), spec_(spec) {}

  IntensityFit fit() {
    const std::vector<const Case*> training = distinct(split_.train);
    for (const Case* field : training) add_plate(*field);
    for (const Case& field : dataset_.cases) add_plate(field);
    fit_.plates[""].resize(spec_.channels.size());
    if (spec_.light) fit_light(training);
    if (fitted_mean(spec_.kind)) {
      fit_moments(uses_controls(spec_.kind) ? controls() : training);
    }
    return std::move(fit_);
  }

 private:
  void add_plate(const Case& field) {
    fit_.plates[group_or_nothing(field, "plate")].resize(spec_.channels.size());
  }

  /// Fields by their first file: copies of a field are one.
  [[nodiscard]] std::vector<const Case*> distinct(const std::vector<int64_t>& indices) const {
    std::vector<const Case*> fields;
    std::set<std::string> seen;
    for (const int64_t index : indices) {
      const Case& field = dataset_.cases[static_cast<size_t>(index)];
      if (seen.insert(field.channels.front().path).second) fields.push_back(&field);
    }
    return fields;
  }

  [[nodiscard]] bool is_control(const Case& field) const {
    const std::string compound = group_or_nothing(field, "compound");
    if (!compound.empty()) return compound == spec_.control;
    return field.class_index >= 0 &&
           dataset_.classes[static_cast<size_t>(field.class_index)] == spec_.control;
  }

  [[nodiscard]] std::vector<const Case*> controls() const {
    std::set<std::string> kept_apart;  // first files
    for (const std::vector<int64_t>* part : {&split_.validation, &split_.test}) {
      for (const Case* field : distinct(*part)) kept_apart.insert(field->channels.front().path);
    }
    // A split that leaks has fields on both sides.
    for (const Case* field : distinct(split_.train)) kept_apart.erase(field->channels.front().path);
    std::vector<const Case*> chosen;
    std::set<std::string> plates;
    std::set<std::string> seen;
    const auto take = [&](const Case& field) {
      if (!seen.insert(field.channels.front().path).second) return;
      chosen.push_back(&field);
      plates.insert(group_or_nothing(field, "plate"));
    };
    for (const Case& field : dataset_.cases) {
      if (is_control(field) && !kept_apart.contains(field.channels.front().path)) take(field);
    }
    for (const Case& field : dataset_.other_controls) take(field);
    const std::set<std::string> served = plates;
    for (const Case& field : dataset_.cases) {
      if (is_control(field) && !served.contains(group_or_nothing(field, "plate"))) take(field);
    }
    if (chosen.empty()) {
      throw ConfigError(
          "data.normalise: no field is a control: no compound and no class is called "
          "\"" +
          spec_.control + "\"; set data.control, or use zscore-training");
    }
    return chosen;
  }

  [[nodiscard]] const ChannelFile& file_of(const Case& field, size_t channel) const {
    return field.channels.at(static_cast<size_t>(spec_.channels[channel]));
  }

  void fit_light(const std::vector<const Case*>& fields) {
    for (size_t c = 0; c < spec_.channels.size(); ++c) {
      std::map<std::string, LightSums> sums;
      for (const Case* field : fields) {
        LightSums& own = sums[group_or_nothing(*field, "plate")];
        for_each_row(file_of(*field, c),
                     [&](const VolumeReader& reader, int64_t row, auto& values) {
                       const Extent3& extent = reader.header().extent;
                       if (extent.d != 1) {
                         throw ConfigError("data.illumination is for fields of one plane, found " +
                                           to_string(extent) + " in " + reader.path());
                       }
                       own.add_row(extent, row, values);
                     });
      }
      LightSums all;
      for (const auto& [plate, own] : sums) all.add(own);
      const LightField common = all.fit();
      for (auto& [plate, channels] : fit_.plates) {
        const auto own = sums.find(plate);
        channels[c].light = plate.empty() || own == sums.end() ? common : own->second.fit();
      }
    }
  }

  void fit_moments(const std::vector<const Case*>& fields) {
    // One scale for all fields where they are the reference; each plate's own where controls are.
    const bool by_plate = uses_controls(spec_.kind);
    for (size_t c = 0; c < spec_.channels.size(); ++c) {
      Moments all;
      std::map<std::string, Moments> plates;
      for (const Case* field : fields) {
        const LightField light = fit_.of(*field)[c].light;
        Moments& own = plates[group_or_nothing(*field, "plate")];
        for_each_row(file_of(*field, c),
                     [&](const VolumeReader& reader, int64_t row, auto& values) {
                       const Extent3& extent = reader.header().extent;
                       for (int64_t w = 0; w < extent.w; ++w) {
                         auto value = static_cast<double>(values[static_cast<size_t>(w)]);
                         if (spec_.light) value /= light.at(extent, row, w);
                         if (spec_.kind == NormaliseKind::anscombe_controls)
                           value = anscombe_root(value);
                         all.add(value);
                         own.add(value);
                       }
                     });
      }
      for (auto& [plate, channels] : fit_.plates) {
        const auto own = plates.find(plate);
        const bool common = !by_plate || plate.empty() || own == plates.end();
        const Moments& moments = common ? all : own->second;
        channels[c].mean = moments.mean();
        channels[c].deviation = moments.deviation();
      }
    }
  }

  const Dataset& dataset_;
  const Split& split_;
  const IntensityFitSpec& spec_;
  IntensityFit fit_;
};

}  // namespace

const std::vector<ChannelIntensity>& IntensityFit::of(const Case& field) const {
  const auto found = plates.find(group_or_nothing(field, "plate"));
  return found == plates.end() ? plates.at("") : found->second;
}

bool needs_fit(const IntensityFitSpec& spec) { return spec.light || fitted_mean(spec.kind); }

IntensityFit fit_intensity(const Dataset& dataset, const Split& split,
                           const IntensityFitSpec& spec) {
  return Fitter(dataset, split, spec).fit();
}

std::string to_json(const IntensityFit& fit) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [plate, channels] : fit.plates) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const ChannelIntensity& channel : channels) {
      list.push_back({{"mean", channel.mean},
                      {"deviation", channel.deviation},
                      {"light", channel.light.terms}});
    }
    json[plate] = std::move(list);
  }
  return json.dump(1);
}

IntensityFit parse_intensity_fit(const std::string& json, const std::string& where,
                                 size_t num_channels) {
  const auto damaged = [&](const std::string& what) {
    return FileError(where, "the fitted intensities are damaged: " + what);
  };
  if (json_nesting(json) > kDeepestNesting) throw damaged("nested too deeply");
  IntensityFit fit;
  try {
    const nlohmann::json parsed = nlohmann::json::parse(json);
    for (const auto& [plate, channels] : parsed.items()) {
      std::vector<ChannelIntensity>& list = fit.plates[plate];
      for (const auto& channel : channels) {
        ChannelIntensity& one = list.emplace_back();
        channel.at("mean").get_to(one.mean);
        channel.at("deviation").get_to(one.deviation);
        channel.at("light").get_to(one.light.terms);
        const bool finite = std::isfinite(one.mean) && std::isfinite(one.deviation) &&
                            std::all_of(one.light.terms.begin(), one.light.terms.end(),
                                        [](double term) { return std::isfinite(term); });
        if (!finite || !(one.deviation > 0)) throw damaged("plate \"" + plate + "\"");
      }
      if (list.size() != num_channels) {
        throw damaged("plate \"" + plate + "\" has " + std::to_string(list.size()) +
                      " channels, the network reads " + std::to_string(num_channels));
      }
    }
  } catch (const nlohmann::json::exception& error) {
    throw damaged(error.what());
  }
  if (!fit.plates.contains("")) throw damaged("nothing for unknown plates");
  return fit;
}

}  // namespace wholemount
