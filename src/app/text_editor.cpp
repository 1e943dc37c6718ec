#include "app/text_editor.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "app/inputs.h"
#include "base/error.h"
#include "base/stop.h"
#include "io/files.h"

namespace fathom {
namespace {

// A file for the editor's user alone, gone with its owner.
class DraftFile {
 public:
  DraftFile() : path_((std::filesystem::temp_directory_path() / "fathom-XXXXXX.txt").string()) {
    const int file = ::mkstemps(path_.data(), 4);
    if (file < 0) fail(ErrorCode::kRuntime, "editor: cannot create ", path_);
    ::close(file);
  }
  ~DraftFile() { ::unlink(path_.c_str()); }
  DraftFile(const DraftFile&) = delete;
  DraftFile& operator=(const DraftFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string editor_command() {
  for (const char* name : {"VISUAL", "EDITOR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "vi";
}

// The command may have arguments of its own, so a shell reads it.
bool run_editor(const std::string& path) {
  std::string script = editor_command() + " \"$1\"", file = path;
  std::string words[] = {"sh", "-c", script, "sh", file};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(),
                       words[3].data(), words[4].data(), nullptr};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);  // which this program ignores
  sigaddset(&usual, SIGXFSZ);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, "sh", nullptr, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return false;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (stop_signal() == SIGINT) clear_stop();  // Ctrl-C was the editor's
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::optional<std::string> edited_text(const std::string& text) {
  const DraftFile draft;
  write_file_atomically(draft.path(), text + "\n");
  if (!run_editor(draft.path())) return std::nullopt;
  return without_final_newline(read_file(draft.path()));
}

}  // namespace fathom
