// Errors about a run's damaged checkpoint, with the way to go on: the checkpoint before it.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "base/error.h"

namespace fathom {

// What to add to an error that came while `path` was read: empty unless `path` is a run's folder
// and the message speaks of one of its checkpoints.  `resumes`: the run itself is to be continued,
// not its model used.
std::string earlier_checkpoint_hint(const std::string& path, const std::string& message,
                                    bool resumes);

template <class Call>
auto with_checkpoint_hint(const std::string& path, bool resumes, Call&& call) {
  try {
    return call();
  } catch (const Error& error) {
    throw Error(error.code(), error.what() + earlier_checkpoint_hint(path, error.what(), resumes));
  }
}

}  // namespace fathom
