#include "wholemount/base/nearest_name.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace wholemount {

namespace {

std::string fold(std::string_view name) {
  std::string folded;
  for (const char c : name) {
    folded += c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return folded;
}

// Optimal string alignment distance, three rows of the table at a time.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({substitution, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::vector<std::string_view> as_views(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

}  // namespace

std::string nearest_name(std::string_view wrong, std::span<const std::string_view> known) {
  const std::string folded = fold(wrong);
  std::string_view best;
  size_t best_distance = SIZE_MAX;
  for (const std::string_view name : known) {
    const size_t distance = edit_distance(folded, fold(name));
    const size_t allowed = (std::max(folded.size(), name.size()) + 2) / 3;
    if (distance <= allowed && distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return std::string(best);
}

std::string nearest_name(std::string_view wrong, const std::vector<std::string>& known) {
  return nearest_name(wrong, as_views(known));
}

std::string suggestion(std::string_view wrong, std::span<const std::string_view> known) {
  const std::string nearest = nearest_name(wrong, known);
  if (!nearest.empty()) return "; did you mean \"" + nearest + "\"?";
  std::string text = "; known: ";
  for (size_t i = 0; i < known.size(); ++i) {
    text += i == 0 ? "" : ", ";
    text += known[i];
  }
  return text;
}

std::string suggestion(std::string_view wrong, const std::vector<std::string>& known) {
  return suggestion(wrong, as_views(known));
}

}  // namespace wholemount
