#include "train/run_events.h"

#include <cstdio>
#include <iostream>
#include <numeric>
#include <vector>

#include "report/live.h"

namespace fathom {
namespace {

std::string figures(const Json& event) {
  std::string text;
  if (const Json* loss = event.find("loss")) text += concat("loss ", fixed(loss->as_double(), 4));
  if (const Json* mtp = event.find("mtp_loss"))
    text += concat("  mtp ", fixed(mtp->as_double(), 3));
  if (const Json* norm = event.find("grad_norm"))
    text += concat("  norm ", fixed(norm->as_double(), 2));
  if (const Json* vio = event.find("max_vio"))
    text += concat("  max_vio ", fixed(vio->as_double(), 2));
  if (const Json* speed = event.find("tokens_per_s"))
    text += concat("  ", human_count(speed->as_double()), " tokens/s");
  return text;
}

std::string validation(const Json& event) {
  const Json* loss = event.find("val_loss");
  return loss ? concat("validation loss ", fixed(loss->as_double(), 4))
              : "validation loss not finite";
}

std::string plain_line(const Json& event) {
  const std::string& kind = event.string_at("event");
  const std::string step = concat("step ", event.int_or("step", event.int_or("steps", 0)), "/",
                                  event.int_or("steps", 0));
  if (kind == "start" || kind == "resume") {
    const Json& count = event.at("parameters");
    return concat(
        kind == "start" ? "training " : concat("continuing at step ", event.int_at("step"), ": "),
        human_count(count.double_at("total")), " parameters, ",
        human_count(count.double_at("active")), " active; ",
        human_count(event.double_at("train_tokens")), " tokens to train on, ",
        human_count(event.double_at("validation_tokens")), " held out");
  }
  if (kind == "step") return concat(step, "  ", figures(event));
  if (kind == "eval") return concat(step, "  ", validation(event));
  if (kind == "save") return concat("saved ", event.string_at("folder"));
  if (kind == "warning") return concat("warning: ", event.string_at("message"));
  if (kind == "stopped") {
    return concat("stopped at step ", event.int_at("step"), "; the same command continues from ",
                  event.string_at("folder"));
  }
  return "";
}

void print_summary(const Json& event) {
  std::cout << "steps " << event.int_at("steps") << ", tokens " << event.int_at("tokens");
  if (!event.at("train_loss").is_null())
    std::cout << ", train loss " << fixed(event.double_at("train_loss"), 4);
  if (!event.at("val_loss").is_null())
    std::cout << ", validation loss " << fixed(event.double_at("val_loss"), 4);
  std::cout << ", " << human_seconds(event.double_at("wall_s")) << ", "
            << human_count(event.double_at("tokens_per_s")) << " tokens/s, peak "
            << fixed(event.double_at("peak_rss_mb"), 0) << " MB\n"
            << "talk to it: fathom run " << event.string_at("folder") << " \"…\"\n";
}

// The redrawn block: progress, figures, the loss curve so far, the load of experts.
class Block {
 public:
  void show(const Json& event) {
    const std::string& kind = event.string_at("event");
    if (kind == "step") {
      if (const Json* loss = event.find("loss")) losses_.push_back(loss->as_double());
      last_ = event;
    } else if (kind == "eval") {
      validation_ = concat(validation(event), " at step ", event.int_at("step"));
    } else {
      if (const std::string line = plain_line(event); !line.empty()) live_.print_above(line);
      return;
    }
    if (!last_.is_object()) return;
    live_.update(lines());
  }

  void finish() { live_.finish(); }

 private:
  std::vector<std::string> lines() const {
    const double done = last_.double_at("step") / last_.double_at("steps");
    const double left = done > 0 ? last_.double_at("seconds") * (1 - done) / done : 0;
    std::vector<std::string> out = {
        concat(bar(done, 30), "  step ", last_.int_at("step"), "/", last_.int_at("steps"), "  ",
               human_seconds(left), " left"),
        figures(last_),
        concat("loss ", sparkline(losses_, 50), "  ", validation_),
    };
    if (const Json* load = last_.find("expert_load")) {
      std::string strip = "experts ";
      for (const Json& layer : load->items()) {
        std::vector<double> counts;
        for (const Json& count : layer.items()) counts.push_back(count.as_double());
        const double mean =
            std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
        strip += heat(counts, 2 * mean, 32) + " ";
      }
      out.push_back(strip);
    }
    return out;
  }

  LiveBlock live_{stderr};
  Json last_;
  std::vector<double> losses_;
  std::string validation_;
};

}  // namespace

RunEvents print_events(ProgressStyle style) {
  if (style == ProgressStyle::kJson) {
    return [](const Json& event) { std::cout << event.dump() << std::endl; };
  }
  auto block = std::make_shared<Block>();
  return [style, block](const Json& event) {
    if (event.string_at("event") == "summary") {
      block->finish();
      return print_summary(event);
    }
    if (style == ProgressStyle::kBlock) return block->show(event);
    if (const std::string line = plain_line(event); !line.empty()) std::cerr << line << "\n";
  };
}

}  // namespace fathom
