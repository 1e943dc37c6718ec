#include "app/bytes_progress.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "app/terminal.h"
#include "base/text.h"
#include "io/json.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr double kBetweenDraws = 0.1;  // seconds

}  // namespace

ProgressStyle progress_style(const ProgressFlags& flags) {
  const std::string& word = flags.progress;
  if (word == "never") return ProgressStyle::kNone;
  if (word == "json") return ProgressStyle::kJson;
  if (word != "auto" && word != "always") {
    fail(ErrorCode::kUsage, "--progress is '", word, "'; expected never, auto, always or json");
  }
  return errors_can_be_redrawn() ? ProgressStyle::kRedrawn : ProgressStyle::kLines;
}

void add_progress_flag(Command& command, ProgressFlags& flags) {
  command.option("--progress", flags.progress,
                 "of loading, on standard error: never, auto (large folders), always or json");
}

BytesProgressLine::BytesProgressLine(std::ostream& out, ProgressStyle style, uint64_t least_bytes,
                                     const char* doing, std::string folder,
                                     std::function<double()> now)
    : out_(out),
      style_(style),
      least_bytes_(least_bytes),
      doing_(doing),
      folder_(visible(folder)),
      now_(std::move(now)),
      start_(now_()) {}

BytesProgressLine::~BytesProgressLine() {
  if (drawn_ && style_ == ProgressStyle::kRedrawn) out_ << "\r\033[K" << std::flush;
}

void BytesProgressLine::show(uint64_t bytes_done, uint64_t total_bytes) {
  if (style_ == ProgressStyle::kNone || total_bytes < least_bytes_ || total_bytes == 0) return;
  if (style_ == ProgressStyle::kRedrawn) return redraw(bytes_done, total_bytes);
  const auto tenths = static_cast<uint64_t>(10 * static_cast<double>(bytes_done) /
                                            static_cast<double>(total_bytes));
  if (drawn_ && tenths <= tenths_) return;
  drawn_ = true;
  tenths_ = tenths;
  write_line(bytes_done, total_bytes);
}

void BytesProgressLine::redraw(uint64_t bytes_done, uint64_t total_bytes) {
  const double now = now_(), read = static_cast<double>(bytes_done),
               total = static_cast<double>(total_bytes);
  if (drawn_ && now - shown_ < kBetweenDraws) return;
  drawn_ = true;
  shown_ = now;
  const double speed = read / std::max(1e-3, now - start_);
  out_ << "\r\033[K" << doing_ << " " << folder_ << ": " << human_bytes(read) << " of "
       << human_bytes(total) << ", " << human_bytes(speed) << "/s";
  if (speed > 0) out_ << ", " << human_seconds((total - read) / speed) << " left";
  out_ << std::flush;
}

void BytesProgressLine::write_line(uint64_t bytes_done, uint64_t total_bytes) {
  if (style_ == ProgressStyle::kJson) {
    Json event = Json::object({{"event", doing_}, {"folder", replace_invalid_utf8(folder_)}});
    event["bytes_done"] = static_cast<int64_t>(bytes_done);
    event["total_bytes"] = static_cast<int64_t>(total_bytes);
    event["seconds"] = now_() - start_;
    out_ << event.dump() << std::endl;
  } else {
    out_ << doing_ << " " << folder_ << ": " << 10 * tenths_ << " % of "
         << human_bytes(static_cast<double>(total_bytes)) << std::endl;
  }
}

}  // namespace fathom
