// Own code cuts text as the regular-expression library does, for each pattern that it knows. The
// first byte of an input chooses the steps, the rest is the text.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "property.h"
#include "text/regex.h"
#include "text/split_pattern.h"
#include "text/testing.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr size_t kLongest = 4096;  // bytes; the library's limits of a search are not reached

// Code points of which the library may know another class: those that its Unicode leaves
// unassigned, and U+180E, which some versions count as white space.
std::vector<bool> uncertain() {
  std::vector<bool> found(kCodePoints, true);
  const Regex assigned(R"(\P{Cn}+)");
  std::string all;
  for (char32_t c = 0; c < kCodePoints; ++c) {
    if (c < 0xD800 || c > 0xDFFF) append_utf8(all, c);
  }
  for (auto run = assigned.find(all, 0); run; run = assigned.find(all, run->end)) {
    for (size_t at = run->begin; at < run->end;) found[next_code_point(all, at)] = false;
  }
  found[0x180E] = true;
  return found;
}

struct Engines {
  Splitter own, library;
};

std::vector<Engines> compiled() {
  std::vector<Engines> engines;
  for (const std::vector<SplitStep>& rule : known_splits()) {
    engines.push_back({Splitter(rule), Splitter(rule, Splitter::Engine::kLibrary)});
    require(engines.back().own.is_linear(), "own code knows the steps");
  }
  return engines;
}

std::string text_of(std::string_view bytes) {
  static const std::vector<bool> kUncertain = uncertain();
  const std::string valid = replace_invalid_utf8(bytes.substr(0, kLongest));
  std::string text;
  for (size_t at = 0; at < valid.size();) {
    const size_t begin = at;
    if (!kUncertain[next_code_point(valid, at)]) text.append(valid, begin, at - begin);
  }
  return text;
}

void split(std::string_view input) {
  static const std::vector<Engines> kEngines = compiled();
  if (input.empty()) return;
  const Engines& engines = kEngines[static_cast<unsigned char>(input[0]) % kEngines.size()];
  const std::string text = text_of(input.substr(1));
  std::vector<uint32_t> own, library;
  engines.own.split(text, own);
  engines.library.split(text, library);
  require(own == library, "own code and the library cut alike");
  require(text.empty() ? own.empty() : own.back() == text.size(), "pieces are the whole text");
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fathom::split({reinterpret_cast<const char*>(data), size});
  return 0;
}
