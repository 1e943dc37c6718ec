// Loading the model that a command works with.
//
// Threads: one.
#pragma once

#include <string>

#include "app/bytes_progress.h"
#include "app/command_line.h"
#include "checkpoint/model_folder.h"

namespace fathom {

struct ModelFlags {
  std::string folder;
  bool check_tensors = false;
  ProgressFlags progress = {};
};

// The positional argument FOLDER (or -m), --check-tensors and --progress.
void add_model_flags(Command& command, ModelFlags& flags);

// load_model() for inference; tells on standard error how far it is.
LoadedModel load_with_progress(const ModelFlags& flags, Allocator& memory);

// Reads every value of the folder's weights (checkpoint/value_check.h); tells how far it is.
void check_with_progress(const std::string& folder, const ProgressFlags& progress = {});

}  // namespace fathom
