#include "wholemount/exec/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/base/nesting.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors data is little endian");

const char* format_dtype(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::bf16:
      return "BF16";
    case DType::u8:
      return "U8";
  }
  return "";
}

// Bytes of an element of each type the format knows; 0: unknown.
int64_t format_dtype_bytes(const std::string& dtype) {
  static constexpr std::array<std::pair<std::string_view, int64_t>, 14> kTypes{{
      {"F32", 4},
      {"F64", 8},
      {"BF16", 2},
      {"U8", 1},
      {"F16", 2},
      {"BOOL", 1},
      {"I8", 1},
      {"I16", 2},
      {"U16", 2},
      {"I32", 4},
      {"U32", 4},
      {"I64", 8},
      {"U64", 8},
      {"F8_E4M3", 1},
  }};
  for (const auto& [name, bytes] : kTypes) {
    if (name == dtype) {
      return bytes;
    }
  }
  return 0;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::vector<int64_t> shape_of(const TensorDesc& desc) {
  return {desc.n, desc.c, desc.extent.d, desc.extent.h, desc.extent.w};
}

// bytes of shape x element, nullopt on overflow or a negative size.
std::optional<int64_t> checked_bytes(const std::vector<int64_t>& shape, int64_t element_bytes) {
  int64_t bytes = element_bytes;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

}  // namespace

void write_safetensors(const std::string& path, std::vector<NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  json header = json::object();
  if (!metadata.empty()) {
    header["__metadata__"] = metadata;
  }
  size_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    WM_CHECK(checked_bytes(tensor.shape, dtype_bytes(tensor.dtype)) ==
                 static_cast<int64_t>(tensor.bytes.size()),
             "bytes of " + tensor.name + " do not fit its shape");
    header[tensor.name] = {{"dtype", format_dtype(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const auto length = static_cast<uint64_t>(text.size());

  AtomicFile file(path);
  file.write(&length, sizeof(length));
  file.write(text);
  for (const NamedTensor& tensor : tensors) {
    file.write(tensor.bytes.data(), tensor.bytes.size());
  }
  file.commit();
}

SafetensorsFile::SafetensorsFile(std::string path) : path_(std::move(path)) {
  std::ifstream stream(path_, std::ios::binary | std::ios::ate);
  if (!stream) {
    throw FileError(path_, "cannot be opened: " + system_error_text(errno));
  }
  const auto file_bytes = static_cast<int64_t>(stream.tellg());
  stream.seekg(0);
  uint64_t length = 0;
  if (file_bytes < 8 || !stream.read(reinterpret_cast<char*>(&length), 8)) {
    throw FileError(path_, "is no safetensors file: " + std::to_string(file_bytes) +
                               " bytes, shorter than the 8-byte header length");
  }
  if (length > static_cast<uint64_t>(std::min(file_bytes - 8, kMaxHeaderBytes))) {
    throw FileError(path_, 0,
                    "header length " + std::to_string(length) + " does not fit in the file of " +
                        std::to_string(file_bytes) +
                        " bytes; it is truncated or no safetensors file");
  }
  std::string text(length, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(length))) {
    throw FileError(path_, 8, "the header cannot be read");
  }
  read_header(text, 8 + static_cast<int64_t>(length), file_bytes);
}

void SafetensorsFile::read_header(const std::string& text, int64_t data_begin, int64_t file_bytes) {
  // The parser is told not to throw; a table that is not what it should be leads to one error.
  if (json_nesting(text) > kDeepestNesting) {
    throw FileError(path_, 8, "the header is nested too deeply to be a table of tensors");
  }
  const json header = json::parse(text, nullptr, false);
  if (!header.is_object()) {
    throw FileError(path_, 8, "the header is not a JSON object");
  }
  for (const auto& item : header.items()) {
    const std::string& name = item.key();
    const json& value = item.value();
    if (name == "__metadata__") {
      for (const auto& [key, entry] : value.items()) {
        if (!entry.is_string()) {
          throw FileError(path_, 8, "metadata \"" + key + "\" is not a text");
        }
        metadata_[key] = entry.get<std::string>();
      }
      continue;
    }
    const auto bad = [&](const std::string& what) {
      return FileError(path_, 8, "tensor \"" + name + "\": " + what);
    };
    const auto is_size = [](const json& number) {
      return number.is_number_unsigned() &&
             number.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
    };
    if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() ||
        !value.contains("shape") || !value["shape"].is_array() || !value.contains("data_offsets") ||
        !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
      throw bad("needs dtype, shape and two data_offsets");
    }
    const json& offsets = value["data_offsets"];
    if (!is_size(offsets[0]) || !is_size(offsets[1]) ||
        !std::all_of(value["shape"].begin(), value["shape"].end(), is_size)) {
      throw bad("a size or offset is not a whole number of 64 bits");
    }
    Entry entry;
    entry.name = name;
    entry.dtype = value["dtype"].get<std::string>();
    entry.shape = value["shape"].get<std::vector<int64_t>>();
    const auto begin = offsets[0].get<int64_t>();
    const auto end = offsets[1].get<int64_t>();
    if (begin > end || end > file_bytes - data_begin) {
      throw bad("data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) +
                "] leave the " + std::to_string(file_bytes - data_begin) +
                " bytes of data; the file is truncated or damaged");
    }
    entry.file_offset = data_begin + begin;
    entry.bytes = end - begin;
    const int64_t element_bytes = format_dtype_bytes(entry.dtype);
    if (element_bytes == 0) {
      throw bad("unknown dtype \"" + entry.dtype + "\"");
    }
    if (checked_bytes(entry.shape, element_bytes) != entry.bytes) {
      throw bad("shape " + shape_text(entry.shape) + " of " + entry.dtype + " does not have " +
                std::to_string(entry.bytes) + " bytes");
    }
    entries_.push_back(std::move(entry));
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.file_offset, a.bytes) < std::pair(b.file_offset, b.bytes);
  });
  int64_t expected = data_begin;
  for (const Entry& entry : entries_) {
    if (entry.file_offset != expected) {
      throw FileError(
          path_, expected,
          "the data of tensor \"" + entry.name + "\" does not follow the one before it");
    }
    expected += entry.bytes;
  }
  if (expected != file_bytes) {
    throw FileError(path_, expected,
                    std::to_string(file_bytes - expected) + " bytes follow the last tensor");
  }
}

