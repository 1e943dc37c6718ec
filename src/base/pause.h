// A moment of waiting inside a loop that watches another thread.
#pragma once

namespace fathom {

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace fathom
