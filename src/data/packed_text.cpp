#include "data/packed_text.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

template <class... Parts>
[[noreturn]] void refuse(const std::string& path, const Parts&... parts) {
  fail(ErrorCode::kRuntime, "packed text: ", path, parts...,
       ". It was changed or cut since it was packed; copy it again, or pack the texts again "
       "(fathom data pack)");
}

uint64_t word_at(std::span<const std::byte> bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof(word));
  return word;
}

ShardHeader checked_header(const MappedFile& file, const ShardEntry& entry, int64_t id_bytes) {
  if (static_cast<int64_t>(file.size()) != entry.bytes) {
    refuse(file.path(), " has ", file.size(), " bytes; ", kPackedManifest, " says ", entry.bytes);
  }
  ShardHeader header;
  const ShardHeader fresh;
  if (file.size() < sizeof(header)) refuse(file.path(), " has no header");
  std::memcpy(&header, file.bytes(0, sizeof(header)).data(), sizeof(header));
  const bool known = std::memcmp(header.magic, fresh.magic, sizeof(header.magic)) == 0 &&
                     header.version == fresh.version && header.id_bytes == id_bytes;
  // Counts are compared before sizes are computed from them.
  if (!known || header.tokens != static_cast<uint64_t>(entry.tokens) ||
      header.documents != static_cast<uint64_t>(entry.documents) || header.tokens > file.size() ||
      header.documents > file.size() || header.file_bytes() != file.size()) {
    refuse(file.path(), ": the header does not agree with ", kPackedManifest);
  }
  std::vector<uint64_t> hashes(header.blocks());
  const uint64_t table = sizeof(header) + header.content_bytes();
  std::memcpy(hashes.data(), file.bytes(table, file.size()).data(), file.size() - table);
  const std::string hash = hash_as_text(shard_hash(header, hashes));
  if (hash != entry.hash) {
    refuse(file.path(), ": the hash is ", hash, "; ", kPackedManifest, " says ", entry.hash);
  }
  return header;
}

}  // namespace

bool is_packed_text(const std::string& folder) {
  return is_directory(folder) && exists(join_path(folder, kPackedManifest));
}

PackedText::PackedText(const std::vector<std::string>& folders) {
  FATHOM_CHECK(!folders.empty(), "packed text: no folder");
  for (const std::string& folder : folders) add_folder(folder);
}

void PackedText::add_folder(const std::string& folder) {
  const std::string path = join_path(folder, kPackedManifest);
  const PackedSummary summary = parse_packed_summary(parse_json(read_file(path), path), path);
  if (!shards_.empty() && summary.tokenizer_hash != tokenizer_hash_) {
    fail(ErrorCode::kUsage, "packed text: ", folder,
         " was packed with another tokenizer than the folders before it (", summary.tokenizer_hash,
         ", expected ", tokenizer_hash_, "); pack them with the same --tokenizer");
  }
  tokenizer_hash_ = summary.tokenizer_hash;
  for (const ShardEntry& entry : summary.shards) {
    MappedFile file(join_path(folder, entry.file));
    const ShardHeader header = checked_header(file, entry, summary.id_bytes);
    shards_.push_back({std::move(file), header, tokens_, std::vector<bool>(header.blocks())});
    tokens_ += entry.tokens;
    documents_ += entry.documents;
    content_hash_ = mix64(content_hash_ ^ hash_text(entry.hash.data(), entry.hash.size()));
  }
}

size_t PackedText::shard_of(int64_t token) const {
  const auto after =
      std::upper_bound(shards_.begin(), shards_.end(), token,
                       [](int64_t value, const Shard& shard) { return value < shard.first; });
  return static_cast<size_t>(after - shards_.begin()) - 1;
}

void PackedText::check_block(Shard& shard, uint64_t block) {
  if (shard.checked[block]) return;
  const ShardHeader& header = shard.header;
  const uint64_t begin = block * kHashedBlock;
  const uint64_t end = std::min(begin + kHashedBlock, header.content_bytes());
  const uint64_t entry = sizeof(header) + header.content_bytes() + block * 8;
  const uint64_t expected = word_at(shard.file.bytes(entry, entry + 8));
  if (hash_words(shard.file.bytes(sizeof(header) + begin, sizeof(header) + end)) != expected) {
    refuse(shard.file.path(), ": bytes ", sizeof(header) + begin, " to ", sizeof(header) + end,
           " are not those that were written");
  }
  shard.checked[block] = true;
  count_touch();
}

// begin, end: of the content, behind the header.
std::span<const std::byte> PackedText::checked_bytes(Shard& shard, uint64_t begin, uint64_t end) {
  for (uint64_t block = begin / kHashedBlock; block * kHashedBlock < end; ++block)
    check_block(shard, block);
  return shard.file.bytes(sizeof(ShardHeader) + begin, sizeof(ShardHeader) + end);
}

void PackedText::read(int64_t first, std::span<int32_t> ids) {
  FATHOM_CHECK(first >= 0 && first + std::ssize(ids) <= tokens_, "packed text: tokens ", first,
               " to ", first + std::ssize(ids), " of ", tokens_);
  while (!ids.empty()) {
    Shard& shard = shards_[shard_of(first)];
    const auto at = static_cast<uint64_t>(first - shard.first);
    const size_t count = std::min<size_t>(ids.size(), shard.header.tokens - at);
    const uint64_t size = shard.header.id_bytes;
    const std::span<const std::byte> bytes = checked_bytes(shard, at * size, (at + count) * size);
    if (size == 4) {
      std::memcpy(ids.data(), bytes.data(), bytes.size());
    } else {
      const auto* narrow = reinterpret_cast<const uint16_t*>(bytes.data());
      std::copy_n(narrow, count, ids.begin());
    }
    first += static_cast<int64_t>(count);
    ids = ids.subspan(count);
    count_touch();
  }
}

void PackedText::will_need(int64_t first, int64_t count) const {
  for (size_t i = shard_of(first); i < shards_.size() && shards_[i].first < first + count; ++i) {
    const Shard& shard = shards_[i];
    const auto size = static_cast<int64_t>(shard.header.id_bytes);
    const int64_t begin = std::max<int64_t>(0, first - shard.first) * size;
    const int64_t end =
        std::min(first + count - shard.first, static_cast<int64_t>(shard.header.tokens)) * size;
    shard.file.will_need(sizeof(ShardHeader) + static_cast<uint64_t>(begin),
                         sizeof(ShardHeader) + static_cast<uint64_t>(end));
  }
}

void PackedText::count_touch() {
  constexpr int kReleasedAfter = 16;
  if (++touches_ < kReleasedAfter) return;
  touches_ = 0;
  for (const Shard& shard : shards_) shard.file.release();
}

void PackedText::check_all() {
  for (Shard& shard : shards_) {
    for (uint64_t block = 0; block < shard.header.blocks(); ++block) check_block(shard, block);
  }
}

}  // namespace fathom
