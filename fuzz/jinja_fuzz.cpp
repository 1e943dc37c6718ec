// Chat templates are foreign code: whatever stands in one, it renders or ends with an Error, within
// its limits.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "io/json.h"
#include "text/jinja/template.h"

namespace fathom {
namespace {

// What a template usually finds, small.
jinja::RenderInput conversation() {
  static constexpr std::string_view kMessages = R"([
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi \"東京\"\n"},
    {"role": "assistant", "content": null,
     "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]},
    {"role": "tool", "content": "<think>x</think>"}])";
  jinja::RenderInput input;
  const auto add = [&](const char* name, const jinja::Value& value) {
    input.variables.emplace_back(name, value);
  };
  add("messages", jinja::Value::from_json(parse_json(kMessages, "messages"), kInputMark));
  add("tools", jinja::Value());
  add("bos_token", jinja::Value::string("<s>"));
  add("eos_token", jinja::Value::string("</s>"));
  add("add_generation_prompt", jinja::Value(true));
  return input;
}

void render(std::string_view source) {
  jinja::Limits limits;
  limits.steps = 100'000;
  limits.text_bytes = 1 << 20;
  limits.memory_bytes = 32 << 20;
  try {
    const MarkedText text = jinja::Template(source, "fuzz").render(conversation(), limits);
    if (invalid_utf8_offset(text.bytes()) || text.marks().size() != text.size()) __builtin_trap();
  } catch (const Error&) {
    // Refused, with a message.
  }
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fathom::render({reinterpret_cast<const char*>(data), size});
  return 0;
}
