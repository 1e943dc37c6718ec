// Prices of APIs by the token, from a dated file that users can edit, and what a use of them costs.
//
// The file: {"as_of": "2026-09-30", "prices": [{"provider", "model", "presets"?, "from", "until"?,
// "note"?, "currency"?, "windows": [{"utc"?: "16:30-00:30", "days"?: "1-5", "since"?, "hit"?,
// "miss", "out"}]}]}. Dates are YYYY-MM-DD or RFC 3339 in UTC; prices are dollars a million tokens.
// The window without "utc" holds at all other times. Days are 1 (Monday) to 7; holidays are not
// known.
//
// Money is counted in integers and rounded once, when it is told. Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"

namespace fathom {

// Nano-dollars for a million tokens, so that $0.003625 is an integer.
struct TokenPrice {
  int64_t hit = 0, miss = 0, output = 0;
};

struct PriceWindow {
  std::string utc, days;                 // as the file says; empty: always, every day
  bool always = true;                    // else from begin_minute to end_minute of days in UTC
  int begin_minute = 0, end_minute = 0;  // end before begin: over midnight
  int first_day = 1, last_day = 7;
  int64_t since = 0;  // seconds of 1970
  TokenPrice price;
};

struct PriceRow {
  std::string provider, model, note, from_text;
  std::vector<std::string> presets;  // of models that are served under this name
  int64_t from = 0;                  // seconds of 1970
  std::optional<int64_t> until;
  bool has_cache_price = false;
  std::vector<PriceWindow> windows;  // one of them holds always

  const TokenPrice& standard() const;
  const TokenPrice& at(int64_t seconds) const;
  bool in_force(int64_t seconds) const { return from <= seconds && (!until || seconds < *until); }
};

struct PriceBook {
  std::string as_of;
  std::vector<PriceRow> rows;
};

// Error(kUsage) names the row and what is wrong in it.
PriceBook parse_prices(const Json& json, const std::string& origin);
const PriceBook& built_in_prices();
int64_t parse_utc(const std::string& text, const std::string& where);  // Error(kUsage)

// The newest row of a model or of a preset that is in force; null where there is none.
const PriceRow* price_of(const PriceBook& book, const std::string& model_or_preset,
                         int64_t seconds);
// The newest row of all, whether in force or not.
const PriceRow* last_price_of(const PriceBook& book, const std::string& model_or_preset);

struct TokenUse {
  int64_t hit = 0, miss = 0, output = 0;
};
// Nano-dollars, exactly: `whole` and `millionths` of one.
struct Money {
  int64_t whole = 0, millionths = 0;
  double dollars() const;
  std::string text() const;  // "562100.00", rounded to cents
};
Money cost_of(const TokenUse& use, const TokenPrice& price);

struct PriceComparison {
  const PriceRow* row = nullptr;
  TokenPrice price;                         // that was compared
  double miss_ratio = 0, output_ratio = 0;  // their price in ours
  std::optional<double> hit_ratio;
  double mix_ratio = 0;  // of the whole bill of `mix`
};
// Models of other providers in force at that time, dearest last. `exactly`: at the prices of that
// very moment, not at the standard ones of the day.
std::vector<PriceComparison> compare_prices(const PriceBook& book, const PriceRow& base,
                                            int64_t seconds, bool exactly, const TokenUse& mix);

}  // namespace fathom
