// Writes documents one after the other into shards; holds no more of them than one part and 8 bytes
// a document of the shard being written.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/packed_format.h"
#include "io/files.h"

namespace fathom {

class ShardWriter {
 public:
  // A shard is closed behind the document with which it reaches `shard_tokens`.
  ShardWriter(std::string folder, int64_t id_bytes, int64_t shard_tokens);

  void append(std::span<const int32_t> ids);  // to the document that is open
  void end_document();
  void drop_document();  // what was appended since the last end_document() was never there
  // Closes the last shard. All shards, in order.
  std::vector<ShardEntry> finish();

  int64_t tokens() const { return tokens_before_ + offsets_back(); }
  int64_t documents() const { return documents_before_ + std::ssize(offsets_) - 1; }

 private:
  int64_t offsets_back() const { return static_cast<int64_t>(offsets_.back()); }
  void close_shard();

  std::string folder_;
  int64_t id_bytes_, shard_tokens_;
  std::optional<OutputFile> file_;
  std::vector<uint64_t> offsets_ = {0};  // of the shard being written
  uint64_t end_ = 0;                     // tokens of the shard, with the open document
  int64_t tokens_before_ = 0, documents_before_ = 0;
  std::vector<ShardEntry> shards_;
};

}  // namespace fathom
