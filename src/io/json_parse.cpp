#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "io/json.h"

namespace fathom {
namespace {

constexpr size_t kMaxJsonDepth = 100;

// nlohmann's parser keeps no recursion of its own, so the depth limit here is the only one needed;
// it bounds our recursive destructor and writer.
class JsonBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonBuilder(std::string_view text, std::string_view origin, ErrorCode code)
      : text_(text), origin_(origin), code_(code) {}

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(int64_t value) override { return add(Json(value)); }
  bool number_unsigned(uint64_t value) override {
    const bool fits = value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    return add(fits ? Json(value) : Json(static_cast<double>(value)));
  }
  bool number_float(double value, const std::string&) override { return add(Json(value)); }
  bool string(std::string& value) override { return add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // no JSON text has any

  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    if (open_.back().value.contains(name)) {
      refuse(concat("key \"", name, "\" appears twice in the object ", path()));
    }
    open_.back().key = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    // The library opens with its own code and position; ours follow below in one form for all
    // errors.
    std::string what = error.what();
    if (const size_t bracket = what.find("] "); bracket != std::string::npos)
      what.erase(0, bracket + 2);
    if (what.starts_with("parse error at"))
      what.erase(0, std::min(what.size(), what.find(": ") + 2));
    fail_at(position, what);
  }

  // The library takes a zero byte for the end of the text; no JSON text holds one.
  void refuse_zero_bytes() const {
    const size_t zero = text_.find('\0');
    if (zero != text_.npos) fail_at(zero + 1, "a zero byte; expected JSON text");
  }

  Json take() { return std::move(root_); }

 private:
  struct Open {
    Json value;
    std::string key;  // of the member being read
  };

  bool open(Json container) {
    if (open_.size() == kMaxJsonDepth)
      refuse(concat("nested more than ", kMaxJsonDepth, " levels deep"));
    open_.push_back({std::move(container), {}});
    return true;
  }

  bool close() {
    Json finished = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(finished));
  }

  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().value.is_array()) {
      open_.back().value.push_back(std::move(value));
    } else {
      open_.back().value[open_.back().key] = std::move(value);
    }
    return true;
  }

  std::string path() const {
    std::string where = "at the top";
    for (size_t i = 0; i + 1 < open_.size(); ++i) {
      const std::string part =
          open_[i].value.is_array() ? concat("[", open_[i].value.size(), "]") : open_[i].key;
      where = i == 0 ? part : concat(where, part.starts_with("[") ? "" : ".", part);
    }
    return where;
  }

  // Not a fault of the grammar, so the parser does not tell the position; the path in the text
  // does.
  [[noreturn]] void refuse(const std::string& what) const { fail(code_, origin_, ": ", what); }

  [[noreturn]] void fail_at(size_t bytes_read, const std::string& what) const {
    const size_t offset = bytes_read == 0 ? 0 : std::min(bytes_read - 1, text_.size());
    const std::string_view before = text_.substr(0, offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t newline = before.rfind('\n');
    const size_t column = offset - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    fail(code_, origin_, ":", line, ":", column, ": byte ", offset, " of ", text_.size(), ": ",
         what);
  }

  std::string_view text_;
  std::string_view origin_;
  ErrorCode code_;
  Json root_;
  std::vector<Open> open_;
};

}  // namespace

Json parse_json(std::string_view text, std::string_view origin, ErrorCode code) {
  JsonBuilder builder(text, origin, code);
  builder.refuse_zero_bytes();
  nlohmann::json::sax_parse(text.begin(), text.end(),
                            &builder);  // the builder throws at the first fault
  return builder.take();
}

}  // namespace fathom