const SafetensorsFile::Entry* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

void SafetensorsFile::read(const Entry& entry, std::span<std::byte> destination) const {
  WM_CHECK(static_cast<int64_t>(destination.size()) == entry.bytes, "destination of other size");
  std::ifstream stream(path_, std::ios::binary);
  stream.seekg(entry.file_offset);
  if (!stream.read(reinterpret_cast<char*>(destination.data()), entry.bytes)) {
    throw FileError(path_, entry.file_offset, "tensor \"" + entry.name + "\" cannot be read");
  }
}

void save_weights(const std::string& path, const ParameterStore& store,
                  const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> tensors;
  for (size_t p = 0; p < store.specs().size(); ++p) {
    const ParameterSpec& spec = store.specs()[p];
    const ParameterRange range = store.whole(static_cast<int32_t>(p));
    tensors.push_back({spec.name, DType::f32, shape_of(spec.desc),
                       std::as_bytes(store.values().subspan(static_cast<size_t>(range.begin),
                                                            static_cast<size_t>(range.count)))});
  }
  write_safetensors(path, std::move(tensors), metadata);
}

void load_weights(const SafetensorsFile& file, ParameterStore& store) {
  const auto refuse = [&](const std::string& what) {
    return ConfigError(file.path() + ": weights of another net: " + what +
                       "; use the net the file was trained with (its spec is in the metadata)");
  };
  for (const ParameterSpec& spec : store.specs()) {
    const SafetensorsFile::Entry* const entry = file.find(spec.name);
    if (entry == nullptr) {
      throw refuse("parameter \"" + spec.name + "\" is missing");
    }
    if (entry->dtype != "F32" || entry->shape != shape_of(spec.desc)) {
      throw refuse("parameter \"" + spec.name + "\" is " + entry->dtype + " " +
                   shape_text(entry->shape) + " in the file, F32 " +
                   shape_text(shape_of(spec.desc)) + " in this net");
    }
  }
  for (const SafetensorsFile::Entry& entry : file.entries()) {
    if (!store.find(entry.name)) {
      throw refuse("parameter \"" + entry.name + "\" is not part of this net");
    }
  }
  for (size_t p = 0; p < store.specs().size(); ++p) {
    const ParameterRange range = store.whole(static_cast<int32_t>(p));
    file.read(*file.find(store.specs()[p].name),
              std::as_writable_bytes(store.values().subspan(static_cast<size_t>(range.begin),
                                                            static_cast<size_t>(range.count))));
  }
}

}  // namespace wholemount
