#include "wholemount/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <span>
#include <system_error>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/base/sha256.h"
#include "wholemount/train/checkpoint_file.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "checkpoint-";
constexpr char kSuffix[] = ".wmck";

struct Generation {
  int64_t step = 0;
  fs::path path;
};

// Newest first.
std::vector<Generation> generations_in(const fs::path& folder) {
  std::vector<Generation> generations;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) {
      continue;
    }
    const std::string digits =
        name.substr(sizeof(kPrefix) - 1, name.size() - sizeof(kPrefix) - sizeof(kSuffix) + 2);
    if (digits.empty() || digits.size() > 18 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    generations.push_back({std::stoll(digits), entry.path()});
  }
  std::sort(generations.begin(), generations.end(),
            [](const Generation& a, const Generation& b) { return a.step > b.step; });
  return generations;
}

std::vector<int64_t> shape_of(const TensorDesc& desc) {
  return {desc.n, desc.c, desc.extent.d, desc.extent.h, desc.extent.w};
}

std::string text_of(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

struct NamedBlock {
  std::string name;
  std::span<float> elements;
};

std::vector<NamedBlock> blocks_of(const ParameterStore& store) {
  std::vector<NamedBlock> blocks = {{"values", store.values()}};
  for (int32_t i = 0; i < store.blocks().optimiser_states; ++i) {
    blocks.push_back({"optimiser_state_" + std::to_string(i), store.optimiser_state(i)});
  }
  return blocks;
}

// Keeps `saved` and the newest generation of an earlier step. A later step belongs to a future that
// was given up by resuming from an earlier generation.
void remove_old_generations(const fs::path& folder, int64_t saved) {
  int kept = 0;
  for (const Generation& generation : generations_in(folder)) {
    const bool earlier = generation.step < saved;
    if (generation.step == saved || (earlier && kept == 0)) {
      kept += earlier ? 1 : 0;
      continue;
    }
    std::error_code ignored;
    fs::remove(generation.path, ignored);
  }
}

void check_same_net(const fs::path& path, const CheckpointHeader& header,
                    const std::string& net_spec, const ParameterStore& store) {
  const auto refuse = [&](const std::string& what) {
    throw ConfigError(path.string() + ": checkpoint of another net: " + what +
                      "; restore the configuration it was made with or choose another --out");
  };
  for (const ParameterSpec& spec : store.specs()) {
    const auto found =
        std::find_if(header.parameters.begin(), header.parameters.end(),
                     [&](const auto& parameter) { return parameter.name == spec.name; });
    if (found == header.parameters.end()) {
      refuse("parameter \"" + spec.name + "\" is missing");
    }
    if (found->shape != shape_of(spec.desc)) {
      refuse("parameter \"" + spec.name + "\" is " + text_of(found->shape) +
             " in the checkpoint, " + text_of(shape_of(spec.desc)) + " in this net");
    }
  }
  for (const auto& parameter : header.parameters) {
    if (!store.find(parameter.name)) {
      refuse("parameter \"" + parameter.name + "\" is not part of this net");
    }
  }
  if (header.state.net_spec != net_spec) {
    refuse("it says " + header.state.net_spec + ", this net is " + net_spec);
  }
  const size_t wanted = blocks_of(store).size();
  if (header.blocks.size() != wanted) {
    throw ConfigError(fmt::format(
        "{}: checkpoint of another optimiser: it holds {} blocks of optimiser state, this "
        "configuration wants {}; restore train.optimizer or choose another --out",
        path.string(), static_cast<int64_t>(header.blocks.size()) - 1, wanted - 1));
  }
}

void check_ranges(const fs::path& path, const CheckpointHeader& header,
                  const ParameterStore& store) {
  for (const auto& block : header.blocks) {
    for (const auto& parameter : header.parameters) {
      const int64_t count = store.whole(*store.find(parameter.name)).count;
      const int64_t elements = block.bytes / static_cast<int64_t>(sizeof(float));
      if (parameter.count != count || parameter.offset < 0 || count > elements ||
          parameter.offset > elements - count) {
        throw FileError(path.string(), "parameter \"" + parameter.name + "\" leaves its block");
      }
    }
  }
}

void read_blocks(const fs::path& path, const CheckpointHeader& header,
                 const ParameterStore& store) {
  std::ifstream stream(path, std::ios::binary);
  for (const NamedBlock& block : blocks_of(store)) {
    const auto stored = std::find_if(header.blocks.begin(), header.blocks.end(),
                                     [&](const auto& entry) { return entry.name == block.name; });
    if (stored == header.blocks.end()) {
      throw FileError(path.string(), "block \"" + block.name + "\" is missing");
    }
    for (const auto& parameter : header.parameters) {
      const ParameterRange range = store.whole(*store.find(parameter.name));
      const auto element_bytes = static_cast<int64_t>(sizeof(float));
      const int64_t offset = stored->file_offset + parameter.offset * element_bytes;
      stream.seekg(offset);
      if (!stream.read(reinterpret_cast<char*>(block.elements.data() + range.begin),
                       range.count * element_bytes)) {
        throw FileError(path.string(), offset,
                        "parameter \"" + parameter.name + "\" cannot be read");
      }
    }
  }
}

[[noreturn]] void none_usable(const fs::path& folder, const std::string& reasons) {
  if (reasons.empty()) {
    throw FileError(folder.string(), "holds no checkpoint; start the run without --resume");
  }
  throw FileError(folder.string(), "no checkpoint is intact: " + reasons);
}

}  // namespace

