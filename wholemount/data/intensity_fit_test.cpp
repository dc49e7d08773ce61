// What is fitted before training: uneven light, and mean and deviation of reference fields.

#include "wholemount/data/intensity_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/data/dataset_test_support.h"
#include "wholemount/data/load_case.h"
#include "wholemount/image/tiff_writer.h"

namespace wholemount {
namespace {

using testing::TemporaryFolder;

constexpr Extent3 kField{1, 24, 40};

double light_at(int64_t h, int64_t w) {
  const double y = (2.0 * static_cast<double>(h) + 1) / 24 - 1;
  const double x = (2.0 * static_cast<double>(w) + 1) / 40 - 1;
  return 1.2 - 0.1 * y + 0.2 * x - 0.3 * y * y - 0.2 * x * x;
}

/// One channel of `brightness` times an uneven light, as it would be stored.
ChannelFile write_field(const std::string& path, double brightness, bool even) {
  std::vector<uint16_t> pixels;
  for (int64_t h = 0; h < kField.h; ++h) {
    for (int64_t w = 0; w < kField.w; ++w) {
      pixels.push_back(
          static_cast<uint16_t>(std::lround(brightness * (even ? 1.0 : light_at(h, w)))));
    }
  }
  write_tiff(path, kField, pixels);
  return {path, 0};
}

class IntensityFitTest : public ::testing::Test {
 protected:
  void add(const std::string& plate, const std::string& compound, double brightness,
           std::vector<int64_t>* part, bool even = true) {
    Case field;
    field.id = "f" + std::to_string(dataset_.cases.size());
    field.channels = {write_field(folder_ / (field.id + ".tif"), brightness, even)};
    field.groups = {{"plate", plate}, {"compound", compound}};
    field.class_index = 0;
    part->push_back(static_cast<int64_t>(dataset_.cases.size()));
    dataset_.cases.push_back(std::move(field));
    dataset_.classes = {"only"};
  }
  static IntensityFitSpec spec(NormaliseKind kind, bool light) {
    IntensityFitSpec result;
    result.kind = kind;
    result.light = light;
    result.channels = {0};
    return result;
  }
  TemporaryFolder folder_;
  Dataset dataset_;
  Split split_;
};

TEST_F(IntensityFitTest, light_of_second_degree_is_found_and_divided_out) {
  add("p", "x", 8000, &split_.train, false);
  add("p", "y", 20000, &split_.train, false);
  const IntensityFit fit = fit_intensity(dataset_, split_, spec(NormaliseKind::none, true));
  const LightField& light = fit.of(dataset_.cases[0]).at(0).light;
  // Stored numbers are rounded: half a count of 14,000 in the mean image, so 1e-4 leaves a margin.
  double mean = 0;
  for (int64_t h = 0; h < kField.h; ++h) {
    for (int64_t w = 0; w < kField.w; ++w) mean += light_at(h, w) / (24.0 * 40.0);
  }
  for (const auto& [h, w] : {std::pair{0, 0}, std::pair{23, 39}, std::pair{12, 7}}) {
    EXPECT_NEAR(light.at(kField, h, w), light_at(h, w) / mean, 1e-4);
  }
  LoadSpec load;
  load.channels = {0};
  load.normalise.kind = NormaliseKind::none;
  load.whole_image = true;
  load.correct_light = true;
  load.fit = std::make_shared<const IntensityFit>(fit);
  for (const bool flip : {false, true}) {
    load.augment.flip = flip;
    PageBuffer memory(staging_desc(load, kField).bytes);
    const LoadedCase loaded =
        load_case(dataset_.cases[0], {0, 3}, load, {memory.data(), memory.size()});
    for (int64_t h = 0; h < kField.h; ++h) {
      for (int64_t w = 0; w < kField.w; ++w) {
        // 1e-4 of the light and half a stored count.
        EXPECT_NEAR(*loaded.image.at<const float>(0, 0, 0, h, w), 8000 * mean, 3.0);
      }
    }
  }
}

TEST_F(IntensityFitTest, light_and_training_scale_do_not_see_validation_fields) {
  add("p", "x", 1000, &split_.train);
  add("p", "x", 3000, &split_.train);
  const IntensityFitSpec wanted = spec(NormaliseKind::zscore_training, true);
  const IntensityFit before = fit_intensity(dataset_, split_, wanted);
  add("p", "x", 60000, &split_.validation, false);
  add("q", "x", 50000, &split_.test, false);
  const IntensityFit after = fit_intensity(dataset_, split_, wanted);
  EXPECT_EQ(after.plates.at("p"), before.plates.at("p"));
  EXPECT_EQ(after.plates.at(""), before.plates.at(""));
  // A plate nothing was trained on gets the common numbers.
  EXPECT_EQ(after.plates.at("q"), before.plates.at(""));
  EXPECT_NEAR(before.plates.at("")[0].mean, 2000, 1e-6);
  EXPECT_NEAR(before.plates.at("")[0].deviation, 1000, 1e-6);
}

TEST_F(IntensityFitTest, controls_scale_their_own_plate) {
  add("p", "DMSO", 100, &split_.train);
  add("p", "DMSO", 300, &split_.train);
  add("p", "drug", 9000, &split_.train);
  add("p", "DMSO", 7000, &split_.validation);  // has training controls: not looked at
  add("q", "drug", 500, &split_.train);
  add("q", "DMSO", 40, &split_.validation);  // the only ones of their plate
  add("q", "DMSO", 60, &split_.validation);
  add("r", "drug", 500, &split_.train);
  const IntensityFit fit =
      fit_intensity(dataset_, split_, spec(NormaliseKind::zscore_controls, false));
  EXPECT_NEAR(fit.plates.at("p")[0].mean, 200, 1e-9);
  EXPECT_NEAR(fit.plates.at("p")[0].deviation, 100, 1e-9);
  EXPECT_NEAR(fit.plates.at("q")[0].mean, 50, 1e-9);
  EXPECT_NEAR(fit.plates.at("q")[0].deviation, 10, 1e-9);
  // No controls on plate r: those of all plates.
  EXPECT_NEAR(fit.plates.at("r")[0].mean, 125, 1e-9);
}

TEST_F(IntensityFitTest, roots_are_taken_before_mean_and_deviation) {
  add("p", "DMSO", 100, &split_.train);
  add("p", "DMSO", 400, &split_.train);
  const IntensityFit fit =
      fit_intensity(dataset_, split_, spec(NormaliseKind::anscombe_controls, false));
  EXPECT_NEAR(fit.plates.at("p")[0].mean, std::sqrt(100.375) + std::sqrt(400.375), 1e-6);
}

TEST_F(IntensityFitTest, without_controls_there_is_an_error_that_names_the_key) {
  add("p", "drug", 100, &split_.train);
  try {
    (void)fit_intensity(dataset_, split_, spec(NormaliseKind::zscore_controls, false));
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("data.control"), std::string::npos);
  }
}

TEST_F(IntensityFitTest, json_keeps_every_bit_and_damage_is_refused) {
  add("p", "x", 8000, &split_.train, false);
  const IntensityFit fit =
      fit_intensity(dataset_, split_, spec(NormaliseKind::zscore_training, true));
  EXPECT_EQ(parse_intensity_fit(to_json(fit), "here", 1), fit);
  EXPECT_THROW((void)parse_intensity_fit(to_json(fit), "here", 2), FileError);
  EXPECT_THROW((void)parse_intensity_fit(std::string(100'000, '['), "here", 1), FileError);
  for (const char* bad : {"", "[]", "{\"p\": 3}", "{\"\": [{\"mean\": 1}]}",
                          R"({"": [{"mean": 1, "deviation": 0, "light": [1,0,0,0,0,0]}]})",
                          R"({"p": [{"mean": 1, "deviation": 1, "light": [1,0,0,0,0,0]}]})"}) {
    EXPECT_THROW((void)parse_intensity_fit(bad, "here", 1), FileError) << bad;
  }
}

}  // namespace
}  // namespace wholemount
