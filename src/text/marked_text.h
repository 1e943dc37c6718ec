// Text that remembers, byte by byte, where it comes from.
//
// A chat template mixes its own words with those of users. Only its own may become control tokens,
// however it cuts, joins or replaces strings on the way, so each byte carries its mark with it.
//
// Threads: a value.  Invariant: bytes() and marks() have one length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace fathom {

// Bits of a byte's mark.
inline constexpr char kOwnMark = 0;     // written by the template
inline constexpr char kInputMark = 1;   // came with messages or tools: stays text
inline constexpr char kAnswerMark = 2;  // stands in a {% generation %} block
inline constexpr char kCutMark = 4;     // where a prompt is cut, for the model to go on

class MarkedText {
 public:
  MarkedText() = default;
  explicit MarkedText(std::string bytes, char mark = kOwnMark)
      : bytes_(std::move(bytes)), marks_(bytes_.size(), mark) {}

  const std::string& bytes() const { return bytes_; }
  const std::string& marks() const { return marks_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  void append(const MarkedText& other) {
    bytes_ += other.bytes_;
    marks_ += other.marks_;
  }
  void append(std::string_view bytes, char mark = kOwnMark) {
    bytes_ += bytes;
    marks_.append(bytes.size(), mark);
  }
  MarkedText substr(size_t at, size_t count = std::string::npos) const {
    MarkedText part;
    part.bytes_ = bytes_.substr(at, count);
    part.marks_ = marks_.substr(at, count);
    return part;
  }
  void resize(size_t size) {
    bytes_.resize(size);
    marks_.resize(size, kOwnMark);
  }
  // Adds the bits of `mark` to the bytes [begin, end).
  void mark(size_t begin, size_t end, char bits) {
    for (size_t at = begin; at < end; ++at) marks_[at] = static_cast<char>(marks_[at] | bits);
  }
  // Takes the marks of [begin, end) away: these bytes count as the template's own.
  void trust(size_t begin, size_t end) {
    for (size_t at = begin; at < end; ++at) marks_[at] = kOwnMark;
  }

  bool operator==(const MarkedText& other) const { return bytes_ == other.bytes_; }

 private:
  std::string bytes_;
  std::string marks_;
};

}  // namespace fathom
