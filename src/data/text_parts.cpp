#include "data/text_parts.h"

#include <glob.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/documents.h"
#include "data/readers.h"
#include "io/files.h"
#include "io/json.h"

namespace fathom {
namespace {

std::string_view without_gz(std::string_view path) {
  if (path.ends_with(".gz")) path.remove_suffix(3);
  return path;
}

bool is_json_lines(std::string_view path) { return without_gz(path).ends_with(".jsonl"); }

bool is_text_file(std::string_view path) {
  return is_json_lines(path) || without_gz(path).ends_with(".txt");
}

void require_text_file(const std::string& path) {
  if (path.ends_with(".zst")) {
    fail(ErrorCode::kUsage, "data: ", path, ": .zst is not read; decompress it (zstd -d), or ",
         "compress it with gzip");
  }
  if (is_text_file(path)) return;
  fail(ErrorCode::kUsage, "data: ", path, " is neither .txt nor .jsonl, nor one of them with .gz");
}

void add_folder(const std::string& folder, std::vector<std::string>& files) {
  for (const std::string& name : list_directory(folder)) {
    const std::string path = join_path(folder, name);
    if (is_directory(path)) {
      add_folder(path, files);
    } else if (is_text_file(name)) {
      files.push_back(path);
    }
  }
}

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  return paths;
}

bool is_letter(char c) {
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'z';
}

// Letters of the scripts without blanks, by their first byte: U+4000 to U+DFFF.
bool is_east_asian(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xE4 && byte <= 0xED;
}

}  // namespace

std::vector<std::string> find_text_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& path) {
    if (is_directory(path)) return add_folder(path, files);
    require_text_file(path);
    files.push_back(path);
  };
  for (const std::string& path : paths) {
    const size_t before = files.size();
    if (!exists(path) && path.find_first_of("*?[") != std::string::npos) {
      for (const std::string& match : matches_of(path)) add(match);
    } else if (exists(path)) {
      add(path);
    } else {
      fail(ErrorCode::kRuntime, "data: ", path, " is not there");
    }
    if (files.size() == before) {
      fail(ErrorCode::kRuntime, "data: ", path, " holds no .txt or .jsonl file (or .gz of them)");
    }
  }
  return files;
}

size_t find_cut(std::string_view text, size_t limit) {
  limit = std::min(limit, text.size() - 1);
  for (size_t at = limit; at > 0; --at) {
    if (text[at - 1] == '\n' && (is_letter(text[at]) || is_east_asian(text[at]))) return at;
  }
  for (size_t at = limit; at > 1; --at) {
    if (is_letter(text[at]) && text[at - 1] == ' ' && text[at - 2] != ' ') return at - 1;
  }
  for (size_t at = limit; at > 0; --at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) return at;
  }
  return limit;
}

TextPartReader::TextPartReader(std::vector<std::string> files, const TextPartSizes& sizes)
    : files_(std::move(files)), sizes_(sizes) {
  FATHOM_CHECK(sizes.part_bytes >= 16 && sizes.line_bytes >= 16, "text parts: of ",
               sizes.part_bytes, " and lines of ", sizes.line_bytes,
               " bytes; expected at least 16");
}

