#include "app/load_progress.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "app/terminal.h"
#include "base/text.h"

namespace fathom {
namespace {

constexpr double kBetweenDraws = 0.1;  // seconds

}  // namespace

LoadProgressLine::LoadProgressLine(std::ostream& out, bool redraws, std::string folder,
                                   std::function<double()> now)
    : out_(out),
      redraws_(redraws),
      folder_(visible(folder)),
      now_(std::move(now)),
      start_(now_()) {}

LoadProgressLine::~LoadProgressLine() {
  if (drawn_ && redraws_) out_ << "\r\033[K" << std::flush;
}

void LoadProgressLine::show(uint64_t bytes_read, uint64_t total_bytes) {
  if (total_bytes < kLeastBytes) return;
  const double now = now_(), read = static_cast<double>(bytes_read),
               total = static_cast<double>(total_bytes);
  if (!redraws_) {
    if (!std::exchange(drawn_, true))
      out_ << "loading " << folder_ << ": " << human_bytes(total) << std::endl;
    return;
  }
  if (drawn_ && now - shown_ < kBetweenDraws) return;
  drawn_ = true;
  shown_ = now;
  out_ << "\r\033[Kloading " << folder_ << ": " << human_bytes(read) << " of " << human_bytes(total)
       << ", " << human_bytes(read / std::max(1e-3, now - start_)) << "/s" << std::flush;
}

LoadedModel load_with_progress(const std::string& folder, Allocator& memory) {
  LoadProgressLine line(std::cerr, errors_can_be_redrawn(), folder);
  return load_model(folder, memory, WeightsFor::kInference,
                    [&](uint64_t read, uint64_t total) { line.show(read, total); });
}

}  // namespace fathom
