#include "checkpoint/value_check.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
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

class Reader {
 public:
  Reader(const SafetensorsFolder& weights, const ByteProgress& progress)
      : weights_(weights), progress_(progress) {
    for (const auto& [name, at] : weights.tensors()) order_.push_back({&name, &at});
    // As the files hold them: disks read best forwards.
    std::sort(order_.begin(), order_.end(), [](const Tensor& a, const Tensor& b) {
      return std::pair(a.at->file, a.at->entry->begin) < std::pair(b.at->file, b.at->entry->begin);
    });
  }

  void run() {
    for (const Tensor& tensor : order_) {
      const std::span<const std::byte> bytes = tensor.at->file->bytes(*tensor.at->entry);
      const std::optional<Lanes> lanes = lanes_of(tensor.at->entry->dtype);
      if (lanes) check(tensor, bytes, *lanes);
      if (tensor.name->ends_with("_scale_inv")) check_scales(tensor, bytes);
      done_ += bytes.size();
      if (progress_) progress_(done_, weights_.total_bytes());
    }
  }

 private:
  struct Tensor {
    const std::string* name;
    const SafetensorsFolder::Location* at;
  };

  void check(const Tensor& tensor, std::span<const std::byte> bytes, const Lanes& lanes) const {
    for (uint64_t round = 0; round < bytes.size(); round += kRound) {
      const auto here = bytes.subspan(round, std::min(kRound, bytes.size() - round));
      const uint64_t found = first_wrong_of(here, lanes);
      if (found != kNone)
        refuse_value(*tensor.at, *tensor.name, (round + found) / lanes.bytes, "a finite number");
      if (progress_) progress_(done_ + round, weights_.total_bytes());
    }
  }

  // By all threads, in pieces.
  static uint64_t first_wrong_of(std::span<const std::byte> bytes, const Lanes& lanes) {
    std::atomic<uint64_t> first{kNone};
    const auto pieces = static_cast<int64_t>((bytes.size() + kPiece - 1) / kPiece);
    share_tasks(pieces, [&](int64_t piece, int) {
      const uint64_t begin = static_cast<uint64_t>(piece) * kPiece;
      const auto here = bytes.subspan(begin, std::min(kPiece, bytes.size() - begin));
      read_ahead(here);
      const uint64_t found = first_wrong(here, lanes);
      if (found == kNone) return;
      uint64_t known = first.load();
      while (begin + found < known && !first.compare_exchange_weak(known, begin + found)) {
      }
    });
    return first.load();
  }

  static void check_scales(const Tensor& tensor, std::span<const std::byte> bytes) {
    for (uint64_t at = 0; at + sizeof(float) <= bytes.size(); at += sizeof(float)) {
      float scale;
      std::memcpy(&scale, bytes.data() + at, sizeof scale);
      if (!(scale > 0))
        refuse_value(*tensor.at, *tensor.name, at / sizeof(float), "a factor above 0");
    }
  }

  const SafetensorsFolder& weights_;
  const ByteProgress& progress_;
  std::vector<Tensor> order_;
  uint64_t done_ = 0;
};

}  // namespace

void check_values(const SafetensorsFolder& weights, const ByteProgress& progress) {
  Reader(weights, progress).run();
}

}  // namespace fathom
