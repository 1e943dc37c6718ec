#include "demo/demo_screen.h"

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "demo/demo_view.h"
#include "report/live.h"

namespace fathom {
namespace {

constexpr int kBarColumns = 24;
constexpr int kCurveColumns = 44;
constexpr int kMostExpertColumns = 16;
constexpr size_t kLabelColumns = 9;

std::string padded(const std::string& label) {
  return label + std::string(label.size() < kLabelColumns ? kLabelColumns - label.size() : 1, ' ');
}

// The load of one layer's experts; full shade is twice the mean.
std::string layer_strip(const Json& layer) {
  std::vector<double> counts;
  for (const Json& count : layer.items()) counts.push_back(count.as_double());
  const double mean = std::accumulate(counts.begin(), counts.end(), 0.0) /
                      std::max(1.0, static_cast<double>(counts.size()));
  return heat(counts, std::max(1e-9, 2 * mean),
              std::min(static_cast<int>(counts.size()), kMostExpertColumns));
}

}  // namespace

void DemoScreen::begin(const std::string& title) {
  title_ = title;
  last_ = Json();
  curves_.clear();
  samples_.clear();
}

void DemoScreen::take(const Json& event) {
  const std::string& kind = event.string_at("event");
  if (kind == "chapter") {
    begin(event.string_at("title"));
  } else if (kind == "start" || kind == "resume") {
    begin("GRPO");
  } else if (kind == "step") {
    take_step(event);
  } else if (kind == "sample") {
    samples_.clear();
    for (const Json& sample : event.at("samples").items()) samples_.push_back(sample_line(sample));
  }
}

void DemoScreen::take_step(const Json& event) {
  if (last_.is_null()) {
    timer_ = Timer();
    first_step_ = event.int_at("step");
  }
  last_ = event;
  follow(event, "loss", "loss", " nats", 4);
  follow(event, "reward", "reward", "", 3);
  follow(event, "mean_tokens", "length", " tokens", 1);
  follow(event, "reasoning_share", "reasons", " of answers", 3);
}

void DemoScreen::follow(const Json& event, const char* key, const std::string& label,
                        const std::string& unit, int digits) {
  const Json* value = event.find(key);
  if (value == nullptr || !value->is_number()) return;
  auto curve = std::find_if(curves_.begin(), curves_.end(),
                            [&](const Curve& c) { return c.label == label; });
  if (curve == curves_.end()) curve = curves_.insert(curves_.end(), {label, unit, digits, {}});
  curve->values.push_back(value->as_double());
}

std::string DemoScreen::progress_line() const {
  const int64_t step = last_.int_at("step"), steps = last_.int_at("steps");
  const double fraction =
      static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, steps));
  std::string line = concat(bar(fraction, kBarColumns), "  step ", step, "/", steps);
  const int64_t seen =
      step - first_step_;  // what was done before this sitting tells nothing about its speed
  if (seen > 0 && step < steps) {
    line += concat("  ",
                   human_seconds(timer_.seconds() * static_cast<double>(steps - step) /
                                 static_cast<double>(seen)),
                   " left");
  }
  return line;
}

std::string DemoScreen::speed_line() const {
  if (const Json* speed = last_.find("tokens_per_s"))
    return concat(padded("speed"), human_count(speed->as_double()), " tokens/s");
  const Json *tokens = last_.find("rollout_tokens"), *trained = last_.find("trained_tokens");
  if (tokens == nullptr || trained == nullptr) return "";
  const auto rate = [&](const Json& count, const char* seconds) {
    return human_count(count.as_double() / std::max(1e-9, last_.double_at(seconds)));
  };
  return concat(padded("speed"), rate(*tokens, "rollout_s"), " tokens/s sampled, ",
                rate(*trained, "train_s"), " tokens/s trained");
}

std::string DemoScreen::experts_line() const {
  const Json* load = last_.find("expert_load");
  if (load == nullptr) return "";
  std::string line = padded("experts");
  for (const Json& layer : load->items()) line += "|" + layer_strip(layer);
  line += "|";
  if (const Json* vio = last_.find("max_vio"))
    line += concat("  MaxVio ", fixed(vio->as_double(), 2));
  return line;
}

std::vector<std::string> DemoScreen::lines() const {
  if (last_.is_null()) return {};
  std::vector<std::string> lines = {title_, progress_line()};
  for (const Curve& curve : curves_) {
    lines.push_back(concat(padded(curve.label), sparkline(curve.values, kCurveColumns), "  ",
                           fixed(curve.values.back(), curve.digits), curve.unit));
  }
  for (const std::string& line : {speed_line(), experts_line()}) {
    if (!line.empty()) lines.push_back(line);
  }
  lines.insert(lines.end(), samples_.begin(), samples_.end());
  return lines;
}

}  // namespace fathom
