#include "app/key_sequences.h"

#include <utility>

namespace fathom {
namespace {

constexpr size_t kLongest = 32;  // of a sequence that some terminal sends

constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"\033[A", "\033[A"},    {"\033OA", "\033[A"},       {"\033[B", "\033[B"},
    {"\033OB", "\033[B"},    {"\033[C", "\033[C"},       {"\033OC", "\033[C"},
    {"\033[D", "\033[D"},    {"\033OD", "\033[D"},       {"\033[H", "\001"},
    {"\033OH", "\001"},      {"\033[1~", "\001"},        {"\033[7~", "\001"},
    {"\033[F", "\005"},      {"\033OF", "\005"},         {"\033[4~", "\005"},
    {"\033[8~", "\005"},     {"\033[3~", "\033[3~"},     {"\033[3;5~", "\033d"},
    {"\033[1;5C", "\033f"},  {"\033[1;3C", "\033f"},     {"\033[5C", "\033f"},
    {"\033[1;5D", "\033b"},  {"\033[1;3D", "\033b"},     {"\033[5D", "\033b"},
    {"\033[1;2A", "\033[A"}, {"\033[1;2B", "\033[B"},    {"\033[1;2C", "\033[C"},
    {"\033[1;2D", "\033[D"}, {kPasteBegin, kPasteBegin},
};

bool is_final(char c) { return c >= 0x40 && c <= 0x7E; }

}  // namespace

bool sequence_is_whole(std::string_view bytes) {
  if (bytes.size() < 2) return false;
  if (bytes.size() >= kLongest) return true;
  if (bytes[1] == 'O') return bytes.size() > 2 && is_final(bytes.back());
  if (bytes[1] != '[') return true;                        // Meta and a character
  if (bytes.size() == 3 && bytes[2] == '[') return false;  // function keys of the Linux console
  return bytes.size() > 2 && is_final(bytes.back());
}

std::string_view known_sequence(std::string_view sequence) {
  for (const auto& [from, to] : kNames)
    if (sequence == from) return to;
  const bool of_a_key = sequence.size() > 1 && (sequence[1] == '[' || sequence[1] == 'O');
  return of_a_key ? std::string_view() : sequence;
}

}  // namespace fathom
