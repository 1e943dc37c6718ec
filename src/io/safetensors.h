// The safetensors container: one file of named arrays. No arithmetic, no tensors, only names,
// types, shapes and byte ranges.
//
//   8 bytes     length N of the header, little-endian
//   N bytes     JSON: {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]},
//   ...} the rest    the data; offsets count from its first byte
//
// A file is foreign: nothing in it is believed before it is checked, and every fault is an
// Error(kModel) that names file, tensor, what was expected and what was found.
//
// Threads: const access from any number of threads.  Lifetime: spans live as long as their file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/files.h"

namespace fathom {

struct SafetensorEntry {
  std::string name;
  std::string dtype;           // "F64" "F32" "F16" "BF16" "F8_E4M3" "I64" "I32" "U8" "BOOL" ...
  std::vector<int64_t> shape;  // row-major; [] is one element, a zero dimension is none
  uint64_t begin = 0;          // bytes from the start of the data
  uint64_t end = 0;            // exclusive
};

// The bits of one element; throws for a dtype the format does not know.
int64_t safetensors_dtype_bits(std::string_view dtype);

struct SafetensorsHeader {
  std::vector<SafetensorEntry> entries;  // in the order of their bytes, without gap or overlap
  std::map<std::string, std::string> metadata;  // usually {"format": "pt"}
  uint64_t data_begin = 0;                      // where the data starts in the file
};

enum class HeaderSpaces { kTolerated, kRefused };  // white space before the first '{'

// Reads and checks the header of a whole file. Allocates no more than a small multiple of the
// header, whatever sizes it claims.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& origin,
                                    HeaderSpaces spaces = HeaderSpaces::kTolerated);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::vector<SafetensorEntry>& entries() const { return header_.entries; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const SafetensorEntry* find(std::string_view name) const;  // null when absent
  std::span<const std::byte> bytes(const SafetensorEntry& entry) const;

 private:
  MappedFile file_;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, size_t> numbers_;  // keys point into header_.entries
};

struct SafetensorSpec {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
};

// Writes one file: the bytes of each tensor in order, the tensors in any order or in turns. The
// file is no safetensors file before finish(), and is removed again unless that is reached.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::string& path, const std::vector<SafetensorSpec>& specs,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

  // In the order of their bytes: wide elements first, then by name.
  const std::vector<SafetensorEntry>& entries() const { return entries_; }

  // The next bytes of tensor `name`; a big tensor may come in several pieces.
  void write(std::string_view name, std::span<const std::byte> bytes);
  void finish();  // every tensor must be complete; the file is durable afterwards

 private:
  struct Progress {
    size_t entry;
    uint64_t written;
  };

  std::vector<SafetensorEntry> entries_;
  std::unordered_map<std::string_view, Progress> progress_;  // keys point into entries_
  std::string header_;
  OutputFile file_;
};

}  // namespace fathom
