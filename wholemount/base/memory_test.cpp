#include "wholemount/base/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(PageBuffer, huge_buffer_is_aligned_rounded_and_zero) {
  const PageBuffer buffer(3 * kMiB);
  EXPECT_EQ(buffer.size(), 4 * kMiB);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (2 * kMiB), 0U);
  for (size_t i = 0; i < buffer.size(); i += 4096) ASSERT_EQ(buffer.data()[i], std::byte{0});
}

TEST(PageBuffer, small_page_buffer_is_rounded_to_a_page) {
  EXPECT_EQ(PageBuffer(5000, false).size(), 8192U);
}

TEST(PageBuffer, empty_buffer_maps_nothing) {
  const PageBuffer buffer(0);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.size(), 0U);
}

TEST(PageBuffer, moving_hands_the_pages_over) {
  PageBuffer first(4096, false);
  std::byte* const data = first.data();
  PageBuffer second(std::move(first));
  EXPECT_EQ(second.data(), data);
  PageBuffer third;
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.size(), 4096U);
}

TEST(PageBuffer, untouched_pages_are_not_resident) {
  const size_t before = process_memory().resident_bytes;
  const PageBuffer buffer(256 * kMiB);
  EXPECT_LT(process_memory().resident_bytes, before + 64 * kMiB);
}

TEST(PageBuffer, discard_gives_touched_pages_back_as_zeros) {
  PageBuffer buffer(64 * kMiB, false);
  std::memset(buffer.data(), 1, buffer.size());
  const size_t touched = process_memory().resident_bytes;
  buffer.discard();
  EXPECT_EQ(buffer.data()[0], std::byte{0});
  EXPECT_EQ(buffer.data()[buffer.size() - 1], std::byte{0});
  // Half the buffer as margin: other allocations of this process are far smaller.
  EXPECT_LT(process_memory().resident_bytes + 32 * kMiB, touched);
}

TEST(PageBuffer, impossible_size_is_a_memory_budget_error) {
  EXPECT_THROW(PageBuffer(size_t{1} << 60), MemoryBudgetError);
  EXPECT_THROW(PageBuffer(SIZE_MAX), MemoryBudgetError);
}

TEST(ProcessMemory, peak_remembers_pages_given_back) {
  const size_t before = process_memory().resident_bytes;
  {
    PageBuffer buffer(64 * kMiB, false);
    std::memset(buffer.data(), 1, buffer.size());
  }
  const ProcessMemory now = process_memory();
  EXPECT_GE(now.peak_resident_bytes, before + 60 * kMiB);
  EXPECT_GE(now.peak_resident_bytes, now.resident_bytes);
}

TEST(AvailableMemory, is_positive) { EXPECT_GT(available_memory_bytes(), 0U); }

TEST(FormatBytes, uses_powers_of_1024_with_two_decimals) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(size_t{33} << 28), "8.25 GiB");
  EXPECT_EQ(format_bytes(kMiB - 1), "1.00 MiB");
}

TEST(ParseBytes, accepts_both_families_of_units) {
  EXPECT_EQ(parse_bytes("123"), 123U);
  EXPECT_EQ(parse_bytes("123B"), 123U);
  EXPECT_EQ(parse_bytes("8G"), size_t{8} << 30);
  EXPECT_EQ(parse_bytes("8GiB"), size_t{8} << 30);
  EXPECT_EQ(parse_bytes("8GB"), size_t{8'000'000'000});
  EXPECT_EQ(parse_bytes("8 gb"), size_t{8'000'000'000});
  EXPECT_EQ(parse_bytes("1.5K"), 1536U);
  EXPECT_EQ(parse_bytes("0.5MB"), 500'000U);
  EXPECT_EQ(parse_bytes("2T"), size_t{2} << 40);
}

TEST(ParseBytes, whole_bytes_stay_exact_beyond_doubles) {
  EXPECT_EQ(parse_bytes("9007199254740993"), size_t{9007199254740993});
}

TEST(ParseBytes, refuses_what_is_not_a_size) {
  for (const char* text : {"", "G", "-1", "8X", "8GiBs", "1.2.3G", "1.5", "8G 4M", "99999999999G",
                           "99999999999999999999999", "1e9", " 8G", "nan"}) {
    EXPECT_THROW((void)parse_bytes(text), ConfigError) << text;
  }
}

TEST(ParseBytes, message_names_the_text_and_the_accepted_forms) {
  try {
    (void)parse_bytes("8X");
    FAIL();
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("\"8X\""), std::string::npos);
    EXPECT_NE(message.find("8GiB"), std::string::npos);
  }
}

}  // namespace
}  // namespace wholemount
