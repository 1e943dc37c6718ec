// Packed text, mapped: the tokens of all shards as one stream, read at any place.
//
// Opening checks sizes, headers and hash tables; the bytes themselves are checked against the table
// when they are first read, a block of 64 KB at a time, so that data of any size opens at once and
// none of it is used unseen. Memory: one bit a block, and what the last few reads touched; the
// system may map two megabytes where one byte is touched, so little is kept. Threads: one at a
// time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/packed_format.h"
#include "io/files.h"

namespace fathom {

bool is_packed_text(const std::string& folder);

class PackedText {
 public:
  // Several folders count as one after the other; they must be of the same tokenizer.
  explicit PackedText(const std::vector<std::string>& folders);

  int64_t tokens() const { return tokens_; }
  int64_t documents() const { return documents_; }
  const std::string& tokenizer_hash() const { return tokenizer_hash_; }
  uint64_t content_hash() const { return content_hash_; }  // of everything that read() can give

  // ids [n]: the tokens from `first` on. Fails where the file is not what its hashes say.
  void read(int64_t first, std::span<int32_t> ids);
  void will_need(int64_t first, int64_t count) const;  // reads ahead, in the background
  void check_all();                                    // every byte of every shard

 private:
  struct Shard {
    MappedFile file;
    ShardHeader header;
    int64_t first;  // number of its first token in the stream
    std::vector<bool> checked;
  };
  void add_folder(const std::string& folder);
  size_t shard_of(int64_t token) const;
  std::span<const std::byte> checked_bytes(Shard& shard, uint64_t begin, uint64_t end);
  void check_block(Shard& shard, uint64_t block);
  void count_touch();  // of a stretch of a file

  std::vector<Shard> shards_;
  int64_t tokens_ = 0, documents_ = 0;
  std::string tokenizer_hash_;
  uint64_t content_hash_ = 0;
  int touches_ = 0;
};

}  // namespace fathom
