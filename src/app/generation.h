// One answer, token by token, for run and chat.
//
// Threads: one.  Ctrl-C (base/stop.h) ends the answer early and is left for the caller to see.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "backend/device.h"
#include "checkpoint/model_folder.h"
#include "generate/engine.h"
#include "io/json.h"

namespace fathom {

struct AnswerRequest {
  std::vector<int32_t> prompt;
  int64_t max_tokens = -1;     // −1: what the context leaves
  int64_t context_tokens = 0;  // 0: the model's max_position_embeddings
  Sampling sampling;
  bool ignore_eos = false;
  std::vector<int32_t> extra_stop_ids;  // end the answer like the model's own end tokens
};

struct Answer {
  std::vector<int32_t> ids;  // the end token included
  std::vector<double> logprobs;
  FinishReason finish = FinishReason::kNone;
  int64_t prompt_tokens = 0;
  double prompt_s = 0, predicted_s = 0;

  bool stopped() const { return finish == FinishReason::kStop; }
  // Without the end token.
  int64_t text_tokens() const { return static_cast<int64_t>(ids.size()) - (stopped() ? 1 : 0); }
};

// Gets each token that is text (not the end token); returns false to end the answer.
using OnToken = std::function<bool(int32_t id)>;

// Throws Error(kUsage) where prompt and answer exceed the context, Error(kRuntime) where the logits
// are not numbers.
Answer generate_answer(const LoadedModel& model, Device& device, const AnswerRequest& request,
                       const OnToken& on_token);

// {"prompt_n", "cache_n", "prompt_ms", …}: the names of llama-server.
Json timings(const Answer& answer);

}  // namespace fathom
