#include "app/sampling_flags.h"

#include <map>
#include <random>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"

namespace fathom {
namespace {

uint64_t random_seed() {
  std::random_device device;
  // 53 bits, so that the seed survives a JSON reader whose numbers are doubles.
  return (static_cast<uint64_t>(device()) << 21) ^ device();
}

constexpr const char* kGenerationConfig = "generation_config.json";

Json generation_config(const std::string& folder) {
  const std::string path = join_path(folder, kGenerationConfig);
  return exists(path) ? parse_json(read_file(path), path, ErrorCode::kModel) : Json::object();
}

// A value that makes no sense, told by the flag or the file that it came from.
void check_origin(const Command& command, const Sampling& sampling, const std::string& folder) {
  const std::optional<SamplingFault> fault = sampling_fault(sampling);
  if (!fault) return;
  const std::map<std::string, std::string> flags = {
      {"temperature", "--temp"}, {"top_k", "--top-k"}, {"top_p", "--top-p"}, {"min_p", "--min-p"}};
  const std::string& flag = flags.at(fault->name);
  if (command.given(flag)) {
    fail(ErrorCode::kUsage, flag, " is ", fault->value, "; expected ", fault->expected);
  }
  fail(ErrorCode::kModel, join_path(folder, kGenerationConfig), ": ", fault->name, " is ",
       fault->value, "; expected ", fault->expected, ". Correct the file, or give ", flag);
}

}  // namespace

void add_sampling_flags(Command& command, SamplingFlags& flags) {
  command
      .option("--predict,-n,--n-predict,--max-tokens,--max-new-tokens,--num-predict",
              flags.max_tokens, "most tokens to generate; -1: what the context leaves")
      .option("--ctx-size,-c,--max-model-len,--context-length,--num-ctx", flags.context,
              "tokens of prompt and answer together; 0: as the model was made")
      .option("--temp,--temperature", flags.temperature, "0 takes the most likely token")
      .option("--top-k", flags.top_k, "only the k most likely tokens; 0: off")
      .option("--top-p", flags.top_p, "only the most likely tokens with this mass; 1: off")
      .option("--min-p", flags.min_p, "only tokens at least this likely beside the best; 0: off")
      .option("--seed,-s", flags.seed, "the same seed gives the same text; -1: a random one");
}

Sampling choose_sampling(const Command& command, const SamplingFlags& flags,
                         const std::string& folder) {
  const Json config = generation_config(folder);
  Sampling sampling;
  sampling.temperature = flags.temperature;
  sampling.top_k = flags.top_k;
  sampling.top_p = flags.top_p;
  sampling.min_p = flags.min_p;
  if (!command.given("--temp")) {
    const bool sampled = config.bool_or("do_sample", true);
    sampling.temperature = sampled ? config.double_or("temperature", flags.temperature) : 0;
  }
  if (!command.given("--top-p")) sampling.top_p = config.double_or("top_p", flags.top_p);
  if (!command.given("--top-k")) sampling.top_k = config.int_or("top_k", flags.top_k);
  if (flags.seed < -1) {
    fail(ErrorCode::kUsage, "--seed is ", flags.seed,
         "; expected 0 or more, or -1 for a random one");
  }
  sampling.seed = flags.seed < 0 ? random_seed() : static_cast<uint64_t>(flags.seed);
  check_origin(command, sampling, folder);
  if (flags.max_tokens == 0 || flags.max_tokens < -1) {
    fail(ErrorCode::kUsage, "--predict is ", flags.max_tokens,
         "; expected 1 or more, or -1 for what the context leaves");
  }
  return sampling;
}

}  // namespace fathom
