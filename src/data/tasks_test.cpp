#include "data/tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace fathom {
namespace {

Problem example() {
  Problem problem;
  problem.task = "modsum";
  problem.prompt = "3+9+8+2+5+9 mod 10";
  problem.thinking = "3 2 0 2 7 6";
  problem.answer = "6";
  return problem;
}

Problem sum_example() {
  Problem problem;
  problem.task = "add";
  problem.prompt = "80+70";
  problem.answer = "150";
  return problem;
}

const std::string kBos = std::string(kBosToken), kEos = std::string(kEosToken);

// The part of the document that the loss counts.
std::string counted(const Tokenizer& tokenizer, const Document& document) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < document.ids.size(); ++i) {
    EXPECT_TRUE(document.weights[i] == 0.0f || document.weights[i] == 1.0f);
    if (document.weights[i] > 0) ids.push_back(document.ids[i]);
  }
  return tokenizer.decode(ids);
}

TEST(NanoTokenizer, HasTheVocabularyOfTheRecipe) {
  const Tokenizer tokenizer = nano_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 57);  // 7 control tokens, 23 digits and signs, newline, a–z
  EXPECT_EQ(tokenizer.control().pad, 0);
  EXPECT_EQ(tokenizer.control().bos, 1);
  EXPECT_EQ(tokenizer.control().eos, 2);
  EXPECT_EQ(tokenizer.control().user, 3);
  EXPECT_EQ(tokenizer.control().assistant, 4);
  EXPECT_EQ(tokenizer.control().think, 5);
  EXPECT_EQ(tokenizer.control().end_think, 6);
  const std::string all = "0123456789+-*/()=,:; .?\nabcdefghijklmnopqrstuvwxyz";
  EXPECT_EQ(tokenizer.encode(all).front(), 7);
  EXPECT_EQ(tokenizer.encode(all).back(), 56);
  EXPECT_TRUE(tokenizer.spec().add_bos_token);
}

TEST(Tasks, PlainTextIsThatOfTheRecipe) {
  const Tokenizer tokenizer = nano_tokenizer();
  const Document worked = plain_document(tokenizer, example());
  EXPECT_EQ(tokenizer.decode(worked.ids), kBos + "3+9+8+2+5+9 mod 10: 3 2 0 2 7 6: 6" + kEos);
  EXPECT_EQ(counted(tokenizer, worked), " 3 2 0 2 7 6: 6" + kEos);
  const Document sum = plain_document(tokenizer, sum_example());
  EXPECT_EQ(tokenizer.decode(sum.ids), kBos + "80+70: 150" + kEos);
  EXPECT_EQ(counted(tokenizer, sum), " 150" + kEos);
}

TEST(Tasks, ConversationsAreThoseOfTheRecipe) {
  const Tokenizer tokenizer = nano_tokenizer();
  const std::string prompt = kBos + "<｜User｜>3+9+8+2+5+9 mod 10<｜Assistant｜>";
  const Document worked = problem_conversation(tokenizer, example(), true);
  EXPECT_EQ(tokenizer.decode(worked.ids), prompt + "<think>3 2 0 2 7 6</think>6" + kEos);
  EXPECT_EQ(counted(tokenizer, worked), "<think>3 2 0 2 7 6</think>6" + kEos);
  const Document direct = problem_conversation(tokenizer, example(), false);
  EXPECT_EQ(tokenizer.decode(direct.ids), prompt + "6" + kEos);
  EXPECT_EQ(counted(tokenizer, direct), "6" + kEos);
  const Document sum = problem_conversation(tokenizer, sum_example(), true);
  EXPECT_EQ(counted(tokenizer, sum), "150" + kEos);
}

TEST(Tasks, AThinkingAnswerHasFifteenTokensAndADirectOneTwo) {
  const Tokenizer tokenizer = nano_tokenizer();
  const auto counted_tokens = [](const Document& document) {
    return std::count(document.weights.begin(), document.weights.end(), 1.0f);
  };
  EXPECT_EQ(counted_tokens(problem_conversation(tokenizer, example(), true)), 15);
  EXPECT_EQ(counted_tokens(problem_conversation(tokenizer, example(), false)), 2);
}

