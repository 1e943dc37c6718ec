#include "data/pack.h"

#include <utility>

#include "base/error.h"
#include "base/stop.h"
#include "base/team.h"
#include "data/shard_writer.h"
#include "io/files.h"
#include "text/fill_in_middle.h"

namespace fathom {
namespace {

constexpr size_t kRoundBytes = size_t{8} << 20;  // of text that is encoded at once
constexpr size_t kRoundParts = 16384;

std::vector<TextPart> next_round(TextPartReader& reader) {
  std::vector<TextPart> parts;
  size_t bytes = 0;
  while (bytes < kRoundBytes && parts.size() < kRoundParts) {
    std::optional<TextPart> part = reader.next();
    if (!part) break;
    bytes += part->text.size();
    parts.push_back(std::move(*part));
  }
  return parts;
}

std::vector<EncodedPart> encode_all(const Tokenizer& tokenizer, const std::vector<TextPart>& parts,
                                    const FillInMiddle& fill) {
  std::vector<EncodedPart> encoded(parts.size());
  share_tasks(std::ssize(parts), [&](int64_t task, int) {
    const auto i = static_cast<size_t>(task);
    encoded[i] = encode_part(tokenizer, parts[i], fill);
  });
  return encoded;
}

// Writes what was encoded, and counts what could not be.
class Packer {
 public:
  Packer(const PackConfig& config, const PackEvents& events, ShardWriter& writer)
      : config_(config), events_(events), writer_(writer) {}

  void add(const TextPart& part, const EncodedPart& encoded) {
    if (part.first) dropping_ = false;
    if (!dropping_ && !encoded.problem.empty()) {
      writer_.drop_document();
      count_bad(encoded.problem);
      dropping_ = true;
    }
    if (dropping_) return;
    writer_.append(encoded.ids);
    if (part.last) writer_.end_document();
  }

  int64_t bad() const { return bad_; }

 private:
  void count_bad(const std::string& problem) {
    ++bad_;
    if (events_.bad_document) events_.bad_document(problem);
    if (bad_ <= config_.max_bad_lines) return;
    fail(ErrorCode::kRuntime, "data: ", bad_, " bad lines or files, the last ", problem,
         "; expected at most ", config_.max_bad_lines,
         ". Repair the data, or raise --max-bad-lines");
  }

  const PackConfig& config_;
  const PackEvents& events_;
  ShardWriter& writer_;
  bool dropping_ = false;  // the rest of a document that has a bad part
  int64_t bad_ = 0;
};

Json sources_of(const std::vector<std::string>& files) {
  Json sources = Json::array();
  for (const std::string& file : files) {
    sources.push_back(
        Json::object({{"path", file}, {"bytes", static_cast<int64_t>(file_size(file))}}));
  }
  return sources;
}

PackedSummary fill_folder(const Tokenizer& tokenizer, const PackConfig& config,
                          const std::string& folder, const PackEvents& events) {
  PackedSummary summary;
  summary.tokenizer_hash = hash_as_text(tokenizer_hash(tokenizer));
  summary.vocab_size = tokenizer.vocab_size();
  summary.id_bytes = summary.vocab_size <= 1 << 16 ? 2 : 4;
  ShardWriter writer(folder, summary.id_bytes, config.shard_tokens);
  TextPartReader reader(config.files, config.sizes);
  Packer packer(config, events, writer);
  for (auto parts = next_round(reader); !parts.empty(); parts = next_round(reader)) {
    if (stop_requested()) fail(ErrorCode::kRuntime, "data pack: stopped; nothing was written");
    const std::vector<EncodedPart> encoded = encode_all(tokenizer, parts, config.fill);
    for (size_t i = 0; i < parts.size(); ++i) packer.add(parts[i], encoded[i]);
    if (events.progress) {
      events.progress({reader.files_done(), config.files.size(), reader.text_bytes(),
                       writer.tokens(), writer.documents()});
    }
  }
  summary.tokens = writer.tokens();
  summary.documents = writer.documents();
  summary.text_bytes = static_cast<int64_t>(reader.text_bytes());
  summary.bad_documents = packer.bad();
  summary.fim_rate = config.fill.rate;
  summary.seed = concat(config.fill.seed);
  summary.shards = writer.finish();
  summary.sources = sources_of(config.files);
  if (summary.tokens == 0) fail(ErrorCode::kRuntime, "data: the files hold no text");
  tokenizer.save(folder);
  write_file_atomically(join_path(folder, kPackedManifest), to_json(summary).dump(2) + "\n");
  return summary;
}

}  // namespace

PackedSummary pack_texts(const Tokenizer& tokenizer, const PackConfig& config,
                         const std::string& folder, const PackEvents& events) {
  if (config.fill.rate > 0 && !can_fill_in_middle(tokenizer)) {
    fail(ErrorCode::kUsage, "data pack: --fim-rate is ", config.fill.rate,
         ", but the tokenizer has no tokens for texts with a hole; leave it out");
  }
  if (exists(folder)) {
    fail(ErrorCode::kUsage, "data pack: ", folder,
         " is there already; choose another --out, or remove it first");
  }
  PackedSummary summary;
  write_directory(folder, [&](const std::string& hidden) {
    summary = fill_folder(tokenizer, config, hidden, events);
  });
  return summary;
}

}  // namespace fathom
