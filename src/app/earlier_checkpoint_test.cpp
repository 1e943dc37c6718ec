#include "app/earlier_checkpoint.h"

#include <gtest/gtest.h>

#include "io/testing.h"

namespace fathom {
namespace {

struct EarlierCheckpoint : ::testing::Test {
  TemporaryFolder run;
  std::string first = run.file("checkpoints/step-00000002"),
              second = run.file("checkpoints/step-00000004");

  void SetUp() override {
    make_directories(first);
    make_directories(second);
  }
};

TEST_F(EarlierCheckpoint, IsNamedWhereTheNewestIsDamaged) {
  const std::string message = second + "/model.safetensors: too short";
  EXPECT_EQ(
      earlier_checkpoint_hint(run.path(), message, false),
      ". The checkpoint before it is " + first + "; it can be used in place of " + run.path());
  EXPECT_EQ(earlier_checkpoint_hint(run.path(), message, true),
            ". The checkpoint before it is " + first + ": remove " + second +
                ", and the same command continues from there");
}

TEST_F(EarlierCheckpoint, IsNotPromisedWhereThereIsNone) {
  EXPECT_EQ(earlier_checkpoint_hint(run.path(), first + "/config.json: empty", false),
            ". " + run.path() + " has no checkpoint before this one");
}

TEST_F(EarlierCheckpoint, IsOfNoConcernToOtherErrors) {
  EXPECT_EQ(earlier_checkpoint_hint(run.path(), "--temp is -1", false), "");
  EXPECT_EQ(earlier_checkpoint_hint(first, first + "/config.json: empty", false), "");
  EXPECT_EQ(earlier_checkpoint_hint(run.file("nowhere"), "no such folder", false), "");
}

}  // namespace
}  // namespace fathom
