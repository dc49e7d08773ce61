#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/cli/run_binary.h"
#include "wholemount/data/dataset_test_support.h"

namespace wholemount::testing {

/// A data set of four small cases in MSD layout and a configuration that trains on it in
/// milliseconds: 2 updates by default.
class SmallRun : public ::testing::Test {
 protected:
  void SetUp() override {
    make_brain_dataset(data_, std::vector<Extent3>(4, {8, 8, 8}));
    write_text(config(), "[data]\nroot = \"" + data_.path() +
                             "\"\nchannels = [\"FLAIR\"]\ntarget = \"whole-tumour\"\n"
                             "split = { seed = 1, train = 0.75, validation = 0.25, test = 0.0 }\n"
                             "[net]\nfilters = 2\nlevels = 2\n"
                             "[train]\nepochs = 1\nbatch = 2\n");
  }
  [[nodiscard]] std::string config() const { return folder_ / "config.toml"; }
  [[nodiscard]] std::string run_folder() const { return folder_ / "run"; }

  /// Trains with these settings ("a.b=value") and arguments into run_folder().
  [[nodiscard]] CommandResult train(const std::vector<std::string>& arguments = {},
                                    const ResourceLimits& limits = {}) const {
    std::vector<std::string> all{"train", config(), "--out", run_folder(), "--threads", "1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_binary(all, limits);
  }

  TemporaryFolder folder_;
  TemporaryFolder data_;
};

}  // namespace wholemount::testing
