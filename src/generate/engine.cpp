#include "generate/engine.h"

#include <algorithm>

#include "base/clock.h"
#include "ops/select_rows/select_rows.h"

namespace fathom {

namespace {

// Fewer sequences than these are not worth a pass of their own.
constexpr size_t kLeastSequences = 4;

}  // namespace

struct Engine::Group {
  uint64_t id = 0;
  Request request;
  bool admitted = false;  // pages are promised to the prompt
  bool computed = false;  // the prompt is in the cache, all of it
  bool cancelled = false;
  PagedSequence prompt;  // shared by the samples; kept until the last one has started
  // First token of each sample, drawn when the prompt is computed.
  std::vector<std::optional<SampledToken>> first;
  int64_t started = 0, finished = 0;

  // Prompt tokens that are not in the cache yet.
  int64_t missing() const { return static_cast<int64_t>(request.prompt.size()) - prompt.length; }
};

struct Engine::Sample {
  Group* group = nullptr;
  int64_t number = 0;
  PagedSequence sequence;
  Sampling sampling;
  int32_t last = 0;  // the newest token, not yet in the cache
  int64_t produced = 0;
  bool done = false;
};

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "none";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kNumericalError:
      return "numerical_error";
  }
  return "";
}

Engine::Engine(const KernelTable& kernels, Allocator& memory, Decoder& decoder,
               const EngineConfig& config)
    : kernels_(kernels), memory_(memory), decoder_(decoder), config_(config) {
  weights_near_ = decoder.weights_are_near();
  max_tokens_ = config.max_tokens_per_sequence > 0 ? config.max_tokens_per_sequence
                                                   : decoder.config().max_position_embeddings;
  const int64_t tokens =
      config.cache_tokens > 0 ? config.cache_tokens : config.max_sequences * max_tokens_;
  // Besides the samples' own pages, one page each for a prompt whose last page every sample copies.
  const int64_t pages =
      (tokens + config.page_tokens - 1) / config.page_tokens + config.max_sequences;
  cache_ = decoder.make_cache(memory, pages, config.page_tokens);
  if (!weights_near_) return;
  for (const Parameter* parameter : decoder.parameters()) packed_.push_back(parameter->packed);
}

// Another engine on the same decoder makes the copies again with its next step.
Engine::~Engine() {
  for (const std::shared_ptr<PackedWeight>& copy : packed_) *copy = {};
}

std::vector<RowRange> Engine::ranges_of_step(std::span<const int64_t> tokens) const {
  if (!weights_near_) return {{0, tokens.size()}};
  return ranges_for_threads(tokens, kLeastSequences);
}

// Pages that a group needs at worst: its prompt's, and for each sample all pages after the prompt's
// last full one.
int64_t Engine::reserved_pages(const Group& group) const {
  const auto prompt = static_cast<int64_t>(group.request.prompt.size());
  return cache_->pages_for(prompt + group.request.max_tokens) - prompt / config_.page_tokens;
}

uint64_t Engine::submit(Request request) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t vocab = decoder_.config().vocab_size;
  if (prompt == 0)
    fail(ErrorCode::kUsage, "generate: the prompt is empty; give at least one token");
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] < 0 || request.prompt[i] >= vocab) {
      fail(ErrorCode::kUsage, "generate: prompt id ", request.prompt[i], " at position ", i,
           " is outside the vocabulary; expected 0 to ", vocab - 1);
    }
  }
  check_sampling(request.sampling);
  if (request.max_tokens <= 0 || request.samples <= 0) {
    fail(ErrorCode::kUsage, "generate: max_tokens is ", request.max_tokens, " and samples ",
         request.samples, "; expected at least 1 of each");
  }
  if (prompt + request.max_tokens > max_tokens_) {
    fail(ErrorCode::kUsage, "generate: the prompt has ", prompt, " tokens and ", request.max_tokens,
         " may follow, ", prompt + request.max_tokens, " in all; the context holds ", max_tokens_,
         ". Shorten the prompt or ask for at most ", std::max<int64_t>(0, max_tokens_ - prompt),
         " tokens");
  }
  auto group = std::make_unique<Group>();
  group->id = next_id_++;
  group->request = std::move(request);
  if (cache_->pages_for(prompt) + reserved_pages(*group) > cache_->pages()) {
    fail(ErrorCode::kUsage, "generate: ", prompt + group->request.max_tokens,
         " tokens never fit a cache of ", cache_->pages() * config_.page_tokens,
         "; enlarge the cache");
  }
  waiting_.push_back(std::move(group));
  return waiting_.back()->id;
}

