// A CSV manifest and the targets it allows.

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/target.h"

namespace {

const wholemount::fuzz::MemoryFolder& folder() {
  static const wholemount::fuzz::MemoryFolder instance;
  static const bool made = [] {
    instance.write("i.nii", "");
    instance.write("l.nii", "");
    return true;
  }();
  (void)made;
  return instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = folder().write("manifest.csv", wholemount::fuzz::as_text(data, size));
  try {
    const wholemount::Dataset dataset = wholemount::open_dataset(path);
    (void)make_target(dataset, {"labels"});
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, folder().path());
  } catch (const wholemount::ConfigError& error) {
    wholemount::fuzz::check_names_source(error, "data.target");
  }
  return 0;
}
