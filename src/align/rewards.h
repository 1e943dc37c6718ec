// Rewards: small named functions from a problem and an answer to a number.
//
// "accuracy" is 1 for an exact answer closed by the end token, else 0: nothing for length or
// format. "format" is 1 for a well-formed answer, whatever it says. Controls: "random" is
// Bernoulli(0.5), "zero" makes every advantage zero.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/problems.h"
#include "generate/engine.h"
#include "text/tokenizer.h"

namespace fathom {

struct RewardInput {
  const Tokenizer& tokenizer;
  const Problem& problem;
  const std::vector<int32_t>& answer;  // ids after the prompt
  FinishReason finish;
  RandomKey key;   // purpose kReward, of this step; only the controls draw from it
  uint64_t index;  // of this answer in the step
};

using Reward = std::function<double(const RewardInput&)>;

double accuracy_reward(const RewardInput& input);
double format_reward(const RewardInput& input);
double random_reward(const RewardInput& input);
double zero_reward(const RewardInput& input);

std::vector<std::string> reward_names();
Reward find_reward(const std::string& name);  // throws Error(kUsage) with the nearest names

}  // namespace fathom
