#include "text/prompt_formats.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace fathom {
namespace {

// clang-format off
constexpr std::string_view kLlm =
R"({{ bos_token }}{% for message in messages %}
{%- if message.role == 'user' %}{{ 'User: ' + message.content + '\n\n' }}
{%- elif message.role == 'assistant' %}{{ 'Assistant: ' + message.content + eos_token }}
{%- elif message.role == 'system' %}{{ message.content + '\n\n' }}
{%- else %}{{ raise_exception('this model knows no messages of the role ' + message.role) }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %})";

constexpr std::string_view kCoder =
R"({{ bos_token }}{% set ns = namespace(found=false) %}
{%- for message in messages %}{% if message.role == 'system' %}{% set ns.found = true %}{% endif %}{% endfor %}
{%- if not ns.found %}{{ 'You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other non-computer science questions, you will refuse to answer\n' }}{% endif %}
{%- for message in messages %}
{%- if message.role == 'system' %}{{ message.content }}
{%- elif message.role == 'user' %}{{ '### Instruction:\n' + message.content + '\n' }}
{%- elif message.role == 'assistant' %}{{ '### Response:\n' + message.content + '\n<|EOT|>\n' }}
{%- else %}{{ raise_exception('this model knows no messages of the role ' + message.role) }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '### Response:\n' }}{% endif %})";

// System messages joined in front, as V3 and later have them.
constexpr std::string_view kSystemFront =
R"({{ bos_token }}{% set ns = namespace(first=true) %}
{%- for message in messages if message.role == 'system' %}
{%- if not ns.first %}{{ '\n\n' }}{% endif %}{% set ns.first = false %}{{ message.content }}{% endfor %})";

// One call with its fence. The flags of V3 are never reset over turns.
constexpr std::string_view kFencedCall =
R"({%- macro call(tool) %}{{ '<｜tool▁call▁begin｜>' + tool.type + '<｜tool▁sep｜>' + tool.function.name + '\n```json\n' + tool.function.arguments + '\n```<｜tool▁call▁end｜>' }}{% endmacro %})";

std::string outputs(std::string_view between) {
  return concat(R"({%- elif message.role == 'tool' %}{% set flag.tool = true %}
{%- if flag.output %}{{ ')", between, R"(' }}{% else %}{{ '<｜tool▁outputs▁begin｜>' }}{% set flag.output = true %}{% endif %}
{{- '<｜tool▁output▁begin｜>' + message.content + '<｜tool▁output▁end｜>' }})");
}

constexpr std::string_view kFlags = R"({%- set flag = namespace(tool=false, called=false, output=false) %})";

std::string v3_end(std::string_view prompt) {
  return concat(R"({%- endif %}{% endfor %}
{%- if flag.tool %}{{ '<｜tool▁outputs▁end｜>' }}
{%- elif add_generation_prompt %}{{ ')", prompt, R"(' }}{% endif %})");
}

// Assistant turns of V3 as first published: null content means calls, and only further calls close.
std::string first_turns(std::string_view content) {
  return concat(R"({%- for message in messages %}
{%- if message.role == 'user' %}{% set flag.tool = false %}{{ '<｜User｜>' + message.content }}
{%- elif message.role == 'assistant' and message.content is none %}{% set flag.tool = false %}
{%- for tool in message.tool_calls %}
{%- if flag.called %}{{ '\n' + call(tool) + '<｜tool▁calls▁end｜>' + eos_token }}
{%- else %}{{ '<｜Assistant｜><｜tool▁calls▁begin｜>' + call(tool) }}{% set flag.called = true %}{% endif %}{% endfor %}
{%- elif message.role == 'assistant' %}
{%- if flag.tool %}{{ '<｜tool▁outputs▁end｜>' + message.content + eos_token }}{% set flag.tool = false %}
{%- else %}{{ '<｜Assistant｜>' + )", content, R"( + eos_token }}{% endif %})");
}

constexpr std::string_view kLaterTurns =
R"({%- for message in messages %}
{%- if message.role == 'user' %}{% set flag.tool = false %}{{ '<｜User｜>' + message.content }}
{%- elif message.role == 'assistant' and message.tool_calls %}{% set flag.tool = false %}
{%- for tool in message.tool_calls %}
{%- if flag.called %}{{ '\n' + call(tool) }}
{%- else %}{{ '<｜Assistant｜>' + (message.content or '') + '<｜tool▁calls▁begin｜>' + call(tool) }}{% set flag.called = true %}{% endif %}{% endfor %}
{{- '<｜tool▁calls▁end｜>' + eos_token }}
{%- elif message.role == 'assistant' %}
{%- if flag.tool %}{{ '<｜tool▁outputs▁end｜>' + message.content + eos_token }}{% set flag.tool = false %}
{%- else %}{{ '<｜Assistant｜>' + message.content.split('</think>')[-1] + eos_token }}{% endif %})";

