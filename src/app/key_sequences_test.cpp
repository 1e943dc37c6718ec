#include "app/key_sequences.h"

#include <gtest/gtest.h>

#include <string>

namespace fathom {
namespace {

// The bytes of one key, one after the other, and what is left when it is whole.
std::string left_behind(const std::string& bytes) {
  for (size_t size = 1; size <= bytes.size(); ++size)
    if (sequence_is_whole(std::string_view(bytes).substr(0, size))) return bytes.substr(size);
  return "not whole";
}

TEST(KeySequences, AreWholeAtTheirLastByte) {
  for (const char* key : {"\033[A", "\033OA", "\033[1;5D", "\033[200~", "\033[3~", "\033b",
                          "\033[[A", "\033[24~", "\033O5D", "\033[<0;12;3M"}) {
    EXPECT_EQ(left_behind(key), "") << key + 1;
    EXPECT_EQ(left_behind(std::string(key) + "x"), "x") << key + 1;
  }
  EXPECT_FALSE(sequence_is_whole("\033"));
  EXPECT_FALSE(sequence_is_whole("\033["));
  EXPECT_TRUE(sequence_is_whole("\033[" + std::string(100, '1')));  // no key; it must end somewhere
}

TEST(KeySequences, WordsAndEndsAreKeysOfTheEditor) {
  EXPECT_EQ(known_sequence("\033[1;5D"), "\033b");
  EXPECT_EQ(known_sequence("\033[1;5C"), "\033f");
  EXPECT_EQ(known_sequence("\033OH"), "\001");
  EXPECT_EQ(known_sequence("\033[4~"), "\005");
  EXPECT_EQ(known_sequence("\033OA"), "\033[A");
}

TEST(KeySequences, OthersAreSwallowedWholeAndMetaKeysPass) {
  for (const char* key : {"\033[24~", "\033[[A", "\033O5D", "\033[<0;12;3M", "\033[201~"})
    EXPECT_EQ(known_sequence(key), "") << key + 1;
  EXPECT_EQ(known_sequence("\033b"), "\033b");
}

}  // namespace
}  // namespace fathom
