#include "data/problems.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"

namespace fathom {
namespace {

const RandomKey kKey{.seed = 5, .purpose = Purpose::kData};

// The text with each digit from `low` to 9 as d and each operator as o.
std::string shape(std::string text, char low) {
  for (char& c : text) {
    if (c >= low && c <= '9') c = 'd';
    if (c == '+' || c == '-' || c == '*') c = 'o';
  }
  return text;
}

Problem countdown(std::vector<int32_t> numbers, int32_t target) {
  Problem problem;
  problem.task = "countdown3";
  problem.numbers = std::move(numbers);
  problem.target = target;
  return problem;
}

TEST(Problems, HaveTheFormsOfTheirTask) {
  for (uint64_t i = 0; i < 100; ++i) {
    const Problem modsum = make_problem({"modsum"}, kKey, i);
    EXPECT_EQ(shape(modsum.prompt, '0'), "dododododod mod dd");
    EXPECT_TRUE(modsum.prompt.ends_with(" mod 10"));
    EXPECT_EQ(shape(modsum.thinking, '0'), "d d d d d d");
    const Problem add = make_problem({"add"}, kKey, i);
    EXPECT_EQ(shape(add.prompt, '0'), "ddodd");
    EXPECT_EQ(shape(add.prompt, '1')[0], 'd');
    EXPECT_EQ(shape(add.prompt, '1')[3], 'd');
    EXPECT_EQ(shape(make_problem({"sort"}, kKey, i).prompt, '0'), "sort dddddd");
    const Problem make = make_problem({"countdown3"}, kKey, i);
    const std::string target = std::to_string(make.target);
    EXPECT_TRUE(make.target >= 1 && make.target <= 99);
    EXPECT_EQ(shape(make.prompt.substr(5 + target.size()), '1'), " from d d d");
    EXPECT_TRUE(make.prompt.starts_with("make " + target + " "));
    const std::string form = shape(make.answer, '1');
    EXPECT_TRUE(form == "(dod)od" || form == "do(dod)") << make.answer;
    const std::string reverse = make_problem({"reverse"}, kKey, i).prompt;
    EXPECT_TRUE(reverse.starts_with("reverse ") && reverse.size() == 13);
    EXPECT_EQ(reverse.find_first_not_of("abcdefgh", 8), std::string::npos) << reverse;
  }
}

TEST(Problems, AnswersAreRight) {
  for (uint64_t i = 0; i < 200; ++i) {
    const Problem modsum = make_problem({"modsum"}, kKey, i);
    int sum = 0;
    std::string running;
    for (size_t at = 0; at < 11; at += 2) {
      sum += modsum.prompt[at] - '0';
      running += (at == 0 ? "" : " ") + std::to_string(sum % 10);
    }
    EXPECT_EQ(modsum.thinking, running) << modsum.prompt;
    EXPECT_EQ(modsum.answer, std::to_string(sum % 10)) << modsum.prompt;

    const Problem add = make_problem({"add"}, kKey, i);
    EXPECT_EQ(std::stoi(add.answer), std::stoi(add.prompt) + std::stoi(add.prompt.substr(3)));

    const Problem sort = make_problem({"sort"}, kKey, i);
    std::string digits = sort.prompt.substr(5);
    std::sort(digits.begin(), digits.end());
    EXPECT_EQ(sort.answer, digits);

    const Problem reverse = make_problem({"reverse"}, kKey, i);
    const std::string word = reverse.prompt.substr(8);
    EXPECT_EQ(reverse.answer, std::string(word.rbegin(), word.rend()));
  }
}

TEST(Problems, TheCheckerAcceptsEveryGeneratedAnswer) {
  for (const std::string& task : task_names()) {
    for (uint64_t i = 0; i < 200; ++i) {
      const Problem problem = make_problem({task}, kKey, i);
      EXPECT_TRUE(check_answer(problem, problem.answer)) << problem.prompt << " " << problem.answer;
    }
  }
}

TEST(Problems, TheCheckerWantsTheExactAnswer) {
  Problem problem = make_problem({"modsum"}, kKey, 0);
  problem.answer = "6";
  for (const std::string text :
       {"", " 6", "6 ", "06", "6.", "6\n", "66", "+6", "six", "６", "6<", "7"}) {
    EXPECT_FALSE(check_answer(problem, text)) << "'" << text << "'";
  }
  EXPECT_FALSE(check_answer(problem, std::string("6\0", 2)));
  EXPECT_FALSE(check_answer(problem, std::string(1 << 20, '6')));
}

TEST(Problems, CountdownAcceptsAnyRightExpression) {
  const Problem problem = countdown({6, 1, 5}, 30);
  for (const char* text : {"6*(1*5)", "(6*1)*5", "6*1*5", "5*6*1", "((5))*(6*1)", "6 * 5 * 1"}) {
    EXPECT_TRUE(check_answer(problem, text)) << text;
  }
}

TEST(Problems, CountdownRefusesTricks) {
  const Problem problem = countdown({6, 1, 5}, 30);
  for (const char* text :
       {"",           "30",     "6*5",          "6*5*1*1",  "6*5+1-1",   "6*5*1=30",
        "60/(1+1)*5", "6*5*01", "65*1",         "6*5/1",    "-(-6)*5*1", "6*5*1;",
        "(6*5*1",     "6*5*1)", "6x5x1",        "6*5*(1",   "1*30",      "6*(1,5)",
        "5*6**1",     "exit()", "6*5*1 mod 10", "\xFF\xFE", "𝟔*5*1"}) {
    EXPECT_FALSE(check_answer(problem, text)) << text;
  }
  EXPECT_FALSE(check_answer(problem, std::string(1 << 20, '(')));
  EXPECT_FALSE(check_answer(problem, std::string(1 << 20, '9')));
  EXPECT_FALSE(check_answer(countdown({2, 2, 3}, 7), "2+2+3+0"));
  EXPECT_FALSE(check_answer(countdown({2, 2, 3}, 7), "2*2+3*2-2-2"));
  EXPECT_TRUE(check_answer(countdown({2, 2, 3}, 7), "2*2+3"));
}

TEST(Problems, TheSameKeyAndIndexGiveTheSameProblem) {
  for (const std::string& task : task_names()) {
    EXPECT_EQ(make_problem({task}, kKey, 9).prompt, make_problem({task}, kKey, 9).prompt);
    std::set<std::string> prompts;
    for (uint64_t i = 0; i < 100; ++i) prompts.insert(make_problem({task}, kKey, i).prompt);
    EXPECT_GT(prompts.size(), 80u) << task;
  }
  RandomKey other = kKey;
  other.step = 1;
  EXPECT_NE(make_problem({"modsum"}, kKey, 0).prompt, make_problem({"modsum"}, other, 0).prompt);
}

TEST(Problems, OperandOrderDoesNotChangeTheSplit) {
  std::map<std::string, std::set<Split>> splits_by_sorted_operands;
  for (uint64_t i = 0; i < 20000; ++i) {
    const Problem problem = make_problem({"add"}, kKey, i);
    const std::string a = problem.prompt.substr(0, 2), b = problem.prompt.substr(3);
    splits_by_sorted_operands[std::min(a, b) + "+" + std::max(a, b)].insert(split_of(problem));
  }
  for (const auto& [operands, splits] : splits_by_sorted_operands)
    EXPECT_EQ(splits.size(), 1u) << operands;
}

TEST(Problems, SplitsShareNothingAndHaveTheirSizes) {
  for (const std::string& task : task_names()) {
    std::map<Split, int> counts;
    for (uint64_t i = 0; i < 4000; ++i) ++counts[split_of(make_problem({task}, kKey, i))];
    EXPECT_NEAR(counts[Split::kTrain], 3200, 200) << task;
    EXPECT_NEAR(counts[Split::kReinforcement], 400, 150) << task;
    EXPECT_NEAR(counts[Split::kExam], 400, 150) << task;

    std::set<std::string> train;
    for (uint64_t i = 0; i < 2000; ++i) {
      train.insert(make_problem({task}, Split::kTrain, kKey, i).canonical);
    }
    for (uint64_t i = 0; i < 300; ++i) {
      const Problem exam = make_problem({task}, Split::kExam, kKey, i);
      EXPECT_EQ(split_of(exam), Split::kExam);
      EXPECT_FALSE(train.contains(exam.canonical)) << exam.prompt;
    }
  }
}

TEST(Problems, DistinctProblemsDifferAndRunOutWithAMessage) {
  const std::vector<Problem> exam = distinct_problems({"modsum"}, Split::kExam, kKey, 192);
  std::set<std::string> prompts;
  for (const Problem& problem : exam) prompts.insert(problem.prompt);
  EXPECT_EQ(prompts.size(), 192u);
  EXPECT_THROW(distinct_problems({"modsum", 2}, Split::kExam, kKey, 60), Error);
}

TEST(Problems, SizesAndNamesAreChecked) {
  EXPECT_EQ(checked_task({"modsum"}).size, 6);
  EXPECT_EQ(make_problem({"modsum", 8}, kKey, 0).thinking.size(), 15u);
  EXPECT_EQ(make_problem({"add", 4}, kKey, 0).prompt.size(), 9u);
  EXPECT_THROW(make_problem({"add", 9}, kKey, 0), Error);
  EXPECT_THROW(make_problem({"countdown3", 4}, kKey, 0), Error);
  try {
    checked_task({"modsun"});
    FAIL() << "accepted an unknown task";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean modsum"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace fathom
