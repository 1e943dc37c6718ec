#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "io/json.h"

namespace fathom {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::string_view kMetadataKey = "__metadata__";

struct DtypeBits {
  std::string_view name;
  int64_t bits;
};
constexpr std::array<DtypeBits, 22> kDtypes = {{
    {"BOOL", 8},        {"U8", 8},          {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8},     {"I16", 16},        {"U16", 16}, {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},        {"F32", 32}, {"I64", 64},    {"U64", 64},
    {"F64", 64},        {"C64", 64},        {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6},
    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
}};

template <class... Parts>
[[noreturn]] void refuse(const std::string& origin, const Parts&... parts) {
  fail(ErrorCode::kModel, origin, ": ", parts...);
}

int64_t bits_or_zero(std::string_view dtype) {
  const auto found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                  [&](const DtypeBits& known) { return known.name == dtype; });
  return found == kDtypes.end() ? 0 : found->bits;
}

std::string known_dtypes() {
  std::string names;
  for (const DtypeBits& known : kDtypes)
    names += (names.empty() ? "" : " ") + std::string(known.name);
  return names;
}

std::string shape_text(const std::vector<int64_t>& shape) { return Json(shape).dump(); }

// For messages: names of tensors are foreign text and may hold line breaks.
std::string quoted_name(std::string_view name) {
  return invalid_utf8_offset(name) ? "(a name that is not UTF-8)" : Json(name).dump();
}

// The bytes of a tensor. Dimensions of zero do not excuse others whose product overflows, so that
// no later stride can.
uint64_t checked_bytes(const std::string& origin, const SafetensorEntry& entry) {
  uint64_t bits = static_cast<uint64_t>(bits_or_zero(entry.dtype));
  if (bits == 0) {
    refuse(origin, "tensor ", quoted_name(entry.name), " has dtype ", quoted_name(entry.dtype),
           "; expected one of ", known_dtypes());
  }
  bool has_zero = false;
  for (const int64_t dim : entry.shape) {
    if (dim == 0) {
      has_zero = true;
    } else if (__builtin_mul_overflow(bits, static_cast<uint64_t>(dim), &bits) ||
               bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      refuse(origin, "tensor ", quoted_name(entry.name), " of shape ", shape_text(entry.shape),
             " and dtype ", entry.dtype, " overflows 63 bits; expected a size that fits the file");
    }
  }
  if (has_zero) return 0;
  if (bits % 8 != 0) {
    refuse(origin, "tensor ", quoted_name(entry.name), " has ", bits,
           " bits, expected whole bytes (dtype ", entry.dtype, ", shape ", shape_text(entry.shape),
           ")");
  }
  return bits / 8;
}

// ---- reading ----------------------------------------------------------------------------------

uint64_t header_length(std::span<const std::byte> file, const std::string& origin) {
  if (file.size() < kLengthBytes) {
    refuse(origin, "header length missing: expected at least 8 bytes, the file has ", file.size());
  }
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  if (length > kMaxHeaderBytes) {
    refuse(origin, "header length is ", length, ", expected at most ", kMaxHeaderBytes,
           "; is this a safetensors file?");
  }
  if (length > file.size() - kLengthBytes) {
    refuse(origin, "header length is ", length, " but only ", file.size() - kLengthBytes,
           " bytes follow it; the file is truncated or damaged, fetch it again");
  }
  return length;
}

Json parse_header(std::string_view text, const std::string& origin, HeaderSpaces spaces) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{' ||
      (first > 0 && spaces == HeaderSpaces::kRefused)) {
    refuse(origin, "header is not a JSON object: expected '{' as its first byte",
           first == 0 || first == std::string_view::npos ? "" : ", got white space");
  }
  return parse_json(text, origin + " (header)", ErrorCode::kModel);
}

// A field of a tensor that must be an array of non-negative integers.
std::vector<int64_t> integers_of(const Json& tensor, const std::string& name, std::string_view key,
                                 const std::string& origin) {
  const Json* field = tensor.find(key);
  if (!field || !field->is_array()) {
    refuse(origin, "tensor ", quoted_name(name), ": \"", key, "\" is ",
           field ? "not an array" : "missing", "; expected an array of integers");
  }
  std::vector<int64_t> values;
  for (const Json& item : field->items()) {
    if (!item.is_int() || item.as_int() < 0) {
      refuse(origin, "tensor ", quoted_name(name), ": \"", key, "\" holds ", item.dump(),
             "; expected integers from 0 to 2^63 - 1");
    }
    values.push_back(item.as_int());
  }
  return values;
}

