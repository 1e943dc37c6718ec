// Problems as training documents: mixtures of tasks, in plain text and as conversations.
//
//   plain         <bos>3+9+8+2+5+9 mod 10: 3 2 0 2 7 6: 6<eos>
//   conversation  <bos><｜User｜>3+9+8+2+5+9 mod 10<｜Assistant｜><think>3 2 0 2 7 6</think>6<eos>
//   direct        <bos><｜User｜>3+9+8+2+5+9 mod 10<｜Assistant｜>6<eos>
//
// The loss counts what stands behind the first ':' or behind <｜Assistant｜>. In plain text ": "
// has two tokens, as <｜Assistant｜><think> has: a worked step lies equally far from its operand in
// both forms. Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "data/documents.h"
#include "data/problems.h"

namespace fathom {

// The character tokenizer of the v3-nano model: 7 control tokens, digits, signs, newline, a–z.
Tokenizer nano_tokenizer();

// The messages of a problem's prompt, ready for render_chat.
std::vector<Message> problem_prompt(const Problem& problem);

Document plain_document(const Tokenizer& tokenizer, const Problem& problem);
// With `think` and a problem that has a worked way, the thinking comes before the answer.
Document problem_conversation(const Tokenizer& tokenizer, const Problem& problem, bool think);

struct MixtureTask {
  TaskConfig config;
  double weight = 1;  // share of the documents, relative to the other tasks'
};

struct MixtureConfig {
  std::vector<MixtureTask> tasks;
  double conversation_share = 0.5;  // the rest is plain text
  double thinking_share = 1;        // of the conversations of tasks that have a worked way
  Split split = Split::kTrain;
};

// The mixtures of the demo's recipes (demo/recipe.h).
MixtureConfig pretraining_mixture(bool quick);
MixtureConfig cold_start_mixture();

// Endless documents and problems; each is a pure function of (seed, step, index).
class TaskMixture {
 public:
  explicit TaskMixture(
      const MixtureConfig& config);  // fails on unknown tasks and on shares outside 0 … 1

  // Purpose kData.
  Document document(const Tokenizer& tokenizer, uint64_t seed, uint64_t step, uint64_t index) const;
  // The problem alone, drawn from the same weights, under a purpose of the caller's.
  Problem problem(Purpose purpose, uint64_t seed, uint64_t step, uint64_t index) const;
  const MixtureConfig& config() const { return config_; }

 private:
  const TaskConfig& choose(double place) const;  // place in [0, 1)

  MixtureConfig config_;
  double weight_sum_ = 0;
};

}  // namespace fathom