void TextPartReader::open() {
  input_.emplace(files_[file_]);
  buffer_.clear();
  at_ = 0;
  line_ = 0;
  at_end_ = false;
  first_ = true;
  fill(kByteOrderMark.size());
  if (std::string_view(buffer_).starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
}

void TextPartReader::close() {
  input_.reset();
  ++file_;
}

// Reads on until `wanted` bytes stand in the buffer; false where the file ends before.
bool TextPartReader::fill(size_t wanted) {
  constexpr size_t kPiece = size_t{1} << 20;
  while (buffer_.size() - at_ < wanted && !at_end_) {
    if (at_ > 0) buffer_.erase(0, std::exchange(at_, 0));
    const size_t before = buffer_.size();
    buffer_.resize(before + kPiece);
    const size_t got = input_->read(std::span(buffer_.data() + before, kPiece));
    buffer_.resize(before + got);
    text_bytes_ += got;
    at_end_ = got < kPiece;
  }
  return buffer_.size() - at_ >= wanted;
}

std::string TextPartReader::take(size_t bytes) {
  std::string text = buffer_.substr(at_, bytes);
  at_ += bytes;
  return text;
}

std::optional<TextPart> TextPartReader::next() {
  while (file_ < files_.size()) {
    if (!input_) open();
    std::optional<TextPart> part = is_json_lines(files_[file_]) ? next_line() : next_of_text();
    if (part) return part;
    close();
  }
  return std::nullopt;
}

std::optional<TextPart> TextPartReader::next_of_text() {
  const bool more = fill(sizes_.part_bytes + 1);
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (rest.empty()) return std::nullopt;
  TextPart part;
  part.where = concat(files_[file_], ":", line_ + 1);
  part.first = std::exchange(first_, false);
  if (part.first) ++documents_;
  part.document = documents_;
  part.last = !more;
  part.text = take(more ? find_cut(rest, sizes_.part_bytes) : rest.size());
  line_ += std::count(part.text.begin(), part.text.end(), '\n');
  return part;
}

std::optional<TextPart> TextPartReader::next_line() {
  size_t searched = 0;
  while (true) {
    const size_t end = buffer_.find('\n', at_ + searched);
    const size_t length = (end == std::string::npos ? buffer_.size() : end) - at_;
    if (length > sizes_.line_bytes) return skip_long_line();
    if (end == std::string::npos && !at_end_) {
      searched = length;
      fill(length + 1);
      continue;
    }
    if (end == std::string::npos && length == 0) return std::nullopt;
    ++line_;
    searched = 0;
    TextPart part;
    part.text = take(length);
    if (end != std::string::npos) ++at_;
    if (is_blank_line(part.text)) continue;
    part.where = concat(files_[file_], ":", line_);
    part.is_record = true;
    part.document = ++documents_;
    return part;
  }
}

TextPart TextPartReader::skip_long_line() {
  TextPart part;
  part.document = ++documents_;
  part.where = concat(files_[file_], ":", ++line_);
  part.problem = concat("the line is longer than ", sizes_.line_bytes, " bytes");
  while (true) {
    const size_t end = buffer_.find('\n', at_);
    at_ = end == std::string::npos ? buffer_.size() : end + 1;
    if (end != std::string::npos || !fill(1)) return part;
  }
}

namespace {

std::string text_of_record(const TextPart& part) {
  Record record = parse_record(part.text, part.where);
  if (!record.messages.empty()) {
    fail(ErrorCode::kRuntime, part.where, ": it is a conversation; expected a 'text'");
  }
  return std::move(record.text);
}

std::vector<int32_t> plain_ids(const Tokenizer& tokenizer, std::string_view text,
                               const TextPart& part) {
  const ControlIds& control = tokenizer.control();
  std::vector<int32_t> ids = tokenizer.encode(
      text, {.parse_special = false, .add_bos = part.first && control.bos.has_value()});
  if (part.last && control.eos) ids.push_back(*control.eos);
  return ids;
}

RandomKey key_of(const TextPart& part, const FillInMiddle& fill) {
  constexpr uint64_t kFillLayer = 7;
  return {.seed = fill.seed,
          .purpose = Purpose::kData,
          .step = static_cast<uint64_t>(part.document),
          .layer = kFillLayer};
}

bool is_filled(const TextPart& part, const FillInMiddle& fill) {
  return part.first && part.last && key_of(part, fill).uniform(0) < fill.rate;
}

std::vector<int32_t> filled_ids(const Tokenizer& tokenizer, std::string_view text,
                                const TextPart& part, const FillInMiddle& fill) {
  const auto characters = static_cast<uint64_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
  const RandomKey key = key_of(part, fill);
  const auto a = static_cast<int64_t>(key.below(1, characters + 1));
  const auto b = static_cast<int64_t>(key.below(2, characters + 1));
  return fill_in_middle_document(tokenizer, text, std::min(a, b), std::max(a, b)).ids;
}

}  // namespace

EncodedPart encode_part(const Tokenizer& tokenizer, const TextPart& part,
                        const FillInMiddle& fill) {
  if (!part.problem.empty()) return {{}, concat(part.where, ": ", part.problem)};
  EncodedPart encoded;
  try {
    const std::string text = part.is_record ? text_of_record(part) : part.text;
    if (const std::optional<size_t> bad = invalid_utf8_offset(text)) {
      const auto lines = std::count(text.begin(), text.begin() + static_cast<int64_t>(*bad), '\n');
      return {{}, concat(part.where, ": not UTF-8, ", lines, " lines further")};
    }
    encoded.ids = is_filled(part, fill) ? filled_ids(tokenizer, text, part, fill)
                                        : plain_ids(tokenizer, text, part);
  } catch (const Error& error) {
    const std::string what = error.what();
    encoded.ids.clear();
    encoded.problem = what.starts_with(part.where) ? what : concat(part.where, ": ", what);
  }
  return encoded;
}

}  // namespace fathom
