#include "ops/route/route.h"

#include "runtime/tape.h"

namespace fathom {
namespace {

ConstView starts_view(std::span<const int32_t> starts) {
  const auto count = static_cast<int64_t>(starts.size());
  return {starts.data(), DType::kI32, Shape{count}, count};
}

void check_shape(const RouteShape& shape) {
  const int64_t experts = shape.n_routed_experts, k = shape.num_experts_per_tok;
  FATHOM_CHECK(experts > 0 && k > 0 && k <= experts, "topk_route: num_experts_per_tok is ", k,
               " but n_routed_experts is ", experts, "; expected 1 to n_routed_experts");
  if (shape.groups() == 1) return;
  FATHOM_CHECK(shape.n_group >= 1 && experts % shape.n_group == 0, "topk_route: n_routed_experts ",
               experts, " does not fall into n_group ", shape.n_group, " groups of equal size");
  FATHOM_CHECK(shape.topk_group >= 1 && shape.topk_group <= shape.n_group,
               "topk_route: topk_group is ", shape.topk_group,
               ", expected 1 to n_group = ", shape.n_group);
  FATHOM_CHECK(shape.topk_group * (experts / shape.n_group) >= k, "topk_route: ", shape.topk_group,
               " groups of ", experts / shape.n_group,
               " experts cannot give num_experts_per_tok = ", k, " choices; raise topk_group");
}

void check_bias(const Tensor& bias, const RouteShape& shape) {
  if (shape.topk_method != TopkMethod::kNoauxTc) {
    FATHOM_CHECK(!bias, "topk_route: e_score_correction_bias is ", bias.shape(),
                 ", expected none: only topk_method noaux_tc adds one");
    return;
  }
  FATHOM_CHECK(bias && bias.shape().elements() == shape.n_routed_experts,
               "topk_route: e_score_correction_bias is ", bias ? bias.shape() : Shape{},
               ", expected [", shape.n_routed_experts, "]");
  FATHOM_CHECK(bias.dtype() == DType::kF32 || bias.dtype() == DType::kF64,
               "topk_route: e_score_correction_bias is ", info(bias.dtype()).name,
               ", expected f32: a rounded bias changes the choice");
}

void check_inputs(const Tensor& logits, const Tensor& bias, const RouteShape& shape,
                  std::span<const int32_t> starts, std::span<const float> sequence_share) {
  FATHOM_CHECK(logits.shape().rank() == 2 && logits.cols() == shape.n_routed_experts,
               "topk_route: logits are ", logits.shape(),
               ", expected [tokens, n_routed_experts = ", shape.n_routed_experts, "]");
  check_bias(bias, shape);
  if (shape.balance_alpha <= 0) return;
  FATHOM_CHECK(!starts.empty() && starts.front() == 0 && starts.back() == logits.rows(),
               "topk_route: ", logits.rows(), " rows need sequence starts from 0 to ",
               logits.rows(), ", got ", starts.size(), " starts ending at ",
               starts.empty() ? -1 : starts.back());
  FATHOM_CHECK(sequence_share.size() + 1 == starts.size(),
               "topk_route: the balance loss needs a share for each of ", starts.size() - 1,
               " sequences, got ", sequence_share.size());
}

// Replaces the choice of the rows that must follow another, and their weights, by the equations of
// the kernel.
void follow_choice(const Tensor& score, std::span<const int32_t> follow, const RouteShape& shape,
                   Routed& routed) {
  dispatch_float(score.dtype(), "topk_route", [&](auto zero) {
    using T = decltype(zero);
    const ConstView scores = score.read();
    View expert = routed.expert.write(), weight = routed.weight.write();
    const int64_t k = shape.num_experts_per_tok;
    for (int64_t t = 0; t < scores.rows(); ++t) {
      const int32_t* wanted = follow.data() + t * k;
      if (wanted[0] < 0) continue;
      T sum = static_cast<T>(1e-20);
      for (int64_t i = 0; i < k; ++i) sum += scores.row<T>(t)[wanted[i]];
      const T divisor = shape.norm_topk_prob && k > 1 ? sum : T{1};
      for (int64_t i = 0; i < k; ++i) {
        expert.row<int32_t>(t)[i] = wanted[i];
        weight.row<T>(t)[i] =
            scores.row<T>(t)[wanted[i]] / divisor * static_cast<T>(shape.routed_scaling_factor);
      }
    }
  });
}

void check_follow(std::span<const int32_t> follow, int64_t tokens, const RouteShape& shape) {
  FATHOM_CHECK(static_cast<int64_t>(follow.size()) == tokens * shape.num_experts_per_tok,
               "topk_route: ", follow.size(), " experts to follow for ", tokens, " rows of ",
               shape.num_experts_per_tok);
  for (const int32_t id : follow) {
    FATHOM_CHECK(id >= -1 && id < shape.n_routed_experts, "topk_route: expert ", id,
                 " to follow, of ", shape.n_routed_experts);
  }
}

}  // namespace

Routed topk_route(Pass& pass, const Tensor& logits, const Tensor& bias, const RouteShape& shape,
                  std::span<const int32_t> starts, std::span<const float> sequence_share,
                  std::span<const int32_t> follow) {
  check_shape(shape);
  check_inputs(logits, bias, shape, starts, sequence_share);
  if (!follow.empty()) check_follow(follow, logits.rows(), shape);
  const int64_t tokens = logits.rows(), k = shape.num_experts_per_tok;
  Tensor score = pass.empty({tokens, shape.n_routed_experts}, logits.dtype());
  Routed routed{pass.empty({tokens, k}, DType::kI32), pass.empty({tokens, k}, logits.dtype())};
  pass.kernels.topk_route(pass.stream, logits.read(), bias ? bias.read() : ConstView{}, shape,
                          score.write(), routed.expert.write(), routed.weight.write());
  if (!follow.empty()) follow_choice(score, follow, shape, routed);
  if (shape.balance_alpha > 0 && pass.stats != nullptr) {
    pass.stats->balance_loss +=
        pass.kernels.balance_loss(pass.stream, score.read(), routed.expert.read(),
                                  starts_view(starts), sequence_share, shape);
  }
  if (!needs_grad(pass, {&logits})) return routed;

  pass.tape->record(
      "topk_route", routed.weight,
      [logits = logits.without_data(), score = Saved(score), expert = Saved(routed.expert), shape,
       starts = std::vector<int32_t>(starts.begin(), starts.end()),
       share = std::vector<float>(sequence_share.begin(), sequence_share.end())](
          Pass& p, const Tensor& dweight) {
        Tensor dlogits = p.empty(logits.shape(), logits.dtype());
        p.kernels.topk_route_backward(p.stream, score.get("topk_route").read(),
                                      expert.get("topk_route").read(), dweight.read(),
                                      starts_view(starts), share, shape, dlogits.write());
        p.tape->add_grad(p, logits, dlogits);
      });
  return routed;
}

std::vector<int64_t> count_experts(const Tensor& expert, int64_t n_routed_experts) {
  std::vector<int64_t> counts(static_cast<size_t>(n_routed_experts), 0);
  const ConstView ids = expert.read();
  for (int64_t t = 0; t < ids.rows(); ++t) {
    for (int64_t i = 0; i < ids.cols(); ++i) {
      const int32_t id = ids.row<int32_t>(t)[i];
      FATHOM_CHECK(id >= 0 && id < n_routed_experts, "count_experts: row ", t, " picks expert ", id,
                   " of ", n_routed_experts);
      ++counts[static_cast<size_t>(id)];
    }
  }
  return counts;
}

}  // namespace fathom
