#include "app/foreign_flags.h"

namespace fathom {

void add_foreign_flags(Command& command) {
  using Value = ForeignFlag::Value;
  const auto with_value = [&](std::vector<std::string> names, const char* why) {
    command.foreign({std::move(names), Value::kOne, why});
  };
  const auto alone = [&](std::vector<std::string> names, const char* why) {
    command.foreign({std::move(names), Value::kNone, why});
  };
  with_value({"-ngl", "--gpu-layers", "--n-gpu-layers", "-dev", "--device", "-sm", "--split-mode",
              "-mg", "--main-gpu"},
             "everything is computed on the processor");
  alone({"-cmoe", "--cpu-moe"}, "everything is computed on the processor");
  with_value({"-ncmoe", "--n-cpu-moe", "--kt-num-gpu-experts"},
             "everything is computed on the processor");
  with_value({"-b", "--batch-size", "-ub", "--ubatch-size", "--max-num-batched-tokens"},
             "prompts are cut as this machine likes them");
  with_value({"-np", "--parallel", "--max-num-seqs", "--max-running-requests"},
             "there is one request at a time");
  with_value({"-tb", "--threads-batch"}, "prompts and answers have the same --threads");
  command.foreign({{"-fa", "--flash-attn"}, Value::kPerhaps, "attention never stores its scores"});
  with_value({"--numa"}, "memory is touched first where it is used");
  with_value({"--load-mode"}, "weights stay mapped where their format allows");
  alone({"--mlock", "--no-mmap"}, "weights stay mapped where their format allows");
  with_value({"-ctk", "--cache-type-k", "-ctv", "--cache-type-v", "--kv-cache-dtype"},
             "the cache holds f32");
  with_value({"-tp", "--tensor-parallel-size", "--tp", "-pp", "--pipeline-parallel-size",
              "--gpu-memory-utilization", "--mem-fraction-static"},
             "everything is computed on this machine's processor");
  alone({"--trust-remote-code"}, "a model's own code is never run");
  alone({"--jinja"}, "chat templates are always Jinja");
  alone({"--no-warmup", "--no-display-prompt", "--simple-io", "-cnv", "--conversation"},
        "that is how it works anyway");
}

}  // namespace fathom
