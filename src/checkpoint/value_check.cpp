#include "checkpoint/value_check.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>
#include <vector>

#include "base/team.h"

namespace fathom {
namespace {

constexpr uint64_t kPiece = uint64_t{4} << 20;   // that one thread reads at a time
constexpr uint64_t kRound = uint64_t{64} << 20;  // between two reports
constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

// How elements of a float type lie in a word of 64 bits: an element is no number where all of
// `exponent` is set in it, and then adding `carry` sets its highest bit.
struct Lanes {
  uint64_t exponent, carry, highest;
  uint64_t bytes;  // of an element
};

constexpr uint64_t repeated(uint64_t lane, int bits) {
  uint64_t word = 0;
  for (int at = 0; at < 64; at += bits) word |= lane << at;
  return word;
}

std::optional<Lanes> lanes_of(const std::string& dtype) {
  const auto lanes = [](uint64_t exponent, uint64_t carry, int bits) {
    return Lanes{repeated(exponent, bits), repeated(carry, bits),
                 repeated(uint64_t{1} << (bits - 1), bits), static_cast<uint64_t>(bits / 8)};
  };
  if (dtype == "F8_E4M3") return lanes(0x7f, 0x01, 8);  // NaN alone; there is no infinity
  if (dtype == "BF16") return lanes(0x7f80, 0x0080, 16);
  if (dtype == "F16") return lanes(0x7c00, 0x0400, 16);
  if (dtype == "F32") return lanes(0x7f800000, 0x00800000, 32);
  if (dtype == "F64") return lanes(0x7ff0000000000000, 0x0010000000000000, 64);
  return std::nullopt;
}

bool is_wrong(uint64_t word, const Lanes& lanes) {
  return (((word & lanes.exponent) + lanes.carry) & lanes.highest) != 0;
}

uint64_t word_at(const std::byte* data, uint64_t bytes) {
  uint64_t word = 0;
  std::memcpy(&word, data, bytes);
  return word;
}

// The first byte of the first element that is no number, or kNone.
uint64_t first_wrong(std::span<const std::byte> bytes, const Lanes& lanes) {
  constexpr uint64_t kWords = 32;
  uint64_t at = 0;
  for (; at + 8 * kWords <= bytes.size(); at += 8 * kWords) {
    uint64_t found = 0;
    for (uint64_t i = 0; i < kWords; ++i)
      found |= (word_at(bytes.data() + at + 8 * i, 8) & lanes.exponent) + lanes.carry;
    if (found & lanes.highest) break;
  }
  for (; at < bytes.size(); at += lanes.bytes) {
    if (is_wrong(word_at(bytes.data() + at, lanes.bytes), lanes)) return at;
  }
  return kNone;
}

// Asks the system to read what comes next while this is looked at.
void read_ahead(std::span<const std::byte> bytes) {
  constexpr uintptr_t kPage = 4096;
  if (bytes.empty()) return;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(bytes.data()) / kPage * kPage;
  const uintptr_t end = reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size();
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

[[noreturn]] void refuse_value(const SafetensorsFolder::Location& at, const std::string& name,
                               uint64_t element, const char* expected) {
  fail(ErrorCode::kModel, "check: tensor ", name, " in ", at.file->path(), ": element ", element,
       " is not ", expected, "\n      fix: the file is damaged; fetch it again");
}

struct NamedTensor {
  const std::string* name;
  const SafetensorsFolder::Location* at;
  std::optional<Lanes> lanes;
};

// Bytes of one tensor that one thread looks at.
struct Piece {
  const NamedTensor* tensor;
  uint64_t begin;
  std::span<const std::byte> bytes;
};

// As the files hold them: disks read best forwards.
std::vector<NamedTensor> in_file_order(const SafetensorsFolder& weights) {
  std::vector<NamedTensor> order;
  for (const auto& [name, at] : weights.tensors())
    order.push_back({&name, &at, lanes_of(at.entry->dtype)});
  std::sort(order.begin(), order.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return std::pair(a.at->file, a.at->entry->begin) < std::pair(b.at->file, b.at->entry->begin);
  });
  return order;
}

std::vector<Piece> cut(const std::vector<NamedTensor>& tensors) {
  std::vector<Piece> pieces;
  for (const NamedTensor& tensor : tensors) {
    const std::span<const std::byte> bytes = tensor.at->file->bytes(*tensor.at->entry);
    for (uint64_t at = 0; at < bytes.size(); at += kPiece)
      pieces.push_back({&tensor, at, bytes.subspan(at, std::min(kPiece, bytes.size() - at))});
  }
  return pieces;
}

void check_piece(const Piece& piece) {
  const NamedTensor& tensor = *piece.tensor;
  read_ahead(piece.bytes);
  if (tensor.lanes) {
    const uint64_t found = first_wrong(piece.bytes, *tensor.lanes);
    if (found != kNone) {
      refuse_value(*tensor.at, *tensor.name, (piece.begin + found) / tensor.lanes->bytes,
                   "a finite number");
    }
  }
  if (!tensor.name->ends_with("_scale_inv")) return;
  for (uint64_t at = 0; at + sizeof(float) <= piece.bytes.size(); at += sizeof(float)) {
    float scale;
    std::memcpy(&scale, piece.bytes.data() + at, sizeof scale);
    if (scale > 0) continue;
    refuse_value(*tensor.at, *tensor.name, (piece.begin + at) / sizeof(float), "a factor above 0");
  }
}

// By all threads; the error of the first piece that has one.
void check_pieces(std::span<const Piece> pieces) {
  std::vector<std::exception_ptr> errors(pieces.size());
  share_tasks(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
    try {
      check_piece(pieces[static_cast<size_t>(i)]);
    } catch (const Error&) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace

void check_values(const SafetensorsFolder& weights, const ByteProgress& progress) {
  const std::vector<NamedTensor> tensors = in_file_order(weights);
  const std::vector<Piece> pieces = cut(tensors);
  const uint64_t total = weights.total_bytes();
  uint64_t done = 0;
  for (size_t begin = 0; begin < pieces.size();) {
    size_t end = begin;
    uint64_t bytes = 0;
    while (end < pieces.size() && bytes < kRound) bytes += pieces[end++].bytes.size();
    check_pieces(std::span(pieces).subspan(begin, end - begin));
    done += bytes;
    if (progress) progress(done, total);
    begin = end;
  }
}

}  // namespace fathom
