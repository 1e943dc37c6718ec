#include "ops/linear_objective/linear_objective.h"

#include <algorithm>

#include "ops/kernel_table.h"
#include "ops/operand.h"
#include "runtime/batch.h"
#include "runtime/elementwise.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

// A chunk's logits stay near the cache: at most this many bytes and rows, and never so few rows
// that the products starve.
constexpr int64_t kChunkBytes = int64_t{16} << 20;
constexpr int64_t kMostChunkRows = 1024;
constexpr int64_t kFewestChunkRows = 32;

int64_t chunk_rows(int64_t vocab_size, DType dtype) {
  return std::clamp(kChunkBytes / byte_size(dtype, vocab_size), kFewestChunkRows, kMostChunkRows);
}

// The rows that have a target, ascending.
std::vector<int32_t> rows_with_target(std::span<const int32_t> target, int64_t vocab_size) {
  std::vector<int32_t> rows;
  rows.reserve(target.size());
  for (size_t r = 0; r < target.size(); ++r) {
    if (target[r] == kNoTarget) continue;
    FATHOM_CHECK(target[r] >= 0 && target[r] < vocab_size, "linear_objective: target ", target[r],
                 " of row ", r, " is not in the vocabulary of ", vocab_size,
                 "; were the data tokenised with another tokenizer?");
    rows.push_back(static_cast<int32_t>(r));
  }
  return rows;
}

void check_inputs(const Tensor& h, const Parameter& head, std::span<const int32_t> target) {
  FATHOM_CHECK(head.shape().rank() == 2 && head.shape().cols() == h.cols(),
               "linear_objective: head ", head.name, " is ", head.shape(), " but h is ", h.shape(),
               "; the last dims must match");
  FATHOM_CHECK(head.dtype() == h.dtype(), "linear_objective: head ", head.name, " is ",
               info(head.dtype()).name, " but h is ", info(h.dtype()).name,
               "; convert one of them");
  FATHOM_CHECK(static_cast<int64_t>(target.size()) == h.rows(), "linear_objective: ", target.size(),
               " targets for ", h.rows(), " rows");
}

// Walks the rows that have a target in chunks whose buffers are reused.
class ChunkWalk {
 public:
  ChunkWalk(Pass& pass, const Tensor& h, const Parameter& head, std::span<const int32_t> target)
      : pass_(pass),
        h_(h),
        head_(head),
        target_(target),
        rows_(rows_with_target(target, head.shape()[0])) {
    const auto count = static_cast<int64_t>(rows_.size());
    most_ = std::min(chunk_rows(head.shape()[0], h.dtype()), count);
    if (most_ == 0) return;
    logits_ = pass.empty({most_, head.shape()[0]}, h.dtype());
    targets_ = pass.empty({most_}, DType::kI32);
    index_ = pass.empty({most_}, DType::kI32);
    logprob_ = pass.empty({most_}, DType::kF64);
    lse_ = pass.empty({most_}, DType::kF64);
    coefficient_ = pass.empty({most_}, DType::kF64);
    gathered_ = count < h.rows();
    if (gathered_) rows_of_h_ = pass.empty({most_, h.cols()}, h.dtype());
  }

  // Moves to the next chunk and computes its logits and log-probabilities; false at the end.
  bool next() {
    begin_ += count_;
    count_ = std::min(most_, static_cast<int64_t>(rows_.size()) - begin_);
    if (count_ <= 0) return false;
    for (int64_t i = 0; i < count_; ++i) {
      const int32_t row = rows_[static_cast<size_t>(begin_ + i)];
      index_.mutable_data<int32_t>()[i] = row;
      targets_.mutable_data<int32_t>()[i] = target_[static_cast<size_t>(row)];
    }
    chunk_h_ = h_.without_slot();
    if (gathered_) {
      chunk_h_ = rows_of_h_.rows_at(0, count_);
      pass_.kernels.gather_rows(pass_.stream, h_.read(), part(index_).read(), chunk_h_.write());
    } else {
      chunk_h_ = h_.rows_at(begin_, count_);
    }
    chunk_logits_ = logits_.rows_at(0, count_);
    pass_.kernels.matmul_nt(pass_.stream, chunk_h_.read(), head_.whole(), chunk_logits_.write(),
                            false);
    pass_.kernels.target_logprob(pass_.stream, chunk_logits_.read(), part(targets_).read(),
                                 part(logprob_).write(), part(lse_).write());
    return true;
  }

  std::span<const int32_t> rows() const {
    return std::span(rows_).subspan(static_cast<size_t>(begin_), static_cast<size_t>(count_));
  }
  std::span<const double> logprob() const {
    return {logprob_.data<double>(), static_cast<size_t>(count_)};
  }
  std::span<double> coefficient() {
    return {coefficient_.mutable_data<double>(), static_cast<size_t>(count_)};
  }

