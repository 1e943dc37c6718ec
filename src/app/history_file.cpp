#include "app/history_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "io/files.h"

namespace fathom {
namespace {

std::string escaped(const std::string& line) {
  std::string out;
  for (const char c : line) {
    if (c == '\\' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out + "\n";
}

std::vector<std::string> unescaped_lines(const std::string& content) {
  std::vector<std::string> lines(1);
  for (size_t at = 0; at < content.size(); ++at) {
    if (content[at] == '\n') {
      lines.emplace_back();
    } else if (content[at] == '\\' && at + 1 < content.size()) {
      lines.back() += content[++at] == 'n' ? '\n' : content[at];
    } else {
      lines.back() += content[at];
    }
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

// Other users have no business with it, also where the umask is open.
void make_private(const std::string& path) {
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file >= 0) ::close(file);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::vector<std::string> HistoryFile::read(size_t most) const {
  if (path_.empty() || !exists(path_)) return {};
  try {
    std::vector<std::string> lines = unescaped_lines(read_file(path_));
    if (lines.size() <= most) return lines;
    const bool cut = lines.size() >= 2 * most;
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
    if (cut) {
      remove_all(path_);
      for (const std::string& line : lines) append(line);
    }
    return lines;
  } catch (const Error&) {
    return {};
  }
}

void HistoryFile::append(const std::string& line) const {
  if (path_.empty()) return;
  try {
    make_directories(std::filesystem::path(path_).parent_path().string());
    make_private(path_);
    AppendFile(path_).write(escaped(line));
  } catch (const Error&) {
    // The line was still typed, and is answered.
  }
}

std::string default_history_path() {
  const std::string off = variable("FATHOM_NOHISTORY");
  if (!off.empty() && off != "0") return "";
  std::string state = variable("XDG_STATE_HOME");
  const std::string home = variable("HOME");
  if (state.empty() && home.empty()) return "";
  if (state.empty()) state = join_path(home, ".local/state");
  return join_path(state, "fathom/history");
}

}  // namespace fathom
