// Small problems with exact answers, made by a counter: the same key and index give the same
// problem.
//
//   task        prompt                   thinking      answer
//   modsum      3+9+8+2+5+9 mod 10       3 2 0 2 7 6   6         running sums modulo 10
//   add         80+70                                  150
//   sort        sort 479666                            466679
//   countdown3  make 30 from 6 1 5                     6*(1*5)   any right expression counts
//   reverse     reverse abcdh                          hdcba
//
// A hash of the canonical problem (operands sorted, so that 47+85 and 85+47 fall together) puts 80
// % into training, 10 % into reinforcement learning and 10 % into the exam; no problem is in two of
// them.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace fathom {

struct Problem {
  std::string task;
  std::string prompt;
  std::string thinking;   // a worked way to the answer; empty where the task has none
  std::string answer;     // one right answer
  std::string canonical;  // equal for problems that are the same but for the order of operands
  std::vector<int32_t> numbers;  // countdown3: what an expression must use, each once
  int32_t target = 0;            // countdown3: what it must give
};

struct TaskConfig {
  std::string task = "modsum";
  // modsum: terms; sort: digits; reverse: letters; add: digits of each term. 0 = the default (6, 6,
  // 5, 2).
  int32_t size = 0;
};

enum class Split { kTrain, kReinforcement, kExam };

std::vector<std::string> task_names();

// Fails, naming the nearest, on an unknown task and on a size out of range; returns it with the
// size filled in.
TaskConfig checked_task(const TaskConfig& config);

Split split_of(const Problem& problem);

// Problem `index` of the stream, whatever its split.
Problem make_problem(const TaskConfig& config, const RandomKey& key, uint64_t index);
// Problem `index` of the stream of this split.
Problem make_problem(const TaskConfig& config, Split split, const RandomKey& key, uint64_t index);
// The first `count` different problems of that stream.
std::vector<Problem> distinct_problems(const TaskConfig& config, Split split, const RandomKey& key,
                                       int64_t count);

// Is this text, whole and exact, a right answer? Never throws, whatever the text.
bool check_answer(const Problem& problem, std::string_view answer) noexcept;

}  // namespace fathom
