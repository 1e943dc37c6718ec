#include "app/bytes_progress.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "app/terminal.h"
#include "base/text.h"

namespace fathom {
namespace {

constexpr double kBetweenDraws = 0.1;  // seconds

}  // namespace

BytesProgressLine::BytesProgressLine(std::ostream& out, bool redraws, const char* doing,
                                     std::string folder, std::function<double()> now)
    : out_(out),
      redraws_(redraws),
      doing_(doing),
      folder_(visible(folder)),
      now_(std::move(now)),
      start_(now_()) {}

BytesProgressLine::~BytesProgressLine() {
  if (drawn_ && redraws_) out_ << "\r\033[K" << std::flush;
}

void BytesProgressLine::show(uint64_t bytes_done, uint64_t total_bytes) {
  if (total_bytes < kLeastBytes) return;
  const double now = now_(), read = static_cast<double>(bytes_done),
               total = static_cast<double>(total_bytes);
  if (!redraws_) {
    if (!std::exchange(drawn_, true))
      out_ << doing_ << " " << folder_ << ": " << human_bytes(total) << std::endl;
    return;
  }
  if (drawn_ && now - shown_ < kBetweenDraws) return;
  drawn_ = true;
  shown_ = now;
  out_ << "\r\033[K" << doing_ << " " << folder_ << ": " << human_bytes(read) << " of "
       << human_bytes(total) << ", " << human_bytes(read / std::max(1e-3, now - start_)) << "/s"
       << std::flush;
}

}  // namespace fathom
