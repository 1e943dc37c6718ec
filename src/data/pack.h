// Folders of text to packed text, in one pass and bounded memory.
//
// Threads: the caller reads and writes, the team encodes (base/team.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/packed_format.h"
#include "data/text_parts.h"
#include "text/tokenizer.h"

namespace fathom {

struct PackConfig {
  std::vector<std::string> files;  // as find_text_files gives them
  int64_t max_bad_lines = 100;     // one more is an error
  int64_t shard_tokens = int64_t{1} << 25;
  FillInMiddle fill = {};
  TextPartSizes sizes = {};
};

struct PackProgress {
  size_t files_done = 0, files = 0;
  uint64_t text_bytes = 0;
  int64_t tokens = 0, documents = 0;
};

struct PackEvents {
  std::function<void(const PackProgress&)> progress;
  std::function<void(const std::string& problem)> bad_document;  // says where and what
};

// Fills `folder`, which must not be there: packed.json, shards, the tokenizer. It appears whole or
// not at all, also when stop_requested() ends the work with an error on the way.
PackedSummary pack_texts(const Tokenizer& tokenizer, const PackConfig& config,
                         const std::string& folder, const PackEvents& events);

}  // namespace fathom
