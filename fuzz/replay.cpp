// Runs a fuzz target once on each file of the given folders, for builds without libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "io/files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::string& name : fathom::list_directory(argv[i])) {
      std::printf("%s\n", name.c_str());
      std::fflush(stdout);  // the last line before a crash names the input
      const std::string bytes = fathom::read_file(fathom::join_path(argv[i], name));
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      ++files;
    }
  }
  std::printf("%d inputs\n", files);
  return files > 0 ? 0 : 1;
}
