#include "align/rewards.h"

#include "eval/exam.h"
#include "text/chat.h"

namespace fathom {

double accuracy_reward(const RewardInput& in) {
  return answer_is_right(in.tokenizer, in.problem, in.answer, false) ? 1 : 0;
}

double format_reward(const RewardInput& in) {
  const Reply reply = split_reply(in.tokenizer, in.answer);
  const bool thinking_closed = !reply.reasoned || reply.think_closed;
  return reply.ended && thinking_closed && !reply.text.answer.empty() ? 1 : 0;
}

double random_reward(const RewardInput& in) { return in.key.uniform(in.index) < 0.5 ? 1 : 0; }

double zero_reward(const RewardInput&) { return 0; }

std::vector<std::string> reward_names() { return {"accuracy", "format", "random", "zero"}; }

Reward find_reward(const std::string& name) {
  if (name == "accuracy") return accuracy_reward;
  if (name == "format") return format_reward;
  if (name == "random") return random_reward;
  if (name == "zero") return zero_reward;
  fail(ErrorCode::kUsage, "reward: '", name, "' is unknown", did_you_mean(name, reward_names()),
       "; there are accuracy, format, random and zero");
}

}  // namespace fathom
