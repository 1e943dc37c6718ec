#include "data/problems.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "base/error.h"
#include "data/expression.h"
#include "data/shuffle.h"

namespace fathom {
namespace {

// The sorted items joined by commas, behind the task's name.
template <class Items>
std::string canonical_of(std::string_view task, Items items) {
  std::sort(items.begin(), items.end());
  std::string text = concat(task, ":");
  for (size_t i = 0; i < items.size(); ++i) text += concat(i == 0 ? "" : ",", items[i]);
  return text;
}

std::vector<int32_t> random_digits(int32_t count, int32_t low, Draws& draws) {
  std::vector<int32_t> digits;
  for (int32_t i = 0; i < count; ++i) digits.push_back(draws.between(low, 9));
  return digits;
}

Problem make_modsum(int32_t terms, Draws& draws) {
  const std::vector<int32_t> digits = random_digits(terms, 0, draws);
  Problem problem;
  int32_t sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    sum = (sum + digits[i]) % 10;
    problem.prompt += concat(i == 0 ? "" : "+", digits[i]);
    problem.thinking += concat(i == 0 ? "" : " ", sum);
  }
  problem.prompt += " mod 10";
  problem.answer = concat(sum);
  problem.canonical = canonical_of("modsum", digits);
  return problem;
}

Problem make_add(int32_t digits, Draws& draws) {
  int32_t low = 1;
  for (int32_t i = 1; i < digits; ++i) low *= 10;
  const int32_t high = low * 10 - 1;
  const std::vector<int32_t> terms = {draws.between(low, high), draws.between(low, high)};
  Problem problem;
  problem.prompt = concat(terms[0], "+", terms[1]);
  problem.answer = concat(terms[0] + terms[1]);
  problem.canonical = canonical_of("add", terms);
  return problem;
}

Problem make_sort(int32_t count, Draws& draws) {
  std::vector<int32_t> digits = random_digits(count, 0, draws);
  Problem problem;
  problem.prompt = "sort ";
  for (const int32_t digit : digits) problem.prompt += concat(digit);
  std::sort(digits.begin(), digits.end());
  for (const int32_t digit : digits) problem.answer += concat(digit);
  problem.canonical = canonical_of("sort", digits);
  return problem;
}

// A random expression decides the target, so every problem has an answer. The prompt lists the
// numbers in the order in which that expression uses them.
Problem make_countdown(Draws& draws) {
  constexpr std::array<char, 3> kOperators = {'+', '-', '*'};
  Problem problem;
  do {
    problem.numbers = random_digits(3, 1, draws);
    const std::array<char, 2> op = {kOperators[draws.below(3)], kOperators[draws.below(3)]};
    const std::vector<int32_t>& n = problem.numbers;
    problem.answer = draws.below(2) == 0 ? concat("(", n[0], op[0], n[1], ")", op[1], n[2])
                                         : concat(n[0], op[0], "(", n[1], op[1], n[2], ")");
    problem.target = static_cast<int32_t>(evaluate_expression(problem.answer)->value);
  } while (problem.target < 1 || problem.target > 99);
  problem.prompt = concat("make ", problem.target, " from ", problem.numbers[0], " ",
                          problem.numbers[1], " ", problem.numbers[2]);
  problem.canonical = concat(canonical_of("countdown3", problem.numbers), "=", problem.target);
  return problem;
}

Problem make_reverse(int32_t letters, Draws& draws) {
  std::string word;
  for (int32_t i = 0; i < letters; ++i) word.push_back(static_cast<char>('a' + draws.below(8)));
  Problem problem;
  problem.prompt = "reverse " + word;
  problem.answer = std::string(word.rbegin(), word.rend());
  // A word and its mirror image answer each other, so they stay on one side.
  problem.canonical = "reverse:" + std::min(word, problem.answer);
  return problem;
}

Problem make_unchecked(const TaskConfig& task, const RandomKey& key, uint64_t index,
                       uint64_t attempt) {
  Draws draws(RandomKey{.seed = key.bits(index),
                        .purpose = key.purpose,
                        .step = attempt,
                        .layer = hash_text(task.task.data(), task.task.size())});
  Problem problem;
  if (task.task == "modsum") problem = make_modsum(task.size, draws);
  if (task.task == "add") problem = make_add(task.size, draws);
  if (task.task == "sort") problem = make_sort(task.size, draws);
  if (task.task == "countdown3") problem = make_countdown(draws);
  if (task.task == "reverse") problem = make_reverse(task.size, draws);
  problem.task = task.task;
  return problem;
}

std::string_view name_of(Split split) {
  if (split == Split::kTrain) return "training";
  return split == Split::kExam ? "exam" : "reinforcement learning";
}

struct TaskRange {
  std::string_view task;
  int32_t size, low, high;
};

constexpr std::array<TaskRange, 5> kTasks = {{{"modsum", 6, 2, 64},
                                              {"add", 2, 2, 8},
                                              {"sort", 6, 2, 64},
                                              {"countdown3", 3, 3, 3},
                                              {"reverse", 5, 2, 64}}};

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const TaskRange& range : kTasks) names.emplace_back(range.task);
  return names;
}