void save_checkpoint(const fs::path& folder, const CheckpointState& state,
                     const ParameterStore& store) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw OutputError(folder.string(), "cannot be made: " + error.message());
  }
  CheckpointHeader header;
  header.state = state;
  for (size_t p = 0; p < store.specs().size(); ++p) {
    const ParameterRange range = store.whole(static_cast<int32_t>(p));
    header.parameters.push_back(
        {store.specs()[p].name, shape_of(store.specs()[p].desc), range.begin, range.count});
  }
  const std::vector<NamedBlock> blocks = blocks_of(store);
  for (const NamedBlock& block : blocks) {
    Sha256 hash;
    hash.update(block.elements.data(), block.elements.size_bytes());
    header.blocks.push_back(
        {block.name, static_cast<int64_t>(block.elements.size_bytes()), hash.finish_hex(), 0});
  }
  const std::string start = encode_header(header);
  AtomicFile file((folder / fmt::format("{}{:012}{}", kPrefix, state.step, kSuffix)).string());
  file.write(start);
  auto position = static_cast<int64_t>(start.size());
  for (const NamedBlock& block : blocks) {
    file.write(std::string(static_cast<size_t>(block_begin(position) - position), '\0'));
    file.write(block.elements.data(), block.elements.size_bytes());
    position = block_begin(position) + static_cast<int64_t>(block.elements.size_bytes());
  }
  file.commit();
  remove_old_generations(folder, state.step);
}

bool has_checkpoint(const fs::path& folder) { return !generations_in(folder).empty(); }

LoadedCheckpoint load_checkpoint(const fs::path& folder, const std::string& net_spec,
                                 ParameterStore& store) {
  std::string reasons;
  for (const Generation& generation : generations_in(folder)) {
    try {
      const CheckpointHeader header = read_header(generation.path);
      // Another net is the user's mistake whichever generation is asked: no falling back.
      check_same_net(generation.path, header, net_spec, store);
      check_blocks(generation.path, header);
      check_ranges(generation.path, header, store);
      read_blocks(generation.path, header, store);
      LoadedCheckpoint loaded{header.state, generation.path, {}};
      if (!reasons.empty()) {
        loaded.warning = reasons + "; continuing from the previous generation " +
                         generation.path.string() + " (step " + std::to_string(generation.step) +
                         ")";
      }
      return loaded;
    } catch (const FileError& error) {
      reasons += (reasons.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  none_usable(folder, reasons);
}

CheckpointState read_checkpoint_state(const fs::path& folder) {
  std::string reasons;
  for (const Generation& generation : generations_in(folder)) {
    try {
      return read_header(generation.path).state;
    } catch (const FileError& error) {
      reasons += (reasons.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  none_usable(folder, reasons);
}

}  // namespace wholemount
