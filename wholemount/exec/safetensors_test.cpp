#include "wholemount/exec/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

ParameterSpec spec(const std::string& name, int64_t n, int64_t c, const Extent3& extent) {
  ParameterSpec result;
  result.name = name;
  result.desc = TensorDesc::plain(n, c, extent);
  result.initializer = Initializer::he_uniform;
  result.fan_in = c * volume(extent);
  return result;
}

class Safetensors : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("safetensors_" + std::to_string(getpid()) + "_" +
               std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "model.safetensors").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] ParameterStore store() const {
    ThreadPool pool(1);
    ParameterStore result(
        {spec("conv.weight", 3, 2, {3, 3, 3}), spec("conv.bias", 1, 3, {1, 1, 1})}, {0, 0});
    result.initialise(4, pool);
    return result;
  }

  [[nodiscard]] std::string read_all() const {
    std::ifstream stream(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void write_all(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  void write_header(const std::string& header, const std::string& data) const {
    uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    write_all(bytes + header + data);
  }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(Safetensors, weights_and_metadata_come_back_bit_for_bit) {
  const ParameterStore saved = store();
  save_weights(path_, saved, {{"spec", "{\"kind\": \"unet3d\"}"}, {"format_version", "1"}});
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.metadata().at("spec"), "{\"kind\": \"unet3d\"}");
  ASSERT_NE(file.find("conv.weight"), nullptr);
  EXPECT_EQ(file.find("conv.weight")->shape, (std::vector<int64_t>{3, 2, 3, 3, 3}));
  EXPECT_EQ(file.find("nothing"), nullptr);
  ParameterStore loaded(saved.specs(), {0, 0});
  load_weights(file, loaded);
  EXPECT_EQ(loaded.digest(), saved.digest());
}

TEST_F(Safetensors, data_start_at_a_multiple_of_8_bytes) {
  save_weights(path_, store(), {{"a", "bc"}});
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.entries().front().file_offset % 8, 0);
  uint64_t length = 0;
  std::memcpy(&length, read_all().data(), 8);
  EXPECT_EQ(length % 8, 0U);
}

TEST_F(Safetensors, every_truncation_is_noticed) {
  save_weights(path_, store(), {});
  const std::string whole = read_all();
  for (size_t length = 0; length < whole.size(); length += 7) {
    write_all(whole.substr(0, length));
    EXPECT_THROW(SafetensorsFile{path_}, FileError) << "cut to " << length;
  }
}

TEST_F(Safetensors, bytes_after_the_last_tensor_are_an_error) {
  save_weights(path_, store(), {});
  write_all(read_all() + "x");
  EXPECT_THROW(SafetensorsFile{path_}, FileError);
}

TEST_F(Safetensors, absurd_header_length_is_refused_before_allocating) {
  std::string bytes(16, '\xff');
  write_all(bytes);
  EXPECT_THROW(SafetensorsFile{path_}, FileError);
}

TEST_F(Safetensors, damaged_tables_are_refused) {
  const std::string data(8, '\0');
  const char* const headers[] = {
      "[]",
      "{",
      R"({"a":{"dtype":"F32","shape":[2]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})",
      R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":3}})",
  };
  for (const char* header : headers) {
    write_header(header, data);
    EXPECT_THROW(SafetensorsFile{path_}, FileError) << header;
  }
  write_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data);
  EXPECT_EQ(SafetensorsFile(path_).entries().size(), 1U);
}

TEST_F(Safetensors, weights_of_another_net_name_the_parameter) {
  save_weights(path_, store(), {});
  const SafetensorsFile file(path_);
  ParameterStore wider({spec("conv.weight", 4, 2, {3, 3, 3}), spec("conv.bias", 1, 4, {1, 1, 1})},
                       {0, 0});
  const std::string before = wider.digest();
  try {
    load_weights(file, wider);
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("conv.weight"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("[4, 2, 3, 3, 3]"), std::string::npos);
  }
  EXPECT_EQ(wider.digest(), before);
  ParameterStore smaller({spec("conv.weight", 3, 2, {3, 3, 3})}, {0, 0});
  EXPECT_THROW(load_weights(file, smaller), ConfigError);
}

TEST_F(Safetensors, a_header_nested_without_end_is_an_input_error) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  write_header("{\"a\":" + deep + "}", "");
  EXPECT_THROW(SafetensorsFile{path_}, FileError);
}

TEST_F(Safetensors, missing_file_is_an_input_error) {
  EXPECT_THROW(SafetensorsFile("/nonexistent/model.safetensors"), FileError);
}

}  // namespace
}  // namespace wholemount
