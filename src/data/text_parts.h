// Texts of any size from files, in parts that fit in memory: what `fathom data pack` encodes.
//
//   .txt    one document a file; a long one comes in several parts
//   .jsonl  one document a line: {"text": …}, other keys are free; lines end at byte 0A alone
// Each may also end in .gz. A byte order mark at the start is dropped.
//
// Threads: a reader belongs to one; encode_part is a pure function.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/text_input.h"
#include "text/tokenizer.h"

namespace fathom {

// The files that paths stand for, in the order given: a file is itself, a folder its files of known
// endings with those of the folders below it in the order of their names, and a pattern (* ? [ ])
// what matches it, in the order of names. Fails on a path without any.
std::vector<std::string> find_text_files(const std::vector<std::string>& paths);

struct TextPart {
  int64_t document = 0;    // number of the document, bad ones counted, too
  std::string where;       // file:line, for messages
  std::string text;        // a line of .jsonl as it stands in the file
  bool is_record = false;  // whether it is such a line
  bool first = true;       // of its document
  bool last = true;
  std::string problem;  // why it cannot be read at all; or empty
};

struct TextPartSizes {
  size_t part_bytes = size_t{4} << 20;   // a .txt above this is cut
  size_t line_bytes = size_t{64} << 20;  // a .jsonl line above this is a problem
};

// Where a long text may be cut at or before `limit` so that encoding both sides gives what encoding
// the whole does: between a line end and a letter, where every published split pattern cuts. Texts
// without such a place are cut at a blank before a letter, and without that between characters.
size_t find_cut(std::string_view text, size_t limit);

class TextPartReader {
 public:
  explicit TextPartReader(std::vector<std::string> files, const TextPartSizes& sizes = {});

  std::optional<TextPart> next();                      // nothing: all files are read
  uint64_t text_bytes() const { return text_bytes_; }  // read so far, after decompression
  size_t files_done() const { return file_; }

 private:
  bool fill(size_t wanted);
  void open();
  void close();
  std::optional<TextPart> next_of_text();
  std::optional<TextPart> next_line();
  std::string take(size_t bytes);
  TextPart skip_long_line();

  std::vector<std::string> files_;
  TextPartSizes sizes_;
  size_t file_ = 0;  // being read, or next
  std::optional<TextInput> input_;
  std::string buffer_;
  size_t at_ = 0;  // in the buffer: what was taken already stands before
  bool at_end_ = false;
  int64_t line_ = 0;
  bool first_ = true;
  int64_t documents_ = 0;
  uint64_t text_bytes_ = 0;
};

// What becomes of a part: ids, with the begin token before the first part and the end token behind
// the last as far as the tokenizer has them, or why not.
struct EncodedPart {
  std::vector<int32_t> ids;
  std::string problem;
};
// Some documents are learned as texts with a hole (data/documents.h), cut at two places of all that
// characters offer. Which ones and where depends on the seed and the number of the document alone.
// Those in several parts stay as they are.
struct FillInMiddle {
  double rate = 0;  // share of the documents
  uint64_t seed = 0;
};

EncodedPart encode_part(const Tokenizer& tokenizer, const TextPart& part,
                        const FillInMiddle& fill = {});

}  // namespace fathom
