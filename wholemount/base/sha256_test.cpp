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
