#include "data/synth.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "data/shuffle.h"

namespace fathom {
namespace {

using Probabilities = std::array<double, kSynthSymbols>;

// Layers of the random stream `kData`.
constexpr uint64_t kDrawLayer = 5, kOrderLayer = 6;

Probabilities probabilities_of(double steepness) {
  Probabilities p{};
  for (size_t i = 0; i < p.size(); ++i) p[i] = std::exp2(-steepness * static_cast<double>(i));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

double entropy_bits(const Probabilities& p) {
  double bits = 0;
  for (const double value : p) {
    if (value > 0) bits -= value * std::log2(value);
  }
  return bits;
}

// The entropy falls as the steepness grows.
double steepness_for(double bits) {
  double low = 0, high = 64;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (entropy_bits(probabilities_of(middle)) > bits ? low : high) = middle;
  }
  return high;
}

size_t symbol_of(char c) {
  const size_t symbol = kSynthCharacters.find(c);
  FATHOM_CHECK(symbol != std::string_view::npos, "synth: '", c, "' is none of its characters");
  return symbol;
}

}  // namespace

SynthSource::SynthSource(const SynthConfig& config) : config_(config) {
  if (!(config.bits_per_byte >= 0.001 && config.bits_per_byte <= 6)) {
    fail(ErrorCode::kUsage, "synth: --bits-per-byte is ", config.bits_per_byte,
         "; expected 0.001 to 6, what one of ", kSynthSymbols, " characters can hold");
  }
  if (config.order < 1 || config.order > 3) {
    fail(ErrorCode::kUsage, "synth: --order is ", config.order, "; expected 1 to 3");
  }
  for (int64_t i = 0; i < config.order; ++i) contexts_ *= kSynthSymbols;
  probabilities_ = probabilities_of(steepness_for(config.bits_per_byte));
  std::partial_sum(probabilities_.begin(), probabilities_.end(), cumulative_.begin());
  bits_per_byte_ = entropy_bits(probabilities_);
  symbols_.resize(contexts_ * kSynthSymbols);
  for (size_t context = 0; context < contexts_; ++context) {
    uint8_t* order = symbols_.data() + context * kSynthSymbols;
    std::iota(order, order + kSynthSymbols, uint8_t{0});
    Draws draws(
        {.seed = config.seed, .purpose = Purpose::kData, .step = context, .layer = kOrderLayer});
    for (size_t i = kSynthSymbols - 1; i > 0; --i) std::swap(order[i], order[draws.below(i + 1)]);
  }
}

uint8_t SynthSource::draw() {
  const RandomKey key{
      .seed = config_.seed, .purpose = Purpose::kData, .step = 0, .layer = kDrawLayer};
  const double u = key.uniform(drawn_++);
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, u);
  const auto rank = static_cast<size_t>(found - cumulative_.begin());
  return symbols_[context_ * kSynthSymbols + rank];
}

std::string SynthSource::next(size_t bytes) {
  std::string text(bytes, '\0');
  for (char& c : text) {
    const uint8_t symbol = draw();
    context_ = context_after(context_, symbol);
    c = kSynthCharacters[symbol];
  }
  return text;
}

double SynthSource::probability(std::string_view context, char next) const {
  FATHOM_CHECK(std::ssize(context) >= config_.order, "synth: a context of ", context.size(),
               " characters; expected at least ", config_.order);
  size_t number = 0;
  for (const char c : context.substr(context.size() - static_cast<size_t>(config_.order)))
    number = context_after(number, symbol_of(c));
  const auto order = symbols_.begin() + static_cast<int64_t>(number * kSynthSymbols);
  const auto wanted = static_cast<uint8_t>(symbol_of(next));
  const auto rank = std::find(order, order + kSynthSymbols, wanted) - order;
  return probabilities_[static_cast<size_t>(rank)];
}

}  // namespace fathom