TEST(Tasks, AWorkedStepIsEquallyFarFromItsDigitInBothForms) {
  const Tokenizer tokenizer = nano_tokenizer();
  const Document plain = plain_document(tokenizer, example());
  const Document chat = problem_conversation(tokenizer, example(), true);
  const int32_t first_digit = tokenizer.encode("3")[0];
  const auto distance = [&](const Document& document) {
    const auto operand = std::find(document.ids.begin(), document.ids.end(), first_digit);
    return std::find(operand + 1, document.ids.end(), first_digit) - operand;
  };
  EXPECT_EQ(distance(plain), distance(chat));
}

TEST(TaskMixture, EveryTaskFitsTheNanoVocabulary) {
  const Tokenizer tokenizer = nano_tokenizer();
  MixtureConfig config;
  for (const std::string& task : task_names()) config.tasks.push_back({{task}, 1.0});
  const TaskMixture mixture(config);
  for (uint64_t i = 0; i < 500; ++i) {
    EXPECT_GT(mixture.document(tokenizer, 1, 0, i).tokens(), 6);
  }
}

TEST(TaskMixture, KeepsItsShares) {
  const Tokenizer tokenizer = nano_tokenizer();
  MixtureConfig config = cold_start_mixture();
  config.conversation_share = 0.75;
  const TaskMixture mixture(config);
  std::map<std::string, int> by_task;
  int conversations = 0, modsum_conversations = 0, thinking = 0;
  constexpr int kDocuments = 8000;
  for (uint64_t i = 0; i < kDocuments; ++i) {
    const Problem problem = mixture.problem(Purpose::kData, 3, 0, i);
    ++by_task[problem.task];
    const std::vector<int32_t> ids = mixture.document(tokenizer, 3, 0, i).ids;
    if (ids[1] != 3) {
      EXPECT_EQ(tokenizer.decode(ids).find("mod") != std::string::npos, problem.task == "modsum");
      continue;
    }
    ++conversations;
    if (problem.task != "modsum") continue;
    ++modsum_conversations;
    thinking += std::count(ids.begin(), ids.end(), 5) > 0;
  }
  EXPECT_NEAR(by_task["modsum"], 0.6 * kDocuments, 220);
  EXPECT_NEAR(by_task["add"], 0.15 * kDocuments, 160);
  EXPECT_NEAR(by_task["sort"], 0.1 * kDocuments, 140);
  EXPECT_NEAR(conversations, 0.75 * kDocuments, 200);
  EXPECT_NEAR(thinking, 0.12 * modsum_conversations, 100);
}

TEST(TaskMixture, IsAPureFunctionOfSeedStepAndIndex) {
  const Tokenizer tokenizer = nano_tokenizer();
  const TaskMixture mixture(pretraining_mixture(false));
  EXPECT_EQ(mixture.document(tokenizer, 1, 2, 3).ids,
            TaskMixture(pretraining_mixture(false)).document(tokenizer, 1, 2, 3).ids);
  int differ = 0;
  for (uint64_t i = 0; i < 20; ++i) {
    differ += mixture.document(tokenizer, 1, 2, i).ids != mixture.document(tokenizer, 1, 3, i).ids;
    differ += mixture.document(tokenizer, 1, 2, i).ids != mixture.document(tokenizer, 2, 2, i).ids;
  }
  EXPECT_GE(differ, 38);
}

TEST(TaskMixture, DrawsFromItsSplitAlone) {
  MixtureConfig config = cold_start_mixture();
  config.split = Split::kReinforcement;
  const TaskMixture mixture(config);
  for (uint64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(split_of(mixture.problem(Purpose::kSampling, 1, 0, i)), Split::kReinforcement);
  }
}

TEST(TaskMixture, RefusesSharesThatMakeNoSense) {
  MixtureConfig config = cold_start_mixture();
  config.thinking_share = 1.5;
  EXPECT_THROW(TaskMixture{config}, Error);
  config = cold_start_mixture();
  config.tasks[0].weight = -1;
  EXPECT_THROW(TaskMixture{config}, Error);
  config.tasks.clear();
  EXPECT_THROW(TaskMixture{config}, Error);
  config.tasks = {{{"chess"}, 1.0}};
  EXPECT_THROW(TaskMixture{config}, Error);
}

}  // namespace
}  // namespace fathom
