#include "wholemount/base/sha256.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

// Example values of FIPS 180-4 (NIST, "SHA-256 examples").
constexpr const char* kDigestOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kDigestOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Sha256, published_examples_hold) {
  EXPECT_EQ(sha256_hex("abc"), kDigestOfAbc);
  EXPECT_EQ(sha256_hex(""), kDigestOfNothing);
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, pieces_give_the_digest_of_the_whole) {
  Sha256 sha256;
  sha256.update("a");
  sha256.update("");
  sha256.update("bc");
  EXPECT_EQ(sha256.finish_hex(), kDigestOfAbc);
}

TEST(Sha256, use_after_the_end_is_our_bug) {
  Sha256 sha256;
  (void)sha256.finish_hex();
  EXPECT_THROW(sha256.update("a"), InternalError);
  EXPECT_THROW((void)sha256.finish_hex(), InternalError);
}

TEST(Sha256, file_longer_than_a_piece_equals_its_content) {
  const std::string path = testing::TempDir() + "wm_sha256_file";
  const std::string content(200001, 'x');
  std::ofstream(path, std::ios::binary) << content;
  EXPECT_EQ(sha256_hex_of_file(path), sha256_hex(content));
}

class SampledDigest : public testing::Test {
 protected:
  std::string digest(const std::string& content) const {
    std::ofstream(path_, std::ios::binary) << content;
    return sampled_digest_of_file(path_, 4);
  }

  std::string path_ = testing::TempDir() + "wm_sampled_digest";
};

TEST_F(SampledDigest, sees_every_byte_of_a_short_file) {
  const std::string content(4 * 4096, 'x');
  const std::string expected = digest(content);
  for (size_t i = 0; i < content.size(); i += 1001) {
    std::string edited = content;
    edited[i] = 'y';
    EXPECT_NE(digest(edited), expected) << i;
  }
  EXPECT_EQ(digest(content), expected);
}

TEST_F(SampledDigest, sees_the_ends_and_the_size_of_a_long_file) {
  const std::string content(1'000'003, 'x');
  const std::string expected = digest(content);
  for (const size_t i : {size_t{0}, size_t{4095}, content.size() - 4096, content.size() - 1}) {
    std::string edited = content;
    edited[i] = 'y';
    EXPECT_NE(digest(edited), expected) << i;
  }
  EXPECT_NE(digest(content + "x"), expected);
}

TEST_F(SampledDigest, of_an_empty_file_and_of_none) {
  EXPECT_EQ(digest(""), sha256_hex("0\n"));
  EXPECT_THROW((void)sampled_digest_of_file("/nonexistent/scan", 4), FileError);
}

TEST(Sha256, unreadable_file_is_named) {
  try {
    (void)sha256_hex_of_file("/nonexistent/model");
    FAIL();
  } catch (const FileError& error) {
    EXPECT_EQ(error.path(), "/nonexistent/model");
    EXPECT_NE(std::string(error.what()).find("No such file"), std::string::npos);
  }
  EXPECT_THROW((void)sha256_hex_of_file("/"), FileError);
}

}  // namespace
}  // namespace wholemount