std::string v3_first() {
  return concat(kSystemFront, kFencedCall, kFlags, first_turns("message.content"),
    outputs(R"(\n)"), v3_end("<｜Assistant｜>"));
}

std::string v3() {
  return concat(kSystemFront, kFencedCall, kFlags, kLaterTurns,
    outputs(""), v3_end("<｜Assistant｜>"));
}

std::string r1() {
  return concat(kSystemFront, kFencedCall, kFlags, kLaterTurns,
    outputs(""), v3_end(R"(<｜Assistant｜><think>\n)"));
}

std::string r1_distill() {
  return concat(R"({{ bos_token }}{% set ns = namespace(system='') %}
{%- for message in messages if message.role == 'system' %}{% set ns.system = message.content %}{% endfor %}{{ ns.system }})", kFencedCall, kFlags, first_turns("message.content.split('</think>')[-1]"),
    outputs(R"(\n)"), v3_end(R"(<｜Assistant｜><think>\n)"));
}

std::string r1_0528() {
  return concat(kSystemFront, kFencedCall,
    R"({%- set flag = namespace(tool=false, output=false, user=false) %}
{%- for message in messages %}
{%- if message.role == 'user' %}{% set flag.tool = false %}{% set flag.user = true %}{{ '<｜User｜>' + message.content + '<｜Assistant｜>' }}
{%- elif message.role == 'assistant' %}{% set flag.user = false %}
{%- if flag.tool %}{{ '<｜tool▁outputs▁end｜>' }}{% endif %}
{%- if message.tool_calls %}{{ message.content or '' }}{{ '<｜tool▁calls▁begin｜>' }}
{%- for tool in message.tool_calls %}{{ '\n' if not loop.first }}{{ call(tool) }}{% endfor %}
{{- '<｜tool▁calls▁end｜>' + eos_token }}
{%- elif flag.tool %}{{ message.content + eos_token }}
{%- else %}{{ message.content.split('</think>')[-1] + eos_token }}{% endif %}
{%- set flag.tool = false %}{% set flag.output = false %}{%- elif message.role == 'tool' %}{% set flag.user = false %}{% set flag.tool = true %}
{%- if flag.output %}{{ '\n' }}{% else %}{{ '<｜tool▁outputs▁begin｜>' }}{% set flag.output = true %}{% endif %}
{{- '<｜tool▁output▁begin｜>' + message.content + '<｜tool▁output▁end｜>' }}
{%- endif %}{% endfor %}
{%- if flag.tool %}{{ '<｜tool▁outputs▁end｜>' }}
{%- elif add_generation_prompt and not flag.user %}{{ '<｜Assistant｜>' }}{% endif %})");
}

constexpr std::string_view kTools =
R"({%- if tools %}{{ '\n\n## Tools\nYou have access to the following tools:\n' }}
{%- for tool in tools %}{{ '\n### ' + tool.function.name + '\nDescription: ' + (tool.function.description or '') + '\n\nParameters: ' + (tool.function.parameters or {})|tojson + '\n' }}{% endfor %}
{{- '\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<｜tool▁call▁end｜>{additional_tool_calls}<｜tool▁calls▁end｜>\n\nWhere:\n- `tool_call_name` must be an exact match to one of the available tools\n- `tool_call_arguments` must be valid JSON that strictly follows the tool\'s Parameters Schema\n- For multiple tool calls, chain them directly without separators or spaces\n' }}{% endif %})";

