#include "text/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uversion.h>

#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

constexpr uint8_t kClassVersion = 16;
constexpr uint8_t kNormalFormVersion = 9;

struct Addition {
  char32_t first, last;
  uint16_t classes;
};

// Code points that Unicode 15.1 and 16 added. An ICU that knows them gives the same answers.
constexpr Addition kAdditions[] = {
    {0x897, 0x897, kMark},
    {0x1B4E, 0x1B4F, kPunctuation},
    {0x1B7F, 0x1B7F, kPunctuation},
    {0x1C89, 0x1C8A, kLetter},
    {0x2427, 0x2429, kSymbol},
    {0x2FFC, 0x2FFF, kSymbol},
    {0x31E4, 0x31E5, kSymbol},
    {0x31EF, 0x31EF, kSymbol},
    {0xA7CB, 0xA7CD, kLetter},
    {0xA7DA, 0xA7DC, kLetter},
    {0x105C0, 0x105F3, kLetter},
    {0x10D40, 0x10D49, kNumber},
    {0x10D4A, 0x10D65, kLetter},
    {0x10D69, 0x10D6D, kMark},
    {0x10D6E, 0x10D6E, kPunctuation},
    {0x10D6F, 0x10D85, kLetter},
    {0x10D8E, 0x10D8F, kSymbol},
    {0x10EC2, 0x10EC4, kLetter},
    {0x10EFC, 0x10EFC, kMark},
    {0x11380, 0x11389, kLetter},
    {0x1138B, 0x1138B, kLetter},
    {0x1138E, 0x1138E, kLetter},
    {0x11390, 0x113B5, kLetter},
    {0x113B7, 0x113B7, kLetter},
    {0x113B8, 0x113C0, kMark},
    {0x113C2, 0x113C2, kMark},
    {0x113C5, 0x113C5, kMark},
    {0x113C7, 0x113CA, kMark},
    {0x113CC, 0x113D0, kMark},
    {0x113D1, 0x113D1, kLetter},
    {0x113D2, 0x113D2, kMark},
    {0x113D3, 0x113D3, kLetter},
    {0x113D4, 0x113D5, kPunctuation},
    {0x113D7, 0x113D8, kPunctuation},
    {0x113E1, 0x113E2, kMark},
    {0x116D0, 0x116E3, kNumber},
    {0x11BC0, 0x11BE0, kLetter},
    {0x11BE1, 0x11BE1, kPunctuation},
    {0x11BF0, 0x11BF9, kNumber},
    {0x11F5A, 0x11F5A, kMark},
    {0x13460, 0x143FA, kLetter},
    {0x16100, 0x1611D, kLetter},
    {0x1611E, 0x1612F, kMark},
    {0x16130, 0x16139, kNumber},
    {0x16D40, 0x16D6C, kLetter},
    {0x16D6D, 0x16D6F, kPunctuation},
    {0x16D70, 0x16D79, kNumber},
    {0x18CFF, 0x18CFF, kLetter},
    {0x1CC00, 0x1CCEF, kSymbol},
    {0x1CCF0, 0x1CCF9, kNumber},
    {0x1CD00, 0x1CEB3, kSymbol},
    {0x1E5D0, 0x1E5ED, kLetter},
    {0x1E5EE, 0x1E5EF, kMark},
    {0x1E5F0, 0x1E5F0, kLetter},
    {0x1E5F1, 0x1E5FA, kNumber},
    {0x1E5FF, 0x1E5FF, kPunctuation},
    {0x1F8B2, 0x1F8BB, kSymbol},
    {0x1F8C0, 0x1F8C1, kSymbol},
    {0x1FA89, 0x1FA89, kSymbol},
    {0x1FA8F, 0x1FA8F, kSymbol},
    {0x1FABE, 0x1FABE, kSymbol},
    {0x1FAC6, 0x1FAC6, kSymbol},
    {0x1FADC, 0x1FADC, kSymbol},
    {0x1FADF, 0x1FADF, kSymbol},
    {0x1FAE9, 0x1FAE9, kSymbol},
    {0x1FBCB, 0x1FBEF, kSymbol},
    {0x2EBF0, 0x2EE5D, kLetter},
};

// Numbers that Unicode 17 added, for the Digits step alone.
constexpr Addition kNumericAdditions[] = {{0x11DE0, 0x11DE9, kNumeric},
                                          {0x16FF4, 0x16FF6, kNumeric}};

uint16_t classes_of_category(UCharCategory category) {
  const uint32_t mask = U_MASK(category);
  if (mask & U_GC_L_MASK) return kLetter;
  if (mask & U_GC_M_MASK) return kMark;
  if (mask & U_GC_N_MASK) return kNumber | kNumeric;
  if (mask & U_GC_P_MASK) return kPunctuation;
  if (mask & U_GC_S_MASK) return kSymbol;
  return 0;
}

