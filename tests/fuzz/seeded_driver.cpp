// Runs a fuzz target without libFuzzer, for the quick suite: every file of the corpus, then
// mutations of them for some seconds. The inputs are a fixed sequence, of which a slower machine
// runs a shorter beginning. Memory the target asks for is bounded by the size of its input.
//
// Usage: fuzz_TARGET CORPUS SECONDS [SEED]

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <new>
#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/base/clock.h"
#include "wholemount/base/rng.h"

namespace {

using Input = std::vector<uint8_t>;

// What a reader may hold: its fixed buffers and a parsed document. A JSON array of empty arrays
// costs about 20 bytes a byte of text (16 of a value and 24 of its vector for "[],"), doubled where
// a vector grows; keys cost more.
constexpr size_t kFixedBytes = size_t{4} << 20;
constexpr size_t kBytesPerByte = 512;

// Bytes the C++ allocator has handed out and not got back, and the most since the last reset.
std::atomic<size_t> live_bytes{0};
std::atomic<size_t> most_bytes{0};

Input current;             // what the handler of signals writes out
std::string failure_path;  // where to

void write_failure() {
  std::FILE* file = std::fopen(failure_path.c_str(), "wb");
  if (file == nullptr) return;
  std::fwrite(current.data(), 1, current.size(), file);
  std::fclose(file);
}

// Not a safe thing to do in a handler, but the process is lost anyway.
void on_signal(int number) {
  write_failure();
  std::fprintf(stderr, "fuzz: signal %d; the input is in %s\n", number, failure_path.c_str());
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void catch_signals() {
  // A stack of its own: one finding is the overflow of the other.
  static std::array<std::byte, size_t{64} << 10> stack;
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL}) {
    ::sigaction(number, &action, nullptr);
  }
}

void run(Input input) {
  current = std::move(input);
  const size_t before = live_bytes;
  most_bytes = before;
  try {
    LLVMFuzzerTestOneInput(current.data(), current.size());
  } catch (const std::exception& error) {
    wholemount::fuzz::finding(std::string("another exception: ") + error.what());
  }
  const size_t used = most_bytes - before;
  if (used > kFixedBytes + kBytesPerByte * current.size()) {
    wholemount::fuzz::finding(std::to_string(used) + " bytes of memory for an input of " +
                              std::to_string(current.size()));
  }
}

std::vector<Input> read_corpus(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> inputs;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

// One small change: a byte, a bit, extremes, a piece removed, repeated, or taken from another
// input.
void mutate(Input& input, const std::vector<Input>& corpus, wholemount::CounterRng& rng) {
  const size_t at = input.empty() ? 0 : rng.next_below(input.size());
  const size_t rest = std::min<size_t>(input.size() - at, 1 + rng.next_below(32));
  const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = begin + static_cast<std::ptrdiff_t>(rest);
  switch (rng.next_below(8)) {
    case 0:
      if (rest > 0) *begin = static_cast<uint8_t>(rng.next_below(256));
      break;
    case 1:
      if (rest > 0) *begin = static_cast<uint8_t>(*begin ^ 1U << rng.next_below(8));
      break;
    case 2: {
      constexpr std::array<uint8_t, 4> kExtremes{0x00, 0x7f, 0x80, 0xff};
      std::fill(begin, begin + static_cast<std::ptrdiff_t>(std::min<size_t>(rest, 4)),
                kExtremes[rng.next_below(4)]);
      break;
    }
    case 3:
      input.erase(begin, end);
      break;
    case 4: {
      const Input piece(begin, end);
      input.insert(begin, piece.begin(), piece.end());
      break;
    }
    case 5: {
      const Input& other = corpus[rng.next_below(corpus.size())];
      if (other.empty()) break;
      const size_t from = rng.next_below(other.size());
      const size_t count = std::min<size_t>(other.size() - from, 1 + rng.next_below(64));
      const auto first = other.begin() + static_cast<std::ptrdiff_t>(from);
      input.insert(begin, first, first + static_cast<std::ptrdiff_t>(count));
      break;
    }
    case 6: {
      constexpr std::string_view kMarks = "{}[]\",:=.#-+0123456789eE\n";
      input.insert(begin, static_cast<uint8_t>(kMarks[rng.next_below(kMarks.size())]));
      break;
    }
    default:
      if (rng.next_below(4) == 0) input.resize(at);
      break;
  }
}

}  // namespace

// The C++ allocator, counted. Not inlined: GCC takes malloc and free of the two halves for a
// mismatch.
[[gnu::noinline]] void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  const size_t live = live_bytes += malloc_usable_size(memory);
  if (live > most_bytes) most_bytes = live;
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s CORPUS SECONDS [SEED]\n", argv[0]);
    return 2;
  }
  const double seconds = std::atof(argv[2]);
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  const std::vector<Input> corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "fuzz: %s holds no files\n", argv[1]);
    return 2;
  }
  failure_path =
      (std::filesystem::temp_directory_path() / ("fuzz-finding-" + std::to_string(::getpid())))
          .string();
  catch_signals();
  for (const Input& input : corpus) run(input);
  int64_t runs = 0;
  const double start = wholemount::monotonic_seconds();
  while (wholemount::monotonic_seconds() - start < seconds) {
    wholemount::CounterRng rng(seed, 0, static_cast<uint64_t>(runs), "fuzz");
    Input input = corpus[rng.next_below(corpus.size())];
    for (uint64_t changes = 1 + rng.next_below(6); changes > 0; --changes) {
      mutate(input, corpus, rng);
    }
    run(std::move(input));
    ++runs;
  }
  std::printf("fuzz: %zu files, %lld mutations, nothing found\n", corpus.size(),
              static_cast<long long>(runs));
  return 0;
}
