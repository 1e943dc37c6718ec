// Documents from files: plain text and JSON Lines.
//
//   .txt    one document a file, or several with a separator between them
//   .jsonl  one record a line, looked for in this order: {"messages": [{"role", "content"}, …]},
//           {"prompt", "answer"} or {"text"}; other keys are free. A "reasoning_content" beside
//           content or answer is the thinking.
//
// Lines of .jsonl end at byte 0A alone; blank ones are skipped. Files are UTF-8; a byte order mark
// at the start is dropped, line ends inside texts stay as they are. Every error names file and
// line.
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/documents.h"

namespace fathom {

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
bool is_blank_line(std::string_view line);  // which .jsonl may hold

struct Record {
  std::string where;              // file and line, for errors
  std::string text;               // if there are no messages
  std::vector<Message> messages;  // a prompt/answer pair is a user and an assistant message
};

struct ReadOptions {
  std::string separator;  // .txt: what stands between two documents; empty = one document a file
};

// The content of a file; `path` is for errors and, by its ending, names the format.
std::vector<Record> parse_records(std::string_view content, const std::string& path,
                                  const ReadOptions& options = {});

// One line of .jsonl; `where` (file and line) opens every error.
Record parse_record(std::string_view line, const std::string& where);

// A folder stands for its .txt and .jsonl files in the order of their names.
std::vector<Record> read_records(const std::string& path, const ReadOptions& options = {});

// What the model learns from a record; fails where nothing is to be learned (a conversation without
// an answer).
Document to_document(const Tokenizer& tokenizer, const Record& record);

// All of them; fails if the files hold no document at all.
std::vector<Document> read_documents(const Tokenizer& tokenizer,
                                     const std::vector<std::string>& paths,
                                     const ReadOptions& options = {});

}  // namespace fathom
