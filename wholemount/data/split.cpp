#include "wholemount/data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

// Absorbs the rounding of sums of fractions such as 0.85 + 0.075 + 0.075.
constexpr double kFractionSlack = 1e-9;

// Fisher-Yates.
void permute(std::vector<int64_t>* items, CounterRng rng) {
  for (size_t last = items->size(); last > 1; --last) {
    std::swap((*items)[last - 1], (*items)[rng.next_below(last)]);
  }
}

void check_fraction(double fraction, const char* name) {
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    throw ConfigError(std::string("data.split: ") + name + " = " + std::to_string(fraction) +
                      " is not between 0 and 1");
  }
}

}  // namespace

Split make_split(int64_t num_cases, const SplitSpec& spec) {
  check_fraction(spec.train, "train");
  check_fraction(spec.validation, "validation");
  check_fraction(spec.test, "test");
  if (spec.train + spec.validation + spec.test > 1.0 + kFractionSlack) {
    throw ConfigError("data.split: the fractions add up to more than 1; lower one of them");
  }
  std::vector<int64_t> order(static_cast<size_t>(num_cases));
  std::iota(order.begin(), order.end(), int64_t{0});
  permute(&order, CounterRng(spec.seed, 0, 0, "split"));

  Split split;
  double fractions = 0.0;
  auto begin = order.begin();
  const auto take = [&](double fraction, const char* name) {
    fractions += fraction;
    const double ends = static_cast<double>(num_cases) * fractions + kFractionSlack;
    const auto end = fraction > 0 ? order.begin() + static_cast<int64_t>(std::floor(ends)) : begin;
    if (fraction > 0 && end == begin) {
      throw ConfigError(std::string("data.split: empty split \"") + name +
                        "\": " + std::to_string(fraction) + " of " + std::to_string(num_cases) +
                        " cases is none; raise the fraction or set it to 0");
    }
    const std::vector<int64_t> part(begin, end);
    begin = end;
    return part;
  };
  split.train = take(spec.train, "train");
  split.validation = take(spec.validation, "validation");
  split.test = take(spec.test, "test");
  return split;
}

namespace {

std::string group_of(const Case& subject, const std::string& by) {
  if (by == "copy") return subject.id;
  if (by == "case") {
    const auto source = subject.groups.find("source");
    return source == subject.groups.end() ? subject.id : source->second;
  }
  const auto found = subject.groups.find(by);
  if (found != subject.groups.end()) return found->second;
  std::vector<std::string> known{"case"};
  for (const auto& [name, value] : subject.groups) known.push_back(name);
  throw ConfigError("data.split.by: case \"" + subject.id + "\" has no group \"" + by + "\"" +
                    suggestion(by, known));
}

/// Group numbers of the folds: permuted, then dealt class by class.
std::vector<int64_t> dealt_folds(const std::vector<int64_t>& group_classes, const SplitSpec& spec) {
  std::vector<int64_t> order(group_classes.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  permute(&order, CounterRng(spec.seed, 0, 0, "folds"));
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return group_classes[static_cast<size_t>(a)] < group_classes[static_cast<size_t>(b)];
  });
  std::vector<int64_t> fold_of(group_classes.size());
  for (size_t i = 0; i < order.size(); ++i) {
    fold_of[static_cast<size_t>(order[i])] = static_cast<int64_t>(i) % *spec.folds;
  }
  return fold_of;
}

}  // namespace

