#include "data/readers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"

namespace fathom {
namespace {

int64_t line_of(std::string_view content, size_t offset) {
  return 1 +
         std::count(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
}

void require_utf8(std::string_view text, const std::string& where) {
  const std::optional<size_t> bad = invalid_utf8_offset(text);
  if (!bad) return;
  fail(ErrorCode::kRuntime, where, ": byte ", *bad,
       " is not UTF-8; convert the file to UTF-8 first");
}

// --- .txt

std::vector<Record> parse_text(std::string_view content, const std::string& path,
                               const std::string& separator) {
  if (const std::optional<size_t> bad = invalid_utf8_offset(content)) {
    const std::string where = concat(path, ":", line_of(content, *bad));
    fail(ErrorCode::kRuntime, where, ": byte ", *bad,
         " of the file is not UTF-8; convert the file to UTF-8 first");
  }
  std::vector<Record> records;
  for (size_t start = 0; start < content.size();) {
    const size_t end = separator.empty() ? content.size()
                                         : std::min(content.find(separator, start), content.size());
    const std::string_view text = content.substr(start, end - start);
    if (!text.empty()) {
      records.push_back({concat(path, ":", line_of(content, start)), std::string(text), {}});
    }
    start = end + separator.size();
  }
  return records;
}

// --- .jsonl

std::string text_member(const Json& object, std::string_view key, const std::string& where) {
  const Json* value = object.find(key);
  if (value == nullptr) fail(ErrorCode::kRuntime, where, ": '", key, "' is missing");
  if (!value->is_string()) {
    fail(ErrorCode::kRuntime, where, ": '", key, "' is ", value->dump(), "; expected a string");
  }
  return value->as_string(key);
}

std::string optional_text(const Json& object, std::string_view key, const std::string& where) {
  const Json* value = object.find(key);
  return value == nullptr || value->is_null() ? "" : text_member(object, key, where);
}

Message parse_message(const Json& item, const std::string& where) {
  if (!item.is_object()) fail(ErrorCode::kRuntime, where, " is no object");
  Message message{text_member(item, "role", where), text_member(item, "content", where),
                  optional_text(item, "reasoning_content", where)};
  const std::string& role = message.role;
  if (role != "system" && role != "user" && role != "assistant") {
    fail(ErrorCode::kRuntime, where, ": the role is '", role,
         "'; expected system, user or assistant");
  }
  return message;
}

std::vector<Message> parse_messages(const Json& list, const std::string& where) {
  if (!list.is_array() || list.empty()) {
    fail(ErrorCode::kRuntime, where, ": 'messages' is ", list.dump(),
         "; expected a list with at least one message");
  }
  std::vector<Message> messages;
  for (size_t i = 0; i < list.size(); ++i) {
    messages.push_back(parse_message(list.at(i), concat(where, ": message ", i + 1)));
  }
  return messages;
}

std::string key_list(const Json& object) {
  std::string keys;
  for (const Json::Member& member : object.members())
    keys += (keys.empty() ? "" : ", ") + member.first;
  return keys.empty() ? "none" : keys;
}

std::vector<Record> parse_json_lines(std::string_view content, const std::string& path) {
  std::vector<Record> records;
  int64_t number = 0;
  for (size_t start = 0; start < content.size();) {
    const size_t end = std::min(content.find('\n', start), content.size());
    const std::string_view line = content.substr(start, end - start);
    ++number;
    if (!is_blank_line(line)) records.push_back(parse_record(line, concat(path, ":", number)));
    start = end + 1;
  }
  return records;
}

bool has_known_ending(std::string_view path) {
  return path.ends_with(".txt") || path.ends_with(".jsonl");
}

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

bool is_blank_line(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

Record parse_record(std::string_view line, const std::string& where) {
  require_utf8(line, where);
  const Json object = parse_json(line, where);
  if (!object.is_object()) fail(ErrorCode::kRuntime, where, ": the record is no JSON object");
  Record record{where, "", {}};
  if (const Json* messages = object.find("messages")) {
    record.messages = parse_messages(*messages, where);
  } else if (object.contains("prompt") && object.contains("answer")) {
    record.messages = {{"user", text_member(object, "prompt", where), ""},
                       {"assistant", text_member(object, "answer", where),
                        optional_text(object, "reasoning_content", where)}};
  } else if (object.contains("text")) {
    record.text = text_member(object, "text", where);
  } else {
    fail(ErrorCode::kRuntime, where,
         ": expected 'text', 'messages', or 'prompt' and 'answer'; the keys are ",
         key_list(object));
  }
  return record;
}

std::vector<Record> parse_records(std::string_view content, const std::string& path,
                                  const ReadOptions& options) {
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  if (path.ends_with(".jsonl")) return parse_json_lines(content, path);
  if (path.ends_with(".txt")) return parse_text(content, path, options.separator);
  fail(ErrorCode::kUsage, "data: ", path, " is neither .txt nor .jsonl");
}

std::vector<Record> read_records(const std::string& path, const ReadOptions& options) {
  if (!is_directory(path)) {
    if (!has_known_ending(path))
      fail(ErrorCode::kUsage, "data: ", path, " is neither .txt nor .jsonl");
    return parse_records(read_file(path), path, options);
  }
  std::vector<Record> records;
  for (const std::string& name : list_directory(path)) {
    const std::string file = join_path(path, name);
    if (has_known_ending(name) && !is_directory(file)) {
      append(records, parse_records(read_file(file), file, options));
    }
  }
  return records;
}

Document to_document(const Tokenizer& tokenizer, const Record& record) {
  Document document;
  try {
    document = record.messages.empty() ? text_document(tokenizer, record.text)
                                       : conversation_document(tokenizer, record.messages);
  } catch (const Error& error) {
    throw Error(error.code(), record.where + ": " + error.what());
  }
  const bool learns = std::any_of(document.weights.begin(), document.weights.end(),
                                  [](float weight) { return weight > 0; });
  if (!learns) {
    fail(ErrorCode::kRuntime, record.where,
         ": there is nothing to learn; a conversation needs an assistant ", "message");
  }
  return document;
}

std::vector<Document> read_documents(const Tokenizer& tokenizer,
                                     const std::vector<std::string>& paths,
                                     const ReadOptions& options) {
  std::vector<Document> documents;
  std::string names;
  for (const std::string& path : paths) {
    names += " " + path;
    for (const Record& record : read_records(path, options)) {
      documents.push_back(to_document(tokenizer, record));
    }
  }
  if (documents.empty()) {
    fail(ErrorCode::kRuntime, "data: no documents in", names.empty() ? " (no paths)" : names,
         "; expected .txt files with text or .jsonl files with records");
  }
  return documents;
}

}  // namespace fathom
