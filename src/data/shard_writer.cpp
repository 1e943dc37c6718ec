#include "data/shard_writer.h"

#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

std::string shard_name(size_t number) {
  std::string digits = concat(number);
  return concat("shard-", std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0'), digits,
                ".tokens");
}

std::vector<uint64_t> block_hashes(const MappedFile& file, const ShardHeader& header) {
  constexpr uint64_t kReleasedAfter = 64;  // blocks
  std::vector<uint64_t> hashes;
  for (uint64_t block = 0; block < header.blocks(); ++block) {
    const uint64_t begin = block * kHashedBlock;
    const uint64_t end = std::min(begin + kHashedBlock, header.content_bytes());
    hashes.push_back(hash_words(file.bytes(sizeof(header) + begin, sizeof(header) + end)));
    if (block % kReleasedAfter == 0) file.release();
  }
  return hashes;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

ShardWriter::ShardWriter(std::string folder, int64_t id_bytes, int64_t shard_tokens)
    : folder_(std::move(folder)), id_bytes_(id_bytes), shard_tokens_(shard_tokens) {
  FATHOM_CHECK((id_bytes == 2 || id_bytes == 4) && shard_tokens > 0, "shards: ids of ", id_bytes,
               " bytes, ", shard_tokens, " tokens a shard");
}

void ShardWriter::append(std::span<const int32_t> ids) {
  if (!file_) file_.emplace(join_path(folder_, shard_name(shards_.size())));
  const uint64_t place = sizeof(ShardHeader) + end_ * static_cast<uint64_t>(id_bytes_);
  if (id_bytes_ == 2) {
    const std::vector<uint16_t> narrow(ids.begin(), ids.end());
    file_->write_at(place, bytes_of(narrow));
  } else {
    file_->write_at(place, std::as_bytes(ids));
  }
  end_ += ids.size();
}

void ShardWriter::end_document() {
  if (end_ == offsets_.back()) return;
  offsets_.push_back(end_);
  if (static_cast<int64_t>(end_) >= shard_tokens_) close_shard();
}

void ShardWriter::drop_document() { end_ = offsets_.back(); }

void ShardWriter::close_shard() {
  ShardHeader header;
  header.id_bytes = static_cast<uint32_t>(id_bytes_);
  header.tokens = offsets_.back();
  header.documents = offsets_.size() - 1;
  const std::string path = file_->path();
  // A dropped document may stand behind the last one: zeros over what becomes padding.
  const uint64_t ids_end = sizeof(header) + header.tokens * header.id_bytes;
  const std::vector<std::byte> zeros(sizeof(header) + header.ids_bytes() - ids_end);
  file_->write_at(ids_end, zeros);
  file_->write_at(sizeof(header) + header.ids_bytes(), bytes_of(offsets_));
  const std::vector<uint64_t> hashes = block_hashes(MappedFile(path), header);
  file_->write_at(sizeof(header) + header.content_bytes(), bytes_of(hashes));
  file_->write_at(0, std::as_bytes(std::span(&header, 1)));
  file_->finish();
  file_.reset();
  std::filesystem::resize_file(path, header.file_bytes());
  shards_.push_back({shard_name(shards_.size()), static_cast<int64_t>(header.file_bytes()),
                     static_cast<int64_t>(header.tokens), static_cast<int64_t>(header.documents),
                     hash_as_text(shard_hash(header, hashes))});
  tokens_before_ += static_cast<int64_t>(header.tokens);
  documents_before_ += static_cast<int64_t>(header.documents);
  offsets_ = {0};
  end_ = 0;
}

std::vector<ShardEntry> ShardWriter::finish() {
  if (offsets_.size() > 1) close_shard();
  file_.reset();  // with nothing but a dropped document in it: removed
  return std::exchange(shards_, {});
}

}  // namespace fathom
