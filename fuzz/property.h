// What a fuzz target holds to be true of an input that was accepted.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fathom {

// Ends the program, so that a fuzzer keeps the input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken property: %s\n", what);
  std::abort();
}

}  // namespace fathom
