// The files of packed text: what writers and readers share. docs/data.md describes them for other
// programs.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/json.h"
#include "text/tokenizer.h"

namespace fathom {

inline constexpr const char* kPackedManifest = "packed.json";
inline constexpr int64_t kPackedVersion = 1;
inline constexpr uint64_t kHashedBlock = 1 << 16;  // bytes that one entry of a hash table covers

// The first 64 bytes of a shard, little-endian. Behind them stand
//   ids      [tokens] of id_bytes each, then zeros up to a multiple of 8
//   offsets  [documents + 1] u64: where each document begins, as the number of a token
//   hashes   [blocks] u64 of the blocks of 65536 bytes (the last shorter) of ids and offsets
struct ShardHeader {
  char magic[8] = {'F', 'T', 'H', 'M', 'P', 'A', 'C', 'K'};
  uint32_t version = kPackedVersion;
  uint32_t id_bytes = 4;  // 2 or 4
  uint64_t tokens = 0;
  uint64_t documents = 0;
  uint64_t reserved[4] = {};

  uint64_t ids_bytes() const { return (tokens * id_bytes + 7) / 8 * 8; }
  uint64_t content_bytes() const { return ids_bytes() + (documents + 1) * 8; }
  uint64_t blocks() const { return (content_bytes() + kHashedBlock - 1) / kHashedBlock; }
  uint64_t file_bytes() const { return sizeof(ShardHeader) + content_bytes() + blocks() * 8; }
};
static_assert(sizeof(ShardHeader) == 64);

// Of a multiple of 8 bytes: each word w, little-endian, in turn: h = mix64(h ^ w), from
// h = the count of bytes.
uint64_t hash_words(std::span<const std::byte> bytes);
// Of the header and of the table of hashes: what a manifest says of a shard.
uint64_t shard_hash(const ShardHeader& header, std::span<const uint64_t> hashes);

std::string hash_as_text(uint64_t hash);  // 16 hexadecimal digits
// Of what gives ids their meaning.
uint64_t tokenizer_hash(const Tokenizer& tokenizer);

struct ShardEntry {
  std::string file;
  int64_t bytes = 0, tokens = 0, documents = 0;
  std::string hash;
};

// packed.json; its folder also holds the tokenizer.
struct PackedSummary {
  std::string tokenizer_hash;
  int64_t id_bytes = 4;
  int64_t vocab_size = 0;
  int64_t tokens = 0, documents = 0;
  int64_t text_bytes = 0;  // of the source files, after decompression
  int64_t bad_documents = 0;
  double fim_rate = 0;  // share of the documents with a hole, and the seed that chose them
  std::string seed = "0";
  std::vector<ShardEntry> shards;
  Json sources = Json::array();  // {"path", "bytes"} of each file read
};
Json to_json(const PackedSummary& summary);
PackedSummary parse_packed_summary(const Json& json, const std::string& where);

}  // namespace fathom