SafetensorEntry parse_entry(const std::string& name, const Json& tensor,
                            const std::string& origin) {
  if (!tensor.is_object())
    refuse(origin, "tensor ", quoted_name(name), " is not described by an object");
  const Json* dtype = tensor.find("dtype");
  if (!dtype || !dtype->is_string()) {
    refuse(origin, "tensor ", quoted_name(name), ": \"dtype\" is ",
           dtype ? "not a string" : "missing");
  }
  SafetensorEntry entry{name, dtype->as_string(), integers_of(tensor, name, "shape", origin), 0, 0};
  const std::vector<int64_t> offsets = integers_of(tensor, name, "data_offsets", origin);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    refuse(origin, "tensor ", quoted_name(name), ": data_offsets are ", shape_text(offsets),
           "; expected [begin, end] with begin <= end");
  }
  entry.begin = static_cast<uint64_t>(offsets[0]);
  entry.end = static_cast<uint64_t>(offsets[1]);
  const uint64_t bytes = checked_bytes(origin, entry);
  if (bytes != entry.end - entry.begin) {
    refuse(origin, "tensor ", quoted_name(name), ": size of dtype ", entry.dtype, " and shape ",
           shape_text(entry.shape), " is ", bytes, " bytes, but data_offsets ", shape_text(offsets),
           " span ", entry.end - entry.begin);
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const Json& value, const std::string& origin) {
  if (!value.is_object()) refuse(origin, kMetadataKey, " is not an object of strings");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.members()) {
    if (!text.is_string()) refuse(origin, kMetadataKey, " ", quoted_name(key), " is not a string");
    metadata[key] = text.as_string();
  }
  return metadata;
}

// Sorted by offset, tensors must cover the data exactly.
void check_tiling(const std::vector<SafetensorEntry>& entries, uint64_t data_bytes,
                  const std::string& origin) {
  uint64_t covered = 0;
  const SafetensorEntry* before = nullptr;
  for (const SafetensorEntry& entry : entries) {
    const std::string after =
        before ? concat(" the end of ", quoted_name(before->name)) : " the start";
    if (entry.begin < covered) {
      refuse(origin, "tensor ", quoted_name(entry.name), " overlaps ", quoted_name(before->name),
             ": it begins at ", entry.begin, ", expected ", covered, ",", after);
    }
    if (entry.begin > covered) {
      refuse(origin, "hole before tensor ", quoted_name(entry.name), ": it begins at ", entry.begin,
             ", expected ", covered, ",", after);
    }
    if (entry.end > data_bytes) {
      refuse(origin, "truncated: tensor ", quoted_name(entry.name), " ends at data offset ",
             entry.end, ", but the file holds ", data_bytes, " bytes of data; fetch it again");
    }
    covered = entry.end;
    before = &entry;
  }
  if (covered < data_bytes) {
    refuse(origin, data_bytes - covered,
           " trailing bytes belong to no tensor: tensors end at data offset ", covered,
           ", expected ", data_bytes);
  }
}

}  // namespace

int64_t safetensors_dtype_bits(std::string_view dtype) {
  const int64_t bits = bits_or_zero(dtype);
  if (bits == 0)
    refuse("safetensors", "dtype ", quoted_name(dtype), " is none of ", known_dtypes());
  return bits;
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& origin,
                                    HeaderSpaces spaces) {
  const uint64_t length = header_length(file, origin);
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  const Json root = parse_header(text, origin, spaces);
  SafetensorsHeader header;
  header.data_begin = kLengthBytes + length;
  for (const auto& [name, value] : root.members()) {
    if (name == kMetadataKey) {
      header.metadata = parse_metadata(value, origin);
    } else {
      header.entries.push_back(parse_entry(name, value, origin));
    }
  }
  // Empty tensors sort before the one that begins at the same byte.
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const SafetensorEntry& a, const SafetensorEntry& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  check_tiling(header.entries, file.size() - header.data_begin, origin);
  return header;
}

