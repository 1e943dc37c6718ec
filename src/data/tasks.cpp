#include "data/tasks.h"

#include <algorithm>

#include "base/error.h"
#include "data/shuffle.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

// Draws of one document: which task, which form. The problem itself has streams of its own (see
// make_problem).
enum Choice : uint64_t { kTask, kForm, kThinking, kChoices };

// Layer numbers keep the choices apart from the problems.
RandomKey choice_key(Purpose purpose, uint64_t seed, uint64_t step) {
  return {.seed = seed, .purpose = purpose, .step = step, .layer = 2};
}

RandomKey problem_key(Purpose purpose, uint64_t seed, uint64_t step) {
  return {.seed = seed, .purpose = purpose, .step = step, .layer = 3};
}

void check_share(double share, const char* name) {
  if (share >= 0 && share <= 1) return;
  fail(ErrorCode::kUsage, "mixture: ", name, " is ", share, "; expected 0 to 1");
}

}  // namespace

Tokenizer nano_tokenizer() {
  return character_tokenizer("0123456789+-*/()=,:; .?\nabcdefghijklmnopqrstuvwxyz",
                             /*add_bos_token=*/true);
}

std::vector<Message> problem_prompt(const Problem& problem) {
  return {{.role = "user", .content = problem.prompt, .reasoning_content = ""}};
}

Document plain_document(const Tokenizer& tokenizer, const Problem& problem) {
  std::string text = problem.prompt + ": ";
  if (!problem.thinking.empty()) text += problem.thinking + ": ";
  Document document = text_document(tokenizer, text + problem.answer);
  // <bos>, the prompt and the colon carry no loss.
  const size_t silent = 1 + tokenizer.encode(problem.prompt + ":").size();
  std::fill_n(document.weights.begin(), silent, 0.0f);
  return document;
}

Document problem_conversation(const Tokenizer& tokenizer, const Problem& problem, bool think) {
  std::vector<Message> messages = problem_prompt(problem);
  messages.push_back({.role = "assistant",
                      .content = problem.answer,
                      .reasoning_content = think ? problem.thinking : ""});
  return conversation_document(tokenizer, messages);
}

MixtureConfig pretraining_mixture(bool quick) {
  MixtureConfig config;
  // Worked sums come late on some seeds where they are rare; where a later chapter teaches
  // addition, it is left half learned.
  config.tasks = {{{"modsum", 6}, quick ? 0.5 : 0.33},
                  {{"add", 2}, quick ? 0.2 : 0.24},
                  {{"sort", 6}, quick ? 0.1 : 0.11},
                  {{"countdown3", 3}, quick ? 0.2 : 0.32}};
  return config;
}

MixtureConfig cold_start_mixture() {
  MixtureConfig config;
  config.tasks = {
      {{"modsum", 6}, 0.6}, {{"add", 2}, 0.15}, {{"sort", 6}, 0.1}, {{"countdown3", 3}, 0.15}};
  config.conversation_share = 1;
  config.thinking_share = 0.12;
  return config;
}

TaskMixture::TaskMixture(const MixtureConfig& config) : config_(config) {
  check_share(config.conversation_share, "conversation_share");
  check_share(config.thinking_share, "thinking_share");
  for (MixtureTask& task : config_.tasks) {
    task.config = checked_task(task.config);
    if (!(task.weight >= 0)) {
      fail(ErrorCode::kUsage, "mixture: the weight of ", task.config.task, " is ", task.weight,
           "; expected 0 or more");
    }
    weight_sum_ += task.weight;
  }
  if (!(weight_sum_ > 0)) fail(ErrorCode::kUsage, "mixture: no task has a weight above 0");
}

const TaskConfig& TaskMixture::choose(double place) const {
  double rest = place * weight_sum_;
  const MixtureTask* chosen = nullptr;  // at last the last, should rounding leave a rest behind it
  for (const MixtureTask& task : config_.tasks) {
    if (task.weight <= 0) continue;
    chosen = &task;
    if (rest < task.weight) break;
    rest -= task.weight;
  }
  return chosen->config;
}

Problem TaskMixture::problem(Purpose purpose, uint64_t seed, uint64_t step, uint64_t index) const {
  const RandomKey choices = choice_key(purpose, seed, step);
  const TaskConfig& task = choose(choices.uniform(index * kChoices + kTask));
  return make_problem(task, config_.split, problem_key(purpose, seed, step), index);
}

Document TaskMixture::document(const Tokenizer& tokenizer, uint64_t seed, uint64_t step,
                               uint64_t index) const {
  const RandomKey choices = choice_key(Purpose::kData, seed, step);
  const Problem chosen = problem(Purpose::kData, seed, step, index);
  const bool conversation = choices.uniform(index * kChoices + kForm) < config_.conversation_share;
  if (!conversation) return plain_document(tokenizer, chosen);
  const bool think = choices.uniform(index * kChoices + kThinking) < config_.thinking_share;
  return problem_conversation(tokenizer, chosen, think);
}

}  // namespace fathom
