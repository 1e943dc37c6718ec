// Renders templates for comparison with other engines (tests/reference/templates.py): reads lines
// of JSON and writes a line of {"text"} or {"error"} for each. A line is
//   {"template", "variables"}                          the bare engine, or
//   {"template", "messages", "tools", "thinking",      a conversation, as commands and server
//    "add_generation_prompt", "bos_token", "eos_token"}  put it to a model
#include <iostream>
#include <string>

#include "io/json.h"
#include "text/prompt.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

std::string bare_text(const Json& job) {
  const jinja::Template made(job.string_at("template"), "template");
  jinja::RenderInput input;
  for (const auto& [name, value] : job.at("variables").members()) {
    input.variables.emplace_back(name, jinja::Value::from_json(value, kInputMark));
  }
  return made.render(input).bytes();
}

// Bytes, and the tokens that the template names.
Tokenizer tokenizer_for(const Json& job) {
  TokenizerSpec spec;
  const Tokenizer bytes = byte_tokenizer();
  for (const VocabEntry& entry : bytes.spec().vocab) {
    spec.vocab.push_back({entry.symbol, static_cast<int32_t>(spec.vocab.size())});
  }
  spec.bos_token = job.string_or("bos_token", "");
  spec.eos_token = job.string_or("eos_token", "");
  spec.pad_token = spec.eos_token;
  int32_t id = 256;
  for (const std::string& token : {spec.bos_token, spec.eos_token}) {
    if (!token.empty()) spec.added_tokens.push_back({id++, token, true, false});
  }
  return Tokenizer(std::move(spec));
}

std::string conversation_text(const Json& job) {
  const Tokenizer tokenizer = tokenizer_for(job);
  PromptOptions options;
  options.add_generation_prompt = job.bool_at("add_generation_prompt");
  if (const Json* tools = job.find("tools"); tools != nullptr && !tools->is_null()) {
    options.tools = tools_from_json(*tools, "tools");
  }
  if (const Json* thinking = job.find("thinking")) options.thinking = thinking->as_bool();
  const std::vector<Message> messages = messages_from_json(job.at("messages"), "messages");
  return PromptFormat::from_template(job.string_at("template"), "template", tokenizer)
      .render(messages, options)
      .text;
}

Json rendered(const Json& job) {
  try {
    return Json::object(
        {{"text", job.contains("messages") ? conversation_text(job) : bare_text(job)}});
  } catch (const Error& error) {
    return Json::object({{"error", error.what()}});
  }
}

}  // namespace
}  // namespace fathom

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << fathom::rendered(fathom::parse_json(line, "standard input")).dump() << "\n";
  }
}