std::string v31() {
  return concat(kSystemFront, kTools,
    R"({%- set thinking = thinking is defined and thinking %}
{%- set flag = namespace(tool=false, user=false) %}
{%- for message in messages %}
{%- if message.role == 'user' %}{% set flag.tool = false %}{% set flag.user = true %}{{ '<｜User｜>' + message.content }}
{%- elif message.role == 'assistant' %}
{%- if flag.user %}{{ '<｜Assistant｜>' }}{{ '<think>' if message.prefix and thinking and not message.tool_calls else '</think>' }}{% endif %}
{%- if message.tool_calls %}{{ message.content or '' }}{{ '<｜tool▁calls▁begin｜>' }}
{%- for tool in message.tool_calls %}{{ '<｜tool▁call▁begin｜>' + tool.function.name + '<｜tool▁sep｜>' + tool.function.arguments + '<｜tool▁call▁end｜>' }}{% endfor %}
{{- '<｜tool▁calls▁end｜>' + eos_token }}
{%- elif flag.tool %}{{ message.content + eos_token }}
{%- else %}{{ message.content.split('</think>', 1)[-1] + eos_token }}{% endif %}
{%- set flag.tool = false %}{% set flag.user = false %}
{%- elif message.role == 'tool' %}{% set flag.user = false %}{% set flag.tool = true %}
{{- '<｜tool▁output▁begin｜>' + message.content + '<｜tool▁output▁end｜>' }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt and flag.user %}{{ '<｜Assistant｜>' }}{{ '<think>' if thinking else '</think>' }}{% endif %})");
}

// clang-format on

// A family by its added tokens: all of `has`, none of `lacks`.
struct FamilyRule {
  std::string_view format;
  std::vector<std::string_view> has;
  std::vector<std::string_view> lacks;
};

const std::vector<FamilyRule>& family_rules() {
  static const std::vector<FamilyRule> rules = {
      {"v3.1", {kUserToken, kThinkToken, "<｜search▁begin｜>"}, {}},
      {"r1", {kUserToken, kThinkToken, "<｜tool▁calls▁begin｜>"}, {}},
      {"r1-distill", {kUserToken, kThinkToken, "<|vision_start|>"}, {}},
      {"r1-distill", {kUserToken, kThinkToken, "<|reserved_special_token_0|>"}, {}},
      {"v3", {kUserToken, "<｜place▁holder▁no▁0｜>"}, {}},
      {"coder", {"<|User|>", "<|EOT|>"}, {}},
      // V2.5 has the tokens of V2; its folders bring their template.
      {"llm", {kBosToken, kUserToken, "<｜tool▁calls▁begin｜>"}, {}},
      {"llm", {kBosToken, kEosToken}, {kUserToken}},
  };
  return rules;
}

}  // namespace

const std::vector<BuiltInFormat>& built_in_formats() {
  static const std::vector<BuiltInFormat> formats = {
      {"llm", std::string(kLlm)},
      {"coder", std::string(kCoder)},
      {"v2.5", v3()},
      {"v3-first", v3_first()},
      {"v3", v3()},
      {"r1", r1()},
      {"r1-distill", r1_distill()},
      {"r1-0528", r1_0528()},
      {"v3.1", v31()},
  };
  return formats;
}

const BuiltInFormat* find_built_in_format(std::string_view name) {
  for (const BuiltInFormat& format : built_in_formats()) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

namespace {

// Null: no rule holds.
const FamilyRule* matching_rule(const Tokenizer& tokenizer) {
  const auto has = [&](std::string_view token) {
    return tokenizer.added_token_id(token).has_value();
  };
  for (const FamilyRule& rule : family_rules()) {
    if (std::all_of(rule.has.begin(), rule.has.end(), has) &&
        std::none_of(rule.lacks.begin(), rule.lacks.end(), has)) {
      return &rule;
    }
  }
  return nullptr;
}

// Coder 7B v1.5 instruct has the vocabulary of the first models and ends turns with <|EOT|>.
bool ends_turns_as_coder(const Tokenizer& tokenizer) {
  return tokenizer.spec().eos_token == "<|EOT|>";
}

std::string enumerated(const std::vector<std::string_view>& tokens) {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    text += concat(i == 0 ? "" : i + 1 < tokens.size() ? ", " : " and ", tokens[i]);
  }
  return text;
}

}  // namespace

const BuiltInFormat* built_in_format_for(const Tokenizer& tokenizer) {
  if (ends_turns_as_coder(tokenizer)) return find_built_in_format("coder");
  const FamilyRule* rule = matching_rule(tokenizer);
  return rule == nullptr ? nullptr : find_built_in_format(rule->format);
}

std::string built_in_format_evidence(const Tokenizer& tokenizer) {
  if (ends_turns_as_coder(tokenizer)) return "the end token <|EOT|>";
  const FamilyRule* rule = matching_rule(tokenizer);
  if (rule == nullptr) return "";
  const std::string lacks =
      rule->lacks.empty() ? "" : concat(", without ", enumerated(rule->lacks));
  return concat("the tokens ", enumerated(rule->has), lacks);
}

std::string_view tool_description_template() { return kTools; }

}  // namespace fathom
