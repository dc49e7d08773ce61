#include "wholemount/train/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "wholemount/base/error.h"
#include "wholemount/base/sha256.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

ParameterSpec spec(const std::string& name, int64_t n, int64_t c) {
  ParameterSpec result;
  result.name = name;
  result.desc = TensorDesc::plain(n, c, {1, 1, 1});
  result.initializer = Initializer::he_uniform;
  result.fan_in = c;
  return result;
}

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("checkpoint_" + std::to_string(getpid()) + "_" +
               std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static ParameterStore make_store(uint64_t seed, int32_t states = 2) {
    ThreadPool pool(1);
    ParameterStore store({spec("b", 10, 7), spec("a", 1, 5)}, {1, states});
    store.initialise(seed, pool);
    for (int32_t i = 0; i < states; ++i) {
      for (const ParameterRange& range : store.ranges()) {
        for (int64_t e = range.begin; e < range.begin + range.count; ++e) {
          store.optimiser_state(i)[static_cast<size_t>(e)] =
              static_cast<float>(seed) + static_cast<float>(e) * 0.1F + static_cast<float>(i);
        }
      }
    }
    return store;
  }

  static CheckpointState make_state(int64_t step) {
    CheckpointState state;
    state.step = step;
    state.epoch = step / 10;
    state.validation_losses = {0.1 + 0.2, 1e-300, 1.0 / 3.0};
    state.best_metric = 2.0 / 3.0;
    state.best_epoch = 1;
    state.seconds = 12.5;
    state.config_digest = "c";
    state.data_digest = "d";
    state.net_spec = "unet3d f16";
    return state;
  }

  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> result;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      result.push_back(entry.path());
    }
    std::sort(result.begin(), result.end());
    return result;
  }

  static std::string read_all(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  // Overwrites in place where the size allows: truncating a file makes the next close wait for
  // disk.
  static void write_all(const fs::path& path, const std::string& bytes) {
    const bool in_place = fs::exists(path) && fs::file_size(path) == bytes.size();
    std::ofstream(path, in_place ? std::ios::binary | std::ios::in : std::ios::binary) << bytes;
  }

  static void expect_equal(const ParameterStore& a, const ParameterStore& b) {
    EXPECT_EQ(a.digest(), b.digest());
    for (int32_t i = 0; i < a.blocks().optimiser_states; ++i) {
      EXPECT_EQ(std::memcmp(a.optimiser_state(i).data(), b.optimiser_state(i).data(),
                            a.optimiser_state(i).size_bytes()),
                0);
    }
  }

  fs::path folder_;
};

TEST_F(Checkpoint, state_and_blocks_come_back_bit_for_bit) {
  const ParameterStore saved = make_store(1);
  save_checkpoint(folder_, make_state(120), saved);
  ParameterStore loaded = make_store(2);
  const LoadedCheckpoint found = load_checkpoint(folder_, "unet3d f16", loaded);
  EXPECT_EQ(found.state, make_state(120));
  EXPECT_EQ(found.warning, "");
  expect_equal(loaded, saved);
  EXPECT_EQ(read_checkpoint_state(folder_), make_state(120));
}

TEST_F(Checkpoint, undefined_numbers_come_back_as_nan) {
  CheckpointState state = make_state(1);
  state.validation_losses = {std::numeric_limits<double>::quiet_NaN(), 0.5};
  state.best_metric.reset();
  save_checkpoint(folder_, state, make_store(1));
  const CheckpointState read = read_checkpoint_state(folder_);
  ASSERT_EQ(read.validation_losses.size(), 2U);
  EXPECT_TRUE(std::isnan(read.validation_losses[0]));
  EXPECT_EQ(read.validation_losses[1], 0.5);
  EXPECT_EQ(read.best_metric, std::nullopt);
}

TEST_F(Checkpoint, order_of_parameters_does_not_matter) {
  const ParameterStore saved = make_store(1);
  save_checkpoint(folder_, make_state(1), saved);
  ParameterStore reordered({spec("a", 1, 5), spec("b", 10, 7)}, {1, 2});
  load_checkpoint(folder_, "unet3d f16", reordered);
  EXPECT_EQ(reordered.digest(), saved.digest());
}

TEST_F(Checkpoint, two_generations_are_kept) {
  const ParameterStore store = make_store(1);
  for (const int64_t step : {10, 20, 30}) {
    save_checkpoint(folder_, make_state(step), store);
  }
  ASSERT_EQ(files().size(), 2U);
  EXPECT_EQ(files()[0].filename(), "checkpoint-000000000020.wmck");
  EXPECT_EQ(files()[1].filename(), "checkpoint-000000000030.wmck");
  // Resumed from 20: 30 belongs to a future that was given up.
  save_checkpoint(folder_, make_state(25), store);
  ASSERT_EQ(files().size(), 2U);
  EXPECT_EQ(files()[1].filename(), "checkpoint-000000000025.wmck");
  EXPECT_EQ(read_checkpoint_state(folder_).step, 25);
}

