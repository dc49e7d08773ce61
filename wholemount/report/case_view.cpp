#include "wholemount/report/case_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "wholemount/report/base64.h"
#include "wholemount/report/markup.h"

namespace wholemount {

namespace {

constexpr int64_t kMaxSlices = 24;
constexpr double kSlicePixels = 256;  // along the longest axis
constexpr double kMostSlicePixels = 400;
constexpr double kPicturePixels = 1200;

struct EmbeddedView {
  SliceView view;
  int64_t key = 0;
  std::vector<int64_t> slices;
  std::vector<std::string> pngs;
};

double longest_mm(const std::array<SliceView, 3>& views) {
  double longest = 0;
  for (const SliceView& view : views) {
    longest = std::max({longest, static_cast<double>(view.rows) * view.row_mm,
                        static_cast<double>(view.columns) * view.column_mm});
  }
  return longest;
}

/// Stored pixels as they are where their number is fit for a page; else more or fewer.
double page_scale(const std::array<SliceView, 3>& views) {
  double finest = views[0].column_mm;
  for (const SliceView& view : views) finest = std::min({finest, view.row_mm, view.column_mm});
  const double pixels = longest_mm(views) / finest;
  return std::clamp(pixels, kSlicePixels, kMostSlicePixels) / longest_mm(views);
}

std::vector<EmbeddedView> embed(const SampleCase& sample, size_t max_png_bytes) {
  const std::array<SliceView, 3> views = slice_views(sample.volume);
  const GreyWindow window = percentile_window(sample.volume);
  const double scale = page_scale(views);
  std::vector<EmbeddedView> embedded;
  for (int64_t count = kMaxSlices;; count /= 2) {
    embedded.clear();
    size_t bytes = 0;
    for (const SliceView& view : views) {
      EmbeddedView one{view, fullest_slice(sample.volume, view), {}, {}};
      one.slices = chosen_slices(view.num_slices, one.key, count);
      for (const int64_t slice : one.slices) {
        one.pngs.push_back(encode_png(render_slice(sample.volume, window, view, slice, scale)));
        bytes += one.pngs.back().size();
      }
      embedded.push_back(std::move(one));
    }
    if (bytes <= max_png_bytes || count <= 1) return embedded;
  }
}

std::string number_list(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) text += (text.empty() ? "" : ",") + std::to_string(value + 1);
  return text;
}

/// The slices other than the shown one, which the page has already, for the script.
std::string slice_data(const EmbeddedView& view, const std::string& id) {
  std::string json;
  for (size_t i = 0; i < view.pngs.size(); ++i) {
    const bool shown = view.slices[i] == view.key;
    json += (i == 0 ? "[" : ",") + ("\"" + (shown ? "" : encode_base64(view.pngs[i])) + "\"");
  }
  return element("script", {{"type", "application/json"}, {"id", id + "-data"}}, json + "]");
}

std::string render_view(const EmbeddedView& embedded, const SampleCase& sample,
                        const std::string& id) {
  const auto key = std::find(embedded.slices.begin(), embedded.slices.end(), embedded.key) -
                   embedded.slices.begin();
  const std::string of = " of " + std::to_string(embedded.view.num_slices);
  const std::string picture = empty_element(
      "img",
      {{"id", id},
       {"src", "data:image/png;base64," + encode_base64(embedded.pngs[static_cast<size_t>(key)])},
       {"alt", fmt::format("{}, {} view, slice {}{}: prediction and truth over the image",
                           sample.scores.id, embedded.view.name, embedded.key + 1, of)}});
  const std::string slider = empty_element(
      "input", {{"type", "range"},
                {"min", "0"},
                {"max", std::to_string(embedded.slices.size() - 1)},
                {"value", std::to_string(key)},
                {"data-view", id},
                {"data-slices", number_list(embedded.slices)},
                {"data-of", of},
                {"aria-label", sample.scores.id + ", " + embedded.view.name + " view: slice"}});
  const std::string caption = text_element("span", embedded.view.name) +
                              text_element("output", {{"id", id + "-slice"}},
                                           "slice " + std::to_string(embedded.key + 1) + of);
  return element("figure", {{"class", "view"}},
                 picture + element("figcaption", caption) + slider + slice_data(embedded, id));
}

std::string dice_text(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "undefined";
}

}  // namespace

std::vector<int64_t> chosen_slices(int64_t num_slices, int64_t key, int64_t count) {
  count = std::max<int64_t>(1, count);
  if (count == 1) return {key};
  const int64_t stride = (num_slices + count - 1) / count;
  std::vector<int64_t> chosen;
  for (int64_t slice = key % stride; slice < num_slices; slice += stride) chosen.push_back(slice);
  return chosen;
}

IndexedImage overlay_picture(const SampleCase& sample) {
  const std::array<SliceView, 3> views = slice_views(sample.volume);
  const GreyWindow window = percentile_window(sample.volume);
  double width_mm = 0;
  for (const SliceView& view : views)
    width_mm += static_cast<double>(view.columns) * view.column_mm;
  std::vector<IndexedImage> pictures;
  for (const SliceView& view : views) {
    pictures.push_back(render_slice(sample.volume, window, view, fullest_slice(sample.volume, view),
                                    kPicturePixels / width_mm));
  }
  return join_pictures(pictures);
}

std::string render_case_view(const SampleCase& sample, const CaseViewSpec& spec) {
  std::string views;
  std::string columns;
  const std::vector<EmbeddedView> embedded = embed(sample, spec.max_png_bytes);
  for (size_t i = 0; i < embedded.size(); ++i) {
    views += render_view(embedded[i], sample, spec.id + "-" + std::to_string(i));
    // Widths in proportion give all views one scale.
    const SliceView& view = embedded[i].view;
    columns += fmt::format("{}minmax(0,{:.2f}fr)", i == 0 ? "" : " ",
                           static_cast<double>(view.columns) * view.column_mm);
  }
  const Geometry& geometry = sample.volume.geometry;
  const std::string details =
      fmt::format("{} voxels of {:.3g} x {:.3g} x {:.3g} mm (d, h, w); channel {}; picture {}",
                  to_string(sample.volume.extent), geometry.spacing_mm[0], geometry.spacing_mm[1],
                  geometry.spacing_mm[2], sample.channel_name, spec.overlay_file);
  const std::string heading =
      text_element("span", {{"class", "rank"}}, sample.which) + " " +
      escape_markup(sample.scores.id) + " " +
      text_element("span", {{"class", "score"}}, "Dice " + dice_text(sample.scores.mean_dice));
  return element(
      "article", {{"class", "case"}},
      element("h3", heading) +
          element("div", {{"class", "views"}, {"style", "--columns:" + columns}}, views) +
          text_element("p", {{"class", "small"}}, details));
}

}  // namespace wholemount
