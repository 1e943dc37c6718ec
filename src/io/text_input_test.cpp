#include "io/text_input.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <filesystem>

#include "base/error.h"
#include "io/files.h"

namespace fathom {
namespace {

std::string gzipped(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string all_of(const std::string& path, size_t piece) {
  TextInput input(path);
  std::string text, buffer(piece, '\0');
  while (const size_t got = input.read(std::span(buffer.data(), piece)))
    text.append(buffer, 0, got);
  return text;
}

class TextInputTest : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& content) {
    make_directories(folder_);
    write_file_atomically(join_path(folder_, name), content);
    return join_path(folder_, name);
  }
  void TearDown() override { remove_all(folder_); }
  std::string folder_ = testing::TempDir() + "text_input_test";
};

std::string long_text() {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += concat("line ", i, "\n");
  return text;
}

TEST_F(TextInputTest, PlainAndCompressedFilesGiveTheSameTextInPiecesOfAnySize) {
  const std::string text = long_text();
  for (const size_t piece : {size_t{1000}, size_t{4096}, size_t{1} << 20}) {
    EXPECT_EQ(all_of(file("a.txt", text), piece), text);
    EXPECT_EQ(all_of(file("a.txt.gz", gzipped(text)), piece), text);
  }
  EXPECT_EQ(all_of(file("two.gz", gzipped("one ") + gzipped("two")), 3), "one two");
  EXPECT_EQ(all_of(file("empty.txt", ""), 10), "");
}

TEST_F(TextInputTest, DamagedOrCutDataIsAnErrorThatNamesTheFile) {
  const std::string whole = gzipped(long_text());
  std::string damaged = whole;
  damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 0x55);
  for (const std::string& content : {whole.substr(0, whole.size() / 2), damaged,
                                     whole.substr(0, whole.size() - 5), std::string("plain")}) {
    const std::string path = file("bad.gz", content);
    try {
      all_of(path, 4096);
      ADD_FAILURE() << "accepted " << content.size() << " of " << whole.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("bad.gz"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(TextInput(join_path(folder_, "absent.txt")), Error);
  EXPECT_THROW(TextInput{folder_}, Error);
}

}  // namespace
}  // namespace fathom
