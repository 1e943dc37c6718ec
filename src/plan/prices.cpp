#include "plan/prices.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "plan/as_double.h"
#include "plan/built_in_prices.h"

namespace fathom {
namespace {

constexpr int64_t kDay = 86400;
constexpr int64_t kMillion = 1000000;
constexpr double kNano = 1e9;
constexpr double kDearest = 1e6;  // dollars a million tokens

int64_t nano_dollars(const Json& window, const char* key, const std::string& where) {
  const double dollars = window.double_at(key);
  if (!(dollars >= 0 && dollars <= kDearest))
    fail(ErrorCode::kUsage, where, ": ", key, " is ", dollars,
         "; expected dollars a million tokens");
  return std::llround(dollars * kNano);
}

// "01:00-04:00"
void parse_hours(const std::string& text, PriceWindow& window, const std::string& where) {
  int from_hour = 0, from_minute = 0, to_hour = 0, to_minute = 0, used = 0;
  const int read = std::sscanf(text.c_str(), "%2d:%2d-%2d:%2d%n", &from_hour, &from_minute,
                               &to_hour, &to_minute, &used);
  const auto is_time = [](int hour, int minute) {
    return hour >= 0 && hour <= 24 && minute >= 0 && minute < 60 && hour * 60 + minute <= 1440;
  };
  if (read != 4 || static_cast<size_t>(used) != text.size() || !is_time(from_hour, from_minute) ||
      !is_time(to_hour, to_minute))
    fail(ErrorCode::kUsage, where, ": utc is '", text, "'; expected hours such as 16:30-00:30");
  window.always = false;
  window.utc = text;
  window.begin_minute = from_hour * 60 + from_minute;
  window.end_minute = to_hour * 60 + to_minute;
}

void parse_days(const std::string& text, PriceWindow& window, const std::string& where) {
  const bool sound =
      text.size() == 3 && text[1] == '-' && text[0] >= '1' && text[2] <= '7' && text[0] <= text[2];
  if (!sound) fail(ErrorCode::kUsage, where, ": days is '", text, "'; expected days such as 1-5");
  window.days = text;
  window.first_day = text[0] - '0';
  window.last_day = text[2] - '0';
}

PriceWindow parse_window(const Json& json, const std::string& where) {
  PriceWindow window;
  if (json.contains("utc")) parse_hours(json.string_at("utc"), window, where);
  if (json.contains("days")) parse_days(json.string_at("days"), window, where);
  if (json.contains("since")) window.since = parse_utc(json.string_at("since"), where);
  window.price.miss = nano_dollars(json, "miss", where);
  window.price.output = nano_dollars(json, "out", where);
  window.price.hit = json.contains("hit") ? nano_dollars(json, "hit", where) : window.price.miss;
  return window;
}

PriceRow parse_row(const Json& json, const std::string& where) {
  PriceRow row;
  row.provider = json.string_at("provider");
  row.model = json.string_at("model");
  row.note = json.string_or("note", "");
  row.from_text = json.string_at("from");
  row.from = parse_utc(row.from_text, where);
  if (json.contains("until")) row.until = parse_utc(json.string_at("until"), where);
  if (json.string_or("currency", "USD") != "USD")
    fail(ErrorCode::kUsage, where, ": currency is ", json.string_at("currency"), "; expected USD");
  if (const Json* presets = json.find("presets")) {
    for (const Json& preset : presets->items("presets"))
      row.presets.push_back(preset.as_string("presets"));
  }
  int64_t always = 0;
  for (const Json& window : json.at("windows").items("windows")) {
    row.windows.push_back(parse_window(window, where));
    if (!row.windows.back().always) continue;
    ++always;
    row.has_cache_price = window.contains("hit");
  }
  if (always != 1)
    fail(ErrorCode::kUsage, where, ": ", always, " windows without utc; expected one");
  return row;
}

bool within(const PriceWindow& window, int64_t seconds) {
  if (window.always || seconds < window.since) return false;
  const int64_t second_of_day = ((seconds % kDay) + kDay) % kDay;
  const int minute = static_cast<int>(second_of_day / 60);
  const int64_t day_number = (seconds - second_of_day) / kDay;  // 1970-01-01 was a Thursday
  const int day = static_cast<int>(((day_number + 3) % 7 + 7) % 7) + 1;
  if (day < window.first_day || day > window.last_day) return false;
  if (window.begin_minute <= window.end_minute)
    return minute >= window.begin_minute && minute < window.end_minute;
  return minute >= window.begin_minute || minute < window.end_minute;
}

bool is_named(const PriceRow& row, const std::string& name) {
  return row.model == name ||
         std::find(row.presets.begin(), row.presets.end(), name) != row.presets.end();
}

double ratio(int64_t theirs, int64_t ours) { return as_double(theirs) / as_double(ours); }

}  // namespace

int64_t parse_utc(const std::string& text, const std::string& where) {
  int year = 0, hour = 0, minute = 0, second = 0, used = 0;
  unsigned month = 0, day = 0;
  bool sound = std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &used) == 3;
  const std::string rest = sound ? text.substr(static_cast<size_t>(used)) : "";
  if (!rest.empty()) {
    used = 0;
    sound = std::sscanf(rest.c_str(), "T%2d:%2d:%2dZ%n", &hour, &minute, &second, &used) == 3 &&
            static_cast<size_t>(used) == rest.size();
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  sound = sound && date.ok() && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 &&
          second >= 0 && second < 60;
  if (!sound)
    fail(ErrorCode::kUsage, where, ": '", text,
         "' is no date; expected 2025-02-08 or 2025-02-08T16:00:00Z");
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * kDay + hour * 3600 + minute * 60 + second;
}

const TokenPrice& PriceRow::standard() const {
  for (const PriceWindow& window : windows)
    if (window.always) return window.price;
  fail(ErrorCode::kInternal, "prices: ", model, " has no window that holds always");
}

const TokenPrice& PriceRow::at(int64_t seconds) const {
  for (const PriceWindow& window : windows)
    if (within(window, seconds)) return window.price;
  return standard();
}

PriceBook parse_prices(const Json& json, const std::string& origin) {
  PriceBook book;
  int64_t number = 0;
  std::string where = origin;
  try {
    book.as_of = json.string_at("as_of");
    parse_utc(book.as_of, where);
    for (const Json& row : json.at("prices").items("prices")) {
      where = concat(origin, ": price ", ++number);
      book.rows.push_back(parse_row(row, where));
    }
  } catch (const Error& error) {
    const std::string what = error.what();
    throw Error(ErrorCode::kUsage, what.starts_with(where) ? what : where + ": " + what);
  }
  return book;
}

const PriceBook& built_in_prices() {
  static const PriceBook book =
      parse_prices(parse_json(built_in_prices_text(), "built-in prices"), "built-in prices");
  return book;
}

const PriceRow* price_of(const PriceBook& book, const std::string& name, int64_t seconds) {
  const PriceRow* found = nullptr;
  for (const PriceRow& row : book.rows)
    if (is_named(row, name) && row.in_force(seconds) && (!found || row.from > found->from))
      found = &row;
  return found;
}

const PriceRow* last_price_of(const PriceBook& book, const std::string& name) {
  const PriceRow* found = nullptr;
  for (const PriceRow& row : book.rows)
    if (is_named(row, name) && (!found || row.from > found->from)) found = &row;
  return found;
}

double Money::dollars() const {
  return (as_double(whole) + as_double(millionths) / as_double(kMillion)) / kNano;
}

std::string Money::text() const {
  constexpr int64_t kCent = 10000000;
  const int64_t cents = (whole + kCent / 2) / kCent;
  const int64_t rest = cents % 100;
  return concat(cents / 100, rest < 10 ? ".0" : ".", rest);
}

Money cost_of(const TokenUse& use, const TokenPrice& price) {
  Money money;
  for (const auto& [tokens, each] : {std::pair(use.hit, price.hit), std::pair(use.miss, price.miss),
                                     std::pair(use.output, price.output)}) {
    constexpr int64_t kMost = 1000 * kMillion * kMillion;  // so that sums stay within 63 bits
    if (tokens < 0 || tokens > kMost)
      fail(ErrorCode::kUsage, "prices: ", tokens, " tokens; expected 0 to ", kMost);
    int64_t whole = 0;
    if (__builtin_mul_overflow(tokens / kMillion, each, &whole) ||
        __builtin_add_overflow(money.whole, whole, &money.whole))
      fail(ErrorCode::kUsage, "prices: ", tokens, " tokens cost more than can be counted");
    money.millionths += tokens % kMillion * each;  // 1e6 x 1e15 at most
    money.whole += money.millionths / kMillion;
    money.millionths %= kMillion;
  }
  return money;
}

std::vector<PriceComparison> compare_prices(const PriceBook& book, const PriceRow& base,
                                            int64_t seconds, bool exactly, const TokenUse& mix) {
  const TokenPrice& ours = exactly ? base.at(seconds) : base.standard();
  std::vector<PriceComparison> peers;
  for (const PriceRow& row : book.rows) {
    if (row.provider == base.provider || price_of(book, row.model, seconds) != &row) continue;
    const TokenPrice& theirs = exactly ? row.at(seconds) : row.standard();
    PriceComparison peer;
    peer.row = &row;
    peer.price = theirs;
    peer.miss_ratio = ratio(theirs.miss, ours.miss);
    peer.output_ratio = ratio(theirs.output, ours.output);
    if (row.has_cache_price && base.has_cache_price) peer.hit_ratio = ratio(theirs.hit, ours.hit);
    peer.mix_ratio = cost_of(mix, theirs).dollars() / cost_of(mix, ours).dollars();
    peers.push_back(peer);
  }
  std::stable_sort(
      peers.begin(), peers.end(),
      [](const PriceComparison& a, const PriceComparison& b) { return a.mix_ratio < b.mix_ratio; });
  return peers;
}

}  // namespace fathom