bool newer_than(char32_t code_point, uint8_t version) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(code_point), age);
  return age[0] > version;
}

UBool fill_range(const void* context, UChar32 start, UChar32 limit, UCharCategory category) {
  auto& classes = *static_cast<std::vector<uint16_t>*>(const_cast<void*>(context));
  const uint16_t bits = classes_of_category(category);
  if (bits == 0) return true;
  std::fill(classes.begin() + start, classes.begin() + limit, bits);
  return true;
}

void forget_newer(std::vector<uint16_t>& classes) {
  UVersionInfo library;
  u_getUnicodeVersion(library);
  if (library[0] <= kClassVersion) return;
  for (char32_t c = 0; c < kCodePoints; ++c) {
    if (classes[c] != 0 && newer_than(c, kClassVersion)) classes[c] = 0;
  }
}

void add_ascii_classes(std::vector<uint16_t>& classes) {
  for (char32_t c = 0; c < 128; ++c) {
    if (classes[c] & kLetter) classes[c] |= kAsciiLetter;
    if (classes[c] & (kPunctuation | kSymbol)) classes[c] |= kAsciiSign;
  }
  classes[U' '] |= kSpace;
  classes[U'\r'] |= kNewline;
  classes[U'\n'] |= kNewline;
}

std::vector<uint16_t> make_classes() {
  std::vector<uint16_t> classes(kCodePoints);
  u_enumCharTypes(fill_range, &classes);
  forget_newer(classes);
  for (const Addition& more : kAdditions) {
    const uint16_t numeric = more.classes & kNumber ? kNumeric : 0;
    for (char32_t c = more.first; c <= more.last; ++c) classes[c] = more.classes | numeric;
  }
  for (const Addition& more : kNumericAdditions) {
    for (char32_t c = more.first; c <= more.last; ++c) classes[c] |= kNumeric;
  }
  constexpr char32_t kAfterLastWhiteSpace = 0x3001;
  for (char32_t c = 0; c < kAfterLastWhiteSpace; ++c) {
    if (u_isUWhiteSpace(static_cast<UChar32>(c))) classes[c] |= kWhiteSpace;
  }
  add_ascii_classes(classes);
  return classes;
}

const UNormalizer2* nfc_data() {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* data = unorm2_getNFCInstance(&status);
  FATHOM_CHECK(U_SUCCESS(status), "unicode: ICU has no data for NFC: ", u_errorName(status),
               "; its data file may be incomplete, install libicu again");
  return data;
}

// Nothing below U+0300 combines, and nothing below U+00C0 decomposes.
constexpr char32_t kFirstCombining = 0x300, kFirstDecomposable = 0xC0;

}  // namespace

std::span<const uint16_t> character_classes() {
  static const std::vector<uint16_t> classes = make_classes();
  return classes;
}

bool may_change_in_nfc(char32_t code_point) {
  if (code_point < kFirstCombining) return false;
  const UChar32 c = static_cast<UChar32>(code_point);
  return u_getCombiningClass(c) != 0 ||
         u_getIntPropertyValue(c, UCHAR_NFC_QUICK_CHECK) != UNORM_YES;
}

int combining_class(char32_t code_point) {
  if (code_point < kFirstCombining) return 0;
  const int value = u_getCombiningClass(static_cast<UChar32>(code_point));
  return value != 0 && newer_than(code_point, kNormalFormVersion) ? 0 : value;
}

void decompose(char32_t code_point, std::u32string& out) {
  if (code_point >= kFirstDecomposable) {
    static const UNormalizer2* const data = nfc_data();
    UChar parts[32];
    UErrorCode status = U_ZERO_ERROR;
    const int32_t length = unorm2_getDecomposition(data, static_cast<UChar32>(code_point), parts,
                                                   std::size(parts), &status);
    if (U_SUCCESS(status) && length > 0 && !newer_than(code_point, kNormalFormVersion)) {
      for (int32_t at = 0; at < length;) {
        UChar32 part = 0;
        U16_NEXT(parts, at, length, part);
        out.push_back(static_cast<char32_t>(part));
      }
      return;
    }
  }
  out.push_back(code_point);
}

char32_t compose(char32_t first, char32_t second) {
  static const UNormalizer2* const data = nfc_data();
  const UChar32 whole =
      unorm2_composePair(data, static_cast<UChar32>(first), static_cast<UChar32>(second));
  if (whole < 0 || newer_than(static_cast<char32_t>(whole), kNormalFormVersion)) return 0;
  return static_cast<char32_t>(whole);
}

}  // namespace fathom
