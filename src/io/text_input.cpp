#include "io/text_input.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "io/files.h"

namespace fathom {
namespace {

constexpr unsigned kBufferBytes = 1 << 17;
constexpr size_t kMostAtOnce = size_t{1} << 30;  // zlib counts in int

gzFile handle(void* file) { return static_cast<gzFile>(file); }

std::string reason(gzFile file) {
  int code = Z_OK;
  const char* message = gzerror(file, &code);
  if (code == Z_ERRNO) return std::strerror(errno);
  if (code == Z_BUF_ERROR) return "the compressed data ends too early";
  return message;
}

}  // namespace

TextInput::TextInput(std::string path) : path_(std::move(path)) {
  if (is_directory(path_)) fail(ErrorCode::kRuntime, "reading ", path_, ": it is a folder");
  gzFile file = gzopen(path_.c_str(), "rb");
  if (file == nullptr) {
    fail(ErrorCode::kRuntime, "opening ", path_, ": ",
         errno != 0 ? std::strerror(errno) : "not enough memory");
  }
  file_ = file;
  gzbuffer(file, kBufferBytes);
  if (path_.ends_with(".gz") && file_size(path_) > 0 && gzdirect(file) != 0) {
    gzclose(file);
    fail(ErrorCode::kRuntime, path_, ": expected gzip data, as the name says; it has no such ",
         "beginning. Rename the file, or compress it with gzip");
  }
}

TextInput::~TextInput() {
  if (file_ != nullptr) gzclose(handle(file_));
}

TextInput::TextInput(TextInput&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, nullptr)) {}

TextInput& TextInput::operator=(TextInput&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

size_t TextInput::read(std::span<char> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    const auto wanted = static_cast<unsigned>(std::min(out.size() - filled, kMostAtOnce));
    const int got = gzread(handle(file_), out.data() + filled, wanted);
    // At the end of a cut file gzread reports nothing but sets the error.
    int code = Z_OK;
    gzerror(handle(file_), &code);
    if (got < 0 || code < 0)
      fail(ErrorCode::kRuntime, "reading ", path_, ": ", reason(handle(file_)));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  return filled;
}

}  // namespace fathom
