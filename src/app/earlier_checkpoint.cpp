#include "app/earlier_checkpoint.h"

#include <vector>

#include "base/text.h"
#include "io/files.h"

namespace fathom {

std::string earlier_checkpoint_hint(const std::string& path, const std::string& message,
                                    bool resumes) {
  const std::string folder = join_path(path, "checkpoints");
  if (!is_directory(folder)) return "";
  std::string before;
  for (const std::string& name : list_directory(folder)) {
    const std::string checkpoint = join_path(folder, name);
    if (!name.starts_with("step-")) continue;
    if (message.find(checkpoint) == std::string::npos) {
      before = checkpoint;
      continue;
    }
    if (before.empty()) return concat(". ", path, " has no checkpoint before this one");
    return resumes ? concat(". The checkpoint before it is ", before, ": remove ", checkpoint,
                            ", and the same command continues from there")
                   : concat(". The checkpoint before it is ", before,
                            "; it can be used in place of ", path);
  }
  return "";
}

}  // namespace fathom
