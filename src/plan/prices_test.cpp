#include "plan/prices.h"

#include "base/error.h"
#include "plan/testing.h"

namespace fathom {
namespace {

using testing::expect_within;
using testing::kExact;

int64_t at(const char* text) { return parse_utc(text, "test"); }

std::string refusal(const std::string& text) {
  try {
    parse_prices(parse_json(text, "test"), "p.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Prices, APublishedDayOfR1CostsWhatItDid) {
  const PriceRow* r1 = price_of(built_in_prices(), "r1", at("2025-02-27"));
  ASSERT_NE(r1, nullptr);
  const TokenUse day = {342'000'000'000, 266'000'000'000, 168'000'000'000};
  EXPECT_EQ(cost_of(day, r1->standard()).text(), "562100.00");
}

TEST(Prices, MoneyIsRoundedOnce) {
  TokenPrice price{3625000, 435000000, 870000000};  // $0.003625, 0.435, 0.87
  Money money = cost_of({1, 0, 0}, price);
  EXPECT_EQ(money.whole, 3);
  EXPECT_EQ(money.millionths, 625000);
  money = cost_of({1, 1, 1}, price);
  EXPECT_EQ(money.whole, 3 + 435 + 870);
  EXPECT_EQ(money.millionths, 625000);
  // Three uses of 1.6 nano-dollars are 4.8, not 6.
  price = {1600000, 1600000, 1600000};
  money = cost_of({1, 1, 1}, price);
  EXPECT_EQ(money.whole, 4);
  EXPECT_EQ(money.millionths, 800000);
  EXPECT_EQ(cost_of({0, 10'000'000, 0}, {0, 500000, 0}).text(), "0.01");  // half a cent rounds up
  EXPECT_EQ(cost_of({0, 9'000'000, 0}, {0, 500000, 0}).text(), "0.00");
  EXPECT_THROW(cost_of({-1, 0, 0}, price), Error);
  EXPECT_THROW(cost_of({0, 1'000'000'000'000'000, 0}, {0, 1'000'000'000'000'000, 0}), Error);
}

TEST(Prices, V3WasAboutNineTimesCheaperThanGpt4o) {
  const PriceRow* v3 = last_price_of(built_in_prices(), "v3");
  ASSERT_NE(v3, nullptr);
  EXPECT_EQ(v3->from_text, "2025-02-08");
  bool found = false;
  for (const PriceComparison& peer :
       compare_prices(built_in_prices(), *v3, v3->from, false, {342, 266, 168})) {
    EXPECT_NE(peer.row->provider, "DeepSeek");
    EXPECT_TRUE(peer.row->in_force(v3->from));
    if (peer.row->model != "gpt-4o") continue;
    found = true;
    expect_within(peer.miss_ratio, 2.50 / 0.27, kExact, "input");
    expect_within(peer.output_ratio, 10.00 / 1.10, kExact, "output");
    expect_within(peer.hit_ratio.value(), 1.25 / 0.07, kExact, "cached input");
    expect_within(peer.mix_ratio,
                  (342 * 1.25 + 266 * 2.5 + 168 * 10) / (342 * .07 + 266 * .27 + 168 * 1.1), 1e-6,
                  "mix");
  }
  EXPECT_TRUE(found);
}

TEST(Prices, AMomentInADiscountIsComparedAtIt) {
  const PriceRow* v3 = last_price_of(built_in_prices(), "v3");
  const int64_t night = at("2025-03-03T20:00:00Z");
  const auto plain = compare_prices(built_in_prices(), *v3, night, false, {342, 266, 168});
  const auto exact = compare_prices(built_in_prices(), *v3, night, true, {342, 266, 168});
  ASSERT_EQ(plain.size(), exact.size());
  ASSERT_FALSE(plain.empty());
  for (size_t i = 0; i < plain.size(); ++i)
    expect_within(exact[i].miss_ratio, 2 * plain[i].miss_ratio, kExact, "half the price");
}

TEST(Prices, WindowsHoldInTheirHoursAndDays) {
  const PriceRow* v3 = price_of(built_in_prices(), "deepseek-v3", at("2025-03-03"));
  ASSERT_NE(v3, nullptr);
  EXPECT_EQ(v3->at(at("2025-03-03T16:29:59Z")).miss, 270000000);
  EXPECT_EQ(v3->at(at("2025-03-03T16:30:00Z")).miss, 135000000);
  EXPECT_EQ(v3->at(at("2025-03-03T00:29:59Z")).miss, 135000000);
  EXPECT_EQ(v3->at(at("2025-03-03T00:30:00Z")).miss, 270000000);
  const PriceRow* flash = price_of(built_in_prices(), "deepseek-v4.1-flash", at("2026-09-07"));
  ASSERT_NE(flash, nullptr);
  EXPECT_EQ(flash->at(at("2026-09-07T03:59:59Z")).output, 1200000000);  // a Monday
  EXPECT_EQ(flash->at(at("2026-09-07T04:00:00Z")).output, 600000000);
  EXPECT_EQ(flash->at(at("2026-09-06T03:00:00Z")).output, 600000000);  // a Sunday
  const PriceRow* r1 = price_of(built_in_prices(), "r1", at("2025-02-01"));
  EXPECT_EQ(r1->at(at("2025-02-25T20:00:00Z")).miss, 550000000);  // before the offer
  EXPECT_EQ(r1->at(at("2025-02-26T20:00:00Z")).miss, 135000000);
}

TEST(Prices, TheRowInForceIsChosenByDate) {
  const PriceBook& book = built_in_prices();
  EXPECT_EQ(price_of(book, "v3", at("2025-01-01"))->standard().output, 280000000);
  EXPECT_EQ(price_of(book, "v3", at("2025-09-05T15:59:59Z"))->standard().output, 1100000000);
  EXPECT_EQ(price_of(book, "v3", at("2025-09-05T16:00:00Z")), nullptr);
  EXPECT_EQ(price_of(book, "v2", at("2024-06-01"))->has_cache_price, false);
  EXPECT_EQ(price_of(book, "v2", at("2024-08-02"))->standard().hit, 14000000);
  EXPECT_EQ(price_of(book, "no-such-model", at("2025-01-01")), nullptr);
  EXPECT_EQ(last_price_of(book, "llm-7b"), nullptr);
}

TEST(Prices, FaultsOfAFileAreNamed) {
  const std::string head = R"({"as_of": "2026-01-01", "prices": [)";
  const auto row = [&](const std::string& rest) {
    return refusal(head + R"({"provider": "A", "model": "b", )" + rest + "}]}");
  };
  EXPECT_EQ(row(R"("from": "2026-01-01", "windows": [{"miss": 1, "out": 2}])"), "");
  for (
      const auto& [rest, part] :
      {std::pair(R"("from": "2026-02-30", "windows": [{"miss": 1, "out": 2}])", "2026-02-30"),
       std::pair(R"("from": "2026-01-01T25:00:00Z", "windows": [{"miss": 1, "out": 2}])", "T25"),
       std::pair(R"("from": "2026-01-01", "windows": [{"miss": -1, "out": 2}])", "miss is -1"),
       std::pair(R"("from": "2026-01-01", "windows": [{"miss": 1}])", "out"),
       std::pair(R"("from": "2026-01-01", "windows": [])", "0 windows without utc"),
       std::pair(R"("from": "2026-01-01", "windows": [{"utc": "1-2", "miss": 1, "out": 2}])",
                 "'1-2'"),
       std::pair(
           R"("from": "2026-01-01", "windows": [{"utc": "01:00-02:00", "days": "5-1", "miss": 1, "out": 2}])",
           "'5-1'"),
       std::pair(R"("from": "2026-01-01", "currency": "CNY", "windows": [{"miss": 1, "out": 2}])",
                 "CNY")}) {
    const std::string message = row(rest);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with("p.json: price 1: ")) << message;
  }
  EXPECT_NE(refusal(R"({"prices": []})").find("as_of"), std::string::npos);
}

}  // namespace
}  // namespace fathom
