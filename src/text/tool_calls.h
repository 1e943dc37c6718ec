// The inside of two forms of tool calls, read as they come.
//
//   DSML (V3.2, V4)   <｜DSML｜function_calls> or <｜DSML｜tool_calls>, around
//                     <｜DSML｜invoke name="NAME"> … </｜DSML｜invoke>, around
//                     <｜DSML｜parameter name="KEY" string="true|false">VALUE</｜DSML｜parameter>
//   Hermes            <tool_call>{"name": "NAME", "arguments": {…}}</tool_call>
//
// Arguments come out as JSON text, as much of it as is certain: what may be the beginning of a mark
// is held back. ｜DSML｜ and <tool_call> are tokens; the reader of the reply tells them from text
// that spells them.
//
// Threads: one each.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

inline constexpr std::string_view kDsmlToken = "｜DSML｜";
inline constexpr std::string_view kHermesCallToken = "<tool_call>";
inline constexpr std::string_view kHermesEndCallToken = "</tool_call>";

struct CallEvent {
  enum class Kind {
    kName,       // a call begins
    kArguments,  // more of its JSON
  };
  Kind kind = Kind::kName;
  std::string text;
};

// One block of DSML calls, behind the mark in its opening tag.
class DsmlBlock {
 public:
  void mark();                       // ｜DSML｜
  void text(std::string_view text);  // between marks
  // The block's closing tag has come.
  bool closed() const { return state_ == State::kClosed; }
  // It is no block of calls; what it said is in rest(). Calls that were given out stay.
  bool broken() const { return state_ == State::kBroken; }
  // Since the last time.
  std::vector<CallEvent> take_events() { return std::exchange(events_, {}); }
  // Text behind the closing tag, or of what is no block.
  std::string take_rest() { return std::exchange(rest_, ""); }

 private:
  enum class State { kTag, kBetween, kString, kJson, kClosed, kBroken };

  void take_tag(std::string_view& text);
  void take_value(std::string_view& text);
  void take_between(std::string_view& text);
  void obey(const std::string& tag);
  void begin_parameter(const std::string& tag);
  void give_value(std::string_view text);
  void give_up(std::string_view text);

  std::vector<CallEvent> events_;
  State state_ = State::kTag;
  std::string tag_;        // since the mark
  std::string held_;       // "<" or "</" that a mark may follow
  bool in_block_ = false;  // the opening tag was one
  bool in_call_ = false;
  bool has_parameters_ = false;
  std::string rest_;
};

// One call in Hermes' form.
class HermesCall {
 public:
  void text(std::string_view text);
  // </tool_call> has come, or (`cut`) the reply is over. False: it was no call, and body() says
  // what stood there.
  bool finish(bool cut);
  const std::string& body() const { return body_; }
  std::vector<CallEvent> take_events() { return std::exchange(events_, {}); }

 private:
  void stream(std::string_view text);

  std::vector<CallEvent> events_;
  std::string body_;
  bool streaming_ = false;  // inside the value of "arguments"
  bool value_ended_ = false, in_string_ = false, escaped_ = false;
  int depth_ = 0;
};

}  // namespace fathom
