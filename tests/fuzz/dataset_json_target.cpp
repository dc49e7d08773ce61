// dataset.json of a data set in the Decathlon's or nnU-Net's layout, then targets and channels.

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/target.h"

namespace {

using wholemount::fuzz::MemoryFolder;

// The files that the seeds name; only their existence counts here.
const MemoryFolder& folder() {
  static const MemoryFolder instance;
  static const bool made = [] {
    for (const char* name : {"imagesTr/c0.nii.gz", "imagesTr/c0_0000.nii.gz",
                             "imagesTr/c0_0001.nii.gz", "labelsTr/c0.nii.gz"}) {
      instance.write(name, "");
    }
    return true;
  }();
  (void)made;
  return instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  folder().write("dataset.json", wholemount::fuzz::as_text(data, size));
  try {
    const wholemount::Dataset dataset = wholemount::open_dataset(folder().path());
    for (const char* name : {"labels", "foreground", "whole-tumour"}) {
      try {
        (void)make_target(dataset, {name});
      } catch (const wholemount::ConfigError& error) {
        wholemount::fuzz::check_names_source(error, "data.target");
      }
    }
    try {
      (void)select_channels(dataset, {"FLAIR"});
    } catch (const wholemount::ConfigError& error) {
      wholemount::fuzz::check_names_source(error, "data.channels");
    }
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, folder().path());
  }
  return 0;
}
