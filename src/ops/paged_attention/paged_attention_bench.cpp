#include "ops/paged_attention/kernels.h"

namespace fathom {
namespace {

constexpr int64_t kPageTokens = 16;

struct Shapes {
  int64_t spans, rows, length;  // each span has `rows` new rows and `length` cached tokens
  int64_t heads, kv_heads, qk_dim, v_dim;
  bool latent() const { return kv_heads == 1 && v_dim < qk_dim; }
  int64_t width() const { return latent() ? qk_dim : kv_heads * (qk_dim + v_dim); }
};

struct Operands {
  Tensor q, cache, out;
  std::vector<int32_t> pages;
  std::vector<PagedSpan> spans;
  PagedShape shape;
};

Operands operands(Pass& pass, const Shapes& s) {
  const int64_t pages = (s.length + kPageTokens - 1) / kPageTokens;
  Operands o;
  o.shape = {{s.heads, s.kv_heads, s.qk_dim, s.v_dim, 0.125},
             s.latent() ? 0 : s.kv_heads * s.qk_dim,
             kPageTokens};
  o.q = pass.empty({s.spans * s.rows, s.heads * s.qk_dim}, DType::kF32);
  o.out = pass.empty({s.spans * s.rows, s.heads * s.v_dim}, DType::kF32);
  o.cache = pass.empty({s.spans * pages * kPageTokens, s.width()}, DType::kF32);
  for (Tensor* x : {&o.q, &o.cache}) {
    float* value = x->mutable_data<float>();
    for (int64_t i = 0; i < x->shape().elements(); ++i) value[i] = static_cast<float>(i % 13) / 13;
  }
  for (int64_t p = 0; p < s.spans * pages; ++p) o.pages.push_back(static_cast<int32_t>(p));
  return o;
}

// The spans point into the page list, so they are made where it stays.
void make_spans(Operands& o, const Shapes& s) {
  const int64_t pages = static_cast<int64_t>(o.pages.size()) / s.spans;
  for (int64_t i = 0; i < s.spans; ++i) {
    o.spans.push_back({i * s.rows, s.rows, s.length, o.pages.data() + i * pages});
  }
}

BenchRow row(const Shapes& s) {
  const int64_t pairs =
      s.spans * s.rows * (s.length - s.rows) + s.spans * s.rows * (s.rows + 1) / 2;
  return {"paged_attention",
          concat(s.spans, "x", s.rows, " of ", s.length, " heads ", s.heads, "/", s.kv_heads,
                 " dims ", s.qk_dim, "/", s.v_dim),
          "f32",
          2 * static_cast<double>(pairs * s.heads * (s.qk_dim + s.v_dim)),
          4 * static_cast<double>(s.spans * s.length * s.width()),
          [=](Pass& pass) -> std::function<void()> {
            auto o = std::make_shared<Operands>(operands(pass, s));
            make_spans(*o, s);
            return [&pass, o] {
              pass.kernels.paged_attention(pass.stream, o->q.read(), o->cache.read(), o->spans,
                                           o->shape, o->out.write());
            };
          }};
}

}  // namespace

// Decode and prefill over K/V pages (tiny, small), over latents of v3-nano, and of V2-Lite.
std::vector<BenchRow> paged_attention_bench() {
  return {row({512, 1, 256, 6, 6, 32, 32}),   row({16, 1, 512, 6, 6, 64, 64}),
          row({1, 1, 8192, 6, 6, 64, 64}),    row({1, 256, 1024, 6, 6, 64, 64}),
          row({64, 1, 56, 6, 6, 32, 32}),     row({64, 1, 56, 4, 1, 48, 32}),
          row({1, 1, 4096, 6, 6, 32, 32}),    row({1, 1, 4096, 4, 1, 48, 32}),
          row({512, 1, 128, 4, 1, 48, 32}),   row({8, 32, 128, 4, 1, 48, 32}),
          row({1, 1, 4096, 16, 1, 576, 512}), row({16, 1, 1024, 16, 1, 576, 512})};
}

}  // namespace fathom
