#include "wholemount/train/event_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/train/run_log.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

std::string hex(const std::string& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15U]};
  }
  return text;
}

class EventFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("events_" + std::to_string(getpid()));
    fs::create_directories(folder_);
    path_ = (folder_ / "events.out.tfevents").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string read() const {
    std::ifstream stream(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  fs::path folder_;
  std::string path_;
};

// The bytes tensorboard 2.21's own RecordWriter and Event make of the same event.
constexpr const char* kRecord =
    "2b00000000000000861bc34b09000000c00b5ad64110ac022a1d0a110a0a747261696e2f6c6f7373150000003f0a08"
    "0a016115000000c090157d85";
// A version record: 12 bytes before and 4 behind an event of 28: time, step, text.
constexpr size_t kVersionBytes = 12 + 9 + 2 + 15 + 4;
// A session start: time, step below 128, a message of two bytes.
constexpr size_t kStartBytes = 12 + 9 + 2 + 4 + 4;

TEST_F(EventFiles, records_are_those_of_tensorboard_byte_for_byte) {
  {
    EventFile file(path_, 1);
    EXPECT_EQ(read().size(), kVersionBytes);
    EXPECT_NE(read().find("brain.Event:2"), std::string::npos);
    file.append(300, 1.5e9, std::vector<EventScalar>{{"train/loss", 0.5}, {"a", -2}});
  }
  EXPECT_EQ(hex(read().substr(kVersionBytes)), kRecord);
}

TEST_F(EventFiles, resuming_appends_a_session_start) {
  { EventFile file(path_, 1); }
  { EventFile file(path_, 6); }
  const std::string bytes = read();
  ASSERT_EQ(bytes.size(), kVersionBytes + kStartBytes);
  // Step 6, then field 7 (session_log) { status = START }.
  EXPECT_EQ(hex(bytes.substr(kVersionBytes + 12 + 9, 6)), "10063a020801");
}

TEST_F(EventFiles, a_torn_or_damaged_last_record_is_cut) {
  const std::vector<EventScalar> scalars{{"train/loss", 0.5}};
  {
    EventFile file(path_, 1);
    file.append(1, 1.5e9, scalars);
  }
  const std::string whole = read();
  for (size_t size = kVersionBytes + 1; size < whole.size(); ++size) {
    fs::resize_file(path_, size);
    { EventFile file(path_, 1); }
    EXPECT_EQ(read().size(), kVersionBytes + kStartBytes) << size;
    std::ofstream(path_, std::ios::binary) << whole;
  }
  std::string damaged = whole;
  damaged.back() ^= 1;
  std::ofstream(path_, std::ios::binary) << damaged;
  { EventFile file(path_, 1); }
  EXPECT_EQ(read().size(), kVersionBytes + kStartBytes);
}

TEST_F(EventFiles, numbers_that_are_not_finite_are_left_out) {
  EventFile file(path_, 1);
  file.append(1, 1.5e9,
              std::vector<EventScalar>{{"a", std::nan("")},
                                       {"b", std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(read().size(), kVersionBytes);
}

TEST_F(EventFiles, a_folder_that_is_not_there_is_an_output_error) {
  EXPECT_THROW(EventFile((folder_ / "none" / "x").string(), 1), OutputError);
}

TEST_F(EventFiles, log_entries_become_named_scalars) {
  const auto names = [](const char* text) {
    std::string all;
    for (const EventScalar& scalar : event_scalars(nlohmann::ordered_json::parse(text))) {
      all += scalar.tag + " ";
    }
    return all;
  };
  EXPECT_EQ(names(R"({"kind":"step","step":3,"epoch":0,"loss":0.5,"rate":1e-3,"seconds":2})"),
            "train/loss train/rate train/seconds ");
  EXPECT_EQ(names(R"({"kind":"evaluation","step":3,"epoch":1,"loss":null,
                      "metrics":{"Dice":0.5,"Dice/edema":null,"accuracy":1},"seconds":2})"),
            "validation/Dice validation/accuracy validation/seconds ");
}

TEST_F(EventFiles, a_run_log_writes_both_files_and_cuts_the_first) {
  const fs::path folder = folder_ / "run";
  {
    RunFolder run(folder, RunFolder::Mode::fresh);
    RunLog log(run, 0);
    log.append({{"kind", "step"}, {"step", 1}, {"loss", 0.5}});
    log.append({{"kind", "step"}, {"step", 2}, {"loss", 0.25}});
  }
  RunFolder run(folder, RunFolder::Mode::resume);
  const auto events = fs::file_size(folder / RunFolderNames::kEvents);
  const RunLog log(run, 1);
  std::ifstream stream(folder / RunFolderNames::kLog);
  std::string lines{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_EQ(lines, "{\"kind\":\"step\",\"step\":1,\"loss\":0.5}\n");
  EXPECT_EQ(fs::file_size(folder / RunFolderNames::kEvents), events + kStartBytes);
}

}  // namespace
}  // namespace wholemount
