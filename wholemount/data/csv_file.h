#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wholemount {

/// A line of a CSV file: its fields and its number, counted from 1.
struct CsvLine {
  std::vector<std::string> fields;
  int64_t number = 0;
};

/// Reads a CSV file (RFC 4180: fields in double quotes may hold commas, quotes and line ends) with
/// LF, CRLF or CR line ends; empty lines are skipped, blanks around plain fields and a byte order
/// mark too. Throws FileError: missing, larger than 64 MiB, a quote that does not end.
[[nodiscard]] std::vector<CsvLine> read_csv_file(const std::string& path);

}  // namespace wholemount
