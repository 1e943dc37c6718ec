#include "app/model_input.h"

#include <iostream>

#include "app/bytes_progress.h"
#include "app/earlier_checkpoint.h"
#include "app/terminal.h"
#include "checkpoint/tensor_names.h"
#include "checkpoint/value_check.h"

namespace fathom {

void add_model_flags(Command& command, ModelFlags& flags) {
  command.positional("folder", flags.folder, "model folder, or the folder of a run")
      .flag("--check-tensors", flags.check_tensors,
            "read every weight first and refuse what is not a number");
}

LoadedModel load_with_progress(const ModelFlags& flags, Allocator& memory) {
  return with_checkpoint_hint(flags.folder, /*resumes=*/false, [&] {
    if (flags.check_tensors) check_with_progress(flags.folder);
    BytesProgressLine line(std::cerr, errors_can_be_redrawn(), "loading", flags.folder);
    return load_model(flags.folder, memory, WeightsFor::kInference,
                      [&](uint64_t read, uint64_t total) { line.show(read, total); });
  });
}

void check_with_progress(const std::string& folder) {
  BytesProgressLine line(std::cerr, errors_can_be_redrawn(), "checking", folder);
  check_values(*open_weights(resolve_model_folder(folder)),
               [&](uint64_t read, uint64_t total) { line.show(read, total); });
}

}  // namespace fathom
