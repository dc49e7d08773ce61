#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wholemount {

/// How often images of class `truth` were called `called`.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes);
  void add(int64_t truth, int64_t called, int64_t times = 1);

  [[nodiscard]] int64_t classes() const { return classes_; }
  [[nodiscard]] int64_t at(int64_t truth, int64_t called) const;
  [[nodiscard]] int64_t total() const;
  [[nodiscard]] int64_t right() const;
  [[nodiscard]] int64_t of_class(int64_t truth) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;  ///< [truth * classes + called]
};

/// How many classes stand before the true one: 0 when it is called. Of equal scores the lower class
/// stands first. Top-k is the share of images with a rank below k.
[[nodiscard]] int64_t rank_of_truth(std::span<const float> scores, int64_t truth);

/// What is known of one treatment (a compound at a concentration).
struct TreatmentProfile {
  std::string compound;
  std::string batch;      ///< empty: not known
  std::string mechanism;  ///< the class that a neighbour should share
  std::vector<double> features;
};

/// Classification by the nearest neighbour, as it is done on BBBC021 (Ljosa et al. 2013): the share
/// of treatments whose most similar other treatment (cosine) has the same mechanism.
struct NeighbourScore {
  int64_t right = 0;
  int64_t treatments = 0;  ///< that have a neighbour left
  [[nodiscard]] double share() const {
    return treatments == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(treatments);
  }
};

/// NSC: treatments of the same compound are no neighbours. `other_batch` (NSCB): those of the same
/// batch neither; treatments of a mechanism that occurs in one batch only then cannot be right and
/// are left out, as the field does.
[[nodiscard]] NeighbourScore neighbour_score(std::span<const TreatmentProfile> profiles,
                                             bool other_batch);

}  // namespace wholemount