void Engine::cancel(uint64_t id) {
  for (const auto& group : waiting_) {
    if (group->id == id) group->cancelled = true;
  }
  for (const auto& group : started_) {
    if (group->id == id) group->cancelled = true;
  }
}

void Engine::drop(uint64_t id) {
  const auto is_meant = [id](const auto& group) { return group->id == id; };
  for (const auto& sample : running_) {
    if (sample->group->id != id || sample->done) continue;
    promised_pages_ -= reserved_pages(*sample->group);
    cache_->release(sample->sequence);
  }
  std::erase_if(running_, [id](const auto& sample) { return sample->group->id == id; });
  for (const auto& group : waiting_) {
    if (is_meant(group) && group->admitted) release_prompt(*group);
  }
  std::erase_if(waiting_, is_meant);
  std::erase_if(started_, is_meant);
}

// Gives back what admission took for a group's prompt.
void Engine::release_prompt(Group& group) {
  promised_pages_ -= cache_->pages_for(static_cast<int64_t>(group.request.prompt.size()));
  cache_->release(group.prompt);
  group.admitted = false;
}

void Engine::finish(Sample& sample, const TokenEvent& event) {
  sample.done = true;
  ++sample.group->finished;
  promised_pages_ -= reserved_pages(*sample.group);
  cache_->release(sample.sequence);
  if (sample.group->request.sink) sample.group->request.sink(event);
}

void Engine::take_token(Sample& sample, const std::optional<SampledToken>& token,
                        std::span<const int32_t> routed) {
  const Request& request = sample.group->request;
  TokenEvent event;
  event.request = sample.group->id;
  event.sample = sample.number;
  event.routed = routed;
  if (!token) {
    event.finish = FinishReason::kNumericalError;
    return finish(sample, event);
  }
  ++sample.produced;
  ++stats_.generated_tokens;
  sample.last = event.token = token->id;
  event.logprob = token->logprob;
  const bool stops = std::find(request.stop_ids.begin(), request.stop_ids.end(), token->id) !=
                     request.stop_ids.end();
  event.finish = stops                                   ? FinishReason::kStop
                 : sample.produced >= request.max_tokens ? FinishReason::kLength
                                                         : FinishReason::kNone;
  if (event.finish != FinishReason::kNone) return finish(sample, event);
  if (request.sink) request.sink(event);
}

// The next `rows[i]` prompt tokens of each group i. First tokens where the prompts then are
// complete, else nothing.
std::vector<std::optional<SampledToken>> Engine::prefill_some(std::span<Group* const> groups,
                                                              std::span<const int64_t> rows) {
  Pass pass{kernels_, memory_};
  TokenLayout layout{{0}, {}, {}};
  std::vector<int32_t> ids, last_rows;
  std::vector<RowDraws> draws;
  bool complete = true;
  for (size_t i = 0; i < groups.size(); ++i) {
    Group& group = *groups[i];
    const int64_t begin = group.prompt.length, end = begin + rows[i];
    for (int64_t at = begin; at < end; ++at) {
      ids.push_back(group.request.prompt[static_cast<size_t>(at)]);
      layout.positions.push_back(static_cast<int32_t>(at));
    }
    layout.starts.push_back(static_cast<int32_t>(ids.size()));
    layout.cached.push_back(&group.prompt);
    last_rows.push_back(static_cast<int32_t>(ids.size()) - 1);
    draws.push_back({group.request.sampling, 0, group.request.samples});
    complete = complete && rows[i] == group.missing();
  }
  const Tensor hidden = decoder_.forward(pass, ids, layout, cache_.get());
  if (!complete) return {};
  const Tensor logits =
      decoder_.logits(pass, select_rows(pass, hidden, last_rows));  // [groups, vocab_size]
  return sample_tokens(pass, logits, draws);
}

