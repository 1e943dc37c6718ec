#include "app/model_input.h"

#include <iostream>

#include "app/earlier_checkpoint.h"
#include "checkpoint/tensor_names.h"
#include "checkpoint/value_check.h"

namespace fathom {

namespace {

uint64_t least_bytes(const ProgressFlags& flags) {
  return flags.progress == "auto" ? BytesProgressLine::kLargeBytes : 0;
}

}  // namespace

void add_model_flags(Command& command, ModelFlags& flags) {
  command.model_folder(flags.folder, "model folder, or the folder of a run")
      .flag("--check-tensors", flags.check_tensors,
            "read every weight first and refuse what is not a number");
  add_progress_flag(command, flags.progress);
}

LoadedModel load_with_progress(const ModelFlags& flags, Allocator& memory) {
  return with_checkpoint_hint(flags.folder, /*resumes=*/false, [&] {
    if (flags.check_tensors) check_with_progress(flags.folder, flags.progress);
    BytesProgressLine line(std::cerr, progress_style(flags.progress), least_bytes(flags.progress),
                           "loading", flags.folder);
    return load_model(flags.folder, memory, WeightsFor::kInference,
                      [&](uint64_t read, uint64_t total) { line.show(read, total); });
  });
}

void check_with_progress(const std::string& folder, const ProgressFlags& flags) {
  BytesProgressLine line(std::cerr, progress_style(flags), least_bytes(flags), "checking", folder);
  check_values(*open_weights(resolve_model_folder(folder)),
               [&](uint64_t read, uint64_t total) { line.show(read, total); });
}

}  // namespace fathom
