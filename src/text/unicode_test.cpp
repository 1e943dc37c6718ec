#include "text/unicode.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "text/normalizer.h"
#include "text/utf8.h"

namespace fathom {
namespace {

uint16_t classes(char32_t c) { return character_classes()[c]; }

TEST(Unicode, KnowsTheClassesThatPatternsAskFor) {
  EXPECT_EQ(classes(U'a'), kLetter | kAsciiLetter);
  EXPECT_EQ(classes(U'é'), kLetter);
  EXPECT_EQ(classes(U'你'), kLetter);
  EXPECT_EQ(classes(0x301), kMark);
  EXPECT_EQ(classes(0x20DD), kMark);  // enclosing
  EXPECT_EQ(classes(U'7'), kNumber | kNumeric);
  EXPECT_EQ(classes(U'Ⅷ'), kNumber | kNumeric);
  EXPECT_EQ(classes(U'½'), kNumber | kNumeric);
  EXPECT_EQ(classes(U'_'), kPunctuation | kAsciiSign);
  EXPECT_EQ(classes(U'+'), kSymbol | kAsciiSign);
  EXPECT_EQ(classes(U'。'), kPunctuation);
  EXPECT_EQ(classes(U'🦙'), kSymbol);
  EXPECT_EQ(classes(U' '), kWhiteSpace | kSpace);
  EXPECT_EQ(classes(U'\n'), kWhiteSpace | kNewline);
  EXPECT_EQ(classes(0x85), kWhiteSpace);
  EXPECT_EQ(classes(0x3000), kWhiteSpace);
  for (const char32_t c : {0x0, 0x200B, 0x180E, 0xFEFF, 0xE000, 0xD800, 0x10FFFF}) {
    EXPECT_EQ(classes(c), 0) << describe_character(c);
  }
}

TEST(Unicode, HasTheWholeOfWhiteSpace) {
  EXPECT_EQ(std::count_if(character_classes().begin(), character_classes().end(),
                          [](uint16_t bits) { return (bits & kWhiteSpace) != 0; }),
            25);
}

// Sizes of the classes in Unicode 16, as the reference's regular-expression library has them.
TEST(Unicode, HoldsToVersion16WhateverTheLibraryKnows) {
  const auto size = [](uint16_t bit) {
    return std::count_if(character_classes().begin(), character_classes().end(),
                         [bit](uint16_t bits) { return (bits & bit) != 0; });
  };
  EXPECT_EQ(size(kLetter), 141028);
  EXPECT_EQ(size(kMark), 2501);
  EXPECT_EQ(size(kNumber), 1911);
  EXPECT_EQ(size(kPunctuation), 855);
  EXPECT_EQ(size(kSymbol), 8514);
  EXPECT_EQ(size(kNumeric), 1924);        // Unicode 17
  EXPECT_EQ(classes(0x1FAE9), kSymbol);   // came with Unicode 16
  EXPECT_EQ(classes(0x11DE0), kNumeric);  // with Unicode 17
  EXPECT_EQ(classes(0xA7CE), 0);          // with Unicode 17, a letter
}

TEST(Nfc, ComposesAndReorders) {
  EXPECT_EQ(normalize_nfc("e\u0301"), "é");
  EXPECT_EQ(normalize_nfc("a\u0323\u0302"), "\u1EAD");
  EXPECT_EQ(normalize_nfc("a\u0302\u0323"), "\u1EAD");  // marks in the other order
  EXPECT_EQ(normalize_nfc("\u1112\u1161\u11AB"), "한");
  EXPECT_EQ(normalize_nfc("\uD558\u11AB"), "한");
  EXPECT_EQ(normalize_nfc("\u212B"), "Å");  // a singleton
  EXPECT_EQ(normalize_nfc("\u0344"), "\u0308\u0301");
  EXPECT_EQ(normalize_nfc("\u0958"), "\u0915\u093C");    // excluded from composition
  EXPECT_EQ(normalize_nfc("\u0301a"), "\u0301a");        // no starter before
  EXPECT_EQ(normalize_nfc("a\u0300\u0301"), "à\u0301");  // the second is blocked by the first
  EXPECT_EQ(normalize_nfc("a\u05B0\u0301"), "á\u05B0");  // one of another class is not
  EXPECT_EQ(normalize_nfc(""), "");
}

TEST(Nfc, LeavesWhatCameAfterUnicode9) {
  const std::string dives_akuru = "\U00011935\U00011930";  // composes since Unicode 13
  EXPECT_EQ(normalize_nfc(dives_akuru), dives_akuru);
  const std::string marks = "a\u0301\u07FD\u0316";  // U+07FD: Unicode 11, class 220
  EXPECT_EQ(normalize_nfc(marks), "á\u07FD\u0316");
}

TEST(Nfc, CopiesOnlyTextThatChanges) {
  std::string storage;
  const std::string plain = "naïve 你好 한 \U0001F600";
  EXPECT_EQ(normalized(Normalizer::kNfc, plain, storage).data(), plain.data());
  const std::string open = "e\u0301";
  EXPECT_EQ(normalized(Normalizer::kNone, open, storage).data(), open.data());
  EXPECT_EQ(normalized(Normalizer::kNfc, open, storage), "é");
}

TEST(Nfc, DoesNotSlowDownOnEndlessMarks) {
  std::string text = "a";
  for (int i = 0; i < 200000; ++i) text += i % 2 == 0 ? "\u0315" : "\u0327";
  for (int i = 0; i < 100000; ++i) text += "\u0F73\u0F75";  // each becomes two marks
  const std::string out = normalize_nfc(text);
  EXPECT_EQ(out.substr(0, 4), "a\u0F71");
  EXPECT_TRUE(normalize_nfc(out) == out);
}

}  // namespace
}  // namespace fathom
