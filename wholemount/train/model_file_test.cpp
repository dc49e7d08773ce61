#include "wholemount/train/model_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "wholemount/base/error.h"
#include "wholemount/exec/safetensors.h"

namespace wholemount {
namespace {

class ModelFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::path(::testing::TempDir()) /
             ("model_" + std::to_string(getpid()) + ".safetensors"))
                .string();
  }
  void TearDown() override { std::filesystem::remove(path_); }

  // A model file without weights whose metadata entry "task" is `task`.
  void write(const std::string& task) const {
    const std::map<std::string, std::string> metadata{{"format", "wholemount-model"},
                                                      {"version", "1"},
                                                      {"config", "[data]\nroot = \"d\"\n"},
                                                      {"task", task}};
    write_safetensors(path_, {}, metadata);
  }

  std::string path_;
};

TEST_F(ModelFile, task_is_read_as_written) {
  write(R"({"in_channels": 4, "target": "classes", "whole_image": true, "outputs": ["a", "b"],
            "label_values": [0, 255], "channel_indices": [3, 0]})");
  const TaskSpec task = read_model_spec(path_).task;
  EXPECT_EQ(task.in_channels, 4);
  EXPECT_EQ(task.target, TargetKind::classes);
  EXPECT_TRUE(task.whole_image);
  EXPECT_EQ(task.outputs, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(task.label_values, (std::vector<uint8_t>{0, 255}));
  EXPECT_EQ(task.channel_indices, (std::vector<int64_t>{3, 0}));
}

TEST_F(ModelFile, numbers_out_of_range_in_the_task_are_input_errors_that_name_the_file) {
  const auto task = [](const std::string& in_channels, const std::string& label_values,
                       const std::string& channel_indices) {
    return R"({"target": "classes", "outputs": ["a", "b"], "in_channels": )" + in_channels +
           R"(, "label_values": )" + label_values + R"(, "channel_indices": )" + channel_indices +
           "}";
  };
  write(task("1", "[1, 2]", "[0]"));
  EXPECT_NO_THROW((void)read_model_spec(path_));
  for (const std::string& text :
       {task("0", "[1, 2]", "[0]"), task("1e30", "[1, 2]", "[0]"),
        task("92233720368547758080", "[1, 2]", "[0]"), task("1.0", "[1, 2]", "[0]"),
        task("1", "[1, 256]", "[0]"), task("1", "[1, -1]", "[0]"), task("1", "[1, 2, 3]", "[0]"),
        task("1", "[1, 2]", "[4096]"), task("1", "[1, 2]", "[-1]"), task("1", "1", "[0]"),
        std::string(100000, '['), std::string("{}"), std::string("no JSON")}) {
    write(text);
    try {
      (void)read_model_spec(path_);
      ADD_FAILURE() << text.substr(0, 200);
    } catch (const FileError& error) {
      EXPECT_NE(std::string(error.what()).find(path_), std::string::npos) << error.what();
      EXPECT_EQ(error.exit_code(), ExitCode::input);
    }
  }
}

}  // namespace
}  // namespace wholemount
