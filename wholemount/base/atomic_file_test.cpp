#include "wholemount/base/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

class AtomicFileIn : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string("wm_atomic_") + info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] std::string content(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      found.push_back(entry.path().filename());
    }
    return found;
  }

 private:
  fs::path folder_;
};

TEST_F(AtomicFileIn, commit_replaces_the_former_content_and_leaves_nothing_else) {
  write_file_atomically(path("a"), "old");
  write_file_atomically(path("a"), "new and longer");
  EXPECT_EQ(content("a"), "new and longer");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileIn, nothing_is_visible_before_commit) {
  write_file_atomically(path("a"), "old");
  AtomicFile file(path("a"));
  file.write("new");
  EXPECT_EQ(content("a"), "old");
  file.commit();
  EXPECT_EQ(content("a"), "new");
}

TEST_F(AtomicFileIn, abandoned_file_leaves_the_former_content) {
  write_file_atomically(path("a"), "old");
  {
    AtomicFile file(path("a"));
    file.write("new");
  }
  EXPECT_EQ(content("a"), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileIn, small_and_large_pieces_stay_in_order) {
  std::string expected;
  AtomicFile file(path("a"));
  for (const size_t size : {1UL, 65535UL, 65536UL, 3UL, 200000UL, 0UL, 7UL}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    file.write(piece);
    expected += piece;
  }
  file.commit();
  EXPECT_EQ(content("a"), expected);
}

TEST_F(AtomicFileIn, missing_folder_is_an_output_error_that_says_what_to_do) {
  try {
    write_file_atomically(path("no/such/folder/a"), "x");
    FAIL();
  } catch (const OutputError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("no/such/folder/a"), std::string::npos);
    EXPECT_NE(message.find("No such file or directory"), std::string::npos);
    EXPECT_NE(message.find("create the folder"), std::string::npos);
    EXPECT_EQ(error.exit_code(), ExitCode::output);
  }
}

TEST_F(AtomicFileIn, failing_rename_removes_the_temporary_file) {
  fs::create_directories(path("a") + "/not-empty");
  EXPECT_THROW(write_file_atomically(path("a"), "x"), OutputError);
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

// A file size limit stands in for a full disk: both make write() fall short, then fail.
TEST_F(AtomicFileIn, write_that_falls_short_keeps_the_former_content) {
  write_file_atomically(path("a"), "old");
  rlimit former = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &former), 0);
  auto* const former_handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100000, former.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    write_file_atomically(path("a"), std::string(300000, 'x'));
  } catch (const OutputError& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &former);
  signal(SIGXFSZ, former_handler);
  EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  EXPECT_EQ(content("a"), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileIn, writing_at_an_offset_leaves_the_end_of_appending) {
  AtomicFile file(path("a"));
  file.write("abc");
  file.write_at(5, "XY", 2);
  file.write("d");
  file.write_at(1, "B", 1);
  file.commit();
  EXPECT_EQ(content("a"), (std::string{'a', 'B', 'c', 'd', '\0', 'X', 'Y'}));
}

TEST_F(AtomicFileIn, use_after_commit_is_our_bug) {
  AtomicFile file(path("a"));
  file.commit();
  EXPECT_THROW(file.write("x"), InternalError);
  EXPECT_THROW(file.commit(), InternalError);
}

}  // namespace
}  // namespace wholemount
