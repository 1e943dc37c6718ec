#include "data/packed_format.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/random.h"

namespace fathom {

static_assert(std::endian::native == std::endian::little, "shards are mapped as they are");

uint64_t hash_words(std::span<const std::byte> bytes) {
  FATHOM_CHECK(bytes.size() % 8 == 0, "hash_words: ", bytes.size(), " bytes; expected whole words");
  uint64_t hash = bytes.size();
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = mix64(hash ^ word);
  }
  return hash;
}

uint64_t shard_hash(const ShardHeader& header, std::span<const uint64_t> hashes) {
  return mix64(hash_words(std::as_bytes(std::span(&header, 1))) ^
               mix64(hash_words(std::as_bytes(hashes))));
}

std::string hash_as_text(uint64_t hash) {
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; hash >>= 4) text[i] = "0123456789abcdef"[hash & 15];
  return text;
}

uint64_t tokenizer_hash(const Tokenizer& tokenizer) {
  const std::string json = tokenizer.tokenizer_json();
  return hash_text(json.data(), json.size());
}

Json to_json(const PackedSummary& summary) {
  Json shards = Json::array();
  for (const ShardEntry& shard : summary.shards) {
    shards.push_back(Json::object({{"file", shard.file},
                                   {"bytes", shard.bytes},
                                   {"tokens", shard.tokens},
                                   {"documents", shard.documents},
                                   {"hash", shard.hash}}));
  }
  return Json::object({{"format", "fathom packed text"},
                       {"version", kPackedVersion},
                       {"tokenizer_hash", summary.tokenizer_hash},
                       {"vocab_size", summary.vocab_size},
                       {"id_bytes", summary.id_bytes},
                       {"tokens", summary.tokens},
                       {"documents", summary.documents},
                       {"bad_documents", summary.bad_documents},
                       {"text_bytes", summary.text_bytes},
                       {"fim_rate", summary.fim_rate},
                       {"seed", summary.seed},
                       {"shards", shards},
                       {"sources", summary.sources}});
}

PackedSummary parse_packed_summary(const Json& json, const std::string& where) {
  if (json.string_or("format", "") != "fathom packed text" ||
      json.int_or("version", 0) != kPackedVersion) {
    fail(ErrorCode::kRuntime, where, ": expected packed text of version ", kPackedVersion,
         "; got version ", json.int_or("version", 0), ". Pack the texts again (fathom data pack)");
  }
  PackedSummary summary;
  summary.tokenizer_hash = json.string_at("tokenizer_hash");
  summary.vocab_size = json.int_at("vocab_size");
  summary.id_bytes = json.int_at("id_bytes");
  summary.tokens = json.int_at("tokens");
  summary.documents = json.int_at("documents");
  summary.bad_documents = json.int_at("bad_documents");
  summary.text_bytes = json.int_at("text_bytes");
  summary.fim_rate = json.double_at("fim_rate");
  summary.seed = json.string_at("seed");
  for (const Json& shard : json.at("shards").items("shards")) {
    summary.shards.push_back({shard.string_at("file"), shard.int_at("bytes"),
                              shard.int_at("tokens"), shard.int_at("documents"),
                              shard.string_at("hash")});
  }
  summary.sources = json.at("sources");
  return summary;
}

}  // namespace fathom
