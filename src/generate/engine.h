// The generation engine: requests in, token streams out. RL rollouts, evaluation, run and chat all
// use it.
//
// Continuous batching over a paged cache: every step feeds one token of each running sample and
// fills free slots from the queue, so slots stay busy at mixed lengths. A request may ask for
// several samples: its prompt is computed once and its pages are shared. What a sample produces
// depends on its own prompt, sampling and seed only, bit for bit.
//
// Threads: one; a server drives it from one thread, RL drives it directly.  Lifetime: kernels,
// memory and decoder outlive it; weights may change between runs (when nothing is queued or
// running): packed copies of them (ops/packed_weight) are renewed with each step and go with the
// engine.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "generate/sampler.h"
#include "generate/share_passes.h"
#include "model/decoder.h"

namespace fathom {

enum class FinishReason { kNone, kStop, kLength, kCancelled, kNumericalError };
const char* name_of(FinishReason reason);  // "stop", "length", …

struct TokenEvent {
  uint64_t request = 0;
  int64_t sample = 0;  // 0 … samples − 1
  int32_t token = 0;   // meaningless when finish is kCancelled or kNumericalError
  double logprob = 0;
  FinishReason finish = FinishReason::kNone;
  // Experts that the token before this one was sent to, [expert layers · k]; empty for the first
  // token and in dense models. Valid during the call.
  std::span<const int32_t> routed = {};
};

struct Request {
  std::vector<int32_t> prompt;
  int64_t samples = 1;  // sample i draws with seed sampling.seed + i
  int64_t max_tokens = 256;
  Sampling sampling;
  std::vector<int32_t>
      stop_ids;  // sampling one of these ends the sample with kStop; it is part of the output
  std::function<void(const TokenEvent&)> sink;
};

struct EngineConfig {
  int64_t max_sequences = 64;  // slots: samples that run at once
  int64_t page_tokens = 16;
  int64_t max_tokens_per_sequence = 0;  // prompt + output; 0: the model's max_position_embeddings
  int64_t max_prefill_tokens = 4096;    // prompt tokens of one pass; a longer prompt is computed in
                                        // pieces, one in a step
  int64_t cache_tokens = 0;             // capacity; 0: enough for max_sequences full sequences
};

struct EngineStats {
  int64_t prompt_tokens = 0;  // computed, not merely asked for
  int64_t generated_tokens = 0;
  int64_t decode_steps = 0;
  int64_t busy_slots = 0,
          offered_slots =
              0;  // summed over decode steps while requests wait: busy / offered is the occupancy
  double prefill_seconds = 0, decode_seconds = 0;
};

class Engine {
 public:
  Engine(const KernelTable& kernels, Allocator& memory, Decoder& decoder,
         const EngineConfig& config);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Queues a request. Throws Error(kUsage) where it can never run: empty prompt, ids outside the
  // vocabulary, too long.
  uint64_t submit(Request request);
  void cancel(uint64_t request);
  // Forgets a request wherever it stands: its pages are free and its sink is not called again. Not
  // for sinks; after step() has thrown, the requests that stay are as they were before it.
  void drop(uint64_t request);
  // One round: admit and prefill, then one token for every running sample. Returns how many samples
  // are unfinished.
  int64_t step();
  void run() {
    while (step() > 0) {
    }
  }

  const EngineStats& stats() const { return stats_; }
  void reset_stats() { stats_ = {}; }
  int64_t context_tokens() const { return max_tokens_; }

 private:
  struct Group;   // a request with its computed prompt
  struct Sample;  // one running sequence

  void admit();
  void prefill(const std::vector<Group*>& groups);
  std::vector<std::optional<SampledToken>> prefill_some(std::span<Group* const> groups,
                                                        std::span<const int64_t> rows);
  bool promise_pages(Group& group);
  bool start_sample(Group& group);
  void decode();
  struct Decoded {
    std::vector<std::optional<SampledToken>> tokens;
    RouteLog routes;
  };
  Decoded decode_some(size_t begin, size_t end);
  std::vector<RowRange> ranges_of_step(std::span<const int64_t> tokens) const;
  void take_token(Sample& sample, const std::optional<SampledToken>& token,
                  std::span<const int32_t> routed);
  void release_prompt(Group& group);
  void finish(Sample& sample, const TokenEvent& event);
  void drop_finished();
  int64_t reserved_pages(const Group& group) const;

  const KernelTable& kernels_;
  Allocator& memory_;
  const Decoder& decoder_;
  EngineConfig config_;
  bool weights_near_ = false;  // small enough for a pass on each thread, with packed copies
  std::vector<std::shared_ptr<PackedWeight>> packed_;  // those copies, of each parameter
  int64_t max_tokens_ = 0;
  std::unique_ptr<KvCache> cache_;
  int64_t promised_pages_ =
      0;  // worst case of everything running: admission keeps this within the cache
  uint64_t next_id_ = 1;
  std::deque<std::unique_ptr<Group>>
      waiting_;  // in order of arrival; the first ones may have computed prompts
  std::vector<std::unique_ptr<Group>> started_;  // all samples started, some still running
  std::vector<std::unique_ptr<Sample>> running_;
  EngineStats stats_;
};

// Runs requests to the end and collects what they produced. Where that throws, none of them stays
// in the engine.
struct Completion {
  std::vector<int32_t> ids;      // the stop id included
  std::vector<double> logprobs;  // one per id
  std::vector<int32_t> routed;  // [ids − 1][expert layers · k], for all but the last id, which was
                                // not fed; empty: dense
  FinishReason finish = FinishReason::kNone;
};
// [requests][samples]. The requests' sinks are replaced.
std::vector<std::vector<Completion>> generate(Engine& engine, std::vector<Request> requests);

}  // namespace fathom