void Engine::prefill(const std::vector<Group*>& groups) {
  const Timer timer;
  Pass pass{kernels_, memory_};
  std::vector<int64_t> rows;
  for (Group* group : groups) {
    rows.push_back(std::min(group->missing(), config_.max_prefill_tokens));
    FATHOM_CHECK(cache_->extend(pass, group->prompt, rows.back()),
                 "engine: the cache is full although admission counted its pages");
    stats_.prompt_tokens += rows.back();
  }
  const std::vector<RowRange> ranges = ranges_of_step(rows);
  const auto tokens = share_passes(ranges, [&](size_t begin, size_t end) {
    return prefill_some(std::span(groups).subspan(begin, end - begin),
                        std::span(rows).subspan(begin, end - begin));
  });
  for (size_t r = 0; r < ranges.size(); ++r) {
    auto next = tokens[r].begin();
    for (size_t i = ranges[r].first; i < ranges[r].second; ++i) {
      Group& group = *groups[i];
      group.prompt.length += rows[i];
      if (group.missing() > 0) continue;
      group.first.assign(next, next + group.request.samples);
      next += group.request.samples;
      group.computed = true;
    }
  }
  stats_.prefill_seconds += timer.seconds();
}

// Starts the group's next sample if a slot and its worst case of pages are free.
bool Engine::start_sample(Group& group) {
  if (static_cast<int64_t>(running_.size()) >= config_.max_sequences) return false;
  const int64_t needed = reserved_pages(group);
  if (promised_pages_ + needed > cache_->pages()) return false;
  promised_pages_ += needed;
  auto sample = std::make_unique<Sample>();
  sample->group = &group;
  sample->number = group.started++;
  sample->sampling = group.request.sampling;
  sample->sampling.seed += static_cast<uint64_t>(sample->number);
  sample->sequence = cache_->fork(group.prompt);
  running_.push_back(std::move(sample));
  take_token(*running_.back(), group.first[static_cast<size_t>(running_.back()->number)], {});
  return true;
}

// Whether the group fits beside what is promised already; then its prompt's pages are its own until
// the last of its samples has started.
bool Engine::promise_pages(Group& group) {
  const int64_t pages = cache_->pages_for(static_cast<int64_t>(group.request.prompt.size()));
  if (promised_pages_ + pages + reserved_pages(group) > cache_->pages()) return false;
  promised_pages_ += pages;
  return group.admitted = true;
}

void Engine::admit() {
  for (;;) {
    // Compute the prompts of as many waiting groups as there are free slots, in one pass. A prompt
    // too long for a pass is computed alone, one piece in a step.
    std::vector<Group*> fresh;
    int64_t tokens = 0;
    int64_t slots = config_.max_sequences - static_cast<int64_t>(running_.size());
    for (const auto& group : waiting_) {
      if (slots <= 0) break;
      if (!group->computed && !group->cancelled) {
        const bool in_pieces =
            group->prompt.length > 0 || group->missing() > config_.max_prefill_tokens;
        const bool fits_pass =
            !in_pieces && tokens + group->missing() <= config_.max_prefill_tokens;
        if (!fresh.empty() && !fits_pass) break;
        if (!group->admitted && !promise_pages(*group)) break;
        tokens += group->missing();
        fresh.push_back(group.get());
        if (in_pieces) break;
      }
      slots -= group->request.samples - group->started;
    }
    try {
      if (!fresh.empty()) prefill(fresh);
    } catch (...) {
      for (Group* group : fresh) release_prompt(*group);  // they wait again
      throw;
    }

    bool progressed = !fresh.empty();
    const bool in_pieces = !fresh.empty() && !fresh.back()->computed;
    while (!waiting_.empty()) {
      Group& group = *waiting_.front();
      if (!group.cancelled && !group.computed) break;
      while (!group.cancelled && group.started < group.request.samples && start_sample(group))
        progressed = true;
      if (!group.cancelled && group.started < group.request.samples) break;
      for (; group.cancelled && group.started < group.request.samples;
           ++group.started, ++group.finished) {
        if (group.request.sink)
          group.request.sink({group.id, group.started, 0, 0, FinishReason::kCancelled, {}});
      }
      if (group.admitted) release_prompt(group);
      started_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      progressed = true;
    }
    drop_finished();
    const bool room = static_cast<int64_t>(running_.size()) < config_.max_sequences;
    if (waiting_.empty() || !room || !progressed || in_pieces) return;
  }
}

namespace {

// One row's experts, layer after layer.
void routed_of_row(const RouteLog& routes, size_t row, size_t rows, std::vector<int32_t>& experts) {
  experts.clear();
  for (const std::vector<int32_t>& layer : routes.expert) {
    const size_t k = layer.size() / rows;
    experts.insert(experts.end(), layer.begin() + static_cast<std::ptrdiff_t>(row * k),
                   layer.begin() + static_cast<std::ptrdiff_t>((row + 1) * k));
  }
}

}  // namespace