namespace {

// A model file that cannot be opened is a fault of the model folder, not of the run.
MappedFile map_model_file(const std::string& path) {
  try {
    return MappedFile(path);
  } catch (const Error& error) {
    fail(ErrorCode::kModel, error.what());
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path)
    : file_(map_model_file(path)), header_(parse_safetensors(file_.bytes(), path)) {
  numbers_.reserve(header_.entries.size());
  for (size_t i = 0; i < header_.entries.size(); ++i) numbers_[header_.entries[i].name] = i;
}

const SafetensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? nullptr : &header_.entries[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const SafetensorEntry& entry) const {
  return file_.bytes(header_.data_begin + entry.begin, header_.data_begin + entry.end);
}

// ---- writing ----------------------------------------------------------------------------------

namespace {

std::vector<SafetensorEntry> laid_out(const std::vector<SafetensorSpec>& specs,
                                      const std::string& origin) {
  std::vector<SafetensorEntry> entries;
  std::unordered_set<std::string_view> names;
  for (const SafetensorSpec& spec : specs) {
    if (spec.name == kMetadataKey) refuse(origin, kMetadataKey, " cannot be the name of a tensor");
    if (!names.insert(spec.name).second)
      refuse(origin, "tensor ", quoted_name(spec.name), " is given twice");
    for (const int64_t dim : spec.shape) {
      if (dim < 0)
        refuse(origin, "tensor ", quoted_name(spec.name), " has shape ", shape_text(spec.shape));
    }
    entries.push_back({spec.name, spec.dtype, spec.shape, 0, 0});
  }
  // With wide elements first each tensor is aligned to its own element when the data is to 8 bytes.
  for (const SafetensorEntry& entry : entries) checked_bytes(origin, entry);
  std::sort(entries.begin(), entries.end(), [](const SafetensorEntry& a, const SafetensorEntry& b) {
    return std::pair(-bits_or_zero(a.dtype), std::string_view(a.name)) <
           std::pair(-bits_or_zero(b.dtype), std::string_view(b.name));
  });
  uint64_t offset = 0;
  for (SafetensorEntry& entry : entries) {
    entry.begin = offset;
    if (__builtin_add_overflow(offset, checked_bytes(origin, entry), &offset)) {
      refuse(origin, "the tensors together overflow 64 bits");
    }
    entry.end = offset;
  }
  return entries;
}

std::string header_bytes(const std::vector<SafetensorEntry>& entries,
                         const std::map<std::string, std::string>& metadata,
                         const std::string& origin) {
  Json header = Json::object();
  if (!metadata.empty()) {
    Json& texts = header[kMetadataKey] = Json::object();
    for (const auto& [key, value] : metadata) texts[key] = value;
  }
  for (const SafetensorEntry& entry : entries) {
    header[entry.name] = Json::object({{"dtype", entry.dtype},
                                       {"shape", entry.shape},
                                       {"data_offsets", Json::array({entry.begin, entry.end})}});
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    refuse(origin, "the header would have ", text.size(), " bytes, the format allows ",
           kMaxHeaderBytes, "; write more and smaller files");
  }
  std::string length(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<char>(text.size() >> (8 * i) & 0xFF);
  return length + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::string& path,
                                     const std::vector<SafetensorSpec>& specs,
                                     const std::map<std::string, std::string>& metadata)
    : entries_(laid_out(specs, path)),
      header_(header_bytes(entries_, metadata, path)),
      file_(path) {
  for (size_t i = 0; i < entries_.size(); ++i) progress_[entries_[i].name] = {i, 0};
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  const auto found = progress_.find(name);
  FATHOM_CHECK(found != progress_.end(), file_.path(), ": bytes of tensor ", quoted_name(name),
               ", which is not among the ", entries_.size(), " tensors of the file");
  Progress& progress = found->second;
  const SafetensorEntry& entry = entries_[progress.entry];
  const uint64_t missing = entry.end - entry.begin - progress.written;
  FATHOM_CHECK(bytes.size() <= missing, file_.path(), ": ", bytes.size(), " bytes for tensor ",
               quoted_name(name), ", expected at most ", missing);
  file_.write_at(header_.size() + entry.begin + progress.written, bytes);
  progress.written += bytes.size();
}

void SafetensorsWriter::finish() {
  for (const SafetensorEntry& entry : entries_) {
    const uint64_t missing = entry.end - entry.begin - progress_.at(entry.name).written;
    FATHOM_CHECK(missing == 0, file_.path(), ": finished early; tensor ", quoted_name(entry.name),
                 " still lacks ", missing, " bytes");
  }
  file_.write_at(0, std::as_bytes(std::span(header_)));
  file_.finish();
}

}  // namespace fathom