Split split_dataset(const Dataset& dataset, const SplitSpec& spec) {
  const std::vector<Case>& cases = dataset.cases;
  std::vector<std::string> names;      // of groups, in the order of their first cases
  std::vector<int64_t> group_classes;  // class of each group's first case
  std::vector<int64_t> group(cases.size());
  std::map<std::string, int64_t> index;
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string name = group_of(cases[i], spec.by);
    const auto [at, is_new] = index.try_emplace(name, static_cast<int64_t>(names.size()));
    if (is_new) {
      names.push_back(name);
      group_classes.push_back(cases[i].class_index);
    }
    group[i] = at->second;
  }
  // The part of each group: 0 train, 1 validation, 2 test.
  std::vector<int> part(names.size(), 0);
  if (!spec.hold_out.empty()) {
    const auto held = index.find(spec.hold_out);
    if (held == index.end()) {
      throw ConfigError("data.split.hold_out: no " + spec.by + " is \"" + spec.hold_out + "\"" +
                        suggestion(spec.hold_out, names));
    }
    part[static_cast<size_t>(held->second)] = 1;
  } else if (spec.folds) {
    if (*spec.folds < 2 || *spec.folds > static_cast<int64_t>(names.size()) || spec.fold < 0 ||
        spec.fold >= *spec.folds) {
      throw ConfigError("data.split: fold " + std::to_string(spec.fold) + " of " +
                        std::to_string(*spec.folds) + " folds of " + std::to_string(names.size()) +
                        " groups; wanted 2 to that many folds, and a fold counted from 0");
    }
    const std::vector<int64_t> fold_of = dealt_folds(group_classes, spec);
    for (size_t g = 0; g < names.size(); ++g) part[g] = fold_of[g] == spec.fold ? 1 : 0;
  } else {
    const Split groups = make_split(static_cast<int64_t>(names.size()), spec);
    part.assign(names.size(), 3);  // fractions may leave some out
    for (const int64_t g : groups.train) part[static_cast<size_t>(g)] = 0;
    for (const int64_t g : groups.validation) part[static_cast<size_t>(g)] = 1;
    for (const int64_t g : groups.test) part[static_cast<size_t>(g)] = 2;
    // Where every case is a group of its own, the parts keep the permutation's order.
    if (spec.by == "case" && names.size() == cases.size()) return groups;
  }
  Split split;
  for (size_t i = 0; i < cases.size(); ++i) {
    const int where = part[static_cast<size_t>(group[i])];
    if (where > 0 && cases[i].copy > 0 && spec.by != "copy") continue;
    if (where == 0) split.train.push_back(static_cast<int64_t>(i));
    if (where == 1) split.validation.push_back(static_cast<int64_t>(i));
    if (where == 2) split.test.push_back(static_cast<int64_t>(i));
  }
  return split;
}

bool split_leaks(const Dataset& dataset, const Split& split) {
  std::set<std::string> trained;
  const auto source_of = [&](int64_t index) {
    const Case& subject = dataset.cases[static_cast<size_t>(index)];
    const auto found = subject.groups.find("source");
    return found == subject.groups.end() ? std::string() : found->second;
  };
  for (const int64_t index : split.train) trained.insert(source_of(index));
  for (const std::vector<int64_t>* part : {&split.validation, &split.test}) {
    for (const int64_t index : *part) {
      const std::string source = source_of(index);
      if (!source.empty() && trained.contains(source)) return true;
    }
  }
  return false;
}

void check_classes_of_split(const Dataset& dataset, const Split& split) {
  std::vector<int64_t> counts(dataset.classes.size(), 0);
  for (const int64_t index : split.train) {
    ++counts[static_cast<size_t>(dataset.cases[static_cast<size_t>(index)].class_index)];
  }
  for (size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] == 0) {
      throw ConfigError("data.split: class \"" + dataset.classes[k] +
                        "\" has no image in the training part; change data.split.seed, by or the "
                        "fractions");
    }
  }
}

std::vector<int64_t> balance_for_epoch(const std::vector<int64_t>& cases, const Dataset& dataset,
                                       uint64_t seed, uint64_t epoch) {
  std::vector<std::vector<int64_t>> by_class(std::max<size_t>(1, dataset.classes.size()));
  for (const int64_t index : shuffle_for_epoch(cases, seed, epoch)) {
    const int64_t class_index = dataset.cases[static_cast<size_t>(index)].class_index;
    by_class[static_cast<size_t>(std::max<int64_t>(0, class_index))].push_back(index);
  }
  std::erase_if(by_class, [](const auto& one) { return one.empty(); });
  std::vector<int64_t> order;
  std::vector<int64_t> turn(by_class.size());
  std::iota(turn.begin(), turn.end(), int64_t{0});
  for (uint64_t round = 0; order.size() < cases.size(); ++round) {
    permute(&turn, CounterRng(seed, epoch, round, "balance"));
    for (const int64_t k : turn) {
      const std::vector<int64_t>& own = by_class[static_cast<size_t>(k)];
      if (order.size() < cases.size()) order.push_back(own[round % own.size()]);
    }
  }
  return order;
}

std::vector<int64_t> shuffle_for_epoch(std::vector<int64_t> cases, uint64_t seed, uint64_t epoch) {
  permute(&cases, CounterRng(seed, epoch, 0, "shuffle"));
  return cases;
}

}  // namespace wholemount