// One more token for the running samples [begin, end).
Engine::Decoded Engine::decode_some(size_t begin, size_t end) {
  Pass pass{kernels_, memory_};
  TokenLayout layout{{0}, {}, {}};
  std::vector<int32_t> ids;
  std::vector<RowDraws> draws;
  for (size_t i = begin; i < end; ++i) {
    Sample& sample = *running_[i];
    ids.push_back(sample.last);
    layout.positions.push_back(static_cast<int32_t>(sample.sequence.length));
    layout.starts.push_back(static_cast<int32_t>(ids.size()));
    layout.cached.push_back(&sample.sequence);
    draws.push_back({sample.sampling, static_cast<uint64_t>(sample.produced)});
  }
  Decoded decoded;
  pass.routes = &decoded.routes;
  const Tensor logits = decoder_.logits(pass, decoder_.forward(pass, ids, layout, cache_.get()));
  decoded.tokens = sample_tokens(pass, logits, draws);
  return decoded;
}

void Engine::decode() {
  if (running_.empty()) return;
  const Timer timer;
  Pass pass{kernels_, memory_};
  for (const auto& sample : running_) {
    FATHOM_CHECK(cache_->extend(pass, sample->sequence, 1),
                 "engine: the cache is full although admission counted its pages");
  }
  if (!waiting_.empty()) {
    stats_.busy_slots += static_cast<int64_t>(running_.size());
    stats_.offered_slots += config_.max_sequences;
  }
  ++stats_.decode_steps;
  const std::vector<RowRange> ranges = ranges_of_step(std::vector<int64_t>(running_.size(), 1));
  const std::vector<Decoded> decoded =
      share_passes(ranges, [&](size_t begin, size_t end) { return decode_some(begin, end); });
  std::vector<int32_t> routed;
  for (size_t r = 0; r < ranges.size(); ++r) {
    const auto [begin, end] = ranges[r];
    for (size_t i = begin; i < end; ++i) {
      Sample& sample = *running_[i];
      ++sample.sequence.length;
      routed_of_row(decoded[r].routes, i - begin, end - begin, routed);
      take_token(sample, decoded[r].tokens[i - begin], routed);
    }
  }
  stats_.decode_seconds += timer.seconds();
}

void Engine::drop_finished() {
  for (const auto& sample : running_) {
    if (!sample->done && sample->group->cancelled) {
      finish(*sample, {sample->group->id, sample->number, 0, 0, FinishReason::kCancelled, {}});
    }
  }
  std::erase_if(running_, [](const auto& sample) { return sample->done; });
  std::erase_if(started_, [](const auto& group) { return group->finished == group->started; });
}

int64_t Engine::step() {
  if (weights_near_) {
    Pass pass{kernels_, memory_};
    decoder_.pack_weights(pass);
  }
  drop_finished();
  admit();
  decode();
  drop_finished();
  int64_t unfinished = static_cast<int64_t>(running_.size());
  for (const auto& group : waiting_)
    unfinished += group->cancelled ? 0 : group->request.samples - group->started;
  return unfinished;
}

namespace {

// Requests whose sinks write to what is gone once this is.
class OwnRequests {
 public:
  explicit OwnRequests(Engine& engine) : engine_(engine) {}
  ~OwnRequests() {
    for (const uint64_t id : ids_) engine_.drop(id);
  }
  OwnRequests(const OwnRequests&) = delete;
  OwnRequests& operator=(const OwnRequests&) = delete;

  void submit(Request request) {
    ids_.reserve(ids_.size() + 1);  // what is submitted can be noted
    ids_.push_back(engine_.submit(std::move(request)));
  }

 private:
  Engine& engine_;
  std::vector<uint64_t> ids_;
};

}  // namespace

std::vector<std::vector<Completion>> generate(Engine& engine, std::vector<Request> requests) {
  std::vector<std::vector<Completion>> results(requests.size());
  OwnRequests own(engine);
  for (size_t i = 0; i < requests.size(); ++i) {
    results[i].resize(static_cast<size_t>(requests[i].samples));
    requests[i].sink = [&results, i](const TokenEvent& event) {
      Completion& completion = results[i][static_cast<size_t>(event.sample)];
      completion.finish = event.finish;
      if (event.finish == FinishReason::kNumericalError || event.finish == FinishReason::kCancelled)
        return;
      completion.ids.push_back(event.token);
      completion.logprobs.push_back(event.logprob);
      completion.routed.insert(completion.routed.end(), event.routed.begin(), event.routed.end());
    };
    own.submit(std::move(requests[i]));
  }
  engine.run();
  return results;
}

}  // namespace fathom
