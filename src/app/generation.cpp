#include "app/generation.h"

#include <algorithm>

#include "base/stop.h"

namespace fathom {
namespace {

int64_t context_tokens(const LoadedModel& model, const AnswerRequest& request) {
  const int64_t trained = model.config().max_position_embeddings;
  if (request.context_tokens < 0 || request.context_tokens > trained) {
    fail(ErrorCode::kUsage, "--ctx-size is ", request.context_tokens, "; expected 1 to ", trained,
         ", for which ", model.folder, " was made (max_position_embeddings), or 0 for all of it");
  }
  return request.context_tokens > 0 ? request.context_tokens : trained;
}

int64_t max_tokens(const AnswerRequest& request, int64_t context) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt >= context) {
    fail(ErrorCode::kUsage, "the prompt has ", prompt, " tokens and the context holds ", context,
         "; expected fewer. Shorten the prompt, so that there is room for an answer");
  }
  if (request.max_tokens < 0) return context - prompt;
  if (request.max_tokens > context - prompt) {
    fail(ErrorCode::kUsage, "--predict is ", request.max_tokens, " and the prompt has ", prompt,
         " tokens; the context holds ", context, ". Ask for at most ", context - prompt,
         ", or shorten the prompt");
  }
  return request.max_tokens;
}

// Of a prompt: what a pass needs beside weights and cache grows with it.
constexpr int64_t kPieceTokens = 1024;

double per_second(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

Answer generate_answer(const LoadedModel& model, Device& device, const AnswerRequest& request,
                       const OnToken& on_token) {
  const int64_t context = context_tokens(model, request);
  Request job;
  job.prompt = request.prompt;
  job.max_tokens = max_tokens(request, context);
  job.sampling = request.sampling;
  if (!request.ignore_eos) {
    job.stop_ids = model.end_ids();
    job.stop_ids.insert(job.stop_ids.end(), request.extra_stop_ids.begin(),
                        request.extra_stop_ids.end());
  }

  Answer answer;
  answer.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  bool wanted = true;
  job.sink = [&](const TokenEvent& event) {
    answer.finish = event.finish;
    if (event.finish == FinishReason::kCancelled || event.finish == FinishReason::kNumericalError)
      return;
    answer.ids.push_back(event.token);
    answer.logprobs.push_back(event.logprob);
    if (event.finish != FinishReason::kStop) wanted = on_token(event.token) && wanted;
  };

  EngineConfig config;
  config.max_sequences = 1;
  config.max_prefill_tokens = kPieceTokens;
  config.max_tokens_per_sequence = context;
  config.cache_tokens =
      std::min(context, answer.prompt_tokens + std::max<int64_t>(job.max_tokens, 1));
  Engine engine(device.kernels(), device.memory(), *model.decoder, config);
  const uint64_t id = engine.submit(std::move(job));
  while (engine.step() > 0) {
    if (!wanted || stop_requested()) engine.cancel(id);
  }
  answer.prompt_s = engine.stats().prefill_seconds;
  answer.predicted_s = engine.stats().decode_seconds;
  if (answer.finish == FinishReason::kNumericalError) {
    fail(ErrorCode::kRuntime, "generate: the logits are not numbers after ", answer.ids.size(),
         " tokens; are the weights of ", model.folder, " damaged?");
  }
  return answer;
}

Json timings(const Answer& answer) {
  const auto prompt = static_cast<size_t>(answer.prompt_tokens);
  Json json = Json::object();
  json["prompt_n"] = answer.prompt_tokens;
  json["cache_n"] = 0;
  json["prompt_ms"] = 1000 * answer.prompt_s;
  json["prompt_per_second"] = per_second(prompt, answer.prompt_s);
  json["predicted_n"] = answer.ids.size();
  json["predicted_ms"] = 1000 * answer.predicted_s;
  // The first token comes from the prompt's pass.
  json["predicted_per_second"] =
      per_second(std::max<size_t>(answer.ids.size(), 1) - 1, answer.predicted_s);
  json["draft_n"] = 0;
  json["draft_n_accepted"] = 0;
  return json;
}

}  // namespace fathom
