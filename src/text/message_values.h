// Messages of a conversation as chat templates see them.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"
#include "text/message.h"

namespace fathom {

// Stands for the text of an answer that is to be continued; the prompt ends where it begins.
inline constexpr std::string_view kCutText = "\uFFFC";

// `cut`: the content is kCutText, marked as such.
jinja::Value message_value(const Message& message, bool cut);
// An assistant's text, in which the marks of thinking are marks.
jinja::Value answer_text(const std::string& content);
jinja::Value make_list(std::vector<jinja::Value> items);

}  // namespace fathom
