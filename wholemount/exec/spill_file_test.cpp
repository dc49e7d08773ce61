#include "wholemount/exec/spill_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPage = 4096;

class SpillFileTest : public testing::Test {
 protected:
  void SetUp() override {
    // Not TempDir(), which may be a tmpfs: beside the test program is a disk.
    folder_ = fs::current_path() / ("spill_file_test." + std::to_string(getpid()));
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string error_of(const std::string& folder, size_t bytes) const {
    try {
      const SpillFile file(folder, bytes);
    } catch (const OutputError& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::output);
      return error.what();
    }
    return {};
  }
  fs::path folder_;
};

TEST_F(SpillFileTest, what_was_written_is_read_back) {
  const SpillFile file(folder_, 64 * kPage);
  const PageBuffer data(16 * kPage);
  auto* bytes = reinterpret_cast<unsigned char*>(data.data());
  for (size_t i = 0; i < 8 * kPage; ++i) bytes[i] = static_cast<unsigned char>(i * 7 + i / 251);
  file.write(40 * kPage, data.data(), 8 * kPage);
  file.read(40 * kPage, data.data() + 8 * kPage, 8 * kPage);
  EXPECT_TRUE(std::equal(bytes, bytes + 8 * kPage, bytes + 8 * kPage));
}

TEST_F(SpillFileTest, has_no_name_so_nothing_is_left_behind_even_after_sigkill) {
  const SpillFile file(folder_, 64 * kPage);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SpillFileTest, space_is_reserved_when_it_is_made) {
  const auto before = fs::space(folder_).free;
  const size_t bytes = size_t{256} << 20;
  const SpillFile file(folder_, bytes);
  // Others use the disk too, so half of it is enough to see.
  EXPECT_LT(fs::space(folder_).free, before - bytes / 2);
}

TEST_F(SpillFileTest, too_little_space_names_the_bytes) {
  const std::string message = error_of(folder_, size_t{1} << 50);
  EXPECT_NE(message.find("1125899906842624 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("cannot reserve"), std::string::npos) << message;
}

TEST_F(SpillFileTest, memory_file_systems_are_refused) {
  if (!fs::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  EXPECT_NE(error_of("/dev/shm", kPage).find("tmpfs"), std::string::npos);
}

TEST_F(SpillFileTest, a_folder_that_is_missing_or_none_is_refused) {
  EXPECT_NE(error_of(folder_ / "missing", kPage).find("make the folder"), std::string::npos);
  std::ofstream(folder_ / "file") << "x";
  EXPECT_NE(error_of(folder_ / "file", kPage).find("not a folder"), std::string::npos);
}

TEST_F(SpillFileTest, a_write_that_fails_is_an_output_error) {
  SpillFile file(folder_, 8 * kPage);
  const PageBuffer data(4 * kPage);
  // The limit on file sizes stands for a disk that is full: what lies beyond cannot be written.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 16 * kPage;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  // Half fits: a short write comes first, then the error.
  EXPECT_THROW(file.write(14 * kPage, data.data(), 4 * kPage), OutputError);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_NO_THROW(file.write(4 * kPage, data.data(), 4 * kPage));
}

TEST_F(SpillFileTest, reading_beyond_the_end_is_an_output_error) {
  const SpillFile file(folder_, 8 * kPage);
  const PageBuffer data(4 * kPage);
  EXPECT_THROW(file.read(64 * kPage, data.data(), 4 * kPage), OutputError);
}

}  // namespace
}  // namespace wholemount
