#include "text/prompt_testing.h"

#include "io/files.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

const std::vector<std::string> kToolTokens = {
    "<｜tool▁calls▁begin｜>",  "<｜tool▁calls▁end｜>",     "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",     "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>",
    "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>",    "<｜tool▁sep｜>"};
const std::vector<std::string> kFimTokens = {"<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"};

void extend(std::vector<std::string>& tokens, const std::vector<std::string>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

// Besides begin and end, which every family has.
std::vector<std::string> control_tokens(TestFamily family) {
  const std::string user(kUserToken), assistant(kAssistantToken), think(kThinkToken),
      end_think(kEndThinkToken);
  std::vector<std::string> tokens;
  switch (family) {
    case TestFamily::kLlm:
      return {"õ"};
    case TestFamily::kCoder:
      tokens = {"<|User|>", "<|Assistant|>", "<|EOT|>"};
      break;
    case TestFamily::kV2:
      tokens = {user, assistant, "<|EOT|>"};
      extend(tokens, kToolTokens);
      break;
    case TestFamily::kV3:
      tokens = {"<｜place▁holder▁no▁0｜>", user, assistant, "<|EOT|>"};
      extend(tokens, kToolTokens);
      break;
    case TestFamily::kV31:
    case TestFamily::kR1:
      tokens = {"<｜place▁holder▁no▁0｜>", user, assistant, "<|EOT|>", think, end_think};
      extend(tokens, kToolTokens);
      if (family == TestFamily::kV31) tokens.push_back("<｜search▁begin｜>");
      break;
    case TestFamily::kDistillQwen:
      return {user, assistant, "<|EOT|>", think, end_think, "<|vision_start|>"};
  }
  extend(tokens, kFimTokens);
  return tokens;
}

}  // namespace

Tokenizer family_tokenizer(TestFamily family) {
  TokenizerSpec spec;
  spec.kind = SymbolKind::kBytes;
  const Tokenizer bytes = byte_tokenizer();
  for (const VocabEntry& entry : bytes.spec().vocab) {
    spec.vocab.push_back({entry.symbol, 3 + static_cast<int32_t>(spec.vocab.size())});
  }
  const auto add = [&](int32_t id, std::string content, bool special) {
    spec.added_tokens.push_back({id, std::move(content), special, /*normalized=*/!special});
  };
  add(0, std::string(kBosToken), true);
  add(1, std::string(kEosToken), true);
  add(2, std::string(kPadToken), true);
  int32_t next = 259;
  for (const std::string& token : control_tokens(family)) add(next++, token, false);
  spec.bos_token = kBosToken;
  spec.eos_token = family == TestFamily::kCoder ? "<|EOT|>" : std::string(kEosToken);
  spec.pad_token = spec.eos_token;
  spec.add_bos_token = true;
  return Tokenizer(std::move(spec));
}

std::string shared_file(const std::string& path) {
  const std::string whole = join_path(FATHOM_SHARED_DIR, path);
  return exists(whole) ? read_file(whole) : "";
}

}  // namespace fathom
