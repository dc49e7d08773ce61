#include "wholemount/data/phantom/cell_dataset.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"
#include "wholemount/data/phantom/cell_phantom.h"
#include "wholemount/image/tiff_writer.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kSites = 4;
constexpr int64_t kWellsPerPlate = 60;
constexpr int64_t kPlatesPerWeek = 5;
constexpr int64_t kCompounds = 3;       // of a mechanism
constexpr int64_t kConcentrations = 2;  // of a compound
constexpr std::array<const char*, 3> kWaves{"w1", "w2", "w4"};
constexpr std::array<const char*, 2> kDoses{"0.3", "3"};

template <class... Arguments>
std::string text_of(const char* format, Arguments... arguments) {
  char text[160];
  std::snprintf(text, sizeof(text), format, arguments...);
  return text;
}

/// Everything about one field but its pixels.
struct Field {
  int64_t phenotype = 0;
  std::string compound = "DMSO";
  std::string concentration = "0";
  std::string plate;
  std::string folder;  ///< as the CSV says it
  std::string well;
  std::string name;  ///< up to the wave
  int64_t plate_number = 0;
  int64_t replicate = 1;
};

std::string compound_name(int64_t phenotype, int64_t index) {
  return text_of("compound-%02d-%c", static_cast<int>(phenotype),
                 static_cast<char>('a' + static_cast<int>(index)));
}

std::string mechanism_name(int64_t phenotype) {
  return phenotype == 0 ? "DMSO" : text_of("phenotype %02d", static_cast<int>(phenotype));
}

Field field_of(const CellDatasetSpec& spec, int64_t index) {
  Field field;
  const int64_t well = index / kSites;
  const int64_t round = well / spec.classes;
  field.phenotype = well % spec.classes;
  if (field.phenotype > 0) {
    field.compound = compound_name(field.phenotype, round % kCompounds);
    field.concentration = kDoses[static_cast<size_t>(round / kCompounds % kConcentrations)];
  }
  field.replicate = 1 + round / (kCompounds * kConcentrations);
  field.plate_number = well / kWellsPerPlate;
  const auto week = static_cast<int>(1 + field.plate_number / kPlatesPerWeek);
  field.plate = text_of("Week%d_%d", week, static_cast<int>(22001 + field.plate_number));
  field.folder = text_of("Week%d/", week) + field.plate;
  const int64_t place = well % kWellsPerPlate;
  field.well = text_of("%c%02d", static_cast<char>('B' + static_cast<int>(place / 10)),
                       static_cast<int>(2 + place % 10));
  field.name = text_of("Week%d_150607_%s_s%d_", week, field.well.c_str(),
                       static_cast<int>(1 + index % kSites));
  return field;
}

/// The microscope names every file by a number of its own.
std::string file_name(const CellDatasetSpec& spec, const Field& field, int64_t index,
                      size_t channel) {
  CounterRng rng(spec.seed, channel, static_cast<uint64_t>(index), "guid");
  std::array<uint32_t, 4> words{};
  for (uint32_t& word : words) word = rng.next_u32();
  return field.name + kWaves[channel] +
         text_of("%08X-%04X-%04X-%04X-%04X%08X.tif", words[0], words[1] >> 16, words[1] & 0xffffU,
                 words[2] >> 16, words[2] & 0xffffU, words[3]);
}

void create_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw OutputError(folder.string(), "cannot make the folder: " + error.message());
}

void check(const CellDatasetSpec& spec) {
  if (spec.num_images < 1 || spec.classes < 2 || spec.classes > kMostPhenotypes) {
    throw ConfigError("synth cells: " + std::to_string(spec.num_images) + " images of " +
                      std::to_string(spec.classes) + " classes; wanted at least 1 image and 2 to " +
                      std::to_string(kMostPhenotypes) + " classes");
  }
  if (spec.height < 32 || spec.width < 32 || spec.height > 65535 || spec.width > 65535) {
    throw ConfigError("synth cells: a shape of " + std::to_string(spec.height) + " x " +
                      std::to_string(spec.width) + "; wanted sides of 32 to 65535");
  }
}

std::string image_csv(const CellDatasetSpec& spec) {
  std::string text = "TableNumber,ImageNumber";
  for (const char* channel : {"DAPI", "Tubulin", "Actin"}) {
    text += std::string(",Image_FileName_") + channel + ",Image_PathName_" + channel;
  }
  text +=
      ",Image_Metadata_Plate_DAPI,Image_Metadata_Well_DAPI,Replicate,Image_Metadata_Compound,"
      "Image_Metadata_Concentration\n";
  for (int64_t i = 0; i < spec.num_images; ++i) {
    const Field field = field_of(spec, i);
    text += "1," + std::to_string(i + 1);
    for (size_t channel = 0; channel < kWaves.size(); ++channel) {
      text += "," + file_name(spec, field, i, channel) + "," + field.folder;
    }
    text += "," + field.plate + "," + field.well + "," + std::to_string(field.replicate) + "," +
            field.compound + "," + field.concentration + "\n";
  }
  return text;
}

void write_tables(const CellDatasetSpec& spec) {
  std::string compounds = "compound,smiles\nDMSO,CS(=O)C\n";
  std::string mechanisms = "compound,concentration,moa\n";
  for (int64_t k = 1; k < spec.classes; ++k) {
    for (int64_t c = 0; c < kCompounds; ++c) {
      compounds += compound_name(k, c) + ",\n";
      for (const char* dose : kDoses) {
        mechanisms += compound_name(k, c) + "," + dose + "," + mechanism_name(k) + "\n";
      }
    }
  }
  mechanisms += "DMSO,0," + mechanism_name(0) + "\n";
  const fs::path root = spec.root;
  write_file_atomically((root / "BBBC021_v1_compound.csv").string(), compounds);
  write_file_atomically((root / "BBBC021_v1_image.csv").string(), image_csv(spec));
  write_file_atomically((root / "BBBC021_v1_moa.csv").string(), mechanisms);
}

}  // namespace

void write_cell_dataset(const CellDatasetSpec& spec, ThreadPool* pool,
                        FunctionRef<void(int64_t done)> on_field) {
  check(spec);
  const int64_t size = kCellChannels * spec.height * spec.width;
  const int64_t at_once = pool->num_threads();
  std::vector<std::vector<uint16_t>> fields(static_cast<size_t>(at_once));
  for (auto& field : fields) field.resize(static_cast<size_t>(size));
  for (int64_t first = 0; first < spec.num_images; first += at_once) {
    const int64_t count = std::min(at_once, spec.num_images - first);
    pool->run(count, [&](int64_t task, int /*thread*/) {
      const Field field = field_of(spec, first + task);
      draw_cell_field(
          {spec.height, spec.width, field.phenotype, spec.seed,
           static_cast<uint64_t>(field.plate_number), static_cast<uint64_t>(first + task)},
          fields[static_cast<size_t>(task)]);
    });
    for (int64_t i = 0; i < count; ++i) {
      const Field field = field_of(spec, first + i);
      const fs::path folder = fs::path(spec.root) / field.folder;
      create_folder(folder);
      for (size_t channel = 0; channel < kWaves.size(); ++channel) {
        const std::span<const uint16_t> pixels(fields[static_cast<size_t>(i)]);
        write_tiff((folder / file_name(spec, field, first + i, channel)).string(),
                   {1, spec.height, spec.width},
                   pixels.subspan(channel * static_cast<size_t>(spec.height * spec.width),
                                  static_cast<size_t>(spec.height * spec.width)));
      }
      on_field(first + i + 1);
    }
  }
  write_tables(spec);
}

}  // namespace wholemount