  // Turns the logits into their gradient, given coefficient() = d loss / d logprob.
  void differentiate() {
    const View logits = chunk_logits_.write();
    chunk_dlogits_ = as_operand(pass_, logits);
    pass_.kernels.target_logprob_backward(pass_.stream, logits, part(targets_).read(),
                                          part(lse_).read(), part(coefficient_).read(),
                                          chunk_dlogits_);
  }
  void add_to_head(Tensor& dhead, bool accumulate) {
    pass_.kernels.matmul_tn(pass_.stream, chunk_dlogits_, chunk_h_.read(), dhead.write(),
                            accumulate);
  }
  void write_to_h(Tensor& dh) {
    if (!gathered_) {
      pass_.kernels.matmul_nn(pass_.stream, chunk_dlogits_, head_.whole(),
                              dh.rows_at(begin_, count_).write(), false);
      return;
    }
    // The gathered rows are done with: their buffer takes the gradient on its way.
    pass_.kernels.matmul_nn(pass_.stream, chunk_dlogits_, head_.whole(), chunk_h_.write(), false);
    pass_.kernels.scatter_rows(pass_.stream, chunk_h_.read(), part(index_).read(), dh.write());
  }
  bool skips_rows() const { return gathered_ || rows_.empty(); }

 private:
  Tensor part(const Tensor& values) const { return values.columns(0, count_).reshaped({count_}); }

  Pass& pass_;
  const Tensor& h_;
  const Parameter& head_;
  std::span<const int32_t> target_;
  std::vector<int32_t> rows_;
  int64_t most_ = 0, begin_ = 0, count_ = 0;
  bool gathered_ = false;
  Tensor logits_, targets_, index_, logprob_, lse_, coefficient_, rows_of_h_;
  Tensor chunk_h_, chunk_logits_;
  View chunk_dlogits_;  // over chunk_logits_
};

void keep_logprobs(const ChunkWalk& walk, std::vector<double>& logprob) {
  const std::span<const int32_t> rows = walk.rows();
  for (size_t i = 0; i < rows.size(); ++i)
    logprob[static_cast<size_t>(rows[i])] = walk.logprob()[i];
}

double only_value(const Tensor& x) {
  return x.dtype() == DType::kF32 ? static_cast<double>(x.data<float>()[0]) : x.data<double>()[0];
}

// The gradients were computed in the forward pass, for a loss that is differentiated by itself.
void record_end(Pass& pass, Tensor& loss, const Tensor& h, const Tensor& dh) {
  pass.tape->record(
      "linear_objective", loss, [h = h.without_data(), dh](Pass& p, const Tensor& dloss) {
        FATHOM_CHECK(only_value(dloss) == 1.0,
                     "linear_objective: the loss ends the graph and takes the gradient 1, got ",
                     only_value(dloss), "; put weights and factors into the objective");
        if (dh) p.tape->add_grad(p, h, dh);
      });
}

}  // namespace

ObjectiveResult linear_objective(Pass& pass, const Tensor& h, const Parameter& head,
                                 std::span<const int32_t> target, const TokenObjective& objective) {
  check_inputs(h, head, target);
  const bool wants_h = needs_grad(pass, {&h}), wants_head = head.wants_grad(pass);
  ObjectiveResult result;
  result.logprob.assign(target.size(), 0.0);
  ChunkWalk walk(pass, h, head, target);
  Tensor dh;
  if (wants_h) {
    dh = pass.empty(h.shape(), h.dtype());
    if (walk.skips_rows()) fill_zero(pass, dh);
  }
  while (walk.next()) {
    keep_logprobs(walk, result.logprob);
    result.loss_value += objective(walk.rows(), walk.logprob(), walk.coefficient());
    if (!wants_h && !wants_head) continue;
    walk.differentiate();
    if (wants_head) {
      bool accumulate = false;
      Tensor dhead = head.grad_target(pass, accumulate);
      walk.add_to_head(dhead, accumulate);
    }
    if (wants_h) walk.write_to_h(dh);
  }
  result.loss = pass.empty({1}, h.dtype());
  dispatch_float(h.dtype(), "linear_objective", [&](auto zero) {
    result.loss.mutable_data<decltype(zero)>()[0] = static_cast<decltype(zero)>(result.loss_value);
  });
  if (wants_h || wants_head) record_end(pass, result.loss, h, dh);
  return result;
}

TokenObjective cross_entropy(std::span<const float> weights, double normaliser) {
  return [weights = std::vector<double>(weights.begin(), weights.end()), normaliser](
             std::span<const int32_t> rows, std::span<const double> logprob,
             std::span<double> dlogprob) {
    double loss = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const double share = weights[static_cast<size_t>(rows[i])] / normaliser;
      loss -= share * logprob[i];
      dlogprob[i] = -share;
    }
    return loss;
  };
}

std::vector<double> target_logprobs(Pass& pass, const Tensor& h, const Parameter& head,
                                    std::span<const int32_t> target) {
  check_inputs(h, head, target);
  std::vector<double> logprob(target.size(), 0.0);
  ChunkWalk walk(pass, h, head, target);
  while (walk.next()) keep_logprobs(walk, logprob);
  return logprob;
}

}  // namespace fathom
