#include "demo/demo_view.h"

#include <algorithm>
#include <iostream>
#include <map>

#include "demo/demo_report.h"
#include "demo/demo_screen.h"
#include "io/files.h"
#include "report/live.h"
#include "text/tokenizer.h"
#include "train/run_report.h"

namespace fathom {
namespace {

constexpr int64_t kLongChapter = 500;  // steps from which a line stands for 50 of them
constexpr int kTextColumns = 78;

std::string share_text(double value) { return fixed(value, 3); }

// Text of a model as part of a line: whatever could move a cursor becomes a space, also the two
// bytes of U+0080–U+009F.
std::string on_one_line(std::string text) {
  const auto byte = [&](size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (byte(i) < 0x20 || byte(i) == 0x7F) text[i] = ' ';
    if (byte(i) == 0xC2 && byte(i + 1) >= 0x80 && byte(i + 1) <= 0x9F) text.replace(i, 2, " ");
  }
  return text;
}

// In a pipe not every step gets a line.
bool is_landmark(const Json& event) {
  const int64_t step = event.int_at("step"), steps = event.int_or("steps", 0);
  const int64_t every = event.contains("reward") ? 5 : steps >= kLongChapter ? 50 : 20;
  return step % every == 0 || step == steps || step == 1;
}

std::string step_line(const Json& event) {
  std::string line = concat("  step ", event.int_at("step"), "/", event.int_or("steps", 0));
  const auto add = [&](const char* key, const std::string& label, int digits) {
    const Json* value = event.find(key);
    if (value != nullptr && value->is_number())
      line += concat("  ", label, " ", fixed(value->as_double(), digits));
  };
  add("loss", "loss", 4);
  add("val_loss", "held out", 4);
  add("reward", "reward", 3);
  add("mean_tokens", "tokens", 1);
  add("reasoning_share", "reasons", 3);
  add("entropy", "entropy", 3);
  add("max_vio", "MaxVio", 2);
  if (const Json* speed = event.find("tokens_per_s"))
    line += concat("  ", human_count(speed->as_double()), " tokens/s");
  return line;
}

std::string exam_title(const std::string& name) {
  static const std::map<std::string, std::string> titles = {
      {"gate", "check"},
      {"before", "exam before GRPO"},
      {"after", "exam after GRPO"},
      {"exam_before", "exam before GRPO"},
      {"exam_after", "exam after GRPO"},
      {"greedy", "greedy answers"},
      {"second_before", "exam before the second task"},
      {"second_after", "exam after the second task"},
      {"first_after_second", "the first task after the second"},
      {"control_after", "exam after random rewards"},
  };
  const auto found = titles.find(name);
  return found == titles.end() ? name : found->second;
}

// Only the ways of asking that the exam used: greedy and forced figures of zero mean that it did
// not, except in a full exam.
std::string exam_line(const Json& event) {
  const std::string& name = event.string_at("name");
  std::string line = concat("  ", exam_title(name), ", ", event.string_at("task"), ": ");
  if (name == "greedy") return concat(line, "right ", share_text(event.double_at("greedy")));
  line += concat("right ", share_text(event.double_at("t1")), " ± ",
                 share_text(event.double_at("t1_se")));
  const bool is_full = name.ends_with("before") || name.ends_with("after") || name == "exam";
  const double greedy = event.double_at("greedy"), forced = event.double_at("t1_forced_thinking");
  if (greedy > 0 && is_full) {
    line +=
        concat(", greedy ", share_text(greedy), ", pass@8 ", share_text(event.double_at("pass8")));
  }
  line += concat(", ", fixed(event.double_at("mean_tokens"), 1), " tokens, reasons ",
                 share_text(event.double_at("reasoning_share")));
  if (forced > 0) line += concat(", with thinking forced ", share_text(forced));
  return line;
}

std::string sample_lines(const Json& event) {
  std::string text;
  for (const Json& sample : event.at("samples").items())
    text += concat(text.empty() ? "" : "\n", "    ", sample_line(sample));
  return text;
}

std::string start_line(const Json& event) {
  const int64_t step = event.int_or("step", 0);
  return concat("GRPO, ", event.int_at("steps"), " steps",
                step > 0 ? concat(", continuing at step ", step) : "");
}

std::string stopped_line(const Json& event) {
  return concat("stopped; all is saved in ", event.string_at("folder"),
                ", and the same command continues from there");
}

std::string wrapped(const std::string& text) {
  std::string out;
  int column = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    const int width = display_width(word);
    const bool breaks = column > 0 && column + 1 + width > kTextColumns;
    if (column > 0) out += breaks ? '\n' : ' ';
    column = column == 0 || breaks ? width : column + 1 + width;
    out += word;
    at = end + 1;
  }
  return out;
}

std::string cell(const std::string& text, int columns, bool to_right) {
  const std::string space(static_cast<size_t>(std::max(0, columns - display_width(text))), ' ');
  return to_right ? space + text : text + space;
}

std::string table_line(const std::string& name, const std::string& before,
                       const std::string& after) {
  return concat(cell(name, 38, false), cell(before, 16, true), cell(after, 16, true), "\n");
}

std::string comparison_line(const std::string& name, const Json& figures) {
  return table_line(name, share_text(figures.double_at("t1_before")),
                    share_text(figures.double_at("t1_after")));
}

std::string speeds(const Json& summary) {
  std::string text = human_seconds(summary.double_at("wall_s"));
  if (const Json* train = summary.find("train_tokens_per_s")) {
    text += concat(" in all; training ", human_count(train->as_double()), " tokens/s, sampling ",
                   human_count(summary.double_at("rollout_tokens_per_s")), " tokens/s\nMaxVio ",
                   fixed(summary.double_at("max_vio"), 2), ", multi-token agreement ",
                   share_text(summary.double_at("mtp_agreement")));
  }
  return text + "\n";
}

// The block on a terminal; what stays (chapters, exams, notes) is printed above it.
class TerminalView {
 public:
  void show(const Json& event) {
    const std::string& kind = event.string_at("event");
    screen_.take(event);
    if (kind == "step" || kind == "sample") {
      live_.update(screen_.lines());
    } else if (kind == "summary") {
      live_.clear();
      std::cout << demo_table(event) << std::flush;
    } else if (kind == "stopped") {
      live_.finish();
      std::cerr << demo_line(event) << "\n";
    } else if (const std::string line = demo_line(event); !line.empty()) {
      live_.print_above(line);
    }
  }

