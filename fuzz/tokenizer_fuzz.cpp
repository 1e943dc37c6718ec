// A tokenizer is foreign: whatever stands in its files, it is refused as a model, or it turns text
// into ids that stand for the same text.
//
// An input is tokenizer.json, tokenizer_config.json and a text, with zero bytes between. So that
// inputs are small, the entry "*":0 of a vocabulary stands for the 256 symbols of bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/json.h"
#include "property.h"
#include "text/byte_symbols.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

constexpr size_t kLongestText = 256;  // bytes, and more than a short piece of bpe.cpp

std::string all_bytes() {
  std::string entries;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string symbol = bytes_to_symbols(std::string(1, static_cast<char>(byte)));
    entries += (byte == 0 ? "" : ",") + Json(symbol).dump() + ":" + std::to_string(byte);
  }
  return entries;
}

std::string with_all_bytes(std::string_view json) {
  static constexpr std::string_view kMark = R"("*":0)";
  static const std::string kEntries = all_bytes();
  std::string text(json);
  if (const size_t at = text.find(kMark); at != text.npos) text.replace(at, kMark.size(), kEntries);
  return text;
}

struct Input {
  std::string tokenizer_json;
  std::string_view config_json, text;
};

Input parts_of(std::string_view bytes) {
  const auto take = [&] {
    const size_t zero = bytes.find('\0');
    const std::string_view part = bytes.substr(0, zero);
    bytes.remove_prefix(zero == bytes.npos ? bytes.size() : zero + 1);
    return part;
  };
  Input input;
  input.tokenizer_json = with_all_bytes(take());
  input.config_json = take();
  input.text = bytes.substr(0, kLongestText);
  return input;
}

std::optional<Tokenizer> load(std::string_view json, std::string_view config) {
  try {
    return Tokenizer::from_json(json, config, "fuzz");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kModel, "a refused tokenizer is a fault of the model");
    return std::nullopt;
  }
}

// Nothing for a text that the tokenizer cannot express, or that its pattern gives up on.
std::optional<std::vector<int32_t>> encoded(const Tokenizer& tokenizer, std::string_view text,
                                            const EncodeOptions& options) {
  try {
    return tokenizer.encode(text, options);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void check_stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                  const DecodeOptions& options) {
  StreamDecoder stream(tokenizer, options);
  std::string joined;
  for (const int32_t id : ids) {
    const std::string part = stream.push(id);
    require(!invalid_utf8_offset(part), "a stream never shows half a character");
    joined += part;
  }
  joined += stream.finish();
  require(joined == tokenizer.decode(ids, options), "a stream shows what decode gives");
  require(!invalid_utf8_offset(joined), "decoded text is UTF-8");
}

// Normal form C keeps what text means, not its bytes.
std::string compared(const Tokenizer& tokenizer, std::string_view text) {
  std::string storage;
  return std::string(normalized(tokenizer.spec().normalizer, text, storage));
}

void check_text(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool parse_special : {false, true}) {
    const auto ids = encoded(tokenizer, text, {.parse_special = parse_special});
    if (!ids) continue;
    for (const int32_t id : *ids)
      require(id >= 0 && id < tokenizer.vocab_size(), "ids are those of tokens");
    require(compared(tokenizer, tokenizer.decode(*ids)) == compared(tokenizer, text),
            "decoded ids are the encoded text");
    require(tokenizer.unknown_characters(text, parse_special).empty(),
            "what was encoded has no unknown characters");
    check_stream(tokenizer, *ids, {});
    check_stream(tokenizer, *ids, {.skip_special = true, .added_tokens_as_bytes = true});
  }
}

// Any ids may come from a model, and the files may be written again.
void check_ids(const Tokenizer& tokenizer, std::string_view bytes) {
  std::vector<int32_t> ids;
  for (const char byte : bytes.substr(0, 64))
    ids.push_back(static_cast<unsigned char>(byte) * 3 % (tokenizer.vocab_size() + 2) - 1);
  check_stream(tokenizer, ids, {});
}

void check_files(const Tokenizer& tokenizer, std::string_view text) {
  const std::optional<Tokenizer> again = load(tokenizer.tokenizer_json(), tokenizer.config_json());
  require(again.has_value(), "written files are read again");
  require(again->vocab_size() == tokenizer.vocab_size(), "with as many ids");
  for (const bool parse_special : {false, true}) {
    const EncodeOptions options{.parse_special = parse_special};
    require(encoded(*again, text, options) == encoded(tokenizer, text, options),
            "and give the same ids");
  }
}

void use(std::string_view bytes) {
  const Input input = parts_of(bytes);
  const std::optional<Tokenizer> tokenizer = load(input.tokenizer_json, input.config_json);
  if (!tokenizer) return;
  if (invalid_utf8_offset(input.text))
    require(!encoded(*tokenizer, input.text, {}), "text that is not UTF-8 is refused");
  const std::string text = replace_invalid_utf8(input.text);
  check_text(*tokenizer, text);
  check_ids(*tokenizer, input.text);
  if (text.size() % 4 == 0) check_files(*tokenizer, text);  // as long as all the rest
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fathom::use({reinterpret_cast<const char*>(data), size});
  return 0;
}
