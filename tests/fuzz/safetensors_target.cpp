// A model file: table of contents, every tensor, and the network and task its metadata describe.

#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/exec/safetensors.h"
#include "wholemount/train/model_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const wholemount::fuzz::MemoryFolder folder;
  const std::string path = folder.write("model.safetensors", wholemount::fuzz::as_text(data, size));
  try {
    const wholemount::SafetensorsFile file(path);
    for (const auto& entry : file.entries()) {
      if (entry.bytes > static_cast<int64_t>(size)) {
        wholemount::fuzz::finding("tensor " + entry.name + " is larger than the file");
      }
      std::vector<std::byte> bytes(static_cast<size_t>(entry.bytes));
      file.read(entry, bytes);
    }
    (void)wholemount::read_model_spec(path);
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, path);
  } catch (const wholemount::ConfigError& error) {
    wholemount::fuzz::check_names_source(error, path);
  }
  return 0;
}