TaskConfig checked_task(const TaskConfig& config) {
  const auto range = std::find_if(kTasks.begin(), kTasks.end(),
                                  [&](const TaskRange& r) { return r.task == config.task; });
  if (range == kTasks.end()) {
    fail(ErrorCode::kUsage, "task '", config.task, "' is unknown",
         did_you_mean(config.task, task_names()), "; there are modsum, add, sort, countdown3 and ",
         "reverse");
  }
  const int32_t size = config.size == 0 ? range->size : config.size;
  if (size < range->low || size > range->high) {
    fail(ErrorCode::kUsage, "task ", config.task, ": size is ", size, "; expected ", range->low,
         " to ", range->high);
  }
  return {config.task, size};
}

Split split_of(const Problem& problem) {
  const uint64_t tenth = hash_text(problem.canonical.data(), problem.canonical.size()) % 10;
  if (tenth < 8) return Split::kTrain;
  return tenth == 8 ? Split::kReinforcement : Split::kExam;
}

Problem make_problem(const TaskConfig& config, const RandomKey& key, uint64_t index) {
  return make_unchecked(checked_task(config), key, index, /*attempt=*/0);
}

Problem make_problem(const TaskConfig& config, Split split, const RandomKey& key, uint64_t index) {
  const TaskConfig task = checked_task(config);
  // A tenth of all problems is enough for each split, so this many misses mean that the split is
  // empty.
  constexpr uint64_t kAttempts = 5000;
  for (uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    Problem problem = make_unchecked(task, key, index, attempt);
    if (split_of(problem) == split) return problem;
  }
  fail(ErrorCode::kUsage, "task ", task.task, " of size ", task.size,
       ": no problem falls into the ", name_of(split),
       " split; there are too few different ones, so choose a larger size");
}

std::vector<Problem> distinct_problems(const TaskConfig& config, Split split, const RandomKey& key,
                                       int64_t count) {
  std::vector<Problem> problems;
  std::unordered_set<std::string> seen;
  const uint64_t limit = 1000 + 200 * static_cast<uint64_t>(count);
  for (uint64_t index = 0; std::ssize(problems) < count; ++index) {
    if (index == limit) {
      fail(ErrorCode::kUsage, "task ", config.task, ": asked for ", count,
           " different problems of the ", name_of(split), " split, found ", problems.size(), " in ",
           limit, " tries; ask for fewer or choose a larger size");
    }
    Problem problem = make_problem(config, split, key, index);
    if (seen.insert(problem.prompt).second) problems.push_back(std::move(problem));
  }
  return problems;
}

bool check_answer(const Problem& problem, std::string_view answer) noexcept {
  if (problem.task != "countdown3") return answer == problem.answer;
  std::optional<ExpressionValue> expression = evaluate_expression(answer);
  if (!expression || expression->value != problem.target) return false;
  std::vector<int32_t> expected = problem.numbers;
  std::sort(expected.begin(), expected.end());
  std::sort(expression->numbers.begin(), expression->numbers.end());
  return expression->numbers == expected;
}

}  // namespace fathom
