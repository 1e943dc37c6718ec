#include "app/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <iostream>

#include "app/terminal.h"
#include "base/error.h"
#include "base/stop.h"

namespace fathom {
namespace {

constexpr int kHistoryLines = 1000;

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

// The next key, for the library: 1; 0 at the end of input; -1 where a stop is asked for. Its own
// reader would sleep through a signal that comes just before it reads.
int read_key(EditLine*, wchar_t* key) {
  std::mbstate_t state{};
  for (;;) {
    char byte = 0;
    if (!wait_for_input()) return -1;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return static_cast<int>(count);
    const size_t length = std::mbrtowc(key, &byte, 1, &state);
    if (length == static_cast<size_t>(-2)) continue;  // a piece of a character
    if (length == static_cast<size_t>(-1)) *key = L'\uFFFD';
    return 1;
  }
}

}  // namespace

struct LineEditor::Impl {
  std::string prompt;
  History* history = nullptr;
  EditLine* editor = nullptr;

  ~Impl() {
    if (editor != nullptr) el_end(editor);
    if (history != nullptr) history_end(history);
  }

  static char* prompt_of(EditLine* editor) {
    Impl* impl = nullptr;
    el_get(editor, EL_CLIENTDATA, &impl);
    return impl->prompt.data();
  }

  void remember(const std::string& line) {
    HistEvent event;
    if (line.find_first_not_of(" \t") != std::string::npos)
      ::history(history, &event, H_ENTER, line.c_str());
  }

  bool nothing_typed() const {
    const LineInfo* info = el_line(editor);
    return info->buffer == info->lastchar;
  }
};

LineEditor::LineEditor() : impl_(std::make_unique<Impl>()) {
  const Utf8Locale locale;
  impl_->history = history_init();
  impl_->editor = el_init("fathom", stdin, stderr, stderr);
  if (impl_->history == nullptr || impl_->editor == nullptr)
    fail(ErrorCode::kRuntime, "chat: the terminal cannot be edited on; try TERM=dumb");
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, kHistoryLines);
  ::history(impl_->history, &event, H_SETUNIQUE, 1);
  el_set(impl_->editor, EL_CLIENTDATA, impl_.get());
  el_set(impl_->editor, EL_PROMPT, &Impl::prompt_of);
  el_set(impl_->editor, EL_GETCFN, &read_key);
  el_set(impl_->editor, EL_HIST, ::history, impl_->history);
  el_set(impl_->editor, EL_EDITOR, "emacs");
  el_set(impl_->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_source(impl_->editor, nullptr);
}

LineEditor::~LineEditor() = default;

LineEvent LineEditor::read(const std::string& prompt, std::string& line) {
  const Utf8Locale locale;
  impl_->prompt = prompt;
  el_resize(impl_->editor);
  el_set(impl_->editor, EL_PREP_TERM, 1);  // before the prompt: keys may follow it at once
  int bytes = 0;
  const char* typed = el_gets(impl_->editor, &bytes);
  if (typed == nullptr || bytes <= 0) {
    if (!stop_requested()) return LineEvent::kEnd;
    std::cerr << "^C\n";
    return impl_->nothing_typed() ? LineEvent::kLeft : LineEvent::kInterrupted;
  }
  line.assign(typed, static_cast<size_t>(bytes));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  impl_->remember(line);
  return LineEvent::kLine;
}

}  // namespace fathom
