#include "wholemount/data/csv_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr int64_t kMostBytes = int64_t{64} << 20;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (!file || error) throw FileError(path, "cannot be opened");
  if (size > kMostBytes) throw FileError(path, "is larger than 64 MiB; not a manifest");
  std::string text(static_cast<size_t>(size), '\0');
  file.read(text.data(), size);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  return text;
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

class CsvParser {
 public:
  CsvParser(std::string text, std::string path) : text_(std::move(text)), path_(std::move(path)) {}

  std::vector<CsvLine> parse() {
    std::vector<CsvLine> lines;
    while (at_ < text_.size()) {
      CsvLine line;
      line.number = number_;
      bool more = true;
      while (more) more = parse_field(&line.fields);
      if (line.fields.size() > 1 || !line.fields[0].empty()) lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  // Reads one field and what ends it; true when another field follows on the line.
  bool parse_field(std::vector<std::string>* fields) {
    std::string field;
    const size_t start = text_.find_first_not_of(" \t", at_);
    const bool quoted = start != std::string::npos && text_[start] == '"';
    if (quoted) {
      at_ = start + 1;
      field = parse_quoted();
    }
    const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    if (!quoted) field = trimmed(text_.substr(at_, end - at_));
    fields->push_back(std::move(field));
    at_ = end;
    if (at_ == text_.size()) return false;
    const char separator = text_[at_++];
    if (separator == ',') return true;
    if (separator == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++number_;
    return false;
  }

  std::string parse_quoted() {
    std::string field;
    while (true) {
      const size_t quote = text_.find('"', at_);
      if (quote == std::string::npos) {
        throw FileError(path_, "line " + std::to_string(number_) + ": a quote does not end");
      }
      field.append(text_, at_, quote - at_);
      at_ = quote + 1;
      if (at_ >= text_.size() || text_[at_] != '"') return field;
      field += '"';
      ++at_;
    }
  }

  std::string text_;
  std::string path_;
  size_t at_ = 0;
  int64_t number_ = 1;
};

}  // namespace

std::vector<CsvLine> read_csv_file(const std::string& path) {
  return CsvParser(read_text(path), path).parse();
}

}  // namespace wholemount
