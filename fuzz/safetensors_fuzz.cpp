// Weight files are foreign: whatever bytes stand in one, it is refused as a model, or its tensors
// tile its data. The same bytes are also read as a header with the size of its data behind it, in
// two bytes, and as an index of shards.
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/safetensors_folder.h"
#include "property.h"

namespace fathom {
namespace {

// The bytes of shape and dtype, counted without the reader's own function.
uint64_t bytes_of(const SafetensorEntry& entry) {
  uint64_t bits = static_cast<uint64_t>(safetensors_dtype_bits(entry.dtype));
  bool none = false;
  for (const int64_t dim : entry.shape) {
    require(dim >= 0, "no dimension is negative");
    none = none || dim == 0;
    if (dim == 0) continue;
    require(!__builtin_mul_overflow(bits, static_cast<uint64_t>(dim), &bits), "sizes fit 64 bits");
  }
  require(none || bits % 8 == 0, "tensors are whole bytes");
  return none ? 0 : bits / 8;
}

void check_header(const SafetensorsHeader& header, std::span<const std::byte> file) {
  require(header.data_begin >= 8 && header.data_begin <= file.size(), "the data is in the file");
  uint64_t covered = 0;
  std::set<std::string_view> names;
  for (const SafetensorEntry& entry : header.entries) {
    require(entry.begin == covered && entry.end >= entry.begin, "tensors tile the data");
    require(entry.end - entry.begin == bytes_of(entry), "bytes agree with shape and dtype");
    require(names.insert(entry.name).second, "no name is there twice");
    covered = entry.end;
  }
  require(covered == file.size() - header.data_begin, "tensors end where the file ends");
}

std::vector<SafetensorEntry> read(std::span<const std::byte> file, HeaderSpaces spaces,
                                  bool& accepted) {
  accepted = false;
  try {
    const SafetensorsHeader header = parse_safetensors(file, "fuzz", spaces);
    accepted = true;
    check_header(header, file);
    return header.entries;
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kModel, "a refused file is a fault of the model");
    return {};
  }
}

void read_file_bytes(std::span<const std::byte> file) {
  bool tolerated = false, strict = false;
  const size_t count = read(file, HeaderSpaces::kTolerated, tolerated).size();
  if (!tolerated) return;
  require(read(file, HeaderSpaces::kRefused, strict).size() == (strict ? count : 0),
          "both readings give the same tensors");
  const char first = static_cast<char>(file[8]);
  require(strict == (first == '{'), "only white space in front tells the two readings apart");
}

// The length in front, the header, then as many bytes of data as the last two bytes of the input
// say, so that changes of a header need not agree with a length and a size elsewhere.
void read_header_bytes(std::string_view input) {
  constexpr size_t kSizeBytes = 2, kLengthBytes = 8, kMostData = 4095;
  if (input.size() < kSizeBytes) return;
  const std::string_view header = input.substr(0, input.size() - kSizeBytes);
  const auto low = static_cast<unsigned char>(input[header.size()]);
  const auto high = static_cast<unsigned char>(input[header.size() + 1]);
  const size_t data = (low | static_cast<size_t>(high) << 8) & kMostData;
  std::vector<std::byte> file(kLengthBytes + header.size() + data);
  for (size_t i = 0; i < kLengthBytes; ++i) file[i] = std::byte(header.size() >> (8 * i) & 0xFF);
  for (size_t i = 0; i < header.size(); ++i) file[kLengthBytes + i] = std::byte(header[i]);
  read_file_bytes(file);
}

void read_index(std::string_view text) {
  try {
    for (const auto& [tensor, file] : parse_safetensors_index(text, "fuzz").weight_map) {
      require(!file.empty() && file != "." && file != "..", "shards are files of the folder");
      for (const char c : file)
        require(c != '/' && c != '\\' && c != '\0', "shards are named without a folder");
    }
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kModel, "a refused index is a fault of the model");
  }
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fathom::read_file_bytes(std::as_bytes(std::span(data, size)));
  fathom::read_header_bytes(text);
  fathom::read_index(text);
  return 0;
}
