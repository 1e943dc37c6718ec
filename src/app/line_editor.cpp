#include "app/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <iostream>

#include "app/history_file.h"
#include "app/key_sequences.h"
#include "app/terminal.h"
#include "app/text_editor.h"
#include "base/error.h"
#include "base/stop.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr int kHistoryLines = 1000;
// The terminal marks what is pasted (bracketed paste).
constexpr const char* kPasteMarksOn = "\033[?2004h";
constexpr const char* kPasteMarksOff = "\033[?2004l";

// The character set in which the library reads keys, for this thread and while it lives: the user's
// where that is UTF-8, else plain UTF-8, which all our texts are.
class Utf8Locale {
 public:
  Utf8Locale() {
    use(newlocale(LC_CTYPE_MASK, "", nullptr));
    if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
      use(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr));
  }
  ~Utf8Locale() {
    uselocale(before_);
    if (own_ != nullptr) freelocale(own_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  void use(locale_t wanted) {
    if (wanted == nullptr) return;  // not installed
    uselocale(wanted);
    if (own_ != nullptr) freelocale(own_);
    own_ = wanted;
  }

  locale_t before_ = uselocale(nullptr), own_ = nullptr;
};

constexpr double kWithinSequence = 0.05;  // seconds between two bytes of one key

// A byte from the terminal: 1; 0 at the end of input; -1 where a stop is asked for. The library's
// own reader would sleep through a signal that comes just before it reads.
int read_byte(char& byte) {
  for (;;) {
    if (!wait_for_input()) return -1;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    return static_cast<int>(count);
  }
}

// The rest of a key whose first byte is escape; escape alone where nothing follows at once.
std::string read_sequence() {
  std::string sequence = "\033";
  char byte = 0;
  while (!sequence_is_whole(sequence) && input_arrives(kWithinSequence) && read_byte(byte) == 1)
    sequence += byte;
  return sequence;
}

// Line ends as \n; other control characters would drive the terminal when the line is shown.
std::string pasted_text(const std::string& bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c == '\r') {
      text += '\n';
      if (at + 1 < bytes.size() && bytes[at + 1] == '\n') ++at;
    } else if (c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F)) {
      text += c;
    }
  }
  return replace_invalid_utf8(text);
}

std::string common_start(const std::vector<std::string>& words) {
  std::string start = words.front();
  for (const std::string& word : words) {
    const auto [end, ignored] = std::mismatch(start.begin(), start.end(), word.begin(), word.end());
    start.erase(end, start.end());
  }
  while (replace_invalid_utf8(start) != start) start.pop_back();
  return start;
}

}  // namespace

struct LineEditor::Impl {
  LineEditorSettings settings;
  HistoryFile history_file{""};
  std::string prompt;
  std::string keys;  // known bytes that the library has yet to read
  History* history = nullptr;
  EditLine* editor = nullptr;

  ~Impl() {
    if (editor != nullptr) el_end(editor);
    if (history != nullptr) history_end(history);
  }

  static Impl& of(EditLine* editor) {
    Impl* impl = nullptr;
    el_get(editor, EL_CLIENTDATA, &impl);
    return *impl;
  }

