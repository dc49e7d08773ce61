// A second of seeded mutations of data set descriptions: opening ends in a data set or in an Error
// that names a file, whatever the text.

#include "wholemount/base/clock.h"
#include "wholemount/base/rng.h"
#include "wholemount/data/dataset_test_support.h"
#include "wholemount/data/target.h"

namespace wholemount {
namespace {

using testing::brain_description;
using testing::TemporaryFolder;
using testing::write_test_image;
using testing::write_test_label;
using testing::write_text;

std::string mutated(std::string text, CounterRng* rng) {
  const uint64_t num_changes = 1 + rng->next_below(3);
  for (uint64_t i = 0; i < num_changes && !text.empty(); ++i) {
    const size_t at = rng->next_below(text.size());
    switch (rng->next_below(4)) {
      case 0:
        text[at] = static_cast<char>(rng->next_below(256));
        break;
      case 1:
        text.erase(at, 1 + rng->next_below(8));
        break;
      case 2:
        text.insert(at, text.substr(rng->next_below(text.size()), 1 + rng->next_below(20)));
        break;
      default:
        text[at] = "{}[]\",:0-9e\n"[rng->next_below(12)];
        break;
    }
  }
  return text;
}

void open_anything(const std::string& root) {
  try {
    const Dataset dataset = open_dataset(root);
    (void)make_target(dataset, {"labels"});
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find(root), std::string::npos) << error.what();
  } catch (const ConfigError&) {
    // Fewer than two labels left: said by make_target.
  }
}

TEST(LayoutFuzz, any_description_ends_in_a_data_set_or_an_error) {
  const TemporaryFolder folder;
  const Extent3 extent{1, 2, 2};
  write_test_image(folder / "imagesTr/c0.nii.gz", extent, 4);
  write_test_image(folder / "imagesTr/c0_0000.nii.gz", extent, 1);
  write_test_label(folder / "labelsTr/c0.nii.gz", extent);
  const std::string nnunet =
      R"({"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1, "b": [1, 2, 3],
          "ignore": 4}, "numTraining": 1, "file_ending": ".nii.gz"})";
  const std::string csv =
      "#labels,0=background,1=a,2=b,3=c\nid,image,label\n\"x\",imagesTr/c0.nii.gz,"
      "labelsTr/c0.nii.gz\n";
  CounterRng rng(2, 0, 0, "fuzz");
  const double start = monotonic_seconds();
  int64_t runs = 0;
  while (monotonic_seconds() - start < 1.0) {
    const uint64_t kind = rng.next_below(3);
    if (kind == 2) {
      std::filesystem::remove(folder / "dataset.json");
      write_text(folder / "manifest.csv", mutated(csv, &rng));
    } else {
      write_text(folder / "dataset.json", mutated(kind == 0 ? brain_description(1) : nnunet, &rng));
    }
    open_anything(folder.path());
    ++runs;
  }
  EXPECT_GT(runs, 50);
}

}  // namespace
}  // namespace wholemount
