#include "data/synth.h"

#include <gtest/gtest.h>

#include <cmath>
#include <unordered_map>

#include "base/error.h"

namespace fathom {
namespace {

// The entropy of a character given the `order` before it, from counts, with the first-order
// correction for counts being few (Miller and Madow).
double counted_entropy_bits(const std::string& text, size_t order) {
  std::unordered_map<std::string, int64_t> contexts, pairs;
  for (size_t at = order; at < text.size(); ++at) {
    ++contexts[text.substr(at - order, order)];
    ++pairs[text.substr(at - order, order + 1)];
  }
  const auto total = static_cast<double>(text.size() - order);
  double bits = 0;
  for (const auto& [pair, count] : pairs) {
    const auto in_context = static_cast<double>(contexts[pair.substr(0, order)]);
    bits -= static_cast<double>(count) / total * std::log2(static_cast<double>(count) / in_context);
  }
  const auto cells = static_cast<double>(pairs.size() - contexts.size());
  return bits + cells / (2 * total * std::log(2.0));
}

TEST(Synth, TheEntropyCountedInTheTextIsTheOneThatIsStated) {
  for (const double bits : {0.25, 1.0, 2.5, 4.0, 6.0}) {
    SynthSource source({.bits_per_byte = bits, .order = 1, .seed = 5});
    EXPECT_NEAR(source.bits_per_byte(), bits, 1e-9);
    const std::string text = source.next(1'000'000);
    EXPECT_NEAR(counted_entropy_bits(text, 1), bits, 0.01) << bits;
  }
}

// What the source itself assigns to its text: the loss of a perfect model.
TEST(Synth, ThePerfectModelsLossIsTheStatedEntropy) {
  for (const int64_t order : {1, 2, 3}) {
    SynthSource source({.bits_per_byte = 1.5, .order = order, .seed = 9});
    const std::string text = source.next(200'000);
    const auto width = static_cast<size_t>(order);
    double bits = 0, squares = 0;
    for (size_t at = width; at < text.size(); ++at) {
      const double loss = -std::log2(
          source.probability(std::string_view(text).substr(at - width, width), text[at]));
      bits += loss;
      squares += loss * loss;
    }
    const auto n = static_cast<double>(text.size() - width);
    const double error = std::sqrt((squares / n - bits / n * bits / n) / n);
    EXPECT_NEAR(bits / n, 1.5, 5 * error) << order;
    EXPECT_LT(error, 0.005);
  }
}

TEST(Synth, AShorterContextThanTheOrderKnowsLess) {
  SynthSource source({.bits_per_byte = 1, .order = 2, .seed = 5});
  const std::string text = source.next(500'000);
  EXPECT_GT(counted_entropy_bits(text, 1), 2.0);
  EXPECT_NEAR(counted_entropy_bits(text, 2), 1.0, 0.02);
}

TEST(Synth, TheTextDependsOnTheSeedAloneAndNotOnHowItIsAskedFor) {
  SynthSource whole({.seed = 4}), pieces({.seed = 4}), other({.seed = 5});
  const std::string text = whole.next(1000);
  std::string joined;
  for (int i = 0; i < 10; ++i) joined += pieces.next(100);
  EXPECT_EQ(joined, text);
  EXPECT_NE(other.next(1000), text);
}

TEST(Synth, RefusesAnEntropyThatNoTextHas) {
  for (const double bits : {0.0, -1.0, 6.1, std::nan("")})
    EXPECT_THROW(SynthSource({.bits_per_byte = bits}), Error);
  EXPECT_THROW(SynthSource({.order = 0}), Error);
  EXPECT_THROW(SynthSource({.order = 4}), Error);
}

}  // namespace
}  // namespace fathom