  static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }

  // The next byte for the library, out of keys that it knows.
  int next_byte(char& byte) {
    while (keys.empty()) {
      const int count = read_byte(byte);
      if (count != 1) return count;
      keys = byte == '\033' ? std::string(known_sequence(read_sequence())) : std::string(1, byte);
    }
    byte = keys.front();
    keys.erase(0, 1);
    return 1;
  }

  static int read_key(EditLine* editor, wchar_t* key) {
    std::mbstate_t state{};
    for (;;) {
      char byte = 0;
      const int count = of(editor).next_byte(byte);
      if (count != 1) return count;
      const size_t length = std::mbrtowc(key, &byte, 1, &state);
      if (length == static_cast<size_t>(-2)) continue;  // a piece of a character
      if (length == static_cast<size_t>(-1)) *key = L'\uFFFD';
      return 1;
    }
  }

  // Up to the end of the paste; the line ends in it do not end the line.
  static unsigned char paste(EditLine* editor, int) {
    std::string bytes;
    char byte = 0;
    while (!bytes.ends_with(kPasteEnd)) {
      if (read_byte(byte) != 1) return CC_EOF;
      bytes += byte;
    }
    bytes.resize(bytes.size() - kPasteEnd.size());
    const std::string text = pasted_text(bytes);
    return text.empty() || el_insertstr(editor, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  static unsigned char edit(EditLine* editor, int) {
    const LineInfo* info = el_line(editor);
    const std::string line(info->buffer, info->lastchar);
    el_set(editor, EL_PREP_TERM, 0);
    std::cerr << "\n";
    const std::optional<std::string> edited = edited_text(line);
    el_set(editor, EL_PREP_TERM, 1);
    if (!edited || el_replacestr(editor, edited->c_str()) != 0) return CC_REDISPLAY;
    return CC_REDISPLAY;
  }

  static unsigned char complete(EditLine* editor, int) {
    const Impl& impl = of(editor);
    if (!impl.settings.complete) return CC_ERROR;
    const LineInfo* info = el_line(editor);
    const std::string before(info->buffer, info->cursor);
    const std::vector<std::string> words = impl.settings.complete(before);
    if (words.empty()) return CC_ERROR;
    const std::string start = common_start(words);
    if (start.size() > before.size() && start.starts_with(before)) {
      el_insertstr(editor, start.c_str() + before.size());
      return CC_REFRESH;
    }
    if (words.size() == 1) return CC_ERROR;
    std::cerr << "\n";
    for (const std::string& word : words) std::cerr << visible(word) << "  ";
    std::cerr << "\n";
    return CC_REDISPLAY;
  }

  void remember(const std::string& line) {
    if (line.find_first_not_of(" \t\n") == std::string::npos) return;
    HistEvent event;
    ::history(history, &event, H_ENTER, line.c_str());
  }

  void bind(const char* name, const char* help, const char* keys_of_it,
            unsigned char (*function)(EditLine*, int)) {
    el_set(editor, EL_ADDFN, name, help, function);
    el_set(editor, EL_BIND, keys_of_it, name, nullptr);
  }

  void bind_keys() {
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(editor, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
    bind("fathom-paste", "Insert what is pasted", "\\e[200~", &Impl::paste);
    bind("fathom-edit", "Take the line into an editor", "^G", &Impl::edit);
    bind("fathom-complete", "Complete the word", "^I", &Impl::complete);
    el_source(editor, nullptr);
  }

  bool nothing_typed() const {
    const LineInfo* info = el_line(editor);
    return info->buffer == info->lastchar;
  }
};

LineEditor::LineEditor(LineEditorSettings settings) : impl_(std::make_unique<Impl>()) {
  const Utf8Locale locale;
  impl_->settings = std::move(settings);
  impl_->history_file = HistoryFile(impl_->settings.history_path);
  impl_->history = history_init();
  impl_->editor = el_init("fathom", stdin, stderr, stderr);
  if (impl_->history == nullptr || impl_->editor == nullptr)
    fail(ErrorCode::kRuntime, "chat: the terminal cannot be edited on; try TERM=dumb");
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, kHistoryLines);
  ::history(impl_->history, &event, H_SETUNIQUE, 1);
  for (const std::string& line : impl_->history_file.read(kHistoryLines)) impl_->remember(line);
  el_set(impl_->editor, EL_CLIENTDATA, impl_.get());
  el_set(impl_->editor, EL_PROMPT, &Impl::prompt_of);
  el_set(impl_->editor, EL_GETCFN, &Impl::read_key);
  el_set(impl_->editor, EL_HIST, ::history, impl_->history);
  impl_->bind_keys();
}

LineEditor::~LineEditor() = default;

LineEvent LineEditor::read(const std::string& prompt, std::string& line) {
  const Utf8Locale locale;
  impl_->prompt = prompt;
  el_resize(impl_->editor);
  el_set(impl_->editor, EL_PREP_TERM, 1);  // before the prompt: keys may follow it at once
  std::cerr << kPasteMarksOn << std::flush;
  int bytes = 0;
  const char* typed = el_gets(impl_->editor, &bytes);
  std::cerr << kPasteMarksOff << std::flush;
  if (typed == nullptr || bytes <= 0) {
    if (!stop_requested()) return LineEvent::kEnd;
    std::cerr << "^C\n";
    return impl_->nothing_typed() ? LineEvent::kLeft : LineEvent::kInterrupted;
  }
  line.assign(typed, static_cast<size_t>(bytes));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  impl_->remember(line);
  if (line.find_first_not_of(" \t\n") != std::string::npos) impl_->history_file.append(line);
  return LineEvent::kLine;
}

}  // namespace fathom
