#include "app/inputs.h"

#include <limits>

#include "app/terminal.h"
#include "base/error.h"
#include "checkpoint/model_folder.h"
#include "io/files.h"

namespace fathom {
namespace {

// What the user gave is at fault, not the data of a run.
template <class Call>
auto as_usage_error(Call&& call) {
  try {
    return call();
  } catch (const Error& error) {
    throw Error(error.code() == ErrorCode::kRuntime ? ErrorCode::kUsage : error.code(),
                error.what());
  }
}

std::string content_text(const Json& content, const std::string& where) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.as_string(where);
  std::string text;
  for (const Json& part : content.items(where)) {
    const std::string type = part.string_or("type", "text");
    if (type != "text") {
      fail(ErrorCode::kUsage, where, " holds a part of type '", type,
           "'; this model reads text only");
    }
    text += part.string_at("text");
  }
  return text;
}

Message parse_message(const Json& json, const std::string& where) {
  Message message;
  message.role = json.string_at("role");
  if (message.role == "developer") message.role = "system";
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    fail(ErrorCode::kUsage, where, ".role is '", message.role,
         "'; expected system, developer, user or assistant");
  }
  message.content = content_text(json.at("content"), where + ".content");
  if (message.role == "assistant")
    message.reasoning_content = json.string_or("reasoning_content", "");
  return message;
}

}  // namespace

std::string name_of_input(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string read_input(const std::string& path) {
  return path == "-" ? read_standard_input() : as_usage_error([&] { return read_file(path); });
}

std::string without_final_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

std::vector<int32_t> parse_ids(std::string_view text, const std::string& origin) {
  return as_usage_error([&] {
    const Json json = parse_json(text, origin, ErrorCode::kUsage);
    const Json& list = json.is_object() ? json.at("ids") : json;
    std::vector<int32_t> ids;
    for (const Json& item : list.items(concat(origin, ": ids"))) {
      const int64_t id = item.as_int(concat(origin, ": ids[", ids.size(), "]"));
      if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
        fail(ErrorCode::kUsage, origin, ": ids[", ids.size(), "] is ", id,
             "; expected a token id, 0 or more");
      }
      ids.push_back(static_cast<int32_t>(id));
    }
    return ids;
  });
}

void check_vocabulary(const std::vector<int32_t>& ids, int64_t vocab_size,
                      const std::string& where) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < vocab_size) continue;
    fail(ErrorCode::kUsage, where, ": ids[", i, "] is ", ids[i],
         "; expected a token id of this model, 0 to ", vocab_size - 1);
  }
}

std::vector<int32_t> read_ids(const std::string& path) {
  return parse_ids(read_input(path), name_of_input(path));
}

std::vector<Message> parse_messages(std::string_view text, const std::string& origin) {
  return as_usage_error([&] {
    const Json json = parse_json(text, origin, ErrorCode::kUsage);
    const Json& list = json.is_object() ? json.at("messages") : json;
    std::vector<Message> messages;
    for (const Json& item : list.items(concat(origin, ": messages"))) {
      const std::string where = concat(origin, ": messages[", messages.size(), "]");
      try {
        messages.push_back(parse_message(item, where));
      } catch (const Error& error) {
        if (std::string(error.what()).starts_with(where)) throw;
        fail(ErrorCode::kUsage, where, ": ", error.what());
      }
    }
    if (messages.empty()) fail(ErrorCode::kUsage, origin, ": the list of messages is empty");
    return messages;
  });
}

std::vector<Message> read_messages(const std::string& path) {
  return parse_messages(read_input(path), name_of_input(path));
}

Tokenizer load_tokenizer(const std::string& folder) {
  const bool here = exists(join_path(folder, "tokenizer.json"));
  return Tokenizer::load(here ? folder : resolve_model_folder(folder));
}

std::vector<int32_t> encode_text(const Tokenizer& tokenizer, std::string_view text,
                                 const EncodeOptions& options) {
  return as_usage_error([&] { return tokenizer.encode(text, options); });
}

std::vector<int32_t> encode_chat(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                                 const ChatOptions& options) {
  return as_usage_error([&] { return render_chat(tokenizer, messages, options).ids; });
}

}  // namespace fathom