TEST_F(Checkpoint, damaged_newest_falls_back_and_says_so) {
  const ParameterStore older = make_store(1);
  save_checkpoint(folder_, make_state(10), older);
  save_checkpoint(folder_, make_state(20), make_store(2));
  const fs::path newest = files()[1];
  const std::string whole = read_all(newest);
  for (const bool truncate : {true, false}) {
    std::string damaged = whole;
    if (truncate) {
      damaged.resize(whole.size() - 1);
    } else {
      damaged[whole.size() - 3] ^= 1;
    }
    write_all(newest, damaged);
    ParameterStore loaded = make_store(3);
    const LoadedCheckpoint found = load_checkpoint(folder_, "unet3d f16", loaded);
    EXPECT_EQ(found.state.step, 10);
    EXPECT_EQ(found.path, files()[0]);
    EXPECT_NE(found.warning.find("checkpoint-000000000020.wmck"), std::string::npos);
    EXPECT_NE(found.warning.find("checkpoint-000000000010.wmck"), std::string::npos);
    expect_equal(loaded, older);
  }
}

TEST_F(Checkpoint, every_damaged_byte_is_noticed) {
  save_checkpoint(folder_, make_state(10), make_store(1));
  const fs::path path = files()[0];
  const std::string whole = read_all(path);
  const size_t data_begin = whole.size() - 3 * 96 * sizeof(float);  // 70 -> 80, 5 -> 16 elements
  ParameterStore loaded = make_store(2);
  const std::string before = loaded.digest();
  for (size_t i = 0; i < whole.size(); i += i < data_begin ? 1 : 37) {
    // Between the header and the first block lie at most 63 zeros that say nothing.
    if (i < data_begin && i >= data_begin - 64 && whole[i] == '\0') {
      continue;
    }
    std::string damaged = whole;
    damaged[i] ^= 4;
    write_all(path, damaged);
    EXPECT_THROW(load_checkpoint(folder_, "unet3d f16", loaded), FileError) << "byte " << i;
  }
  EXPECT_EQ(loaded.digest(), before);
}

TEST_F(Checkpoint, every_truncation_is_an_input_error) {
  save_checkpoint(folder_, make_state(10), make_store(1));
  const fs::path path = files()[0];
  const std::string whole = read_all(path);
  ParameterStore loaded = make_store(2);
  for (size_t length = 0; length < whole.size(); length += 23) {
    write_all(path, whole.substr(0, length));
    try {
      load_checkpoint(folder_, "unet3d f16", loaded);
      ADD_FAILURE() << "cut to " << length;
    } catch (const FileError& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::input);
    }
  }
}

// A fuzzer's finding: the header's numbers, under a checksum that is right.
TEST_F(Checkpoint, header_numbers_beyond_64_bits_or_no_whole_ones_are_input_errors) {
  save_checkpoint(folder_, make_state(10), make_store(1));
  const fs::path path = files()[0];
  const std::string whole = read_all(path);
  uint64_t length = 0;
  std::memcpy(&length, whole.data() + 8, sizeof(length));
  const std::string header = whole.substr(80, length);
  for (const std::string key : {"\"version\":1", "\"step\":10", "\"best_epoch\":1", "\"offset\":0",
                                "\"count\":70", "\"bytes\":384"}) {
    const size_t found = header.find(key);
    ASSERT_NE(found, std::string::npos) << key;
    const size_t colon = key.find(':');
    for (const std::string number :
         {"92233720368547758080", "9223372036854775808", "1e30", "1.5", "true", "\"1\"", "null"}) {
      std::string changed = header;
      changed.replace(found + colon + 1, key.size() - colon - 1, number);
      const auto size = static_cast<uint64_t>(changed.size());
      std::string file = whole.substr(0, 8);
      file.append(reinterpret_cast<const char*>(&size), sizeof(size));
      file += sha256_hex(changed) + changed + whole.substr(80 + length);
      write_all(path, file);
      ParameterStore loaded = make_store(2);
      EXPECT_THROW(load_checkpoint(folder_, "unet3d f16", loaded), FileError)
          << key << " as " << number;
    }
  }
}

TEST_F(Checkpoint, other_net_is_a_configuration_error) {
  save_checkpoint(folder_, make_state(10), make_store(1));
  const auto message_of = [&](ParameterStore store, const std::string& net) {
    try {
      load_checkpoint(folder_, net, store);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message_of(ParameterStore({spec("b", 10, 8), spec("a", 1, 5)}, {1, 2}), "unet3d f16")
                .find("\"b\" is [10, 7, 1, 1, 1]"),
            std::string::npos);
  EXPECT_NE(message_of(ParameterStore({spec("b", 10, 7)}, {1, 2}), "unet3d f16").find("\"a\""),
            std::string::npos);
  EXPECT_NE(message_of(make_store(1), "unet3d f32").find("unet3d f32"), std::string::npos);
  EXPECT_NE(message_of(make_store(1, 1), "unet3d f16").find("optimiser"), std::string::npos);
}

TEST_F(Checkpoint, absent_folder_is_an_input_error) {
  ParameterStore store = make_store(1);
  EXPECT_FALSE(has_checkpoint(folder_));
  EXPECT_THROW(load_checkpoint(folder_, "", store), FileError);
  save_checkpoint(folder_, make_state(1), store);
  EXPECT_TRUE(has_checkpoint(folder_));
}

TEST_F(Checkpoint, unwritable_folder_is_an_output_error) {
  write_all(folder_, "a file, not a folder");
  EXPECT_THROW(save_checkpoint(folder_ / "checkpoint", make_state(1), make_store(1)), OutputError);
}

}  // namespace
}  // namespace wholemount
