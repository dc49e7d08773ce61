#include "wholemount/base/rng.h"

#include <cmath>
#include <numbers>

namespace wholemount {

namespace {

constexpr uint32_t low_word(uint64_t value) { return static_cast<uint32_t>(value); }
constexpr uint32_t high_word(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

// FNV-1a, 64 bits.
constexpr uint64_t hash_text(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

// A bijective mixer of 64 bits (the finaliser of SplitMix64), so that neighbouring epochs and
// cases lead to unrelated streams.
constexpr uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53U} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57U} * counter[2];
    counter = {high_word(product1) ^ counter[1] ^ key[0], low_word(product1),
               high_word(product0) ^ counter[3] ^ key[1], low_word(product0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

CounterRng::CounterRng(uint64_t seed, uint64_t epoch, uint64_t case_index,
                       std::string_view purpose) {
  key_ = {low_word(seed), high_word(seed)};
  const uint64_t stream = mix(mix(mix(hash_text(purpose)) ^ epoch) ^ case_index);
  stream_ = {low_word(stream), high_word(stream)};
}

std::array<uint32_t, 4> CounterRng::block(uint64_t position) const {
  return philox4x32_10({low_word(position), high_word(position), stream_[0], stream_[1]}, key_);
}

uint32_t CounterRng::next_u32() {
  if (used_words_ == 4) {
    words_ = block(position_++);
    used_words_ = 0;
  }
  return words_[static_cast<size_t>(used_words_++)];
}

uint64_t CounterRng::next_u64() {
  const uint64_t low = next_u32();
  return (uint64_t{next_u32()} << 32) | low;
}

float CounterRng::next_float() { return static_cast<float>(next_u32() >> 8) * 0x1p-24F; }

double CounterRng::next_double() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

double CounterRng::next_normal() {
  // 1 - u lies in (0, 1], where the logarithm is finite. The sine half is not kept: each draw then
  // costs four words, and a stream has no hidden spare value.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - next_double()));
  return radius * std::cos(2.0 * std::numbers::pi * next_double());
}

uint64_t CounterRng::next_below(uint64_t bound) {
  // Values below 2^64 mod bound are drawn again, so each remainder is equally likely.
  const uint64_t threshold = (~bound + 1) % bound;
  for (;;) {
    const uint64_t value = next_u64();
    if (value >= threshold) return value % bound;
  }
}

}  // namespace wholemount
