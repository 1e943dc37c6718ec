#include "eval/exam.h"

#include <algorithm>
#include <cmath>

#include "data/packing.h"
#include "data/tasks.h"

namespace fathom {
namespace {

struct Asked {
  std::vector<std::vector<Completion>> answers;  // [problems][samples]
};

Asked ask(Engine& engine, const Tokenizer& tokenizer, const std::vector<Problem>& problems,
          const ExamConfig& config, int64_t samples, double temperature, bool open_think) {
  std::vector<Request> requests;
  for (size_t i = 0; i < problems.size(); ++i) {
    Request request;
    request.prompt = problem_prompt_ids(tokenizer, problems[i], open_think);
    request.samples = samples;
    request.max_tokens = config.max_tokens;
    request.sampling.temperature = temperature;
    request.sampling.seed = mix64(config.seed ^ mix64(i));
    request.stop_ids = {tokenizer.require(tokenizer.control().eos, kEosToken, "an exam")};
    requests.push_back(std::move(request));
  }
  return {generate(engine, std::move(requests))};
}

// Mean over problems of the share of right samples, and its standard error.
void score(const Tokenizer& tokenizer, const std::vector<Problem>& problems, const Asked& asked,
           ExamResult& result) {
  double sum = 0, sum_squares = 0, solved = 0;
  int64_t answers = 0, tokens = 0, reasoned = 0, reasoned_right = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    int64_t right = 0;
    for (const Completion& completion : asked.answers[i]) {
      const bool is_right = answer_is_right(tokenizer, problems[i], completion.ids, false);
      const bool reasons = answer_reasons(tokenizer, completion.ids, false);
      right += is_right ? 1 : 0;
      reasoned += reasons ? 1 : 0;
      reasoned_right += reasons && is_right ? 1 : 0;
      tokens += static_cast<int64_t>(completion.ids.size());
      ++answers;
    }
    const double share = static_cast<double>(right) / static_cast<double>(asked.answers[i].size());
    sum += share;
    sum_squares += share * share;
    solved += right > 0 ? 1 : 0;
  }
  const auto n = static_cast<double>(problems.size());
  result.t1 = sum / n;
  result.t1_se =
      n > 1 ? std::sqrt(std::max(0.0, sum_squares / n - result.t1 * result.t1) / (n - 1)) : 0;
  result.pass_at_k = solved / n;
  result.mean_tokens = static_cast<double>(tokens) / static_cast<double>(answers);
  result.reasoning_share = static_cast<double>(reasoned) / static_cast<double>(answers);
  result.right_reasoning =
      reasoned > 0 ? static_cast<double>(reasoned_right) / static_cast<double>(reasoned) : 0;
}

double accuracy(const Tokenizer& tokenizer, const std::vector<Problem>& problems,
                const Asked& asked, bool opened_think) {
  double right = 0, answers = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    for (const Completion& completion : asked.answers[i]) {
      right += answer_is_right(tokenizer, problems[i], completion.ids, opened_think) ? 1 : 0;
      ++answers;
    }
  }
  return answers > 0 ? right / answers : 0;
}

}  // namespace

bool answer_is_right(const Tokenizer& tokenizer, const Problem& problem,
                     const std::vector<int32_t>& ids, bool opened_think) {
  const Reply reply = split_reply(tokenizer, ids, opened_think);
  const bool closed = !reply.reasoned || reply.think_closed;
  return reply.ended && closed && check_answer(problem, reply.text.answer);
}

bool answer_reasons(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                    bool opened_think) {
  const Reply reply = split_reply(tokenizer, ids, opened_think);
  return reply.reasoned && !reply.text.reasoning.empty();
}

std::vector<int32_t> problem_prompt_ids(const Tokenizer& tokenizer, const Problem& problem,
                                        bool open_think) {
  ChatOptions options;
  options.open_think = open_think;
  return render_chat(tokenizer, problem_prompt(problem), options).ids;
}

ExamResult run_exam(Engine& engine, const Tokenizer& tokenizer,
                    const std::vector<Problem>& problems, const ExamConfig& config) {
  ExamResult result;
  result.problems = static_cast<int64_t>(problems.size());
  if (problems.empty()) return result;
  score(tokenizer, problems,
        ask(engine, tokenizer, problems, config, config.samples, config.temperature, false),
        result);
  if (config.greedy) {
    const Asked asked = ask(engine, tokenizer, problems, config, 1, 0, false);
    result.greedy = accuracy(tokenizer, problems, asked, false);
    for (const auto& answers : asked.answers) result.greedy_answers.push_back(answers.front().ids);
  }
  if (config.forced_thinking) {
    result.t1_forced = accuracy(
        tokenizer, problems,
        ask(engine, tokenizer, problems, config, config.samples, config.temperature, true), true);
  }
  return result;
}

double multi_token_agreement(const KernelTable& kernels, Allocator& memory, const Decoder& decoder,
                             const Tokenizer& tokenizer, const std::vector<Problem>& problems,
                             const std::vector<std::vector<int32_t>>& answers) {
  FATHOM_CHECK(problems.size() == answers.size(), "multi_token_agreement: ", problems.size(),
               " problems, ", answers.size(), " answers");
  std::vector<Document> documents;
  for (size_t i = 0; i < problems.size(); ++i) {
    Document document;
    document.ids = problem_prompt_ids(tokenizer, problems[i], false);
    document.weights.assign(document.ids.size(), 0.0f);
    document.ids.insert(document.ids.end(), answers[i].begin(), answers[i].end());
    document.weights.resize(document.ids.size(),
                            1.0f);  // answers count; the head's weights start at their second token
    if (!answers[i].empty()) document.weights[document.ids.size() - answers[i].size()] = 0.0f;
    documents.push_back(std::move(document));
  }
  double agreed = 0, total = 0;
  for (const Batch& batch : pack_in_order(documents, 4096, {1, false})) {
    Pass pass{kernels, memory};
    const MainStates states = decoder.forward_states(pass, batch.ids, batch.layout);
    const MultiTokenTargets& rows = batch.multi_token.front();
    const Tensor ahead =
        decoder.logits(pass, decoder.multi_token_forward(pass, states.multi_token, rows));
    const float* logits = ahead.data<float>();
    for (size_t r = 0; r < rows.targets.size(); ++r) {
      if (rows.weights[r] == 0) continue;
      const float* row = logits + static_cast<int64_t>(r) * ahead.cols();
      agreed += std::max_element(row, row + ahead.cols()) - row == rows.targets[r] ? 1 : 0;
      ++total;
    }
  }
  return total > 0 ? agreed / total : 0;
}

}  // namespace fathom