 private:
  DemoScreen screen_;
  LiveBlock live_{stderr};
};

// Plain lines: landmarks among the steps, samples with every fourth of them, everything else.
class LineView {
 public:
  void show(const Json& event) {
    const std::string& kind = event.string_at("event");
    if (kind == "summary") {
      std::cout << demo_table(event) << std::flush;
      return;
    }
    if (kind == "step") {
      const int64_t step = event.int_at("step");
      shows_samples_ = step % 20 == 0 || step == 1;
      if (!is_landmark(event)) return;
    }
    if (kind == "sample" && !shows_samples_) return;
    if (const std::string line = demo_line(event); !line.empty()) std::cerr << line << "\n";
  }

 private:
  bool shows_samples_ = false;
};

}  // namespace

std::string sample_line(const Json& sample) {
  std::string answer = sample.string_at("answer");
  const size_t end = answer.find(kEosToken);
  const bool is_cut = end == std::string::npos;
  if (!is_cut) answer.resize(end);
  return concat(sample.bool_at("right") ? "✓ " : "✗ ", on_one_line(sample.string_at("prompt")),
                "  →  ", on_one_line(answer), is_cut ? " …" : "");
}

std::string demo_line(const Json& event) {
  const std::string& kind = event.string_at("event");
  if (kind == "chapter")
    return concat(event.string_at("title"), ", ", event.int_at("steps"), " steps");
  if (kind == "start" || kind == "resume") return start_line(event);
  if (kind == "step") return step_line(event);
  if (kind == "sample") return sample_lines(event);
  if (kind == "exam") return exam_line(event);
  if (kind == "note") return "  " + on_one_line(event.string_at("message"));
  if (kind == "warning") return "  warning: " + on_one_line(event.string_at("message"));
  if (kind == "save") return "  saved " + event.string_at("folder");
  if (kind == "stopped") return stopped_line(event);
  return "";
}

std::string demo_table(const Json& summary) {
  const Json *before = summary.find("before"), *after = summary.find("after");
  if (before == nullptr || after == nullptr) return "";
  std::string text = "\n" + table_line("on held-out problems", "before GRPO", "after GRPO");
  for (const std::vector<std::string>& row : exam_rows(*before, *after))
    text += table_line(row[0], row[1], row[2]);
  const Json *second = summary.find("second_task"), *control = summary.find("control");
  if (second != nullptr && second->is_object()) {
    text += comparison_line(concat("second task, ", second->string_at("name")), *second);
  }
  if (control != nullptr && control->is_object())
    text += comparison_line("control: random rewards", *control);
  text += concat("\n", wrapped(honest_reading(*before, *after)), "\n\n", speeds(summary));
  const std::string& folder = summary.string_at("folder");
  return concat(text, "report: ", join_path(folder, "report.html"), "\nchat:   fathom chat ",
                shell_word(folder), "\n");
}

RunEvents demo_events(ProgressStyle style) {
  if (style == ProgressStyle::kJson) {
    return [](const Json& event) { std::cout << event.dump() << std::endl; };
  }
  if (style == ProgressStyle::kBlock) {
    return [view = std::make_shared<TerminalView>()](const Json& event) { view->show(event); };
  }
  return [view = std::make_shared<LineView>()](const Json& event) { view->show(event); };
}

}  // namespace fathom
