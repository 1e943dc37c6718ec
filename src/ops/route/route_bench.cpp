#include "base/random.h"
#include "ops/route/kernels.h"

namespace fathom {
namespace {

struct Layer {
  int64_t tokens;
  RouteShape shape;
};

Tensor random(Pass& pass, const Shape& shape, uint64_t seed) {
  Tensor x = pass.empty(shape, DType::kF32);
  const RandomKey key{seed};
  float* data = x.mutable_data<float>();
  for (int64_t i = 0; i < shape.elements(); ++i)
    data[i] = static_cast<float>(key.normal(static_cast<uint64_t>(i)));
  return x;
}

// What both directions read and write.
struct Buffers {
  Buffers(Pass& pass, const Layer& layer)
      : logits(random(pass, {layer.tokens, layer.shape.n_routed_experts}, 1)),
        bias(random(pass, {layer.shape.n_routed_experts}, 2)),
        score(pass.empty(logits.shape(), DType::kF32)),
        expert(pass.empty({layer.tokens, layer.shape.num_experts_per_tok}, DType::kI32)),
        weight(pass.empty(expert.shape(), DType::kF32)) {}

  void route(Pass& pass, const RouteShape& shape) {
    pass.kernels.topk_route(pass.stream, logits.read(), bias.read(), shape, score.write(),
                            expert.write(), weight.write());
  }

  Tensor logits, bias, score, expert, weight;
};

std::string name(const Layer& layer) {
  return concat(layer.tokens, " tokens, ", layer.shape.num_experts_per_tok, " of ",
                layer.shape.n_routed_experts, " experts");
}

double bytes(const Layer& layer) {
  return 8 * static_cast<double>(layer.tokens * layer.shape.n_routed_experts);
}

BenchRow forward(const Layer& layer) {
  return {
      "topk_route", name(layer), "f32", 0, bytes(layer), [=](Pass& pass) -> std::function<void()> {
        return [&pass, layer, b = Buffers(pass, layer)]() mutable { b.route(pass, layer.shape); };
      }};
}

BenchRow backward(const Layer& layer) {
  return {"topk_route_backward",
          name(layer),
          "f32",
          0,
          bytes(layer),
          [=](Pass& pass) -> std::function<void()> {
            Buffers b(pass, layer);
            b.route(pass, layer.shape);
            const std::vector<int32_t> starts = {0, static_cast<int32_t>(layer.tokens)};
            return [&pass, layer, b, starts,
                    dlogits = pass.empty(b.logits.shape(), DType::kF32)]() mutable {
              const std::vector<float> share = {1};
              pass.kernels.topk_route_backward(
                  pass.stream, b.score.read(), b.expert.read(), b.weight.read(),
                  {starts.data(), DType::kI32, Shape{2}, 2}, share, layer.shape, dlogits.write());
            };
          }};
}

RouteShape shape(int64_t experts, int64_t k, int64_t n_group, int64_t topk_group) {
  RouteShape s;
  s.n_routed_experts = experts;
  s.num_experts_per_tok = k;
  s.n_group = n_group;
  s.topk_group = topk_group;
  s.balance_alpha = 1e-4;
  return s;
}

}  // namespace

// v3-nano, V2-Lite and V3 in training or prefill, and one decoded token of V3.
std::vector<BenchRow> route_bench() {
  const Layer nano{1500, shape(16, 4, 1, 1)}, lite{512, shape(64, 6, 1, 1)};
  const Layer v3{512, shape(256, 8, 8, 4)}, token{1, shape(256, 8, 8, 4)};
  return {forward(nano),  forward(lite),  forward(v3), forward(token),
          backward(nano), backward(lite), backward(v3)};
}

}  // namespace fathom
