// A file read front to back in pieces, so that it never stands in memory whole; what ends in .gz is
// decompressed on the way.
//
// Every error is fathom::Error(kRuntime) and names the path. Threads: one at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace fathom {

class TextInput {
 public:
  // Fails on a file that is missing, and on a .gz that holds no gzip data.
  explicit TextInput(std::string path);
  ~TextInput();
  TextInput(TextInput&& other) noexcept;
  TextInput& operator=(TextInput&& other) noexcept;

  // Fills `out` as far as the file reaches; 0 at its end, and fails where compressed data is
  // damaged or cut.
  size_t read(std::span<char> out);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  void* file_ = nullptr;  // of zlib
};

}  // namespace fathom
