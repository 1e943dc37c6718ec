#include "app/inputs.h"

#include <ctime>
#include <limits>

#include "app/earlier_checkpoint.h"
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

}  // namespace

std::string name_of_input(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string read_input(const std::string& path) {
  return path == "-" ? read_standard_input() : read_file(path);
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
    const Json* named = json.find("messages");
    if (json.is_object() && named == nullptr) {
      fail(ErrorCode::kUsage, origin,
           ": expected a list of messages, or an object with one as \"messages\"");
    }
    const Json& list = named != nullptr ? *named : json;
    return messages_from_json(list, concat(origin, ": messages"));
  });
}

std::vector<Message> read_messages(const std::string& path) {
  return parse_messages(read_input(path), name_of_input(path));
}

Json read_tools(const std::string& path) {
  const std::string text = read_input(path), origin = name_of_input(path);
  return as_usage_error([&] {
    const Json json = parse_json(text, origin, ErrorCode::kUsage);
    const Json& list = json.is_object() ? json.at("tools") : json;
    return tools_from_json(list, concat(origin, ": tools"));
  });
}

Tokenizer load_tokenizer(const std::string& folder) {
  const bool here = exists(join_path(folder, "tokenizer.json"));
  if (here) return Tokenizer::load(folder);
  return with_checkpoint_hint(folder, /*resumes=*/false,
                              [&] { return Tokenizer::load(resolve_model_folder(folder)); });
}

std::vector<int32_t> encode_text(const Tokenizer& tokenizer, std::string_view text,
                                 const EncodeOptions& options) {
  return as_usage_error([&] { return tokenizer.encode(text, options); });
}

PromptFormat choose_prompt_format(const std::string& folder, const Tokenizer& tokenizer,
                                  const std::string& choice) {
  if (choice.empty()) return PromptFormat::load(folder, tokenizer);
  if (exists(choice) && !is_directory(choice)) {
    return PromptFormat::from_template(read_input(choice), choice, tokenizer);
  }
  return PromptFormat::named(choice, tokenizer);
}

PromptOptions chat_prompt_options(std::optional<bool> think) {
  PromptOptions options;
  options.thinking = think;
  options.force_thinking = true;
  options.now = static_cast<int64_t>(std::time(nullptr));
  return options;
}

bool has_prompt_format(const std::string& folder, const Tokenizer& tokenizer) {
  return exists(join_path(folder, "chat_template.jinja")) || PromptFormat::known_for(tokenizer);
}

Prompt make_prompt(const PromptFormat& format, const std::vector<Message>& messages,
                   const PromptOptions& options) {
  return as_usage_error([&] { return format.render(messages, options); });
}

}  // namespace fathom
