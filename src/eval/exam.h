// An exam on procedural problems: the same questions asked in several ways, with standard errors
// over problems.
//
//   t1               accuracy when sampling at temperature 1, mean over samples
//   greedy           accuracy of the arg-max answer
//   pass_at_k        share of problems that at least one of k samples solves (k = samples)
//   mean_tokens      of sampled answers, end token included
//   reasoning_share  of sampled answers with a non-empty think block
//   right_reasoning  accuracy of those
//   t1_forced        accuracy when the prompt opens the think block itself
// Threads: one.
#pragma once

#include <string>
#include <vector>

#include "data/problems.h"
#include "generate/engine.h"
#include "text/chat.h"

namespace fathom {

struct ExamConfig {
  int64_t samples = 8;
  int64_t max_tokens = 26;
  double temperature = 1;
  uint64_t seed = 0;
  bool greedy = true;           // also ask greedily
  bool forced_thinking = true;  // also ask with the think block opened
};

struct ExamResult {
  int64_t problems = 0;
  double t1 = 0, t1_se = 0;
  double greedy = 0, pass_at_k = 0;
  double mean_tokens = 0, reasoning_share = 0, right_reasoning = 0;
  double t1_forced = 0;
  std::vector<std::vector<int32_t>> greedy_answers;  // [problems], ids after the prompt
};

// An answer is right if its text is exactly a right answer and the end token closes it.
bool answer_is_right(const Tokenizer& tokenizer, const Problem& problem,
                     const std::vector<int32_t>& ids, bool opened_think);
bool answer_reasons(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool opened_think);

// Prompt ids of a problem: the conversation up to <｜Assistant｜>, or through <think>.
std::vector<int32_t> problem_prompt_ids(const Tokenizer& tokenizer, const Problem& problem,
                                        bool open_think);

ExamResult run_exam(Engine& engine, const Tokenizer& tokenizer,
                    const std::vector<Problem>& problems, const ExamConfig& config);

// Share of greedy answers' tokens, from the second on, that the multi-token head would have drafted
// right.
double multi_token_agreement(const KernelTable& kernels, Allocator& memory, const Decoder& decoder,
                             const Tokenizer& tokenizer, const std::vector<Problem>& problems,
                             const std::vector<std::vector<int32_t>>& answers);

}  // namespace fathom
