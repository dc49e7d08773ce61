#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace wholemount {

/// One block of Philox4x32 with 10 rounds: a bijection of the counter, chosen by the key (Salmon et
/// al., SC'11, section 4.2).
[[nodiscard]] std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter,
                                                    std::array<uint32_t, 2> key);

/// Counter-based random numbers (Philox4x32-10; Salmon et al., "Parallel Random Numbers: As Easy
/// as 1, 2, 3", SC'11). The stream is a pure function of (seed, epoch, case, purpose): there is no
/// state to save, and any draw can be repeated in any order on any worker.
class CounterRng {
 public:
  /// `purpose` names the use ("shuffle", "flip", "init:encoder0.conv0.weight"); it is hashed.
  CounterRng(uint64_t seed, uint64_t epoch, uint64_t case_index, std::string_view purpose);

  /// The four 32-bit words at a position of the stream.
  [[nodiscard]] std::array<uint32_t, 4> block(uint64_t position) const;

  // Sequential draws: each advances the position.
  uint32_t next_u32();
  uint64_t next_u64();
  /// Uniform in [0, 1), 24 bits.
  float next_float();
  /// Uniform in [0, 1), 53 bits.
  double next_double();
  /// Standard normal (Box-Muller).
  double next_normal();
  /// Uniform integer in [0, bound), bound > 0, without modulo bias.
  uint64_t next_below(uint64_t bound);

 private:
  std::array<uint32_t, 2> key_{};
  std::array<uint32_t, 2> stream_{};
  uint64_t position_ = 0;
  int used_words_ = 4;
  std::array<uint32_t, 4> words_{};
};

}  // namespace wholemount
